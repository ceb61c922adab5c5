"""Whether all is well: what was wrong with a run, what has not gone well for too long, what the cloud will soon delete."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from blinkarchive.config import Config, SourceConfig
from blinkarchive.index import Index
from blinkarchive.index.facts import LastOutcome
from blinkarchive.model import Alarm, Outcome, Result, RunReport, SinkName, SourceName, Subject, SubjectKind
from blinkarchive.when import format_duration

SHORTEST_AGE = timedelta(hours=6)
"""So old the last good run may be in any case."""
TICKS = 3
"""So many ticks may be missed."""
KEEPS = timedelta(days=30)
"""How long the cloud keeps a clip, where it did not say: 30 days are the least that a plan comes with."""
NEARLY = 0.75
"""What part of that time may pass before somebody is told."""

LONGEST_SILENCE = timedelta(minutes=10)
"""A scheduler that has given no word for so long does not go on."""

BEFORE = "before"
"""The look of whoever was here before."""

Outcomes = Mapping[Subject, LastOutcome]
"""How the last run ended for each subject, as the index knows it."""

NEVER: Outcomes = {}
"""No run ever ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong now."""

    #: What is wrong: a subject, or an aspect of one. It stays the same while the problem lasts.
    where: str
    #: In words.
    what: str
    #: Nothing but a person can end it, so that there is no reason to wait with an alarm.
    urgent: bool = False
    #: Whether runs are not good while it lasts, so that no ping is sent.
    spoils: bool = True
    #: No run ever reported on it: it is new in the config.
    untried: bool = False
    #: Reported when it is found and when its text changes, but not once a day: `status` shows it.
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Oldest:
    """The oldest clip of an account's cloud that no sink holds yet."""

    account: str
    recorded_at: datetime
    #: How long the cloud keeps it; None when it did not say.
    keeps: timedelta | None

    @property
    def expires_at(self) -> datetime:
        """When the cloud deletes it by itself."""
        return self.recorded_at + (self.keeps or KEEPS)


def problems(report: RunReport) -> list[Finding]:
    """What was wrong with a run; empty when each part of the archive did what it should.

    A clip that failed for a reason of its own is not among it, however often: when it is given up, see `given_up`.
    """
    found: dict[str, Finding] = {}
    for outcome in report.outcomes:
        finding = _of_outcome(outcome, optional=report.optional)
        if finding is not None:
            found.setdefault(finding.where, finding)
    if report.crashed and not found:
        found["blinkarchive"] = Finding(where="blinkarchive", what=report.crashed)
    for trouble in report.troubles:
        if trouble.where.startswith("plugin "):
            found.setdefault(trouble.where, Finding(where=trouble.where, what=trouble.what))
    if report.deletions_failed:
        because = next((one.what for one in report.troubles if one.where.startswith("clip ")), "their source refused")
        what = f"{report.deletions_failed:,} were not done: {because}"
        found["deletions"] = Finding(where="deletions", what=what)
    return list(found.values())


def _of_outcome(outcome: Outcome, *, optional: Collection[SinkName] = ()) -> Finding | None:
    """What is wrong with a subject, by how the last run ended for it. A sign-in concerns the account as a whole."""
    match outcome.result:
        case Result.GOOD:
            return None
        case Result.SIGN_IN | Result.HELD:
            account = Subject.account(outcome.subject.name)
            return Finding(where=str(account), what=outcome.reason, urgent=outcome.result is Result.SIGN_IN)
        case _:
            spoils = outcome.subject.kind is not SubjectKind.SINK or outcome.subject.name not in optional
            return Finding(where=str(outcome.subject), what=outcome.reason, spoils=spoils)


def collections(config: Config) -> Iterator[tuple[Subject, SourceConfig]]:
    """Each source of each account of the config."""
    for account in config.accounts:
        for name, source in config.sources.items():
            yield Subject.account(account, name), source


def longest_age(config: Config, source: SourceConfig, now: datetime) -> timedelta:
    """How old the last good run of a source may be."""
    if source.every is not None:
        distance = source.every
    else:
        from blinkarchive.ticks import Cron  # what reads cron is loaded by who writes it

        assert source.cron is not None  # the config has one of them
        ticks = Cron(source.cron, zone=config.serve.time_zone)
        first = ticks.after(now)
        distance = max(ticks.after(first) - first, first - now)
    return max(SHORTEST_AGE, TICKS * distance)


def overdue(
    config: Config, outcomes: Outcomes, *, now: datetime, since: datetime | None, longest: timedelta | None = None
) -> Iterator[Finding]:
    """The sources of accounts, and the required sinks, whose last good run is too long ago.

    `since` is when the scheduler started: what never had a good run is as old as that, or overdue at once when it is None.
    `longest` replaces the limit that follows from how often each source is collected from.
    """
    limits = {
        subject: longest_age(config, source, now) if longest is None else longest for subject, source in collections(config)
    }
    most = max(limits.values(), default=SHORTEST_AGE if longest is None else longest)
    limits |= dict.fromkeys(map(Subject.sink, config.required), most)
    for subject, limit in limits.items():
        last = outcomes.get(subject)
        good = last.good_at if last else None
        begins = good or since
        where = f"{subject}, overdue"
        if begins is None:
            because = f": {last.outcome.reason}" if last and last.outcome.reason else ""
            yield Finding(where=where, what=f"it never had a good run{because}", untried=last is None)
        elif now - begins > limit:
            passed = format_duration(timedelta(minutes=int((now - begins) / timedelta(minutes=1))))
            what = f"its last good run was {passed} ago" if good else f"it had no good run for {passed}"
            because = f": {last.outcome.reason}" if last and last.outcome.reason else ""
            yield Finding(where=where, what=f"{what}; {format_duration(limit)} is the most{because}")


def not_well(
    config: Config,
    outcomes: Outcomes,
    *,
    now: datetime,
    since: datetime | None,
    longest: timedelta | None = None,
    killed: Sequence[RunReport] = (),
    signed_in: Collection[str] = (),
) -> list[Finding]:
    """What is not well with the parts of the archive: the one judgement that `status`, `status --check` and `doctor` share.

    These are the parts for which the last run crashed or needs a sign-in, and those that are overdue. `killed` are runs that
    began and never ended, and that no process works on; `signed_in` the accounts that were signed in after their last run.
    """
    known = {*(subject for subject, _ in collections(config)), *map(Subject.sink, config.required)}
    last = [one.outcome for one in outcomes.values()]
    found: dict[str, Finding] = {}
    for outcome in (*(one for report in killed for one in report.outcomes), *last):
        finding = _of_outcome(outcome) if outcome.result in (Result.CRASHED, Result.SIGN_IN) else None
        if finding is not None and outcome.subject in known and not (finding.urgent and outcome.subject.name in signed_in):
            found.setdefault(finding.where, finding)
    for finding in overdue(config, outcomes, now=now, since=since, longest=longest):
        found.setdefault(finding.where, finding)
    return list(found.values())


def given_up(clips: Mapping[SinkName, int]) -> Iterator[Finding]:
    """The sinks that have given clips up, and how many."""
    for sink, number in clips.items():
        what = f"{number:,} clips failed ten times; `blinkarchive status` says why, and `blinkarchive dismiss` ends it"
        yield Finding(where=f"{Subject.sink(sink)}, given up", what=what, spoils=False, once=True)


def forgotten(known: Mapping[SinkName, str | None], config: Config) -> Iterator[Finding]:
    """The sinks that the archive has and the config has not."""
    for name in config.forgotten(known):
        what = f"put it back, or `blinkarchive sinks retire {name}`"
        yield Finding(where=f"{Subject.sink(name)}, not in the config", what=what, spoils=False)


def expiring(oldest: Sequence[Oldest], now: datetime) -> Iterator[Finding]:
    """The clouds that will delete a clip before long that no sink holds."""
    for one in oldest:
        keeps = one.keeps or KEEPS
        if now - one.recorded_at > NEARLY * keeps:
            what = (
                f"a clip that no sink holds is {(now - one.recorded_at).days} days old, and the cloud keeps clips for "
                f"{keeps.days} days{'' if one.keeps else ' or more'}"
            )
            where = f"{Subject.account(one.account, SourceName.CLOUD)}, expiring"
            yield Finding(where=where, what=what, spoils=False)


async def oldest(index: Index, config: Config) -> list[Oldest]:
    """The oldest clip of each account's cloud that no sink holds."""
    keeps = {seen.account: seen.part.keeps for seen in await index.parts() if seen.source is SourceName.CLOUD}
    found = []
    for account in config.accounts:
        for _, recorded_at in await index.unstored(account, SourceName.CLOUD, tuple(config.sinks), given_up=True, limit=1):
            found.append(Oldest(account=account, recorded_at=recorded_at, keeps=keeps.get(account)))
    return found


class Wrongs:
    """All that is wrong now, by who found it: a look replaces what the last look of the same kind had found."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, Finding]] = {}
        self._since: dict[str, datetime] = {}

    def take(self, by: str, found: Iterable[Finding], now: datetime) -> None:
        """What one look has found."""
        self._found[by] = {finding.where: finding for finding in found}
        self._since = {where: min(self._since.get(where, now), now) for where in self.found()}

    def inherit(self, alarms: Iterable[Alarm], *, optional: Collection[SinkName] = ()) -> None:
        """What was wrong before anybody looked, as people know of it. It counts until it is taken anew, by `BEFORE`."""
        harmless = {str(Subject.sink(name)) for name in optional}
        self._found[BEFORE] = {
            alarm.where: Finding(where=alarm.where, what=alarm.what, urgent=True, spoils=alarm.where not in harmless)
            for alarm in alarms
        }
        self._since |= {alarm.where: alarm.since for alarm in alarms}

    def of(self, by: str) -> list[Finding]:
        """What the last look of a kind had found."""
        return list(self._found.get(by, {}).values())

    def found(self) -> dict[str, Finding]:
        """Each finding, by where it is."""
        return {where: finding for found in self._found.values() for where, finding in found.items()}

    @property
    def spoiling(self) -> bool:
        """Whether anything is wrong that makes runs not good."""
        return any(finding.spoils for found in self._found.values() for finding in found.values())

    def since(self, where: str) -> datetime:
        """When it was found first."""
        return self._since[where]

    def worth_an_alarm(self, now: datetime, after: timedelta) -> list[Finding]:
        """What has been wrong for so long, and at once what only a person can end."""
        return [finding for where, finding in self.found().items() if finding.urgent or now - self._since[where] >= after]
