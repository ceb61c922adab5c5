"""How a clip comes onto the server: written under another name, made durable, measured, and only then given its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import asyncssh

from blinkarchive import AlreadyThere, Content, Key, SinkError, SinkFull, SinkUnavailable
from blinkarchive.contents import opened, reading
from blinkarchive.keys import parts_of
from blinkarchive_sftp.drafts import Draft, Drafts
from blinkarchive_sftp.folders import Folders
from blinkarchive_sftp.remote import Flight
from blinkarchive_sftp.session import Session
from blinkarchive_sftp.telling import LOST, MISSING, TROUBLE

Publish = Callable[[bytes, bytes], Awaitable[None]]
"""Gives a draft its final name. It fails, and changes nothing, when that name is taken."""


class Storing:
    """Stores contents: whole or not at all, and never over what is there."""

    def __init__(self, folders: Folders, drafts: Drafts, address: str) -> None:
        self._folders = folders
        self._drafts = drafts
        self._address = address
        #: Whether this server's renaming was seen to refuse a name that is taken, or else its hard links; None before that.
        self._by_renaming: bool | None = None
        self._finding_out = asyncio.Lock()

    async def put(self, session: Session, key: Key, content: Content) -> None:
        """Store a content under a key: see `Sink.put`."""
        parts = parts_of(key)
        with opened(content) as (source, _):
            async with self._room_for(session, 1):
                publish = await self._way_to_publish(session)
            async with self._drafts.new(session) as draft, self._room_for(session, content.size):
                await self._store(session, draft, parts, source, content, publish)

    async def _store(
        self, session: Session, draft: Draft, parts: tuple[str, ...], source: int, content: Content, publish: Publish
    ) -> None:
        await self._folders.make(session, parts[:-1])
        if await self._is_taken(session, parts):
            raise AlreadyThere(f"{self._address}: {self._folders.told(parts)} is there already")
        await self._write(session, draft, source, content)
        await self._publish(session, draft, parts, publish)

    # -- writing ------------------------------------------------------------------------------------------------------

    async def _write(self, session: Session, draft: Draft, source: int, content: Content) -> None:
        """Write all of it, and return when the server has said that each piece, and the whole, is safe."""
        with session.doing(f"write {self._folders.told((draft.name,))}"):
            file = await draft.opening.file()
            sent = await self._send(session, file, source, content)
            # All three are asked for at once: what concerns one file a server answers in order.
            answers = await asyncio.gather(_synced(file), file.stat(), draft.opening.close(), return_exceptions=True)
            _synced_well, measured, _closed_well = answers
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
        stored = measured.size if isinstance(measured, asyncssh.SFTPAttrs) else None
        if stored != content.size or sent != content.size:
            raise SinkError(f"{content.path}: {stored} bytes were stored, and {content.size} should have been")

    async def _send(self, session: Session, file: asyncssh.SFTPClientFile, source: int, content: Content) -> int:
        """Send the bytes, many requests at a time; each of them was answered well when this returns. Gives their number."""
        at = 0
        async with Flight(session.places) as flight:
            while True:
                await flight.place()
                try:
                    block = await asyncio.to_thread(_read, source, session.write_block, at, content)
                except BaseException:
                    flight.give_back()
                    raise
                if not block or at > content.size:
                    flight.give_back()
                    return at
                flight.send(_written(file, block, at, content))
                at += len(block)

    @asynccontextmanager
    async def _room_for(self, session: Session, size: int) -> AsyncIterator[None]:
        """See whether a failure means that the disk is full: OpenSSH does not say so, but it tells how much room there is."""
        try:
            yield
        except SinkUnavailable as error:
            if isinstance(error.__cause__, asyncssh.SFTPFailure) and await self._is_full(session, size):
                raise SinkFull(f"{self._address}: no room is left for {size:,} bytes") from error.__cause__
            raise

    async def _is_full(self, session: Session, size: int) -> bool:
        with suppress(*TROUBLE):
            room = await session.sftp.statvfs(self._folders.path(()))
            return room.bavail * room.frsize < size or (room.files > 0 and room.favail == 0)
        return False

    # -- publishing ---------------------------------------------------------------------------------------------------

    async def _publish(self, session: Session, draft: Draft, parts: tuple[str, ...], publish: Publish) -> None:
        final = self._folders.path(parts)
        draft.shared = not self._by_renaming
        with session.doing(f"give {self._folders.told(parts)} its name"):
            try:
                await publish(draft.path, final)
            except MISSING:  # somebody removed the folder since
                self._folders.forget()
                await self._folders.make(session, parts[:-1])
                await publish(draft.path, final)
            except asyncssh.SFTPError as error:
                if not isinstance(error, LOST) and await self._is_taken(session, parts):
                    raise AlreadyThere(f"{self._address}: {self._folders.told(parts)} is there already") from error
                raise
        draft.published = True

    async def _is_taken(self, session: Session, parts: tuple[str, ...]) -> bool:
        with session.doing(f"see {self._folders.told(parts)}"):
            try:
                await session.sftp.lstat(self._folders.path(parts))
            except MISSING:
                return False
            return True

    async def _way_to_publish(self, session: Session) -> Publish:
        """How this server gives a name without taking it from another file. Raises `SinkUnavailable` when it cannot."""
        async with self._finding_out:
            if self._by_renaming is None:
                self._by_renaming = await self._renaming_refuses(session)
        return session.sftp.rename if self._by_renaming else _linking(session)

    async def _renaming_refuses(self, session: Session) -> bool:
        """Try it on two drafts."""
        if not await self._replaces(session, session.sftp.rename):
            return True
        refusal = f"{self._address}: this server lets a rename replace what is there, and "
        if await self._replaces(session, session.sftp.link):
            raise SinkUnavailable(
                f"{refusal}has no hard links that would not. A clip could be lost that way, so nothing is stored here"
            )
        if self._drafts.stay:
            raise SinkUnavailable(
                f"{refusal}removes no file. Hard links would leave a second name of each clip, so nothing is stored here: allow "
                "the account to delete"
            )
        return False

    async def _replaces(self, session: Session, publish: Publish) -> bool:
        """Whether this way takes a name that is taken, or is no way at all."""
        async with self._drafts.new(session) as one, self._drafts.new(session) as other:
            with session.doing("try how this server renames"):
                for draft in (one, other):
                    await draft.opening.close()
                try:
                    await publish(one.path, other.path)
                except asyncssh.SFTPOpUnsupported:
                    return True
                except asyncssh.SFTPError as error:
                    if isinstance(error, LOST):
                        raise
                    return False
                return True


def _linking(session: Session) -> Publish:
    async def publish(old: bytes, new: bytes) -> None:
        await session.sftp.link(old, new)
        with suppress(asyncssh.SFTPError):  # it has its name; the other one goes with the leftovers
            await session.sftp.remove(old)

    return publish


async def _written(file: asyncssh.SFTPClientFile, block: bytes, at: int, content: Content) -> None:
    """Have a block written. That the server has answered is progress, too: on a slow line that comes long after the reading."""
    await file.write(block, at)
    content.progress(0)


async def _synced(file: asyncssh.SFTPClientFile) -> None:
    """Have the server bring it to its disk, where it offers that."""
    with suppress(asyncssh.SFTPOpUnsupported):
        await file.fsync()


def _read(source: int, size: int, at: int, content: Content) -> bytes:
    """By position: when nobody waits for this thread any more, the descriptor may already be another file's, or a socket's."""
    with reading(content):
        block = os.pread(source, size, at)
    content.progress(len(block))
    return block
