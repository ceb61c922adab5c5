"""What goes to stdout (data) and to stderr (talk), and how numbers are said to people."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TextIO

from blinkarchive.secret import redact
from blinkarchive.zone import local_zone

TITLES = {"ok": "green", "warn": "yellow", "fail": "red", "low": "yellow", "offline": "red"}
"""The words of a check or a device, and their colours on a terminal."""

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")

NOTHING = "-"
"""What a cell holds when nothing is known."""


def data(line: str) -> bool:
    """A line of data, on stdout. Gives whether somebody still reads there. Raises `OSError` when stdout is full."""
    try:
        if sys.stdout is not None:
            sys.stdout.write(f"{line}\n")
    except BrokenPipeError:
        to_nowhere(sys.stdout)
        return False
    return True


def record(values: Mapping[str, object]) -> bool:
    """One JSON object on one line of stdout; for the rest see `data`."""
    plain = sys.stdout is None or (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    return data(_UNPRINTABLE.sub(_escape, json.dumps(values, ensure_ascii=plain)))


def _escape(found: re.Match[str]) -> str:
    """A character that a terminal may obey, as JSON writes it in ASCII: names come from outside."""
    if found[0].isprintable():
        return found[0]
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def to_nowhere(stream: TextIO) -> None:
    """Let go of what a stream has not written yet, and of all that follows: it would fail again and again, the last time
    when the interpreter ends.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def talk(line: str) -> None:
    """A line for a person, on stderr; secrets and control characters are hidden. When nobody takes it, it is gone."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.write(f"{redact(line)}\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, broad: bool = False) -> None:
    """A table on stdout: as wide as the terminal; without one, every row is one line.

    One that is `broad` has few words in many columns: where the terminal has no room for it, each row is a paragraph.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if sys.stdout is None:
        return
    on_terminal = is_terminal(sys.stdout)
    console = Console(file=sys.stdout, width=None if on_terminal else 100_000, highlight=False, emoji=False, soft_wrap=False)
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    cells = [[printable(cell) for cell in row] for row in rows]
    for row in cells:
        drawn.add_row(*(Text(cell, style=TITLES.get(cell, "")) for cell in row))
    if broad and console.measure(drawn, options=console.options.update(width=100_000)).maximum > console.width:
        for row in cells:
            for line in paragraph(columns, row, console.width):
                data(line)
        return
    with console.capture() as capture:
        console.print(drawn)
    for line in capture.get().splitlines():
        data(line.rstrip())


def paragraph(columns: Sequence[str], row: Sequence[str], width: int) -> Iterator[str]:
    """A row as lines that are so wide at most, where its words allow it: its first cell, and below, what is known of the rest."""
    from rich.cells import cell_len

    yield row[0]
    line = ""
    for column, cell in zip(columns[1:], row[1:], strict=True):
        part = f"{column.lower()} {cell}"
        if cell == NOTHING:
            continue
        if line and cell_len(f"{line}, {part}") > width - 3:
            yield f"  {line},"
            line = ""
        line = f"{line}, {part}" if line else part
    if line:
        yield f"  {line}"


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads this stream on a terminal."""
    try:
        return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:
        return False


def printable(text: str) -> str:
    """A text from outside, such as a camera's name, without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def count(number: int, thing: str, things: str | None = None) -> str:
    """`1 clip`, `2 clips`, `12,345 clips`."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def size(number: float) -> str:
    """`0 B`, `999 B`, `1.5 MB`: powers of 1000, as disks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 99.5 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def length(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 days`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return count(whole // 86400, "day")


def age(moment: datetime, now: datetime) -> str:
    """How long ago a moment was, in words."""
    passed = now - moment
    return "just now" if passed < timedelta(seconds=1) else f"{length(passed.total_seconds())} ago"


def ago(moment: datetime, now: datetime) -> str:
    """How long ago a moment was, in one unit: `just now`, `12 s ago`, `3 min ago`, `5 h ago`, `3 days ago`."""
    passed = int((now - moment).total_seconds())
    for seconds, unit in ((86400, "day"), (3600, "h"), (60, "min"), (1, "s")):
        if passed >= (2 * seconds if unit == "day" else seconds):
            number = passed // seconds
            return f"{count(number, unit)} ago" if unit == "day" else f"{number} {unit} ago"
    return "just now"


def minute(when: datetime) -> str:
    """A time in the zone of this machine, with its offset, to the minute: `2026-03-01 09:34 +01:00`."""
    local = when.astimezone(local_zone())
    return f"{local:%Y-%m-%d %H:%M} {local.isoformat()[-6:]}"


def moment(when: datetime) -> str:
    """A time in the zone of this machine, with its offset: `2026-03-01 09:34:00 +01:00`."""
    local = when.astimezone(local_zone())
    offset = local.isoformat()[-6:]
    return f"{local:%Y-%m-%d %H:%M:%S} {offset}"


def iso(when: datetime | None) -> str | None:
    """A time for programs: UTC, `2026-03-01T08:34:00Z`."""
    return None if when is None else when.astimezone(UTC).isoformat().replace("+00:00", "Z")


def flush() -> None:
    """Send on what is buffered for stdout: whoever reads it may be waiting. Raises `OSError` when stdout is full."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        to_nowhere(sys.stdout)
