"""When Blink retires an endpoint, the newer one takes its place: every device is still found, and every clip."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from blinkarchive.blink import Blink, Client, Endpoints
from blinkarchive.clock import ManualClock
from blinkarchive.errors import ServerTrouble, SourceError, Throttled, UpdateRequired
from blinkarchive.interfaces import Batch
from blinkarchive.pace import PACES, Pace
from blinkarchive.retry import Patience
from blinkarchive.secret import Secret
from blinkarchive.simulator import Running, World
from blinkarchive.sources.media_list import MediaList
from tests.blink.cloud import ACCOUNT, Cloud, Reply, Seen, as_json, serving
from tests.blink.conftest import OWNER, PASSWORD
from tests.library.conftest import Signing, camera

EVER = datetime(1970, 1, 1, tzinfo=UTC)
RETIRED: tuple[Literal[404, 410, 426], ...] = (404, 410, 426)


@pytest.fixture(params=RETIRED)
def retired(world: World, request: pytest.FixtureRequest) -> None:
    world.rules.older_endpoints = request.param


def listing(client: Client, clock: ManualClock) -> MediaList:
    return MediaList("home", client, pace=Pace(PACES["unlimited"], clock), patience=Patience(), clock=clock)


def ids(batches: list[Batch]) -> list[int]:
    return [int(ref.clip.id.rpartition(":")[2]) for batch in batches for ref in batch.found]


@pytest.mark.usefixtures("retired")
async def test_a_house_starts_and_refreshes_with_the_newer_endpoints(
    signing: Signing, world: World, cloud: Running, clock: ManualClock
) -> None:
    world.account.second_factor = "none"
    blink = Blink(auth=signing())
    async with blink:
        assert await blink.start()
        assert len(blink.cameras) == 7
        new = world.account.add_clip(camera(world, "Bell"), created_at=clock.now())
        clock.advance(60)
        assert await blink.refresh()
        assert blink.cameras["Bell"].last_record == new.created_at.isoformat()
        assert blink.cameras["Bell"].video_from_cache == new.film()
        assert blink.cameras["Bell"].motion_detected
    assert len(cloud.seen("GET", "/api/v3/accounts")) == 1, "a retired endpoint is not asked again"
    assert len(cloud.seen("GET", "/media/changed")) == 1


@pytest.mark.usefixtures("retired")
@pytest.mark.parametrize("size", [1, 7, 20, 500])
async def test_every_clip_is_downloaded_by_the_newer_list(signing: Signing, world: World, tmp_path: Path, size: int) -> None:
    world.account.second_factor = "none"
    world.rules.page_size = size
    async with Blink(auth=signing()) as blink:
        await blink.start()
        done = await blink.download_videos(tmp_path, delay=0, stop=None)
    assert (len(done.files), done.failed, done.cut_off) == (20, {}, False)
    assert {path.read_bytes() for path in done.files} == {clip.film() for clip in world.account.clips}


async def test_the_newer_list_has_at_most_200_clips_on_a_page(client: Client, world: World) -> None:
    world.rules.older_endpoints = 426
    for _ in range(231):
        world.account.add_clip(size=8_000)
    pages = [len((await client.media_page(EVER, number)).items) for number in (1, 2, 3)]
    assert pages == [200, 51, 0]


@pytest.mark.usefixtures("retired")
async def test_an_archive_lists_and_deletes_with_the_newer_endpoints(client: Client, world: World, clock: ManualClock) -> None:
    world.rules.page_size = 6
    clips = world.account.clips
    clips[3].video = False
    batches = [batch async for batch in listing(client, clock).discover(EVER)]
    assert sorted(ids(batches)) == sorted(clip.id for clip in clips if clip.video)
    assert [out.reason for batch in batches for out in batch.left_out] == ["no video"]
    ref = next(ref for batch in batches for ref in batch.found if ref.clip.id.endswith(str(clips[0].id)))
    async with ref.open() as body:
        assert b"".join([chunk async for chunk in body.chunks]) == clips[0].film()
    assert ref.delete is not None
    await ref.delete()
    assert clips[0].deleted


async def test_nothing_is_missed_when_the_older_list_is_retired_in_the_middle(
    client: Client, world: World, clock: ManualClock
) -> None:
    world.rules.page_size = 3
    found: list[Batch] = []
    async for batch in listing(client, clock).discover(EVER):
        found.append(batch)
        if len(found) == 3:
            world.rules.older_endpoints = 410
            world.rules.page_size = 4
    assert sorted(ids(found)) == sorted(clip.id for clip in world.account.clips)


async def test_nothing_is_missed_while_clips_come_and_go_in_the_newer_list(
    client: Client, world: World, clock: ManualClock
) -> None:
    world.rules.older_endpoints, world.rules.page_size = 426, 3
    there = {clip.id for clip in world.account.clips}
    world.faults.add("list.insert", times=3, skip=2)
    world.faults.add("list.delete", times=3, skip=4)
    found = ids([batch async for batch in listing(client, clock).discover(EVER)])
    assert there & {clip.id for clip in world.account.clips} <= set(found)
    assert len(found) == len(set(found))


async def test_the_newer_list_is_of_what_was_recorded_since_a_time(client: Client, world: World) -> None:
    world.rules.older_endpoints = 404
    clips = world.account.clips
    page = await client.media_page(clips[4].created_at + timedelta(seconds=1) - timedelta(seconds=1), 1)
    assert [item.id for item in page.items] == [clip.id for clip in clips[:5]]


async def test_two_listings_at_once_do_not_mix_their_pages(client: Client, world: World) -> None:
    world.rules.older_endpoints, world.rules.page_size = 426, 4
    clips = [clip.id for clip in world.account.clips]
    late = world.account.clips[11].created_at
    read: dict[datetime, list[int]] = {EVER: [], late: []}
    for number in range(1, 7):
        for since, seen in read.items():
            seen += [item.id for item in (await client.media_page(since, number)).items]
        assert (await client.media_page(EVER, 1)).items[0].id == clips[0], "a third one, from the beginning"
    assert read == {EVER: clips, late: clips[:12]}


async def test_the_descriptions_of_the_newer_list_are_kept(client: Client, world: World, clock: ManualClock) -> None:
    world.rules.older_endpoints = 426
    world.account.clips[0].analysis = {
        "ai_vd": {"full_description": "A person walks to the door.", "short_description": "A person."},
        "cv_detection": ["person", "package"],
    }
    world.account.clips[1].analysis = {"ai_vd": {"short_description": "A cat."}, "cv_detection": [5]}
    world.account.clips[2].analysis = {"ai_vd": "none", "cv_detection": None}
    items = (await client.media_page(EVER, 1)).items
    assert [item.description for item in items[:4]] == ["A person walks to the door.", "A cat.", "", ""]
    assert [item.detections for item in items[:4]] == [("person", "package"), (), (), ()]


@pytest.mark.parametrize("status", RETIRED)
async def test_when_both_are_retired_the_error_is_that_of_the_older(client: Client, world: World, status: int) -> None:
    world.faults.add("homescreen.status", status=status, times=0)
    world.faults.add("list.status", status=status, times=0)
    for call in (client.homescreen, lambda: client.media_page(EVER, 1)):
        with pytest.raises(SourceError) as failure:
            await call()
        assert failure.value.status == status
        assert isinstance(failure.value, UpdateRequired) is (status == 426)
    world.faults.clear()
    assert len((await client.homescreen()).cameras) == 7, "the older one is asked again"


async def test_a_newer_endpoint_in_trouble_is_told_as_that(client: Client, world: World) -> None:
    world.rules.older_endpoints = 426
    world.faults.add("homescreen.status", status=429)
    with pytest.raises(Throttled):
        await client.homescreen()
    assert len((await client.homescreen()).cameras) == 7


@pytest.mark.parametrize("status", [401, 403, 406, 429, 500])
async def test_no_other_answer_stands_for_a_retired_endpoint(client: Client, world: World, cloud: Running, status: int) -> None:
    world.faults.add("homescreen.status", status=status, times=0)
    with pytest.raises(SourceError):
        await client.homescreen()
    assert cloud.seen("GET", "/api/v4/") == []


# The keys of the newer list, whatever a server makes of them


@pytest.fixture
async def scripted() -> AsyncIterator[Cloud]:
    cloud = Cloud()
    async with serving(cloud):
        yield cloud


def item(number: int) -> dict[str, object]:
    return {"id": number, "created_at": "2026-06-30T10:00:00+00:00", "media": f"/api/v2/accounts/1/media/clip/{number}.mp4"}


def page(numbers: list[int], key: object = None) -> dict[str, object]:
    return {"media": [item(number) for number in numbers], "pagination_key": key}


Answer = Callable[[str], dict[str, object]]


async def read(cloud: Cloud, tmp_path: Path, answer: Answer, most: int = 12) -> list[int]:
    """The ids on all pages of a newer list that answers so, by the key it is asked with."""

    def asked(request: Seen) -> Reply:
        assert json.loads(request.body) == {"filters": {}}
        assert "start_time=1970-01-01T00:00:00Z" in request.target
        return as_json(answer(request.target.partition("&pagination_key=")[2]))

    cloud.routes[f"/api/v1/accounts/{ACCOUNT}/media/changed"] = as_json({"message": "An app update is required"}, 426)
    cloud.routes[f"POST /api/v4/accounts/{ACCOUNT}/media"] = cloud.guarded(asked)
    servers = Endpoints.of(api_url=cloud.url, oauth_url=cloud.url)
    async with Client.open(tmp_path / "home.json", servers=servers) as client:
        await client.sign_in(OWNER, Secret(PASSWORD.reveal()))
        found: list[int] = []
        for number in range(1, most):
            items = (await client.media_page(EVER, number)).items
            if not items:
                return found
            found += [each.id for each in items]
        raise AssertionError("it never ends")


async def test_a_key_that_is_repeated_is_the_end_of_the_list(scripted: Cloud, tmp_path: Path) -> None:
    pages = {"": page([9, 8], "a/b+c"), "a%2Fb%2Bc": page([7], "a/b+c")}
    assert await read(scripted, tmp_path, lambda key: pages[key]) == [9, 8, 7]


async def test_pages_without_items_are_not_the_end_while_they_name_a_next_one(scripted: Cloud, tmp_path: Path) -> None:
    pages = {"": page([], 1), "1": page([9], 2), "2": page([], 3), "3": page([], 4), "4": page([8]), "5": page([])}
    assert await read(scripted, tmp_path, lambda key: pages[key]) == [9, 8]


@pytest.mark.parametrize("key", [{"a": 1}, [1], True, 1.5, "k" * 2000, "a\nb"], ids=str)
async def test_a_key_that_cannot_be_one_is_not_taken_for_the_end(scripted: Cloud, tmp_path: Path, key: Any) -> None:
    with pytest.raises(ServerTrouble, match="pagination_key"):
        await read(scripted, tmp_path, lambda _: page([9], key))


async def test_keys_that_lead_in_a_circle_or_on_for_ever_are_an_error(scripted: Cloud, tmp_path: Path) -> None:
    circle = {"": page([9], "a"), "a": page([8], "b"), "b": page([7], "a")}
    with pytest.raises(ServerTrouble, match="earlier"):
        await read(scripted, tmp_path, lambda key: circle[key])
    with pytest.raises(ServerTrouble, match="hold nothing"):
        await read(scripted, tmp_path, lambda key: page([], int(key or 0) + 1))
