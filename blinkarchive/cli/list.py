"""`list`: the archived clips and their copies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import click

from blinkarchive.cli import running
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.moments import Moment, When, between
from blinkarchive.cli.report import clip_line
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.words import count, data, iso, record
from blinkarchive.errors import NothingArchived
from blinkarchive.model import ClipId, Standing

PAGE = 500


@click.command(cls=Verb, name="list")
@click.option("--since", type=When(), help="Only clips recorded at or after this moment.")
@click.option("--until", type=When(), help="Only clips recorded before this moment; a date means its beginning.")
@click.option("--camera", "cameras", multiple=True, metavar="NAME", help="Only this camera, by name; repeatable.")
@click.pass_obj
def verb(session: Session, since: Moment | None, until: Moment | None, cameras: tuple[str, ...]) -> Exit:
    """List the archived clips and their copies, oldest first.

    A clip with a twin is the same recording as another one: the cloud keeps it, and so does a stick.

    With --json every line is one object: id, key, account, camera, network, source, trigger, recorded_at, size, sha256, twin
    (its id, or null), and copies: a list of sink, key, size, sha256, stored_at. Clips that no sink holds yet are listed without
    copies.
    """
    from blinkarchive import wiring

    config = session.load()
    first, last = between(session, since, until)

    async def work() -> int | None:
        listed = 0
        async with wiring.reading(config) as index:
            async for page in _pages(index.clips(tuple(config.sinks), cameras=cameras, since=first, until=last)):
                twins = await index.twins([standing.clip.id for standing in page])
                for standing in page:
                    listed += 1
                    twin = twins.get(standing.clip.id)
                    told = as_record(standing, twin) if session.json else clip_line(standing, twin=twin is not None)
                    if not (record(told) if isinstance(told, Mapping) else data(told)):
                        return None  # whoever read it has gone
        return listed

    try:
        if (listed := running.run(work)) is not None:
            session.say(f"{count(listed, 'clip')}.")
    except NothingArchived:
        session.say("Nothing has been archived yet. Next: blinkarchive run")
    return Exit.DONE


async def _pages(standings: AsyncIterator[Standing]) -> AsyncIterator[list[Standing]]:
    """The clips, some hundreds at a time."""
    page: list[Standing] = []
    async for standing in standings:
        page.append(standing)
        if len(page) == PAGE:
            yield page
            page = []
    yield page


def as_record(standing: Standing, twin: ClipId | None) -> Mapping[str, object]:
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
        "twin": twin,
        "copies": [
            {"sink": copy.sink, "key": copy.key, "size": copy.size, "sha256": copy.sha256, "stored_at": iso(copy.stored_at)}
            for copy in held
        ],
    }
