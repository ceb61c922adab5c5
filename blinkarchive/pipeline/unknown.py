"""Copies that the catalogues of a sink list and the index does not know: after it was lost, or when it is an older backup."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from blinkarchive.encryption import Identities
from blinkarchive.errors import BlinkArchiveError
from blinkarchive.index.facts import Unknown
from blinkarchive.model import SinkName
from blinkarchive.pipeline import catalog
from blinkarchive.pipeline.lane import Lane
from blinkarchive.pipeline.listed import Listed
from blinkarchive.pipeline.naming import CATALOG, SEALED

if TYPE_CHECKING:
    from blinkarchive.clock import Clock
    from blinkarchive.index import Index

COUNTED_EVERY = timedelta(days=1)
"""How often runs count them: catalogues that the index does not know have to be read for it."""


async def count_unknown(
    lane: Lane, index: Index | None, identities: Identities | None = None, *, encrypted: bool = False
) -> Unknown:
    """Count what the sink's catalogues list beyond the index. Only catalogues that the index does not know are read; with
    `encrypted`, unencrypted ones are not.

    Raises `SinkError`, `PluginError` and `ArchiveError`.
    """
    known = await index.catalogues(lane.name) if index else frozenset()
    unread = 0
    async with Listed.opened() as listed:

        async def take(page: catalog.Page) -> None:
            held = set()
            if index is not None:
                standings = await index.standings([clip.id for clip, _ in page], [lane.name])
                held = {copy.key for standing in standings for copy in standing.held}
            await listed.add([one for one in page if one[1].key not in held])

        for stored in await lane.list(CATALOG):
            if stored.key in known or (encrypted and not stored.key.endswith(SEALED)):
                continue
            try:
                await catalog.read(lane, stored, identities, take)
            except BlinkArchiveError:
                unread += 1
        return Unknown(copies=await listed.keys(), catalogues=unread)


async def recounted(lane: Lane, index: Index, clock: Clock, *, encrypted: bool) -> Unknown:
    """What is unknown in the sink of a run: counted once a day, and when a run found copies that it did not know before."""
    before = (await index.unknown()).get(SinkName(lane.name))
    found_some = bool(before and lane.found)
    if before and before.at and not found_some and timedelta(0) <= clock.now() - before.at < COUNTED_EVERY:
        return before
    counted = await count_unknown(lane, index, encrypted=encrypted)
    await index.keep_unknown(lane.name, counted)
    return counted
