"""Who may change or read what is ours: files and folders of the archive's state are checked before they are used."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from blinkarchive.errors import ConfigError

WRITABLE = 0o022
"""The permissions by which others change it."""
OPEN = 0o077
"""Those by which others change or read it."""


MOUNTS = Path("/proc/self/mountinfo")
"""Where Linux lists what is mounted; other systems have no such file."""
_LONGEST_MOUNTS = 1024 * 1024

_WITHOUT_MODES = {
    "vfat": "FAT",
    "msdos": "FAT",
    "exfat": "exFAT",
    "ntfs": "NTFS",
    "ntfs3": "NTFS",
    "fuseblk": "NTFS or exFAT",
    "hfsplus": "HFS+",
    "cifs": "SMB",
    "smb3": "SMB",
    "9p": "9p",
    "vboxsf": "VirtualBox",
    "fuse.vmhgfs-fuse": "VMware",
    "drvfs": "Windows",
}
"""Kinds of file systems whose owners and modes may be those of the mount, where chmod and chown change nothing."""


def check(path: Path, found: os.stat_result, what: str, *, forbidden: int) -> None:
    """Raise `ConfigError` unless a file or folder is of this user and without the `forbidden` permissions.

    `found` is what `stat` gave of it, and `what` says what it is for: "the state folder". The message has the next step.
    """
    refused = found.st_uid != os.geteuid() or found.st_mode & forbidden
    if refused and (kind := _without_modes(found.st_dev)):
        raise ConfigError(
            f"{what} {path} is on a disk of type {kind}, which may not keep who may read and change a file (here: uid "
            f"{found.st_uid}, mode {found.st_mode & 0o7777:04o} for all). Keep the state on a disk of this system, such as "
            f'`[archive] state = "~/.local/state/blinkarchive"`: sinks can stay on the other disk. Or mount that disk with the '
            f"options uid={os.geteuid()},umask=0077"
        )
    if found.st_uid != os.geteuid():
        raise ConfigError(
            f"{what} {path} belongs to another user (uid {found.st_uid}). Run blinkarchive as that user, or, if it is to be "
            f"yours, run: sudo chown {os.geteuid()} '{path}'"
        )
    if found.st_mode & forbidden:
        may = "changed" if found.st_mode & forbidden & WRITABLE else "read"
        mode, right = found.st_mode & 0o7777, "700" if stat.S_ISDIR(found.st_mode) else "600"
        raise ConfigError(f"{what} {path} may be {may} by others (mode {mode:04o}). Run: chmod {right} '{path}'")


def _without_modes(device: int) -> str:
    """The kind of a device's file system, when it is one without owners and modes of its own; else ""."""
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        with MOUNTS.open(encoding="utf-8", errors="replace") as file:
            lines = file.read(_LONGEST_MOUNTS).splitlines()
    except OSError:
        return ""
    for line in lines:
        mount, _, kind = line.partition(" - ")
        if mount.split(" ")[2:3] == [number]:
            return _WITHOUT_MODES.get(kind.split(" ")[0], "")
    return ""


def check_inside(path: Path, what: str) -> None:
    """Raise `ConfigError` unless what is at `path` is ours alone to change, and no symbolic link. What is not there is fine.

    It is for what blinkarchive makes by itself inside a folder of its own: nobody has a reason to put a link there.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode):
        raise ConfigError(
            f"{what} {path} is a symbolic link, which blinkarchive did not make. If you made it, set `[archive] state` to a "
            "folder on the other disk instead, and move the whole state folder there"
        )
    check(path, found, what, forbidden=WRITABLE)
