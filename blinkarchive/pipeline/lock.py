"""One run at a time, one scheduler at a time: locks that die with their owners."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blinkarchive.errors import ArchiveBusy, ArchiveError


@contextmanager
def held(path: Path, *, busy: str = "another run holds this archive") -> Iterator[None]:
    """Hold a lock of the archive while the block lasts.

    It is the kernel's (`flock`), so nothing has to be cleaned up after a kill. Raises `ArchiveBusy` at once, with `busy`, when
    another process holds it.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ArchiveError(f"the lock {path} cannot be opened: {error.strerror}") from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(fd, 32, 0).decode(errors="replace").strip()
            by = f" (process {owner})" if owner.isdecimal() else ""
            raise ArchiveBusy(f"{busy}{by}; nothing was done") from error
        except OSError as error:
            raise ArchiveError(f"the folder of {path} takes no locks: {error.strerror}. It has to be on a local disk") from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


def is_held(path: Path) -> bool:
    """Whether a living process holds a lock. Nothing is made or changed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False
