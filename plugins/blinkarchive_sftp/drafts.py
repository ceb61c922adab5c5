"""Drafts: files that are still being written. All stand right in the sink's folder, so that one look finds what a kill left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncssh
from asyncssh.constants import FILEXFER_TYPE_REGULAR, FILEXFER_TYPE_UNKNOWN

from blinkarchive.keys import draft_name, is_draft
from blinkarchive_sftp.chores import Chores
from blinkarchive_sftp.folders import Folders
from blinkarchive_sftp.remote import Opening
from blinkarchive_sftp.session import Session
from blinkarchive_sftp.telling import LOST, MISSING, TROUBLE

ABANDONED_AFTER = 24 * 3600
"""Seconds after which a draft that nobody writes to any more was left by a run that was killed."""

REUSED_AFTER = 600
"""Seconds after which an empty draft that nothing removes is used again: one in use is empty for a moment only."""

CLOCK = ".blinkarchive-0000000000000000.part"
"""A file that is written to for the server's time. Where nothing may be deleted this one stays, not one for each run."""

_PATIENCE = 5.0
_OPEN = asyncssh.FXF_WRITE
_NEW = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_EXCL


class Draft:
    """A file of a random name that nobody else writes to."""

    def __init__(self, session: Session, name: str, path: bytes, flags: int, chores: Chores) -> None:
        self.session = session
        self.name = name
        self.path = path
        self.opening = Opening(session, path, flags, chores)
        #: Whether it has got its final name, and so is a draft no more.
        self.published = False
        #: Whether a clip's name may lead to the same bytes.
        self.shared = False


class Drafts:
    """Makes drafts and sees that they go."""

    def __init__(self, folders: Folders, chores: Chores) -> None:
        self._folders = folders
        self._chores = chores
        #: Those that could not be removed, as their connection was gone; and whether they may be emptied.
        self._left: dict[str, bool] = {}
        #: Empty ones that this server does not remove.
        self._spare: list[str] = []
        #: Whether this server was seen to remove none.
        self.stay = False

    @asynccontextmanager
    async def new(self, session: Session) -> AsyncIterator[Draft]:
        """A draft, being opened; gone at the end unless it was published.

        Who is cancelled does not wait for that: it is done beside.
        """
        left, self._left = self._left, {}
        for name, may_empty in left.items():
            self._chores.later(self._remove(session, name, may_empty=may_empty))
        name = draft_name()
        path = self._folders.path((name,))
        flags = _OPEN if await self._claimed(session, path) else _NEW
        draft = Draft(session, name, path, flags, self._chores)
        try:
            yield draft
        except asyncio.CancelledError:
            self._chores.later(self._end(draft))
            raise
        except BaseException:
            await self._ended(draft)
            raise
        await self._ended(draft)

    async def _claimed(self, session: Session, path: bytes) -> bool:
        """Whether an empty draft of an earlier time was given this name. A rename is had by one claimant alone."""
        while self._spare:
            spare = self._spare.pop()
            with suppress(asyncssh.SFTPError):  # another process has it; or the connection is gone, as the next step will say
                await session.sftp.rename(self._folders.path((spare,)), path)
                return True
        return False

    async def _ended(self, draft: Draft) -> None:
        if not draft.published:
            await asyncio.wait({self._chores.later(self._end(draft))}, timeout=_PATIENCE)

    async def _end(self, draft: Draft) -> None:
        with suppress(*TROUBLE):
            await draft.opening.close()
        await self._remove(draft.session, draft.name, may_empty=not draft.shared)

    async def _remove(self, session: Session, name: str, *, may_empty: bool) -> None:
        path = self._folders.path((name,))
        try:
            await session.sftp.remove(path)
        except LOST:
            self._left[name] = may_empty
        except MISSING:
            pass
        except asyncssh.SFTPError:
            self.stay = True
            if may_empty:
                await session.sftp.truncate(path, 0)
                self._spare.append(name)

    async def sweep(self, session: Session) -> None:
        """Remove what killed runs left, in this program or on another machine. That this fails is no reason not to store a clip.

        What is old the server's clock says: ours may be another.
        """
        with session.doing("look for leftovers"):
            found = [
                (name, entry.attrs)
                async for entry in session.sftp.scandir(self._folders.path(()))
                if is_draft(name := bytes(entry.filename).decode(errors="replace"))  # type: ignore[arg-type]  # bytes, as the path was
                and name != CLOCK
            ]
        if not found:
            return
        with suppress(asyncssh.SFTPError):
            now = await self._now(session)
            for name, attrs in found:
                if now is not None and attrs.mtime is not None:
                    await self._sweep_one(session, name, attrs.size, now - attrs.mtime)

    async def _now(self, session: Session) -> int | None:
        """The server's time: that of a file which is made, or written to where an earlier run could not remove it."""
        path = self._folders.path((CLOCK,))
        opening = Opening(session, path, _NEW, self._chores)
        try:
            file = await opening.file()
        except asyncssh.SFTPError:
            if (await session.sftp.lstat(path)).type not in (FILEXFER_TYPE_REGULAR, FILEXFER_TYPE_UNKNOWN):
                raise  # a link is not followed
            opening = Opening(session, path, _OPEN, self._chores)
            file = await opening.file()
            await file.write(b"\n", 0)
        try:
            return (await file.stat()).mtime
        finally:
            await opening.close()
            with suppress(asyncssh.SFTPError):
                await session.sftp.remove(path)

    async def _sweep_one(self, session: Session, name: str, size: int | None, age: int) -> None:
        if age > ABANDONED_AFTER:
            try:
                await session.sftp.remove(self._folders.path((name,)))
            except MISSING:
                return
            except asyncssh.SFTPError as error:
                if isinstance(error, LOST):
                    raise
            else:
                return
        if age > REUSED_AFTER and size == 0:  # one with bytes could be a clip's second name
            self._spare.append(name)
