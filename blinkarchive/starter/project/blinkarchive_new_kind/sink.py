"""The sink: its options, and the five methods that the archive calls, over a store that blocks.

Keep this file where your library blocks, as most do, and replace the store. Where it is
asynchronous, call it here instead: then there are no threads, and no `stop`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import TypeVar

from blinkarchive import ConfigError, Content, Key, Sink, Stored

from blinkarchive_new_kind.store import Store

T = TypeVar("T")

THREADS = 8
"""So many calls are at work side by side; more wait for their turn."""

PAGE = 200
"""So many objects of a listing are looked at in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKindOptions:
    """The keys that `[sink.NAME]` takes beside `type`. Checked by their types before `open` is called.

    A field without a default must be given by the owner. `type`, `required`, `encrypt`, `parallel`
    and `upload_limit` are reserved: no field may have these names.
    """

    path: str = field(metadata={"help": "the folder: absolute, or beginning with ~; it must exist"})


@asynccontextmanager
async def open_new_kind(
    options: NewKindOptions,
) -> AsyncIterator[Sink]:
    """Connect, and close on the way out.

    Raises `ConfigError` for options that make no sense, and `SinkUnavailable` when the place
    cannot be reached.
    """
    path = Path(options.path).expanduser()
    if not path.is_absolute():
        raise ConfigError(f'path = "{options.path}" must be absolute, or begin with ~')
    store = Store(path)
    pool = ThreadPoolExecutor(THREADS)
    try:
        await asyncio.wrap_future(pool.submit(store.open))
        yield NewKindSink(store, pool)
    finally:
        # Waits for what still runs in a thread: nothing is written after the sink was closed.
        await asyncio.to_thread(pool.shutdown)


class NewKindSink:
    """What `blinkarchive.Sink` asks for. There is no retry, queue or time-out: the archive has them."""

    def __init__(self, store: Store, pool: ThreadPoolExecutor) -> None:
        self._store = store
        self._pool = pool

    async def put(self, key: Key, content: Content) -> None:
        await self._run(partial(self._store.put, key, content))

    async def stat(self, key: Key) -> Stored | None:
        return await self._run(partial(self._store.stat, key))

    @asynccontextmanager
    async def open(self, key: Key, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        # Nothing is held between two chunks, so a reader who leaves early leaves nothing open.
        yield self._chunks(key, start)

    async def _chunks(self, key: Key, at: int) -> AsyncIterator[bytes]:
        while chunk := await self._run(partial(self._store.read, key, at)):
            yield chunk
            at += len(chunk)

    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        names = await self._run(self._store.names)
        for at in range(0, len(names), PAGE):
            for stored in await self._run(partial(self._store.look, names[at : at + PAGE])):
                if stored.key.startswith(prefix):
                    yield stored

    async def delete(self, key: Key) -> None:
        await self._run(partial(self._store.delete, key))

    async def _run(self, work: Callable[[Event], T]) -> T:
        """Do it in a thread.

        A cancellation comes through here at once. The thread cannot be interrupted: it is told by
        `stop`, and undoes what it has begun.
        """
        stop = Event()
        try:
            return await asyncio.wrap_future(self._pool.submit(work, stop))
        finally:
            stop.set()
