"""`list`: the archived clips and their copies."""

from __future__ import annotations

from collections.abc import Mapping

import click

from blinkarchive.cli import running
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.moments import Moment, When, between
from blinkarchive.cli.report import clip_line
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.words import count, data, iso, record
from blinkarchive.errors import NothingArchived
from blinkarchive.model import Standing


@click.command(cls=Verb, name="list")
@click.option("--since", type=When(), help="Only clips recorded at or after this moment.")
@click.option("--until", type=When(), help="Only clips recorded before this moment; a date means its beginning.")
@click.option("--camera", "cameras", multiple=True, metavar="NAME", help="Only this camera, by name; repeatable.")
@click.pass_obj
def verb(session: Session, since: Moment | None, until: Moment | None, cameras: tuple[str, ...]) -> Exit:
    """List the archived clips and their copies, oldest first.

    With --json every line is one object: id, key, account, camera, network, source, trigger, recorded_at, size, sha256, and
    copies: a list of sink, key, size, sha256, stored_at. Clips that no sink holds yet are listed without copies.
    """
    from blinkarchive import wiring

    config = session.load()
    first, last = between(session, since, until)

    async def work() -> int | None:
        listed = 0
        async with wiring.reading(config) as index:
            async for standing in index.clips(tuple(config.sinks), cameras=cameras, since=first, until=last):
                listed += 1
                if not (record(as_record(standing)) if session.json else data(clip_line(standing))):
                    return None  # whoever read it has gone
        return listed

    try:
        if (listed := running.run(work)) is not None:
            session.say(f"{count(listed, 'clip')}.")
    except NothingArchived:
        session.say("Nothing has been archived yet. Next: blinkarchive run")
    return Exit.DONE


def as_record(standing: Standing) -> Mapping[str, object]:
    """A clip and its copies for programs."""
    clip, held = standing.clip, standing.held
    return {
        "id": clip.id,
        "key": standing.key,
        "account": clip.account,
        "camera": clip.camera,
        "network": clip.network,
        "source": clip.source.value,
        "trigger": clip.trigger,
        "recorded_at": iso(clip.recorded_at),
        "size": held[0].size if held else None,
        "sha256": held[0].sha256 if held else None,
        "copies": [
            {"sink": copy.sink, "key": copy.key, "size": copy.size, "sha256": copy.sha256, "stored_at": iso(copy.stored_at)}
            for copy in held
        ],
    }
