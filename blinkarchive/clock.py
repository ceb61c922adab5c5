"""What time it is, and waiting: passed in wherever time matters, so that tests own it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The time of day: aware, UTC. It may jump."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some fixed moment. It never goes back; deadlines and rates use it."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class ManualClock(Clock):
    """A clock that stands still until somebody sleeps: sleeping moves it on, and takes no time."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._passed = 0.0
        #: Every pause that was asked for, in seconds.
        self.sleeps: list[float] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._passed += max(0.0, seconds)
