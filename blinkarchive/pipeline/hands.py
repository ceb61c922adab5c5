"""How long a plugin is waited for: as long as we want, even if it does not stop when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

from blinkarchive.pipeline.sending import Silence

T = TypeVar("T")

LETTING_GO = 2.0
"""How long a plugin may take to stop when it is told to, in seconds."""

_left_behind: set[asyncio.Task[None]] = set()
"""Kept, as a loop keeps no task; nobody waits for them, and the process ends without them (see `cli/ending.py`)."""


class Hands:
    """A task in which a plugin works, step by step; what is entered there is left there, as some libraries demand.

    Whoever asks waits in another task, and can walk away. It is used by `async with`, and its end is the end of what was entered.
    """

    def __init__(self, *, letting_go: float = LETTING_GO) -> None:
        self._letting_go = letting_go
        self._asked: asyncio.Queue[tuple[Callable[[], Awaitable[Any]], asyncio.Future[Any]]] = asyncio.Queue()
        self._entered = AsyncExitStack()
        self._stopping = False
        self._task = asyncio.create_task(self._work())
        #: Whether it went on though it was told to stop. It is asked nothing more then.
        self.left_behind = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._stop()

    async def do(self, step: Callable[[], Awaitable[T]], silence: Silence) -> T:
        """Have something done, and give its result, or raise its error.

        What is silent for longer, or whose asker is cancelled, is told to stop, with all that was entered. Raises `TimeoutError`.
        """
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if not self._stopping:
            self._asked.put_nowait((step, outcome))
            ends: set[asyncio.Future[Any]] = {outcome, self._task}
            try:
                while (left := silence.left()) > 0 and not any(end.done() for end in ends):
                    await asyncio.wait(ends, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not outcome.done():
                    await self._stop()
        if not outcome.done():
            raise TimeoutError
        return outcome.result()

    async def enter(self, manager: AbstractAsyncContextManager[T]) -> T:
        """A step: enter a context, which stays entered."""
        return await self._entered.enter_async_context(manager)

    async def leave(self) -> None:
        """A step: leave what was entered."""
        await self._entered.aclose()

    async def _work(self) -> None:
        async with self._entered:
            while not self._stopping:
                step, outcome = await self._asked.get()
                try:
                    outcome.set_result(await step())
                except asyncio.CancelledError:
                    raise
                except BaseException as error:  # noqa: BLE001  # it is for whoever has asked
                    outcome.set_exception(error)
                    outcome.exception()  # they may be gone

    async def _stop(self) -> None:
        if self.left_behind:
            return
        self._stopping = True
        self._task.cancel()
        try:
            await asyncio.wait({self._task}, timeout=self._letting_go)
        finally:
            if not self._task.done():
                self.left_behind = True
                _left_behind.add(self._task)
                self._task.add_done_callback(_left_behind.discard)
            elif not self._task.cancelled():
                self._task.exception()  # of a context that was left because it had to be
