"""File systems to meet: what `Files` does on them."""

import errno
import os
from pathlib import Path

from blinkarchive.files import Files


class Copying(Files):
    """Contents are on another file system, as when the spool is on another disk: they cannot be linked."""

    def link(self, existing: Path, new: Path) -> None:
        if not existing.name.startswith(".blinkarchive-"):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(new))
        super().link(existing, new)


class Unlinked(Files):
    """There are no hard links, as on exFAT."""

    def link(self, existing: Path, new: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), str(new))
