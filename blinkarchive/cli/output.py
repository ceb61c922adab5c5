"""Where a picture or a clip goes: a file that is named, a new file of its own name, or stdout. Whole, or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from blinkarchive.cli.house import Found
from blinkarchive.cli.session import Session
from blinkarchive.cli.words import data, is_terminal, iso, printable, record, size, to_nowhere
from blinkarchive.clock import Clock
from blinkarchive.errors import ArchiveError
from blinkarchive.retry import retry

if TYPE_CHECKING:
    from blinkarchive.blink import Camera
    from blinkarchive.blink.taking import Taken

STDOUT = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written."""

    #: None for stdout.
    file: Path | None
    size: int
    #: When it was taken, as far as Blink says.
    at: datetime | None
    #: What stdout is to get.
    data: bytes = b""


def output_option(told: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option that says where to."""
    return click.option("-o", "--output", "to", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True), help=told)


def check(session: Session, to: str | None) -> None:
    """Raise `click.UsageError` when nothing could be written there: before any device is asked."""
    if to == STDOUT:
        if session.json:
            raise click.UsageError("-o - and --json both want stdout")
        if is_terminal(sys.stdout):
            raise click.UsageError("-o - is for a pipe or a file: a terminal cannot show it")
        return
    folder = Path(to).absolute().parent if to else Path.cwd()
    if not folder.is_dir():
        raise click.UsageError(f"-o {to}: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise click.UsageError(f"the folder {folder} cannot be written; name a file elsewhere with -o FILE")


async def write(taken: Taken, to: str | None, *, name: str, ending: str) -> Written:
    """Fetch it, and write it. A file that is named is replaced; another one never is."""
    film = ending == ".mp4"
    if to == STDOUT:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"taken{ending}"
            length = await _fetch(taken, file, film=film, replace=True)
            return Written(file=None, size=length, at=taken.at, data=file.read_bytes())
    file = Path(to) if to else _new(name, taken.at or Clock().now(), ending)
    length = await _fetch(taken, file, film=film, replace=to is not None)
    return Written(file=file, size=length, at=taken.at)


async def _fetch(taken: Taken, file: Path, *, film: bool, replace: bool) -> int:
    from blinkarchive.blink.saving import save

    async def once() -> int:
        async with taken.open() as body:
            return await save(body, file, film=film, replace=replace)

    try:
        return await retry(once, clock=Clock())
    except FileExistsError:
        raise ArchiveError(f"{file} is there already, and stays as it is; -o {file} replaces it") from None


def _new(name: str, at: datetime, ending: str) -> Path:
    """A name in the working folder that nothing has: the camera, and when it was taken (UTC)."""
    from blinkarchive.blink.downloads import slug

    stem = f"{slug(name)}_{at:%Y%m%dT%H%M%SZ}"
    file, number = Path(f"{stem}{ending}"), 1
    while os.path.lexists(file):
        number += 1
        file = Path(f"{stem}-{number}{ending}")
    return file


def tell(session: Session, found: Found[Camera], written: Written, what: str) -> None:
    """Give stdout the bytes, or say where they are. Raises `OSError` when stdout is full."""
    if written.file is None:
        _show(written.data)
    elif session.json:
        record(as_record(found, written))
    else:
        data(str(written.file))
    session.say(f"{printable(found.name)}: {what}, {size(written.size)}.")


def as_record(found: Found[Camera], written: Written | None) -> dict[str, object]:
    """What a camera has taken, for programs; and what was written, if anything was."""
    return {
        "account": found.house.account,
        "name": found.name,
        "id": found.thing.id,
        "file": str(written.file.absolute()) if written and written.file else None,
        "size": written.size if written else None,
        "taken_at": iso(written.at) if written else None,
    }


def _show(content: bytes) -> None:
    """Bytes on stdout; that its reader has gone is no failure."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        to_nowhere(sys.stdout)
