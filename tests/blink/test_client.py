"""A Blink account over a real connection: signing in, listing clips, fetching them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from blinkarchive import __version__
from blinkarchive.blink.client import Client
from blinkarchive.blink.login import APP
from blinkarchive.blink.wire import Camera, SyncModule
from blinkarchive.errors import CodeNeeded, WrongCode, WrongPassword
from blinkarchive.secret import Secret
from tests.blink.cloud import ACCOUNT, CHANGED, CLIP, HOMESCREEN, Cloud, as_json, canaries
from tests.blink.conftest import OWNER, PASSWORD, Opener


async def test_a_password_alone_signs_in(blink: Client, cloud: Cloud) -> None:
    await blink.sign_in(OWNER, PASSWORD)

    assert await blink.account_id() == ACCOUNT
    assert blink.tokens.access == Secret(cloud.access)


async def test_a_code_may_come_from_another_process(opened: Opener, cloud: Cloud) -> None:
    cloud.code = "123456"
    async with opened() as first:
        with pytest.raises(CodeNeeded, match=r"code by sms to \+61xxxxxxxx40"):
            await first.sign_in(OWNER, PASSWORD)

    async with opened() as second:
        assert second.pending is not None
        with pytest.raises(WrongCode):
            await second.send_code(Secret("000000"))
        await second.send_code(Secret("123456"))
        assert await second.account_id() == ACCOUNT
        assert second.pending is None


async def test_a_wrong_password_is_told_at_once_and_tried_once(blink: Client, cloud: Cloud) -> None:
    with pytest.raises(WrongPassword):
        await blink.sign_in(OWNER, Secret("wrong"))

    assert cloud.sign_ins == 1


async def test_the_time_of_a_listing_goes_out_letter_for_letter(signed_in: Client, cloud: Cloud) -> None:
    await signed_in.media_page(datetime(2026, 1, 1, 2, 0, 0, 999, tzinfo=timezone(timedelta(hours=2))), 3)

    (request,) = cloud.to(CHANGED)
    assert request.raw.startswith(f"GET {CHANGED}?since=2026-01-01T00:00:00%2B0000&page=3 HTTP/1.1\r\n".encode())


async def test_a_page_gives_its_clips_and_sets_aside_what_it_cannot_read(signed_in: Client, cloud: Cloud) -> None:
    good = {"id": 77, "created_at": "2026-06-30T10:00:00+00:00", "device_name": "Porch", "media": CLIP, "type": "video"}
    bad = {"id": 78, "created_at": "1970-01-01T00:00:00Z"}
    cloud.routes[CHANGED] = cloud.guarded(as_json({"limit": 500, "media": [good, bad]}))

    page = await signed_in.media_page(datetime(2026, 1, 1, tzinfo=UTC), 1)

    assert page.limit == 500
    assert [(item.id, item.device_name, item.media) for item in page.items] == [(77, "Porch", CLIP)]
    assert [(item.item, "1970" in item.reason) for item in page.malformed] == [("78", True)]


async def test_a_clip_comes_in_chunks_with_its_length_and_type(signed_in: Client, cloud: Cloud) -> None:
    async with signed_in.media(CLIP) as body:
        got = b"".join([chunk async for chunk in body.chunks])

    assert (body.length, body.type, got) == (19, "video/mp4", b"the bytes of a clip")
    (request,) = cloud.to(CLIP)
    assert request.headers["accept-encoding"] == "identity"


async def test_a_request_with_a_token_names_this_program_and_no_app_version(signed_in: Client, cloud: Cloud) -> None:
    stick = f"/api/v1/accounts/{ACCOUNT}/networks/6/sync_modules/5/local_storage"
    cloud.routes[HOMESCREEN] = cloud.guarded(as_json({"networks": []}))
    cloud.routes["/network/6/camera/7/config"] = cloud.guarded(as_json({"name": "Porch"}))
    cloud.routes[f"/api/v1/accounts/{ACCOUNT}/media/delete"] = cloud.guarded(as_json({"message": "gone", "code": 711}))
    cloud.routes[f"{stick}/manifest/request"] = cloud.guarded(as_json({"id": 9, "network_id": 6}))
    cloud.routes["/network/6/command/9"] = cloud.guarded(as_json({"complete": True, "status": 0, "status_code": 908}))
    cloud.routes[f"{stick}/manifest/request/9"] = cloud.guarded(as_json({"manifest_id": "1", "clips": []}))

    await signed_in.homescreen()
    await signed_in.media_page(datetime(2026, 1, 1, tzinfo=UTC), 1)
    await signed_in.control.config(Camera(id=7, network_id=6))
    await signed_in.delete_media([1])
    await signed_in.local_storage(SyncModule(id=5, network_id=6)).manifest()
    async with signed_in.media(CLIP) as body:
        assert [chunk async for chunk in body.chunks]

    asked = [request for request in cloud.seen if not request.target.startswith("/oauth/")]
    assert {request.method for request in asked} == {"GET", "POST"}
    for request in asked:
        assert request.headers["user-agent"] == f"blinkarchive/{__version__}", request.target
        assert request.headers["content-type"] == "application/json", request.target
        assert "app-build" not in request.headers
    assert {request.headers["user-agent"] for request in cloud.to("/oauth/token")} == {APP}


def test_the_canaries_are_found_where_they_are() -> None:
    assert canaries("Bearer access-canary-1, owner@example.org") == ["access-canary-1", "owner@example.org"]
