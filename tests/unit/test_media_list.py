"""The cloud's list, read while it moves: nothing that was there all along is missed."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import cast

import pytest

from blinkarchive.blink import Client, Homescreen, MediaItem, MediaPage
from blinkarchive.blink.listing import pages as pages_of
from blinkarchive.clock import ManualClock
from blinkarchive.errors import ListingIncomplete, LoginNeeded, ServerTrouble, Throttled, TokenRevoked, UpdateRequired
from blinkarchive.interfaces import Batch, Body, Part, Unreadable
from blinkarchive.model import ClipId
from blinkarchive.pace import PACES, Pace
from blinkarchive.retry import Patience
from blinkarchive.sources.media_list import MediaList

START = datetime(2026, 5, 1, tzinfo=UTC)


def item(number: int, **facts: object) -> MediaItem:
    at = START + timedelta(minutes=number)
    words: dict[str, object] = {
        "id": 2**33 + number,
        "created_at": at,
        "updated_at": at + timedelta(seconds=30),
        "device_id": 5,
        "device_name": "Porch",
        "network_id": 6,
        "network_name": "Home",
        "source": "pir",
        "media": f"/api/v2/accounts/1/media/clip/{number}.mp4",
    }
    return MediaItem(**(words | facts))  # type: ignore[arg-type]  # facts of a test


class Cloud:
    """A media list, newest first, in pages computed at the moment of asking; `between` may change it before each."""

    def __init__(
        self, items: list[MediaItem], *, size: int = 25, between: Callable[["Cloud", int], None] = lambda *_: None
    ) -> None:
        self.items = items
        self.size = size
        self.between = between
        self.asked: list[int] = []
        self.malformed: dict[int, tuple[Unreadable, ...]] = {}
        self.opened: list[str] = []
        self.deleted: list[list[int]] = []
        self.homes = 0
        self.days: int | Exception | None = 30

    async def delete_media(self, clips: list[int]) -> None:
        self.deleted.append(list(clips))

    async def media_page(self, since: datetime, page: int) -> MediaPage:
        self.between(self, len(self.asked))
        self.asked.append(page)
        newest_first = sorted(self.items, key=lambda i: i.updated_at or i.created_at, reverse=True)
        shown = [i for i in newest_first if (i.updated_at or i.created_at) >= since]
        return MediaPage(
            limit=self.size,
            items=tuple(shown[(page - 1) * self.size : page * self.size]),
            malformed=self.malformed.get(page, ()),
        )

    async def homescreen(self) -> Homescreen:
        self.homes += 1
        if isinstance(self.days, Exception):
            raise self.days
        return Homescreen(networks=(), sync_modules=(), cameras=(), malformed=(), auto_delete_days=self.days)

    @asynccontextmanager
    async def media(self, path: str) -> AsyncIterator[Body]:
        self.opened.append(path)

        async def chunks() -> AsyncIterator[bytes]:
            yield b"film"

        yield Body(length=4, type="video/mp4", chunks=chunks())


def listing(cloud: Cloud) -> MediaList:
    clock = ManualClock()
    return MediaList("home", cast(Client, cloud), pace=Pace(PACES["unlimited"], clock), patience=Patience(), clock=clock)


async def read(cloud: Cloud, since: datetime = START) -> list[Batch]:
    return [batch async for batch in listing(cloud).discover(since)]


def parts(batches: list[Batch]) -> list[Part]:
    return [batch.part for batch in batches if batch.part]


def ids(batches: list[Batch]) -> list[int]:
    return [int(ref.clip.id.rpartition(":")[2]) - 2**33 for batch in batches for ref in batch.found]


@pytest.mark.parametrize("size", [1, 25, 500])
@pytest.mark.parametrize("number", [0, 1, 24, 25, 26, 51, 100])
async def test_every_page_is_read_to_the_end_with_two_requests_a_page_at_most(size: int, number: int) -> None:
    cloud = Cloud([item(n) for n in range(number)], size=size)
    assert sorted(ids(await read(cloud))) == list(range(number))
    pages = -(-number // size)
    full = bool(number) and number % size == 0
    assert len(cloud.asked) <= max(1, 2 * pages) + full, "one more when the last page is full"


@pytest.mark.parametrize("seed", range(300))
async def test_nothing_that_stays_is_missed_while_others_come_and_go(seed: int) -> None:
    rng = random.Random(seed)
    stay = {n for n in range(80) if rng.random() < 0.8}

    def between(cloud: Cloud, asked: int) -> None:
        if asked > 26:
            return
        if rng.random() < 0.4:
            going = [i for i in cloud.items if i.id - 2**33 not in stay]
            for gone in rng.sample(going, min(len(going), rng.randint(1, 6))):
                cloud.items.remove(gone)
        if rng.random() < 0.3:
            cloud.items.append(item(1000 + asked))

    cloud = Cloud([item(n) for n in range(80)], size=7, between=between)
    found = ids(await read(cloud))
    assert stay <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("number", [26, 51, 76])
async def test_what_slips_from_the_last_page_into_a_full_one_is_met(number: int) -> None:
    def between(cloud: Cloud, asked: int) -> None:
        if asked == (number - 1) // cloud.size:
            del cloud.items[-1]  # the newest goes; the oldest moves up, out of a page that will then be empty

    found = ids(await read(Cloud([item(n) for n in range(number)], between=between)))
    assert 0 in found


async def test_a_list_that_repeats_itself_for_ever_is_not_read_for_ever() -> None:
    cloud = Cloud([item(n) for n in range(10)], size=10)
    first = await cloud.media_page(START, 1)

    async def the_same(since: datetime, page: int) -> MediaPage:
        cloud.asked.append(page)
        return first

    cloud.media_page = the_same  # type: ignore[method-assign]  # the fault
    with pytest.raises(ListingIncomplete, match="repeats itself"):
        await read(cloud)
    assert len(cloud.asked) < 10


@pytest.mark.parametrize("number", [3, 14, 20, 25])
async def test_a_page_beyond_the_end_that_is_the_last_one_again_ends_the_list(number: int) -> None:
    cloud = Cloud([item(n) for n in range(number)], size=10)
    usual, pages = cloud.media_page, -(-number // 10)
    cloud.media_page = lambda since, page: usual(since, min(page, pages))  # type: ignore[method-assign]  # the fault
    assert sorted(ids(await read(cloud))) == list(range(number))
    assert [len(page.items) async for page in pages_of(partial(cloud.media_page, START))] == [
        min(10, number - before) for before in range(0, number, 10)
    ]


async def test_a_list_that_only_grows_at_its_top_is_not_read_again_and_again() -> None:
    cloud = Cloud([item(n) for n in range(50)], size=10, between=lambda cloud, asked: cloud.items.append(item(1000 + asked)))
    await read(cloud)
    assert len(cloud.asked) < 30, "down, up, and down once more"


async def test_a_list_that_never_comes_to_rest_is_called_incomplete() -> None:
    def between(cloud: Cloud, asked: int) -> None:
        if cloud.asked and cloud.asked[-1] == 2:
            del cloud.items[-1]

    cloud = Cloud([item(n) for n in range(60)], size=10, between=between)
    with pytest.raises(ListingIncomplete, match="changed each"):
        await read(cloud)


async def test_a_passing_fault_on_a_page_is_overcome() -> None:
    faults = {1: ServerTrouble("500"), 3: Throttled("slow down", retry_after=5)}

    def between(cloud: Cloud, asked: int) -> None:
        if fault := faults.pop(asked, None):
            raise fault

    cloud = Cloud([item(n) for n in range(60)], between=between)
    assert sorted(ids(await read(cloud))) == list(range(60))
    assert not faults


@pytest.mark.parametrize("page", [1, 2, 3, 4, 5, 6])
async def test_an_error_on_any_page_makes_the_listing_incomplete_and_keeps_what_came(page: int) -> None:
    def between(cloud: Cloud, asked: int) -> None:
        if asked >= page - 1:
            raise ServerTrouble("500", status=500)

    cloud = Cloud([item(n) for n in range(70)], between=between)
    got: list[Batch] = []
    with pytest.raises(ListingIncomplete, match="could not be read: 500"):
        async for batch in listing(cloud).discover(START):
            got.append(batch)
    assert len(ids(got)) == min(70, 25 * (page - 1))


@pytest.mark.parametrize("error", [TokenRevoked(), UpdateRequired()])
async def test_what_concerns_the_whole_account_keeps_its_own_name(error: LoginNeeded | UpdateRequired) -> None:
    def between(cloud: Cloud, asked: int) -> None:
        raise error

    with pytest.raises(type(error)):
        await read(Cloud([item(1)], between=between))


async def test_what_has_no_video_now_is_left_out_with_its_reason() -> None:
    cloud = Cloud([item(1), item(2, deleted=True), item(3, partial=True), item(4, media="")])
    batches = await read(cloud)
    assert ids(batches) == [1]
    reasons = {int(left.item) - 2**33: left.reason for batch in batches for left in batch.left_out}
    assert reasons == {2: "deleted", 3: "partial", 4: "no video"}


async def test_malformed_items_come_once_even_without_an_id() -> None:
    cloud = Cloud([item(n) for n in range(30)])
    bad = Unreadable(item="", reason="no id", raw='{"created_at":1}'), Unreadable(item="9", reason="no time", raw='{"id":9}')
    cloud.malformed = {1: bad, 2: bad}
    batches = await read(cloud)
    assert [each for batch in batches for each in batch.unreadable] == list(bad)
    assert len(ids(batches)) == 30


async def test_a_page_with_nothing_but_malformed_items_is_not_the_end() -> None:
    cloud = Cloud([item(n) for n in range(5)], size=5)
    cloud.malformed = {2: (Unreadable(item="1", reason="x", raw="{}"),)}
    cloud_asked = await read(cloud)
    assert 3 in cloud.asked
    assert len(ids(cloud_asked)) == 5


async def test_a_clip_carries_its_facts_and_its_way() -> None:
    cloud = Cloud([item(3, created_at=datetime(2026, 5, 1, 1, 2, 3, tzinfo=UTC))])
    [ref] = [ref for batch in await read(cloud) for ref in batch.found]
    assert ref.clip.id == f"cloud:home:{2**33 + 3}"
    assert (ref.clip.camera, ref.clip.camera_id, ref.clip.network, ref.clip.network_id) == ("Porch", "5", "Home", "6")
    assert ref.clip.recorded_at == datetime(2026, 5, 1, 1, 2, 3, tzinfo=UTC)
    async with ref.open() as body:
        assert [chunk async for chunk in body.chunks] == [b"film"]
    assert cloud.opened == ["/api/v2/accounts/1/media/clip/3.mp4"]


async def test_a_clip_is_deleted_by_its_own_number_and_alone() -> None:
    cloud = Cloud([item(3), item(4)])
    refs = {ref.clip.id: ref for batch in await read(cloud) for ref in batch.found}
    delete = refs[ClipId(f"cloud:home:{2**33 + 3}")].delete
    assert delete is not None
    await delete()
    assert cloud.deleted == [[2**33 + 3]]


CLOUD = Part(scope="cloud:home:", name="the cloud")


async def test_the_cloud_is_one_part_and_says_once_a_day_how_long_it_keeps_a_clip() -> None:
    cloud = Cloud([item(1)])
    assert parts(await read(cloud)) == [CLOUD]
    assert cloud.homes == 0
    assert parts(await read(cloud, datetime(1970, 1, 1, tzinfo=UTC))) == [replace(CLOUD, keeps=timedelta(days=30))]


@pytest.mark.parametrize("days", [None, UpdateRequired("no")])
async def test_how_long_a_clip_is_kept_may_stay_unknown(days: Exception | None) -> None:
    cloud = Cloud([item(1)])
    cloud.days = days
    assert parts(await read(cloud, datetime(1970, 1, 1, tzinfo=UTC))) == [CLOUD]


async def test_a_cloud_that_could_not_be_listed_says_why_and_how_long_to_leave_it_alone() -> None:
    def between(cloud: Cloud, asked: int) -> None:
        raise Throttled("slow down", retry_after=1800)

    told: list[Batch] = []
    with pytest.raises(ListingIncomplete) as raised:
        async for batch in listing(Cloud([item(1)], between=between)).discover(START):
            told.append(batch)  # what came before the failure counts
    assert [part.trouble for part in parts(told)] == [str(raised.value)]
    assert raised.value.retry_after == 1800
