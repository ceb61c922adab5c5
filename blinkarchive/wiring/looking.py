"""The index of an archive, to look at; and to take a sink out of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from blinkarchive.clock import Clock
from blinkarchive.config import Config
from blinkarchive.errors import ConfigError
from blinkarchive.index import Index
from blinkarchive.index.facts import KnownSink
from blinkarchive.model import ClipId, RunReport, SinkName
from blinkarchive.pipeline.lock import held, is_held
from blinkarchive.wiring.state import State


async def retire(config: Config, name: SinkName, *, force: bool = False, clock: Clock | None = None) -> KnownSink:
    """Forget a sink and what it holds; nothing in it is touched. Returns what was known of it.

    Raises `ConfigError` when the archive has no such sink, or when clips are held by no other one and it is not to be forced;
    `ArchiveBusy` while a run goes on.
    """
    state = State(folder=config.archive.state)
    async with reading(config, clock=clock) as index:  # an index is not made to look for a sink in it
        known = {one.sink: one for one in await index.sinks()}
    if name not in known:
        raise ConfigError(f"the archive has no sink {name}; it has {', '.join(known) or 'none'}")
    with held(state.lock):
        async with Index.open(state.index, clock=clock or Clock()) as index:
            one = next(one for one in await index.sinks() if one.sink == name)
            if one.only_there and not force:
                raise ConfigError(
                    f"{one.only_there:,} clips are held by the sink {name} and no other: put it back into the config, so that "
                    "a run copies them to the others, or say --force"
                )
            await index.forget_sink(name)
            return one


async def killed(config: Config, index: Index) -> tuple[RunReport, ...]:
    """The runs that began and never ended, and that no process works on any more."""
    began = await index.left_over()
    return tuple(began) if began and not is_held(State(folder=config.archive.state).lock) else ()


async def dismiss(
    config: Config, clips: Sequence[str], *, undo: bool = False, clock: Clock | None = None
) -> dict[ClipId, list[SinkName]]:
    """No sink that is missing these clips (ids or keys) has to hold them any more; with `undo` they have to again.

    Returns each clip, and the sinks for which that is new. Raises `ArchiveError` when a clip is not known, `ArchiveBusy` while a
    run goes on, `NothingArchived` before the first run.
    """
    async with reading(config, clock=clock):  # an index is not made to look for a clip in it
        pass
    state = State(folder=config.archive.state)
    with held(state.lock):
        async with Index.open(state.index, clock=clock or Clock()) as index:
            return await index.dismiss(clips, undo=undo)


@asynccontextmanager
async def reading(config: Config, *, clock: Clock | None = None) -> AsyncIterator[Index]:
    """The index, to look at while others may write it. Raises `NothingArchived` before the first run."""
    state = State(folder=config.archive.state)
    if state.folder.exists() and not state.folder.is_dir():
        raise ConfigError(f"[archive] state: {state.folder} is a file, not a folder")
    async with Index.open(state.index, clock=clock or Clock(), read_only=True) as index:
        yield index
