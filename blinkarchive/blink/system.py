"""An account's house as its owner knows it: everything by name, kept up to date, politely."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from blinkarchive.blink import downloads
from blinkarchive.blink.auth import Auth
from blinkarchive.blink.camera import BlinkCamera
from blinkarchive.blink.credentials import json_save
from blinkarchive.blink.details import Details
from blinkarchive.blink.listing import pages
from blinkarchive.blink.names import Entry, Named
from blinkarchive.blink.sync_module import BlinkSyncModule
from blinkarchive.blink.wire import Family, Homescreen, MediaItem, Network, SyncModule
from blinkarchive.errors import CodeNeeded, TokenRevoked

if TYPE_CHECKING:
    import aiohttp

    from blinkarchive.blink.client import Client

log = logging.getLogger(__name__)

REFRESH = 30
"""Seconds between two refreshes."""

_LATE = timedelta(hours=2)
"""How late a clip may come into the list, and still be noticed."""

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Blink:
    """A house: `start` it, and look at `cameras` and `sync`; `refresh` it now and then.

    Use it with `async with` to keep one connection; else each call makes its own. Every method raises a `SourceError` for what
    Blink says or fails to say.
    """

    def __init__(
        self,
        refresh_rate: float = REFRESH,
        motion_interval: float = 1,
        no_owls: bool = False,
        session: aiohttp.ClientSession | None = None,
        *,
        auth: Auth | None = None,
    ) -> None:
        """`refresh_rate` is the least time between two refreshes, in seconds; `motion_interval` for how many minutes after its
        clip a motion counts as seen; `no_owls` leaves out Minis.
        """
        self._session = session
        self._auth = auth or Auth(session=session)
        if auth is not None and auth.session is None:
            auth.session = session
        self.refresh_rate = refresh_rate
        self.motion_interval = motion_interval
        self.no_owls = no_owls
        #: Networks with their modules.
        self.sync: Named[BlinkSyncModule] = Named()
        #: All cameras of all networks.
        self.cameras: Named[BlinkCamera] = Named()
        self.homescreen: Homescreen | None = None
        self.available = False
        #: Blink has sent a code and waits for it.
        self.key_required = False
        #: When it was last refreshed, in seconds since 1970; None before.
        self.last_refresh: int | None = None
        self.temperature_unit: Literal["F", "C"] | None = None
        self._last_look: float | None = None
        self._known: dict[int, datetime] = {}
        #: The last change in the list of clips that is known, by Blink's clock: ours may be wrong.
        self._changed_at = _BEGINNING
        self._refreshing: asyncio.Task[bool] | None = None
        self._waiting = 0
        self._held = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._held.enter_async_context(self.auth.opened())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._held.aclose()

    @property
    def auth(self) -> Auth:
        """The sign-in."""
        return self._auth

    @auth.setter
    def auth(self, auth: Auth) -> None:
        self._auth = auth
        if auth.session is None and self._session is not None:
            auth.session = self._session

    @property
    def account_id(self) -> int | None:
        return self.auth.account_id

    @property
    def client_id(self) -> str | None:
        return self.auth.client_id

    @property
    def user_id(self) -> str | None:
        return self.auth.user_id

    @property
    def networks(self) -> dict[str, dict[str, Any]]:
        """The networks by their ids (as text): name and whether they are set up."""
        return {str(each.network_id): {"name": each.network_name, "onboarded": True} for each in self.sync.values()}

    @property
    def network_ids(self) -> list[str]:
        return list(self.networks)

    # Start

    async def start(self) -> bool:
        """Sign in if need be, and read the house.

        Where prompts are allowed, the terminal is asked for what is missing: username, password, the code that Blink sends.
        With `no_prompt`, a code that is wanted makes this return False, with `key_required` set: give it to
        `auth.send_auth_key` and call `setup_post_verify`. `auth.startup` raises `BlinkTwoFARequiredError` in its place.
        """
        async with self.auth.opened():
            try:
                return await self._signed_in(self.auth.startup) and await self.setup_post_verify()
            except TokenRevoked:  # only the first use shows that tokens are worth nothing any more
                return await self._signed_in(self.auth.sign_in) and await self.setup_post_verify()

    async def _signed_in(self, how: Callable[[], Awaitable[None]]) -> bool:
        """Be signed in; False when the code has to come from elsewhere."""
        try:
            await how()
        except CodeNeeded as wanted:
            self.key_required = True
            if self.auth.no_prompt:
                log.warning("a sign-in code is wanted: give it to auth.send_auth_key", extra={"because": str(wanted)})
                return False
            await self.auth.prompt_code()
        self.key_required = False
        return True

    async def prompt_2fa(self) -> bool:
        """Ask the terminal for the code that Blink has sent, and read the house."""
        await self.auth.prompt_code()
        self.key_required = False
        return await self.setup_post_verify()

    async def send_2fa_code(self, code: str | int) -> bool:
        """Give the code that Blink has sent, and read the house; False when the code is refused."""
        return await self.auth.send_auth_key(self, code) and await self.setup_post_verify()

    async def setup_post_verify(self) -> bool:
        """Read the whole house: after a sign-in, and again whenever it may have been rebuilt."""
        details = Details()
        async with self.auth.opened() as client:
            self._show(await client.homescreen(), client)
            await self._notice_first(client)
            if owner := await details.read(client.user, "the unit of temperatures is not known"):
                self.temperature_unit = owner.unit
            await self._read_batteries(details)
            for camera in self.cameras.values():
                await camera.update_cache(details, video=False)
        self.available = True
        return True

    async def _read_batteries(self, details: Details) -> None:
        for camera in self.cameras.values():
            if camera.camera_type == "default":
                await details.read(camera.read_settings, "the settings of a camera could not be read", camera=camera.name)

    # Refresh

    async def refresh(self, force: bool = False, force_cache: bool = False) -> bool:
        """Bring everything up to date; False when that was done less than `refresh_rate` seconds ago.

        Pictures and clips are fetched when they are new. `force` does it at any time, and fetches them in any case: for
        debugging. Who calls meanwhile waits for the same.
        """
        loop = asyncio.get_running_loop()
        refreshing = self._refreshing
        if refreshing is None or refreshing.done() or refreshing.get_loop() is not loop:
            if not (force or force_cache) and not self.check_if_ok_to_update():
                return False
            refreshing = self._refreshing = loop.create_task(self._refresh(force=force or force_cache))
            self._waiting = 0
        self._waiting += 1
        try:
            return await asyncio.shield(refreshing)
        finally:
            if refreshing is self._refreshing:
                self._waiting -= 1
                if not self._waiting:
                    refreshing.cancel()  # nobody waits for it any more; when it is done, this does nothing

    async def _refresh(self, *, force: bool) -> bool:
        details = Details()
        async with self.auth.opened() as client:
            if not self.available:
                await self.setup_post_verify()
            self._show(await client.homescreen(), client)
            await self._notice(client)
            if force:
                await self._read_batteries(details)
            for camera in self.cameras.values():
                await camera.update_cache(details, force=force)
        self._last_look = self.auth.clock.monotonic()
        self.last_refresh = int(self.auth.clock.now().timestamp())
        return True

    def check_if_ok_to_update(self) -> bool:
        """Whether the last refresh is long enough ago."""
        return self._last_look is None or self.auth.clock.monotonic() - self._last_look >= self.refresh_rate

    async def look(self) -> None:
        """Read the homescreen again: after something was changed."""
        async with self.auth.opened() as client:
            self._show(await client.homescreen(), client)

    def _show(self, home: Homescreen, client: Client) -> None:
        """Take what the homescreen says. Cameras and modules that were there stay the same objects."""
        self.homescreen = home
        self.auth.client_id = str(client.client_number) if client.client_number is not None else self.auth.client_id
        for bad in home.malformed:
            log.warning("a device could not be understood", extra={"device": bad.item, "because": bad.reason})
        syncs = self._modules(home)
        cameras: dict[int, list[Entry[BlinkCamera]]] = {}
        before = {(camera.seen.family, camera.seen.id): camera for camera in self.cameras.values()}
        by_network = {sync.network_id: sync for sync in reversed(syncs)}
        for seen in home.cameras:
            if self.no_owls and seen.family is Family.OWL:
                continue
            sync = by_network[seen.network_id]
            camera = before.get((seen.family, seen.id)) or BlinkCamera(sync, seen)
            camera.sync = sync
            camera.show(seen)
            entry = Entry(thing=camera, id=seen.id, name=seen.name or str(seen.id), where=sync.network_name)
            cameras.setdefault(sync.network_id, []).append(entry)
        for sync in syncs:
            sync.cameras = Named(cameras.get(sync.network_id, []) if by_network[sync.network_id] is sync else [])
        self.cameras = Named(entry for entries in cameras.values() for entry in entries)
        self.sync = Named(
            Entry(
                thing=sync,
                id=sync.sync_id or sync.network_id,
                name=sync.network_name or str(sync.network_id),
                where=sync.module.name if sync.module else str(sync.network_id),
                also=_also(sync),
            )
            for sync in syncs
        )

    def _modules(self, home: Homescreen) -> list[BlinkSyncModule]:
        """Every network with each of its modules, or alone; and one without a name for what is in none that is listed."""
        listed = {network.id for network in home.networks}
        told = {each.network_id for each in home.sync_modules} | {each.network_id for each in home.cameras}
        networks = (*home.networks, *(Network(id=id) for id in sorted(told - listed)))
        before = {(sync.network_id, sync.sync_id): sync for sync in self.sync.values()}
        found = []
        for network in networks:
            modules: list[SyncModule | None] = [each for each in home.sync_modules if each.network_id == network.id]
            for module in modules or [None]:
                sync = before.get((network.id, module.id if module else None)) or BlinkSyncModule(self, network, module)
                sync.show(network, module)
                found.append(sync)
        return found

    async def _notice_first(self, client: Client) -> None:
        """Learn each camera's newest clip, so that there is one to fetch."""
        page = await client.media_page(_BEGINNING, 1)
        clips = _by_camera(page.items)
        for camera in self.cameras.values():
            newest = max(clips.get(camera.camera_id, []), key=lambda item: item.created_at, default=None)
            if newest is not None:
                camera.newest = newest
        self._learn(page.items)

    async def _notice(self, client: Client) -> None:
        """Take the clips that have come into the list since the last look: by their ids, whenever they were recorded."""
        since = max(_BEGINNING, self._changed_at - _LATE)
        items = [item async for page in pages(partial(client.media_page, since)) for item in page.items]
        fresh = _by_camera(item for item in items if item.id not in self._known)
        moved = self.auth.clock.now() - timedelta(minutes=self.motion_interval)
        for camera in self.cameras.values():
            clips = sorted(fresh.get(camera.camera_id, []), key=lambda item: item.created_at)
            recent = camera.newest is not None and camera.newest.created_at >= moved and camera.motion_detected
            # A clip that is watched or deleted days later comes back in the list: that is no motion.
            moving = recent or any(clip.created_at >= since for clip in clips)
            camera.noticed(clips, motion=camera.sync.arm and moving)
        self._known = {id: at for id, at in self._known.items() if at >= since - _LATE}
        self._learn(items)

    def _learn(self, items: Iterable[MediaItem]) -> None:
        """Note which clips are known: those that are whole, by their ids."""
        for item in items:
            at = item.updated_at or item.created_at
            self._changed_at = max(self._changed_at, at)
            if item.media and not item.partial:
                self._known[item.id] = at

    # More

    async def save(self, file_name: str | Path) -> None:
        """Keep the sign-in in a file that only its owner may read, in blinkpy's form, without the password."""
        await json_save(self.auth.login_attributes, file_name)

    async def get_status(self) -> Mapping[str, bool]:
        """What the owner is told of, by Blink's words."""
        async with self.auth.opened() as client:
            return await client.notifications()

    async def set_status(self, data_dict: Mapping[str, bool]) -> None:
        """Change what the owner is told of, such as `{"motion": False}`."""
        async with self.auth.opened() as client:
            await client.notify(data_dict)

    async def get_videos_metadata(
        self, since: str | datetime | None = None, camera: str | Sequence[str] = "all", stop: int | None = 10
    ) -> list[MediaItem]:
        """The clips in the cloud that have changed since a time, newest recordings first; see `download_videos`."""
        async with self.auth.opened() as client:
            return (await downloads.wanted(self, client, since=since, camera=camera, stop=stop)).items

    async def download_videos(
        self,
        path: str | Path,
        since: str | datetime | None = None,
        camera: str | Sequence[str] = "all",
        stop: int | None = 10,
        delay: float = 1,
        debug: bool = False,
        filename_format: Callable[[str, str, str], str] | None = None,
    ) -> downloads.Downloaded:
        """Write clips of the cloud to a folder: whole and proven, or not at all.

        `since` is a time such as "2018/07/04 09:34" or an aware datetime; without it, everything is wanted. `camera` is a name
        or an id, or several, or "all". `stop` is how many pages of the list are read (None: all); when that cuts something off,
        it is said in the result and in a warning. `delay` is the pause between two downloads, in seconds. With `debug`, nothing
        is written: the result says what would be. `filename_format` makes a path of time, camera and folder; without it, names
        hold the camera, the time and the clip's id, which no two clips share. One clip's failure stops no other: it is in the
        result. What would fail for every clip is raised.
        """
        async with self.auth.opened() as client:
            found = await downloads.wanted(self, client, since=since, camera=camera, stop=stop)
            return await downloads.download(
                client, found, Path(path), delay=delay, debug=debug, named=filename_format, clock=self.auth.clock
            )


def _also(sync: BlinkSyncModule) -> tuple[str, ...]:
    """Other names of a network: its id, its module's name, and, without a module, its cameras' names."""
    cameras = tuple(camera.name for camera in sync.cameras.values()) if sync.module is None else ()
    return (str(sync.network_id), *((sync.module.name,) if sync.module and sync.module.name else ()), *cameras)


def _by_camera(items: Any) -> dict[str, list[MediaItem]]:
    """Clips that can be fetched, by the id of their camera."""
    found: dict[str, list[MediaItem]] = {}
    for item in items:
        if item.media and not item.deleted and not item.partial and item.device_id is not None:
            found.setdefault(str(item.device_id), []).append(item)
    return found
