"""The tokens of one account, and the file that keeps them through rotation, crashes and several processes."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from blinkarchive.blink import private
from blinkarchive.blink.endpoints import Endpoints
from blinkarchive.blink.holds import Holds
from blinkarchive.blink.login import CLIENT_ID
from blinkarchive.blink.wire import Grant
from blinkarchive.clock import Clock
from blinkarchive.errors import LoginNeeded
from blinkarchive.files import Files
from blinkarchive.secret import Secret

LONGEST_LIFE = timedelta(days=30)
"""No access token is believed to live longer, whatever a server says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """A sign-in: what lets this client speak for an account until somebody ends it."""

    access: Secret
    #: None when there is none: then the sign-in ends with the access token.
    refresh: Secret | None
    #: When the access token ends: aware, UTC.
    expires_at: datetime
    #: The client and the device they were issued to. They are refreshed as these, or refused.
    client_id: str
    hardware_id: str
    #: The sign-in server that issued them, and the first server of the account: they are sent to no other account's.
    oauth: str
    api: str
    #: None until the account has been looked up.
    tier: str | None = None
    account_id: int | None = None
    #: Who signed in; None in a sign-in of before this was kept.
    username: str | None = None
    #: Blink has refused the refresh token for good: it is shown to it no more.
    revoked: bool = False
    #: Counts every change of the file. The highest is the newest.
    generation: int = 0

    @classmethod
    def granted(cls, grant: Grant, servers: Endpoints, *, hardware_id: str, now: datetime, username: str | None = None) -> Tokens:
        """The tokens of a new sign-in."""
        return cls(
            access=grant.access_token,
            refresh=grant.refresh_token,
            expires_at=_end(grant, now),
            client_id=CLIENT_ID,
            hardware_id=hardware_id,
            oauth=str(servers.oauth),
            api=str(servers.first),
            username=username,
        )

    def renewed(self, grant: Grant, now: datetime) -> Tokens:
        """The same sign-in with new tokens. An answer without a refresh token leaves the old one in force."""
        return replace(self, access=grant.access_token, refresh=grant.refresh_token or self.refresh, expires_at=_end(grant, now))

    def are_of(self, servers: Endpoints) -> bool:
        """Whether these servers issued them: no others may see them."""
        return (self.oauth, self.api) == (str(servers.oauth), str(servers.first))


def same_user(one: str, other: str) -> bool:
    """Whether two user names are one: Blink takes e-mail addresses without regard to case."""
    return one.strip().casefold() == other.strip().casefold()


def _end(grant: Grant, now: datetime) -> datetime:
    # A nonsensical figure makes a token that is refreshed at once, or that a 401 will end.
    seconds = grant.expires_in if 0 < grant.expires_in < LONGEST_LIFE.total_seconds() else 0.0
    return now + timedelta(seconds=seconds)


class _Saved(msgspec.Struct, frozen=True, kw_only=True):
    """The file's form."""

    generation: int
    access_token: str
    refresh_token: str | None
    expires_at: datetime
    client_id: str
    hardware_id: str
    oauth: str
    api: str
    tier: str | None
    account_id: int | None
    revoked: bool = False
    username: str | None = None


class _Damaged(ValueError):
    pass


def _encode(tokens: Tokens) -> bytes:
    saved = _Saved(
        generation=tokens.generation,
        access_token=tokens.access.reveal(),
        refresh_token=tokens.refresh.reveal() if tokens.refresh else None,
        expires_at=tokens.expires_at,
        client_id=tokens.client_id,
        hardware_id=tokens.hardware_id,
        oauth=tokens.oauth,
        api=tokens.api,
        tier=tokens.tier,
        account_id=tokens.account_id,
        revoked=tokens.revoked,
        username=tokens.username,
    )
    fields = msgspec.to_builtins(saved)
    return msgspec.json.format(msgspec.json.encode({**fields, "sha256": _sum(fields)}), indent=2) + b"\n"


def _decode(data: bytes) -> Tokens:
    """Raises `_Damaged` unless every byte that matters is as it was written."""
    try:
        fields = msgspec.json.decode(data, type=dict[str, Any])
        if fields.pop("sha256", None) != _sum(fields):
            raise _Damaged("its checksum does not match")
        saved = msgspec.convert(fields, _Saved)
        if saved.expires_at.tzinfo is None:
            raise _Damaged("it holds a time without a zone")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _Damaged("it is not what was written") from None
    return Tokens(
        access=Secret(saved.access_token),
        refresh=Secret(saved.refresh_token) if saved.refresh_token else None,
        expires_at=saved.expires_at,
        client_id=saved.client_id,
        hardware_id=saved.hardware_id,
        oauth=saved.oauth,
        api=saved.api,
        tier=saved.tier,
        account_id=saved.account_id,
        revoked=saved.revoked,
        username=saved.username,
        generation=saved.generation,
    )


def _sum(fields: dict[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(fields, order="sorted")).hexdigest()


class TokenFile:
    """Where the tokens are kept: a file that only its owner may read, in a folder that only its owner may change.

    A change is first written in full to a file beside it (`.next`), which then takes its place; each has a number that
    grows, and the newest whole one counts. So there is a usable file at any moment, whatever dies, and two
    processes that renew the tokens do it one after the other.
    """

    def __init__(self, path: Path, *, files: Files | None = None) -> None:
        self.path = path
        self.files = files or Files()
        self._next = path.with_name(f"{path.name}.next")
        self._lock = path.with_name(f"{path.name}.lock")

    def load(self) -> Tokens | None:
        """The newest tokens; None when there never were any.

        Raises `LoginNeeded` when the file is damaged (it is left as it is), and `ConfigError` when others may read it.
        """
        waiting = self._read_next()
        try:
            kept = self._read(self.path)
        except _Damaged as error:
            if waiting is None:
                raise LoginNeeded(f"{self.path} cannot be read: {error}; it was left as it is. Sign in again") from None
            return waiting
        return max((tokens for tokens in (waiting, kept) if tokens), key=lambda tokens: tokens.generation, default=None)

    def holds(self, clock: Clock) -> Holds:
        """How long Blink asked for the account to be left alone, kept beside this file."""
        return Holds(self.path, clock=clock, files=self.files)

    @asynccontextmanager
    async def change(self, clock: Clock) -> AsyncIterator[Change]:
        """Hold the file for a change. Nothing is written before `Change.prepare`."""
        async with private.locked(self._lock, files=self.files, clock=clock):
            change = Change(self, self._settle())
            try:
                yield change
            finally:
                change.close()

    async def save(self, tokens: Tokens, clock: Clock) -> Tokens:
        """Keep these in place of whatever there is. Returns them as kept, with their number."""
        async with self.change(clock) as change:
            change.prepare()
            return change.commit(tokens)

    def _read(self, path: Path) -> Tokens | None:
        data = private.read(path)
        return None if data is None else _decode(data)

    def _read_next(self) -> Tokens | None:
        """What waits to take the file's place, if it is whole. It may be half-written at any moment."""
        try:
            return self._read(self._next)
        except _Damaged:
            return None

    def _settle(self) -> Tokens | None:
        """Finish what a killed process left behind, and tell what is newest. Under the lock."""
        waiting = self._read_next()
        try:
            kept = self._read(self.path)
        except _Damaged:
            kept = None
        if waiting is None or (kept is not None and waiting.generation <= kept.generation):
            return kept
        with private.kept(self.path):
            # Who wrote it may have died before it was durable.
            fd = os.open(self._next, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                self.files.sync(fd)
            finally:
                os.close(fd)
            self._set_damaged_aside()
            self.files.rename(self._next, self.path)
            self.files.sync_folder(self.path.parent)
        return waiting

    def _set_damaged_aside(self) -> None:
        """A file that cannot be understood is never overwritten: a person may still want to look at it."""
        try:
            self._read(self.path)
        except _Damaged:
            self.files.rename(self.path, self.path.with_name(f"{self.path.name}.damaged"))


class Change:
    """One change of the token file, under its lock."""

    #: Room that is proven before the tokens are asked for; they have always been much shorter.
    ROOM = 16 * 1024

    def __init__(self, file: TokenFile, current: Tokens | None) -> None:
        #: The newest tokens there are, whoever wrote them.
        self.current = current
        self._file = file
        self._fd: int | None = None
        self._committing = False

    def prepare(self) -> None:
        """Prove that there is room and permission to keep new tokens, before the old ones are spent.

        Raises `ArchiveError` when there is not.
        """
        data = _encode(self.current) if self.current else b""
        with private.kept(self._file.path):
            with suppress(FileNotFoundError):
                self._file.files.unlink(self._file._next)
            self._fd = self._file.files.create(self._file._next)
            self._file.files.write(self._fd, data.ljust(self.ROOM))
            self._file.files.sync(self._fd)

    def commit(self, tokens: Tokens) -> Tokens:
        """Keep new tokens, durably. Only after this may they be used. Returns them with their number."""
        if self._fd is None:
            raise RuntimeError("commit without prepare")
        tokens = replace(tokens, generation=(self.current.generation if self.current else 0) + 1)
        data = _encode(tokens)
        files, path = self._file.files, self._file.path
        self._committing = True
        with private.kept(path):
            os.lseek(self._fd, 0, os.SEEK_SET)
            files.write(self._fd, data.ljust(self.ROOM))
            os.ftruncate(self._fd, len(data))
            files.sync(self._fd)
            self._file._set_damaged_aside()
            files.rename(self._file._next, path)
            files.sync_folder(path.parent)
        return tokens

    def close(self) -> None:
        if self._fd is None:
            return
        os.close(self._fd)
        self._fd = None
        # What a commit has begun to write is left: when it is whole, it is the newest there is.
        if not self._committing:
            with suppress(FileNotFoundError):
                self._file.files.unlink(self._file._next)


def new_hardware_id() -> str:
    """An id for a device that Blink has not seen. It is kept for ever: many devices look like an attack."""
    return str(uuid.uuid4()).upper()
