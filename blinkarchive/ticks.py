"""When something that is done again and again is due: APScheduler's triggers, with cron read as cron itself reads it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from blinkarchive.zone import local_zone

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_INSTANT = timedelta(microseconds=1)


class Ticks(Protocol):
    """An endless row of moments."""

    def after(self, moment: datetime) -> datetime:
        """The first one after a moment (aware). In UTC, and later by chance within the jitter."""
        ...


class Every:
    """Ticks at equal distances, whatever the clocks on the wall do."""

    def __init__(self, every: timedelta, *, start: datetime, jitter: timedelta = timedelta(0)) -> None:
        """`start` is one of the ticks."""
        self._trigger = IntervalTrigger(
            seconds=int(every.total_seconds()), start_date=start.astimezone(UTC), timezone=UTC, jitter=_seconds(jitter)
        )

    def after(self, moment: datetime) -> datetime:
        fires: datetime = self._trigger.get_next_fire_time(None, moment.astimezone(UTC) + _INSTANT)
        return fires


class Cron:
    """Ticks by the five fields of cron, in a time zone.

    APScheduler reads the fields, but for two things that cron does otherwise: there the week begins on Monday as 0, and a time of
    day that the clock shows twice when summer ends comes twice. Here 0 and 7 are Sunday, and what names its hours comes once that
    day. A time that the clock skips in spring comes an hour later.
    """

    def __init__(self, text: str, *, zone: tzinfo | None = None, jitter: timedelta = timedelta(0)) -> None:
        """`zone` is that of the machine when it is None. Raises `ValueError` for what is no cron, or never comes."""
        fields = text.split()
        if len(fields) != 5:
            raise ValueError(f'"{text}" is not five fields: minute, hour, day, month, day of the week')
        minute, hour, day, month, weekday = fields
        if day != "*" and weekday != "*":
            raise ValueError(f'"{text}" names a day of the month and one of the week: one of them must be *')
        self._zone = zone or local_zone()
        self._each_hour = hour.startswith("*")
        try:
            self._trigger = CronTrigger(
                minute=minute,
                hour=hour,
                day=day,
                month=month,
                day_of_week=_weekdays(weekday),
                timezone=self._zone,
                jitter=_seconds(jitter),
            )
        except ValueError as error:
            raise ValueError(f'"{text}" is no cron: {error}') from None
        try:
            self.after(datetime(2024, 1, 1, tzinfo=UTC))  # a leap year: the rarest day there is comes in it
        except OverflowError:
            raise ValueError(f'"{text}" never comes') from None

    def after(self, moment: datetime) -> datetime:
        """See `Ticks`. Raises `OverflowError` when there is none."""
        while True:
            fires = self._trigger.get_next_fire_time(None, (moment + _INSTANT).astimezone(self._zone))
            if fires is None:
                raise OverflowError("no such moment")
            moment = fires.astimezone(UTC)
            if self._each_hour or not moment.astimezone(self._zone).fold:
                return moment


def _seconds(jitter: timedelta) -> int | None:
    return int(jitter.total_seconds()) or None


def _weekdays(field: str) -> str:
    """The field for days of the week, in names: their numbers mean other days to APScheduler."""
    if field == "*":
        return field
    days: list[str] = []
    for part in field.lower().split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        begin = 0 if span == "*" else _weekday(first)
        end = 6 if span == "*" else _weekday(last) if last else 6 if step else begin
        if end < begin:  # fri-sun, 5-0
            end += 7
        days += (_DAYS[number % 7] for number in range(begin, end + 1, int(step or 1) or 1))
    return ",".join(dict.fromkeys(days))


def _weekday(word: str) -> int:
    if word in _DAYS:
        return _DAYS.index(word)
    if word.isdecimal() and int(word) <= 7:
        return int(word)
    raise ValueError(f'"{word}" is no day of the week')
