"""Contents to put: files of random bytes, such as a spool would hand over."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

from blinkarchive.model import Content

MakeContent = Callable[[int | bytes], Content]
"""Makes a content of so many random bytes, or of these bytes."""


class ContentMaker:
    """Makes contents in a folder. The random bytes are the same in every run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._random = random.Random(20260101)  # noqa: S311  # bytes to store, nothing secret
        self._made = 0

    def __call__(self, what: int | bytes) -> Content:
        """A content of so many random bytes, or of these bytes; each in a file of its own, readable by its owner alone."""
        data = self._random.randbytes(what) if isinstance(what, int) else what
        self._made += 1
        path = self._folder / f"content-{self._made}"
        path.touch(mode=0o600)
        path.write_bytes(data)
        return Content(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
