"""The file of a content, as a sink reads it: what is wrong with it is told as that, and not as a fault of the sink."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from blinkarchive.errors import SinkError
from blinkarchive.model import Content


@contextmanager
def opened(content: Content) -> Iterator[tuple[int, os.stat_result]]:
    """The content's file and what it is, found to be as long as it is said to be. Raises `SinkError`."""
    with reading(content):
        source = os.open(content.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(source)
        if not stat.S_ISREG(found.st_mode) or found.st_size != content.size:
            raise SinkError(f"{content.path}: not a file of {content.size:,} bytes, as it should be, but of {found.st_size:,}")
        yield source, found
    finally:
        os.close(source)


@contextmanager
def reading(content: Content) -> Iterator[None]:
    """What goes wrong with the content's file is not the sink's fault, and must not look like it: `SinkError`."""
    try:
        yield
    except OSError as error:
        raise SinkError(f"{content.path} cannot be read, so it cannot be stored: {error.strerror}") from error
