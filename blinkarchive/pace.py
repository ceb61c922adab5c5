"""How fast we may go: requests a second, and media downloads at once, for one account."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from blinkarchive.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A pace in figures."""

    #: Requests a second, sustained; `inf` for no limit.
    requests_per_second: float = 2.0
    #: How many requests may go at once after a rest.
    burst: int = 5
    #: Media downloads at the same time.
    downloads: int = 2


PACES = {
    "polite": Figures(),
    "brisk": Figures(requests_per_second=5.0, burst=10, downloads=4),
    "unlimited": Figures(requests_per_second=math.inf, burst=1, downloads=8),
}
"""The paces that have a name."""


class Pace:
    """A token bucket for requests and a gate for downloads. One for each account, shared by all that talks to Blink for it."""

    def __init__(self, figures: Figures, clock: Clock) -> None:
        self.figures = figures
        self._clock = clock
        self._tokens = float(figures.burst)
        self._filled_at = clock.monotonic()
        self._turn = asyncio.Lock()
        self._downloads = asyncio.Semaphore(figures.downloads)

    async def request(self) -> None:
        """Wait until one more request may be sent. Turns are given in the order of asking."""
        rate = self.figures.requests_per_second
        if math.isinf(rate):
            return
        async with self._turn:
            now = self._clock.monotonic()
            self._tokens = min(float(self.figures.burst), self._tokens + (now - self._filled_at) * rate)
            self._filled_at = now
            if self._tokens < 1.0:
                await self._clock.sleep((1.0 - self._tokens) / rate)
                self._filled_at = self._clock.monotonic()
                self._tokens = 1.0
            self._tokens -= 1.0

    @asynccontextmanager
    async def download(self) -> AsyncIterator[None]:
        """Hold one of the places for media downloads."""
        async with self._downloads:
            yield
