"""A program that archives as fast as it can, and says the id of each clip once it is recorded: to be killed."""

from __future__ import annotations

import asyncio
import os
import sys

from blinkarchive.clock import Clock
from blinkarchive.index import Index
from tests.index.facts import NAS, clip, copy, name

PAGE = 40


async def main(path: str, first: int) -> None:
    async with Index.open(path, clock=Clock()) as index:

        async def archive(number: int) -> None:
            await index.record(copy(clip(number), NAS))
            os.write(1, f"{number}\n".encode())

        for start in range(first, 1_000_000, PAGE):
            numbers = range(start, start + PAGE)
            await index.lacking([clip(number) for number in numbers], [NAS], name)
            await asyncio.gather(*(archive(number) for number in numbers))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
