"""How a command's work is run, and how it is stopped: the first signal asks it to end, the second does not ask."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NoReturn, TypeVar

from blinkarchive.cli.exits import Exit
from blinkarchive.cli.signals import SIGNALS
from blinkarchive.cli.words import is_terminal, talk

T = TypeVar("T")

PATIENCE = 10.0
"""How long work that was told to stop may take to end, in seconds."""


def run(work: Callable[[], Awaitable[T]], *, patience: float = PATIENCE) -> T:
    """Do asynchronous work to its end.

    SIGINT and SIGTERM cancel it; it may still give a result, within `patience` seconds. A second signal ends the process at once.
    Raises `KeyboardInterrupt` when it was cancelled and gave none.
    """
    try:
        return asyncio.run(_stoppable(work, patience))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _stoppable(work: Callable[[], Awaitable[T]], patience: float) -> T:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
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
        return await work()
    finally:
        for signum in SIGNALS:
            loop.remove_signal_handler(signum)


def _end_now() -> NoReturn:
    if is_terminal(sys.stderr):
        with suppress(OSError):
            sys.stderr.write("\x1b[?25h\n")  # a progress bar may have hidden the cursor
            sys.stderr.flush()
    os._exit(Exit.STOPPED)
