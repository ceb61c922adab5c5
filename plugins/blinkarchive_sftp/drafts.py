"""Drafts: files that are still being written. All stand right in the sink's folder, so that one look finds what a kill left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncssh

from blinkarchive.keys import draft_name, is_draft
from blinkarchive_sftp.chores import Chores
from blinkarchive_sftp.folders import Folders
from blinkarchive_sftp.remote import Opening
from blinkarchive_sftp.session import Session
from blinkarchive_sftp.telling import LOST, TROUBLE

ABANDONED_AFTER = 24 * 3600
"""Seconds after which a draft that nobody writes to any more was left by a run that was killed."""

_PATIENCE = 5.0
_NEW = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_EXCL


class Draft:
    """A file of a random name, opened so that it must not have existed."""

    def __init__(self, session: Session, name: str, path: bytes, chores: Chores) -> None:
        self.session = session
        self.name = name
        self.path = path
        self.opening = Opening(session, path, _NEW, chores)
        #: Whether it has got its final name, and so is a draft no more.
        self.published = False


class Drafts:
    """Makes drafts and sees that they go."""

    def __init__(self, folders: Folders, chores: Chores) -> None:
        self._folders = folders
        self._chores = chores
        #: Those that could not be removed, as their connection was gone.
        self._left: set[str] = set()

    @asynccontextmanager
    async def new(self, session: Session) -> AsyncIterator[Draft]:
        """A new draft, being opened; gone at the end unless it was published.

        Who is cancelled does not wait for that: it is done beside.
        """
        left, self._left = self._left, set()
        for name in left:
            self._chores.later(self._remove(session, name))
        name = draft_name()
        draft = Draft(session, name, self._folders.path((name,)), self._chores)
        try:
            yield draft
        except asyncio.CancelledError:
            self._chores.later(self._end(draft))
            raise
        except BaseException:
            await self._ended(draft)
            raise
        await self._ended(draft)

    async def _ended(self, draft: Draft) -> None:
        if not draft.published:
            await asyncio.wait({self._chores.later(self._end(draft))}, timeout=_PATIENCE)

    async def _end(self, draft: Draft) -> None:
        with suppress(*TROUBLE):
            await draft.opening.close()
        await self._remove(draft.session, draft.name)

    async def _remove(self, session: Session, name: str) -> None:
        try:
            await session.sftp.remove(self._folders.path((name,)))
        except LOST:
            self._left.add(name)

    async def sweep(self, session: Session) -> None:
        """Remove what killed runs left, in this program or on another machine. That this fails is no reason not to store a clip.

        What is old the server's clock says: ours may be another.
        """
        with session.doing("look for leftovers"):
            found = [
                (name, entry.attrs.mtime)
                async for entry in session.sftp.scandir(self._folders.path(()))
                if is_draft(name := bytes(entry.filename).decode(errors="replace"))  # type: ignore[arg-type]  # bytes, as the path was
            ]
        if not found:
            return
        with suppress(asyncssh.SFTPError):
            async with self.new(session) as draft:
                now = (await (await draft.opening.file()).stat()).mtime
            for name, written in found:
                if now is not None and written is not None and now - written > ABANDONED_AFTER:
                    with suppress(asyncssh.SFTPError):
                        await session.sftp.remove(self._folders.path((name,)))
