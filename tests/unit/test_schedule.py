"""When sources are due: after a start, a sleep, a jump of the clock; never twice at once, and never not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from blinkarchive.clock import ManualClock
from blinkarchive.config import Config, ServeConfig, SourceConfig
from blinkarchive.daemon.schedule import Schedule
from blinkarchive.model import SourceName

CLOUD, MODULE = SourceName.CLOUD, SourceName.SYNC_MODULE
START = datetime(2026, 10, 24, 12, 0, tzinfo=UTC)


class Wall(ManualClock):
    """A clock on the wall that somebody may set."""

    def __init__(self) -> None:
        super().__init__(START)

    def set(self, by: timedelta) -> None:
        self._start += by


@pytest.fixture
def clock() -> Wall:
    return Wall()


def source(name: SourceName, every: str | None = None, cron: str | None = None) -> SourceConfig:
    minutes = timedelta(minutes=int(every[:-1])) if every else None
    return SourceConfig(name=name, every=minutes, cron=cron, jitter=timedelta(0))


@pytest.fixture
def schedule(clock: Wall) -> Schedule:
    sources = {CLOUD: source(CLOUD, every="5m"), MODULE: source(MODULE, cron="30 2 * * *")}
    return Schedule(Config(sources=sources, serve=ServeConfig(zone="Europe/Berlin")), clock)


def dues(schedule: Schedule, clock: Wall, *, minutes: int) -> list[tuple[int, SourceName]]:
    """What becomes due minute by minute."""
    found = []
    for minute in range(minutes):
        found += [(minute, name) for name in schedule.due()]
        clock.advance(60)
    return found


def test_all_sources_are_due_at_the_start_and_then_at_their_ticks(schedule: Schedule, clock: Wall) -> None:
    found = dues(schedule, clock, minutes=16)
    assert found == [(0, CLOUD), (0, MODULE), (5, CLOUD), (10, CLOUD), (15, CLOUD)]
    assert schedule.next == {
        CLOUD: START + timedelta(minutes=20),
        MODULE: datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    }


def test_cron_is_meant_in_the_owners_zone_and_comes_once_on_the_long_day(schedule: Schedule, clock: Wall) -> None:
    found = [minute for minute, name in dues(schedule, clock, minutes=3 * 24 * 60) if name is MODULE]
    assert [START + timedelta(minutes=minute) for minute in found] == [
        START,
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        datetime(2026, 10, 26, 1, 30, tzinfo=UTC),
        datetime(2026, 10, 27, 1, 30, tzinfo=UTC),
    ]


def test_ticks_that_were_missed_make_a_source_due_once(schedule: Schedule, clock: Wall) -> None:
    schedule.due()
    clock.advance(3 * 86400 + 7)
    assert schedule.due() == [CLOUD, MODULE]
    assert schedule.due() == []
    assert schedule.next[CLOUD] == clock.now() + timedelta(minutes=5) - timedelta(seconds=7)


@pytest.mark.parametrize("by", [timedelta(days=-1), timedelta(days=-400), timedelta(hours=-1)])
def test_a_clock_that_is_set_back_stops_nothing(schedule: Schedule, clock: Wall, by: timedelta) -> None:
    schedule.due()
    clock.set(by)
    found = dues(schedule, clock, minutes=60 * 25)
    assert [minute for minute, name in found if name is CLOUD] == list(range(5, 60 * 25, 5))
    assert len([minute for minute, name in found if name is MODULE]) in (1, 2)


@pytest.mark.parametrize("by", [timedelta(days=1), timedelta(days=4000), timedelta(hours=1)])
def test_a_clock_that_jumps_ahead_makes_no_storm(schedule: Schedule, clock: Wall, by: timedelta) -> None:
    schedule.due()
    clock.set(by)
    found = [minute for minute, name in dues(schedule, clock, minutes=60) if name is CLOUD]
    assert found == list(range(0, 60, 5)), "what was missed meanwhile is made good once, at once"


def test_a_machine_that_slept_looks_at_once_after_waking(schedule: Schedule, clock: Wall) -> None:
    schedule.due()
    clock.set(timedelta(hours=8))  # asleep: the other clock stood still
    assert CLOUD in schedule.due()


def test_a_clock_that_drifts_is_no_jump(schedule: Schedule, clock: Wall) -> None:
    found = []
    for minute in range(60):
        found += [minute for name in schedule.due() if name is CLOUD]
        clock.advance(60)
        clock.set(timedelta(milliseconds=-50))
    assert len(found) == 12


def test_a_source_can_be_left_alone_for_a_while_and_is_due_right_after(schedule: Schedule, clock: Wall) -> None:
    schedule.due()
    schedule.hold(CLOUD, 1800)
    assert schedule.next[CLOUD] == START + timedelta(minutes=30)
    found = [minute for minute, name in dues(schedule, clock, minutes=41) if name is CLOUD]
    assert found == [30, 35, 40]


def test_what_came_to_nothing_is_due_soon_again(schedule: Schedule, clock: Wall) -> None:
    schedule.due()
    schedule.soon(MODULE, 30)
    assert schedule.next[MODULE] == START + timedelta(seconds=30)
    schedule.soon(CLOUD, 3600)
    assert schedule.next[CLOUD] == START + timedelta(minutes=5), "not later than it was"
