"""The folder of the sink on the server, and what stands in it: no link is followed, as far as the protocol lets us see one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import cast

import asyncssh
from asyncssh.constants import (
    FILEXFER_TYPE_DIRECTORY,
    FILEXFER_TYPE_REGULAR,
    FILEXFER_TYPE_SYMLINK,
    FILEXFER_TYPE_UNKNOWN,
)

from blinkarchive import BadKey, SinkError, SinkUnavailable
from blinkarchive_sftp.session import Session
from blinkarchive_sftp.telling import MISSING, TROUBLE, printable

REMEMBERED = 4096
"""Folders that were seen to be folders, and are not looked at again."""

_LOOKING = 10.0
_NAMED = 10
"""Seconds for naming folders of the login folder, and how many are named."""

Attributes = asyncssh.SFTPAttrs


class Folders:
    """What is below the sink's own folder.

    A link on the way to that folder is the owner's business; one below it is refused. SFTP looks things up by path alone, so this
    is a look before each step, and no lock: who may write into the folder can still win a race.
    """

    def __init__(self, root: str, address: str) -> None:
        self._root = root.encode()
        self._address = address
        self._seen: set[tuple[str, ...]] = set()

    def path(self, parts: Sequence[str]) -> bytes:
        """Where it is on the server."""
        return b"/".join((self._root.rstrip(b"/"), *(part.encode() for part in parts))) if parts else self._root

    def told(self, parts: Sequence[str]) -> str:
        """Where it is, for people."""
        return self.path(parts).decode()

    async def enter(self, session: Session, *, make: bool = True) -> None:
        """See that the sink's own folder is there; with `make`, make it when only its last part is missing.

        Raises `SinkUnavailable`.
        """
        with session.doing(f"open the folder {self.told(())}"):
            try:
                found = await session.sftp.stat(self._root)
            except MISSING as error:
                if not make:
                    raise SinkUnavailable(await self._absent(session, "does not exist")) from error
                found = await self._root_made(session)
        if found.type not in (FILEXFER_TYPE_DIRECTORY, FILEXFER_TYPE_UNKNOWN):
            raise SinkUnavailable(f"{self._address}: {self.told(())} is a file, not a folder")

    async def _root_made(self, session: Session) -> Attributes:
        try:
            await session.sftp.mkdir(self._root)
        except MISSING as error:
            raise SinkUnavailable(await self._absent(session, "does not exist, nor does the folder above it")) from error
        except asyncssh.SFTPPermissionDenied as error:
            raise SinkUnavailable(await self._absent(session, "does not exist, and this account may not make it")) from error
        return await session.sftp.stat(self._root)

    async def _absent(self, session: Session, why: str) -> str:
        """Words for a path that leads nowhere, with what the account sees: in a chroot that is not what the server has."""
        return (
            f"{self._address}: {self.told(())} {why}. Is a disk not mounted, or path wrong? {await self._login_folder(session)}"
        )

    async def _login_folder(self, session: Session) -> str:
        try:
            async with asyncio.timeout(_LOOKING):
                home = await session.sftp.realpath(b".")
                found, more = await self._some_folders(session, home)
        except (*TROUBLE, TimeoutError):
            return "The login folder cannot be listed."
        names = ", ".join(f'"{name}"' for name in sorted(found)) + (" and more" if more else "")
        where = printable(home)
        return f"For this account the login folder is {where}, and {f'in it are {names}' if found else 'no folder is in it'}"

    async def _some_folders(self, session: Session, home: bytes) -> tuple[list[str], bool]:
        """The names of a few folders, and whether there are more, or may be."""
        found: list[str] = []
        looked_at = 0
        entries = cast("AsyncGenerator[asyncssh.SFTPName]", session.sftp.scandir(home))
        async with aclosing(entries):
            async for entry in entries:
                looked_at += 1
                if entry.attrs.type != FILEXFER_TYPE_DIRECTORY or bytes(entry.filename).startswith(b"."):  # type: ignore[arg-type]
                    continue
                if len(found) == _NAMED or looked_at > REMEMBERED:
                    return found, True
                found.append(printable(bytes(entry.filename)))  # type: ignore[arg-type]  # bytes, as the path was
        return found, False

    async def require(self, session: Session) -> None:
        """Raise `SinkUnavailable` when the sink's own folder is gone: then nothing can be said of what is in it."""
        with session.doing(f"see {self.told(())}"):
            try:
                await session.sftp.stat(self._root)
            except MISSING as error:
                raise SinkUnavailable(f"{self._address}: {self.told(())} is gone: is a disk not mounted there?") from error

    async def look(self, session: Session, parts: tuple[str, ...]) -> Attributes | None:
        """What stands under a key; None when certainly no file does. Raises `SinkError` for links and what is no plain file."""
        ways = [parts[:depth] for depth in range(1, len(parts)) if parts[:depth] not in self._seen]
        for way, found in zip((*ways, parts), await self._ask(session, (*ways, parts)), strict=True):
            if found is None:
                await self.require(session)
                return None
            self._refuse_link(way, found)
            if way == parts:
                return self._file(way, found)
            if found.type == FILEXFER_TYPE_REGULAR:
                return None
            self._see(way)
        raise AssertionError("the last way is that of the key itself")

    async def is_folder(self, session: Session, way: tuple[str, ...]) -> bool:
        """Whether a folder stands there, with no link on the way to it."""
        ways = [way[:depth] for depth in range(1, len(way) + 1) if way[:depth] not in self._seen]
        for one, found in zip(ways, await self._ask(session, ways), strict=True):
            if found is None or found.type not in (FILEXFER_TYPE_DIRECTORY, FILEXFER_TYPE_SYMLINK):
                return False
            self._refuse_link(one, found)
            self._see(one)
        return True

    async def links_to_a_folder(self, session: Session, way: tuple[str, ...]) -> bool:
        """Whether a symbolic link leads to a folder, or to where nobody can see."""
        with session.doing(f"see {self.told(way)}"):
            try:
                found = await session.sftp.stat(self.path(way))
            except MISSING:
                return False
            except asyncssh.SFTPPermissionDenied:
                return True
        return found.type == FILEXFER_TYPE_DIRECTORY

    async def make(self, session: Session, folders: tuple[str, ...]) -> None:
        """See that these folders are there, and make those that are missing."""
        ways = [folders[:depth] for depth in range(1, len(folders) + 1) if folders[:depth] not in self._seen]
        for way, found in zip(ways, await self._ask(session, ways), strict=True):
            if found is None:
                found = await self._made(session, way)
            self._refuse_link(way, found)
            if found.type not in (FILEXFER_TYPE_DIRECTORY, FILEXFER_TYPE_UNKNOWN):
                raise BadKey(f"{self._address}: {self.told(way)} is a file: nothing can be stored below it")
            self._see(way)

    def forget(self) -> None:
        """Look at all folders again: one was removed."""
        self._seen.clear()

    async def _made(self, session: Session, way: tuple[str, ...]) -> Attributes:
        path = self.path(way)
        with session.doing(f"make the folder {self.told(way)}"):
            try:
                await session.sftp.mkdir(path)
            except (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists):  # another put may just have made it
                try:
                    return await session.sftp.lstat(path)
                except MISSING:
                    pass
                raise
            return await session.sftp.lstat(path)

    async def _ask(self, session: Session, ways: Sequence[tuple[str, ...]]) -> list[Attributes | None]:
        """Look at several at the same time; None for what is missing."""

        async def one(way: tuple[str, ...]) -> Attributes | None:
            try:
                return await session.sftp.lstat(self.path(way))
            except MISSING:
                return None

        with session.doing(f"see {self.told(ways[-1] if ways else ())}"):
            answers = await asyncio.gather(*(one(way) for way in ways), return_exceptions=True)
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    def _file(self, way: tuple[str, ...], found: Attributes) -> Attributes | None:
        if found.type == FILEXFER_TYPE_DIRECTORY:
            return None
        if found.type not in (FILEXFER_TYPE_REGULAR, FILEXFER_TYPE_UNKNOWN):
            raise SinkError(f"{self._address}: {self.told(way)} is neither a file nor a folder")
        if found.size is None:
            raise SinkError(f"{self._address}: the server does not tell the size of {self.told(way)}")
        return found

    def _refuse_link(self, way: tuple[str, ...], found: Attributes) -> None:
        if found.type == FILEXFER_TYPE_SYMLINK:
            raise SinkError(f"{self._address}: {self.told(way)} is a symbolic link: this sink follows none")

    def _see(self, way: tuple[str, ...]) -> None:
        if len(self._seen) >= REMEMBERED:
            self._seen.clear()
        self._seen.add(way)
