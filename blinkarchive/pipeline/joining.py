"""Sinks that are opened while a run goes on: each joins the run when it is proven, and a silent one delays no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from blinkarchive.pipeline.lane import Lane


@asynccontextmanager
async def opened_together(openings: Mapping[Lane, Callable[[], AbstractAsyncContextManager[object]]]) -> AsyncIterator[None]:
    """Open all lanes at the same time, each in a task of its own that also closes it. The context is entered at once; a lane that
    is not open when it is left is not waited for.
    """
    over = asyncio.Event()

    async def keep(lane: Lane, opening: AbstractAsyncContextManager[object]) -> None:
        try:
            async with opening:
                lane.settle()
                await over.wait()
        finally:
            lane.settle()

    for lane in openings:
        lane.opening = True
    tasks = {lane: asyncio.create_task(keep(lane, opening()), name=f"sink {lane.name}") for lane, opening in openings.items()}
    try:
        yield
    finally:
        over.set()
        for lane, task in tasks.items():
            if lane.opening:
                task.cancel()
        if tasks:
            await asyncio.wait(tasks.values())
    for task in tasks.values():
        if not task.cancelled():
            task.result()  # a lane contains the errors of its sink: this one is a fault of our own


async def one_open(lanes: Collection[Lane], ticket: list[asyncio.Future[bool]]) -> bool:
    """Wait until one of the lanes is open. False when none of them can be opened, or when the waiting clip is sent away: a future
    in its `ticket` is set to False, as with `Places`.
    """
    while not any(lane.is_open for lane in lanes):
        opening = [lane for lane in lanes if lane.opening]
        if not opening or not await _next_settled(opening, ticket):
            return False
    return True


async def all_settled(lanes: Collection[Lane]) -> None:
    """Wait until each of the lanes is open or closed."""
    while opening := [lane for lane in lanes if lane.opening]:
        await _next_settled(opening, [])


async def next_settled(opening: Collection[Lane]) -> None:
    """Wait until one of these lanes, which were being opened, is open or closed."""
    if all(lane.opening for lane in opening):
        await _next_settled(opening, [])


async def _next_settled(opening: Collection[Lane], ticket: list[asyncio.Future[bool]]) -> bool:
    settled: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    ticket.append(settled)
    for lane in opening:
        lane.awaited_by.add(settled)
    try:
        return await settled
    finally:
        ticket.remove(settled)
        for lane in opening:
            lane.awaited_by.discard(settled)
