"""P2 and P3: a cloud on loopback, without delay, so that the processor binds: 500 clips of 1 MB, archived in full.

Rivals: curl bare, which only moves bytes; curl, then a hash of every clip and one flush, which is the least an archive owes;
and blinkpy's `download_videos(delay=0)`, which does not hash, flush or record.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import peers
from benchmarks.bench import Bench
from benchmarks.cloud import cloud
from benchmarks.measure import MB, CannotRun, ratio, take_turns
from benchmarks.ours import blinkarchive
from benchmarks.report import Row, Told


def measure(bench: Bench) -> Iterator[Row | Told]:
    with cloud(bench.scratch, clips=500, size=MB) as near:
        rivals = {"us": blinkarchive(near), "curl": peers.curl(near), "hashed": peers.curl_hashed(near)}
        try:
            rivals["blinkpy"] = peers.blinkpy(near)
        except CannotRun as reason:
            yield Told(road="P3", what=f"not raced: {reason}")
        rounds = take_turns(list(rivals.values()), bench.rounds(5), bench.scratch)
    ours = rivals["us"].name
    for road, other, what, target in (
        ("P2", "hashed", "we / curl with 16, openssl dgst -sha256, sync", 0.9),
        ("P2", "curl", "we / curl with 16, bare", None),
        ("P3", "blinkpy", "we / blinkpy download_videos(delay=0)", 0.6),
    ):
        if other in rivals:
            theirs = rivals[other].name
            yield Row(
                road=road,
                what=f"500 x 1 MB, loopback: {what}",
                figure=ratio(rounds, ours, theirs),
                target=target,
                detail=bench.detail(rounds, ours, theirs),
            )
