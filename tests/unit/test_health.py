"""Whether all is well: what of a run is trouble, what is too long ago, what the cloud will soon delete."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from blinkarchive.config import AccountConfig, Config, ServeConfig, SinkConfig, SourceConfig
from blinkarchive.daemon.health import (
    NEVER,
    Finding,
    Oldest,
    Wrongs,
    expiring,
    forgotten,
    given_up,
    longest_age,
    not_well,
    overdue,
    problems,
)
from blinkarchive.index.facts import LastOutcome
from blinkarchive.model import Outcome, Result, RunReport, SinkName, SourceName, Subject, Tally, Trouble

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


HOME_CLOUD, HOME_STICKS = Subject.account("home", CLOUD), Subject.account("home", MODULE)
ALL = (HOME_CLOUD, HOME_STICKS, Subject.sink(NAS))


def last(subject: Subject, at: datetime | None, result: Result = Result.GOOD, reason: str = "") -> LastOutcome:
    outcome = Outcome(subject=subject, result=result, reason=reason)
    return LastOutcome(outcome=outcome, ended_at=NOW, good_at=at, since=None if result is Result.GOOD else NOW)


def well(at: datetime) -> dict[Subject, LastOutcome]:
    return {subject: last(subject, at) for subject in ALL}


def said(findings: Iterable[Finding]) -> dict[str, str]:
    return {finding.where: finding.what for finding in findings}


def outcome(subject: Subject, reason: str = "", result: Result = Result.FAILED) -> Outcome:
    return Outcome(subject=subject, result=result, reason=reason)


class TestProblemsOfARun:
    def test_a_good_run_has_none_and_a_clip_that_was_given_up_long_ago_is_none(self) -> None:
        good = tuple(Outcome(subject=subject) for subject in ALL)
        assert problems(report(outcomes=good, sinks={NAS: Tally(listed=3, stored=2, gave_up=1)})) == []

    def test_a_clip_that_failed_for_a_reason_of_its_own_is_no_problem_of_a_sink_or_an_account(self) -> None:
        failed = Tally(listed=3, stored=2, failed=1)
        assert problems(report(total=failed, sinks={NAS: failed}, accounts={"home": failed})) == []

    def test_what_was_to_be_deleted_and_was_not_is_told(self) -> None:
        troubles = (trouble("account home, cloud", "x"), trouble("clip cloud:home:7", "sink nas has lost it"))
        found = said(problems(report(deletions_failed=2, troubles=troubles)))
        assert found == {"deletions": "2 were not done: sink nas has lost it"}

    def test_a_sign_in_that_is_needed_is_the_accounts_and_urgent(self) -> None:
        ends = tuple(outcome(subject, "a code is wanted", Result.SIGN_IN) for subject in (HOME_CLOUD, HOME_STICKS))
        [found] = problems(report(login_needed=("home",), complete=False, outcomes=ends))
        assert (found.where, found.what, found.urgent) == ("account home", "a code is wanted", True)

    def test_a_pause_that_blink_asked_for_is_the_accounts_and_not_urgent(self) -> None:
        [found] = problems(report(outcomes=(outcome(HOME_CLOUD, "until noon", Result.HELD),)))
        assert (found.where, found.urgent) == ("account home", False)

    def test_a_source_that_could_not_be_listed_is_told_for_each_account(self) -> None:
        cabin = Subject.account("cabin", CLOUD)
        ends = (outcome(HOME_CLOUD, "no answer"), outcome(cabin, "refused"), Outcome(subject=HOME_STICKS))
        assert said(problems(report(complete=False, outcomes=ends))) == {
            "account home, cloud": "no answer",
            "account cabin, cloud": "refused",
        }

    def test_an_account_whose_name_looks_like_a_source_is_not_taken_for_one(self) -> None:
        odd = Subject.account("home, cloud")
        assert odd != HOME_CLOUD
        ends = (Outcome(subject=HOME_CLOUD), outcome(Subject.account("home, cloud", CLOUD), "no", Result.SIGN_IN))
        assert [one.where for one in problems(report(outcomes=ends))] == [str(odd)]

    def test_an_optional_sink_that_failed_is_told_and_spoils_no_run(self) -> None:
        ends = (outcome(Subject.sink(NAS), "not mounted"),)
        [found] = problems(report(sinks_failed=(NAS,), outcomes=ends))
        assert (found.where, found.what, found.spoils) == ("sink nas", "not mounted", True)
        [found] = problems(report(sinks_failed=(NAS,), optional=(NAS,), outcomes=ends))
        assert not found.spoils

    def test_a_plugin_that_failed_is_told(self) -> None:
        assert said(problems(report(troubles=(trouble("plugin mail", "it raised"),)))) == {"plugin mail": "it raised"}

    def test_a_crash_is_told_whatever_it_was_about(self) -> None:
        assert said(problems(report(crashed="a fault of its own: X"))) == {"blinkarchive": "a fault of its own: X"}
        ends = (outcome(HOME_STICKS, "a fault of its own: X", Result.CRASHED),)
        assert list(said(problems(report(crashed="X", outcomes=ends)))) == ["account home, sync-module"]


class TestOverdue:
    def test_what_went_well_lately_is_not(self) -> None:
        assert said(overdue(EVERY, well(NOW - timedelta(hours=5, minutes=59)), now=NOW, since=None)) == {}

    def test_six_hours_are_allowed_at_least_and_three_ticks_of_a_slow_source(self) -> None:
        found = said(overdue(EVERY, well(NOW - timedelta(hours=6, minutes=1)), now=NOW, since=None))
        assert found == {"account home, cloud, overdue": "its last good run was 361m ago; 6h is the most"}
        found = said(overdue(EVERY, well(NOW - timedelta(hours=13)), now=NOW, since=None))
        assert set(found) == {f"{subject}, overdue" for subject in ALL}

    def test_the_owner_may_say_how_old_is_too_old(self) -> None:
        found = said(overdue(EVERY, well(NOW - timedelta(minutes=31)), now=NOW, since=None, longest=timedelta(minutes=30)))
        assert len(found) == 3

    def test_what_was_never_well_counts_from_the_start_of_the_scheduler(self) -> None:
        assert said(overdue(EVERY, NEVER, now=NOW, since=NOW - timedelta(hours=1))) == {}
        found = said(overdue(EVERY, NEVER, now=NOW, since=NOW - timedelta(hours=7)))
        assert found == {"account home, cloud, overdue": "it had no good run for 7h; 6h is the most"}

    def test_without_a_scheduler_it_is_overdue_at_once(self) -> None:
        assert len(said(overdue(EVERY, NEVER, now=NOW, since=None))) == 3

    def test_one_account_that_is_not_signed_in_makes_no_other_overdue(self) -> None:
        both = replace(EVERY, accounts={**EVERY.accounts, "cabin": AccountConfig(name="cabin", username="b")})
        ends = well(NOW) | {
            subject: last(subject, None, Result.SIGN_IN, "not signed in")
            for subject in (Subject.account("cabin", CLOUD), Subject.account("cabin", MODULE))
        }
        found = said(overdue(both, ends, now=NOW, since=None))
        assert found == {
            "account cabin, cloud, overdue": "it never had a good run: not signed in",
            "account cabin, sync-module, overdue": "it never had a good run: not signed in",
        }

    @pytest.mark.parametrize(
        ("cron", "hours"), [("*/5 * * * *", 6), ("30 2 * * *", 72), ("0 */6 * * *", 18), ("0 3 * * 0", 21 * 24)]
    )
    def test_three_ticks_of_a_cron_too(self, cron: str, hours: int) -> None:
        source = SourceConfig(name=CLOUD, cron=cron, jitter=timedelta(0))
        assert longest_age(config(a=source), source, datetime(2026, 6, 1, 1, 0, tzinfo=UTC)) == timedelta(hours=hours)


class TestNotWell:
    def test_a_crash_and_a_sign_in_do_not_wait_until_they_are_overdue(self) -> None:
        ends = well(NOW) | {
            HOME_STICKS: last(HOME_STICKS, NOW, Result.CRASHED, "a fault of its own: X"),
            HOME_CLOUD: last(HOME_CLOUD, NOW, Result.SIGN_IN, "sign in again"),
        }
        found = said(not_well(EVERY, ends, now=NOW, since=NOW))
        assert found == {"account home, sync-module": "a fault of its own: X", "account home": "sign in again"}
        assert list(said(not_well(EVERY, ends, now=NOW, since=NOW, signed_in=["home"]))) == ["account home, sync-module"]

    def test_a_run_that_was_killed_is_not_well_and_what_left_the_config_is_nobodys_problem(self) -> None:
        killed = report(crashed="killed", outcomes=(outcome(HOME_CLOUD, "killed", Result.CRASHED),))
        gone = Subject.account("gone", CLOUD)
        ends = well(NOW) | {gone: last(gone, None, Result.CRASHED, "x")}
        assert said(not_well(EVERY, ends, now=NOW, since=None, killed=[killed])) == {"account home, cloud": "killed"}

    def test_a_failure_that_the_next_run_tries_again_is_well_until_it_is_overdue(self) -> None:
        ends = well(NOW) | {HOME_CLOUD: last(HOME_CLOUD, NOW - timedelta(hours=1), Result.FAILED, "no answer")}
        assert not_well(EVERY, ends, now=NOW, since=None) == []
        later = said(not_well(EVERY, ends, now=NOW + timedelta(hours=5, minutes=30), since=None))
        assert later == {"account home, cloud, overdue": "its last good run was 390m ago; 6h is the most: no answer"}


class TestExpiring:
    @pytest.mark.parametrize(
        ("age", "keeps", "told"), [(22, 30, False), (23, 30, True), (23, 60, False), (46, 60, True), (6, 7, True)]
    )
    def test_a_clip_that_nobody_holds_is_told_when_three_quarters_of_its_time_have_passed(
        self, age: int, keeps: int, told: bool
    ) -> None:
        one = Oldest(account="home", recorded_at=NOW - timedelta(days=age), keeps=timedelta(days=keeps))
        assert bool(said(expiring([one], NOW))) is told

    def test_where_the_cloud_did_not_say_the_shortest_plan_counts(self) -> None:
        one = Oldest(account="home", recorded_at=NOW - timedelta(days=23), keeps=None)
        what = "a clip that no sink holds is 23 days old, and the cloud keeps clips for 30 days or more"
        assert said(expiring([one], NOW)) == {"account home, cloud, expiring": what}
        assert one.expires_at == NOW + timedelta(days=7)


def test_sinks_that_gave_clips_up_are_told_once() -> None:
    what = "3 clips failed ten times; `blinkarchive status` says why, and `blinkarchive dismiss` ends it"
    assert said(given_up({NAS: 3})) == {"sink nas, given up": what}
    assert all(one.once and not one.spoils for one in given_up({NAS: 3}))


def test_a_sink_that_left_the_config_is_told_once_it_was_proven() -> None:
    known = {NAS: "an id", SinkName("cabin"): "another", SinkName("typo"): None}
    found = said(forgotten(known, EVERY))
    assert found == {"sink cabin, not in the config": "put it back, or `blinkarchive sinks retire cabin`"}


def finding(where: str, what: str = "", **facts: bool) -> Finding:
    return Finding(where=where, what=what, **facts)


class TestWrongs:
    def test_a_look_replaces_what_the_last_one_of_its_kind_had_found(self) -> None:
        wrongs = Wrongs()
        away = finding("sink nas", "away")
        wrongs.take("cloud", [away, finding("account home, cloud", "no answer")], NOW)
        wrongs.take("sync-module", [away], NOW)
        wrongs.take("cloud", [], NOW)
        assert wrongs.found() == {"sink nas": away}
        wrongs.take("sync-module", [], NOW)
        assert wrongs.found() == {}

    def test_trouble_becomes_an_alarm_after_a_while_and_a_sign_in_at_once(self) -> None:
        wrongs, after = Wrongs(), timedelta(minutes=10)
        sign_in = finding("account home", "a code", urgent=True)
        wrongs.take("cloud", [finding("sink nas", "away"), sign_in, finding("account home, cloud", "no answer")], NOW)
        assert wrongs.worth_an_alarm(NOW, after) == [sign_in]
        wrongs.take("cloud", [finding("sink nas", "away still")], NOW + timedelta(minutes=9))
        assert said(wrongs.worth_an_alarm(NOW + timedelta(minutes=10), after)) == {"sink nas": "away still"}
        wrongs.take("cloud", [], NOW + timedelta(minutes=11))
        wrongs.take("cloud", [finding("sink nas", "away")], NOW + timedelta(minutes=12))
        assert wrongs.worth_an_alarm(NOW + timedelta(minutes=15), after) == [], "it began anew"

    def test_only_what_spoils_a_run_keeps_the_ping_back(self) -> None:
        wrongs = Wrongs()
        wrongs.take("the index", given_up({NAS: 1}), NOW)
        wrongs.take("cloud", [finding("sink cabin", "away", spoils=False)], NOW)
        assert not wrongs.spoiling
        wrongs.take("overdue", [finding("sink nas, overdue")], NOW)
        assert wrongs.spoiling
