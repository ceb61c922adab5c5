"""The disk sink: its options, and its asynchronous face over a store that blocks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import TypeVar

from blinkarchive import ConfigError, Content, Key, Sink, Stored
from blinkarchive.files import Files
from blinkarchive.threads import Steps
from blinkarchive_disk.modes import mode_of
from blinkarchive_disk.sizes import size_of
from blinkarchive_disk.store import Store

T = TypeVar("T")

THREADS = 8
"""So many puts can wait for the disk side by side: flushes that run together cost little more than one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskOptions:
    """What `[sink.NAME]` takes beside `type = "disk"`."""

    path: str = field(metadata={"help": "the folder: absolute, or beginning with ~; made when only its last part is missing"})
    min_free: int | str | None = field(
        default=None,
        metadata={"help": 'what stays free on that disk, such as "200 MB"; by default 1 % or 200 MB, whichever is more'},
    )
    file_mode: str | None = field(
        default=None,
        metadata={
            "help": 'the mode of new files, such as "0640" (folders then get 0750); by default 0600, or 0640 in a folder with '
            "setgid or a default ACL"
        },
    )


@asynccontextmanager
async def open_disk(options: DiskOptions, files: Files | None = None, *, make: bool = True) -> AsyncIterator[Sink]:
    """Open a folder as a sink. `files` takes the place of the real file operations in tests. Without `make` a missing folder is
    not made.

    Raises `ConfigError` for a path that is relative, and for a size or a mode that is none; `SinkUnavailable` when the folder
    cannot be reached. Leaving waits for what still runs in threads, so that nothing is written after it.
    """
    path = Path(options.path).expanduser()
    if not path.is_absolute():
        raise ConfigError(
            f'path = "{options.path}" must be absolute or begin with ~, to be the same place wherever the program is started'
        )
    min_free = None if options.min_free is None else size_of(options.min_free)
    mode = None if options.file_mode is None else mode_of(options.file_mode)
    store = Store(path, files=files or Files(), min_free=min_free, mode=mode)
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="blinkarchive-disk")
    try:
        await asyncio.wrap_future(pool.submit(store.open, make=make))
        yield DiskSink(store, pool)
    finally:
        await asyncio.to_thread(_close, pool, store)


def open_disk_to_read(options: DiskOptions) -> AbstractAsyncContextManager[Sink]:
    """Open a folder as a sink, and write nothing there. Raises what `open_disk` raises."""
    return open_disk(options, make=False)


class DiskSink:
    """A folder on this machine as a sink.

    Cancelling lets go at once. The worker thread cannot be interrupted: it notices at its next chunk, or right before the object
    would become visible, and cleans up after itself. So a cancelled put stored all or nothing, perhaps a moment later.
    """

    def __init__(self, store: Store, pool: ThreadPoolExecutor) -> None:
        self._store = store
        self._pool = pool

    @property
    def notes(self) -> tuple[str, ...]:
        """What listings have skipped so far, and why: for the owner."""
        return self._store.notes

    async def put(self, key: Key, content: Content) -> None:
        """Store a content: see `Sink.put`."""
        await self._run(partial(self._store.put, key, content))

    async def stat(self, key: Key) -> Stored | None:
        """Size and hash, both read from the stored bytes: see `Sink.stat`."""
        return await self._run(partial(self._store.stat, key))

    @asynccontextmanager
    async def open(self, key: Key, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        """The stored bytes: see `Sink.open`. A missing object shows with the first chunk."""
        steps = Steps(self._pool, self._store.read(key, start))
        try:
            yield steps
        finally:
            steps.close()

    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        """What is stored, folder by folder: see `Sink.list`. Symbolic links to folders, and folders that cannot be read, are
        skipped: see `notes`."""
        steps = Steps(self._pool, self._store.walk(prefix))
        try:
            async for page in steps:
                for stored in page:
                    yield stored
        finally:
            steps.close()

    async def delete(self, key: Key) -> None:
        """Remove an object: see `Sink.delete`. Its folder stays, even when empty."""
        await self._run(lambda _stop: self._store.delete(key))

    async def _run(self, work: Callable[[Event], T]) -> T:
        stop = Event()
        try:
            return await asyncio.wrap_future(self._pool.submit(work, stop))
        finally:
            stop.set()


def _close(pool: ThreadPoolExecutor, store: Store) -> None:
    pool.shutdown()
    store.close()
