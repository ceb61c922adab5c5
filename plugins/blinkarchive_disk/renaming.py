"""Renaming without replacing: what Linux offers where a file system has no hard links."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
"""From linux/fcntl.h and linux/fs.h."""


def rename_new(old: Path, new: Path) -> None:
    """Rename a file. Raises `FileExistsError` when the new name is taken; ENOSYS, EINVAL or ENOTSUP where this cannot be done."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError as error:
        raise OSError(errno.ENOSYS, "this system cannot rename without replacing", str(new)) from error
    if renameat2(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), _RENAME_NOREPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(old), None, str(new))
