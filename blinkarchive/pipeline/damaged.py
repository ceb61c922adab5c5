"""Clips that Blink itself has only damaged: what came of them is kept, in a folder of its own, and never counts as the clip."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from blinkarchive.clock import Clock
from blinkarchive.errors import BlinkArchiveError
from blinkarchive.model import Clip, Content, DamagedCopy, Key, SinkName
from blinkarchive.pipeline.lane import Lane
from blinkarchive.pipeline.naming import DAMAGED
from blinkarchive.pipeline.progress import Progress
from blinkarchive.pipeline.spool import Spool

if TYPE_CHECKING:
    from blinkarchive.index import Index

log = logging.getLogger(__name__)


async def keep_damaged(
    clip: Clip, key: Key, reason: str, lanes: Sequence[Lane], *, index: Index, spool: Spool, progress: Progress, clock: Clock
) -> frozenset[SinkName]:
    """Store what came of a damaged clip in each of these sinks that does not have these bytes yet, and report it once.

    Returns the sinks that an earlier run had given them: the same bytes on another occasion are all that Blink has. A sink in
    trouble keeps nothing from the others. Raises what the index raises.
    """
    content = spool.damaged(clip.id)
    kept = {copy.sink for copy in await index.damaged(clip.id) if copy.sha256 == content.sha256}
    missing = [lane for lane in lanes if lane.name not in kept]
    async with asyncio.TaskGroup() as tasks:
        stored = [tasks.create_task(_store(clip, key, content, lane, spool, progress)) for lane in missing]
    for lane, task in zip(missing, stored, strict=True):
        if (name := task.result()) is not None:
            await index.keep_damaged(
                DamagedCopy(
                    clip=clip.id,
                    sink=lane.name,
                    key=name,
                    size=content.size,
                    sha256=content.sha256,
                    reason=reason,
                    stored_at=clock.now(),
                )
            )
            progress.trouble(f"clip {clip.id}", f"what Blink has of it is kept in sink {lane.name} as {name}")
    await spool.release(clip.id)
    return frozenset(kept)


async def _store(clip: Clip, key: Key, content: Content, lane: Lane, spool: Spool, progress: Progress) -> Key | None:
    """Store it in one sink, encrypted where all is. Returns its key; None when the sink is in trouble."""
    try:
        if lane.seal is not None:
            content = await spool.sealed(clip.id, lane.name, content, lane.seal.recipients)
            key = lane.seal.name(key)
        name = await lane.store(Key(f"{DAMAGED}{key}"), content)
    except BlinkArchiveError as error:
        progress.trouble(f"sink {lane.name}", str(error))
        return None
    log.info("a damaged clip is kept", extra={"clip": clip.id, "sink": lane.name, "key": name})
    return name
