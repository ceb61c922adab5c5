"""Who may read what is stored: the modes of the files and folders that the sink makes."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress

from blinkarchive import ConfigError

PRIVATE = 0o600
"""Files for the owner alone."""
SHARED = 0o640
"""Files that a group may read."""

_MODE = re.compile(r"0?[0-7]{3}")


def mode_of(text: str) -> int:
    """The mode of files that an owner wrote, such as "0640". Raises `ConfigError`."""
    if not _MODE.fullmatch(text):
        raise ConfigError(f'file_mode = "{text}" is not a mode; write it as three octal digits after a 0, such as "0640"')
    mode = int(text, 8)
    if mode & PRIVATE != PRIVATE:
        raise ConfigError(f'file_mode = "{text}": the owner must be able to read and write (0600)')
    if mode & 0o111:
        raise ConfigError(f'file_mode = "{text}": clips are not programs; folders get the bits to enter them by themselves')
    return mode


def default_mode(folder: int) -> int:
    """The mode of new files in a folder, given as a descriptor: private, unless its owner shares it on purpose.

    That is a folder that passes its group on (setgid) and that the group may read, or one with a default ACL.
    """
    mode = os.fstat(folder).st_mode
    passes_on = mode & stat.S_ISGID and mode & stat.S_IRGRP
    return SHARED if passes_on or _has_default_acl(folder) else PRIVATE


def _has_default_acl(folder: int) -> bool:
    if hasattr(os, "getxattr"):
        with suppress(OSError):
            return bool(os.getxattr(folder, "system.posix_acl_default"))
    return False


def folder_mode(mode: int) -> int:
    """The mode of folders for files of a mode: who may read a file may enter them."""
    return mode | (mode & 0o444) >> 2


def set_mode(fd: int, mode: int) -> None:
    """Give a new file its mode, whatever the umask; a default ACL is limited by it. Some file systems have no modes."""
    if stat.S_IMODE(os.fstat(fd).st_mode) != mode:
        with suppress(PermissionError, NotImplementedError):
            os.fchmod(fd, mode)


def is_as_created(file: os.stat_result, folder: os.stat_result, mode: int) -> bool:
    """Whether a file that exists is, in mode and group, as one that is created in a folder now."""
    group = folder.st_gid if folder.st_mode & stat.S_ISGID else os.getegid()
    return (stat.S_IMODE(file.st_mode), file.st_gid) == (mode, group)
