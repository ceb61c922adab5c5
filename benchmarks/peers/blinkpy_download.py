"""blinkpy's way: `Blink.download_videos`, with its addresses led to the simulator and the sign-in replaced by a ready token."""

import asyncio
import os
import sys

from aiohttp import ClientSession
from blinkpy.auth import Auth  # type: ignore[import-not-found]  # it lives in an environment of its own
from blinkpy.blinkpy import Blink  # type: ignore[import-not-found]
from blinkpy.helpers.util import BlinkURLHandler  # type: ignore[import-not-found]


async def main(url: str, account: int, folder: str, delay: int) -> None:
    async with ClientSession() as session:
        blink = Blink(session=session)
        blink.auth = Auth({"token": os.environ["TOKEN"], "account_id": account}, no_prompt=True, session=session)
        blink.urls = BlinkURLHandler("bench")
        blink.urls.base_url = url
        await blink.download_videos(folder, since="1970/01/02 00:00:00", stop=1_000_000, delay=delay)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
