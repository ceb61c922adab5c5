"""The media list, and the films and pictures behind it."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from blinkarchive.simulator.answers import (
    INVALID_DEVICE_TYPE,
    INVALID_MEDIA_LIST,
    MEDIA_DELETED,
    Refusal,
    as_json,
    media_not_found,
)
from blinkarchive.simulator.bodies import stamp
from blinkarchive.simulator.devices import Camera
from blinkarchive.simulator.faults import Kind, Place, Target
from blinkarchive.simulator.films import Films, Showing
from blinkarchive.simulator.footage import still
from blinkarchive.simulator.gate import Gate
from blinkarchive.simulator.trouble import answer
from blinkarchive.simulator.world import Account, CloudClip, World

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

_NEWER_PAGE = 200
"""Items on a page of the newer list at the most."""


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
            web.post("/api/v4/accounts/{account}/media", self.newer_list),
            web.get("/api/v4/accounts/{account}/media/{clip:[0-9]{1,18}}/video/contents", self.film),
            web.get("/api/v4/accounts/{account}/unwatched_media", self.unwatched),
            web.post("/api/v4/accounts/{account}/media/{viewed:mark_as_viewed|mark_all_as_viewed}", self.viewed),
            web.post(r"/api/{version:v[14]}/accounts/{account}/media/delete", self.delete),
            web.delete("/api/v4/accounts/{account}/media/{clip:[0-9]{1,18}}/delete", self.delete),
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
        self._gate.older_endpoint()
        since, page = _since(request.query.get("since", "")), _page(request.query.get("page", "1"))
        self._stir(account, page)

        async def usual() -> web.StreamResponse:
            return as_json(self._listing(account, since, page))

        return await answer(request, self._world, Place.LIST, usual, Target(account=account.username, page=page))

    async def newer_list(self, request: web.Request) -> web.StreamResponse:
        """One page of what was recorded between two times, in the newer form: without deleted items, with a key to go on by.

        The key is the last item of the page before: what comes in meanwhile moves no item to another page.
        """
        account = self._gate.account_in_path(request)
        query, limit = request.query, min(self._world.rules.page_size, _NEWER_PAGE)
        since, until = _since(query.get("start_time", "")), _since(query.get("end_time", "9999-12-31T00:00:00Z"))
        after = _after(query.get("pagination_key", ""))

        def listed() -> list[CloudClip]:
            return [clip for clip in account.clips if since <= clip.created_at <= until and not clip.deleted]

        page = sum((clip.created_at, clip.id) >= after for clip in listed()) // limit + 1 if after else 1
        self._stir(account, page)

        async def usual() -> web.StreamResponse:
            clips = [clip for clip in listed() if after is None or (clip.created_at, clip.id) < after]
            more = {"pagination_key": _key(clips[limit - 1])} if limit < len(clips) else {}
            shown = [newer_item(clip, str(request.url.origin())) for clip in clips[:limit]]
            return as_json({"media": shown, "moment_gap_time": 30, "smart_video_descriptions": True, **more})

        return await answer(request, self._world, Place.LIST, usual, Target(account=account.username, page=page))

    async def unwatched(self, request: web.Request) -> web.StreamResponse:
        """How many clips nobody has watched."""
        account = self._gate.account_in_path(request)
        return as_json({"unwatched_clips": sum(not clip.watched and not clip.deleted for clip in account.clips)})

    async def viewed(self, request: web.Request) -> web.StreamResponse:
        """Mark clips as watched: they come back in the list of what changed."""
        account = self._gate.account_in_path(request)
        everything = request.match_info["viewed"] == "mark_all_as_viewed"
        for clip in account.clips if everything else await _listed(request, account):
            account.change(clip, watched=True)
        return as_json({"message": "Successfully marked as viewed"})

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """Delete clips for good. What is not there any more is no error."""
        account = self._gate.account_in_path(request)
        if request.match_info.get("version") == "v1":
            self._gate.older_endpoint()
        clips = [_clip(request, account)] if "clip" in request.match_info else await _listed(request, account)
        target = _aim(account, clips[0]) if len(clips) == 1 else Target(account=account.username)

        async def usual() -> web.StreamResponse:
            if self._world.faults.strike(Place.DELETE, target, frozenset({Kind.LIE})) is None:
                for clip in clips:
                    self._world.deleting(clip)
                    account.change(clip, deleted=True)
            return as_json(MEDIA_DELETED)

        return await answer(request, self._world, Place.DELETE, usual, target)

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
            return web.Response(body=still(camera.picture(self._world.seed)), content_type="image/jpeg")

        return await answer(request, self._world, Place.THUMBNAIL, usual, Target(account=account.username, camera=camera.name))

    def _listing(self, account: Account, since: datetime, page: int) -> dict[str, Any]:
        limit = self._world.rules.page_size
        clips = account.changed_since(since)
        if self._world.rules.order == "shuffled":
            clips = sorted(clips, key=lambda clip: hashlib.sha256(f"{self._world.seed} {clip.id}".encode()).digest())
        first, lies = (page - 1) * limit, self._world.faults.expect(Place.LIST, Kind.PATH)
        return {
            "limit": limit,
            "purge_id": account.last_id - 1,
            "refresh_count": 0,
            "media": [self._perhaps_lying(account, clip) if lies else _shown(clip) for clip in clips[first : first + limit]],
        }

    def _perhaps_lying(self, account: Account, clip: CloudClip) -> Any:
        lie = self._world.faults.strike(Place.LIST, _aim(account, clip), frozenset({Kind.PATH}))
        if lie is None or clip.instead is not None:
            return _shown(clip)
        return item(clip) | {"media": lie.to}

    def _stir(self, account: Account, page: int) -> None:
        """Let happen what the script wants to happen just before this page is read."""
        changes = frozenset({Kind.INSERT, Kind.DELETE})
        for fault in self._world.faults.strike_all(Place.LIST, Target(account=account.username, page=page), changes):
            if fault.kind is Kind.INSERT:
                account.record(account.cameras[0], self._world.clock.now())
            elif account.clips:
                account.remove_clip(account.clips[0])


def _shown(clip: CloudClip) -> Any:
    return item(clip) if clip.instead is None else clip.instead


def item(clip: CloudClip) -> dict[str, Any]:
    """A clip as the list shows it."""
    camera = clip.camera
    return {
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
        **clip.extra,
    }


def newer_item(clip: CloudClip, host: str) -> dict[str, Any]:
    """A clip as the newer list shows it: its film has an absolute address."""
    media = f"{host}{clip.newer_path}" if clip.media_path is None else clip.media_path
    video = {"type": "video", "media": media}
    event = {"type": "event", "no_media_reason": "no_subscription", "media": None}
    found = {"ai_vd": None, "cv_detection": [], **clip.analysis}
    return item(clip) | {"event_type": clip.source} | (video if clip.video else event) | found


def _key(clip: CloudClip) -> str:
    """The key of the page that begins behind a clip."""
    return f"{int(clip.created_at.timestamp())}-{clip.id}"


def _after(key: str) -> tuple[datetime, int] | None:
    """The item that a key of the newer list names, as its place in the list; None for no key. Raises `Refusal`: 400."""
    if not key:
        return None
    if not (found := re.fullmatch("([0-9]{1,11})-([0-9]{1,18})", key)):
        raise Refusal(400, {"message": "Invalid pagination key", "code": 400})
    return datetime.fromtimestamp(int(found[1]), UTC), int(found[2])


def _aim(account: Account, clip: CloudClip) -> Target:
    return Target(account=account.username, clip=clip.id, camera=clip.camera.name)


def _clip(request: web.Request, account: Account) -> CloudClip:
    clip = account.clip(int(request.match_info["clip"]))
    if clip is None:
        raise media_not_found()
    if request.match_info.get("type", clip.camera.type) != clip.camera.type:
        raise Refusal(400, INVALID_DEVICE_TYPE)
    return clip


async def _listed(request: web.Request, account: Account) -> list[CloudClip]:
    """The clips of this account that a body names by `media_list`. Raises `Refusal`: 400, code 706."""
    try:
        ids = json.loads(await request.read())["media_list"]
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal(400, INVALID_MEDIA_LIST) from error
    if not isinstance(ids, list) or not all(isinstance(id, int) for id in ids):
        raise Refusal(400, INVALID_MEDIA_LIST)
    return [clip for clip in map(account.clip, ids) if clip is not None]


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
