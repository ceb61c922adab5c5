"""Tests that live in virtual time."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import ParamSpec

from blinkarchive.simulator import VirtualLoop

P = ParamSpec("P")

_LONGEST = 280.0
"""In real seconds. A test's own time limit is shorter, and comes first."""


def virtually(test: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """Run this test on a `VirtualLoop`. It can ask for any fixture that is not asynchronous itself."""

    @functools.wraps(test)
    def live(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=lambda: VirtualLoop(patience=_LONGEST)) as runner:
            runner.run(_alone(test(*args, **kwargs)))

    return live


async def _alone(test: Coroutine[None, None, None]) -> None:
    await test
    await asyncio.sleep(0)  # what was cancelled just now ends in its next turn
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks still run after the test: {left}"
