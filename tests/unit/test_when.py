"""Lengths of time and moments, as people write them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blinkarchive.when import format_duration, names_a_zone, parse_duration, parse_when
from blinkarchive.zone import local_zone

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("0", timedelta()),
        ("0s", timedelta()),
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("4w", timedelta(weeks=4)),
    ],
)
def test_a_duration_is_one_number_and_one_unit(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "m",
        "1.5h",
        "-5m",
        "+5m",
        "5 m",
        " 5m",
        "5m ",
        "5M",
        "1y",
        "1h30m",
        "5min",
        "٥m",
        "99999999999w",
        "9" * 5000 + "s",
    ],
)
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no length of time|is too long"):
        parse_duration(text)


@given(st.integers(0, 10**9))
def test_a_formatted_duration_is_read_back_as_itself(seconds: int) -> None:
    assert parse_duration(format_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01", "2026-02-28T23:00:00"),
        ("2026-07-01", "2026-06-30T22:00:00"),
        ("2026-03-01T09:34", "2026-03-01T08:34:00"),
        ("2026-03-01 09:34:56", "2026-03-01T08:34:56"),
        ("2026-03-01T09:34:56.250", "2026-03-01T08:34:56.250"),
        ("2026-03-01T09:34Z", "2026-03-01T09:34:00"),
        ("2026-03-01T09:34:00+05:30", "2026-03-01T04:04:00"),
        ("2026-03-01 09:34 -0800", "2026-03-01T17:34:00"),
        ("2018/07/04 09:34", "2018-07-04T07:34:00"),
        ("2017/09/21", "2017-09-20T22:00:00"),
        ("2024-02-29", "2024-02-28T23:00:00"),
        ("36h", "2026-11-22T00:00:00"),
        ("7d", "2026-11-16T12:00:00"),
        ("4w", "2026-10-26T12:00:00"),
    ],
)
def test_a_moment_is_read_in_the_zone_of_the_machine_unless_it_names_one(text: str, moment: str) -> None:
    assert parse_when(text, NOW, BERLIN) == utc(moment)
    assert parse_when(text, NOW, BERLIN).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "", "0", "7", "yesterday", "1.3.2026", "01/03/2026", "2026-3-1", "2026-13-01", "2026-02-29", "2026-03-01T25:00",
        "2026-03-01T09",        "20260301", "2026-W09-7", "1772323200", "2026-03-01T09:34 CET", "2026-03-01Z", "7D", "-7d",
        "1y", "30m", "90s", "1d12h", " 7d",
        "0001-01-01", "9999-12-31T23:59-12:00", "999999999d", "2026/03/01T09:34", "2026/03-01", "2026-03-01T09:34+25:00",
    ],
)  # fmt: skip
def test_what_could_mean_two_things_or_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no time|beyond all|before all|too long|must be|range") as refused:
        parse_when(text, NOW, BERLIN)
    assert f'"{text}"' in str(refused.value)


def test_a_local_time_that_the_clock_skips_is_refused() -> None:
    with pytest.raises(ValueError, match="skips this time in the zone Europe/Berlin"):
        parse_when("2026-03-29T02:30", NOW, BERLIN)


def test_a_local_time_that_comes_twice_is_refused_with_both_readings() -> None:
    with pytest.raises(ValueError, match=r"twice in the zone Europe/Berlin.*\+0200 or \+0100"):
        parse_when("2026-10-25 02:30", NOW, BERLIN)
    assert parse_when("2026-10-25 02:30 +0100", NOW, BERLIN) == utc("2026-10-25T01:30:00")


def test_a_day_whose_midnight_is_skipped_begins_when_the_clock_goes_on() -> None:
    sao_paulo = ZoneInfo("America/Sao_Paulo")
    assert parse_when("2018-11-04", NOW, sao_paulo) == utc("2018-11-04T03:00:00")  # 23:59:59 -03:00, then 01:00:00 -02:00


def test_a_day_whose_midnight_comes_twice_begins_with_the_first() -> None:
    havana = ZoneInfo("America/Havana")
    assert parse_when("2026-11-01", NOW, havana) == utc("2026-11-01T04:00:00")


def test_days_ago_are_24_hours_each_whatever_the_clock_did_meanwhile() -> None:
    after_the_change = utc("2026-10-26T12:00:00")
    assert parse_when("2d", after_the_change, BERLIN) == utc("2026-10-24T12:00:00")


@pytest.mark.parametrize(
    ("text", "named"), [("7d", True), ("2026-03-01T09:34Z", True), ("2026-03-01T09:34", False), ("2026-03-01", False)]
)
def test_a_text_tells_whether_it_names_its_zone(text: str, named: bool) -> None:
    assert names_a_zone(text) is named


@pytest.fixture(params=["Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3", "UTC", "America/New_York", "Asia/Kolkata"])
def machine_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The machine in another zone."""
    with monkeypatch.context() as environment:
        environment.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


def test_the_zone_of_the_machine_follows_its_rules_both_ways(machine_in: str) -> None:
    known = ZoneInfo({"CET-1CEST,M3.5.0,M10.5.0/3": "Europe/Berlin"}.get(machine_in, machine_in))
    start = utc("2026-01-01T00:00:00")
    for hours in range(0, 365 * 24, 5):
        moment = start + timedelta(hours=hours)
        local = moment.astimezone(local_zone())
        assert local.replace(tzinfo=None) == moment.astimezone(known).replace(tzinfo=None)
        assert local.astimezone(UTC) == moment


def test_the_zone_of_the_machine_skips_and_repeats_like_the_named_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as environment:
        environment.setenv("TZ", "Europe/Berlin")
        time.tzset()
        with pytest.raises(ValueError, match="skips"):
            parse_when("2026-03-29T02:30", NOW, local_zone())
        with pytest.raises(ValueError, match="twice"):
            parse_when("2026-10-25T02:30", NOW, local_zone())
        assert parse_when("2026-10-25T03:30", NOW, local_zone()) == utc("2026-10-25T02:30:00")
    time.tzset()


def test_the_hour_that_comes_twice_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        shown = [datetime(2026, 10, 25, hour, 30, tzinfo=UTC).astimezone(local_zone()).isoformat() for hour in (0, 1)]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert shown == ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"]
