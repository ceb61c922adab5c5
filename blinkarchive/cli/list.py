"""`list`: the archived clips and their copies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from blinkarchive.cli import running
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.moments import Moment, When, between
from blinkarchive.cli.report import clip_line
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.words import count, data, iso, moment, printable, record, size
from blinkarchive.convert import nearest
from blinkarchive.errors import NothingArchived
from blinkarchive.index.facts import Deletion
from blinkarchive.model import Clip, ClipId, Copy, DamagedCopy, Standing

if TYPE_CHECKING:
    from blinkarchive.index import Index

PAGE = 500


@click.command(cls=Verb, name="list")
@click.option("--since", type=When(), help="Only clips recorded at or after this moment.")
@click.option("--until", type=When(), help="Only clips recorded before this moment; a date means its beginning.")
@click.option("--camera", "cameras", multiple=True, metavar="NAME", help="Only this camera, by name; repeatable.")
@click.option("--deleted", is_flag=True, help="Only clips that were deleted at their source, or are to be, and how that went.")
@click.option(
    "--damaged", is_flag=True, help="Only what is kept of clips that Blink has only damaged, and what is wrong with it."
)
@click.pass_obj
def verb(
    session: Session, since: Moment | None, until: Moment | None, cameras: tuple[str, ...], deleted: bool, damaged: bool
) -> Exit:
    """List the archived clips and their copies, oldest first.

    A clip with a twin is the same recording as another one: the cloud keeps it, and so does a stick.

    With --json every line is one object: id, key, account, camera, network, source, trigger, recorded_at, description and
    detections (the cloud's analysis of the video; "" and [] without one), size, sha256, twin (its id, or null), and copies: a
    list of sink, key, size, sha256, stored_at, encrypted (size and sha256 are then of what the sink holds). Clips that no sink
    holds yet are listed without copies. With --deleted an object is a deletion: id, account, camera, network, source,
    recorded_at, asked_at, tries, accepted, outcome, confirmed_at, and the copies that were verified before. With --damaged an
    object is what a sink keeps of a damaged clip: id, account, camera, network, source, recorded_at, sink, key, size, sha256 (of
    what Blink gave), reason, stored_at.
    """
    if deleted and damaged:
        raise click.UsageError("--deleted and --damaged are two different lists: name one")
    from blinkarchive import wiring

    config = session.load()
    first, last = between(session, since, until)

    unknown: dict[str, str] = {}

    async def work() -> int | None:
        listed = 0
        async with wiring.reading(config) as index:
            known = {name for name, _ in await index.cameras()} if cameras else set[str]()
            unknown.update({name: nearest(name, known) for name in cameras if name not in known})
            if deleted:
                async for deletion in index.deletions():
                    if _is_asked_for(deletion.clip, first, last, cameras):
                        listed += 1
                        if not (record(as_deletion(deletion)) if session.json else data(deletion_line(deletion))):
                            return None
                return listed
            if damaged:
                for clip, copy in await _damaged(index):
                    if _is_asked_for(clip, first, last, cameras):
                        listed += 1
                        if not (record(as_damaged(clip, copy)) if session.json else data(damaged_line(clip, copy))):
                            return None
                return listed
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
            for name, hint in unknown.items():
                session.say(f'Warning: the archive has no clip of a camera "{printable(name)}"{printable(hint)}')
    except NothingArchived:
        session.say("Nothing has been archived yet. Next: blinkarchive run")
    return Exit.DONE


def _is_asked_for(clip: Clip, since: datetime | None, until: datetime | None, cameras: tuple[str, ...]) -> bool:
    early = since is not None and clip.recorded_at < since
    late = until is not None and clip.recorded_at >= until
    return not (early or late or (cameras and clip.camera not in cameras))


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
        "description": clip.description,
        "detections": clip.detections,
        "size": held[0].clip_size if held else None,
        "sha256": held[0].clip_sha256 if held else None,
        "twin": twin,
        "copies": _copies(held),
    }


async def _damaged(index: Index) -> list[tuple[Clip, DamagedCopy]]:
    """What is kept of damaged clips, each with its clip."""
    copies = await index.damaged()
    clips = await index.known([copy.clip for copy in copies])
    return [(clips[copy.clip], copy) for copy in copies]


def damaged_line(clip: Clip, copy: DamagedCopy) -> str:
    """What is kept of a damaged clip, for a person."""
    where = f"{copy.sink}: {printable(copy.key)} ({size(copy.size)})"
    return f"{moment(clip.recorded_at)}  {printable(clip.camera):<20}  {where}: {printable(copy.reason)}"


def as_damaged(clip: Clip, copy: DamagedCopy) -> Mapping[str, object]:
    """What is kept of a damaged clip, for programs."""
    return {
        "id": clip.id,
        "account": clip.account,
        "camera": clip.camera,
        "network": clip.network,
        "source": clip.source.value,
        "recorded_at": iso(clip.recorded_at),
        "sink": copy.sink,
        "key": copy.key,
        "size": copy.size,
        "sha256": copy.sha256,
        "reason": copy.reason,
        "stored_at": iso(copy.stored_at),
    }


def deletion_line(deletion: Deletion) -> str:
    """One deletion for a person: the clip, when it was asked for and how that went, and which sinks were verified before."""
    clip = deletion.clip
    gone = f"gone, seen {moment(deletion.confirmed_at)}" if deletion.confirmed_at else "not known to be gone"
    outcome = printable(deletion.outcome) or "no answer is known"
    tries = f" ({count(deletion.tries, 'try', 'tries')})" if deletion.tries > 1 else ""
    verified = ", ".join(copy.sink for copy in deletion.copies)
    return (
        f"{moment(clip.recorded_at)}  {printable(clip.camera):<20}  {clip.source:<11}  "
        f"asked {moment(deletion.asked_at)}{tries}: {outcome}; {gone}; verified in {verified}"
    )


def as_deletion(deletion: Deletion) -> Mapping[str, object]:
    """A deletion for programs."""
    clip = deletion.clip
    return {
        "id": clip.id,
        "account": clip.account,
        "camera": clip.camera,
        "network": clip.network,
        "source": clip.source.value,
        "recorded_at": iso(clip.recorded_at),
        "asked_at": iso(deletion.asked_at),
        "tries": deletion.tries,
        "accepted": deletion.accepted,
        "outcome": deletion.outcome,
        "confirmed_at": iso(deletion.confirmed_at),
        "copies": _copies(deletion.copies),
    }


def _copies(copies: Sequence[Copy]) -> list[dict[str, object]]:
    return [
        {
            "sink": copy.sink,
            "key": copy.key,
            "size": copy.size,
            "sha256": copy.sha256,
            "stored_at": iso(copy.stored_at),
            "encrypted": copy.plain is not None,
        }
        for copy in copies
    ]
