"""Time that passes only when nothing else can happen: hours of a client and its cloud in a moment.

Client and simulated cloud run in one process, on a `VirtualLoop`. All that asks the loop for the time lives in virtual time:
`asyncio.sleep`, `asyncio.timeout`, `call_later`, the deadlines of aiohttp. Sockets, files and threads stay real.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor
from concurrent.futures import thread as pools
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple

from blinkarchive.clock import Clock

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Events = list[tuple[selectors.SelectorKey, int]]

PATIENCE = 30.0
"""How long a loop may run at a stretch, in real seconds."""

_GRACE = 0.0001
"""How long what was sent over loopback may be on its way, in real seconds. It has always been there at once."""

_SLICE = 0.01
_OUTSIDE = 1.0


class Standstill(RuntimeError):
    """Nothing can happen any more, or it goes on for ever: a test would hang."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still while there is anything to do, and jumps to the next timer when there is not.

    While a thread of a pool or a child process is at work, time passes as it really does. Raises `Standstill` out of `run` when
    nothing is ready, nothing is at work and no timer is set, and after `patience` real seconds at a stretch.
    """

    def __init__(self, *, patience: float = PATIENCE) -> None:
        self._passed = 0.0
        self._patience = patience
        self._began = time.monotonic()
        self._in_threads = 0
        self._children: list[asyncio.SubprocessTransport] = []
        super().__init__(_Selector(self._wait))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._passed

    def run_forever(self) -> None:
        self._began = time.monotonic()
        super().run_forever()

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self._in_threads += 1
        future.add_done_callback(self._back_from_thread)
        return future

    async def shutdown_default_executor(self, *args: Any, **options: Any) -> None:
        self._in_threads += 1  # it waits in a thread of its own
        try:
            await super().shutdown_default_executor(*args, **options)
        finally:
            self._in_threads -= 1

    async def subprocess_exec(self, *args: Any, **options: Any) -> Any:
        return self._born(await super().subprocess_exec(*args, **options))

    async def subprocess_shell(self, *args: Any, **options: Any) -> Any:
        return self._born(await super().subprocess_shell(*args, **options))

    def _born(self, child: tuple[asyncio.SubprocessTransport, asyncio.BaseProtocol]) -> Any:
        self._children.append(child[0])
        return child

    def _back_from_thread(self, _: asyncio.Future[Any]) -> None:
        self._in_threads -= 1

    def _at_work(self) -> bool:
        """Whether something may still reach the loop without a timer."""
        self._children = [child for child in self._children if child.get_returncode() is None]
        return bool(self._in_threads or self._children) or _pools_at_work()

    def _wait(self, look: Callable[[float], Events], timeout: float | None) -> Events:
        """What is ready within a time; None waits for ever."""
        if timeout is not None and timeout <= 0:
            return look(0)
        if time.monotonic() - self._began > self._patience:
            raise Standstill(f"it goes on for more than {self._patience} real seconds; {self._waiting()}")
        # In this order: what a thread has done before it rests is seen by the look that follows.
        if self._at_work():
            began = time.monotonic()
            ready = look(_SLICE if timeout is None else min(timeout, _SLICE))
            self._passed += min(time.monotonic() - began, timeout or _SLICE)
            return ready
        if ready := look(0):
            return ready
        time.sleep(_GRACE)
        if ready := look(_OUTSIDE if timeout is None else 0):
            return ready
        if timeout is None:
            raise Standstill(f"nothing is ready, nothing is at work, and no timer is set; {self._waiting()}")
        self._passed += timeout
        return []

    def _waiting(self) -> str:
        """Where the tasks are."""
        places = [
            f"{task.get_name()} at {frame.f_code.co_filename}:{frame.f_lineno}"
            for task in asyncio.all_tasks(self)
            for frame in task.get_stack(limit=1)
        ]
        return f"tasks: {', '.join(sorted(places)) or 'none'}"


class VirtualClock(Clock):
    """The clock of the running loop, in all threads. It says `start` when it is made."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoch = start - timedelta(seconds=self._loop.time())

    def now(self) -> datetime:
        return self._epoch + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        return self._loop.time()

    def jump(self, by: timedelta) -> None:
        """Set the time of day forward or back. Nobody has slept longer or less for it."""
        self._epoch += by


class _Selector(selectors.DefaultSelector):
    """Waits the way it is told to."""

    def __init__(self, wait: Callable[[Callable[[float], Events], float | None], Events]) -> None:
        super().__init__()
        self._wait = wait

    def select(self, timeout: float | None = None) -> Events:
        return self._wait(super().select, timeout)


def _pools_at_work() -> bool:
    """Whether a thread of any pool has something to do: not all that is given to a pool is given by the loop.

    No public call tells. A worker that has nothing to do waits in its own function, for a queue that is empty.
    """
    workers = [(worker, queue) for worker, queue in list(pools._threads_queues.items()) if worker.is_alive()]
    if any(queue.qsize() for _, queue in workers):
        return True
    frames = sys._current_frames()
    return any(worker.ident in frames and frames[worker.ident].f_code is not pools._worker.__code__ for worker, _ in workers)
