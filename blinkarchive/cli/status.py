"""`status`: what is stored where, and what is pending and why."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from blinkarchive.cli import accounts, running
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.moments import Length
from blinkarchive.cli.report import as_record, outcome_record
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.words import NOTHING, age, ago, count, data, iso, moment, printable, record, size, table
from blinkarchive.clock import Clock
from blinkarchive.config import Config
from blinkarchive.errors import NothingArchived
from blinkarchive.index.facts import GivenUp, Lack, LastOutcome, SeenPart, SeenUnreadable, SinkSummary, Summary, Unknown
from blinkarchive.model import RunReport, SinkName, State, Subject

if TYPE_CHECKING:
    from blinkarchive.daemon.health import Finding, Oldest
    from blinkarchive.daemon.word import Word

RUNS = 5
MOST_UNREADABLE = 20
MOST_GIVEN_UP = 500
MOST_GIVEN_UP_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What the index tells, and the scheduler where there is one."""

    summary: Summary = field(default_factory=lambda: Summary(clips=0, oldest=None, newest=None, sinks=()))
    lacks: tuple[Lack, ...] = ()
    #: How many clips a sink lacks that others hold only encrypted.
    sealed_away: Mapping[SinkName, int] = field(default_factory=dict)
    runs: tuple[RunReport, ...] = ()
    #: Runs that began and never ended, and that no process works on.
    killed: tuple[RunReport, ...] = ()
    #: How the last run ended for each source of an account, and each sink.
    outcomes: Mapping[Subject, LastOutcome] = field(default_factory=dict)
    given_up: tuple[GivenUp, ...] = ()
    #: How many clips the owner dismissed.
    dismissed: int = 0
    unreadable: tuple[SeenUnreadable, ...] = ()
    parts: tuple[SeenPart, ...] = ()
    #: What the sinks' catalogues list, and the index does not know.
    unknown: Mapping[SinkName, Unknown] = field(default_factory=dict)
    #: The oldest clip of each cloud that no sink holds.
    oldest: tuple[Oldest, ...] = ()
    #: What the scheduler says; None when none looks after the archive.
    word: Word | None = None


@click.command(cls=Verb, name="status")
@click.option("--check", is_flag=True, help="Only say what has not gone well for too long; exit 3 when there is any.")
@click.option("--max-age", type=Length(), metavar="LENGTH", help="With --check: how old the last good run may be, such as 6h.")
@click.pass_obj
def verb(session: Session, check: bool, max_age: timedelta | None) -> Exit:
    """Say what is stored where, what is pending and why, and what the scheduler does now.

    Reads the index and the saved sign-ins, and asks nobody: it works while a run goes on, and without a network.

    --check is for cron and health checks. Each source of each account, and each required sink, is judged by itself: its last good
    run may be three ticks old, but always six hours; a run that crashed, or an account that needs a sign-in, is reported at once.
    What was never well counts from the start of `serve`; without one it is not well now. A clip that failed permanently is
    mentioned, and is no reason for exit code 3: `blinkarchive dismiss` ends it.

    Exit codes: 0, with --check 3 when something has not gone well for too long, 2 usage or config, 1 any other error.
    """
    if max_age is not None and not check:
        raise click.UsageError("--max-age belongs to --check")
    config = session.load()
    now = Clock().now()
    word = _word(config)
    status = Status(word=word)
    with suppress(NothingArchived):
        status = running.run(lambda: read(config, word))
    if check:
        return _checked(session, config, status, now, max_age)
    signed_in = {name: accounts.standing(config, account, now, status.outcomes) for name, account in config.accounts.items()}
    if session.json:
        record(_as_record(config, status, signed_in))
    else:
        _tell(config, status, signed_in)
    return Exit.DONE


def _word(config: Config) -> Word | None:
    """What the scheduler says, if one lives."""
    from blinkarchive import wiring
    from blinkarchive.daemon import word
    from blinkarchive.pipeline.lock import is_held

    state = wiring.State(folder=config.archive.state)
    return word.read(state.folder) if is_held(state.serving) else None


def _checked(session: Session, config: Config, status: Status, now: datetime, max_age: timedelta | None) -> Exit:
    """What `--check` finds."""
    from blinkarchive.daemon import health

    late = {finding.where: finding.what for finding in not_well(config, status, now, max_age)}
    if status.word and now - status.word.written_at > health.LONGEST_SILENCE:
        late["serve"] = f"the scheduler (process {status.word.pid}) has given no word since {moment(status.word.written_at)}"
    notes = list(_about_given_up(status))
    if session.json:
        record({"ok": not late, "late": late, "gave_up": len(status.given_up)})
    else:
        for where, what in late.items():
            data(f"{printable(where)}: {printable(what)}")
        if not late:
            session.say("All well." if not notes else "All well, but for this:")
        for line in notes:
            session.say(line.strip())
    return Exit.SOME_FAILED if late else Exit.DONE


def not_well(config: Config, status: Status, now: datetime, max_age: timedelta | None = None) -> list[Finding]:
    """What is not well: `status`, `status --check` and `doctor` report the same."""
    from blinkarchive.daemon import health

    return health.not_well(
        config,
        status.outcomes,
        now=now,
        since=status.word.started_at if status.word else None,
        longest=max_age,
        killed=status.killed,
        signed_in=accounts.signed_in_again(config, status.outcomes),
    )


async def read(config: Config, word: Word | None = None) -> Status:
    """What the index tells. Raises `NothingArchived` before the first run."""
    from blinkarchive import wiring
    from blinkarchive.daemon import health

    sinks = tuple(config.sinks)
    async with wiring.reading(config) as index:
        return Status(
            summary=await index.summary(sinks),
            lacks=tuple(await index.reasons(sinks)),
            sealed_away=await index.sealed_away(sinks),
            runs=tuple(await index.last_runs(RUNS)),
            killed=await wiring.killed(config, index),
            outcomes=await index.outcomes(),
            given_up=tuple(await index.given_up_clips(sinks, limit=MOST_GIVEN_UP)),
            dismissed=len(await index.dismissed()),
            unreadable=tuple(await index.unreadables(limit=MOST_UNREADABLE)),
            parts=tuple(await index.parts()),
            unknown={name: unknown for name, unknown in (await index.unknown()).items() if name in sinks},
            oldest=tuple(await health.oldest(index, config)),
            word=word,
        )


def _as_record(config: Config, status: Status, signed_in: Mapping[str, accounts.Standing]) -> dict[str, object]:
    good = _last_good(config, status)
    return {
        "state": str(config.archive.state),
        "clips": status.summary.clips,
        "oldest": iso(status.summary.oldest),
        "newest": iso(status.summary.newest),
        "sinks": {
            sink.sink: {
                "stored": sink.stored,
                "pending": sink.pending,
                "failed": sink.failed,
                "gave_up": sink.gave_up,
                "excluded": sink.excluded,
                "bytes": sink.bytes,
                "oldest_lacking": iso(sink.oldest_lacking),
                "last_good": iso(good.get(Subject.sink(sink.sink))),
                "unknown_copies": status.unknown[sink.sink].copies if sink.sink in status.unknown else None,
                "unknown_catalogues": status.unknown[sink.sink].catalogues if sink.sink in status.unknown else None,
            }
            for sink in status.summary.sinks
        },
        "lacking": [
            {"sink": lack.sink, "state": lack.state.value, "reason": lack.reason, "clips": lack.clips, "oldest": iso(lack.oldest)}
            for lack in status.lacks
        ],
        "sealed_away": dict(status.sealed_away),
        "accounts": {
            name: {
                "sign_in": standing.state.value,
                "detail": standing.detail,
                "token_until": iso(standing.token_until),
                "last_good": iso(good.get(Subject.account(name))),
            }
            for name, standing in signed_in.items()
        },
        "sources": {
            str(name): {"last_good": iso(_oldest(good.get(Subject.account(account, name)) for account in config.accounts))}
            for name in config.sources
        },
        "outcomes": [
            outcome_record(last.outcome) | {"at": iso(last.ended_at), "since": iso(last.since), "last_good": iso(last.good_at)}
            for last in status.outcomes.values()
        ],
        "given_up": [
            {"id": one.clip.id, "sinks": list(one.sinks), "reason": one.reason, "recorded_at": iso(one.clip.recorded_at)}
            for one in status.given_up
        ],
        "dismissed": status.dismissed,
        "parts": [
            {
                "account": seen.account,
                "source": seen.source.value,
                "name": seen.part.name,
                "trouble": seen.part.trouble,
                "absent": seen.part.absent,
                "trouble_since": iso(seen.trouble_since),
                "listed_at": iso(seen.listed_at),
                "keeps_days": seen.part.keeps.days if seen.part.keeps else None,
            }
            for seen in status.parts
        ],
        "oldest_unstored": [
            {"account": one.account, "recorded_at": iso(one.recorded_at), "expires_at": iso(one.expires_at)}
            for one in status.oldest
        ],
        "serving": _served_record(status.word) if status.word else None,
        "last_runs": [as_record(run) for run in (*status.killed, *status.runs)],
        "unreadable": [
            {
                "account": seen.account,
                "source": seen.source.value,
                "item": seen.unreadable.item,
                "reason": seen.unreadable.reason,
                "first_seen": iso(seen.first_seen),
                "last_seen": iso(seen.last_seen),
                "times": seen.times,
            }
            for seen in status.unreadable
        ],
    }


def _last_good(config: Config, status: Status) -> dict[Subject, datetime | None]:
    """When the last good run of each subject ended; of an account, that of its source which is longest ago."""
    good = {subject: last.good_at for subject, last in status.outcomes.items()}
    for name in config.accounts:
        good[Subject.account(name)] = _oldest(good.get(Subject.account(name, source)) for source in config.sources)
    return good


def _oldest(moments: Iterable[datetime | None]) -> datetime | None:
    """The oldest of them; None when one of them never was."""
    all_ = list(moments)
    return None if None in all_ else min((one for one in all_ if one is not None), default=None)


def _served_record(word: Word) -> dict[str, object]:
    return {
        "pid": word.pid,
        "started_at": iso(word.started_at),
        "written_at": iso(word.written_at),
        "doing": [asdict(one) | {"since": iso(one.since)} for one in word.doing],
        "next": {name: iso(tick) for name, tick in word.next.items()},
        "wrong": [asdict(one) | {"since": iso(one.since)} for one in word.wrong],
    }


def _tell(config: Config, status: Status, signed_in: Mapping[str, accounts.Standing]) -> None:
    for line in (*_about_clips(status), *_about_serving(status.word), ""):
        data(line)
    known = status.summary.sinks or tuple(SinkSummary(sink=name) for name in config.sinks)
    good, now = _last_good(config, status), Clock().now()
    table(
        ("SINK", "STORED", "SIZE", "PENDING", "FAILED", "GAVE UP", "EXCLUDED", "LAST GOOD RUN"),
        [
            (
                sink.sink,
                f"{sink.stored:,}",
                size(sink.bytes),
                *(f"{n:,}" for n in _not_stored(sink)),
                _ago(good.get(Subject.sink(sink.sink)), now),
            )
            for sink in known
        ],
    )
    data("")
    if status.parts:
        table(
            ("SOURCE", "ACCOUNT", "PART", "STATE", "LAST LISTED"),
            [
                (str(seen.source), seen.account, printable(seen.part.name), _state(seen), _listed(seen, now))
                for seen in status.parts
            ],
        )
        data("")
    table(
        ("ACCOUNT", "LAST GOOD RUN", "SIGN-IN", "WHAT TO DO"),
        [
            (name, _ago(good.get(Subject.account(name)), now), _sign_in(standing), _advice(name, standing))
            for name, standing in signed_in.items()
        ],
    )
    for line in (
        *_about_problems(config, status, now),
        *_about_lacks(status),
        *_about_given_up(status),
        *_about_oldest(status),
        *_about_unreadable(status),
        *_about_runs(status),
    ):
        data(line)


def _ago(when: datetime | None, now: datetime) -> str:
    return ago(when, now) if when else "never"


def _listed(seen: SeenPart, now: datetime) -> str:
    return NOTHING if seen.never_there else _ago(seen.listed_at, now)


def _state(seen: SeenPart) -> str:
    if not seen.part.trouble:
        return "well"
    if seen.never_there:
        return "no USB storage"
    return f"{printable(seen.part.trouble)} (since {moment(seen.trouble_since)})" if seen.trouble_since else seen.part.trouble


def _about_problems(config: Config, status: Status, now: datetime) -> Iterator[str]:
    """What is not well, but for what the scheduler has said, and what was never tried."""
    said = {one.where for one in status.word.wrong} if status.word else set()
    findings = not_well(config, status, now) if status.runs or status.killed else []
    for finding in findings:
        if finding.where not in said:
            yield f"\nNot well: {printable(finding.where)}: {printable(finding.what)}"


def _about_given_up(status: Status) -> Iterator[str]:
    for one in status.given_up[:MOST_GIVEN_UP_SHOWN]:
        clip, where = one.clip, ", ".join(one.sinks)
        yield (
            f"\nFailed permanently: {printable(clip.id)}, of camera {printable(clip.camera)} at {moment(clip.recorded_at)}, "
            f"is not in {where}: {printable(one.reason)}. To end it: blinkarchive dismiss {shlex.quote(printable(clip.id))}"
        )
    if (more := len(status.given_up) - MOST_GIVEN_UP_SHOWN) > 0:
        yield f"\nFailed permanently: {count(more, 'more clip')}; `blinkarchive status --json` lists them"
    if status.dismissed:
        yield f"\n{count(status.dismissed, 'clip')} dismissed; `blinkarchive dismiss` lists them"


def _about_serving(word: Word | None) -> Iterator[str]:
    if word is None:
        return
    now = [f"{one.what} since {moment(one.since)}, {one.stored:,} of {one.listed:,} stored" for one in word.doing]
    ticks = sorted((tick, name) for name, tick in word.next.items())
    yield f"Served since {moment(word.started_at)} by process {word.pid}. Now: {'; '.join(now) or 'nothing'}."
    yield f"Next: {', '.join(f'{name} at {moment(tick)}' for tick, name in ticks) or 'nothing'}."
    for one in word.wrong:
        yield f"Wrong since {moment(one.since)}: {printable(one.where)}: {printable(one.what)}"


def _about_oldest(status: Status) -> Iterator[str]:
    now = Clock().now()
    for one in status.oldest:
        yield (
            f"\nThe oldest clip of account {one.account} that no sink holds was recorded {age(one.recorded_at, now)}; "
            f"the cloud deletes it on {moment(one.expires_at)}{'' if one.keeps else ' or later'}."
        )


def _not_stored(sink: SinkSummary) -> tuple[int, ...]:
    return sink.pending, sink.failed, sink.gave_up, sink.excluded


def _about_clips(status: Status) -> Iterator[str]:
    summary = status.summary
    if summary.oldest is None or summary.newest is None:
        yield "Nothing has been archived yet. Next: blinkarchive run"
    else:
        yield f"{count(summary.clips, 'clip')}, recorded from {moment(summary.oldest)} to {moment(summary.newest)}."


def _sign_in(standing: accounts.Standing) -> str:
    return f"{standing.state.value}: {standing.detail}" if standing.detail else standing.state.value


def _advice(name: str, standing: accounts.Standing) -> str:
    match standing.state:
        case accounts.SignIn.SIGNED_IN:
            return "-"
        case accounts.SignIn.HELD_BACK:
            return "wait; do not sign in again before that"
        case accounts.SignIn.CODE_NEEDED:
            return f"blinkarchive login --account {name} --code CODE"
        case _:
            return f"blinkarchive login --account {name}"


_STATES = {
    State.PENDING: "not tried yet",
    State.FAILED: "tried, and tried again by the next run",
    State.GAVE_UP: "given up, and tried again once a week",
}


def _about_lacks(status: Status) -> Iterator[str]:
    for lack in status.lacks:
        because = f": {printable(lack.reason)}" if lack.reason else ""
        yield (
            f"\n{lack.sink} lacks {count(lack.clips, 'clip')} ({_STATES.get(lack.state, lack.state.value)}; "
            f"the oldest of {moment(lack.oldest)}){because}"
        )
    for sink, unknown in status.unknown.items():
        if unknown:
            yield f"\nSink {sink}: {unknown}"
    for sink, number in status.sealed_away.items():
        yield (
            f"\n{count(number, 'clip')} that {sink} lacks other sinks hold only encrypted; what Blink does not list any more "
            "`blinkarchive run --identity FILE` brings there"
        )


def _about_unreadable(status: Status) -> Iterator[str]:
    for seen in status.unreadable:
        yield (
            f"\nNot understood: {seen.source} of account {seen.account}, item {printable(seen.unreadable.item)}, "
            f"{count(seen.times, 'time')}: {printable(seen.unreadable.reason)}"
        )


def _about_runs(status: Status) -> Iterator[str]:
    now = Clock().now()
    runs = sorted((*status.killed, *status.runs), key=lambda run: run.started_at, reverse=True)
    if runs:
        yield "\nLast runs:"
    for run in runs:
        total = run.total
        lacking = total.failed + total.gave_up
        ended = f"{run.ended}: {printable(run.crashed)}" if run.crashed else str(run.ended)
        yield (
            f"  {moment(run.started_at)} ({age(run.started_at, now)}): {ended}; "
            f"{total.listed:,} listed, {total.stored:,} stored, {total.known:,} stored before, {lacking:,} lacking"
        )
