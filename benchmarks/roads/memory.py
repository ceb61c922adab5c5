"""P4: the memory of a whole run, against the number of clips and their size. It should depend on neither."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.cloud import cloud
from benchmarks.measure import MB, Spread, take_turns
from benchmarks.ours import blinkarchive
from benchmarks.report import Row

WORLDS = {
    "25 x 1 MB": (25, MB),
    "500 x 1 MB": (500, MB),
    "4,000 x 1 MB": (4_000, MB),
    "500 x 100 kB": (500, MB // 10),
    "40,000 x 100 kB": (40_000, MB // 10),
    "100 x 10 MB": (100, 10 * MB),
}
LEAST = 80.0
"""What a whole run may have, in MB."""

GROWTH = {("40,000 x 100 kB", "500 x 100 kB"), ("4,000 x 1 MB", "500 x 1 MB"), ("100 x 10 MB", "500 x 100 kB")}
"""The larger may have a tenth more than the smaller."""


def measure(bench: Bench) -> Iterator[Row]:
    peaks: dict[str, Spread] = {}
    for name, (clips, size) in WORLDS.items():
        with cloud(bench.scratch, clips=clips, size=size) as near:
            rounds = take_turns([blinkarchive(near)], bench.rounds(1 if clips > 4_000 else 3), bench.scratch)
        ran = rounds["blinkarchive 16"]
        peaks[name] = Spread.of([one.rss for one in ran])
        yield Row(
            road="P4",
            what=f"peak memory, {name}",
            figure=peaks[name],
            unit="MB",
            target=LEAST,
            detail=f"{len(ran)} rounds; {Spread.of([one.wall for one in ran]).median:.1f} s",
        )
    for larger, smaller in sorted(GROWTH):
        growth = peaks[larger].median / peaks[smaller].median
        yield Row(road="P4", what=f"peak memory, {larger} / {smaller}", figure=Spread.of([growth]), target=1.1)
