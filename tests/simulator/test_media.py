"""The media list and what is behind its items."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from blinkarchive.clock import ManualClock
from blinkarchive.simulator import CloudClip, World
from tests.simulator.phone import Phone


def ids(items: list[dict[str, object]]) -> list[object]:
    return [item["id"] for item in items]


async def test_the_list_shows_every_clip_newest_first(phone: Phone, world: World) -> None:
    items = await phone.everything()
    assert len(items) == 12
    assert ids(items) == [clip.id for clip in world.account.clips]
    times = [item["created_at"] for item in items]
    assert times == sorted(times, reverse=True)


async def test_an_item_has_the_members_of_a_real_one(phone: Phone, world: World) -> None:
    item, clip = (await phone.page())[0], world.account.clips[0]
    assert set(item) == {
        *("id", "created_at", "updated_at", "deleted", "device", "device_id", "device_name", "network_id", "network_name"),
        *("type", "source", "partial", "watched", "thumbnail", "media", "metadata", "additional_devices", "time_zone"),
    }
    assert item["id"] > 2**31
    assert (item["device_id"], item["device_name"]) == (clip.camera.id, clip.camera.name)
    assert (item["network_id"], item["network_name"]) == (clip.camera.network.id, clip.camera.network.name)
    assert item["created_at"] == clip.created_at.isoformat()
    assert item["updated_at"] > item["created_at"]
    assert (item["deleted"], item["partial"], item["watched"]) == (False, False, False)


async def test_the_page_says_how_long_it_may_be_and_ends_with_an_empty_one(phone: Phone, world: World) -> None:
    world.rules.page_size = 5
    _, body = await phone.ask("GET", f"/api/v2/accounts/{world.account.id}/media/changed", params={"page": "1"})
    assert (body["limit"], body["refresh_count"], len(body["media"])) == (5, 0, 5)
    assert body["purge_id"] < body["media"][0]["id"]
    assert [len(await phone.page(number)) for number in (0, 1, 2, 3, 4)] == [5, 5, 5, 2, 0]
    assert await phone.page(0) == await phone.page(1)


async def test_a_shuffled_list_is_whole_and_the_same_each_time(phone: Phone, world: World) -> None:
    world.rules.order, world.rules.page_size = "shuffled", 5
    first, second = ids(await phone.everything()), ids(await phone.everything())
    assert first == second
    assert first != sorted(first, key=str, reverse=True)
    assert set(first) == {clip.id for clip in world.account.clips}


async def test_pages_are_live_so_a_new_clip_shifts_the_next_page(phone: Phone, world: World) -> None:
    world.rules.page_size = 5
    first = await phone.page(1)
    world.account.add_clip(size=8_000)
    second = await phone.page(2)
    assert first[-1]["id"] == second[0]["id"]


async def test_since_selects_by_the_last_change_not_by_the_recording(phone: Phone, world: World, clock: ManualClock) -> None:
    old = world.account.clips[-1]
    now = clock.now().isoformat().replace("+00:00", "Z")
    assert await phone.page(since=now) == []
    world.account.change(old, watched=True)
    (item,) = await phone.page(since=now)
    assert (item["id"], item["watched"], item["created_at"]) == (old.id, True, old.created_at.isoformat())


async def test_since_is_inclusive(phone: Phone, world: World) -> None:
    newest = max(clip.updated_at for clip in world.account.clips)
    assert len(await phone.page(since=f"{newest:%Y-%m-%dT%H:%M:%SZ}")) == 1
    assert len(await phone.page(since=f"{newest + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}")) == 0


@pytest.mark.parametrize(
    "form",
    ["{0:%Y-%m-%dT%H:%M:%S}+0000", "{0:%Y-%m-%dT%H:%M:%S}+00:00", "{0:%Y-%m-%dT%H:%M:%S}.000Z", "{0:%Y-%m-%dT%H:%M:%S}Z"],
)
@pytest.mark.parametrize("escaped", [True, False])
async def test_since_is_understood_in_every_form_that_clients_send(phone: Phone, world: World, form: str, escaped: bool) -> None:
    since = form.format(sorted(clip.updated_at for clip in world.account.clips)[-3])
    plus = "%2B" if escaped else "+"  # a bare one reaches the server as a space
    path = f"/api/v1/accounts/{world.account.id}/media/changed?page=1&since={since.replace('+', plus)}"
    status, body = await phone.ask("GET", path)
    assert (status, len(body["media"])) == (200, 3)


@pytest.mark.parametrize(
    "query", ["since=yesterday&page=1", "since=1970-01-01T00:00:00Z&page=one", "page=-1", "page=" + "9" * 5000]
)
async def test_a_query_that_makes_no_sense_is_refused(phone: Phone, world: World, query: str) -> None:
    assert (await phone.ask("GET", f"/api/v1/accounts/{world.account.id}/media/changed?{query}"))[0] == 400


async def test_every_film_and_picture_is_where_the_list_says(phone: Phone, world: World) -> None:
    families = set()
    for item in await phone.everything():
        clip = world.account.clip(item["id"])
        assert clip is not None
        families.add(clip.paths)
        assert await phone.fetch(item["media"]) == (200, clip.film())
        assert len(clip.film()) == clip.take.size
        suffix = "" if clip.paths == "v3" else ".jpg"
        status, picture = await phone.fetch(item["thumbnail"] + suffix)
        assert (status, picture[:2], picture[-2:]) == (200, b"\xff\xd8", b"\xff\xd9")
    assert families == {"v2", "v3"}


async def test_a_film_comes_with_its_length_and_type(phone: Phone, world: World) -> None:
    clip = world.account.clips[0]
    async with phone.http.get(phone.url + clip.path, headers=phone.bearer) as response:
        assert response.content_length == clip.take.size
        assert response.content_type == "video/mp4"


async def test_films_can_be_fetched_again_and_at_the_same_time_on_few_connections(phone: Phone, world: World) -> None:
    for clip in world.account.clips * 2:
        assert await phone.fetch(clip.path) == (200, clip.film())


async def test_a_deleted_clip_stays_listed_and_has_no_film(phone: Phone, world: World) -> None:
    clip = world.account.clips[0]
    world.account.change(clip, deleted=True)
    assert (await phone.page())[0]["deleted"] is True
    assert await phone.ask("GET", clip.path) == (404, {"message": "Media not found", "code": 700})


async def test_a_clip_that_is_gone_is_neither_listed_nor_found(phone: Phone, world: World) -> None:
    clip = world.account.clips[0]
    world.account.remove_clip(clip)
    assert clip.id not in ids(await phone.everything())
    assert (await phone.ask("GET", clip.path))[0] == 404


async def test_a_partial_clip_is_a_beginning_until_it_is_finished(phone: Phone, world: World) -> None:
    clip = world.account.add_clip(size=9_000, partial=True)
    assert (await phone.page())[0]["partial"] is True
    assert await phone.fetch(clip.path) == (200, clip.film()[:4_500])
    world.account.change(clip, partial=False)
    assert await phone.fetch(clip.path) == (200, clip.film())


async def test_an_event_without_a_film(phone: Phone, world: World) -> None:
    clip = world.account.add_clip(video=False)
    item = (await phone.page())[0]
    assert (item["media"], item["thumbnail"]) == ("", "")
    assert (await phone.ask("GET", clip.path))[0] == 404


async def test_a_clip_can_be_listed_late(phone: Phone, world: World, clock: ManualClock) -> None:
    clip = world.account.add_clip(created_at=clock.now() - timedelta(days=2), updated_at=clock.now())
    assert ids(await phone.page(since="2026-01-02T00:00:00Z")) == [clip.id]
    assert (await phone.page())[0]["id"] != clip.id


async def test_items_can_be_anything_the_test_wants(phone: Phone, world: World) -> None:
    world.account.add_clip(extra={"id": "a text", "size": 12, "mood": {"good": True}})
    world.account.add_clip(instead=["not", "an", "object"])
    world.account.add_clip(media_path="//evil.example/clip.mp4")
    hostile, strange, odd = (await phone.page())[:3]
    assert hostile["media"] == "//evil.example/clip.mp4"
    assert json.dumps(strange) == '["not", "an", "object"]'
    assert (odd["id"], odd["size"], odd["mood"]) == ("a text", 12, {"good": True})


async def test_a_clip_asked_for_under_the_wrong_type_is_refused(phone: Phone, world: World) -> None:
    clip = world.account.add_clip(paths="v3")
    assert (await phone.ask("GET", clip.path.replace("/catalina/", "/owl/")))[1]["code"] == 1630


async def test_fetching_marks_as_watched_only_where_the_rules_say_so(phone: Phone, world: World, clock: ManualClock) -> None:
    first, second = world.account.clips[:2]
    await phone.fetch(first.path)
    world.rules.fetching_watches = True
    await phone.fetch(second.path)
    assert (first.watched, second.watched) == (False, True)
    assert second.updated_at == clock.now()


async def test_a_film_needs_a_token(stranger: Phone, world: World) -> None:
    assert (await stranger.ask("GET", world.account.clips[0].path))[0] == 401
    assert (await stranger.ask("GET", world.account.clips[0].path.replace("clip", "thumb")))[0] in (401, 404)


async def test_latency_and_bandwidth_take_the_time_they_should(phone: Phone, world: World, clock: ManualClock) -> None:
    world.rules.latency, world.rules.bandwidth = 0.05, 100_000
    clip = world.account.add_clip(size=50_000)
    before = clock.monotonic()
    assert await phone.fetch(clip.path) == (200, clip.film())
    assert clock.monotonic() - before == pytest.approx(0.05 + 0.5)
    assert len(clock.sleeps) < 50


def test_the_same_seed_makes_the_same_world_and_another_one_another() -> None:
    def facts(seed: int) -> list[tuple[int, datetime, int, str]]:
        world = World.from_seed(seed, clips=30, cameras=4, networks=2)
        return [(clip.id, clip.created_at, clip.take.size, clip.path) for clip in world.account.clips]

    assert facts(1) == facts(1)
    assert facts(1) != facts(2)


async def test_what_a_client_deletes_stays_listed_without_a_film(phone: Phone, world: World) -> None:
    clip, other = world.account.clips[:2]
    path = f"/api/v1/accounts/{world.account.id}/media/delete"
    assert await phone.ask("POST", path, json={"media_list": [clip.id, 1]}) == (
        200,
        {"message": "Successfully deleted media", "code": 711},
    )
    listed = {item["id"]: item for item in await phone.everything()}
    assert (listed[clip.id]["deleted"], listed[other.id]["deleted"]) == (True, False)
    assert listed[clip.id]["updated_at"] > listed[clip.id]["created_at"]
    assert (await phone.fetch(clip.path))[0] == 404
    newer = f"/api/v4/accounts/{world.account.id}/media/{other.id}/delete"
    assert (await phone.ask("DELETE", newer))[0] == 200
    assert other.deleted


@pytest.mark.parametrize("body", [{"media_ids": [1]}, {"media_list": 1}, {"media_list": ["1"]}, [], None])
async def test_a_list_of_clips_in_another_form_is_refused(phone: Phone, world: World, body: object) -> None:
    path = f"/api/v1/accounts/{world.account.id}/media/delete"
    assert await phone.ask("POST", path, json=body) == (400, {"message": "Invalid Media List Format", "code": 706})


async def test_a_deletion_may_be_nothing_but_words(phone: Phone, world: World) -> None:
    clip = world.account.clips[0]
    world.faults.add("delete.lie", clip=clip.id)
    path = f"/api/v1/accounts/{world.account.id}/media/delete"
    assert (await phone.ask("POST", path, json={"media_list": [clip.id]}))[1]["code"] == 711
    assert not clip.deleted
    await phone.ask("POST", path, json={"media_list": [clip.id]})
    assert clip.deleted


async def test_the_newer_list_goes_on_by_keys_and_leaves_out_what_is_deleted(phone: Phone, world: World) -> None:
    world.rules.page_size = 5
    clips = world.account.clips
    world.account.change(clips[0], deleted=True)
    clips[1].video = False
    listed: list[dict[str, object]] = []
    key = ""
    while True:
        query = {"start_time": clips[10].created_at.isoformat(), "pagination_key": key}
        _, body = await phone.ask("POST", f"/api/v4/accounts/{world.account.id}/media", params=query, json={})
        listed += body["media"]
        if "pagination_key" not in body:
            break
        key = str(body["pagination_key"])
    assert ids(listed) == [clip.id for clip in clips[1:11]]
    assert (listed[0]["type"], listed[0]["no_media_reason"]) == ("event", "no_subscription")
    assert (listed[1]["type"], listed[1]["event_type"]) == ("video", clips[2].source)


async def test_what_is_marked_as_viewed_comes_back_in_the_list(phone: Phone, world: World) -> None:
    account, clip = world.account, world.account.clips[5]
    now = world.clock.now().isoformat().replace("+00:00", "Z")
    assert await phone.everything(since=now) == []
    await phone.ask("POST", f"/api/v4/accounts/{account.id}/media/mark_as_viewed", json={"media_list": [clip.id]})
    assert ids(await phone.everything(since=now)) == [clip.id]
    assert (await phone.ask("GET", f"/api/v4/accounts/{account.id}/unwatched_media"))[1] == {"unwatched_clips": 11}
    await phone.ask("POST", f"/api/v4/accounts/{account.id}/media/mark_all_as_viewed")
    assert (await phone.ask("GET", f"/api/v4/accounts/{account.id}/unwatched_media"))[1] == {"unwatched_clips": 0}


async def test_a_clip_that_is_still_written_is_whole_later_and_comes_back(phone: Phone, world: World, clock: ManualClock) -> None:
    world.rules.partial_for = 20
    began = clock.now().isoformat().replace("+00:00", "Z")
    clip = world.account.record(world.account.cameras[0], clock.now())
    assert isinstance(clip, CloudClip)
    [item] = await phone.everything(since=began)
    assert (item["id"], item["partial"]) == (clip.id, True)
    assert len((await phone.fetch(item["media"]))[1]) == clip.take.size // 2
    clock.advance(20)
    later = clock.now().isoformat().replace("+00:00", "Z")
    [item] = await phone.everything(since=later)
    assert (item["id"], item["partial"]) == (clip.id, False)
    assert await phone.fetch(item["media"]) == (200, clip.film())
