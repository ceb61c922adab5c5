"""`run`: archive what is new, once."""

from __future__ import annotations

from pathlib import Path

import click

from blinkarchive.cli import identity, report, running
from blinkarchive.cli.exits import Exit, exit_for_report
from blinkarchive.cli.moments import Moment, When, between
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.words import data, record
from blinkarchive.model import SinkName, SourceName, Standing
from blinkarchive.pipeline.archive import Ask


@click.command(cls=Verb, name="run")
@click.option("--since", type=When(), help="Only clips recorded at or after this moment.")
@click.option("--until", type=When(), help="Only clips recorded before this moment; a date means its beginning.")
@click.option("--camera", "cameras", multiple=True, metavar="NAME", help="Only this camera, by name or id; repeatable.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    type=click.Choice([name.value for name in SourceName]),
    help="Only this source; repeatable.",
)
@click.option("--sink", "sinks", multiple=True, metavar="NAME", help="Only this sink of the config; repeatable.")
@identity.identity_option("A key that opens encrypted copies, so that other sinks are brought what they lack from there")
@click.option("--dry-run", is_flag=True, help="List what would be fetched or deleted, and change nothing.")
@click.pass_obj
def verb(
    session: Session,
    since: Moment | None,
    until: Moment | None,
    cameras: tuple[str, ...],
    sources: tuple[str, ...],
    sinks: tuple[str, ...],
    identities: tuple[Path, ...],
    dry_run: bool,
) -> Exit:
    """Archive what is new, once.

    Lists what the sources have, fetches what the sinks lack, checks every copy, and records it. Run it as often as you like,
    and again after any failure: only what is lacking is fetched.

    WHEN is an ISO date or date-time, with a zone or in the zone of this machine; or "2018/07/04 09:34"; or how long ago:
    36h, 7d, 4w.

    \b
    Examples:
      blinkarchive run
      blinkarchive run --since 2026-03-01 --camera "Front Door"
      blinkarchive run --since 7d --dry-run

    Exit codes: 0 all done, 2 usage or config, 3 some clips or sinks failed, 4 sign-in needed, 5 another run holds the
    archive, 130 stopped, 1 any other error.
    """
    first, last = between(session, since, until)
    ask = Ask(
        since=first,
        until=last,
        cameras=cameras,
        sources=tuple(SourceName(name) for name in sources),
        sinks=tuple(SinkName(name) for name in sinks),
        identities=identity.read(identities),
        dry_run=dry_run,
    )
    config = session.load()
    planned, would_delete = (_ignore, _ignore) if session.json else (_would_fetch, _would_delete)
    ended = running.run(
        lambda: report.archived(config, ask, quiet=session.verbosity < 0, planned=planned, would_delete=would_delete)
    )
    code = exit_for_report(ended)
    for line in report.summary(ended, dry_run=dry_run):
        session.say(line, error=code != Exit.DONE)
    if session.json:
        record(report.as_record(ended))
    return code


def _would_fetch(standing: Standing) -> None:
    """A line of data for a clip that a run would fetch."""
    data(report.clip_line(standing))


def _would_delete(standing: Standing) -> None:
    """A line of data for a clip that a run would delete at its source."""
    data(f"{report.clip_line(standing)}  would be deleted")


def _ignore(standing: Standing) -> None:
    """With --json there is one object at the end, and nothing before it."""
