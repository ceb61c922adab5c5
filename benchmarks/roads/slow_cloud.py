"""P1: a cloud as far away as a real one, 50 ms to the first byte and 2 MB/s a connection: 500 clips of 1 MB, archived in full.

What binds is connections x rate, so the question is whether we keep every connection busy. The rival is curl, bare: it lists
nothing, hashes nothing, flushes nothing. blinkpy, which fetches one clip at a time, is raced over a tenth of the clips.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import peers
from benchmarks.bench import Bench
from benchmarks.cloud import cloud
from benchmarks.measure import MB, CannotRun, take_turns
from benchmarks.ours import blinkarchive
from benchmarks.report import Row, Told

DELAY = 0.05
RATE = 2.0 * MB
WHY = (
    "Python's start and the index take 0.45 s before the first clip is asked for. After it 16 connections are all that binds: "
    "their clips take 0.55 s each, 50 of them four turns or 2.2 s."
)


def measure(bench: Bench) -> Iterator[Row | Told]:
    with cloud(bench.scratch, clips=500, size=MB, delay=DELAY, rate=RATE) as far:
        rivals = [blinkarchive(far, at_once=16), blinkarchive(far, at_once=32), peers.curl(far)]
        rounds = take_turns(rivals, bench.pairs, bench.scratch)
    for at_once, target in ((16, 1.05), (32, 0.6)):
        what = f"500 x 1 MB, 50 ms, 2 MB/s: we with {at_once} connections / curl with 16, bare"
        yield Row.of_race(rounds, f"blinkarchive {at_once}", "curl 16", road="P1", what=what, target=target, why=WHY)


def measure_short(bench: Bench) -> Iterator[Row | Told]:
    with cloud(bench.scratch, clips=50, size=MB, delay=DELAY, rate=RATE) as far:
        try:
            rounds = take_turns([blinkarchive(far), peers.blinkpy(far)], bench.pairs, bench.scratch)
        except CannotRun as reason:
            yield Told(road="P3", what=f"not raced on the slow cloud: {reason}")
            return
    what = "50 x 1 MB, 50 ms, 2 MB/s: we / blinkpy download_videos(delay=0)"
    yield Row.of_race(rounds, "blinkarchive 16", "blinkpy, delay 0", road="P3", what=what, target=0.1, why=WHY)
