"""The way back: a clip out of a sink, proven to be what was archived, and decrypted where it was encrypted."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from blinkarchive.encryption import Identities
from blinkarchive.errors import ArchiveError, CannotDecrypt, CopyDiffers, NoIdentity
from blinkarchive.files import is_full
from blinkarchive.interfaces import Body
from blinkarchive.model import Copy, Plain
from blinkarchive.pipeline.lane import Lane

T = TypeVar("T")

_PIECE = 256 * 1024


async def side_by_side(work: Callable[[T], Coroutine[Any, Any, None]], items: AsyncIterator[T], at_once: int) -> None:
    """Do it with each of the items, with some at once. What it, or the items, raise ends all of it, and goes through."""
    places = asyncio.Semaphore(at_once)
    async with asyncio.TaskGroup() as tasks:
        async for item in items:
            await places.acquire()
            tasks.create_task(work(item)).add_done_callback(lambda _: places.release())


@asynccontextmanager
async def clip_of(lane: Lane, copy: Copy, identities: Identities | None, folder: Path) -> AsyncIterator[Body]:
    """The bytes of the clip that a copy is of. Where they are not those that were archived, `CopyDiffers` is raised before the
    last of them is given, or before the first.

    What is encrypted is decrypted in `folder`, in a file without a name, of which nothing is left. Raises `CannotDecrypt` without
    a right identity, `ArchiveError` when the folder has no room, and what reading raises: `SinkError`, `PluginError`.
    """
    if copy.plain is None:
        async with lane.read(copy.key, copy.size) as body:
            yield Body(length=copy.size, type=body.type, chunks=_proven(body.chunks, copy))
        return
    with await _decrypted(lane, copy, copy.plain, identities, folder) as file:
        yield Body(length=copy.plain.size, type="video/mp4", chunks=_pieces(file))


async def _decrypted(lane: Lane, copy: Copy, plain: Plain, identities: Identities | None, folder: Path) -> BinaryIO:
    """A file of the clip, at its beginning; it is nowhere but in the hand of who closes it."""
    if identities is None:
        raise NoIdentity
    with ExitStack() as stack:
        try:
            sealed, file = (stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in range(2))
            async with lane.read(copy.key, copy.size) as body:
                async for chunk in _proven(body.chunks, copy):
                    await asyncio.to_thread(sealed.write, chunk)
            sha256 = await asyncio.to_thread(_decrypt, sealed, file, identities)
        except OSError as error:
            trouble = "there is no room" if is_full(error) else error.strerror
            raise ArchiveError(f"nothing can be decrypted in {folder}: {trouble}") from error
        except CannotDecrypt as error:
            raise CannotDecrypt(f"{copy.key} in sink {copy.sink}: {error}") from error
        if sha256 != plain.sha256:
            raise CopyDiffers(f"sink {copy.sink}: {copy.key} was decrypted, and is not the clip that was archived")
        stack.pop_all()
    sealed.close()
    return file


def _decrypt(sealed: BinaryIO, file: BinaryIO, identities: Identities) -> str:
    """Decrypt one file to another. Gives the SHA-256 of what came out. Blocks."""
    written = hashlib.sha256()

    def write(piece: bytes) -> None:
        written.update(piece)
        file.write(piece)

    sealed.seek(0)
    identities.decrypt(sealed, write)
    file.seek(0)
    return written.hexdigest()


async def _proven(chunks: AsyncIterator[bytes], copy: Copy) -> AsyncIterator[bytes]:
    """The chunks, one behind: whoever has got the last one knows that all were right."""
    reading, size = hashlib.sha256(), 0
    last = b""
    async for chunk in chunks:
        if last:
            yield last
        reading.update(chunk)
        size += len(chunk)
        if size > copy.size:
            break
        last = chunk
    if (size, reading.hexdigest()) != (copy.size, copy.sha256):
        raise CopyDiffers(f"sink {copy.sink}: what it holds as {copy.key} is not what was stored there")
    yield last


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    read: Callable[[int], bytes] = file.read
    while piece := await asyncio.to_thread(read, _PIECE):
        yield piece
