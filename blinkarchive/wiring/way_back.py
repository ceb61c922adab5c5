"""From a config to what is in its sinks: clips that are brought back, and copies that are looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from blinkarchive.clock import Clock
from blinkarchive.config import Config
from blinkarchive.encryption import Identities
from blinkarchive.errors import BlinkArchiveError, ConfigError, NothingArchived, PluginError
from blinkarchive.files import Files
from blinkarchive.index import Index
from blinkarchive.model import Clip, ClipId, Copy, SinkName, Standing
from blinkarchive.pipeline import catalog
from blinkarchive.pipeline.archive import Ask
from blinkarchive.pipeline.lane import MARKER, Lane
from blinkarchive.pipeline.lock import held
from blinkarchive.pipeline.naming import CATALOG, Namer
from blinkarchive.pipeline.restoring import Restored, Restoring
from blinkarchive.pipeline.verifying import Verified, Verifying
from blinkarchive.wiring.looking import reading
from blinkarchive.wiring.sinks import Openings, openings_of, plugins_of
from blinkarchive.wiring.state import State


async def restore(config: Config, ask: Ask, folder: Path, done: Restored, *, catalogues: bool = False) -> None:
    """Bring the clips that are asked for from the sinks to a folder; `done` is told of each.

    What is held where, the index says; where there is none, or with `catalogues`, the catalogues in the sinks say it. Nothing in
    the archive is changed, and a run that goes on is not disturbed. Raises `ConfigError` and `ArchiveError`.
    """
    openings = _openings(config, ask.sinks)
    try:
        Files().make_folders(folder)
    except OSError as error:
        raise ConfigError(f"the folder {folder} cannot be made: {error.strerror}") from error
    async with AsyncExitStack() as stack:
        index = None
        if not catalogues:
            with suppress(NothingArchived):  # as on a new machine
                index = await stack.enter_async_context(reading(config))
        done.by_catalogues = index is None
        lanes = await _lanes(stack, openings, await index.sink_ids() if index else {})
        for lane in lanes:
            if lane.closed:
                done.trouble(f"sink {lane.name}", lane.closed)
        restoring = Restoring({lane.name: lane for lane in lanes}, folder, ask.identities, done)
        names = [lane.name for lane in lanes]
        standings = index.clips(names) if index else _listed(lanes, ask.identities, Namer(config.archive.name), done.trouble)
        await restoring.bring(standing async for standing in standings if not ask.leaves_out(standing.clip))


async def verify(
    config: Config,
    sinks: Sequence[SinkName],
    found: dict[SinkName, Verified],
    *,
    share: float,
    identities: Identities | None = None,
    clock: Clock | None = None,
) -> None:
    """Look at every copy that the sinks should hold, and read a share of them back; `found` is told of each, by sink.

    What is lost the index knows to be lacking: the next run puts it there again. Raises `ArchiveBusy` while a run goes on,
    `NothingArchived`, `ConfigError` and `ArchiveError`.
    """
    openings, state = _openings(config, sinks), State(folder=config.archive.state)
    async with reading(config):
        pass  # an index is not made to look for copies in it
    with held(state.lock):
        async with Index.open(state.index, clock=clock or Clock()) as index, AsyncExitStack() as stack:
            for lane in await _lanes(stack, openings, await index.sink_ids()):
                looking = Verifying(lane, index, share=share, identities=identities, folder=state.folder)
                found[lane.name] = looking.found
                if lane.closed:
                    looking.found.closed = lane.closed
                else:
                    await looking.look(index.clips([lane.name]))


def _openings(config: Config, asked: Sequence[SinkName]) -> Openings:
    if not config.sinks:
        raise ConfigError(f"{config.file or 'the environment'}: there is no [sink.NAME] that clips could be in")
    return openings_of(config, plugins_of(config), asked)


async def _lanes(stack: AsyncExitStack, openings: Openings, memory: Mapping[SinkName, str | None]) -> list[Lane]:
    """The sinks, opened to read from them; one that is away is closed, with the reason."""
    lanes = []
    for name, opening in openings.items():
        lane = Lane(name, None, clock=Clock())
        lanes.append(lane)
        if isinstance(opening, PluginError):
            lane.close(str(opening))
        else:
            await stack.enter_async_context(lane.opened_to_read(opening.open, memory))
    return lanes


async def _listed(
    lanes: Sequence[Lane], identities: Identities | None, namer: Namer, told: Callable[[str, str], None]
) -> AsyncIterator[Standing]:
    """What the catalogues in the sinks list, oldest recording first: where one cannot be read, the others still are."""
    clips: dict[ClipId, tuple[Clip, dict[tuple[SinkName, str], Copy]]] = {}
    for lane in lanes:
        if lane.closed:
            continue
        keys = set()
        try:
            objects = await lane.list("")
            for stored in objects:
                if stored.key.startswith(CATALOG):
                    try:
                        for clip, copy in await catalog.read(lane, stored, identities):
                            clips.setdefault(clip.id, (clip, {}))[1][lane.name, copy.key] = copy
                            keys.add(copy.key)
                    except BlinkArchiveError as error:
                        told(f"sink {lane.name}", str(error))
        except BlinkArchiveError as error:
            told(f"sink {lane.name}", str(error))
            continue
        others = sum(stored.key not in keys and stored.key != MARKER and not stored.key.startswith(CATALOG) for stored in objects)
        if others:
            told(f"sink {lane.name}", f"it holds {others:,} objects that no catalogue which could be read lists; they stay there")
    for clip, copies in sorted(clips.values(), key=lambda one: one[0].recorded_at):
        yield Standing(clip=clip, key=namer(clip), held=tuple(copies.values()))
