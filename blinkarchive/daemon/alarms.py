"""What is wrong, since when, and whether a person is to be told of it now."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from blinkarchive.model import Alarm, AlarmChange


class Alarms:
    """All that stands. It decides, and tells nobody itself."""

    def __init__(self) -> None:
        self._standing: dict[str, Alarm] = {}
        self._absent: set[str] = set()

    @property
    def standing(self) -> tuple[Alarm, ...]:
        """What is wrong now, in the order it was found: each with its newest text, and the last word that was told about it."""
        return tuple(self._standing.values())

    @property
    def still_found(self) -> tuple[Alarm, ...]:
        """What was wrong by the last update; of what stands, that is all but what was missing then."""
        return tuple(alarm for where, alarm in self._standing.items() if where not in self._absent)

    def update(
        self, findings: Mapping[str, str], *, now: datetime, remind_every: timedelta, once: Collection[str] = ()
    ) -> list[Alarm]:
        """Take in all that is wrong at this moment, as where > what, and give what a person is to be told.

        What is new is raised. What stands is told again when the last word about it is `remind_every` ago; a changed text is
        kept, and is no news. What is missing is over only when it is missing for the second time in a row: something that
        comes and goes with every look is then one alarm that stands, and not a message for each look; an all-clear may wait.

        What is in `once` is never told again for its age, but when its text has changed: something more is wrong.

        After a clock that went back, a word from the future counts as told just now: it neither comes again at once, nor is
        it waited for.
        """
        told = []
        for where, what in findings.items():
            known = self._standing.get(where)
            if known is None:
                alarm = Alarm(where=where, what=what, change=AlarmChange.RAISED, since=now, at=now)
                told.append(alarm)
            else:
                alarm = replace(known, what=what, since=min(known.since, now), at=min(known.at, now))
                again = known.what != what if where in once else now - alarm.at >= remind_every
                if again:
                    alarm = replace(alarm, change=AlarmChange.REMINDER, at=now)
                    told.append(alarm)
            self._standing[where] = alarm
        absent = self._standing.keys() - findings.keys()
        for where in [where for where in self._standing if where in absent & self._absent]:
            known = self._standing.pop(where)
            told.append(replace(known, change=AlarmChange.CLEARED, since=min(known.since, now), at=now))
        self._absent = absent & self._standing.keys()
        return told

    def as_record(self) -> dict[str, object]:
        """All of it as values that JSON can hold, for `from_record`."""
        return {
            "standing": [
                {
                    "where": alarm.where,
                    "what": alarm.what,
                    "change": alarm.change.value,
                    "since": alarm.since.astimezone(UTC).isoformat(),
                    "at": alarm.at.astimezone(UTC).isoformat(),
                }
                for alarm in self._standing.values()
            ],
            "absent": sorted(self._absent),
        }

    @classmethod
    def from_record(cls, record: object) -> Alarms:
        """What `as_record` gave before a restart. A record that makes no sense is none: what is wrong is then raised anew."""
        alarms = cls()
        try:
            known: Any = record
            standing = {alarm.where: alarm for alarm in map(_alarm, known["standing"])}
            absent = {str(where) for where in known["absent"]}
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
            return alarms
        alarms._standing, alarms._absent = standing, absent & standing.keys()
        return alarms


def _alarm(record: Mapping[str, Any]) -> Alarm:
    """One alarm of a record; raises whatever comes of one that makes no sense."""
    return Alarm(
        where=_text(record["where"]),
        what=_text(record["what"]),
        change=AlarmChange(record["change"]),
        since=_moment(record["since"]),
        at=_moment(record["at"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a text: {value!r}")
    return value


def _moment(value: object) -> datetime:
    moment = datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {value!r}")
    return moment.astimezone(UTC)
