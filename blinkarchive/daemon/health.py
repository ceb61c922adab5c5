"""Whether all is well: what was wrong with a run, what has not gone well for too long, what the cloud will soon delete."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from blinkarchive.config import Config, SourceConfig
from blinkarchive.index import Index
from blinkarchive.index.facts import LastGood
from blinkarchive.model import Alarm, RunReport, SinkName, SourceName
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

NEVER = LastGood(accounts={}, sources={}, sinks={})
"""Nothing ever went well, or nothing ever went."""


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


def troubles(report: RunReport) -> dict[str, str]:
    """What was wrong with a run, as where > what; empty when all that it should have stored is stored, and
    what it should have deleted is deleted.

    A clip that was given up is not among it: it is no news of this run. See `given_up`.
    """
    said = {trouble.where: trouble.what for trouble in reversed(report.troubles)}
    found: dict[str, str] = {}
    for account in report.login_needed:
        where = f"account {account}"
        found[where] = said.get(where) or _first(said, f"{where}, ", "a person has to sign in: blinkarchive login")
    for sink in report.sinks_failed:
        found[f"sink {sink}"] = said.get(f"sink {sink}", "it failed")
    if not report.complete and not report.stopped:
        for where, what in said.items():
            if where.startswith("account ") and where.partition(",")[0] not in found:
                found.setdefault(where, what)
        if not found:
            found["sources"] = "a listing ended early"
    found |= {where: what for where, what in said.items() if where.startswith("plugin ")}
    if not found:
        for name, tally in report.sinks.items():
            if tally.failed:
                found[f"sink {name}"] = f"{tally.failed:,} clips are not stored there yet; `blinkarchive status` says why"
    if report.deletions_failed:
        found["deletions"] = f"{report.deletions_failed:,} were not done: " + _first(said, "clip ", "their source said no")
    return found


def _first(said: Mapping[str, str], prefix: str, otherwise: str) -> str:
    return next((what for where, what in said.items() if where.startswith(prefix)), otherwise)


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
    config: Config, last_good: LastGood, *, now: datetime, since: datetime | None, longest: timedelta | None = None
) -> Iterator[tuple[str, str]]:
    """The sources, accounts and sinks whose last good run is too long ago, each with that in words.

    `since` is when somebody began to look: what never had a good run is as old as that, or overdue at once when it is None.
    `longest` takes the place of what follows from how often each source is looked at.
    """
    ages = {name: longest_age(config, source, now) if longest is None else longest for name, source in config.sources.items()}
    most = max(ages.values(), default=SHORTEST_AGE if longest is None else longest)
    asked: list[tuple[str, datetime | None, timedelta]] = [
        *((f"source {name}", last_good.sources.get(name), age) for name, age in ages.items()),
        *((f"account {name}", last_good.accounts.get(name), most) for name in config.accounts),
        *((f"sink {name}", last_good.sinks.get(name), most) for name in config.required),
    ]
    for where, good, age in asked:
        begins = good or since
        if begins is None:
            yield f"{where}, overdue", "it never had a good run"
        elif now - begins > age:
            passed = format_duration(timedelta(minutes=int((now - begins) / timedelta(minutes=1))))
            what = f"its last good run was {passed} ago" if good else f"it had no good run for {passed}"
            yield f"{where}, overdue", f"{what}; {format_duration(age)} is the most"


def given_up(clips: Mapping[SinkName, int]) -> Iterator[tuple[str, str]]:
    """The sinks that have given clips up, and how many."""
    for sink, number in clips.items():
        yield f"sink {sink}, given up", f"{number:,} clips failed ten times; `blinkarchive status` says why"


def forgotten(known: Mapping[SinkName, str | None], config: Config) -> Iterator[tuple[str, str]]:
    """The sinks that the archive has and the config has not."""
    for name in config.forgotten(known):
        yield f"sink {name}, not in the config", f"put it back, or `blinkarchive sinks retire {name}`"


def expiring(oldest: Sequence[Oldest], now: datetime) -> Iterator[tuple[str, str]]:
    """The clouds that will delete a clip before long that no sink holds."""
    for one in oldest:
        keeps = one.keeps or KEEPS
        if now - one.recorded_at > NEARLY * keeps:
            yield (
                f"account {one.account}, {SourceName.CLOUD}, expiring",
                f"a clip that no sink holds is {(now - one.recorded_at).days} days old, and the cloud keeps clips for "
                f"{keeps.days} days{'' if one.keeps else ' or more'}",
            )


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
        self._found: dict[str, dict[str, str]] = {}
        self._since: dict[str, datetime] = {}

    def take(self, by: str, found: Mapping[str, str], now: datetime) -> None:
        """What one look has found, as where > what."""
        self._found[by] = dict(found)
        self._since = {where: min(self._since.get(where, now), now) for where in self.found()}

    def inherit(self, alarms: Iterable[Alarm]) -> None:
        """What was wrong before anybody looked, as people know of it. It counts until it is taken anew, by `BEFORE`."""
        self._found[BEFORE] = {alarm.where: alarm.what for alarm in alarms}
        self._since |= {alarm.where: alarm.since for alarm in alarms}

    def of(self, by: str) -> dict[str, str]:
        """What the last look of a kind had found."""
        return self._found.get(by, {})

    def found(self, *, but: str = "") -> dict[str, str]:
        """Where > what, of all looks but one kind."""
        return {where: what for by, found in self._found.items() if by != but for where, what in found.items()}

    def since(self, where: str) -> datetime:
        """When it was found first."""
        return self._since[where]

    def worth_an_alarm(self, now: datetime, after: timedelta) -> dict[str, str]:
        """What has been wrong for so long, and at once what only a person can mend: a sign-in."""
        found = self.found()
        return {where: what for where, what in found.items() if _urgent(where) or now - self._since[where] >= after}


def _urgent(where: str) -> bool:
    return where.startswith("account ") and "," not in where
