"""What still has to be tidied up when nobody waits for it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from blinkarchive import SinkError
from blinkarchive_sftp.telling import TROUBLE

T = TypeVar("T")


class Chores:
    """Tasks that outlive the call that began them, and not the sink. Their failures are nobody's concern."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._over = False

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do it beside whatever else goes on."""
        task = asyncio.create_task(work)
        if self._over:
            task.cancel()
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def later(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
        """Do it, and let it fail if it must: a connection may be gone."""
        return self.begin(_quietly(work))

    async def done(self, patience: float) -> None:
        """Wait for all of it, for so many seconds at most; then no more is begun."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._tasks:
                    await asyncio.wait(self._tasks)
        self._over = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it has it from the task; if nobody does, it is no news


async def _quietly(work: Coroutine[Any, Any, object]) -> None:
    with suppress(SinkError, *TROUBLE):
        await work
