"""What people write for a length of time and for a moment, and what is refused because it could mean two things."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
"""The units of a duration: seconds, minutes, hours, days, weeks."""

_DURATION = re.compile(r"(?P<count>\d+)(?P<unit>[smhdw])", re.ASCII)
_AGO = re.compile(r"\d+[hdw]", re.ASCII)
_MOMENT = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?:[T ](?P<time>\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(?: ?(?P<zone>Z|[+-]\d\d:?\d\d))?)?"
    r"|(?P<slashed>\d{4}/\d\d/\d\d)(?: (?P<clock>\d\d:\d\d(?::\d\d)?))?",
    re.ASCII,
)

WHEN_FORMS = "2026-03-01, 2026-03-01T09:34, 2026-03-01T09:34+01:00, 2026/03/01 09:34, 36h, 7d or 4w"
"""What `parse_when` takes, for messages and help."""


def parse_duration(text: str) -> timedelta:
    """A length of time: `0s`, `30s`, `5m`, `12h`, `7d`, `4w`, or a bare `0`. Raises `ValueError` for anything else."""
    if text == "0":
        return timedelta()
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is no length of time; write one number and one unit: 30s, 5m, 12h, 7d or 4w')
    try:
        return int(match["count"]) * UNITS[match["unit"]]
    except (OverflowError, ValueError):
        raise ValueError(f'"{text}" is too long a time') from None


def format_duration(length: timedelta) -> str:
    """The shortest text that `parse_duration` reads as this length (whole seconds)."""
    seconds = int(length.total_seconds())
    for unit in reversed(UNITS):
        size = int(UNITS[unit].total_seconds())
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return "0s"


def parse_when(text: str, now: datetime, zone: tzinfo) -> datetime:
    """The moment a person means, in UTC.

    An ISO date (its first moment), a date-time with or without a zone, `2018/07/04 09:34`, or so long ago: `36h`, `7d`,
    `4w`. What names no zone is taken in `zone`. Raises `ValueError` for anything else, and for a local time that the
    clock of `zone` shows twice or skips.
    """
    if _AGO.fullmatch(text):
        try:
            return (now - parse_duration(text)).astimezone(UTC)
        except OverflowError:
            raise ValueError(f'"{text}" ago is before all calendars') from None
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is no time; write {WHEN_FORMS}')
    try:
        day = date.fromisoformat((match["day"] or match["slashed"]).replace("/", "-"))
        clock = match["time"] or match["clock"]
        if clock is None:
            # At a midnight that comes twice the day begins with the first; where it is skipped, when the clock goes on.
            return datetime.combine(day, time(), zone).astimezone(UTC)
        moment = datetime.combine(day, time.fromisoformat(clock))
        if match["zone"] is not None:
            return datetime.fromisoformat(f"{moment.isoformat()}{match['zone']}").astimezone(UTC)
        return _local(moment, zone)
    except OverflowError:
        raise ValueError(f'"{text}" is beyond all calendars') from None
    except ValueError as error:
        raise ValueError(f'"{text}": {error}') from None


def names_a_zone(text: str) -> bool:
    """Whether `parse_when` reads this text without asking for the zone of the machine."""
    match = _MOMENT.fullmatch(text)
    return _AGO.fullmatch(text) is not None or (match is not None and match["zone"] is not None)


def _local(moment: datetime, zone: tzinfo) -> datetime:
    first, second = (moment.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return first
    if first.astimezone(zone).replace(tzinfo=None) != moment:
        raise ValueError(f"the clock skips this time in the zone {_named(first, zone)}; name another, or add a zone such as Z")
    offsets = " or ".join(f"{at.astimezone(zone):%z}" for at in (first, second))
    raise ValueError(f"the clock shows this time twice in the zone {_named(first, zone)}; add the one you mean: {offsets}")


def _named(moment: datetime, zone: tzinfo) -> str:
    return getattr(zone, "key", None) or moment.astimezone(zone).tzname() or str(zone)
