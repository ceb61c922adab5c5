"""A generator that blocks, for those who wait in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Steps(Generic[T]):
    """A generator that blocks, taken step by step in worker threads."""

    def __init__(self, pool: ThreadPoolExecutor, generator: Generator[T, None, None]) -> None:
        self._pool = pool
        self._generator = generator
        self._step: Future[T | _End] | None = None

    def __aiter__(self) -> Steps[T]:
        return self

    async def __anext__(self) -> T:
        self._step = self._pool.submit(next, self._generator, _END)
        item = await asyncio.wrap_future(self._step)
        if isinstance(item, _End):
            raise StopAsyncIteration
        return item

    def close(self) -> None:
        """Close the generator: at once, or right after a step that still runs because its waiter was cancelled."""
        if self._step is None:
            self._generator.close()
        else:
            self._step.add_done_callback(lambda _step: self._generator.close())


class _End:
    """Stands for the end of a generator, as a thread cannot hand over a `StopIteration`."""


_END = _End()
