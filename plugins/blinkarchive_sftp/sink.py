"""The SFTP sink: its five methods, each over one of a few connections."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from asyncssh import SFTPName, SFTPPermissionDenied
from asyncssh.constants import FILEXFER_TYPE_DIRECTORY, FILEXFER_TYPE_SYMLINK, FILEXFER_TYPE_UNKNOWN

from blinkarchive import Content, Key, NotFound, SinkError, Stored
from blinkarchive.keys import parts_of, why_not
from blinkarchive_sftp.chores import Chores
from blinkarchive_sftp.drafts import Drafts
from blinkarchive_sftp.folders import Folders
from blinkarchive_sftp.names import name_of
from blinkarchive_sftp.options import SftpOptions
from blinkarchive_sftp.pool import Pool
from blinkarchive_sftp.remote import reading
from blinkarchive_sftp.session import Login, Session
from blinkarchive_sftp.storing import Storing
from blinkarchive_sftp.telling import MISSING

MOST_SKIPPED = 100
"""So many skipped paths are named."""

_PATIENCE = 2.0
"""Seconds that closing waits for what is still being tidied up."""


@asynccontextmanager
async def opened(options: SftpOptions, *, make: bool = True) -> AsyncIterator[SftpSink]:
    """Log in and see that the folder is there. With `make` it is made if need be, and what killed runs left in it is removed.

    Raises `ConfigError`, `SinkUnavailable`."""
    _quieten()
    chores = Chores()
    pool = Pool(Login.of(options).session, options.connections, chores)
    sink = SftpSink(options, pool, chores)
    try:
        await sink.begin(make=make)
        yield sink
    finally:
        try:
            await chores.done(_PATIENCE)
        finally:
            await pool.close()


class SftpSink:
    """A folder of a server as a sink."""

    def __init__(self, options: SftpOptions, pool: Pool, chores: Chores) -> None:
        self._address = options.address
        self._pool = pool
        self._chores = chores
        self._folders = Folders(options.path, options.address)
        self._drafts = Drafts(self._folders, chores)
        self._storing = Storing(self._folders, self._drafts, options.address)
        #: What listings skipped, and why: each path once.
        self._skipped: dict[str, str] = {}

    async def begin(self, *, make: bool) -> None:
        """Enter the folder."""
        async with self._pool.session() as session:
            await self._folders.enter(session, make=make)
            if make:
                await self._drafts.sweep(session)

    @property
    def notes(self) -> tuple[str, ...]:
        """What listings have skipped so far, and why: for the owner."""
        return tuple(f"{self._address}: {path} was skipped: {why}" for path, why in self._skipped.items())

    def _skip(self, folder: tuple[str, ...], why: str) -> None:
        if len(self._skipped) < MOST_SKIPPED:
            self._skipped[self._folders.told(folder)] = why

    async def put(self, key: Key, content: Content) -> None:
        """Store a content: see `Sink.put`. What is durable is the file; for its name SFTP has no such promise."""
        async with self._pool.session() as session:
            await self._storing.put(session, key, content)

    async def stat(self, key: Key) -> Stored | None:
        """The size, as the server tells it; it tells no hash: see `Sink.stat`."""
        parts = parts_of(key)
        async with self._pool.session() as session:
            found = await self._folders.look(session, parts)
            return None if found is None else Stored(key=key, size=found.size or 0)

    @asynccontextmanager
    async def open(self, key: Key, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        """The stored bytes: see `Sink.open`."""
        parts = parts_of(key)
        what = f"read {self._folders.told(parts)}"
        async with self._pool.session() as session:
            found = await self._folders.look(session, parts)
            if found is None:
                raise NotFound(f"{self._address}: {self._folders.told(parts)} is not there")
            end = found.size or 0
            async with reading(session, self._folders.path(parts), start, end, self._chores, what) as chunks:
                yield chunks

    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        """What is stored, folder by folder: see `Sink.list`. Remembers folders still to be visited, never objects."""
        base = tuple(prefix.split("/")[:-1])
        waiting = deque([] if any(why_not(part) for part in base) else [base])
        async with self._pool.session() as session:
            while waiting:
                folder = waiting.pop()
                async for stored in self._visit(session, folder, prefix, waiting, asked=folder == base):
                    yield stored
            await self._folders.require(session)  # a disk that went away in the meantime must not look like a short listing

    async def _visit(
        self, session: Session, folder: tuple[str, ...], prefix: str, waiting: deque[tuple[str, ...]], *, asked: bool
    ) -> AsyncIterator[Stored]:
        """The objects in one folder; its folders are put on the waiting list. One that may not be read is skipped, unless it was
        asked for.
        """
        what = f"list {self._folders.told(folder)}"
        if folder and not await self._folders.is_folder(session, folder):
            return
        entries = cast("AsyncGenerator[SFTPName]", session.sftp.scandir(self._folders.path(folder)))
        try:
            while True:
                with session.doing(what):
                    try:
                        entry = await anext(entries, None)
                    except MISSING:
                        return  # it went while we walked, or the prefix is not that of a folder: no objects there
                    except SFTPPermissionDenied:
                        if asked:
                            raise
                        self._skip(folder, "permission denied")
                        return
                name = None if entry is None else name_of(bytes(entry.filename))  # type: ignore[arg-type]  # bytes, as the path was
                if entry is None:
                    return
                if name is None or (not folder and name == "lost+found"):
                    continue
                inner = (*folder, name)
                key = "/".join(inner)
                kind, size = entry.attrs.type, entry.attrs.size
                if kind == FILEXFER_TYPE_DIRECTORY:
                    if prefix.startswith(f"{key}/") or f"{key}/".startswith(prefix):
                        waiting.append(inner)
                elif key.startswith(prefix):
                    if kind == FILEXFER_TYPE_SYMLINK:
                        if await self._folders.links_to_a_folder(session, inner):
                            self._skip(inner, "a symbolic link to a folder: this sink follows none")
                        continue
                    if kind == FILEXFER_TYPE_UNKNOWN or size is None:
                        raise SinkError(f"{self._address}: the server does not tell what {self._folders.told(inner)} is")
                    yield Stored(key=Key(key), size=size)
        finally:
            self._chores.later(entries.aclose())

    async def delete(self, key: Key) -> None:
        """Remove an object: see `Sink.delete`. Its folder stays, even when empty."""
        parts = parts_of(key)
        async with self._pool.session() as session:
            missing = f"{self._address}: {self._folders.told(parts)} is not there"
            if await self._folders.look(session, parts) is None:
                raise NotFound(missing)
            with session.doing(f"delete {self._folders.told(parts)}"):
                try:
                    await session.sftp.remove(self._folders.path(parts))
                except MISSING as error:
                    raise NotFound(missing) from error


def _quieten() -> None:
    """The library tells of every channel. Who wants that says so; it is no news for the owner of an archive."""
    library = logging.getLogger("asyncssh")
    if library.level == logging.NOTSET:
        library.setLevel(logging.WARNING)
