"""Drafts: files that are still being written, each beside its final place."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from blinkarchive import SinkError, SinkUnavailable
from blinkarchive.files import Files
from blinkarchive.keys import draft_name, is_draft
from blinkarchive_disk.folder import Folder

ABANDONED_AFTER = 24 * 3600.0
"""Seconds after which a draft is taken for abandoned, where a file system has no locks to ask."""


@contextmanager
def draft_in(folder: Folder, files: Files) -> Iterator[tuple[int, Path]]:
    """A new draft, open for writing and locked, and gone at the end whatever happens. Gives its descriptor and its path."""
    fd, draft = _create(folder, files)
    try:
        yield fd, draft
    finally:
        try:
            with suppress(OSError):  # renamed away; or else a later run sweeps it
                files.unlink(draft)
        finally:
            os.close(fd)


def _create(folder: Folder, files: Files) -> tuple[int, Path]:
    """A draft that stands in the folder that is held, with its lock taken.

    It is made by path and looked up in the folder. Not found there, it was swept between its creation and its lock (rare: once
    more), or the path leads elsewhere by now.
    """
    for _ in range(3):
        draft = folder.path / draft_name()
        fd = files.create(draft)
        with suppress(OSError):  # without locks a draft is judged by its age alone
            fcntl.flock(fd, fcntl.LOCK_EX)
        if folder.holds(draft.name, os.fstat(fd)):
            return fd, draft
        os.close(fd)
        with suppress(OSError):
            files.unlink(draft)
    raise SinkUnavailable(f"{folder.path} is another folder than when it was entered: unmounted, or replaced")


def sweep(folder: Folder, files: Files) -> None:
    """Remove the drafts that killed runs left in a folder.

    A living writer holds a lock on its draft, in this process or another, and a lock dies with its owner.
    A leftover that cannot be removed is no reason not to store a clip.
    """
    with os.scandir(folder.fd) as entries:
        drafts = [entry.name for entry in entries if is_draft(entry.name)]
    for name in drafts:
        with suppress(OSError, SinkError):
            fd = folder.open_file(name)
            try:
                if _is_abandoned(fd):
                    files.unlink(folder.path / name)
            finally:
                os.close(fd)


def _is_abandoned(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return time.time() - os.fstat(fd).st_mtime > ABANDONED_AFTER
    return True
