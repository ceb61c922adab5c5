"""Which alarms are told, and when: a table of moments in virtual time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blinkarchive import Alarm, AlarmChange
from blinkarchive.daemon.alarms import Alarms

START = datetime(2026, 3, 1, 8, 34, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

NAS = {"sink nas": "its marker is missing"}
HOME = {"account home": "needs a person to sign in"}
ONE = {"where": "sink nas", "what": "w", "change": "raised", "since": START.isoformat(), "at": START.isoformat()}
ODD: list[dict[str, object]] = [
    {"where": 3},
    {"where": ["a"]},
    {"what": None},
    {"change": "lost"},
    {"change": []},
    {"since": "yesterday"},
    {"since": 17},
    {"at": "2026-03-01T08:34:00"},
    {"at": "0001-01-01T00:00:00+10:00"},
    {"at": "9999-12-31T23:00:00-10:00"},
]


def told(alarms: Alarms, findings: Mapping[str, str], after: timedelta = timedelta(), every: timedelta = DAY) -> list[str]:
    """What is told when these are the findings so long after the start: `sink nas: raised`."""
    return [f"{alarm.where}: {alarm.change}" for alarm in alarms.update(findings, now=START + after, remind_every=every)]


def test_what_is_new_is_raised_once() -> None:
    alarms = Alarms()
    assert alarms.update(NAS, now=START, remind_every=DAY) == [
        Alarm(where="sink nas", what="its marker is missing", change=AlarmChange.RAISED, since=START, at=START)
    ]
    for minutes in range(5, 24 * 60, 5):
        assert told(alarms, NAS, timedelta(minutes=minutes)) == []
    assert [alarm.where for alarm in alarms.standing] == ["sink nas"]


def test_nothing_wrong_is_nothing_told() -> None:
    alarms = Alarms()
    assert told(alarms, {}) == []
    assert alarms.standing == ()


def test_what_lasts_is_told_once_a_day_with_its_beginning() -> None:
    alarms = Alarms()
    told(alarms, NAS)
    heard = [(hour, line) for hour in range(1, 100) for line in told(alarms, NAS, hour * HOUR)]
    assert heard == [(hour, "sink nas: still there") for hour in (24, 48, 72, 96)]
    (alarm,) = alarms.standing
    assert (alarm.since, alarm.at) == (START, START + 4 * DAY)


def test_the_owner_says_how_often_what_lasts_is_told() -> None:
    alarms = Alarms()
    told(alarms, NAS)
    assert told(alarms, NAS, HOUR - timedelta(seconds=1), every=HOUR) == []
    assert told(alarms, NAS, HOUR, every=HOUR) == ["sink nas: still there"]


def test_a_changed_text_is_no_news_but_is_the_one_that_is_shown() -> None:
    alarms = Alarms()
    told(alarms, NAS)
    assert told(alarms, {"sink nas": "no room"}, HOUR) == []
    assert [alarm.what for alarm in alarms.standing] == ["no room"]
    (reminder,) = alarms.update({"sink nas": "no room at all"}, now=START + DAY, remind_every=DAY)
    assert (reminder.what, reminder.since) == ("no room at all", START)


def test_what_is_missing_twice_in_a_row_is_over_and_says_what_it_was_and_since_when() -> None:
    alarms = Alarms()
    told(alarms, NAS)
    told(alarms, {"sink nas": "no room"}, HOUR)
    assert told(alarms, {}, 2 * HOUR) == []
    assert alarms.update({}, now=START + 3 * HOUR, remind_every=DAY) == [
        Alarm(where="sink nas", what="no room", change=AlarmChange.CLEARED, since=START, at=START + 3 * HOUR)
    ]
    assert alarms.standing == ()
    assert told(alarms, {}, 4 * HOUR) == []


def test_what_comes_back_after_it_was_over_is_new() -> None:
    alarms = Alarms()
    for hour, findings in enumerate((NAS, {}, {})):
        told(alarms, findings, hour * HOUR)
    (again,) = alarms.update(NAS, now=START + 3 * HOUR, remind_every=DAY)
    assert (again.change, again.since) == (AlarmChange.RAISED, START + 3 * HOUR)


def test_what_comes_and_goes_with_every_look_is_one_alarm() -> None:
    alarms = Alarms()
    heard = [line for look in range(200) for line in told(alarms, NAS if look % 2 == 0 else {}, look * timedelta(minutes=5))]
    assert heard == ["sink nas: raised"]


def test_one_alarm_says_nothing_of_another() -> None:
    alarms = Alarms()
    assert told(alarms, NAS) == ["sink nas: raised"]
    assert told(alarms, NAS | HOME, HOUR) == ["account home: raised"]
    assert told(alarms, HOME, 2 * HOUR) == []
    assert told(alarms, HOME, 3 * HOUR) == ["sink nas: over"]
    assert told(alarms, HOME, DAY) == []
    assert told(alarms, HOME, DAY + HOUR) == ["account home: still there"]


class TestClock:
    def test_a_clock_that_went_back_brings_no_storm_and_no_silence(self) -> None:
        alarms = Alarms()
        told(alarms, NAS)
        back = [(hour, line) for hour in range(100) for line in told(alarms, NAS, hour * HOUR - 365 * DAY)]
        assert back == [(hour, "sink nas: still there") for hour in (24, 48, 72, 96)]

    def test_what_was_found_in_the_future_is_said_to_have_begun_by_now(self) -> None:
        alarms = Alarms()
        told(alarms, NAS)
        told(alarms, NAS, -DAY)
        assert alarms.standing[0].since == START - DAY
        told(alarms, {}, -2 * DAY)
        (over,) = alarms.update({}, now=START - 2 * DAY, remind_every=DAY)
        assert over.since == START - 2 * DAY

    def test_a_clock_that_went_forward_is_one_reminder(self) -> None:
        alarms = Alarms()
        told(alarms, NAS)
        assert [told(alarms, NAS, 365 * DAY + minute * timedelta(minutes=1)) for minute in range(60)].count([]) == 59

    @given(jumps=st.lists(st.timedeltas(min_value=timedelta(days=-400), max_value=timedelta(days=400)), max_size=30))
    def test_whatever_the_clock_did_a_day_later_there_is_a_word(self, jumps: list[timedelta]) -> None:
        alarms = Alarms()
        told(alarms, NAS)
        for jump in jumps:
            told(alarms, NAS, jump)
        last = jumps[-1] if jumps else timedelta()
        assert told(alarms, NAS, last + DAY) == ["sink nas: still there"]
        assert told(alarms, NAS, last + DAY + HOUR) == []


class TestRestart:
    def restarted(self, alarms: Alarms) -> Alarms:
        return Alarms.from_record(json.loads(json.dumps(alarms.as_record())))

    def test_a_restart_repeats_nothing_and_forgets_nothing(self) -> None:
        alarms = Alarms()
        told(alarms, NAS | HOME)
        again = self.restarted(alarms)
        assert again.standing == alarms.standing
        assert told(again, NAS | HOME, HOUR) == []
        assert told(again, NAS | HOME, DAY) == ["sink nas: still there", "account home: still there"]

    def test_what_was_missing_once_before_a_restart_is_over_when_it_is_missing_after_it(self) -> None:
        alarms = Alarms()
        told(alarms, NAS)
        told(alarms, {}, HOUR)
        assert told(self.restarted(alarms), {}, 2 * HOUR) == ["sink nas: over"]

    def test_a_restart_at_every_step_changes_nothing(self) -> None:
        steps = [NAS, NAS | HOME, HOME, NAS, {}, {}, HOME, {}, HOME, {}, {}]
        straight, interrupted = Alarms(), Alarms()
        for number, findings in enumerate(steps):
            after = number * 13 * HOUR
            interrupted = self.restarted(interrupted)
            assert told(straight, findings, after) == told(interrupted, findings, after)

    def test_a_record_as_it_should_be_is_taken(self) -> None:
        assert [alarm.where for alarm in Alarms.from_record({"standing": [ONE], "absent": []}).standing] == ["sink nas"]

    @pytest.mark.parametrize(
        "record",
        [
            None,
            3,
            "standing",
            [],
            {},
            {"standing": 3, "absent": []},
            {"standing": [3], "absent": []},
            {"standing": ["where"], "absent": []},
            {"standing": [{}], "absent": []},
            {"standing": []},
            {"standing": [], "absent": 3},
            *({"standing": [{**ONE, **odd}], "absent": []} for odd in ODD),
        ],
        ids=repr,
    )
    def test_a_record_that_makes_no_sense_is_a_fresh_start(self, record: Any) -> None:
        alarms = Alarms.from_record(record)
        assert alarms.standing == ()
        assert told(alarms, NAS) == ["sink nas: raised"]


def test_an_alarm_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        Alarm(where="a", what="b", change=AlarmChange.RAISED, since=START, at=START.replace(tzinfo=None))
