"""What will happen in the world, and when."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta

from blinkarchive.clock import Clock

Event = Callable[[datetime], None]
"""Is told when it was due: aware, UTC."""


class Timeline:
    """Events that wait for their time. Nothing runs beside the world: whoever looks at it lets happen first what is due."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[tuple[float, int, Event]] = []
        self._order = itertools.count()

    def after(self, seconds: float, event: Event) -> None:
        """Let something happen so many seconds from now."""
        self.at(self._clock.monotonic() + seconds, event)

    def at(self, moment: float, event: Event) -> None:
        """Let something happen at a moment of the world's monotonic clock."""
        heapq.heappush(self._waiting, (moment, next(self._order), event))

    def settle(self) -> None:
        """Let happen what is due, in the order of its time."""
        while self._waiting and self._waiting[0][0] <= self._clock.monotonic():
            moment, _, event = heapq.heappop(self._waiting)
            event(self._clock.now() - timedelta(seconds=self._clock.monotonic() - moment))
