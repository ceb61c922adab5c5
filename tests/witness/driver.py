"""blinkpy, unmodified, at the end of a pipe: an order is a JSON object on a line of stdin, its answer one on stdout.

It is run by the Python of blinkpy's own environment: `driver.py AUTHORITY`. Every host that blinkpy knows is led to a port of
this machine, where only that authority's certificates are trusted. Of blinkpy nothing is changed but how long it waits.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import logging
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

import aiohttp
import blinkpy.api  # type: ignore[import-not-found]  # it lives in an environment of its own
import blinkpy.helpers.util  # type: ignore[import-not-found]
import blinkpy.sync_module  # type: ignore[import-not-found]
from aiohttp.abc import AbstractResolver, ResolveResult
from blinkpy.auth import Auth  # type: ignore[import-not-found]
from blinkpy.blinkpy import Blink, BlinkTwoFARequiredError  # type: ignore[import-not-found]

HOSTS = ("api.oauth.blink.com", ".immedia-semi.com")
WAIT = 0.02
"""Seconds, wherever blinkpy waits."""


class LedAstray(AbstractResolver):
    """Knows Blink's hosts and no other, and says of each that it is here."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.asked: set[str] = set()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        self.asked.add(host)
        if not host.endswith(HOSTS):
            raise OSError(f"{host} is not one of Blink's hosts")
        return [
            {"hostname": host, "host": "127.0.0.1", "port": self._port, "family": socket.AF_INET, "proto": 0, "flags": 0},
        ]

    async def close(self) -> None:
        """Nothing is open."""


class Driver:
    """What blinkpy can be told to do; each method is an order."""

    def __init__(self, authority: Path) -> None:
        self._trust = ssl.create_default_context(cafile=str(authority))
        self._http: aiohttp.ClientSession | None = None
        self._asked: set[str] = set()
        self._blink: Any = None

    async def meet(self, port: int) -> None:
        """Forget everything, and find Blink at this port."""
        await self.part()
        resolver = LedAstray(port)
        self._asked = resolver.asked
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=resolver, ssl=self._trust))

    async def part(self) -> None:
        """Close what is open."""
        if self._http is not None:
            await self._http.close()

    async def start(self, **login: Any) -> Any:
        """Begin with a username and a password, or with what was saved in a `file`."""
        if "file" in login:
            login = await blinkpy.helpers.util.json_load(login["file"])
        self._blink = Blink(session=self._http)
        self._blink.auth = Auth(login, no_prompt=True, session=self._http)
        try:
            return await self._blink.start()
        except BlinkTwoFARequiredError:
            return "a code is wanted"

    async def code(self, code: str) -> Any:
        return await self._blink.send_2fa_code(code)

    async def save(self, file: str) -> None:
        await self._blink.save(file)

    async def expire(self) -> None:
        """Let blinkpy believe that its access token is at its end."""
        self._blink.auth.expiration_date = 0.0

    async def hosts(self) -> list[str]:
        """What blinkpy wanted the addresses of."""
        return sorted(self._asked)

    async def refresh(self) -> Any:
        return await self._blink.refresh(force=True)

    async def systems(self) -> dict[str, Any]:
        """What blinkpy knows of each system."""
        return {name: {**sync.attributes, "arm": sync.arm, "online": sync.online} for name, sync in self._blink.sync.items()}

    async def cameras(self) -> dict[str, Any]:
        """What blinkpy knows of each camera."""
        return {
            name: {**camera.attributes, "class": type(camera).__name__, "arm": camera.arm, "online": camera.online}
            for name, camera in self._blink.cameras.items()
        }

    async def arm_system(self, name: str, on: bool) -> Any:
        return await self._blink.sync[name].async_arm(on)

    async def arm_camera(self, name: str, on: bool) -> Any:
        return await self._blink.cameras[name].async_arm(on)

    async def snap(self, name: str) -> Any:
        return await self._blink.cameras[name].snap_picture()

    async def record(self, name: str) -> Any:
        return await self._blink.cameras[name].record()

    async def picture(self, name: str) -> str | None:
        """The picture that blinkpy keeps of a camera."""
        picture = self._blink.cameras[name].image_from_cache
        return base64.b64encode(picture).decode() if picture else None

    async def night_vision(self, name: str) -> Any:
        return await self._blink.cameras[name].night_vision

    async def set_night_vision(self, name: str, value: str) -> Any:
        return await self._blink.cameras[name].async_set_night_vision(value)

    async def save_video(self, name: str, file: str) -> None:
        """The newest clip of a camera."""
        await self._blink.cameras[name].video_to_file(file)

    async def videos(self, folder: str, since: str, stop: int = 10) -> None:
        """Every clip of the cloud, into a folder."""
        await self._blink.download_videos(folder, since=since, stop=stop, delay=0)

    async def status(self) -> Any:
        return await self._blink.get_status()

    async def set_status(self, flags: dict[str, bool]) -> Any:
        return await shown(await self._blink.set_status(flags))

    async def stick(self, name: str) -> list[dict[str, Any]]:
        """The clips on a system's stick, as blinkpy has them listed."""
        return [
            {"id": clip.id, "camera": clip.name, "created_at": clip.created_at.isoformat(), "size": clip.size}
            for clip in self._blink.sync[name]._local_storage["manifest"]
        ]

    async def fetch_from_stick(self, name: str, clip: int, file: str) -> bool:
        found = self._on_stick(name, clip)
        return bool(await found.prepare_download(self._blink)) and await found.download_video(self._blink, file)

    async def delete_from_stick(self, name: str, clip: int) -> Any:
        return await self._on_stick(name, clip).delete_video(self._blink)

    async def api(self, function: str, words: list[Any]) -> dict[str, Any]:
        """Call a function of `blinkpy.api` with its subject, blinkpy or the sign-in, and these words."""
        call = getattr(blinkpy.api, function)
        first = next(iter(inspect.signature(call).parameters))
        gave = await call(self._blink.auth if first == "auth" else self._blink, *words)
        return await shown(gave)

    async def ask(self, path: str) -> dict[str, Any]:
        """POST to the account's host and do not wait for what comes of it."""
        return await shown(await blinkpy.api.http_post(self._blink, self._address(path), json=False))

    async def read(self, path: str) -> dict[str, Any]:
        """GET from the account's host."""
        return await shown(await blinkpy.api.http_get(self._blink, self._address(path), json=False))

    async def calls(self) -> list[str]:
        """Every function of `blinkpy.api` that asks the cloud."""
        functions = inspect.getmembers(blinkpy.api, inspect.iscoroutinefunction)
        return [name for name, function in functions if function.__module__ == blinkpy.api.__name__]

    def _address(self, path: str) -> str:
        address: str = self._blink.urls.base_url + path.replace("{account}", str(self._blink.account_id))
        return address

    def _on_stick(self, name: str, clip: int) -> Any:
        return next(found for found in self._blink.sync[name]._local_storage["manifest"] if found.id == clip)


async def shown(gave: Any) -> dict[str, Any]:
    """What a function of blinkpy gave, as JSON; with the status where it is a raw answer, and of a film only the length."""
    if not isinstance(gave, aiohttp.ClientResponse):
        return {"gave": gave}
    body = await gave.read()
    is_json = gave.content_type == "application/json" and bool(body)
    return {"gave": json.loads(body) if is_json else len(body), "status": gave.status, "type": gave.content_type}


async def shortly(seconds: float) -> None:
    await asyncio.sleep(min(seconds, WAIT))


def wait_less() -> None:
    """Shorten what blinkpy waits: between polls, between tries, and for its own throttle."""
    blinkpy.api.COMMAND_POLL_TIME = WAIT
    blinkpy.helpers.util.sleep = shortly
    blinkpy.sync_module.backoff_seconds = lambda retry=0, default_time=1: WAIT


async def main(authority: Path) -> None:
    wait_less()
    driver = Driver(authority)
    while line := await asyncio.to_thread(sys.stdin.readline):
        order: dict[str, Any] = json.loads(line)
        try:
            said = json.dumps({"answer": await getattr(driver, order.pop("do"))(**order)})
        except Exception as error:
            logging.exception("blinkpy raised")
            said = json.dumps({"raised": type(error).__name__, "words": str(error)})
        print(said, flush=True)
    await driver.part()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(Path(sys.argv[1])))
