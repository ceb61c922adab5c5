"""`dismiss`: clips that no sink has to hold any more, and how that is undone."""

from __future__ import annotations

import click

from blinkarchive.cli import running
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.words import count, data, printable, record
from blinkarchive.config import Config
from blinkarchive.errors import NothingArchived
from blinkarchive.model import ClipId, SinkName


@click.command(cls=Verb, name="dismiss")
@click.argument("clips", metavar="[CLIP]…", nargs=-1)
@click.option("--failed", is_flag=True, help="Every clip that failed permanently, as `status` lists them.")
@click.option("--undo", is_flag=True, help="The sinks have to hold these clips again: the next run tries them.")
@click.pass_obj
def verb(session: Session, clips: tuple[str, ...], failed: bool, undo: bool) -> Exit:
    """Stop trying to archive a clip, for good; --undo takes that back.

    It is for a clip that Blink cannot give, or that nobody needs.

    CLIP is a clip's id or its key, as `status` and `list --json` show them. No sink that is missing the clip has to hold it any
    more, nor one that is added later; it is not fetched, not reported, and never deleted at its source. Copies that sinks hold
    stay where they are. Without CLIP it lists the clips that are dismissed.

    Exit codes: 0, 2 usage or config, 5 a run holds the archive, 1 any other error, such as a clip that the index does not know:
    then nothing was changed.
    """
    from blinkarchive import wiring

    if failed and (clips or undo):
        raise click.UsageError("--failed chooses the clips itself: name no clip, and no --undo")
    if undo and not clips:
        raise click.UsageError("--undo needs a clip; `blinkarchive dismiss` lists those that are dismissed")
    config = session.load()
    if not clips and not failed:
        return _list(session, config)
    if failed:
        clips = running.run(lambda: _failed(config))
        if not clips:
            return _said(session, {}, "dismissed", "No clip failed permanently.")
    done = running.run(lambda: wiring.dismiss(config, clips, undo=undo))
    return _undone(session, done) if undo else _dismissed(session, done)


async def _failed(config: Config) -> tuple[str, ...]:
    from blinkarchive import wiring

    try:
        async with wiring.reading(config) as index:
            return tuple(one.clip.id for one in await index.given_up_clips(tuple(config.sinks)))
    except NothingArchived:
        return ()


def _list(session: Session, config: Config) -> Exit:
    from blinkarchive import wiring

    async def work() -> dict[ClipId, frozenset[SinkName]]:
        async with wiring.reading(config) as index:
            return await index.dismissed()

    try:
        dismissed = running.run(work)
    except NothingArchived:
        dismissed = {}
    if session.json:
        record({"dismissed": {clip: sorted(sinks) for clip, sinks in dismissed.items()}})
        return Exit.DONE
    for clip, sinks in dismissed.items():
        data(f"{printable(clip)}: not in {', '.join(sorted(sinks))}")
    session.say(f"{count(len(dismissed), 'clip')} dismissed.")
    return Exit.DONE


def _dismissed(session: Session, done: dict[ClipId, list[SinkName]]) -> Exit:
    for clip, sinks in done.items():
        if sinks:
            session.say(f"{printable(clip)} is dismissed, for {', '.join(sinks)}. Undo: blinkarchive dismiss --undo CLIP")
        else:
            session.say(f"{printable(clip)}: nothing to do. No sink is missing it, or it is dismissed already.")
    return _said(session, done, "dismissed")


def _undone(session: Session, done: dict[ClipId, list[SinkName]]) -> Exit:
    for clip, sinks in done.items():
        if sinks:
            session.say(f"{printable(clip)} is no longer dismissed: the next run tries to store it in {', '.join(sinks)}.")
        else:
            session.say(f"{printable(clip)}: nothing to undo, it is not dismissed.")
    return _said(session, done, "undone")


def _said(session: Session, done: dict[ClipId, list[SinkName]], word: str, line: str = "") -> Exit:
    if session.json:
        record({word: {clip: list(sinks) for clip, sinks in done.items() if sinks}})
    if line:
        session.say(line)
    return Exit.DONE
