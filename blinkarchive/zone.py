"""The time zone of this machine: the one implementation that every command, message and schedule uses."""

from __future__ import annotations

import io
import logging
import os
import re
import struct
from datetime import UTC, datetime, tzinfo
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

log = logging.getLogger(__name__)

LOCALTIME = Path("/etc/localtime")
"""The zone of a machine whose environment has no TZ."""

LARGEST_FILE = 1_000_000
"""No file of a time zone is larger, in bytes."""

_RULE = re.compile(r"[A-Za-z0-9<>+\-:,./]{4,100}", re.ASCII)
_PROBES = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))

_RULES_WHEN_NONE = ",M3.2.0,M11.1.0"
"""When summer time begins and ends where TZ names one and no dates: what the C library takes then."""


def local_zone() -> tzinfo:
    """The time zone of this machine, with its rules for summer time.

    It is the zone in the environment variable TZ, in each form that POSIX knows: a name (`Europe/Berlin`), rules
    (`UTC-3`, `CET-1CEST,M3.5.0,M10.5.0/3`), or a file. Without TZ it is that of `/etc/localtime`, and UTC where there is none.
    A TZ that is none of these is logged once; UTC is used then, as the C library does.
    """
    return _found(os.environ.get("TZ"))[0]


def problem() -> str:
    """Why the time zone of this machine is not known; "" when it is."""
    return _found(os.environ.get("TZ"))[1]


@cache
def _found(setting: str | None) -> tuple[tzinfo, str]:
    """The zone, and why it is not the one that was meant."""
    try:
        if setting is not None:
            return parse_zone(setting), ""
        return _from_file(LOCALTIME) if LOCALTIME.exists() else UTC, ""
    except ValueError as error:
        what = f"{error}; times are in UTC" if setting is None else f"the environment variable TZ: {error}; times are in UTC"
        log.warning("%s. Set TZ to a name such as Europe/Berlin", what)
        return UTC, what


def parse_zone(setting: str) -> tzinfo:
    """The zone that a text means, in each form that TZ may have. Raises `ValueError` when it means none."""
    text = setting.removeprefix(":")
    if not text:
        return UTC
    if text.startswith("/"):
        return _from_file(Path(text))
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # not a name
        return _from_rule(text)


def _from_file(path: Path) -> ZoneInfo:
    """The zone in a compiled file. Its name is the part of the real path that follows `zoneinfo/`, where there is one."""
    try:
        if not path.is_file():
            raise ValueError(f"{path} is not a file")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE)
        name = str(path.resolve()).rpartition("zoneinfo/")[2]
        return _compiled(content, name)
    except OSError as error:
        raise ValueError(f"the time zone in {path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"{path} does not hold a time zone") from None


def _from_rule(text: str) -> ZoneInfo:
    """The zone that a POSIX rule describes. A compiled file ends with such a rule, so a file with nothing else is made of it."""
    if _RULE.fullmatch(text):
        for rule in (text, text + _RULES_WHEN_NONE):
            try:
                return _compiled(_file_of(rule), text)
            except ValueError:
                continue
    raise ValueError(f"{text[:60]!a} is not a time zone")


def _file_of(rule: str) -> bytes:
    """A compiled file (RFC 8536, version 3) without transitions, that ends with a rule."""
    header = struct.pack(">4sc15x6l", b"TZif", b"3", 0, 0, 0, 0, 1, 4)
    data = struct.pack(">lbb4s", 0, 0, 0, b"UTC\0")
    return header + data + header + data + b"\n" + rule.encode() + b"\n"


class _Whole(io.BytesIO):
    """Content that raises at its end: the parser of the standard library reads a file without its last line for ever."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if size and size > 0 and not data:
            raise ValueError("it is cut")
        return data


def _compiled(content: bytes, name: str) -> ZoneInfo:
    """The zone of a compiled file's content. Raises `ValueError` for anything else."""
    try:
        zone = ZoneInfo.from_file(_Whole(content), key=name)
        for probe in _PROBES:
            probe.astimezone(zone)
    except Exception as error:  # noqa: BLE001  # content of any kind: the parser promises no errors
        raise ValueError(f"not a time zone: {error}") from None
    return zone
