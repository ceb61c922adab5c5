"""What an owner's nightly script does with blinkpy: sign in, look, arm, take pictures, fetch clips, and keep the sign-in."""

import asyncio
import os
import sys

from aiohttp import ClientSession
from blinkpy.auth import Auth, BlinkTwoFARequiredError, LoginError
from blinkpy.blinkpy import Blink
from blinkpy.helpers.util import json_load

FOLDER = sys.argv[1]
CREDENTIALS = os.path.join(FOLDER, "credentials.json")


async def sign_in(session):
    blink = Blink(session=session, refresh_rate=60)
    if os.path.isfile(CREDENTIALS):
        blink.auth = Auth(await json_load(CREDENTIALS), no_prompt=True, session=session)
    try:
        await blink.start()
    except BlinkTwoFARequiredError:
        await blink.prompt_2fa()
    except LoginError:
        sys.exit("cannot sign in")
    return blink


async def main():
    async with ClientSession() as session:
        blink = await sign_in(session)
        for name, sync in blink.sync.items():
            await sync.async_arm(True)
            await blink.refresh(force=True)
            print(f"{name}: armed={sync.arm} online={sync.online} id={sync.attributes['id']}")
        for name, camera in blink.cameras.items():
            facts = camera.attributes
            print(f"{name}: {facts['type']} {facts['battery']} {facts['temperature_c']} {facts['last_record']}")
            await camera.async_arm(True)
            await camera.snap_picture()
            await camera.image_to_file(os.path.join(FOLDER, f"{camera.serial}.jpg"))
            if camera.video_from_cache:
                await camera.video_to_file(os.path.join(FOLDER, f"{camera.serial}.mp4"))
        clips = os.path.join(FOLDER, "clips")
        os.makedirs(clips, exist_ok=True)
        await blink.download_videos(clips, since="2026/06/01 00:00", camera="all", stop=10, delay=0)
        print(f"{len(os.listdir(clips))} clips, account {blink.account_id}")
        await blink.save(CREDENTIALS)


asyncio.run(main())
