"""When a source is due: at equal distances, or by cron as cron means it, on every day of the year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blinkarchive.ticks import Cron, Every, Ticks

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def row(ticks: Ticks, start: datetime, number: int) -> list[datetime]:
    found = [ticks.after(start)]
    while len(found) < number:
        found.append(ticks.after(found[-1]))
    return found


def local(ticks: Ticks, start: datetime, number: int) -> list[str]:
    return [f"{tick.astimezone(BERLIN):%a %d %H:%M%z}" for tick in row(ticks, start, number)]


def test_every_five_minutes_is_every_five_minutes() -> None:
    ticks = Every(timedelta(minutes=5), start=START)
    assert row(ticks, START, 3) == [START + timedelta(minutes=5 * n) for n in (1, 2, 3)]
    assert ticks.after(START + timedelta(days=400, seconds=1)) == START + timedelta(days=400, minutes=5)


def test_ticks_that_were_slept_through_come_once() -> None:
    ticks = Every(timedelta(minutes=5), start=START)
    woken = START + timedelta(days=3, minutes=7)
    assert ticks.after(woken) == START + timedelta(days=3, minutes=10)


@given(st.integers(30, 100_000), st.integers(0, 10**9))
def test_the_next_tick_is_later_and_no_further_than_one_distance(every: int, passed: int) -> None:
    moment = START + timedelta(seconds=passed)
    tick = Every(timedelta(seconds=every), start=START).after(moment)
    assert moment < tick <= moment + timedelta(seconds=every)


def test_jitter_makes_it_later_and_never_earlier() -> None:
    for ticks in (
        Every(timedelta(minutes=5), start=START, jitter=timedelta(seconds=20)),
        Cron("*/5 * * * *", zone=UTC, jitter=timedelta(seconds=20)),
    ):
        late = [(ticks.after(START) - START - timedelta(minutes=5)).total_seconds() for _ in range(50)]
        assert 0 <= min(late) < max(late) <= 20


def test_the_tick_after_a_late_one_is_not_the_same_one_again() -> None:
    ticks = Cron("*/5 * * * *", zone=UTC, jitter=timedelta(seconds=20))
    found = row(ticks, START, 20)
    assert [round((tick - START) / timedelta(minutes=5)) for tick in found] == list(range(1, 21))


def test_half_past_two_comes_once_on_the_day_that_has_it_twice() -> None:
    assert local(Cron("30 2 * * *", zone=BERLIN), datetime(2026, 10, 24, 12, tzinfo=UTC), 3) == [
        "Sun 25 02:30+0200",
        "Mon 26 02:30+0100",
        "Tue 27 02:30+0100",
    ]


def test_half_past_two_comes_an_hour_later_on_the_day_that_skips_it() -> None:
    assert local(Cron("30 2 * * *", zone=BERLIN), datetime(2026, 3, 28, 12, tzinfo=UTC), 3) == [
        "Sun 29 03:30+0200",
        "Mon 30 02:30+0200",
        "Tue 31 02:30+0200",
    ]


@pytest.mark.parametrize("day", [datetime(2026, 3, 28, 20, 1, tzinfo=UTC), datetime(2026, 10, 24, 20, 1, tzinfo=UTC)])
def test_every_half_hour_goes_on_through_both_changes_of_the_clock(day: datetime) -> None:
    found = row(Cron("*/30 * * * *", zone=BERLIN), day, 20)
    assert {later - tick for tick, later in pairwise(found)} == {timedelta(minutes=30)}


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("0", "Sun"),
        ("7", "Sun"),
        ("1", "Mon"),
        ("1-5", "Mon Tue Wed Thu Fri"),
        ("6-7", "Sat Sun"),
        ("fri-sun", "Fri Sat Sun"),
        ("*/2", "Sun Tue Thu Sat"),
        ("0,3", "Sun Wed"),
        ("MON", "Mon"),
        ("*", "Mon Tue Wed Thu Fri Sat Sun"),
    ],
)
def test_days_of_the_week_are_those_of_cron(field: str, days: str) -> None:
    found = row(Cron(f"0 12 * * {field}", zone=UTC), datetime(2026, 6, 1, tzinfo=UTC), 7)
    assert {f"{tick:%a}" for tick in found} == set(days.split())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("* * * *", "five fields"),
        ("61 * * * *", "no cron"),
        ("* 25 * * *", "no cron"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 1 * mon", "one of them must be"),
        ("0 0 * * 8", "no day of the week"),
        ("0 0 * * x", "no day of the week"),
        ("a b c d e", "one of them must be"),
        ("x * * * *", "no cron"),
    ],
)
def test_what_is_no_cron_is_refused_in_words(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Cron(text)


def test_the_29th_of_february_comes() -> None:
    assert Cron("0 0 29 2 *", zone=UTC).after(START) == datetime(2028, 2, 29, tzinfo=UTC)
