"""`restore`: clips back from the sinks to a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from blinkarchive.cli import identity, report, running
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.moments import Moment, When, between
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.words import count, length, record, size
from blinkarchive.model import SinkName
from blinkarchive.pipeline.archive import Ask
from blinkarchive.pipeline.restoring import Restored


@click.command(cls=Verb, name="restore")
@click.option("--to", "folder", required=True, type=click.Path(path_type=Path, file_okay=False), help="The folder; it is made.")
@click.option("--since", type=When(), help="Only clips recorded at or after this moment.")
@click.option("--until", type=When(), help="Only clips recorded before this moment; a date means its beginning.")
@click.option("--camera", "cameras", multiple=True, metavar="NAME", help="Only this camera, by name or id; repeatable.")
@click.option("--sink", "sinks", multiple=True, metavar="NAME", help="Only from this sink of the config; repeatable.")
@identity.identity_option("A key that opens encrypted clips, as age-keygen writes one, or of SSH")
@click.option("--catalogues", is_flag=True, help="Use the catalogues in the sinks alone, not the index.")
@click.option(
    "--allow-unencrypted", "unencrypted", is_flag=True, help="Also believe what is not encrypted in sinks known as encrypted."
)
@click.pass_obj
def verb(
    session: Session,
    folder: Path,
    since: Moment | None,
    until: Moment | None,
    cameras: tuple[str, ...],
    sinks: tuple[str, ...],
    identities: tuple[Path, ...],
    catalogues: bool,
    unencrypted: bool,
) -> Exit:
    """Bring clips back from the sinks to a folder.

    Each clip gets the name that it has in the archive, and is proved to be what was archived; what is in the folder already is
    left as it is. Of several sinks the first that can give a clip does; encrypted ones come last.

    What the sinks hold, the index and the catalogues in the sinks say together. Neither the index nor Blink is needed: on a new
    machine a config with the sink is enough, and for encrypted clips a key. Read access to the sinks is enough. Nothing in the
    archive is changed, and a run that goes on is not disturbed.

    From a sink known as encrypted (by its marker, the index or the config), no unencrypted catalogue is used. Where the same clip
    is listed with different contents, all of them are restored under different names, and the exit code is 3.

    \b
    Examples:
      blinkarchive restore --to /mnt/clips
      blinkarchive restore --to . --since 2026-03-01 --camera "Front Door"
      blinkarchive restore --to . --sink away --identity ~/blink-key.txt

    Exit codes: 0 all brought back, 2 usage or config, 3 some clips could not be brought back or looked for, 130 stopped, 1 any
    other error.
    """
    from blinkarchive import wiring

    first, last = between(session, since, until)
    config = session.load()
    ask = Ask(
        since=first,
        until=last,
        cameras=cameras,
        sinks=tuple(SinkName(name) for name in sinks),
        identities=identity.read(identities),
    )
    done = Restored()

    async def work() -> None:
        async with report.shown(lambda seconds: [_so_far(done, seconds)], quiet=session.verbosity < 0):
            await wiring.restore(config, ask, folder, done, catalogues=catalogues, unencrypted=unencrypted)

    running.run(work)
    if cameras and not (done.restored or done.there or done.failed or done.not_held):
        done.note(f"camera {', '.join(cameras)}", "neither the index nor the sinks list a clip of it; see `blinkarchive list`")
    failed = bool(done.failed or done.troubles)
    for line in _summary(done, folder):
        session.say(line, error=failed)
    if session.json:
        record(_as_record(done, folder))
    return Exit.SOME_FAILED if failed else Exit.DONE


def _so_far(done: Restored, seconds: float) -> str:
    return f"{count(done.restored, 'clip')} brought back, {size(done.size)} · {done.failed:,} failed · {length(seconds)}"


def _summary(done: Restored, folder: Path) -> list[str]:
    told = [
        (done.there, "there before"),
        (done.failed, "could not be brought back"),
        (done.not_held, "held by no sink that was asked"),
    ]
    if done.unknown:
        told.append((done.unknown, "of all these not known to the index"))
    also = "".join(f", {number:,} {what}" for number, what in told if number)
    by = ", as the catalogues in the sinks say" if done.by_catalogues else ""
    return [
        f"{count(done.restored, 'clip')} ({size(done.size)}) brought back to {folder}{by}{also}.",
        *report.troubles(done.troubles),
        *report.troubles(done.notes),
    ]


def _as_record(done: Restored, folder: Path) -> Mapping[str, object]:
    return {
        "to": str(folder.absolute()),
        "restored": done.restored,
        "bytes": done.size,
        "there": done.there,
        "failed": done.failed,
        "not_held": done.not_held,
        "by_catalogues": done.by_catalogues,
        "unknown_to_index": done.unknown,
        "contradictory": done.contradictory,
        "troubles": [{"where": one.where, "what": one.what} for one in done.troubles],
        "notes": [{"where": one.where, "what": one.what} for one in done.notes],
    }
