"""Every fault does what its name says, as often as it was asked to, and is noted."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from blinkarchive.clock import ManualClock
from blinkarchive.simulator import CloudClip, Running, World
from tests.simulator.phone import Phone


@pytest.fixture
def clip(world: World) -> CloudClip:
    return world.account.clips[0]


async def listing(phone: Phone, page: int = 1) -> tuple[int, str, bytes, dict[str, str]]:
    """Status, type, body and headers of a page of the list."""
    url = f"{phone.url}/api/v1/accounts/{phone.account.id}/media/changed"
    async with phone.http.get(url, params={"page": str(page)}, headers=phone.bearer, allow_redirects=False) as response:
        return response.status, response.content_type, await response.read(), dict(response.headers)


async def all_that_comes(response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """The bytes of a body, and whether it ended before its end."""
    got = b""
    try:
        async for chunk in response.content.iter_any():
            got += chunk
    except aiohttp.ClientPayloadError:
        return got, True
    return got, False


async def test_a_fault_strikes_as_often_as_it_says_and_is_noted(phone: Phone, world: World, clip: CloudClip) -> None:
    fault = world.faults.add("media.status", times=2, skip=1, status=503)
    statuses = [(await phone.fetch(clip.path))[0] for _ in range(4)]
    assert statuses == [200, 503, 503, 200]
    assert [fired.fault for fired in world.faults.fired] == [fault, fault]
    assert world.faults.fired[0].target.clip == clip.id
    assert world.faults.count("media.status") == 2


async def test_a_fault_without_end(phone: Phone, world: World, clip: CloudClip) -> None:
    world.faults.add("media.status", times=0)
    assert [(await phone.fetch(clip.path))[0] for _ in range(3)] == [500, 500, 500]
    world.faults.clear()
    assert (await phone.fetch(clip.path))[0] == 200


async def test_a_fault_can_be_meant_for_one_clip_or_camera_or_account(phone: Phone, world: World) -> None:
    first, second = world.account.clips[:2]
    third = next(clip for clip in world.account.clips[2:] if clip.camera is not second.camera)
    world.faults.add("media.status", clip=second.id)
    world.faults.add("media.empty", camera=third.camera.name, times=1)
    world.faults.add("media.html", account="somebody@else.example")
    assert (await phone.fetch(second.path))[0] == 500
    assert (await phone.fetch(third.path))[1] == b""
    assert await phone.fetch(first.path) == (200, first.film())


async def test_a_fault_can_be_meant_for_one_page(phone: Phone, world: World) -> None:
    world.rules.page_size = 5
    world.faults.add("list.status", page=2)
    assert [(await listing(phone, page))[0] for page in (1, 2, 2, 3)] == [200, 500, 200, 200]


@pytest.mark.parametrize(
    "name", ["media", "media.nothing", "nowhere.status", "homescreen.cut", "media.insert", "list.invalid-grant"]
)
def test_a_fault_that_does_not_exist_is_an_error(world: World, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        world.faults.add(name)


@pytest.mark.parametrize(
    ("fault", "status", "kind", "body"),
    [
        ({"name": "status", "status": 500}, 500, "application/json", b"Internal Server Error"),
        ({"name": "status", "status": 429, "retry_after": 7}, 429, "application/json", b"Too Many Requests"),
        ({"name": "status", "status": 426}, 426, "application/json", b'{"message":"An app update is required"}'),
        ({"name": "status", "status": 401}, 401, "application/json", b'"code":101'),
        ({"name": "status", "status": 406}, 406, "text/html", b"<html>"),
        ({"name": "status", "status": 400, "body": '{"message":"no"}'}, 400, "application/json", b'{"message":"no"}'),
        ({"name": "html"}, 200, "text/html", b"<html>"),
        ({"name": "empty"}, 200, "application/json", b""),
        ({"name": "garbage"}, 200, "application/json", b'{"id":'),
        ({"name": "json-error"}, 200, "application/json", b'"code":700'),
        ({"name": "redirect", "to": "https://evil.example/"}, 302, "application/octet-stream", b""),
    ],
)
async def test_a_page_of_the_list_can_go_wrong(
    phone: Phone, world: World, fault: dict[str, Any], status: int, kind: str, body: bytes
) -> None:
    world.faults.add("list." + fault.pop("name"), **fault)
    answer = await listing(phone)
    assert answer[:2] == (status, kind)
    assert body in answer[2]
    assert answer[3].get("Retry-After") == (str(fault["retry_after"]) if "retry_after" in fault else None)
    assert answer[3].get("Location") == fault.get("to")
    assert (await listing(phone))[0] == 200


async def test_a_clip_comes_in_between_two_pages(phone: Phone, world: World) -> None:
    world.rules.page_size = 5
    world.faults.add("list.insert", page=2)
    world.faults.add("list.insert", page=2)
    first, second = await phone.page(1), await phone.page(2)
    assert [item["id"] for item in first[-2:]] == [item["id"] for item in second[:2]]
    assert world.faults.count("list.insert") == 2


async def test_a_clip_goes_between_two_pages_and_makes_a_gap(phone: Phone, world: World) -> None:
    world.rules.page_size = 5
    sixth = world.account.clips[5].id
    world.faults.add("list.delete", page=2, times=1)
    seen = [item["id"] for item in await phone.everything()]
    assert sixth not in seen
    assert sixth in {clip.id for clip in world.account.clips}


@pytest.mark.parametrize("path", ["https://evil.example/x.mp4", "//evil.example/x", ".evil.example/x", "/api/../../x.mp4", ""])
async def test_an_item_can_point_anywhere(phone: Phone, world: World, clip: CloudClip, path: str) -> None:
    world.faults.add("list.path", clip=clip.id, to=path, times=1)
    items = await phone.page()
    assert [item["media"] for item in items if item["id"] == clip.id] == [path]
    assert (await phone.page())[0]["media"] == clip.path


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        ({"name": "status", "status": 401}, 401, b'"code":101'),
        ({"name": "status", "status": 403}, 403, b"<html>"),
        ({"name": "status", "status": 404}, 404, b'"code":700'),
        ({"name": "status", "status": 429, "retry_after": 3}, 429, b"Too Many"),
        ({"name": "status", "status": 500}, 500, b"Internal"),
        ({"name": "json-error"}, 200, b'"code":700'),
        ({"name": "html"}, 200, b"<html>"),
        ({"name": "redirect", "to": "http://127.0.0.1:9/x", "status": 307}, 307, b""),
    ],
)
async def test_a_film_can_be_something_else(
    phone: Phone, world: World, clip: CloudClip, fault: dict[str, Any], status: int, body: bytes
) -> None:
    world.faults.add("media." + fault.pop("name"), **fault)
    answer = await phone.fetch(clip.path)
    assert answer[0] == status
    assert body in answer[1]
    assert await phone.fetch(clip.path) == (200, clip.film())


@pytest.mark.parametrize(("name", "length"), [("media.empty", 0), ("media.short", 20)])
async def test_a_film_of_next_to_nothing(phone: Phone, world: World, clip: CloudClip, name: str, length: int) -> None:
    world.faults.add(name)
    async with phone.http.get(phone.url + clip.path, headers=phone.bearer) as response:
        assert (response.status, response.content_type) == (200, "video/mp4")
        assert len(await response.read()) == length


@pytest.mark.parametrize("name", ["media.cut", "media.cut-chunked", "media.too-long"])
async def test_a_film_whose_connection_ends_early_is_seen_as_broken(
    phone: Phone, world: World, clip: CloudClip, name: str
) -> None:
    world.faults.add(name, after=3_000)
    async with phone.http.get(phone.url + clip.path, headers=phone.bearer) as response:
        promised = {"media.cut": clip.take.size, "media.too-long": clip.take.size + 3_000}.get(name)
        assert (response.status, response.content_length) == (200, promised)
        got, broken = await all_that_comes(response)
    assert broken
    assert got == clip.film()[: clip.take.size if name == "media.too-long" else 3_000]
    assert await phone.fetch(clip.path) == (200, clip.film())


@pytest.mark.parametrize(("name", "promised"), [("media.cut-unmarked", False), ("media.too-short", True)])
async def test_a_film_may_be_cut_in_a_way_that_http_does_not_see(
    phone: Phone, world: World, clip: CloudClip, name: str, promised: bool
) -> None:
    world.faults.add(name, after=1_000)
    async with phone.http.get(phone.url + clip.path, headers=phone.bearer) as response:
        body = await response.read()
        assert (response.content_length is not None) is promised
    assert body == clip.film()[: clip.take.size - 1_000 if promised else 1_000]


async def test_a_film_may_come_by_drips(phone: Phone, world: World, clip: CloudClip, clock: ManualClock) -> None:
    world.faults.add("media.drip", rate=1_000)
    assert await phone.fetch(clip.path) == (200, clip.film())
    assert clock.monotonic() == pytest.approx(clip.take.size / 1_000)


async def test_an_answer_may_be_lost_after_all_was_done(phone: Phone, world: World, clip: CloudClip) -> None:
    world.faults.add("delete.lose")
    url = f"{phone.url}/api/v1/accounts/{phone.account.id}/media/delete"
    with pytest.raises(aiohttp.ClientError):
        await phone.http.post(url, json={"media_list": [clip.id]}, headers=phone.bearer)
    assert clip.deleted


async def test_an_answer_may_come_late(phone: Phone, world: World, clip: CloudClip, clock: ManualClock) -> None:
    world.faults.add("media.delay", seconds=30)
    world.faults.add("list.delay", seconds=12)
    assert await phone.fetch(clip.path) == (200, clip.film())
    assert len(await phone.page()) == 12
    assert clock.sleeps == [30, 12]


async def test_no_answer_ever(phone: Phone, world: World, running: Running, clip: CloudClip) -> None:
    world.faults.add("media.hang")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(phone.fetch(clip.path), 0.1)
    assert await phone.fetch(clip.path) == (200, clip.film())
    assert [exchange.status for exchange in running.seen("GET", clip.path)] == [None, 200]


async def test_a_connection_may_end_without_an_answer(phone: Phone, world: World, clip: CloudClip) -> None:
    world.faults.add("media.drop", times=0)
    with pytest.raises(aiohttp.ClientConnectionError):
        await phone.fetch(clip.path)
    world.faults.clear()
    assert await phone.fetch(clip.path) == (200, clip.film())


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        ({"name": "token.status", "status": 500}, 500, b"Internal"),
        ({"name": "token.status", "status": 406}, 406, b"<html>"),
        ({"name": "token.invalid-grant"}, 400, b'"invalid_grant"'),
        ({"name": "token.html"}, 200, b"<html>"),
        ({"name": "signin.status", "status": 406}, 406, b"<html>"),
        ({"name": "signin.status", "status": 426}, 426, b"app update"),
        ({"name": "signin.status", "status": 429}, 429, b"Login limit exceeded"),
    ],
)
async def test_signing_in_can_go_wrong(stranger: Phone, world: World, fault: dict[str, Any], status: int, body: bytes) -> None:
    tokens = world.signins.sign_in(world.account)
    world.faults.add(fault.pop("name"), **fault)
    at, form = {
        "token": ("/oauth/token", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": "ios"}),
        "signin": ("/oauth/v2/signin", {"username": world.account.username}),
    }[world.faults.planned[0].place]
    async with stranger.http.post(stranger.url + at, data=form) as response:
        assert response.status == status
        assert body in await response.read()
    assert world.faults.fired


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("tier", "/api/v1/users/tier_info"),
        ("homescreen", "/api/v3/accounts/{account}/homescreen"),
        ("networks", "/networks"),
        ("thumbnail", "{thumbnail}"),
    ],
)
async def test_every_other_place_can_fail_too(phone: Phone, world: World, place: str, path: str) -> None:
    picture = world.account.add_clip(paths="v3").thumbnail_path
    path = path.format(account=world.account.id, thumbnail=picture)
    world.faults.add(f"{place}.status", status=502)
    assert (await phone.fetch(path))[0] == 502
    assert (await phone.fetch(path))[0] == 200


async def test_the_first_and_the_code_step_can_fail_too(stranger: Phone, world: World) -> None:
    world.faults.add("authorize.status", status=406)
    world.faults.add("verify.status", status=429)
    assert await stranger.begin() == 406
    assert await stranger.begin() == 200
    assert (await stranger.give_code("1"))[0] == 429


async def test_a_fault_waits_for_a_request_that_is_let_in(stranger: Phone, world: World, clip: CloudClip) -> None:
    world.faults.add("media.status", status=503)
    assert (await stranger.fetch(clip.path))[0] == 401
    assert not world.faults.fired
