"""How the work of a function grows with its input: for what must not be slow on a text that somebody else chooses."""

from __future__ import annotations

import time
from collections.abc import Callable


def growth(work: Callable[[int], object], size: int) -> float:
    """How many times as much processor time `work(size)` takes as `work(size // 4)`: 4 where it is linear, 16 where it is
    quadratic. What takes a few milliseconds in all counts as nothing.
    """
    return (_seconds(work, size) - 0.005) / _seconds(work, size // 4)


def _seconds(work: Callable[[int], object], size: int) -> float:
    times = []
    for _ in range(5):
        began = time.process_time()
        work(size)
        times.append(time.process_time() - began)
    return max(min(times), 1e-6)
