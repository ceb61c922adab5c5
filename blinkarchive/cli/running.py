"""How a command's work is run, and how it is stopped: the first signal asks it to end, the second does not ask."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import NoReturn, TypeVar

from blinkarchive.cli import ending
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.signals import SIGNALS
from blinkarchive.cli.words import is_terminal, talk

T = TypeVar("T")

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""How long work that was told to stop may take to end, in seconds."""
GRACE = 1.0
"""How long tasks may take to end that the work has left behind, in seconds; and then asynchronous generators."""
THREADS = 256
"""The most there are in the loop's pool: calls of a plugin that never end leave room for those who ask for a server's address."""


def run(work: Callable[[], Awaitable[T]], *, patience: float = PATIENCE) -> T:
    """Do asynchronous work to its end.

    SIGINT and SIGTERM cancel it; it may still give a result, within `patience` seconds. A second signal ends the process at once.
    Raises `KeyboardInterrupt` when it was cancelled and gave none.

    Unlike with `asyncio.run`, nobody waits for ever for what the work leaves behind, be it a task that does not stop or a thread.
    """
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="asyncio"))
    task = loop.create_task(_through(work))
    with _stoppable(loop, task, patience):
        try:
            return loop.run_until_complete(task)
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        finally:
            if loop.run_until_complete(_all_ended()):
                loop.close()
            else:
                ending.left_open.append(loop)


async def _through(work: Callable[[], Awaitable[T]]) -> T:
    return await work()


@contextmanager
def _stoppable(loop: asyncio.AbstractEventLoop, task: asyncio.Task[T], patience: float) -> Iterator[None]:
    told = False

    def stop() -> None:
        nonlocal told
        if told:
            _end_now()
        told = True
        talk("Stopping; once more to end at once.")
        task.cancel()
        loop.call_later(patience, _end_now)

    for signum in SIGNALS:
        loop.add_signal_handler(signum, stop)
    try:
        yield
    finally:
        for signum in SIGNALS:
            loop.remove_signal_handler(signum)


async def _all_ended() -> bool:
    """Tell whatever is left in the loop to end, and say whether all of it did. What does not is a plugin's: ours has ended."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if not left or not (await asyncio.wait(left, timeout=GRACE))[1]:
        closing = asyncio.create_task(asyncio.get_running_loop().shutdown_asyncgens())
        await asyncio.wait({closing}, timeout=GRACE)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        names = sorted({getattr(task.get_coro(), "__qualname__", "") for task in left})
        log.warning("tasks are left behind that do not stop when they are told to", extra={"tasks": ", ".join(names)})
    return not left


def _end_now() -> NoReturn:
    if is_terminal(sys.stderr):
        with suppress(OSError):
            sys.stderr.write("\x1b[?25h\n")  # a progress bar may have hidden the cursor
            sys.stderr.flush()
    os._exit(Exit.STOPPED)
