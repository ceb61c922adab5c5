"""Films and pictures into files: whole under their name, or not at all."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from blinkarchive import mp4
from blinkarchive.blink.sizes import Sizes
from blinkarchive.errors import ArchiveError, BadClip
from blinkarchive.files import Files
from blinkarchive.interfaces import Body

if TYPE_CHECKING:
    from blinkarchive.blink.wire import LocalClip

P = ParamSpec("P")
T = TypeVar("T")


async def save(body: Body, path: Path, *, film: bool, replace: bool = True, clip: LocalClip | None = None) -> int:
    """Write a body to a file, in the place of what is there; of a film, its MP4 structure is proven first. Gives its size.

    If it may not `replace` what is there, that stays as it is, and `FileExistsError` is raised. `clip` is
    what a manifest says of it, if one does.

    Missing folders are made. The bytes go to a file beside it, which takes its name when they are all there and durable.
    Raises `BadClip` for a body that is cut, empty, no film or another one, and `ArchiveError` when it cannot be written.
    """
    path = path.absolute()
    draft = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    files = Files()
    try:
        fd = _begin(files, draft)
        try:
            size = 0
            async for chunk in body.chunks:
                await _in_thread(files.write, fd, chunk)
                size += len(chunk)
            if clip is not None and not Sizes().fit(clip.size, size):
                raise BadClip(f"it may be another clip: {size} bytes came, and the manifest states a size of {clip.size}")
            await _in_thread(_finish, body, draft, path, fd, size, files, film, replace)
        finally:
            os.close(fd)
    except FileExistsError:
        raise
    except OSError as error:
        raise ArchiveError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            files.unlink(draft)  # what has taken its name is not there any more
    return size


def _begin(files: Files, draft: Path) -> int:
    """A file for the bytes; what stands in the way of one is no file that is there already."""
    try:
        files.make_folders(draft.parent)
        return files.create(draft, 0o666)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error


async def _in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do blocking work in a thread. Cancelling waits for its end: what it works on is closed right after."""
    doing = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        raise


def _finish(body: Body, draft: Path, path: Path, fd: int, size: int, files: Files, film: bool, replace: bool) -> None:
    if size == 0 or (body.length is not None and size != body.length):
        raise BadClip(f"cut: {size} of {body.length} bytes came" if body.length else "an empty body came")
    if film:
        with draft.open("rb") as file:
            mp4.check(mp4.reader(file.fileno()), size, size_is_proven=body.length is not None)
    files.sync(fd)
    if not replace:
        os.close(files.create(path, 0o666))  # takes the name, or raises; not every file system has links
    files.rename(draft, path)
    files.sync_folder(path.parent)


async def is_film(path: Path) -> bool:
    """Whether there is a whole film under this name."""

    def look() -> bool:
        try:
            with path.open("rb") as file:
                mp4.check(mp4.reader(file.fileno()), path.stat().st_size)
        except (OSError, BadClip):
            return False
        return True

    return await asyncio.to_thread(look)
