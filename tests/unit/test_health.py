"""Whether all is well: what of a run is trouble, what is too long ago, what the cloud will soon delete."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from blinkarchive.config import AccountConfig, Config, ServeConfig, SinkConfig, SourceConfig
from blinkarchive.daemon.health import NEVER, Oldest, Wrongs, expiring, forgotten, given_up, longest_age, overdue, troubles
from blinkarchive.index.facts import LastGood
from blinkarchive.model import RunReport, SinkName, SourceName, Tally, Trouble

NOW = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)
CLOUD, MODULE, NAS = SourceName.CLOUD, SourceName.SYNC_MODULE, SinkName("nas")


def report(**facts: object) -> RunReport:
    basis: dict[str, object] = {"run": "r", "started_at": NOW, "total": Tally()}
    return RunReport(**(basis | facts))  # type: ignore[arg-type]  # facts of a test


def trouble(where: str, what: str) -> Trouble:
    return Trouble(where=where, what=what)


def config(**sources: SourceConfig) -> Config:
    return Config(
        sources={source.name: source for source in sources.values()},
        accounts={"home": AccountConfig(name="home", username="a")},
        sinks={NAS: SinkConfig(name=NAS, type="disk")},
        serve=ServeConfig(zone="Europe/Berlin"),
    )


EVERY = config(a=SourceConfig(name=CLOUD, every=timedelta(minutes=5)), b=SourceConfig(name=MODULE, every=timedelta(hours=4)))


def well(at: datetime) -> LastGood:
    return LastGood(accounts={"home": at}, sources={CLOUD: at, MODULE: at}, sinks={NAS: at})


class TestTroublesOfARun:
    def test_a_good_run_has_none_and_a_clip_that_was_given_up_long_ago_is_none(self) -> None:
        assert troubles(report(sinks={NAS: Tally(listed=3, stored=2, gave_up=1)})) == {}

    def test_what_was_to_be_deleted_and_was_not_is_told(self) -> None:
        said = (trouble("account home, cloud", "x"), trouble("clip cloud:home:7", "sink nas has lost it"))
        assert troubles(report(deletions_failed=2, troubles=said)) == {"deletions": "2 were not done: sink nas has lost it"}

    def test_a_sign_in_that_is_needed_is_the_accounts(self) -> None:
        said = (trouble("account home", "a code is wanted"), trouble("account home, cloud", "it ended early"))
        found = troubles(report(login_needed=("home",), complete=False, troubles=said))
        assert found == {"account home": "a code is wanted"}

    def test_a_sign_in_that_was_lost_while_listing_too(self) -> None:
        said = (trouble("account home, cloud", "Blink no longer accepts the saved sign-in"),)
        found = troubles(report(login_needed=("home",), complete=False, troubles=said))
        assert found == {"account home": "Blink no longer accepts the saved sign-in"}

    def test_a_source_that_could_not_be_listed_is_told_for_each_account(self) -> None:
        said = (trouble("account home, cloud", "no answer"), trouble("account cabin, cloud", "refused"), trouble("clip x", "cut"))
        assert troubles(report(complete=False, troubles=said)) == {
            "account home, cloud": "no answer",
            "account cabin, cloud": "refused",
        }

    def test_a_listing_that_ended_early_for_no_reason_is_told_all_the_same(self) -> None:
        assert troubles(report(complete=False)) == {"sources": "a listing ended early"}

    def test_a_sink_that_failed_is_told_with_the_first_thing_it_said(self) -> None:
        said = (trouble("sink nas", "not mounted"), trouble("sink nas", "closed"))
        assert troubles(report(sinks_failed=(NAS,), troubles=said)) == {"sink nas": "not mounted"}

    def test_a_plugin_that_failed_is_told(self) -> None:
        assert troubles(report(troubles=(trouble("plugin mail", "it raised"),))) == {"plugin mail": "it raised"}

    def test_clips_that_are_not_stored_are_told_when_nothing_else_explains_them(self) -> None:
        sinks = {NAS: Tally(listed=3, stored=1, failed=2)}
        assert troubles(report(sinks=sinks)) == {"sink nas": "2 clips are not stored there yet; `blinkarchive status` says why"}
        said = (trouble("account home, cloud", "no answer"),)
        assert list(troubles(report(sinks=sinks, complete=False, troubles=said))) == ["account home, cloud"]


class TestOverdue:
    def test_what_went_well_lately_is_not(self) -> None:
        assert dict(overdue(EVERY, well(NOW - timedelta(hours=5, minutes=59)), now=NOW, since=None)) == {}

    def test_six_hours_are_allowed_at_least_and_three_ticks_of_a_slow_source(self) -> None:
        found = dict(overdue(EVERY, well(NOW - timedelta(hours=6, minutes=1)), now=NOW, since=None))
        assert found == {"source cloud, overdue": "its last good run was 361m ago; 6h is the most"}
        found = dict(overdue(EVERY, well(NOW - timedelta(hours=13)), now=NOW, since=None))
        assert set(found) == {f"{where}, overdue" for where in ("source cloud", "source sync-module", "account home", "sink nas")}

    def test_the_owner_may_say_how_old_is_too_old(self) -> None:
        found = dict(overdue(EVERY, well(NOW - timedelta(minutes=31)), now=NOW, since=None, longest=timedelta(minutes=30)))
        assert len(found) == 4

    def test_what_was_never_well_counts_from_the_start_of_the_scheduler(self) -> None:
        assert dict(overdue(EVERY, NEVER, now=NOW, since=NOW - timedelta(hours=1))) == {}
        found = dict(overdue(EVERY, NEVER, now=NOW, since=NOW - timedelta(hours=7)))
        assert found == {"source cloud, overdue": "it had no good run for 7h; 6h is the most"}

    def test_without_a_scheduler_it_is_overdue_at_once(self) -> None:
        assert len(dict(overdue(EVERY, NEVER, now=NOW, since=None))) == 4

    @pytest.mark.parametrize(
        ("cron", "hours"), [("*/5 * * * *", 6), ("30 2 * * *", 72), ("0 */6 * * *", 18), ("0 3 * * 0", 21 * 24)]
    )
    def test_three_ticks_of_a_cron_too(self, cron: str, hours: int) -> None:
        source = SourceConfig(name=CLOUD, cron=cron, jitter=timedelta(0))
        assert longest_age(config(a=source), source, datetime(2026, 6, 1, 1, 0, tzinfo=UTC)) == timedelta(hours=hours)


class TestExpiring:
    @pytest.mark.parametrize(
        ("age", "keeps", "told"), [(22, 30, False), (23, 30, True), (23, 60, False), (46, 60, True), (6, 7, True)]
    )
    def test_a_clip_that_nobody_holds_is_told_when_three_quarters_of_its_time_have_passed(
        self, age: int, keeps: int, told: bool
    ) -> None:
        one = Oldest(account="home", recorded_at=NOW - timedelta(days=age), keeps=timedelta(days=keeps))
        assert bool(dict(expiring([one], NOW))) is told

    def test_where_the_cloud_did_not_say_the_shortest_plan_counts(self) -> None:
        one = Oldest(account="home", recorded_at=NOW - timedelta(days=23), keeps=None)
        said = "a clip that no sink holds is 23 days old, and the cloud keeps clips for 30 days or more"
        assert dict(expiring([one], NOW)) == {"account home, cloud, expiring": said}
        assert one.expires_at == NOW + timedelta(days=7)


def test_sinks_that_gave_clips_up_are_told() -> None:
    found = dict(given_up({NAS: 3}))
    assert found == {"sink nas, given up": "3 clips failed ten times; `blinkarchive status` says why"}


def test_a_sink_that_left_the_config_is_told_once_it_was_proven() -> None:
    known = {NAS: "an id", SinkName("cabin"): "another", SinkName("typo"): None}
    found = dict(forgotten(known, EVERY))
    assert found == {"sink cabin, not in the config": "put it back, or `blinkarchive sinks retire cabin`"}


class TestWrongs:
    def test_a_look_replaces_what_the_last_one_of_its_kind_had_found(self) -> None:
        wrongs = Wrongs()
        wrongs.take("cloud", {"sink nas": "away", "account home, cloud": "no answer"}, NOW)
        wrongs.take("sync-module", {"sink nas": "away"}, NOW)
        wrongs.take("cloud", {}, NOW)
        assert wrongs.found() == {"sink nas": "away"}
        wrongs.take("sync-module", {}, NOW)
        assert wrongs.found() == {}

    def test_trouble_becomes_an_alarm_after_a_while_and_a_sign_in_at_once(self) -> None:
        wrongs, after = Wrongs(), timedelta(minutes=10)
        wrongs.take("cloud", {"sink nas": "away", "account home": "a code", "account home, cloud": "no answer"}, NOW)
        assert wrongs.worth_an_alarm(NOW, after) == {"account home": "a code"}
        wrongs.take("cloud", {"sink nas": "away still"}, NOW + timedelta(minutes=9))
        assert wrongs.worth_an_alarm(NOW + timedelta(minutes=10), after) == {"sink nas": "away still"}
        wrongs.take("cloud", {}, NOW + timedelta(minutes=11))
        wrongs.take("cloud", {"sink nas": "away"}, NOW + timedelta(minutes=12))
        assert wrongs.worth_an_alarm(NOW + timedelta(minutes=15), after) == {}, "it began anew"
