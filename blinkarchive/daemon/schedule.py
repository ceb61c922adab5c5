"""When each source is due, by two clocks: the one on the wall says when, the one that never jumps guards it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from blinkarchive.clock import Clock
from blinkarchive.config import Config, SourceConfig
from blinkarchive.model import SourceName
from blinkarchive.ticks import Cron, Every, Ticks

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_CLOSE_ENOUGH = 0.001

A_JUMP = timedelta(minutes=1)
"""By so much the two clocks may drift apart between two looks; more is a jump of the clock on the wall."""


class Schedule:
    """The sources and their next ticks.

    A tick that was missed, or several, makes a source due once. When the clock on the wall is set back, or the machine has
    slept, nothing waits for a moment that is far away now: the ticks are counted anew from there.
    """

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._apart = self._distance()
        self._ticks = {name: self._row(source) for name, source in config.sources.items()}
        #: A scheduler that starts looks at once.
        self._next = dict.fromkeys(config.sources, clock.now())
        #: Until when, on the clock that never jumps, a source is left alone whatever its ticks say.
        self._held: dict[SourceName, float] = {}

    def _row(self, source: SourceConfig) -> Ticks:
        if source.cron is not None:
            return Cron(source.cron, zone=self._config.serve.time_zone, jitter=source.jitter)
        assert source.every is not None  # the config has one of them
        return Every(source.every, start=self._clock.now(), jitter=source.jitter)

    def _distance(self) -> timedelta:
        return self._clock.now() - timedelta(seconds=self._clock.monotonic()) - _EPOCH

    @property
    def next(self) -> Mapping[SourceName, datetime]:
        """When each source is due next."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        free = {name: now + timedelta(seconds=until - monotonic) for name, until in self._held.items()}
        return {name: max(tick, free.get(name, tick)) for name, tick in self._next.items()}

    def due(self) -> list[SourceName]:
        """The sources that are due now. They are not due again before their next tick."""
        self._look_at_the_clocks()
        now, monotonic = self._clock.now(), self._clock.monotonic()
        held = {name for name, until in self._held.items() if until > monotonic + _CLOSE_ENOUGH}
        due = [name for name, tick in self._next.items() if tick <= now and name not in held]
        for name in due:
            self._next[name] = self._ticks[name].after(now)
            self._held.pop(name, None)
        return due

    def soon(self, name: SourceName, seconds: float) -> None:
        """Make a source due in so many seconds, if it is not before: nothing came of its last tick."""
        self._next[name] = min(self._next[name], self._clock.now() + timedelta(seconds=seconds))

    def hold(self, name: SourceName, seconds: float) -> None:
        """Leave a source alone for so many seconds."""
        self._held[name] = self._clock.monotonic() + seconds

    def _look_at_the_clocks(self) -> None:
        apart, before = self._distance(), self._apart
        self._apart = apart
        if abs(apart - before) <= A_JUMP:
            return
        now = self._clock.now()
        self._ticks = {name: self._row(source) for name, source in self._config.sources.items()}
        for name, tick in self._next.items():
            self._next[name] = min(tick, self._ticks[name].after(now))
