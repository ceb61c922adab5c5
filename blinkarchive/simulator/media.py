"""The media list, and the films and pictures behind it."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from blinkarchive.simulator.answers import INVALID_DEVICE_TYPE, Refusal, as_json, media_not_found
from blinkarchive.simulator.faults import Kind, Place, Target
from blinkarchive.simulator.films import Films, Showing
from blinkarchive.simulator.footage import Take, still
from blinkarchive.simulator.gate import Gate
from blinkarchive.simulator.house import stamp
from blinkarchive.simulator.trouble import answer
from blinkarchive.simulator.world import Account, Camera, CloudClip, World

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Media:
    """What the cloud keeps of the cameras' recordings."""

    def __init__(self, world: World, gate: Gate, films: Films) -> None:
        self._world = world
        self._gate = gate
        self._films = films

    def routes(self) -> list[web.RouteDef]:
        house = "/api/v3/media/accounts/{account}/networks/{network}/{type}/{camera}"
        return [
            web.get(r"/api/{version:v[12]}/accounts/{account}/media/changed", self.changed),
            web.get(r"/api/v2/accounts/{account}/media/clip/{clip:[0-9]{1,18}}.mp4", self.film),
            web.get(r"/api/v2/accounts/{account}/media/thumb/{clip:[0-9]{1,18}}.jpg", self.thumbnail),
            web.get(house + r"/{source}/{clip:[0-9]{1,18}}.mp4", self.film),
            web.get(house + "/thumbnail/thumbnail.jpg", self.camera_picture),
            web.get(house + r"/{source}/{clip:[0-9]{1,18}}.jpg", self.thumbnail),
            web.get("/media/production/account/{account}/network/{network}/camera/{camera}/{name}.jpg", self.camera_picture),
        ]

    async def changed(self, request: web.Request) -> web.StreamResponse:
        """One page of what changed since a time, as it is at this moment."""
        account = self._gate.account_in_path(request)
        since, page = _since(request.query.get("since", "")), _page(request.query.get("page", "1"))
        self._stir(account, page)

        async def usual() -> web.StreamResponse:
            return as_json(self._listing(account, since, page))

        return await answer(request, self._world, Place.LIST, usual, Target(account=account.username, page=page))

    async def film(self, request: web.Request) -> web.StreamResponse:
        """A clip's film."""
        account = self._gate.account_in_path(request)
        clip = _clip(request, account)

        def fetched() -> Showing:
            if clip.deleted or not clip.video:
                raise media_not_found()
            if self._world.rules.fetching_watches and not clip.watched:
                account.change(clip, watched=True)
            return Showing(take=clip.take, size=clip.take.size // 2 if clip.partial else clip.take.size)

        return await self._films.show(request, Place.MEDIA, _aim(account, clip), fetched)

    async def thumbnail(self, request: web.Request) -> web.StreamResponse:
        """A clip's picture."""
        account = self._gate.account_in_path(request)
        clip = _clip(request, account)

        async def usual() -> web.StreamResponse:
            if clip.deleted:
                raise media_not_found()
            return web.Response(body=still(clip.take), content_type="image/jpeg")

        return await answer(request, self._world, Place.THUMBNAIL, usual, _aim(account, clip))

    async def camera_picture(self, request: web.Request) -> web.StreamResponse:
        """What a camera saw last."""
        account = self._gate.account_in_path(request)
        camera = _camera(request, account)

        async def usual() -> web.StreamResponse:
            seen = next((clip.take for clip in account.clips if clip.camera is camera), None)
            take = seen or Take(seed=self._world.seed, camera=camera.id, clip=0, at=_BEGINNING, size=100_000)
            return web.Response(body=still(take), content_type="image/jpeg")

        return await answer(request, self._world, Place.THUMBNAIL, usual, Target(account=account.username, camera=camera.name))

    def _listing(self, account: Account, since: datetime, page: int) -> dict[str, Any]:
        limit = self._world.rules.page_size
        clips = account.changed_since(since)
        if self._world.rules.order == "shuffled":
            clips.sort(key=lambda clip: hashlib.sha256(f"{self._world.seed} {clip.id}".encode()).digest())
        first = (page - 1) * limit
        return {
            "limit": limit,
            "purge_id": max((clip.id for clip in clips), default=1) - 1,
            "refresh_count": 0,
            "media": [self._item(account, clip) for clip in clips[first : first + limit]],
        }

    def _item(self, account: Account, clip: CloudClip) -> Any:
        lie = self._world.faults.strike(Place.LIST, _aim(account, clip), frozenset({Kind.PATH}))
        if clip.instead is not None:
            return clip.instead
        return item(clip) | ({} if lie is None else {"media": lie.to})

    def _stir(self, account: Account, page: int) -> None:
        """Let happen what the script wants to happen just before this page is read."""
        changes = frozenset({Kind.INSERT, Kind.DELETE})
        for fault in self._world.faults.strike_all(Place.LIST, Target(account=account.username, page=page), changes):
            if fault.kind is Kind.INSERT:
                account.add_clip()
            elif account.clips:
                account.remove_clip(account.clips[0])


def item(clip: CloudClip) -> dict[str, Any]:
    """A clip as the list shows it."""
    camera = clip.camera
    shown = {
        "id": clip.id,
        "created_at": stamp(clip.created_at),
        "updated_at": stamp(clip.updated_at),
        "deleted": clip.deleted,
        "device": camera.type,
        "device_id": camera.id,
        "device_name": camera.name,
        "network_id": camera.network.id,
        "network_name": camera.network.name,
        "type": "video",
        "source": clip.source,
        "partial": clip.partial,
        "watched": clip.watched,
        "thumbnail": clip.thumbnail_path if clip.video else "",
        "media": (clip.path if clip.video else "") if clip.media_path is None else clip.media_path,
        "metadata": None,
        "additional_devices": [],
        "time_zone": camera.network.time_zone,
    }
    return {**shown, **clip.extra}


def _aim(account: Account, clip: CloudClip) -> Target:
    return Target(account=account.username, clip=clip.id, camera=clip.camera.name)


def _clip(request: web.Request, account: Account) -> CloudClip:
    clip = account.clip(int(request.match_info["clip"]))
    if clip is None:
        raise media_not_found()
    if request.match_info.get("type", clip.camera.type) != clip.camera.type:
        raise Refusal(400, INVALID_DEVICE_TYPE)
    return clip


def _camera(request: web.Request, account: Account) -> Camera:
    camera = next((camera for camera in account.cameras if str(camera.id) == request.match_info["camera"]), None)
    if camera is None:
        raise media_not_found()
    if request.match_info.get("type", camera.type) != camera.type:
        raise Refusal(400, INVALID_DEVICE_TYPE)
    return camera


def _since(text: str) -> datetime:
    """A time in any of the forms that clients send; a `+` that was read as a space is one again. Nothing means all there is."""
    if not text:
        return _BEGINNING
    try:
        when = datetime.fromisoformat(re.sub(r"(?<=T)(.*) (\d\d:?\d\d)$", r"\1+\2", text))
    except ValueError as error:
        raise Refusal(400, {"message": "Invalid since", "code": 400}) from error
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _page(text: str) -> int:
    """From 1; 0 is the first page too."""
    if not re.fullmatch("[0-9]{1,9}", text):
        raise Refusal(400, {"message": "Invalid page", "code": 400})
    return max(1, int(text))
