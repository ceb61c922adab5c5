"""What the system says of a disk, in the words of sinks."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blinkarchive import BadKey, SinkFull, SinkUnavailable
from blinkarchive.files import is_full

_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
_NOT_A_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Translate what the system says. Whatever is wrong with the disk is no fault of the clip: it can be tried again."""
    try:
        yield
    except OSError as error:
        words = f"{path}: {error.strerror or error}"
        if is_full(error):
            raise SinkFull(words) from error
        if error.errno in _NOT_A_NAME:
            raise BadKey(f"{words}: the file system does not take this name") from error
        if error.errno == errno.ENOTDIR:
            raise BadKey(f"{words}: a part of the key is the name of a file here") from error
        raise SinkUnavailable(words) from error


@contextmanager
def where_folders_can_be_synced() -> Iterator[None]:
    """Some file systems, network shares among them, cannot make a folder durable on demand and say so: that is no failure."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
