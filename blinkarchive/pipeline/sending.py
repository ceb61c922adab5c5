"""How a call of a sink is watched while bytes go through it: it may take as long as it needs, but not be silent for long."""

from __future__ import annotations

import asyncio
import threading
import time

SLOWEST = 2048
"""Bytes a second of the slowest line on which a put that shows no progress is still waited for."""


class Silence:
    """How long nothing may be heard of a call, in seconds. Each sign of progress starts it anew.

    A put that reports no bytes at all cannot be told from one that hangs: it may take `seconds` and the time that `size` bytes
    take over a slow line, in all. After the last byte that was read, the same time is left for those that the system still sends.
    """

    def __init__(self, seconds: float, *, size: int = 0) -> None:
        self._seconds = seconds + size / SLOWEST
        self._clock = asyncio.get_running_loop().time
        self._last = self._clock()

    def progress(self, size: int = 0) -> None:
        """A sign of progress. It may come from any thread."""
        self._last = self._clock()

    def left(self) -> float:
        """How many seconds of silence are left; 0 or less when it is over."""
        return self._last + self._seconds - self._clock()


class UploadLimit:
    """How fast a sink may read what it is given, in bytes a second, over all its puts together. For threads that may wait."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._free_at = 0.0

    def wait(self, size: int) -> None:
        """Count bytes that were read, and wait until the next may be."""
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + size / self._rate
            delay = self._free_at - now
        if delay > 0:
            time.sleep(delay)
