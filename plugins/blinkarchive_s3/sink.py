"""The S3 sink: how it is opened, and its asynchronous face over a store that blocks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, TypeVar

from blinkarchive import ConfigError, Content, Key, Sink, SinkError, Stored
from blinkarchive.threads import Steps
from blinkarchive_s3.options import S3Options
from blinkarchive_s3.traits import UNPROBED, Known

if TYPE_CHECKING:
    from blinkarchive_s3.store import Limits, Store

T = TypeVar("T")

THREADS = 16
"""So many calls at once: as many as the core makes."""

_KNOWN: Known = {}


@asynccontextmanager
async def open_s3(
    options: S3Options, limits: Limits | None = None, known: Known | None = None, *, probe: bool = True
) -> AsyncIterator[Sink]:
    """Open a bucket as a sink, and find out what its store can do: once for all that share what is `known`, by default a process.
    Without `probe` nothing is put there to find out, and the store is trusted with nothing that is not known.

    Raises `ConfigError` when boto3 is not installed or the options make no sense, and `SinkUnavailable` when the bucket
    cannot be reached with these credentials. Leaving waits for what still runs in threads, so that nothing is put after it.
    """
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="blinkarchive-s3")
    try:
        store = await asyncio.wrap_future(pool.submit(_open, options, limits, _KNOWN if known is None else known, probe))
        try:
            yield S3Sink(store, pool)
        finally:
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)
            store.close()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def open_s3_to_read(options: S3Options) -> AbstractAsyncContextManager[Sink]:
    """Open a bucket as a sink with a key that can only read and list. Raises what `open_s3` raises."""
    return open_s3(options, probe=False)


def _open(options: S3Options, limits: Limits | None, known: Known, probe: bool) -> Store:
    """In a thread: importing boto3 and making a client take most of a second."""
    try:
        import boto3  # noqa: F401
    except ImportError as error:
        raise ConfigError('sinks of type "s3" need boto3: pip install "blinkarchive[s3]"') from error
    from blinkarchive_s3.client import connect, secrets_of
    from blinkarchive_s3.probe import probed
    from blinkarchive_s3.proxies import changes_host, refused_size
    from blinkarchive_s3.store import Limits, Store
    from blinkarchive_s3.telling import Teller, is_wrong_signature

    secrets = secrets_of(options)
    client = connect(options, secrets, connections=2 * THREADS)
    store = Store(client, options, Teller(options.bucket, tuple(secrets.values())), limits or Limits())
    try:
        store.traits = known.get(store.place, UNPROBED)
        if probe and not store.traits.probed:
            store.traits = probed(store).noting(refused_size(options, secrets))
            known[store.place] = store.traits
    except SinkError as error:
        store.close()
        if is_wrong_signature(error) and changes_host(options, secrets):
            raise store.teller.wrong_host() from error
        raise
    except BaseException:
        store.close()
        raise
    return store


class S3Sink:
    """A bucket as a sink.

    Cancelling lets go at once. The thread cannot be interrupted: it stops at the next piece of the file, and a put that has not
    got all of its bytes is none. So a cancelled put stored all or nothing, perhaps a moment later.
    """

    def __init__(self, store: Store, pool: ThreadPoolExecutor) -> None:
        self._store = store
        self._pool = pool

    @property
    def parallel(self) -> int:
        """How many clips are put at the same time: see `Sink`."""
        return THREADS

    @property
    def notes(self) -> tuple[str, ...]:
        """What the owner should know of this store, in words: for `blinkarchive doctor`."""
        return self._store.traits.notes

    async def put(self, key: Key, content: Content) -> None:
        """Store a content: see `Sink.put`."""
        stop = Event()
        try:
            await self._run(partial(self._store.put, key, content, stop))
        finally:
            stop.set()

    async def stat(self, key: Key) -> Stored | None:
        """Size, and the store's own hash where it has one: see `Sink.stat`."""
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
        """What is stored, page by page: see `Sink.list`. What is no key, such as the folders that consoles make, is left out."""
        steps = Steps(self._pool, self._store.pages(prefix))
        try:
            async for page in steps:
                for stored in page:
                    yield stored
        finally:
            steps.close()

    async def delete(self, key: Key) -> None:
        """Remove an object: see `Sink.delete`. A bucket that keeps versions keeps it as one."""
        await self._run(partial(self._store.delete, key))

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._pool.submit(work))
