"""`status`: what is stored where, and what is pending and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import click

from blinkarchive.cli import accounts, running
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.report import as_record
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.words import age, count, data, iso, moment, printable, record, size, table
from blinkarchive.clock import Clock
from blinkarchive.config import Config
from blinkarchive.errors import NothingArchived
from blinkarchive.index.facts import Lack, LastGood, SeenUnreadable, SinkSummary, Summary
from blinkarchive.model import RunReport, State

RUNS = 5
MOST_UNREADABLE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What the index tells."""

    summary: Summary = field(default_factory=lambda: Summary(clips=0, oldest=None, newest=None, sinks=()))
    lacks: tuple[Lack, ...] = ()
    runs: tuple[RunReport, ...] = ()
    last_good: LastGood = field(default_factory=lambda: LastGood(accounts={}, sources={}, sinks={}))
    unreadable: tuple[SeenUnreadable, ...] = ()


@click.command(cls=Verb, name="status")
@click.pass_obj
def verb(session: Session) -> Exit:
    """Say what is stored where, and what is pending and why.

    Reads the index and the saved sign-ins, and asks nobody: it works while a run goes on, and without a network.
    """
    config = session.load()
    now = Clock().now()
    signed_in = {name: accounts.standing(config, account, now) for name, account in config.accounts.items()}
    status = Status()
    with suppress(NothingArchived):
        status = running.run(lambda: _read(config))
    if session.json:
        record(_as_record(config, status, signed_in))
    else:
        _tell(config, status, signed_in)
    return Exit.DONE


async def _read(config: Config) -> Status:
    from blinkarchive import wiring

    sinks = tuple(config.sinks)
    async with wiring.reading(config) as index:
        return Status(
            summary=await index.summary(sinks),
            lacks=tuple(await index.reasons(sinks)),
            runs=tuple(await index.last_runs(RUNS)),
            last_good=await index.last_good(),
            unreadable=tuple(await index.unreadables(limit=MOST_UNREADABLE)),
        )


def _as_record(config: Config, status: Status, signed_in: Mapping[str, accounts.Standing]) -> dict[str, object]:
    good = status.last_good
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
                "last_good": iso(good.sinks.get(sink.sink)),
            }
            for sink in status.summary.sinks
        },
        "lacking": [
            {"sink": lack.sink, "state": lack.state.value, "reason": lack.reason, "clips": lack.clips, "oldest": iso(lack.oldest)}
            for lack in status.lacks
        ],
        "accounts": {
            name: {
                "sign_in": standing.state.value,
                "detail": standing.detail,
                "token_until": iso(standing.token_until),
                "last_good": iso(good.accounts.get(name)),
            }
            for name, standing in signed_in.items()
        },
        "sources": {str(name): {"last_good": iso(good.sources.get(name))} for name in config.sources},
        "last_runs": [as_record(run) for run in status.runs],
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


def _tell(config: Config, status: Status, signed_in: Mapping[str, accounts.Standing]) -> None:
    for line in (*_about_clips(status), ""):
        data(line)
    known = status.summary.sinks or tuple(SinkSummary(sink=name) for name in config.sinks)
    table(
        ("SINK", "STORED", "SIZE", "PENDING", "FAILED", "GAVE UP", "EXCLUDED"),
        [(sink.sink, f"{sink.stored:,}", size(sink.bytes), *(f"{n:,}" for n in _not_stored(sink))) for sink in known],
    )
    data("")
    table(
        ("ACCOUNT", "SIGN-IN", "WHAT TO DO"),
        [(name, _sign_in(standing), _advice(name, standing)) for name, standing in signed_in.items()],
    )
    for line in (*_about_lacks(status), *_about_unreadable(status), *_about_runs(status)):
        data(line)


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


def _about_unreadable(status: Status) -> Iterator[str]:
    for seen in status.unreadable:
        yield (
            f"\nNot understood: {seen.source} of account {seen.account}, item {printable(seen.unreadable.item)}, "
            f"{count(seen.times, 'time')}: {printable(seen.unreadable.reason)}"
        )


def _about_runs(status: Status) -> Iterator[str]:
    now = Clock().now()
    if status.runs:
        yield "\nLast runs:"
    for run in status.runs:
        total = run.total
        lacking = total.failed + total.gave_up
        ends = [
            ("stopped", run.stopped),
            ("sign-in needed", run.login_needed),
            ("some failed", lacking or run.sinks_failed),
            ("listing incomplete", not run.complete),
        ]
        ended = next((word for word, so in ends if so), "all done")
        yield (
            f"  {moment(run.started_at)} ({age(run.started_at, now)}): {ended}; "
            f"{total.listed:,} listed, {total.stored:,} stored, {total.known:,} stored before, {lacking:,} lacking"
        )
