"""Our way to know what we have: the index, asked a page of a listing at a time. Prints the seconds from file to answer."""

import asyncio
import sys
import time
from pathlib import Path

from benchmarks.history import SINK, clip_of, pages_of
from blinkarchive.clock import Clock
from blinkarchive.index import Index
from blinkarchive.model import Clip, ClipId, Key

PAGE = 500


def named(clip: Clip) -> Key:
    """A clip's name: making good ones is no part of looking up."""
    return Key(clip.id)


async def main(index: str, wanted: str) -> None:
    clips = [clip_of(ClipId(line), number) for number, line in enumerate(Path(wanted).read_text().split())]
    began = time.perf_counter()
    lacking = 0
    async with Index.open(Path(index), clock=Clock(), read_only=True) as opened:
        for page in pages_of(clips, PAGE):
            lacking += sum(standing is not None for standing in await opened.lacking(page, [SINK], named))
        took = time.perf_counter() - began
    print(took, lacking)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
