"""The time zone of the machine, in every form in which it may be set."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blinkarchive import zone
from blinkarchive.ticks import Cron
from blinkarchive.zone import local_zone, parse_zone

BERLIN_BY_RULE = "CET-1CEST,M3.5.0,M10.5.0/3"
FORMS = [
    "UTC-3",
    "GMT+5",
    BERLIN_BY_RULE,
    "EST5EDT",
    "AEST-10AEDT,M10.1.0,M4.1.0/3",
    "<+0330>-3:30",
    "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1",
    "IST-1GMT0,M10.5.0,M3.5.0/1",
    "Europe/Berlin",
    ":America/New_York",
    "/usr/share/zoneinfo/Asia/Kolkata",
    "",
]


@pytest.fixture
def set_to(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The machine in another zone; the C library, with which the results are compared, too."""
    with monkeypatch.context() as environment:
        yield environment
    time.tzset()


@pytest.mark.parametrize("setting", FORMS)
def test_every_form_of_tz_means_what_it_means_to_the_c_library(set_to: pytest.MonkeyPatch, setting: str) -> None:
    if setting.startswith("/") and not Path(setting).exists():
        pytest.skip("no time zone files on this machine")
    set_to.setenv("TZ", setting)
    time.tzset()
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for half_hours in range(365 * 48):
        moment = start + timedelta(minutes=30 * half_hours)
        here = moment.astimezone(local_zone())
        assert here.utcoffset() == moment.astimezone().utcoffset()
        assert here.astimezone(UTC) == moment
    assert zone.problem() == ""


@pytest.mark.parametrize("setting", FORMS)
def test_cron_ticks_at_its_local_time_in_every_form_of_zone(setting: str) -> None:
    if setting.startswith("/") and not Path(setting).exists():
        pytest.skip("no time zone files on this machine")
    here = parse_zone(setting)
    ticks, moment = Cron("30 4 * * *", zone=here), datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(365):
        moment = ticks.after(moment)
        assert f"{moment.astimezone(here):%H:%M}" == "04:30"


def test_rules_skip_and_repeat_hours_as_the_named_zone_does() -> None:
    """Half past two does not exist on 29 March 2026 in Berlin, and exists twice on 25 October."""
    for name in ("Europe/Berlin", BERLIN_BY_RULE):
        ticks, moment = Cron("30 2 * * *", zone=parse_zone(name)), datetime(2026, 3, 28, 12, tzinfo=UTC)
        assert ticks.after(moment) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
        moment = datetime(2026, 10, 24, 12, tzinfo=UTC)
        first = ticks.after(moment)
        assert (first, ticks.after(first)) == (
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            datetime(2026, 10, 26, 1, 30, tzinfo=UTC),
        )


@pytest.mark.parametrize(
    "setting",
    ["Europe", "Mars/Base", "UTC+", "X", "/etc/passwd", "/nowhere", "/dev/zero", "a" * 5000, "CET-1CEST,M13.5.0,M10.5.0",
     "\udcff", "..", "../x", "UTC-99", "UTC-3,garbage", "foo bar", "local time"],
)  # fmt: skip
def test_a_tz_that_is_not_a_zone_is_reported_once_and_utc_is_used(
    set_to: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, setting: str
) -> None:
    zone._found.cache_clear()
    set_to.setenv("TZ", setting)
    with caplog.at_level(logging.WARNING):
        assert [local_zone(), local_zone()] == [UTC, UTC]
    [record] = caplog.records
    assert "TZ" in record.getMessage()
    assert len(record.getMessage()) < 300
    assert zone.problem().startswith("the environment variable TZ: ")


def test_a_cut_file_is_not_a_zone(tmp_path: Path) -> None:
    """The parser of the standard library reads a file without its last line for ever."""
    whole = zone._file_of("UTC-3")
    for length in range(len(whole)):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(ValueError, match="does not hold a time zone"):
            parse_zone(str(tmp_path / "cut"))


def test_without_tz_it_is_the_zone_of_the_machines_file(set_to: pytest.MonkeyPatch, tmp_path: Path) -> None:
    set_to.delenv("TZ", raising=False)
    set_to.setattr(zone, "LOCALTIME", tmp_path / "localtime")
    zone._found.cache_clear()
    try:
        assert local_zone() is UTC
        folder = tmp_path / "zoneinfo" / "Here"
        folder.mkdir(parents=True)
        (folder / "There").write_bytes(zone._file_of("XST-3"))
        (tmp_path / "localtime").symlink_to(folder / "There")
        zone._found.cache_clear()
        here = local_zone()
        assert datetime(2026, 7, 1, tzinfo=UTC).astimezone(here).utcoffset() == timedelta(hours=3)
        assert getattr(here, "key", None) == "Here/There"
    finally:
        zone._found.cache_clear()
