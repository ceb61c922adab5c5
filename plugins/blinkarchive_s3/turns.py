"""Who puts a key right now in this process: for stores that do not refuse to overwrite."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from threading import Lock


class Turns:
    """One at a time for each key, whichever thread and whichever open sink it comes from."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: dict[Hashable, tuple[Lock, int]] = {}

    @contextmanager
    def alone(self, key: Hashable, *, needed: bool = True) -> Iterator[None]:
        """Wait until nobody else has this key. Does nothing when it is not needed."""
        if not needed:
            yield
            return
        with self._lock:
            turn, users = self._waiting.get(key, (Lock(), 0))
            self._waiting[key] = (turn, users + 1)
        try:
            with turn:
                yield
        finally:
            with self._lock:
                turn, users = self._waiting.pop(key)
                if users > 1:
                    self._waiting[key] = (turn, users - 1)


TURNS = Turns()
