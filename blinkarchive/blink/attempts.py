"""What is remembered of sign-ins under way: this device's id, the one that waits for its code, the last unattended one."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from blinkarchive.blink import private
from blinkarchive.blink.endpoints import Endpoints, Origin, own_origin
from blinkarchive.blink.login import PendingSignIn
from blinkarchive.blink.tokens import new_hardware_id
from blinkarchive.clock import Clock
from blinkarchive.errors import ConfigError, LoginHeldBack
from blinkarchive.files import Files
from blinkarchive.secret import Secret

BETWEEN_ATTEMPTS = timedelta(hours=1)
"""Between two sign-ins that no person asked for. Blink locks accounts for a few too many of them."""

PENDING_LIFE = timedelta(hours=1)
"""How long a sign-in that waits for its code is worth resuming."""


class _Device(msgspec.Struct, frozen=True):
    hardware_id: str


class _Attempt(msgspec.Struct, frozen=True, kw_only=True):
    oauth: str
    at: datetime


class _Pending(msgspec.Struct, frozen=True, kw_only=True):
    oauth: str
    cookies: dict[str, str]
    csrf: str
    verifier: str
    hardware_id: str
    started_at: datetime
    method: str
    phone: str
    username: str = ""


_BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Attempts:
    """Files beside the token file, each for its owner alone."""

    def __init__(self, token_file: Path, *, clock: Clock, files: Files | None = None) -> None:
        self._clock = clock
        self._files = files or Files()
        self._device = token_file.with_name(f"{token_file.stem}.device.json")
        self._attempt = token_file.with_name(f"{token_file.stem}.attempt.json")
        self._pending = token_file.with_name(f"{token_file.stem}.pending.json")
        self._lock = token_file.with_name(f"{token_file.stem}.attempt.lock")

    def hardware_id(self) -> str:
        """This device's id: made once, and kept for ever."""
        data = private.read(self._device)
        if data is not None:
            try:
                return msgspec.json.decode(data, type=_Device).hardware_id
            except _BROKEN:
                pass  # it was never used as it is: a new one is all that can be done
        made = new_hardware_id()
        self.keep_hardware_id(made)
        return made

    def keep_hardware_id(self, hardware_id: str) -> None:
        """Be this device from now on, as when a sign-in was brought from elsewhere."""
        private.write(self._files, self._device, msgspec.json.encode(_Device(hardware_id)))

    async def hold_back(self, oauth: Origin) -> None:
        """Note that a sign-in is about to be tried without a person; raise `LoginHeldBack` when it is too soon for one.

        It is noted durably before the attempt: a crash in a loop is no way around.
        """
        async with private.locked(self._lock, files=self._files, clock=self._clock):
            now = self._clock.now()
            last = self._last_attempt(oauth)
            if last is not None and last <= now < last + BETWEEN_ATTEMPTS:
                raise held_back(last + BETWEEN_ATTEMPTS - now)
            private.write(self._files, self._attempt, msgspec.json.encode(_Attempt(oauth=str(oauth), at=now)))
            if last is not None and last > now:
                # The clock went back: when the last attempt was cannot be known, so the hour begins now.
                raise held_back(BETWEEN_ATTEMPTS)

    def _last_attempt(self, oauth: Origin) -> datetime | None:
        data = private.read(self._attempt)
        if data is None:
            return None
        try:
            last = msgspec.json.decode(data, type=_Attempt)
            known = last.at.tzinfo is not None
        except _BROKEN:
            known = False
        if not known:
            return datetime.max.replace(tzinfo=self._clock.now().tzinfo)
        return last.at if last.oauth == str(oauth) else None

    def wait_for_code(self, pending: PendingSignIn) -> None:
        """Keep a sign-in until its code comes, so that any process can go on with it."""
        saved = _Pending(
            oauth=str(pending.oauth),
            cookies={name: value.reveal() for name, value in pending.cookies.items()},
            csrf=pending.csrf.reveal(),
            verifier=pending.verifier.reveal(),
            hardware_id=pending.hardware_id,
            started_at=pending.started_at,
            method=pending.method,
            phone=pending.phone,
            username=pending.username,
        )
        private.write(self._files, self._pending, msgspec.json.encode(saved))

    def waiting(self, servers: Endpoints) -> PendingSignIn | None:
        """The sign-in at these servers that waits for its code, however old it is."""
        data = private.read(self._pending)
        if data is None:
            return None
        try:
            saved = msgspec.json.decode(data, type=_Pending)
            oauth = own_origin(saved.oauth, "oauth")
        except (*_BROKEN, ConfigError):
            return None
        if oauth != servers.oauth or saved.started_at.tzinfo is None:
            return None
        return PendingSignIn(
            oauth=oauth,
            cookies={name: Secret(value) for name, value in saved.cookies.items()},
            csrf=Secret(saved.csrf),
            verifier=Secret(saved.verifier),
            hardware_id=saved.hardware_id,
            started_at=saved.started_at,
            method=saved.method,
            phone=saved.phone,
            username=saved.username,
        )

    def is_fresh(self, pending: PendingSignIn) -> bool:
        """Whether it is worth giving a code to."""
        return abs(self._clock.now() - pending.started_at) < PENDING_LIFE

    def forget_waiting(self) -> None:
        """No sign-in waits for a code any more."""
        with suppress(FileNotFoundError):
            self._files.unlink(self._pending)


def held_back(left: timedelta) -> LoginHeldBack:
    """The error of a sign-in that is tried too soon."""
    seconds = left.total_seconds()
    return LoginHeldBack(
        f"an unattended sign-in was tried less than an hour ago; the next one is in {seconds / 60:.0f} minutes, "
        "so that Blink does not lock the account",
        retry_after=seconds,
    )
