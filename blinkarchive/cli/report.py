"""How a run looks while it goes on, and what is said of it when it has ended."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict

from blinkarchive.cli.words import count, is_terminal, iso, length, moment, printable, size
from blinkarchive.config import Config
from blinkarchive.model import Outcome, RunEnd, RunReport, Standing, Trouble
from blinkarchive.pipeline.archive import Ask
from blinkarchive.pipeline.progress import Count, Progress

LOOKS_PER_SECOND = 4
DRY_RUN = "dry run"
"""Why a clip was left out that only a real run would fetch."""
MOST_TROUBLES = 12
"""So many troubles are said to a person; a program gets them all."""


async def archived(
    config: Config,
    ask: Ask,
    *,
    quiet: bool,
    planned: Callable[[Standing], None] = lambda _: None,
    would_delete: Callable[[Standing], None] = lambda _: None,
) -> RunReport:
    """Run the pipeline; a person at a terminal sees how far it is."""
    from blinkarchive import wiring

    progress = Progress()
    async with shown(lambda seconds: lines(progress, seconds), quiet=quiet):
        return await wiring.run(config, ask, progress, planned=planned, would_delete=would_delete)


@asynccontextmanager
async def shown(words: Callable[[float], list[str]], *, quiet: bool) -> AsyncIterator[None]:
    """Show how far it is on the terminal behind stderr while the block runs: in the words for so many seconds."""
    if quiet or not is_terminal(sys.stderr):
        yield
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    began = time.monotonic()
    # stdout stays what it is: it may be somebody's file.
    with Live(console=Console(stderr=True), auto_refresh=False, transient=True, redirect_stdout=False) as live:

        async def look() -> None:
            while True:
                live.update(Text("\n".join(words(time.monotonic() - began)), no_wrap=True), refresh=True)
                await asyncio.sleep(1 / LOOKS_PER_SECOND)

        async with asyncio.TaskGroup() as group:
            looking = group.create_task(look())
            try:
                yield
            finally:
                looking.cancel()


def lines(progress: Progress, seconds: float) -> list[str]:
    """The progress in words: a line for all, and one for each sink."""
    total = progress.total
    parts = [
        count(total.listed, "clip") + (" so far" if progress.listing else ""),
        f"{_ended(total):,} done",
        f"{size(total.bytes)}, {size(total.bytes / max(seconds, 0.001))}/s" if total.bytes else "",
        _time_left(progress, seconds),
    ]
    sinks = (
        f"  {name}: {sink.stored:,} stored, {size(sink.bytes)}" + _also(sink.failed + sink.gave_up, "failed")
        for name, sink in progress.sinks.items()
    )
    return [" · ".join(part for part in parts if part), *sinks]


def _ended(total: Count) -> int:
    return total.known + total.stored + total.failed + total.gave_up + total.excluded


def _time_left(progress: Progress, seconds: float) -> str:
    """How long it may still take; nobody knows before the listing is complete and some clips are done."""
    worked = progress.total.stored + progress.total.failed + progress.total.gave_up
    left = progress.total.listed - _ended(progress.total)
    return "" if progress.listing or not worked or left <= 0 else f"about {length(seconds * left / worked)} left"


def as_record(report: RunReport) -> dict[str, object]:
    """The report for programs. Names and meanings stay; there may be more of them one day."""
    # Accounts, sources and sinks are served side by side: each takes as long as the run.
    seconds = {"seconds": round(report.seconds, 3)}
    return {
        "run": report.run,
        "started_at": iso(report.started_at),
        **asdict(report.total),
        **seconds,
        "deleted": report.deleted,
        "deletions_confirmed": report.deletions_confirmed,
        "deletions_failed": report.deletions_failed,
        "would_delete": list(report.would_delete),
        "gave_up_now": report.gave_up_now,
        "ended": report.ended.value,
        "crashed": report.crashed,
        "outcomes": [outcome_record(outcome) for outcome in report.outcomes],
        "complete": report.complete,
        "stopped": report.stopped,
        "login_needed": list(report.login_needed),
        "sinks_failed": list(report.sinks_failed),
        "optional": list(report.optional),
        "accounts": {name: asdict(tally) | seconds for name, tally in report.accounts.items()},
        "sources": {str(name): asdict(tally) | seconds for name, tally in report.sources.items()},
        "sinks": {name: asdict(tally) | seconds for name, tally in report.sinks.items()},
        "excluded_reasons": dict(report.excluded),
        "troubles": [{"where": trouble.where, "what": trouble.what} for trouble in report.troubles],
        "notes": [{"where": note.where, "what": note.what} for note in report.notes],
    }


def outcome_record(outcome: Outcome) -> dict[str, object]:
    """How a run ended for one source of an account, or one sink, for programs."""
    subject = outcome.subject
    named: dict[str, object] = {subject.kind.value: subject.name}
    if subject.source is not None:
        named["source"] = subject.source.value
    return named | {"result": outcome.result.value, "reason": outcome.reason}


def summary(report: RunReport, *, dry_run: bool = False) -> list[str]:
    """What is where, what is not and why, in a few lines."""
    return [
        _head(report, dry_run),
        *([] if dry_run else _sinks(report)),
        *_left_out(report),
        *_deletions(report),
        *troubles(report.troubles),
        *troubles(report.notes),
        *_next_steps(report),
    ]


def _head(report: RunReport, dry_run: bool) -> str:
    total, planned = report.total, report.excluded.get(DRY_RUN, 0)
    ends = [
        (planned, "would be fetched"),
        (total.stored, "stored now"),
        (total.known, "stored before"),
        (total.failed, "not stored yet"),
        (total.gave_up, "given up for now"),
        (total.excluded - planned, "left out"),
    ]
    told = ", ".join(f"{number:,} {what}" for number, what in ends if number)
    return f"{_how_it_ended(report, dry_run)}: {count(total.listed, 'clip')} listed{': ' if told else ''}{told}."


def _how_it_ended(report: RunReport, dry_run: bool) -> str:
    if dry_run:
        return "A dry run, nothing was changed"
    if report.stopped:
        return f"Stopped after {length(report.seconds)}"
    return f"{'Done' if report.ended is RunEnd.DONE else 'Ended, not all done,'} in {length(report.seconds)}"


def _sinks(report: RunReport) -> list[str]:
    return [
        f"  {name}: {tally.stored:,} new ({size(tally.bytes)}), "
        + ("not looked at to its end" if name in report.sinks_failed else f"{tally.known:,} there before")
        + _also(tally.failed + tally.gave_up, "lacking")
        for name, tally in report.sinks.items()
    ]


def _left_out(report: RunReport) -> list[str]:
    told = ", ".join(f"{number:,} {reason}" for reason, number in sorted(report.excluded.items()) if reason != DRY_RUN)
    return [f"  left out: {told}"] if told else []


def _deletions(report: RunReport) -> list[str]:
    told = [
        (report.deleted, "deleted at the source"),
        (report.deletions_confirmed, "deleted before and gone now"),
        (report.deletions_failed, "not deleted after all"),
        (len(report.would_delete), "would be deleted at the source, if every copy proves good then"),
    ]
    return [f"  {number:,} {what}" for number, what in told if number]


def troubles(kept: Sequence[Trouble]) -> list[str]:
    """What went wrong, a line each; a person is told no more than the first of it."""
    told = [f"  {printable(trouble.where)}: {printable(trouble.what)}" for trouble in kept[:MOST_TROUBLES]]
    more = len(kept) - len(told)
    return [*told, f"  … and {more:,} more; --json tells them all"] if more else told


def _next_steps(report: RunReport) -> list[str]:
    told = [f"Account {name} needs you: blinkarchive login --account {name}" for name in report.login_needed]
    if report.ended in (RunEnd.INCOMPLETE, RunEnd.SOME_FAILED) and not report.complete:
        told.append("A listing ended early, so there may be more clips; the next run lists them again.")
    if report.total.failed:
        told.append("What is not stored yet is tried again by the next run; `blinkarchive status` says why.")
    if report.total.gave_up:
        told.append(
            "What was given up after ten tries is tried again once a week; `blinkarchive status` says why, and "
            "`blinkarchive dismiss CLIP` ends it."
        )
    return told


def _also(number: int, what: str) -> str:
    return f", {number:,} {what}" if number else ""


def clip_line(standing: Standing, *, twin: bool = False) -> str:
    """One clip for a person: when, where, from which source, how large, which sinks hold it, and whether it has a twin."""
    clip = standing.clip
    where = ", ".join(copy.sink for copy in standing.held) or "-"
    held = size(standing.held[0].clip_size) if standing.held else "-"
    too = "  twin" if twin else ""
    return f"{moment(clip.recorded_at)}  {printable(clip.camera):<20}  {clip.source:<11}  {held:>7}  {where}{too}"
