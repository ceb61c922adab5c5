"""The page of the benchmarks, when only some roads are run anew."""

from __future__ import annotations

from benchmarks.measure import Spread
from benchmarks.report import Kept, Row, Told, page

MACHINE = ["2026-11-25, Linux, 2 cores", "The cloud is a simulator\n  in a process of its own"]


def row(road: str, median: float) -> Row:
    figure = Spread(least=0.5, median=median, greatest=9.0)
    return Row(road=road, what=f"we / they on {road}", figure=figure, target=1.0, pairs=5, why=f"The processor binds on {road}.")


BEFORE = page(
    [row("P2", 1.5), row("P9", 1.2), row("P10", 1.1)],
    [Told(road="P2/P9", what="not raced against curl: it is not here"), Told(road="P9", what="aloud")],
    MACHINE,
)


def test_the_roads_that_are_not_run_anew_stand_as_they_stood() -> None:
    after = page([row("P9", 1.4)], [], ["P9: 2026-11-26"], Kept.of(BEFORE, ["P9"]))
    gone = set(BEFORE.splitlines()) - set(after.splitlines())
    assert gone
    assert all("P9" in line for line in gone)
    assert after.index("| P2 ") < after.index("| P9 ") < after.index("| P10 ")
    assert "1.40" in after
    assert "1.20" not in after


def test_a_road_that_meets_its_target_now_is_not_said_to_miss_it_any_more() -> None:
    after = page([row("P9", 0.9)], [], ["P9: 2026-11-26"], Kept.of(BEFORE, ["P9"]))
    assert "binds on P9" not in after
    assert "binds on P2" in after
    assert "binds on P10" in after


def test_a_second_renewal_leaves_nothing_of_the_first() -> None:
    once = page([row("P9", 1.4)], [], ["P9: 2026-11-26"], Kept.of(BEFORE, ["P9"]))
    twice = page([row("P9", 1.3)], [], ["P9: 2026-11-27"], Kept.of(once, ["P9"]))
    assert twice == once.replace("1.40", "1.30").replace("40%", "30%").replace("11-26", "11-27")


def test_nothing_run_anew_changes_nothing() -> None:
    assert page([], [], [], Kept.of(BEFORE, [])) == BEFORE
