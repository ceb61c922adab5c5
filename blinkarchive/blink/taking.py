"""What a camera was asked to take, found again: a picture on the homescreen, a clip in the list or on a stick."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from blinkarchive.blink.listing import pages
from blinkarchive.blink.names import bare
from blinkarchive.clock import Clock
from blinkarchive.errors import CommandFailed, CommandUnfinished, SourceError
from blinkarchive.interfaces import Body
from blinkarchive.retry import retry

if TYPE_CHECKING:
    from blinkarchive.blink.client import Client
    from blinkarchive.blink.local_storage import LocalStorage
    from blinkarchive.blink.wire import Camera, MediaItem, MediaPage, SyncModule

log = logging.getLogger(__name__)

SHOWN = (1.0, 2.0, 4.0)
"""How long the homescreen may take to show what was done, in seconds."""

LONGEST = 120.0
"""For so many seconds a clip is waited for."""

UNKEPT = 15.0
"""For so many seconds what is listed without a film may still get one."""

LOOKS = 3.0
LOOKS_AT_A_STICK = 10.0
"""Seconds between two looks for a clip; a module is woken less often."""

MOST_PAGES = 40
"""So many pages of the last hours' clips are read."""

_CLOCKS_DIFFER = timedelta(hours=2)
"""How far this machine's clock may be off Blink's."""

_BY_ITSELF = ("pir", "cv_motion", "button_press")
"""What makes a camera record that nobody asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A picture or a clip that was asked for, and the way to its bytes."""

    #: When it was taken, as far as Blink says.
    at: datetime | None
    open: Callable[[], AbstractAsyncContextManager[Body]]


async def picture(client: Client, camera: Camera, *, clock: Clock) -> Taken:
    """Take a picture. Raises `CommandUnfinished` when it was reported taken and the homescreen leads to the old one, and
    whatever else `Control.snap` does.
    """
    await client.control.snap(camera)

    async def look() -> Camera:
        now = next((one for one in (await client.homescreen()).cameras if one.id == camera.id), None)
        if now is None or now.thumbnail in ("", camera.thumbnail):
            raise CommandUnfinished(f"a picture by camera {camera.name!r}: reported taken, and Blink still shows the old one")
        return now

    now = await retry(look, clock=clock, pauses=SHOWN)
    address = now.picture(await client.account_id())
    return Taken(at=now.pictured_at, open=lambda: client.media(address))


async def clip(client: Client, camera: Camera, modules: Iterable[SyncModule], *, clock: Clock, longest: float = LONGEST) -> Taken:
    """Let a camera record, and wait until the clip is whole: in the cloud's list, or on the stick of one of these modules.

    Raises `CommandFailed` when it is kept in neither, `CommandUnfinished` when it does not come, and whatever else
    `Control.record` does.
    """
    since = clock.now() - _CLOCKS_DIFFER
    listed = {item.id for item in await _listed(client, since, clock)}
    sticks = [(storage, held) for storage in map(client.local_storage, modules) if (held := await _held(storage)) is not None]
    await client.control.record(camera)
    recorded = clock.monotonic()
    while True:
        items = [item for item in await _listed(client, since, clock) if item.device_id == camera.id and item.id not in listed]
        if whole := [item for item in items if item.media and not item.deleted and not item.partial]:
            return _in_the_cloud(client, whole)
        for storage, held in sticks:
            if found := await _on_the_stick(storage, held, camera):
                return found
        waited = clock.monotonic() - recorded
        if not sticks and items and waited >= UNKEPT and not any(item.media or item.partial for item in items):
            raise CommandFailed(f"a clip by camera {camera.name!r}: recorded, and kept neither in the cloud nor on a stick")
        if waited >= longest:
            raise CommandUnfinished(f"a clip by camera {camera.name!r}: recorded, and not to be found within {longest:g} s")
        await clock.sleep(LOOKS_AT_A_STICK if sticks else LOOKS)


def _in_the_cloud(client: Client, items: list[MediaItem]) -> Taken:
    """Of clips that have come in meanwhile, the one that was asked for."""
    item = min(items, key=lambda item: (item.trigger in _BY_ITSELF, item.created_at))
    return Taken(at=item.created_at, open=lambda: client.media(item.media))


async def _listed(client: Client, since: datetime, clock: Clock) -> list[MediaItem]:
    def ask(number: int) -> Awaitable[MediaPage]:
        return retry(partial(client.media_page, since, number), clock=clock)

    return [item async for page in pages(ask, most=MOST_PAGES) for item in page.items]


async def _held(storage: LocalStorage) -> Counter[tuple[str, datetime, int | None]] | None:
    """What is on a stick, by what lasts; None when it cannot be read."""
    try:
        return Counter(clip.lasting for clip in (await storage.manifest()).clips)
    except SourceError as error:
        log.info("a stick cannot be read", extra={"sync_module": storage.module.id, "because": str(error)})
        return None


async def _on_the_stick(storage: LocalStorage, held: Counter[tuple[str, datetime, int | None]], camera: Camera) -> Taken | None:
    manifest = await storage.manifest()
    left = held.copy()
    fresh = []
    for clip in manifest.clips:
        if left[clip.lasting]:
            left[clip.lasting] -= 1
        elif bare(clip.camera_name) == bare(camera.name):
            fresh.append(clip)
    if not fresh:
        return None
    newest = max(fresh, key=lambda clip: clip.created_at)
    await storage.prepare(manifest, newest)
    return Taken(at=newest.created_at, open=lambda: storage.open(manifest, newest))
