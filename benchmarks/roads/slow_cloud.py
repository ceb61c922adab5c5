"""P1: a cloud as far away as a real one, 50 ms to the first byte and 2 MB/s a connection: 500 clips of 1 MB, archived in full.

What binds is connections x rate, so the question is whether we keep every connection busy. The rival is curl, bare: it lists
nothing, hashes nothing, flushes nothing. blinkpy, which fetches one clip at a time, is raced over a tenth of the clips.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import peers
from benchmarks.bench import Bench
from benchmarks.cloud import cloud
from benchmarks.measure import MB, CannotRun, ratio, take_turns
from benchmarks.ours import blinkarchive
from benchmarks.report import Row, Told

DELAY = 0.05
RATE = 2.0 * MB


def measure(bench: Bench) -> Iterator[Row | Told]:
    with cloud(bench.scratch, clips=500, size=MB, delay=DELAY, rate=RATE) as far:
        rivals = [blinkarchive(far, at_once=16), blinkarchive(far, at_once=32), peers.curl(far)]
        rounds = take_turns(rivals, bench.rounds(3), bench.scratch)
        for at_once, target in ((16, 1.05), (32, 0.6)):
            ours = f"blinkarchive {at_once}"
            yield Row(
                road="P1",
                what=f"500 x 1 MB, 50 ms, 2 MB/s: we with {at_once} connections / curl with 16, bare",
                figure=ratio(rounds, ours, "curl 16"),
                target=target,
                detail=bench.detail(rounds, ours, "curl 16"),
            )
    with cloud(bench.scratch, clips=50, size=MB, delay=DELAY, rate=RATE) as far:
        try:
            rounds = take_turns([blinkarchive(far), peers.blinkpy(far)], bench.rounds(2), bench.scratch)
        except CannotRun as reason:
            yield Told(road="P3", what=f"not raced on the slow cloud: {reason}")
            return
        yield Row(
            road="P3",
            what="50 x 1 MB, 50 ms, 2 MB/s: we / blinkpy download_videos(delay=0)",
            figure=ratio(rounds, "blinkarchive 16", "blinkpy, delay 0"),
            target=0.1,
            detail=bench.detail(rounds, "blinkarchive 16", "blinkpy, delay 0"),
        )
