"""A sync module and its cameras, as their owner knows them; and the clips on its stick."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blinkarchive.blink.names import Named, meant
from blinkarchive.blink.saving import save
from blinkarchive.errors import CommandFailed, SourceError
from blinkarchive.interfaces import Body

if TYPE_CHECKING:
    from blinkarchive.blink import wire
    from blinkarchive.blink.camera import BlinkCamera
    from blinkarchive.blink.local_storage import LocalStorage
    from blinkarchive.blink.system import Blink


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStorageMediaItem:
    """A clip on a stick. Its number is good with its manifest alone; the next manifest may call another clip by it."""

    sync: BlinkSyncModule = field(repr=False)
    manifest: wire.Manifest = field(repr=False)
    clip: wire.LocalClip
    #: The camera it was recorded by, when its name leaves no doubt.
    camera: BlinkCamera | None = field(repr=False)

    @property
    def id(self) -> int | str:
        """Its number in this manifest; a text where the module has no numbers."""
        return self.clip.id

    @property
    def name(self) -> str:
        """The camera's name; as recorded, where it is not known which camera that was."""
        return self.camera.name if self.camera else self.clip.camera_name

    @property
    def created_at(self) -> datetime:
        """When it was recorded: aware."""
        return self.clip.created_at

    @property
    def size(self) -> int | None:
        """In KiB, rounded."""
        return self.clip.size

    async def prepare_download(self, blink: Blink | None = None, max_retries: int = 4) -> bool:
        """Have it uploaded by the module. It can be fetched when this returns."""
        async with self.sync.storage() as storage:
            await storage.prepare(self.manifest, self.clip)
        return True

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Body]:
        """Its bytes, as they come, after `prepare_download`."""
        async with self.sync.storage() as storage, storage.open(self.manifest, self.clip) as body:
            yield body

    async def download_video(self, blink: Blink | None, file_name: str | Path, max_retries: int = 4) -> bool:
        """Write it to a file, after `prepare_download`: whole and proven, or not at all."""
        async with self.open() as body:
            await save(body, Path(file_name), film=True, clip=self.clip)
        return True

    async def delete_video(self, blink: Blink | None = None, max_retries: int = 4) -> bool:
        """Delete it from the stick. It is gone when this returns: a fresh manifest was asked, before and after.

        Raises `CommandFailed` when the numbers have moved meanwhile (nothing is deleted), or when it is still there afterwards.
        """
        return await self._delete(fetched=False)

    async def _delete(self, *, fetched: bool) -> bool:
        """`fetched`: only if its number is what it was, for else it was another clip that was fetched by it."""
        async with self.sync.storage() as storage:
            before = await storage.manifest()
            now = [clip for clip in before.clips if self._is(clip)]
            if not now:
                return True  # gone already
            if len(now) > 1:
                raise CommandFailed(f"{self.sync.name}: several clips are like {self}; none is deleted")
            if fetched and now[0].id != self.id:
                raise CommandFailed(f"{self.sync.name}: the numbers have moved; update the manifest, and fetch {self} again")
            await storage.delete(before, now[0])
            after = await storage.manifest()
            if any(self._is(clip) for clip in after.clips):
                raise CommandFailed(f"{self.sync.name}: the deletion of {self} was reported done, and it is still there")
        return True

    async def download_video_delete(self, blink: Blink | None, file_name: str | Path, max_retries: int = 4) -> bool:
        """Fetch it to a file, and delete it from the stick when it is there, whole and durable.

        Raises `CommandFailed` when its number is not what it was: then the file may be another clip, and nothing is deleted.
        """
        await self.prepare_download(blink, max_retries)
        await self.download_video(blink, file_name, max_retries)
        return await self._delete(fetched=True)

    def _is(self, other: wire.LocalClip) -> bool:
        """Whether another manifest's clip is this one, by all that lasts."""
        return other.lasting == self.clip.lasting


class BlinkSyncModule:
    """A network with its sync module (or without one: a system of Minis) and its cameras."""

    def __init__(self, blink: Blink, network: wire.Network, module: wire.SyncModule | None) -> None:
        self.blink = blink
        self._network = network
        self._module = module
        self.cameras: Named[BlinkCamera] = Named()
        #: The clips on the stick, newest first, as of the last `update_local_storage_manifest`.
        self.local_storage_manifest: tuple[LocalStorageMediaItem, ...] = ()

    def __repr__(self) -> str:
        return f"BlinkSyncModule({self.name!r}, network_id={self.network_id})"

    @property
    def module(self) -> wire.SyncModule | None:
        """What the homescreen said of the module last; None for a network without one."""
        return self._module

    @property
    def network_id(self) -> int:
        return self._network.id

    @property
    def network_name(self) -> str:
        return self._network.name

    @property
    def sync_id(self) -> int | None:
        return self._module.id if self._module else None

    @property
    def name(self) -> str:
        """The name of the network, which is what the app shows."""
        return self._network.name

    @property
    def serial(self) -> str | None:
        return self._module.serial if self._module else None

    @property
    def version(self) -> str | None:
        return self._module.fw_version if self._module else None

    @property
    def status(self) -> str:
        """`online` or `offline`; of a network without a module, `online`."""
        return self._module.status if self._module else "online"

    @property
    def online(self) -> bool:
        return self.status == "online"

    available = online

    @property
    def arm(self) -> bool:
        """Whether the network is armed; without a module, whether any of its cameras looks for motion."""
        if self._module is None and self.cameras:
            return any(camera.motion_enabled for camera in self.cameras.values())
        return self._network.armed

    @property
    def local_storage(self) -> bool:
        """Whether the clips on its stick can be had."""
        return self._module is not None and self._module.readable

    @property
    def local_storage_manifest_ready(self) -> bool:
        """Whether the manifest has been read."""
        return bool(self.local_storage_manifest)

    @property
    def attributes(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "id": self.sync_id,
            "network_id": self.network_id,
            "serial": self.serial,
            "version": self.version,
            "status": self.status,
            "region_id": self.blink.auth.region_id,
            "local_storage": self.local_storage,
        }

    async def async_arm(self, value: bool) -> bool:
        """Arm or disarm the network. It has been done when this returns."""
        async with self.blink.auth.opened() as client:
            await client.control.arm(self.network_id, arm=value)
        await self.blink.look()
        return True

    @asynccontextmanager
    async def storage(self) -> AsyncIterator[LocalStorage]:
        """Its stick. Raises `SourceError` for a network without a module."""
        if self._module is None:
            raise SourceError(f"{self.name}: a network without a sync module has no stick")
        async with self.blink.auth.opened() as client:
            yield client.local_storage(self._module)

    async def update_local_storage_manifest(self) -> tuple[LocalStorageMediaItem, ...]:
        """Read what is on the stick now, newest first. Clips of cameras that are renamed or gone are there too."""
        async with self.storage() as storage:
            manifest = await storage.manifest()
        items = [
            LocalStorageMediaItem(sync=self, manifest=manifest, clip=clip, camera=meant(clip.camera_name, self.cameras.values()))
            for clip in manifest.clips
        ]
        self.local_storage_manifest = tuple(sorted(items, key=lambda item: item.created_at, reverse=True))
        return self.local_storage_manifest

    def show(self, network: wire.Network, module: wire.SyncModule | None) -> None:
        """Take what the homescreen says of it now."""
        self._network, self._module = network, module
