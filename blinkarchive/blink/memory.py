"""What a client remembers of its sign-in when nobody gave it a file: tokens, this device's id, a sign-in under way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from blinkarchive.blink.attempts import BETWEEN_ATTEMPTS, PENDING_LIFE, held_back
from blinkarchive.blink.endpoints import Endpoints, Origin
from blinkarchive.blink.holds import Holds
from blinkarchive.blink.login import PendingSignIn
from blinkarchive.blink.tokens import Tokens, new_hardware_id
from blinkarchive.clock import Clock


class Memory:
    """The part of a `TokenFile` and of `Attempts`, for as long as the object lives."""

    def __init__(self, tokens: Tokens | None = None, *, hardware_id: str | None = None, clock: Clock | None = None) -> None:
        self._tokens = tokens
        self._hardware_id = hardware_id or (tokens.hardware_id if tokens else new_hardware_id())
        self._clock = clock or Clock()
        self._pending: PendingSignIn | None = None
        self._attempted: tuple[Origin, datetime] | None = None
        self._holds = Holds(None, clock=self._clock)

    # As a token file

    def load(self) -> Tokens | None:
        """The newest tokens; None when there never were any."""
        return self._tokens

    async def save(self, tokens: Tokens, clock: Clock) -> Tokens:
        """Keep these in place of whatever there is. Returns them as kept, with their number."""
        async with self.change(clock) as change:
            return change.commit(tokens)

    def holds(self, _: Clock) -> Holds:
        """How long Blink asked for the account to be left alone."""
        return self._holds

    @asynccontextmanager
    async def change(self, _: Clock) -> AsyncIterator[MemoryChange]:
        """A change: nothing can come between its beginning and its end but who shares this object."""
        yield MemoryChange(self)

    # As notes of sign-ins

    def hardware_id(self) -> str:
        """This device's id."""
        return self._hardware_id

    def forget(self) -> None:
        """Be signed in no more. When a sign-in was tried last is not forgotten."""
        self._tokens = None

    def keep_hardware_id(self, hardware_id: str) -> None:
        """Be this device from now on."""
        self._hardware_id = hardware_id

    async def hold_back(self, oauth: Origin) -> None:
        """Note that a sign-in is about to be tried without a person; raise `LoginHeldBack` when it is too soon for one."""
        now = self._clock.now()
        if self._attempted is not None and self._attempted[0] == oauth:
            left = self._attempted[1] + BETWEEN_ATTEMPTS - now
            if timedelta(0) < left <= BETWEEN_ATTEMPTS:
                raise held_back(left)
        self._attempted = (oauth, now)

    def wait_for_code(self, pending: PendingSignIn) -> None:
        """Keep a sign-in until its code comes."""
        self._pending = pending

    def waiting(self, servers: Endpoints) -> PendingSignIn | None:
        """The sign-in at these servers that waits for its code. One that is too old for it waits no more: nobody else would
        end it.
        """
        pending = self._pending
        return pending if pending is not None and pending.oauth == servers.oauth and self.is_fresh(pending) else None

    def is_fresh(self, pending: PendingSignIn) -> bool:
        """Whether it is worth giving a code to."""
        return abs(self._clock.now() - pending.started_at) < PENDING_LIFE

    def forget_waiting(self) -> None:
        """No sign-in waits for a code any more."""
        self._pending = None


class MemoryChange:
    """One change of what is remembered."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    @property
    def current(self) -> Tokens | None:
        """The newest tokens there are."""
        return self._memory.load()

    def prepare(self) -> None:
        """There is always room."""

    def commit(self, tokens: Tokens) -> Tokens:
        """Keep new tokens. Returns them with their number."""
        kept = replace(tokens, generation=(self.current.generation if self.current else 0) + 1)
        self._memory._tokens = kept
        return kept
