"""A house of thousands of clips, played in a process of its own: what is seen of it, and how much memory that took."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from blinkarchive.simulator import Account, Exchange, Running, Simulator, VirtualClock, VirtualLoop, World
from blinkarchive.simulator.journal import KEPT
from tests.simulator.phone import Phone

ACCOUNTS = 3
CLIPS = 13_400
"""In the cloud, for each account."""

SAMPLE = 20
"""How many films of each account are fetched over a slow link, at once."""


async def main() -> dict[str, object]:
    """Make the house, list all of it by small pages and by large ones, and fetch some of it."""
    world = World.from_seed(
        9, accounts=ACCOUNTS, networks=4, cameras=5, modules=2, clips=CLIPS, local_clips=50, days=60, clock=VirtualClock()
    )
    world.rules.access_token_life = 30 * 24 * 3600
    async with Simulator(world).serving() as running:
        listed = {}
        for size in (25, 500):
            world.rules.page_size = size
            listed[size] = [len(await ids(running, account)) for account in world.accounts]
        world.rules.latency, world.rules.bandwidth = 0.5, 50_000
        wrong = [await differing(running, account) for account in world.accounts]
        fill(running.log)
        return {"listed": listed, "wrong": wrong, "mebibytes": peak()}


async def ids(running: Running, account: Account) -> set[int]:
    """Every id that the list shows."""
    found: set[int] = set()
    async with phone_of(running, account) as phone:
        number = 1
        while page := await phone.page(number):
            found.update(item["id"] for item in page)
            number += 1
    return found


async def differing(running: Running, account: Account) -> int:
    """How many of the sample are not what they should be."""
    clips = account.clips[:: CLIPS // SAMPLE]
    async with phone_of(running, account) as phone:
        films = await asyncio.gather(*(phone.fetch(clip.path) for clip in clips))
    return sum(film != (200, clip.film()) for clip, film in zip(clips, films, strict=True))


def fill(log: deque[Exchange]) -> None:
    """What the journal keeps when far more was asked."""
    fetched = log[-1]
    path = fetched.path.rpartition("/")[0]
    for number in range(KEPT):
        log.append(replace(fetched, path=f"{path}/{number}.mp4", began=number + 0.25, ended=number + 0.5))


def peak() -> float:
    """The most memory that this process has had.

    On Linux `ru_maxrss` is of no use here: it begins with what the parent had when it started us.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


@asynccontextmanager
async def phone_of(running: Running, account: Account) -> AsyncIterator[Phone]:
    """A phone that its owner is signed in with."""
    async with Phone.switched_on(running, account) as phone:
        phone.tokens = running.world.signins.sign_in(account)
        yield phone


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        json.dump(runner.run(main()), sys.stdout)
