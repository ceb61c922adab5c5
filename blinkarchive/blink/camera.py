"""A camera, as its owner knows it: what it says of itself, what it saw last, what it can be asked to do."""

from __future__ import annotations

import logging
import re
import string
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from blinkarchive.blink.details import Details
from blinkarchive.blink.names import bare
from blinkarchive.blink.saving import save
from blinkarchive.blink.wire import CameraConfig, Family, MediaItem
from blinkarchive.errors import BadClip, ClipGone, LoginNeeded, Refused, SourceError, Throttled
from blinkarchive.interfaces import Body

if TYPE_CHECKING:
    from blinkarchive.blink import wire
    from blinkarchive.blink.client import Client
    from blinkarchive.blink.sync_module import BlinkSyncModule

log = logging.getLogger(__name__)

CELSIUS_OF_ZERO = 32
KINDS = {Family.CAMERA: "default", Family.OWL: "mini", Family.DOORBELL: "doorbell", Family.OTHER: "unknown"}
_NIGHT_VISION = ("off", "on", "auto")
_LARGEST_KEPT = 64 * 1024 * 1024

RECENT = 100
"""How many recent clips a camera remembers until they are saved. The cloud has them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A picture or a film that was fetched: blinkpy's scripts look at `status` and `await read()`."""

    body: bytes
    status: int = 200

    async def read(self) -> bytes:
        """The bytes."""
        return self.body


class BlinkCamera:
    """A camera of any family. Its attributes are of the last `Blink.refresh`; its methods ask Blink, and raise a
    `SourceError`."""

    def __init__(self, sync: BlinkSyncModule, seen: wire.Camera) -> None:
        self.sync = sync
        self._seen = seen
        self._config: CameraConfig | None = None
        #: The newest clip that is known.
        self.newest: MediaItem | None = None
        self.motion_detected = False
        #: Clips that have come in and were not saved yet, as {"time", "clip"}, in that order; at most `RECENT`, the newest.
        self.recent_clips: list[dict[str, str]] = []
        self.floodlight_enabled: bool | None = None
        self.image_from_cache: bytes | None = None
        self.video_from_cache: bytes | None = None
        self._pictured = ""
        self._filmed: int | None = None

    def __repr__(self) -> str:
        return f"BlinkCamera({self.name!r}, id={self.camera_id}, network={self.sync.network_name!r})"

    # What it says of itself

    @property
    def seen(self) -> wire.Camera:
        """What the homescreen said of it last."""
        return self._seen

    @property
    def name(self) -> str:
        return self._seen.name

    @property
    def camera_id(self) -> str:
        return str(self._seen.id)

    @property
    def network_id(self) -> str:
        return str(self._seen.network_id)

    @property
    def serial(self) -> str:
        return self._seen.serial

    @property
    def version(self) -> str:
        return self._seen.fw_version

    @property
    def product_type(self) -> str:
        """`catalina`, `owl`, `lotus`, …: an open set."""
        return self._seen.type

    @property
    def camera_type(self) -> str:
        """blinkpy's word for the family: "default", "mini", "doorbell"."""
        return KINDS[self._seen.family]

    @property
    def status(self) -> str:
        return self._seen.status

    @property
    def online(self) -> bool:
        """Whether it is well."""
        return self._seen.well

    @property
    def motion_enabled(self) -> bool:
        """Whether it looks for motion, as far as it alone decides."""
        return self._seen.enabled

    @property
    def arm(self) -> bool:
        """Whether it looks for motion. A wired camera without a sync module has nobody else to ask."""
        return self._seen.enabled

    @property
    def battery(self) -> str | None:
        """`ok` or `low`; None for a camera without one."""
        return self._seen.battery or None

    battery_state = battery

    @property
    def battery_level(self) -> int | None:
        """0 to 3."""
        return self._seen.signals.battery

    @property
    def battery_voltage(self) -> int | None:
        """In hundredths of a volt, as of the last time its settings were read."""
        return self._setting("battery_voltage", int)

    @property
    def wifi_strength(self) -> int | None:
        """0 to 5; of a camera that says no such figure, dBm, as of the last time its settings were read."""
        return self._seen.signals.wifi if self._seen.signals.wifi is not None else self._setting("wifi_strength", int)

    @property
    def sync_signal_strength(self) -> int | None:
        """To the sync module, 0 to 5."""
        return self._seen.signals.lfr

    @property
    def temperature(self) -> int | None:
        """In the unit that `temperature_unit` tells."""
        return self._seen.signals.temp

    temperature_calibrated = temperature

    @property
    def temperature_unit(self) -> Literal["F", "C"] | None:
        """The unit the account's owner has chosen; None when Blink does not say, or there is no temperature."""
        return self.sync.blink.temperature_unit if self.temperature is not None else None

    @property
    def temperature_c(self) -> float | None:
        """In degrees Celsius; None when the unit is not known."""
        if self.temperature is None or self.temperature_unit is None:
            return None
        if self.temperature_unit == "C":
            return float(self.temperature)
        return round((self.temperature - CELSIUS_OF_ZERO) / 1.8, 1)

    @property
    def thumbnail(self) -> str | None:
        """Where its picture is: a path on the account's server."""
        account = self.sync.blink.account_id
        return (self._seen.picture(account) or None) if account else None

    @property
    def clip(self) -> str | None:
        """Where its newest clip is: a path on the account's server."""
        return (self.newest.media or None) if self.newest else None

    @property
    def last_record(self) -> str | None:
        """When its newest clip was recorded: ISO 8601, UTC."""
        return self.newest.created_at.isoformat() if self.newest else None

    @property
    def attributes(self) -> dict[str, Any]:
        """All of it, by blinkpy's names and two more."""
        return {
            "name": self.name,
            "camera_id": self.camera_id,
            "serial": self.serial,
            "version": self.version,
            "temperature": self.temperature,
            "temperature_unit": self.temperature_unit,
            "temperature_c": self.temperature_c,
            "temperature_calibrated": self.temperature_calibrated,
            "battery": self.battery,
            "battery_level": self.battery_level,
            "battery_voltage": self.battery_voltage,
            "thumbnail": self.thumbnail,
            "video": self.clip,
            "recent_clips": self.recent_clips,
            "motion_enabled": self.motion_enabled,
            "motion_detected": self.motion_detected,
            "wifi_strength": self.wifi_strength,
            "network_id": self.sync.network_id,
            "network": self.sync.network_name,
            "sync_module": self.sync.name,
            "sync_signal_strength": self.sync_signal_strength,
            "last_record": self.last_record,
            "type": self.product_type,
        }

    def _setting(self, key: str, kind: type[int]) -> int | None:
        value = self._config.values.get(key) if self._config else None
        return value if isinstance(value, kind) and not isinstance(value, bool) else None

    # What it saw

    @asynccontextmanager
    async def open_image(self) -> AsyncIterator[Body]:
        """Its picture, as it comes. Raises `ClipGone` when it has none."""
        async with self._client() as client, client.picture(_known(self.thumbnail, self, "picture")) as body:
            yield body

    @asynccontextmanager
    async def open_video(self) -> AsyncIterator[Body]:
        """Its newest clip, as it comes. Raises `ClipGone` when none is known."""
        async with self._client() as client, client.media(_known(self.clip, self, "clip")) as body:
            yield body

    async def get_media(self, media_type: str = "image") -> Media:
        """Its picture ("image") or its newest clip ("video") as a whole."""
        return await (self.get_video_clip() if media_type.lower() == "video" else self.get_thumbnail())

    async def get_thumbnail(self, url: str | None = None) -> Media:
        """Its picture, or the one at an address that Blink gave."""
        async with self._client() as client, client.picture(url or _known(self.thumbnail, self, "picture")) as body:
            return Media(body=await whole(body))

    async def get_video_clip(self, url: str | None = None) -> Media:
        """Its newest clip, or the one at an address that Blink gave."""
        async with self._client() as client, client.media(url or _known(self.clip, self, "clip")) as body:
            return Media(body=await whole(body))

    async def image_to_file(self, path: str | Path) -> None:
        """Write its picture to a file: whole, or not at all."""
        async with self.open_image() as body:
            await save(body, Path(path), film=False)

    async def video_to_file(self, path: str | Path) -> None:
        """Write its newest clip to a file: whole and proven, or not at all. Raises `ClipGone` when none is known."""
        async with self.open_video() as body:
            await save(body, Path(path), film=True)

    async def save_recent_clips(
        self,
        output_dir: str | Path = "/tmp",  # noqa: S108 - as blinkpy has it
        file_pattern: str = "${created}_${name}.mp4",
    ) -> list[Path]:
        """Write the clips that have come in to files, and forget each that was written, or is gone from the cloud. Gives the
        files. One clip's failure stops no other: it stays for the next time.

        In the pattern, `created` is the time (UTC) and the clip's id, which no two clips share; `name` the camera's name
        without blanks and signs. A file that is there already is not replaced: the clip's id is put behind the name.
        """
        saved = []
        for recent in list(self.recent_clips):
            at, id = datetime.fromisoformat(recent["time"]).astimezone(UTC), _id_of(recent["clip"])
            created, name = f"{at:%Y%m%dT%H%M%SZ}_{id}", bare(self.name)
            path = Path(output_dir) / string.Template(file_pattern).substitute(created=created, name=name)
            if path.exists():
                path = path.with_stem(f"{path.stem}_{id}")
            try:
                async with self._client() as client, client.media(recent["clip"]) as body:
                    await save(body, path, film=True)
            except (LoginNeeded, Refused, Throttled):
                raise
            except SourceError as error:
                log.warning("a recent clip could not be saved", extra={"clip": id, "because": str(error)})
                if not isinstance(error, ClipGone):
                    continue
            else:
                saved.append(path)
            self.recent_clips.remove(recent)
        return saved

    async def expire_recent_clips(self, delta: timedelta = timedelta(hours=1)) -> None:
        """Forget recent clips that are older. They stay in the cloud, and `Blink.download_videos` finds them."""
        oldest = self.sync.blink.auth.clock.now() - delta
        self.recent_clips = [clip for clip in self.recent_clips if datetime.fromisoformat(clip["time"]) > oldest]

    # What it can be asked to do

    async def async_arm(self, value: bool) -> bool:
        """Let it look for motion, or not. It has been done when this returns."""
        async with self._client() as client:
            await client.control.watch(self._seen, on=value)
        await self.sync.blink.look()
        return True

    set_motion_detect = async_arm

    async def snap_picture(self) -> bool:
        """Take a new picture. It is in `image_from_cache` when this returns."""
        async with self._client() as client:
            await client.control.snap(self._seen)
        await self.sync.blink.look()
        await self._fetch_image()
        return True

    async def record(self) -> bool:
        """Take a clip now. It comes into the list of clips, or onto the stick."""
        async with self._client() as client:
            await client.control.record(self._seen)
        return True

    async def get_liveview(self) -> str:
        """Open a live view: where to watch it."""
        async with self._client() as client:
            return (await client.control.live(self._seen)).server

    @property
    async def night_vision(self) -> dict[str, Any]:
        """How it lights the night: `illuminator_enable` is "off", "on" or "auto" for every family."""
        await self.read_settings()
        assert self._config is not None
        keys = ("night_vision_control", "illuminator_enable", "illuminator_enable_v2")
        found = {key: self._config.values.get(key) for key in keys}
        lamp = found["illuminator_enable"]
        if isinstance(lamp, int) and 0 <= lamp < len(_NIGHT_VISION):
            found["illuminator_enable"] = _NIGHT_VISION[lamp]
        return found

    async def async_set_night_vision(self, value: str) -> bool:
        """Light the night: "off", "on" or "auto". Raises `ValueError` for another word."""
        if value not in _NIGHT_VISION:
            raise ValueError(f"night vision is {', '.join(_NIGHT_VISION)}, not {value!r}")
        lamp = _NIGHT_VISION.index(value) if self._seen.family is Family.CAMERA else value
        await self.configure(illuminator_enable=lamp)
        return True

    async def async_set_floodlight(self, enable: bool) -> bool:
        """Switch the lamp of a wired floodlight."""
        async with self._client() as client:
            await client.control.light(self._seen, on=enable)
        self.floodlight_enabled = enable
        return True

    async def configure(self, **settings: Any) -> None:
        """Change settings, by Blink's words."""
        async with self._client() as client:
            await client.control.configure(self._seen, settings)
        self._config = None

    async def read_settings(self) -> CameraConfig:
        """Its settings, read now."""
        async with self._client() as client:
            self._config = await client.control.config(self._seen)
        return self._config

    # How it is kept up to date

    def show(self, seen: wire.Camera) -> None:
        """Take what the homescreen says of it now."""
        self._seen = seen

    def noticed(self, clips: list[MediaItem], *, motion: bool) -> None:
        """Take clips that have come in, oldest first."""
        for clip in clips:
            if self.newest is None or clip.created_at >= self.newest.created_at:
                self.newest = clip
            self.recent_clips.append({"time": clip.created_at.isoformat(), "clip": clip.media})
        if len(self.recent_clips) > RECENT:
            log.info("recent clips that nobody saved are forgotten", extra={"camera": self.name})
            del self.recent_clips[:-RECENT]
        self.motion_detected = motion

    async def update_cache(self, details: Details | None = None, *, force: bool = False, video: bool = True) -> None:
        """Fetch its picture and its newest clip if they are others than those that are kept, or in any case (`force`).

        One that cannot be fetched is logged: what was kept before stays.
        """
        details = details or Details()
        if force or self.thumbnail != self._pictured or self.image_from_cache is None:
            await details.read(self._fetch_image, "the picture of a camera could not be fetched", camera=self.name)
        if video and self.newest is not None and self.newest.media and (force or self.newest.id != self._filmed):
            await details.read(self._fetch_video, "the newest clip of a camera could not be fetched", camera=self.name)

    async def _fetch_image(self) -> None:
        if self.thumbnail is not None:
            address = self.thumbnail
            self.image_from_cache = (await self.get_thumbnail(address)).body
            self._pictured = address

    async def _fetch_video(self) -> None:
        newest = self.newest
        self.video_from_cache = (await self.get_video_clip()).body
        self._filmed = newest.id if newest else None

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Client]:
        async with self.sync.blink.auth.opened() as client:
            yield client


async def whole(body: Body) -> bytes:
    """All bytes of a body that is small enough to be kept. Raises `BadClip` for one that is cut, empty or too large."""
    found = bytearray()
    async for chunk in body.chunks:
        found += chunk
        if len(found) > _LARGEST_KEPT:
            raise BadClip(f"more than {_LARGEST_KEPT >> 20} MiB; write it to a file")
    if not found or (body.length is not None and len(found) != body.length):
        raise BadClip(f"cut: {len(found)} of {body.length} bytes came" if body.length else "an empty body came")
    return bytes(found)


def _known(address: str | None, camera: BlinkCamera, what: str) -> str:
    if not address:
        raise ClipGone(f"camera {camera.name!r} has no {what} that is known")
    return address


def _id_of(address: str) -> str:
    found = re.search(r"/(\d+)(?:\.mp4)?$", address)
    return found[1] if found else "clip"
