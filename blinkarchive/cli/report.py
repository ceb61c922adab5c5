"""How a run looks while it goes on, and what is said of it when it has ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict

from blinkarchive.cli.words import count, iso, length, printable, size, talk
from blinkarchive.model import RunReport, Tally
from blinkarchive.pipeline.archive import Ask
from blinkarchive.pipeline.progress import Count, Progress

LOOKS_PER_SECOND = 4
MOST_TROUBLES_TOLD = 12


@asynccontextmanager
async def shown(progress: Progress, *, enabled: bool) -> AsyncIterator[None]:
    """Show the progress on the terminal behind stderr while the block runs."""
    if not enabled:
        yield
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    began = time.monotonic()
    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:

        async def look() -> None:
            while True:
                live.update(Text("\n".join(lines(progress, time.monotonic() - began))), refresh=True)
                await asyncio.sleep(1 / LOOKS_PER_SECOND)

        async with asyncio.TaskGroup() as group:
            looking = group.create_task(look())
            try:
                yield
            finally:
                looking.cancel()


def lines(progress: Progress, seconds: float) -> list[str]:
    """The progress in words: one line for all, one for each sink."""
    total = progress.total
    ended = _ended(total)
    parts = [count(total.listed, "clip") + (" so far" if progress.listing else ""), f"{ended:,} done"]
    if total.bytes:
        parts.append(f"{size(total.bytes)} fetched, {size(total.bytes / max(seconds, 0.001))}/s")
    parts.append(_time_left(progress, seconds))
    told = [" · ".join(part for part in parts if part)]
    for name, sink in progress.sinks.items():
        failed = sink.failed + sink.gave_up
        told.append(f"  {name}: {sink.stored:,} stored, {size(sink.bytes)}" + (f", {failed:,} failed" if failed else ""))
    return told


def _ended(one: Count) -> int:
    return one.known + one.stored + one.failed + one.gave_up + one.excluded


def _time_left(progress: Progress, seconds: float) -> str:
    """How long it may still take; nobody knows before the listing is complete and some clips are done."""
    total = progress.total
    worked = total.stored + total.failed + total.gave_up
    left = total.listed - _ended(total)
    if progress.listing or not worked or left <= 0:
        return ""
    return f"about {length(seconds * left / worked)} left"


def as_record(report: RunReport) -> dict[str, object]:
    """The report as one object for programs. Names and meanings stay; there may be more of them one day."""
    return {
        "run": report.run,
        "started_at": iso(report.started_at),
        **_tally(report.total),
        "seconds": round(report.seconds, 3),
        "complete": report.complete,
        "stopped": report.stopped,
        "login_needed": list(report.login_needed),
        "accounts": {name: _tally(tally) for name, tally in report.accounts.items()},
        "sources": {str(name): _tally(tally) for name, tally in report.sources.items()},
        "sinks": {name: _tally(tally) for name, tally in report.sinks.items()},
        "excluded_reasons": dict(report.excluded),
        "troubles": [{"where": trouble.where, "what": trouble.what} for trouble in report.troubles],
    }


def _tally(tally: Tally) -> dict[str, object]:
    return dict(asdict(tally))


def tell(report: RunReport, ask: Ask) -> None:
    """Say in a few lines what is where, what is not, and why."""
    total = report.total
    head = f"Stopped after {length(report.seconds)}" if report.stopped else f"Done in {length(report.seconds)}"
    if ask.dry_run:
        talk(f"A dry run: nothing was changed. {_counts(total, would=True)}.")
    else:
        talk(f"{head}: {_counts(total)}.")
    if not ask.dry_run:
        for name, tally in report.sinks.items():
            talk(f"  {name}: {_of_sink(tally)}")
    if report.excluded:
        talk(f"  Left out: {_reasons(report.excluded)}")
    for trouble in report.troubles[:MOST_TROUBLES_TOLD]:
        talk(f"  {printable(trouble.where)}: {printable(trouble.what)}")
    if len(report.troubles) > MOST_TROUBLES_TOLD:
        talk(f"  … and {count(len(report.troubles) - MOST_TROUBLES_TOLD, 'more trouble')}; --json gives them all")
    for line in _next_steps(report):
        talk(line)


def _counts(total: Tally, *, would: bool = False) -> str:
    said = [
        (total.stored, "to fetch" if would else "stored now"),
        (total.known, "already stored"),
        (total.failed, "not stored yet"),
        (total.gave_up, "given up for now"),
        (total.excluded, "left out"),
    ]
    parts = [f"{number:,} {what}" for number, what in said if number]
    return f"{count(total.listed, 'clip')} listed" + (f": {', '.join(parts)}" if parts else "")


def _of_sink(tally: Tally) -> str:
    has = f"has {count(tally.stored + tally.known, 'clip')} of {tally.listed:,}"
    new = f", {tally.stored:,} of them new ({size(tally.bytes)})" if tally.stored else ", nothing new"
    lacks = tally.failed + tally.gave_up
    return has + new + (f"; lacks {lacks:,}" if lacks else "")


def _reasons(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {reason}" for reason, number in sorted(reasons.items(), key=lambda one: -one[1]))


def _next_steps(report: RunReport) -> list[str]:
    told = [f"Account {name} needs a sign-in: blinkarchive login --account {name}" for name in report.login_needed]
    if not report.complete and not report.stopped:
        told.append("A listing ended early, so there may be more clips; the next run lists again.")
    if report.total.failed:
        told.append("The next run tries again what is not stored yet; `blinkarchive status` says what and why.")
    return told
