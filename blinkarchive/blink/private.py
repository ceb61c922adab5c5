"""Small files that only their owner may read, and the lock that keeps two processes from writing them at once."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from blinkarchive import permissions
from blinkarchive.clock import Clock
from blinkarchive.errors import ArchiveError, ConfigError, Unreachable
from blinkarchive.files import Files

LARGEST = 1 << 20
LOCK_WAIT = 60.0
"""How long to wait for another process that is renewing the sign-in, in seconds."""


def read(path: Path) -> bytes | None:
    """What the file holds; None when there is none.

    Raises `ConfigError`, with what to do, when others may read it, when it is another user's, or when it is no plain file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        why = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise ConfigError(f"{path} cannot be used: {why}") from error
    try:
        _check(path, os.fstat(fd))
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read(LARGEST)
    finally:
        os.close(fd)


def _check(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"{path} cannot be used: it is not a plain file")
    permissions.check(path, found, "the file", forbidden=permissions.OPEN)


def make_folder(files: Files, folder: Path) -> None:
    """Make the folder, for its owner alone. Raises `ConfigError` when there is one that others may write to."""
    files.make_folders(folder, 0o700)
    permissions.check(folder, folder.stat(), "the folder", forbidden=permissions.WRITABLE)


def write(files: Files, path: Path, data: bytes) -> None:
    """Put data in the file's place, durably. Raises `ArchiveError` when it cannot be kept."""
    with kept(path):
        make_folder(files, path.parent)
        files.replace(path, data)


@contextmanager
def kept(path: Path) -> Iterator[None]:
    """Translate what the file system says while something is kept at `path`."""
    try:
        yield
    except OSError as error:
        raise ArchiveError(f"the sign-in cannot be kept in {path.parent}: {error.strerror or error}") from error


@asynccontextmanager
async def locked(path: Path, *, files: Files, clock: Clock) -> AsyncIterator[None]:
    """Hold the lock on a path, among processes and within this one. The system frees it when its holder dies.

    Raises `Unreachable` when another holds it for a minute.
    """
    with kept(path):
        make_folder(files, path.parent)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        give_up = clock.monotonic() + LOCK_WAIT
        while not _try_lock(fd):
            if clock.monotonic() >= give_up:
                raise Unreachable("another process has been renewing the sign-in for a minute")
            await clock.sleep(0.05)
        yield
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
