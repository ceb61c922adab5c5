"""The checks of one object in a sink, from its size to every byte. Reading stops one byte after the expected size."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from enum import Enum
from pathlib import Path

from blinkarchive.errors import AlreadyThere, PluginError, SinkError, Unavailable
from blinkarchive.interfaces import Sink
from blinkarchive.model import Content, Key, SinkName, Stored
from blinkarchive.pipeline.naming import second_name

log = logging.getLogger(__name__)

QUARANTINE = "quarantine/"
"""Damaged copies are moved below this prefix, so that the good copy gets the name."""

Progress = Callable[[], None]


def _nothing() -> None:
    """Reports no progress."""


_RANGE = 64 * 1024
_LARGEST_ASIDE = 256 * 1024 * 1024


class Depth(Enum):
    """How much of a copy is checked."""

    LOOK = "look"
    """Its size, and its hash where the sink reports one without sending the bytes."""
    PROVE = "prove"
    """Its hash: the one that the sink reports, else that of the bytes read back."""
    READ = "read"
    """Every byte is read back, whatever the sink reports."""


class Check(Enum):
    """The result of the check of a copy: true when nothing is wrong with it, and then how it was checked."""

    ABSENT = "absent"
    DAMAGED = "damaged"
    SIZE = "size"
    """Only its size was compared: the sink reports no hash."""
    HASH = "hash"
    """The sink reports the right hash."""
    READ = "read"
    """Every byte was read back."""

    def __bool__(self) -> bool:
        return self not in (Check.ABSENT, Check.DAMAGED)


class WrongReport(Exception):
    """A sink reports a size or a hash that is not that of the bytes it holds."""


async def check(
    sink: Sink, name: SinkName, key: Key, size: int, sha256: str, depth: Depth, progress: Progress = _nothing
) -> Check:
    """Compare an object with a size and a hash. Raises `WrongReport`, and what the sink raises.

    Where a report of the sink does not match, the bytes decide.
    """
    stored = await sink.stat(key)
    if stored is None:
        return Check.ABSENT
    if not isinstance(stored, Stored):
        raise PluginError(f"sink {name}: stat gave {type(stored).__name__} in place of Stored or None")
    matches = stored.size == size and stored.sha256 in (None, sha256)
    if matches and depth is Depth.LOOK and stored.sha256 is None:
        return Check.SIZE
    if matches and depth is not Depth.READ and stored.sha256 is not None:
        return Check.HASH
    reading = hashlib.sha256()
    async with opened(sink, key, size + 1, progress=progress) as chunks:
        async for chunk in chunks:
            reading.update(chunk)
    if reading.hexdigest() != sha256:
        return Check.DAMAGED
    if not matches:
        raise WrongReport(f"it reports a wrong size or hash of {key}: the bytes that it holds are right")
    return Check.READ


async def gives_a_part(sink: Sink, key: Key, content: Content) -> bool:
    """Whether the sink sends the right bytes of a range at a random offset. It cannot know the offset before."""
    start = random.randrange(max(content.size - _RANGE, 0) + 1)  # noqa: S311  # no secret
    expected = await asyncio.to_thread(_part, content.path, start)
    found = b""
    async with opened(sink, key, len(expected), start) as chunks:
        async for chunk in chunks:
            found += chunk
    return found == expected


def _part(path: Path, start: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(_RANGE)


@asynccontextmanager
async def opened(
    sink: Sink, key: Key, most: int, start: int = 0, *, progress: Progress = _nothing
) -> AsyncIterator[AsyncIterator[bytes]]:
    """The stored bytes from an offset on, at most so many: a sink may send without end. `progress` is called with each chunk."""
    async with sink.open(key, start) as chunks:
        try:
            async with aclosing(_cut(chunks, most, progress)) as pieces:
                yield pieces
        finally:
            if isinstance(chunks, AsyncGenerator):  # it may not have been read to its end
                await chunks.aclose()


async def _cut(chunks: AsyncIterator[bytes], most: int, progress: Progress) -> AsyncGenerator[bytes, None]:
    left = most
    async for chunk in chunks:
        if piece := chunk[:left]:
            progress()
            yield piece
        left -= len(chunk)
        if left <= 0:
            return


async def set_aside(sink: Sink, key: Key, folder: Path, progress: Progress = _nothing) -> bool:
    """Move a damaged object out of the way, below `QUARANTINE`; its bytes are kept. Whether that was possible.

    `folder` takes a temporary file. Raises `Unavailable`, and what is not a `SinkError`.
    """
    try:
        return await _set_aside(sink, key, folder, progress)
    except SinkError as error:
        if isinstance(error, Unavailable):
            raise
        log.warning("a damaged copy could not be moved aside", extra={"key": key, "because": str(error)})
        return False


async def _set_aside(sink: Sink, key: Key, folder: Path, progress: Progress) -> bool:
    reading, size = hashlib.sha256(), 0
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".", suffix=".part") as file:
        async with opened(sink, key, _LARGEST_ASIDE + 1, progress=progress) as chunks:
            async for chunk in chunks:
                reading.update(chunk)
                size += len(chunk)
                await asyncio.to_thread(file.write, chunk)
        file.flush()
        if size > _LARGEST_ASIDE:
            return False
        damaged = Content(path=Path(file.name), size=size, sha256=reading.hexdigest())
        aside = second_name(Key(QUARANTINE + key), damaged.sha256)
        with suppress(AlreadyThere):  # an earlier try got so far
            await sink.put(aside, damaged)
        if not await check(sink, SinkName(""), aside, damaged.size, damaged.sha256, Depth.READ, progress):
            return False
    await sink.delete(key)
    log.warning("a damaged copy was moved aside", extra={"key": key, "to": aside})
    return True
