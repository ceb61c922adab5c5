"""`run`: archive what is new, once."""

from __future__ import annotations

import sys
from datetime import datetime

import click

from blinkarchive.cli import report, running
from blinkarchive.cli.exits import Exit, exit_for_report
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.words import is_terminal, moment, record
from blinkarchive.clock import Clock
from blinkarchive.config import Config, require
from blinkarchive.convert import nearest
from blinkarchive.errors import ConfigError
from blinkarchive.model import SinkName, SourceName
from blinkarchive.pipeline.archive import Ask
from blinkarchive.pipeline.progress import Progress
from blinkarchive.when import MachineZone, names_a_zone, parse_when


class When(click.ParamType[tuple[datetime, str]]):
    """A moment, as `parse_when` reads it; one without a zone is taken in the zone of the machine, said aloud."""

    name = "WHEN"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[datetime, str]:
        try:
            read = parse_when(value, Clock().now(), MachineZone())
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return read, "" if names_a_zone(value) else f"{moment(read)}, in the time zone of this machine"


@click.command(cls=Verb, name="run")
@click.option("--since", type=When(), help="Only clips recorded at or after this moment: 2026-03-01, 7d, …")
@click.option("--until", type=When(), help="Only clips recorded before this moment; of a date that is its first moment.")
@click.option("--camera", "cameras", multiple=True, metavar="NAME", help="Only this camera, by name or id. Can be repeated.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    type=click.Choice([name.value for name in SourceName]),
    help="Only this source. Can be repeated.",
)
@click.option("--sink", "sinks", multiple=True, metavar="NAME", help="Only this sink of the config. Can be repeated.")
@click.option("--dry-run", is_flag=True, help="Say what would be fetched, and change nothing.")
@click.pass_obj
def verb(
    session: Session,
    since: tuple[datetime, str] | None,
    until: tuple[datetime, str] | None,
    cameras: tuple[str, ...],
    sources: tuple[str, ...],
    sinks: tuple[str, ...],
    dry_run: bool,
) -> Exit:
    """Archive what is new, once.

    Lists what the sources have, fetches what the sinks lack, checks every copy, and records it. Without options: all that
    is new. Can be run at any time, and again after any failure.

    WHEN is an ISO date or date-time (with a zone, or in the zone of this machine), "2018/07/04 09:34", or how long ago:
    36h, 7d, 4w.

    Exit codes: 0 all done, 3 some clips or sinks failed, 4 sign-in needed, 5 another run holds the archive, 130 stopped.
    """
    config = session.load()
    require(config)
    for name, when in (("Since", since), ("Until", until)):
        if when is not None and when[1]:
            session.say(f"{name} {when[1]}.")
    if since is not None and until is not None and since[0] >= until[0]:
        raise click.UsageError("--since must be before --until")
    ask = Ask(
        since=since and since[0],
        until=until and until[0],
        cameras=cameras,
        sources=tuple(SourceName(name) for name in sources),
        sinks=_sinks_of(config, sinks),
        dry_run=dry_run,
    )
    return archive(session, config, ask)


def archive(session: Session, config: Config, ask: Ask) -> Exit:
    """Run the pipeline with a progress display, and tell how it ended."""
    from blinkarchive import wiring

    progress = Progress()

    async def work() -> Exit:
        async with report.shown(progress, enabled=session.verbosity >= 0 and is_terminal(sys.stderr)):
            ended = await wiring.run(config, ask, progress, clock=Clock())
        if session.json:
            record(report.as_record(ended))
        elif session.verbosity >= 0:
            report.tell(ended, ask)
        return exit_for_report(ended)

    return running.run(work)


def _sinks_of(config: Config, names: tuple[str, ...]) -> tuple[SinkName, ...]:
    for name in names:
        if name not in config.sinks:
            raise ConfigError(f"--sink {name}: the config has no such sink{nearest(name, config.sinks)}")
    return tuple(SinkName(name) for name in names)
