"""A part of a file on its way to a store: it stops when nobody waits for it any more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import BinaryIO

from blinkarchive import SinkError

PIECE = 64 * 1024


class Stopped(Exception):
    """Nobody waits for this put any more."""


class Body:
    """So many bytes of an open file, from an offset on, for boto3 to read."""

    def __init__(
        self, file: BinaryIO, path: Path, start: int, length: int, stop: Event, progress: Callable[[int], None] = lambda _: None
    ) -> None:
        """`progress` is called with the size of each piece that was read: see `Content.progress`."""
        self._file = file
        self._path = path
        self._start = start
        self._length = length
        self._stop = stop
        self._progress = progress
        self._at = 0
        #: What went wrong with the file while it was read: boto3 takes it for a fault of the connection.
        self.failure: Exception | None = None

    def __len__(self) -> int:
        return self._length

    def tell(self) -> int:
        """How far it was read."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go there."""
        self._at = offset + (0, self._at, self._length)[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next bytes. More than 16 KiB, which is what is asked for, make far fewer calls of the same work."""
        try:
            return self._read(self._length if size < 0 else max(size, PIECE))
        except Exception as error:
            self.failure = error
            raise

    def _read(self, size: int) -> bytes:
        if self._stop.is_set():
            raise Stopped
        wanted = min(size, self._length - self._at)
        if wanted <= 0:
            return b""
        try:
            self._file.seek(self._start + self._at)
            data = self._file.read(wanted)
        except OSError as error:
            raise SinkError(f"{self._path} cannot be read: {error.strerror}") from error
        if not data:
            raise SinkError(f"{self._path} is shorter than it was")
        self._at += len(data)
        self._progress(len(data))
        return data
