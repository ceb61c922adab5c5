"""From a config to what is in its sinks: clips that are brought back, and copies that are looked at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from blinkarchive.clock import Clock
from blinkarchive.config import Config, EncryptConfig
from blinkarchive.encryption import Identities
from blinkarchive.errors import ConfigError, IndexUnusable, NothingArchived, PluginError, SinkError
from blinkarchive.files import Files
from blinkarchive.index import Index
from blinkarchive.index.facts import Unknown
from blinkarchive.model import Clip, Copy, Key, SinkName, Standing
from blinkarchive.pipeline.archive import Ask
from blinkarchive.pipeline.joining import all_settled, opened_together
from blinkarchive.pipeline.lane import Lane
from blinkarchive.pipeline.listed import Listed, count_strangers, gather, versions
from blinkarchive.pipeline.lock import held
from blinkarchive.pipeline.naming import Namer
from blinkarchive.pipeline.restoring import Restored, Restoring
from blinkarchive.pipeline.unknown import count_unknown
from blinkarchive.pipeline.verifying import Verified, Verifying
from blinkarchive.wiring.looking import reading
from blinkarchive.wiring.sinks import Opening, Openings, openings_of, plugins_of
from blinkarchive.wiring.state import State


async def restore(
    config: Config, ask: Ask, folder: Path, done: Restored, *, catalogues: bool = False, unencrypted: bool = False
) -> None:
    """Bring the clips that are asked for from the sinks to a folder; `done` is told of each.

    What is held where, the index and the catalogues in the sinks say together; where there is no index, or with `catalogues`, the
    catalogues alone. With `unencrypted`, what is not encrypted is believed even from sinks known as encrypted. Nothing in the
    archive is changed, and a run that goes on is not disturbed. Raises `ConfigError` and `ArchiveError`.
    """
    openings = _openings(config, ask.sinks)
    try:
        Files().make_folders(folder)
    except OSError as error:
        raise ConfigError(f"the folder {folder} cannot be made: {error.strerror}") from error
    async with AsyncExitStack() as stack:
        index = await _index(stack, config, needed=not catalogues)
        lanes = await _lanes(stack, openings, await index.sink_ids() if index else {})
        for lane in lanes:
            if lane.closed:
                done.trouble(f"sink {lane.name}", lane.closed)
        listed = await stack.enter_async_context(Listed.opened())
        encrypted = set() if unencrypted else await _encrypted(config, index, lanes)
        done.by_catalogues = index is None or catalogues
        told = None if done.by_catalogues else index
        await _gather(lanes, listed, ask.identities, told, encrypted, done)
        restoring = Restoring({lane.name: lane for lane in lanes}, folder, ask.identities, done)
        names = [lane.name for lane in lanes]
        known = told.clips(names) if told else None
        await restoring.bring(_wanted(known, listed, names, Namer(config.archive.name), ask, done))


async def _index(stack: AsyncExitStack, config: Config, *, needed: bool) -> Index | None:
    """The index, to look at; None where there is none, as on a new machine, or it cannot be used and is not needed."""
    try:
        return await stack.enter_async_context(reading(config))
    except NothingArchived:
        return None
    except IndexUnusable as error:
        if needed:
            raise IndexUnusable(f"{error}. `blinkarchive restore --catalogues` needs no index") from error
        return None


async def _encrypted(config: Config, index: Index | None, lanes: Sequence[Lane]) -> set[SinkName]:
    """The sinks that are known as encrypted: by their marker, the index or the config."""
    by_index = await index.recipients() if index else {}
    by_config = {name for name, sink in config.sinks.items() if isinstance(sink.encrypt, EncryptConfig)}
    return {lane.name for lane in lanes if lane.encrypted or by_index.get(lane.name) or lane.configured in by_config}


async def _gather(
    lanes: Sequence[Lane],
    listed: Listed,
    identities: Identities | None,
    index: Index | None,
    encrypted: Collection[SinkName],
    done: Restored,
) -> None:
    """Read the catalogues of all sinks side by side; with an index, those that it does not know."""

    async def one(lane: Lane) -> None:
        known = await index.catalogues(lane.name) if index else frozenset[Key]()
        await gather(lane, listed, identities, done.trouble, known=known, encrypted=lane.name in encrypted)
        if index is None:
            await count_strangers(lane, listed, done.trouble, done.note)

    async with asyncio.TaskGroup() as tasks:
        for lane in lanes:
            if not lane.closed:
                tasks.create_task(one(lane))


async def _wanted(
    standings: AsyncIterator[Standing] | None, listed: Listed, order: Sequence[SinkName], name: Namer, ask: Ask, done: Restored
) -> AsyncIterator[Standing]:
    """What the index and the catalogues list, and what was asked for of it, oldest recording first: what the index knows, then
    the rest.
    """

    async def everything() -> AsyncIterator[tuple[Standing | None, list[tuple[Clip, Copy]]]]:
        if standings is not None:
            async for standing in standings:
                yield standing, await listed.take(standing.clip.id)
        async for found in listed.rest():
            yield None, found

    async for known, found in everything():
        found.sort(key=lambda one: order.index(one[1].sink))
        all_, contradiction = versions(found, name, known)
        wanted = [standing for standing in all_ if not ask.leaves_out(standing.clip)]
        if wanted and contradiction:
            done.contradictory += 1
            done.trouble(f"clip {wanted[0].clip.id}", contradiction)
        for standing in wanted:
            done.unknown += known is None and standings is not None
            yield standing


async def verify(
    config: Config,
    sinks: Sequence[SinkName],
    found: dict[SinkName, Verified],
    *,
    share: float,
    identities: Identities | None = None,
    clock: Clock | None = None,
) -> None:
    """Look at every copy that the sinks should hold, in all sinks at the same time, and read a share of them back; `found` is
    told of each, by sink.

    What is lost the index knows to be lacking: the next run puts it there again. Raises `ArchiveBusy` while a run goes on,
    `NothingArchived`, `ConfigError` and `ArchiveError`.
    """
    openings, state = _openings(config, sinks), State(folder=config.archive.state)
    async with reading(config):
        pass  # an index is not made to look for copies in it
    with held(state.lock):
        async with Index.open(state.index, clock=clock or Clock()) as index, AsyncExitStack() as stack:
            lanes = await _lanes(stack, openings, await index.sink_ids())
            encrypted = await _encrypted(config, index, lanes)
            found |= {lane.name: Verified(closed=lane.closed) for lane in lanes}

            async def look(lane: Lane) -> None:
                looking = Verifying(lane, index, found=found[lane.name], share=share, identities=identities, folder=state.folder)
                await looking.look(index.clips([lane.name]))
                await _note_unknown(lane, index, identities, looking.found, encrypted)

            async with asyncio.TaskGroup() as tasks:  # one that is slow or silent delays no other
                for lane in lanes:
                    if not lane.closed:
                        tasks.create_task(look(lane))


async def unknown(config: Config, name: SinkName) -> Unknown:
    """What the catalogues of a sink list, and the index does not know; all of it where there is no index.

    Raises `SinkError`, `PluginError`, `ConfigError` and `ArchiveError`.
    """
    async with AsyncExitStack() as stack:
        index = await _index(stack, config, needed=True)
        [lane] = await _lanes(stack, _openings(config, [name]), await index.sink_ids() if index else {})
        if lane.closed:
            return Unknown(copies=0)
        return await count_unknown(lane, index, encrypted=lane.name in await _encrypted(config, index, [lane]))


async def _note_unknown(
    lane: Lane, index: Index, identities: Identities | None, found: Verified, encrypted: Collection[SinkName]
) -> None:
    """Count the copies that the index does not know, and that were not looked at for that."""
    try:
        unknown = await count_unknown(lane, index, identities, encrypted=lane.name in encrypted)
        await index.keep_unknown(lane.name, unknown)
    except (SinkError, PluginError) as error:
        found.trouble(f"its catalogues could not be compared with the index: {error}")
        return
    found.beyond = unknown.copies + unknown.catalogues
    if unknown:
        found.trouble(str(unknown))


def _openings(config: Config, asked: Sequence[SinkName]) -> Openings:
    if not config.sinks:
        raise ConfigError(f"{config.file or 'the environment'}: there is no [sink.NAME] that clips could be in")
    return openings_of(config, plugins_of(config), asked)


async def _lanes(stack: AsyncExitStack, openings: Openings, memory: Mapping[SinkName, str | None]) -> list[Lane]:
    """The sinks, opened to read from them; one that is away is closed, with the reason."""
    lanes = {Lane(name, None, clock=Clock()): opening for name, opening in openings.items()}
    opening_lanes = {}
    for lane, opening in lanes.items():
        if isinstance(opening, Opening):
            opening_lanes[lane] = partial(lane.opened_to_read, opening.open_to_read, memory)
        else:
            lane.close(str(opening))
    await stack.enter_async_context(opened_together(opening_lanes))
    await all_settled(lanes)
    return list(lanes)
