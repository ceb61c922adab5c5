"""What all roads are given: how many rounds, a folder to work in, and how to put a race in words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Rounds, Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One call of `make bench`."""

    #: On the disk that is measured.
    scratch: Path
    #: The rounds somebody asked for; None for each road's own number.
    pairs: int | None = None
    #: How many clips a large archive has.
    most_rows: int = 1_000_000

    def rounds(self, usual: int) -> int:
        """How many rounds a road runs."""
        return self.pairs or usual

    def detail(self, rounds: Rounds, one: str, other: str) -> str:
        """Median seconds and memory of two rivals, and the number of rounds."""
        sides = []
        for name in (one, other):
            wall, rss = (Spread.of([getattr(ran, what) for ran in rounds[name]]).median for what in ("wall", "rss"))
            sides.append(f"{wall:.2f} s {rss:.0f} MB")
        return f"{len(rounds[one])} rounds; {' / '.join(sides)}"
