"""How long Blink asked for an account to be left alone: counted over all its calls, in every process, and across restarts."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from blinkarchive.blink import private
from blinkarchive.clock import Clock
from blinkarchive.errors import ArchiveError, SourceError, Throttled, Unreachable
from blinkarchive.files import Files

LOGIN = "login"
"""The key of the hold on requests for tokens. All other keys are kinds of requests, in the words of `Request.what`."""

DETAIL = "detail: "
"""What the key of a kind begins with whose requests are details (`Request.detail`)."""

FIRST = 4.0
"""The pause after a first refusal for which Blink states none, in seconds."""

SECOND = 120.0
"""The least pause after a second refusal in a row, in seconds. It doubles with every further one."""

LONGEST = 3600.0
"""The longest pause between requests, in seconds, whatever Blink states."""

LOGIN_PAUSE = 3600.0
"""The pause after a refused request for tokens for which Blink states none, in seconds."""

LONGEST_LOGIN_PAUSE = 2 * 86400.0
"""The longest pause between requests for tokens, in seconds, whatever Blink states."""

SHORT = 10.0
"""A pause that has no more than so many seconds left is waited for before a request."""

_JITTER = 0.25
_MOST_JITTER = 60.0
_FORGOTTEN = timedelta(days=1)
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_IN_WORDS = re.compile(r"\b(\d{1,5}) ?(second|minute|hour|day)s?\b", re.IGNORECASE)


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of request that Blink refused."""

    at: datetime
    #: The pause, in seconds.
    seconds: float
    #: How many refusals there were in a row.
    refusals: int
    #: The refusal, in words.
    because: str

    @property
    def until(self) -> datetime:
        """The end of the pause."""
        return self.at + timedelta(seconds=self.seconds)


class Holds:
    """The holds of one account, in a file beside its tokens; without a file, in memory.

    Requests for tokens have a hold of their own, since a token in force needs none. A hold on any other kind of request counts
    for all of them: the limits of a service are those of an account. A hold on a detail counts for its own kind alone.
    """

    def __init__(self, token_file: Path | None, *, clock: Clock, files: Files | None = None) -> None:
        self._file = token_file and token_file.with_name(f"{token_file.stem}.hold.json")
        self._lock = token_file and token_file.with_name(f"{token_file.stem}.hold.lock")
        self._clock = clock
        self._files = files or Files()
        #: The holds that there is no file for, or that could not be written to it.
        self._kept: dict[str, Hold] = {}

    def login(self) -> Hold | None:
        """The hold on requests for tokens that is in force; None when there is none."""
        hold = self._holds().get(LOGIN)
        return hold if hold is not None and self._left(hold) > 0 else None

    def requests(self, kind: str = "") -> Hold | None:
        """The longest hold in force on other requests, or on those of a kind of details; None when there is none."""
        held = [
            hold
            for key, hold in self._holds().items()
            if key != LOGIN and (key == kind or not key.startswith(DETAIL)) and self._left(hold) > 0
        ]
        return max(held, key=lambda hold: hold.until, default=None)

    def check_login(self) -> None:
        """Raise `Throttled` while no tokens may be requested."""
        if (hold := self.login()) is not None:
            raise self._error(hold)

    async def before_request(self, kind: str = "") -> None:
        """Wait for the end of a short pause. Raise `Throttled` when a longer one is in force: then nothing may be sent."""
        while (hold := self.requests(kind)) is not None:
            left = self._left(hold)
            if left > SHORT:
                raise Throttled(f"not sent: Blink asked for a pause ({hold.because})", retry_after=left)
            await self._clock.sleep(left)

    async def refused(self, key: str, error: SourceError) -> Throttled:
        """Note a refusal, and return its error with the pause that follows from it.

        While a pause of this kind is in force, further refusals (of requests that were under way) make it longer only if they
        state so.
        """
        async with self._changing() as holds:
            now, before = self._clock.now(), holds.get(key)
            left = self._left(before) if before else 0.0
            if left <= 0 or _stated(error) > left:
                refusals = (before.refusals if before else 0) + (left <= 0)
                seconds = (_login_pause if key == LOGIN else _pause)(error, refusals)
                holds[key] = Hold(at=now, seconds=seconds, refusals=refusals, because=str(error))
            hold = holds[key]
        if key == LOGIN:
            return self._error(hold, error)
        return Throttled(str(error), status=error.status, code=error.code, retry_after=self._left(hold))

    async def accepted(self, key: str) -> None:
        """A request of this kind was not refused: forget the refusals before it."""
        if key in self._holds():
            async with self._changing() as holds:
                holds.pop(key, None)

    def _error(self, hold: Hold, error: SourceError | None = None) -> Throttled:
        left = self._left(hold)
        return Throttled(
            f"{hold.because}. No tokens are requested before {hold.until:%Y-%m-%d %H:%M} UTC (in {left / 60:.0f} minutes). "
            "The saved sign-in is kept; do not sign in again meanwhile, or Blink may lock the account",
            status=error.status if error else None,
            code=error.code if error else None,
            retry_after=left,
        )

    def _left(self, hold: Hold) -> float:
        return (hold.until - self._clock.now()).total_seconds()

    # Keeping

    def _holds(self) -> dict[str, Hold]:
        return self._kept | self._read()

    def _read(self) -> dict[str, Hold]:
        data = private.read(self._file) if self._file else None
        if data is None or self._file is None:
            return {}
        now = self._clock.now()
        try:
            holds = msgspec.json.decode(data, type=dict[str, Hold])
            # A pause that begins later than it is long was noted by a wrong clock.
            return {key: hold for key, hold in holds.items() if hold.at - now <= timedelta(seconds=hold.seconds)}
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError, OverflowError):
            at = datetime.fromtimestamp(self._file.stat().st_mtime, UTC)
            return {LOGIN: Hold(at=at, seconds=LOGIN_PAUSE, refusals=1, because=f"the note {self._file} is damaged")}

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[dict[str, Hold]]:
        """The holds, to be changed under the lock of their file. Those that cannot be written are kept in memory."""
        async with AsyncExitStack() as stack:
            if self._lock is not None:
                with suppress(ArchiveError, Unreachable):
                    await stack.enter_async_context(private.locked(self._lock, files=self._files, clock=self._clock))
            holds = self._holds()
            yield holds
            self._kept = {key: hold for key, hold in holds.items() if self._clock.now() < hold.until + _FORGOTTEN}
            if self._file is not None:
                with suppress(ArchiveError):
                    self._write(self._file)

    def _write(self, file: Path) -> None:
        if self._kept:
            private.write(self._files, file, msgspec.json.encode(self._kept))
            self._kept = {}
        else:
            with private.kept(file), suppress(FileNotFoundError):
                self._files.unlink(file)


def _pause(error: SourceError, refusals: int) -> float:
    stated, least = _stated(error), 1.0
    if refusals > 1:
        least = _jittered(SECOND * 2.0 ** min(refusals - 2, 20))
    elif not stated:
        least = _jittered(FIRST)
    return min(LONGEST, max(stated, least))


def _stated(error: SourceError) -> float:
    """The pause that a refusal states, in a header or in words, in seconds; 0 when it states none."""
    in_words = (int(number) * _UNITS[unit.lower()] for number, unit in _IN_WORDS.findall(str(error)))
    return max([error.retry_after or 0.0, *in_words])


def _login_pause(error: SourceError, refusals: int) -> float:
    return min(LONGEST_LOGIN_PAUSE, _jittered(max(_stated(error) or LOGIN_PAUSE, SECOND * 2.0 ** min(refusals - 1, 20))))


def _jittered(seconds: float) -> float:
    return seconds + random.uniform(0.0, min(_JITTER * seconds, _MOST_JITTER))  # noqa: S311  # it keeps nothing secret
