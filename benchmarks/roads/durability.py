"""P5: what it costs that every clip is on the disk before it counts, on this disk and on one whose flush takes 5 ms more.

A small library, laid over the C library by LD_PRELOAD, leaves flushes out or lets each wait. Flushes of different threads may
wait side by side, as on a disk with a queue.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.cloud import cloud
from benchmarks.measure import MB, CannotRun, take_turns
from benchmarks.ours import blinkarchive
from benchmarks.report import Row

SOURCE = Path(__file__).parent.parent / "slowsync.c"
FLUSHED, NOT_FLUSHED, SLOW = "flushed", "not flushed", "flushes of 5 ms more"


def measure(bench: Bench) -> Iterator[Row]:
    library = _compiled(bench.scratch)
    with cloud(bench.scratch, clips=500, size=MB) as near:
        rivals = [
            blinkarchive(near, named=FLUSHED),
            blinkarchive(near, named=NOT_FLUSHED, env={"LD_PRELOAD": library, "NOSYNC": "1"}),
            blinkarchive(near, named=SLOW, env={"LD_PRELOAD": library, "SLOWSYNC_US": "5000"}),
        ]
        rounds = take_turns(rivals, bench.pairs, bench.scratch)
    for one, other, target in ((FLUSHED, NOT_FLUSHED, 1.3), (SLOW, FLUSHED, 2.0)):
        yield Row.of_race(rounds, one, other, road="P5", what=f"500 x 1 MB, loopback: {one} / {other}", target=target)


def _compiled(scratch: Path) -> str:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise CannotRun("there is no C compiler to make the slow disk with")
    library = scratch / "slowsync.so"
    done = subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise CannotRun(f"the slow disk could not be compiled: {done.stderr[-300:]}")
    return str(library)
