"""What was measured, as one table for people and one file for the repository."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.measure import Spread


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
    #: Seconds, memory, rounds: in words.
    detail: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target was reached; None where there is none."""
        return None if self.target is None else self.figure.median <= self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something the reader of a road's figures must know: what was not run, and why; or how it was run."""

    road: str
    what: str


def table(rows: Sequence[Row]) -> str:
    """The figures as a Markdown table that also reads well in a terminal."""
    head = ("road", "what", "least / median / greatest", "target", "met", "detail")
    body = [(row.road, row.what, _figure(row), _target(row), _met(row), row.detail) for row in rows]
    widths = [max(len(line[column]) for line in [head, *body]) for column in range(len(head))]
    lines = [head, tuple("-" * width for width in widths), *body]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def page(rows: Sequence[Row], told: Sequence[Told], machine: Sequence[str]) -> str:
    """The whole of `RESULTS.md`."""
    parts = [
        "# Results of `make bench`",
        "Ratios are of the same round; seconds of a shared machine are worth little by themselves. What each road is, and how\n"
        "it is measured, stands at the top of its module in `benchmarks/roads/`.",
        "\n".join(f"- {line}" for line in machine),
        table(rows),
    ]
    if told:
        parts += ["## Said aloud", "\n".join(f"- **{one.road}**: {one.what}" for one in told)]
    return "\n\n".join(parts) + "\n"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 20 else f"{value:.2f}"


def _figure(row: Row) -> str:
    figures = [row.figure.least, row.figure.median, row.figure.greatest]
    return f"{' / '.join(_number(value) for value in figures)} {row.unit}"


def _target(row: Row) -> str:
    return "" if row.target is None else f"≤ {_number(row.target)} {row.unit}"


def _met(row: Row) -> str:
    return {None: "", True: "yes", False: "NO"}[row.met]
