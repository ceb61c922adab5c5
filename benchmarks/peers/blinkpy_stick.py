"""blinkpy's way with a sync module's stick: manifest, then each clip uploaded and fetched, one after the other.

Its addresses are led to the simulator and the sign-in is replaced by a ready token; its waits are its own.
"""

import asyncio
import os
import sys
from pathlib import Path

from aiohttp import ClientSession
from blinkpy.auth import Auth  # type: ignore[import-not-found]  # it lives in an environment of its own
from blinkpy.blinkpy import Blink  # type: ignore[import-not-found]
from blinkpy.helpers.util import BlinkURLHandler  # type: ignore[import-not-found]
from blinkpy.sync_module import BlinkSyncModule  # type: ignore[import-not-found]


async def main(url: str, account: int, network: int, module: int, folder: Path) -> None:
    async with ClientSession() as session:
        blink = Blink(session=session)
        blink.auth = Auth({"token": os.environ["TOKEN"], "account_id": account}, no_prompt=True, session=session)
        blink.urls = BlinkURLHandler("bench")
        blink.urls.base_url = url
        sync = BlinkSyncModule(blink, "Home", network, [])
        sync.sync_id = module
        sync._local_storage["status"] = True
        sync._names_table["FrontDoor"] = "Front Door"
        await sync.update_local_storage_manifest()
        for item in sync._local_storage["manifest"]:
            await item.prepare_download(blink)
            await item.download_video(blink, folder / f"{item.id}.mp4")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5])))
