"""P4: the memory of a whole run, against the number of clips and their size. It should depend on neither.

Worlds that are compared are served side by side and archived in turns, so that growth is a ratio of the same round.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from operator import attrgetter

from benchmarks.bench import Bench
from benchmarks.cloud import cloud
from benchmarks.measure import MB, Spread, ratio, take_turns
from benchmarks.ours import blinkarchive
from benchmarks.report import Row

LEAST = 80.0
"""What a whole run may have, in MB."""
MORE = 1.1
"""The larger of two worlds may have a tenth more than the smaller."""
WHY = (
    "Python with what a run imports is 55 MB, of which SQLAlchemy 15 and aiohttp 10; the rest is the page in hand, 256 KiB for "
    "each of 16 connections, and the threads that write and read back. Nothing is kept of a clip, but some 100 bytes an id."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """So many clips of so many bytes."""

    name: str
    clips: int
    size: int


RACES: Mapping[World, tuple[World, ...]] = {
    World(name="500 x 1 MB", clips=500, size=MB): (
        World(name="25 x 1 MB", clips=25, size=MB),
        World(name="4,000 x 1 MB", clips=4_000, size=MB),
    ),
    World(name="500 x 100 kB", clips=500, size=MB // 10): (
        World(name="100 x 10 MB", clips=100, size=10 * MB),
        World(name="40,000 x 100 kB", clips=40_000, size=MB // 10),
    ),
}
"""The smaller world, and those that are archived in turns with it."""


def measure(bench: Bench) -> Iterator[Row]:
    for base, others in RACES.items():
        with ExitStack() as stack:
            rivals = [
                blinkarchive(stack.enter_context(cloud(bench.scratch, clips=world.clips, size=world.size)), named=world.name)
                for world in (base, *others)
            ]
            rounds = take_turns(rivals, bench.pairs, bench.scratch)
        for world in (base, *others):
            rans = rounds[world.name]
            peak = Spread.of([ran.rss for ran in rans])
            yield Row(
                road="P4",
                what=f"peak memory, {world.name}",
                figure=peak,
                unit="MB",
                target=LEAST,
                pairs=len(rans),
                took=f"{Spread.of([ran.wall for ran in rans]).median:.1f} s",
                why=WHY,
            )
        for world in others:
            if world.clips * world.size > base.clips * base.size:
                yield Row(
                    road="P4",
                    what=f"peak memory, {world.name} / {base.name}",
                    figure=ratio(rounds, world.name, base.name, of=attrgetter("rss")),
                    target=MORE,
                    pairs=bench.pairs,
                    why=WHY,
                )
