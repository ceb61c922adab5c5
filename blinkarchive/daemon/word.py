"""The word a scheduler leaves for others to read: that it lives, what it does now, what is next, what is wrong."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

FILE = "serve.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """A run that goes on."""

    #: A source's name, or "feed".
    what: str
    since: datetime
    listed: int = 0
    stored: int = 0
    failed: int = 0
    #: Fetched from the source.
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """Something that is wrong."""

    where: str
    what: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a scheduler says of itself."""

    pid: int
    started_at: datetime
    written_at: datetime
    #: The config file it goes by.
    config: str = ""
    doing: tuple[Doing, ...] = ()
    #: When each source is due next.
    next: Mapping[str, datetime] = field(default_factory=dict)
    wrong: tuple[Wrong, ...] = ()
    #: Its alarms, for the next scheduler.
    alarms: Any = None


def leave(folder: Path, word: Word) -> None:
    """Write the word, whole or not at all. It need not outlive a power cut, so it is not flushed. Raises `OSError`."""
    path = folder / FILE
    temp = path.with_name(f".{FILE}.next")
    with suppress(FileNotFoundError):
        temp.unlink()
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(msgspec.json.encode(word))
    temp.replace(path)


def read(folder: Path) -> Word | None:
    """The word of the last scheduler; None when there is none that makes sense."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Word)
    except (OSError, msgspec.MsgspecError):
        return None
