"""What was measured, as one table for people and one file for the repository."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from benchmarks.measure import Ran, Rounds, Spread, ratio

Measure = Literal["wall", "cpu", "rss"]
"""What is compared of two runs: the figures of `Ran` by their names."""


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
        cls,
        rounds: Rounds,
        one: str,
        other: str,
        *,
        road: str,
        what: str,
        of: Measure = "wall",
        target: float | None = None,
        why: str = "",
    ) -> Row:
        """How long `one` took, as a multiple of what `other` took; or how much processor time, or memory."""
        sides = (rounds[one], rounds[other])
        memory = " / ".join(f"{_median(rans, 'rss'):.0f}" for rans in sides) + " MB"
        took = memory if of == "rss" else " / ".join(f"{_median(rans, of):.2f}" for rans in sides) + " s"
        return cls(
            road=road,
            what=what + {"wall": "", "cpu": ": processor time", "rss": ": peak memory"}[of],
            figure=ratio(rounds, one, other, attrgetter(of)),
            target=target,
            pairs=len(rounds[one]),
            took=took,
            memory=memory if of == "wall" else "",
            why=why,
        )

    @classmethod
    def of_whole_race(
        cls,
        rounds: Rounds,
        one: str,
        other: str,
        *,
        road: str,
        what: str,
        targets: Mapping[Measure, float] | None = None,
        why: str = "",
    ) -> Iterator[Row]:
        """All three figures of a race. `targets` are for those that have one."""
        measures: tuple[Measure, ...] = ("wall", "cpu", "rss")
        for of in measures:
            yield cls.of_race(rounds, one, other, road=road, what=what, of=of, target=(targets or {}).get(of), why=why)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What an earlier page says of roads that are not run anew, as it stands there."""

    #: Lines on the machine, and of the table, cell by cell.
    machine: Sequence[str] = ()
    table: Sequence[Sequence[str]] = ()
    #: Paragraphs on what was missed, and lines of what is said aloud.
    missed: Sequence[str] = ()
    told: Sequence[str] = ()

    @classmethod
    def of(cls, page: str, anew: Collection[str]) -> Kept:
        """All of a page but what it says of the roads that are run anew."""
        head, _, rest = page.partition("\n| road |")
        missed, _, told = rest.partition("\n## Said aloud\n")
        cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in rest.splitlines() if line.startswith("| P")]
        return cls(
            machine=[item.rstrip() for item in re.split("^- ", head, flags=re.MULTILINE)[1:] if _others(item, anew)],
            table=[line for line in cells if line[0] not in anew],
            missed=[kept for block in missed.split("\n\n") if (kept := _without(block, anew)).startswith("- **")],
            told=[line for line in told.splitlines() if line.startswith("- **") and _others(line, anew)],
        )


def table(rows: Sequence[Row], kept: Sequence[Sequence[str]] = ()) -> str:
    """The figures as a Markdown table that also reads well in a terminal."""
    head = ("road", "what", "least / median / greatest", "target", "met", "pairs", "took", "peak memory")
    body = [(row.road, row.what, _figure(row), _target(row), _met(row), str(row.pairs), row.took, row.memory) for row in rows]
    ordered = sorted([*kept, *body], key=lambda line: int(line[0][1:]))
    widths = [max(len(line[column]) for line in [head, *ordered]) for column in range(len(head))]
    lines = [head, tuple("-" * width for width in widths), *ordered]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def page(rows: Sequence[Row], told: Sequence[Told], machine: Sequence[str], kept: Kept | None = None) -> str:
    """The whole of `RESULTS.md`."""
    kept = kept or Kept()
    parts = [
        "# Results of `make bench`",
        "Ratios are of the same round, both sides one right after the other, whoever is first changing in turns; seconds of a\n"
        "shared machine are worth little by themselves. What each road is, and how it is measured, stands at the top of its\n"
        "module in `benchmarks/roads/`.",
        "\n".join(f"- {line}" for line in [*kept.machine, *machine]),
        table(rows, kept.table),
    ]
    missed = [row for row in rows if row.met is False]
    reasons = list(kept.missed)
    for why in dict.fromkeys(row.why for row in missed):
        lines = [f"- **{row.road}**, {row.missed_by}" for row in missed if row.why == why]
        reasons.append("\n".join([*lines, *(textwrap.wrap(why, 120, initial_indent="  ", subsequent_indent="  "))]))
    if reasons:
        parts += ["## Missed, and why", *reasons]
    if aloud := [*kept.told, *(f"- **{one.road}**: {one.what}" for one in told)]:
        parts += ["## Said aloud", "\n".join(aloud)]
    return "\n\n".join(parts) + "\n"


def _without(block: str, anew: Collection[str]) -> str:
    """A paragraph without the lines that stand for these roads."""
    return "\n".join(line for line in block.splitlines() if not line.startswith("- **") or _others(line, anew))


def _others(line: str, anew: Collection[str]) -> bool:
    """Whether a line is of any road but these: what it is of stands at its begin, such as `**P2/P3**:`."""
    roads = re.findall(r"P\d+", re.split("[:,] ", line, maxsplit=1)[0])
    return not roads or not set(roads) <= set(anew)


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
