"""What was measured, as one table for people and one file for the repository."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.measure import Ran, Rounds, Spread, ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure of one road."""

    road: str
    what: str
    figure: Spread
    #: "x" for a ratio, else the unit.
    unit: str = "x"
    #: The median should be no greater than this; None where the figure is only told.
    target: float | None = None
    #: How often it was measured: of a ratio, how many interleaved pairs.
    pairs: int
    #: Medians: how long it took, and how much memory the largest process had; for a race, of both sides.
    took: str = ""
    memory: str = ""
    #: What a profile says about a target that is missed. It is shown only then.
    why: str = ""

    @classmethod
    def of_race(
        cls, rounds: Rounds, one: str, other: str, *, road: str, what: str, target: float | None = None, why: str = ""
    ) -> Row:
        """How long `one` took, as a multiple of what `other` took."""
        sides = (rounds[one], rounds[other])
        return cls(
            road=road,
            what=what,
            figure=ratio(rounds, one, other),
            target=target,
            pairs=len(rounds[one]),
            took=" / ".join(f"{_median(rans, 'wall'):.2f}" for rans in sides) + " s",
            memory=" / ".join(f"{_median(rans, 'rss'):.0f}" for rans in sides) + " MB",
            why=why,
        )

    @property
    def met(self) -> bool | None:
        """Whether the target was reached; None where there is none."""
        return None if self.target is None else self.figure.median <= self.target

    @property
    def missed_by(self) -> str:
        """By how much the target was missed."""
        assert self.target is not None
        figure = f"{_number(self.figure.median)} {self.unit}".rstrip()
        return f"{self.what}: {figure}, {self.figure.median / self.target - 1:.0%} above the target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something the reader of a road's figures must know: what was not run, and why; or how it was run."""

    road: str
    what: str


def table(rows: Sequence[Row]) -> str:
    """The figures as a Markdown table that also reads well in a terminal."""
    head = ("road", "what", "least / median / greatest", "target", "met", "pairs", "took", "peak memory")
    body = [(row.road, row.what, _figure(row), _target(row), _met(row), str(row.pairs), row.took, row.memory) for row in rows]
    widths = [max(len(line[column]) for line in [head, *body]) for column in range(len(head))]
    lines = [head, tuple("-" * width for width in widths), *body]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def page(rows: Sequence[Row], told: Sequence[Told], machine: Sequence[str]) -> str:
    """The whole of `RESULTS.md`."""
    parts = [
        "# Results of `make bench`",
        "Ratios are of the same round, both sides one right after the other, whoever is first changing in turns; seconds of a\n"
        "shared machine are worth little by themselves. What each road is, and how it is measured, stands at the top of its\n"
        "module in `benchmarks/roads/`.",
        "\n".join(f"- {line}" for line in machine),
        table(rows),
    ]
    missed = [row for row in rows if row.met is False]
    if missed:
        parts.append("## Missed, and why")
    for why in dict.fromkeys(row.why for row in missed):
        lines = [f"- **{row.road}**, {row.missed_by}" for row in missed if row.why == why]
        parts.append("\n".join([*lines, *(textwrap.wrap(why, 120, initial_indent="  ", subsequent_indent="  "))]))
    if told:
        parts += ["## Said aloud", "\n".join(f"- **{one.road}**: {one.what}" for one in told)]
    return "\n\n".join(parts) + "\n"


def _median(rans: Sequence[Ran], what: str) -> float:
    return Spread.of([getattr(ran, what) for ran in rans]).median


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 20 else f"{value:.2f}"


def _figure(row: Row) -> str:
    figures = [row.figure.least, row.figure.median, row.figure.greatest]
    return f"{' / '.join(_number(value) for value in figures)} {row.unit}".rstrip()


def _target(row: Row) -> str:
    return "" if row.target is None else f"≤ {_number(row.target)} {row.unit}".rstrip()


def _met(row: Row) -> str:
    return {None: "", True: "yes", False: "NO"}[row.met]
