"""Files of the server that are open: none stays open when its user was cancelled while it was being opened."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

import asyncssh

from blinkarchive_sftp.chores import Chores
from blinkarchive_sftp.session import Session

AHEAD = 4
"""Blocks that are asked for before they are wanted."""


class Opening:
    """A file on its way to be open."""

    def __init__(self, session: Session, path: bytes, flags: int, chores: Chores) -> None:
        # Without a block size of its own a file sends each of our blocks as the one request that it is.
        self._task = chores.begin(self._open(session.sftp, path, flags))
        self._chores = chores
        self._closing: asyncio.Task[None] | None = None

    async def _open(self, sftp: asyncssh.SFTPClient, path: bytes, flags: int) -> asyncssh.SFTPClientFile:
        return await sftp.open(path, flags, encoding=None, block_size=0)

    async def file(self) -> asyncssh.SFTPClientFile:
        """The open file. Raises what opening it raised."""
        return await asyncio.shield(self._task)

    async def close(self) -> None:
        """Close it, once it is open, whoever asks. Raises what closing raised, which may be the first word of a lost write."""
        if self._closing is None:
            self._closing = self._chores.begin(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await (await self.file()).close()


class Flight:
    """Requests that are under way together. They are looked at in their order, each of them, and a failed one ends all."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._tasks: deque[asyncio.Task[object]] = deque()

    async def __aenter__(self) -> Flight:
        return self

    async def place(self) -> None:
        """Wait until one more may be sent. Raises what went wrong with one that was."""
        await self._places.acquire()
        try:
            while self._tasks and self._tasks[0].done():
                self._tasks.popleft().result()
        except BaseException:
            self._places.release()
            raise

    def send(self, request: Coroutine[Any, Any, object]) -> None:
        """Send it in the place that was waited for."""
        task = asyncio.create_task(request)
        task.add_done_callback(lambda _task: self._places.release())
        self._tasks.append(task)

    def give_back(self) -> None:
        """There was nothing to send."""
        self._places.release()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            while error is None and self._tasks:
                await self._tasks[0]
                self._tasks.popleft()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)


class Reading:
    """The bytes of a file from an offset on, asked for ahead of their being wanted."""

    def __init__(self, session: Session, file: asyncssh.SFTPClientFile, start: int, end: int, what: str) -> None:
        self._session = session
        self._file = file
        self._next = start
        self._end = end
        self._what = what
        self._blocks: deque[asyncio.Task[bytes]] = deque()
        self._ended = False

    def __aiter__(self) -> Reading:
        return self

    async def __anext__(self) -> bytes:
        while not self._ended and self._next < self._end and len(self._blocks) < AHEAD:
            size = min(self._session.read_block, self._end - self._next)
            task = asyncio.create_task(self._block(self._next, size))
            task.add_done_callback(lambda task: task.cancelled() or task.exception())
            self._blocks.append(task)
            self._next += size
        if not self._blocks or self._ended:
            raise StopAsyncIteration
        with self._session.doing(self._what):
            block = await self._blocks.popleft()
        if not block:
            self._ended = True  # it is shorter than it was said to be: whoever compares it will see
            raise StopAsyncIteration
        return block

    async def _block(self, at: int, size: int) -> bytes:
        """A block, in as many requests as the server wants; shorter only at the end of the file."""
        block = b""
        while len(block) < size:
            more: bytes = await self._file.read(size - len(block), at + len(block))
            if not more:
                break
            block = block + more if block else more
        return block

    def stop(self) -> None:
        """Want no more of it."""
        self._ended = True
        for task in self._blocks:
            task.cancel()


@asynccontextmanager
async def reading(session: Session, path: bytes, start: int, end: int, chores: Chores, what: str) -> AsyncIterator[Reading]:
    """Read a file from an offset on to where it is known to end."""
    opening = Opening(session, path, asyncssh.FXF_READ, chores)
    chunks: Reading | None = None
    try:
        with session.doing(what):
            chunks = Reading(session, await opening.file(), start, end, what)
        yield chunks
    finally:
        if chunks is not None:
            chunks.stop()
        chores.later(opening.close())
