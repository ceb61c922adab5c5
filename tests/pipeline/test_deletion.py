"""What is deleted at its source: only what every sink has just proved to hold, and gone only when a listing shows it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from blinkarchive import ClipId, Key, SinkName, SinkUnavailable, SourceName, Stored
from blinkarchive.errors import (
    ArchiveError,
    Busy,
    ClipGone,
    CommandFailed,
    CommandUnfinished,
    ListingIncomplete,
    ModuleAway,
    ServerTrouble,
    SourceError,
    Throttled,
    TokenRevoked,
    Unreachable,
)
from blinkarchive.index import Deletion
from blinkarchive.interfaces import Batch, ClipRef, LeftOut, Part, Unreadable
from blinkarchive.model import RunReport, State
from blinkarchive.pipeline.archive import Ask
from blinkarchive.pipeline.deletion import Rule
from blinkarchive.pipeline.lane import MARKER
from tests.pipeline.fakes import MemorySink, clip, film, found
from tests.pipeline.test_archive import House, Listing

CLOUD = SourceName.CLOUD
DAY = 86400
WEEK = 7 * DAY
NAS = SinkName("nas")


@dataclass
class Cloud:
    """A cloud that can delete, and judges every deletion it is asked for."""

    house: House
    numbers: list[int] = field(default_factory=list)
    #: Every clip that it was asked to delete, in order.
    asked: list[int] = field(default_factory=list)
    #: Those of them that not every sink held at that moment.
    unjustified: list[int] = field(default_factory=list)
    #: What it says in place of doing it, by clip.
    errors: dict[int, BaseException] = field(default_factory=dict)
    #: Clips it says are deleted, and keeps.
    lies: set[int] = field(default_factory=set)
    #: What the index knew at that moment.
    intents: list[list[Deletion]] = field(default_factory=list)

    def ref(self, number: int) -> ClipRef:
        async def delete() -> None:
            self.asked.append(number)
            if any(film(number) not in sink.clips for sink in self.house.sinks.values()):
                self.unjustified.append(number)
            async with self.house.index(read_only=True) as index:
                self.intents.append(await index.open_deletions("home", CLOUD))
            if number in self.errors:
                raise self.errors[number]
            if number not in self.lies:
                self.numbers.remove(number)

        return replace(found(number), delete=delete)

    def listing(self, **how: object) -> Listing:
        return Listing(*(self.ref(number) for number in self.numbers), **how)  # type: ignore[arg-type]  # as a listing takes it

    async def run(self, ask: Ask | None = None) -> RunReport:
        return await self.house.run(self.listing(), ask=ask)


@pytest.fixture
def house(tmp_path: Path) -> House:
    sinks = {"nas": MemorySink(), "offsite": MemorySink()}
    return House(tmp_path, sinks=sinks, rules={CLOUD: Rule()})


@pytest.fixture
async def cloud(house: House) -> AsyncIterator[Cloud]:
    """Five clips that were archived more than a week ago."""
    made = Cloud(house, list(range(5)))
    report = await made.run()
    assert (report.total.stored, report.deleted, made.asked) == (5, 0, [])
    house.clock.advance(WEEK + 60)
    yield made
    assert made.unjustified == [], "every deletion was of a clip that every sink held"


async def deletions(house: House) -> list[Deletion]:
    async with house.index() as index:
        return [deletion async for deletion in index.deletions()]


async def confirmed(house: House) -> list[ClipId]:
    return [deletion.clip.id for deletion in await deletions(house) if deletion.confirmed_at is not None]


def troubles(report: RunReport) -> str:
    return "\n".join(f"{trouble.where}: {trouble.what}" for trouble in report.troubles)


def key_of(sink: MemorySink, number: int) -> Key:
    return next(key for key, data in sink.objects.items() if data == film(number))


# When


async def test_unless_the_owner_asks_for_it_nothing_is_deleted(house: House, cloud: Cloud) -> None:
    house.rules = {}
    report = await cloud.run()
    assert (report.deleted, cloud.asked, await deletions(house)) == (0, [], [])


async def test_what_trusted_has_held_for_its_grace_is_deleted_oldest_first(house: House, cloud: Cloud) -> None:
    report = await cloud.run()
    assert cloud.asked == [0, 1, 2, 3, 4]
    assert cloud.numbers == []
    assert (report.deleted, report.deletions_failed, report.deletions_confirmed) == (5, 0, 0)
    assert report.troubles == ()
    assert report.total.adds_up


async def test_another_sources_rule_is_not_this_ones(house: House, cloud: Cloud) -> None:
    house.rules = {SourceName.SYNC_MODULE: Rule(grace=timedelta(0))}
    assert (await cloud.run()).deleted == 0


async def test_within_the_grace_of_the_last_copy_nothing_is_deleted(house: House, cloud: Cloud) -> None:
    house.sinks["new"] = MemorySink()
    assert (await cloud.run()).deleted == 0
    assert len(house.sinks["new"].clips) == 5
    house.clock.advance(WEEK - 1)
    assert (await cloud.run()).deleted == 0
    house.clock.advance(2 * DAY)
    assert (await cloud.run()).deleted == 5


async def test_a_grace_longer_than_all_calendars_is_never_over(house: House, cloud: Cloud) -> None:
    house.rules = {CLOUD: Rule(grace=timedelta(days=99_999_999))}
    assert (await cloud.run()).deleted == 0


async def test_a_run_deletes_no_more_than_the_limit(house: House, cloud: Cloud) -> None:
    house.rules = {CLOUD: Rule(limit=2)}
    assert (await cloud.run()).deleted == 2
    assert cloud.asked == [0, 1]
    house.clock.advance(DAY)
    await cloud.run()
    assert cloud.asked == [0, 1, 2, 3]


async def test_the_limit_is_each_accounts_own_and_keeps_the_oldest_of_many_pages(house: House) -> None:
    mine, other = Cloud(house, list(range(100, 200))), Cloud(house, list(range(50)))
    random.Random(1).shuffle(mine.numbers)
    other_refs = [replace(other.ref(n), clip=replace(clip(n, account="cabin"))) for n in other.numbers]
    house.rules = {CLOUD: Rule(limit=7)}
    for _ in range(2):
        await house.run(mine.listing(size=9), Listing(*other_refs, account="cabin"))
        house.clock.advance(WEEK + 1)
    assert (mine.asked, other.asked) == (list(range(100, 107)), list(range(7)))


@pytest.mark.parametrize(("cameras", "expected"), [(("Door",), {1}), (("7",), {1}), (("door",), set()), (("Porch", "x"), {0, 2})])
async def test_only_clips_of_wanted_cameras_are_deleted(house: House, cameras: tuple[str, ...], expected: set[int]) -> None:
    cloud = Cloud(house, [0, 1, 2])
    refs = [cloud.ref(number) for number in cloud.numbers]
    refs[1] = replace(refs[1], clip=replace(refs[1].clip, camera="Door", camera_id="7"))
    house.rules = {CLOUD: Rule(cameras=cameras)}
    for _ in range(2):
        await house.run(Listing(*refs))
        house.clock.advance(WEEK + 1)
    assert set(cloud.asked) == expected


@pytest.mark.parametrize(
    "ask",
    [
        Ask(since=clip(0).recorded_at - timedelta(days=1)),
        Ask(until=clip(0).recorded_at + timedelta(days=9)),
        Ask(cameras=("Porch",)),
        Ask(sinks=(NAS,)),
        Ask(dry_run=True),
    ],
)
async def test_a_run_that_is_not_for_everything_deletes_nothing(house: House, cloud: Cloud, ask: Ask) -> None:
    report = await cloud.run(ask)
    assert (report.deleted, cloud.asked, await deletions(house)) == (0, [], [])


async def test_a_source_whose_listing_broke_off_loses_nothing_and_another_does(house: House, cloud: Cloud) -> None:
    other = Cloud(house, [7])
    ref = replace(other.ref(7), clip=replace(clip(7, account="cabin")))
    await house.run(Listing(ref, account="cabin"))
    house.clock.advance(WEEK + 1)
    await house.run(cloud.listing(error=ListingIncomplete("page 9: 500")), Listing(ref, account="cabin"))
    assert (cloud.asked, other.asked) == ([], [7])


async def test_a_clip_that_was_not_listed_now_is_not_deleted(house: House, cloud: Cloud) -> None:
    await house.run(Listing(cloud.ref(3)))
    assert cloud.asked == [3]


async def test_what_the_source_cannot_delete_is_left_alone(house: House, cloud: Cloud) -> None:
    refs = [cloud.ref(0), replace(cloud.ref(1), delete=None)]
    await house.run(Listing(*refs))
    assert cloud.asked == [0]
    assert [deletion.clip.id for deletion in await deletions(house)] == [clip(0).id]


async def test_what_another_run_has_in_hand_is_left_alone(house: House, cloud: Cloud) -> None:
    house.in_hand = {clip(0).id}
    await cloud.run()
    assert cloud.asked == [1, 2, 3, 4]


# What is verified


async def test_a_lost_copy_keeps_its_clip_and_is_put_there_again(house: House, cloud: Cloud) -> None:
    nas = house.sinks["nas"]
    del nas.objects[key_of(nas, 2)]
    report = await cloud.run()
    assert cloud.asked == [0, 1, 3, 4]
    assert (report.deleted, report.deletions_failed) == (4, 1)
    assert "sink nas has lost it" in troubles(report)
    state, _, reason = await house.state(clip(2).id)
    assert state is State.PENDING
    assert "was not there" in reason
    await cloud.run()
    assert film(2) in nas.clips
    house.clock.advance(WEEK + 1)
    await cloud.run()
    assert cloud.asked == [0, 1, 3, 4, 2]


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("longer", [True, False])
async def test_a_copy_of_other_bytes_keeps_its_clip(house: House, cloud: Cloud, tells: bool, longer: bool) -> None:
    sink = house.sinks["offsite"]
    key = key_of(sink, 0)
    sink.objects[key] = sink.objects[key][:-1] + (b"xx" if longer else b"x")
    if not tells:

        async def stat(key: Key) -> Stored | None:
            return Stored(key=key, size=len(sink.objects[key])) if key in sink.objects else None

        sink.stat = stat  # type: ignore[method-assign]  # a sink that knows no hashes
    report = await cloud.run()
    assert cloud.asked == [1, 2, 3, 4]
    assert f"sink offsite holds a damaged copy, {key}" in troubles(report)
    assert (await house.state(clip(0).id, "offsite"))[0] is State.PENDING


async def test_a_hash_that_only_repeats_ours_lets_nothing_be_deleted(house: House, cloud: Cloud) -> None:
    sink = house.sinks["offsite"]
    damaged, truth = key_of(sink, 0), await sink.stat(key_of(sink, 0))
    whole = sink.stat

    async def stat(key: Key) -> Stored | None:
        return truth if key == damaged else await whole(key)

    sink.stat = stat  # type: ignore[method-assign]  # it remembers what it was given
    sink.objects[damaged] = bytes(len(sink.objects[damaged]))
    report = await cloud.run()
    assert cloud.asked == [1, 2, 3, 4]
    assert f"sink offsite holds a damaged copy, {damaged}" in troubles(report)


@pytest.mark.parametrize("what", ["stat", "open"])
async def test_what_cannot_be_verified_is_not_deleted_and_not_called_lost(house: House, cloud: Cloud, what: str) -> None:
    sink = house.sinks["offsite"]
    bad = key_of(sink, 1)
    stat, open_ = sink.stat, sink.open

    async def no_stat(key: Key) -> Stored | None:
        if what == "stat" and key == bad:
            raise SinkUnavailable("no answer")
        stored = await stat(key)
        return stored and replace(stored, sha256=None)

    @asynccontextmanager
    async def no_open(key: Key, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        if what == "open" and key == bad:
            raise RuntimeError("a fault of the plugin")
        async with open_(key, start) as chunks:
            yield chunks

    sink.stat, sink.open = no_stat, no_open  # type: ignore[method-assign]  # faults
    report = await cloud.run()
    assert cloud.asked == [0, 2, 3, 4]
    assert "its copy in sink offsite cannot be verified" in troubles(report)
    assert (await house.state(clip(1).id, "offsite"))[0] is State.STORED


async def test_a_disk_that_goes_in_the_middle_of_a_run_loses_nothing(house: House, cloud: Cloud) -> None:
    """What says that it holds nothing, and does not hold its marker either, is another place by now."""
    nas = house.sinks["nas"]

    async def delete_first() -> None:
        nas.objects.clear()

    refs = [replace(cloud.ref(0), delete=delete_first), *(cloud.ref(number) for number in range(1, 5))]
    report = await house.run(Listing(*refs))
    assert cloud.asked == []
    assert "lost its marker" in troubles(report)
    assert [await house.state(clip(number).id) for number in range(1, 5)] == [(State.STORED, 0, "")] * 4
    assert MARKER not in nas.objects


async def test_a_sink_that_cannot_say_anything_is_not_asked_for_ever(house: House) -> None:
    cloud = Cloud(house, list(range(20)))
    await cloud.run()
    house.clock.advance(WEEK + 60)
    asked: list[Key] = []

    async def stat(key: Key) -> Stored | None:
        asked.append(key)
        raise SinkUnavailable("no answer")

    house.sinks["offsite"].stat = stat  # type: ignore[method-assign]  # a fault
    report = await cloud.run()
    assert (cloud.asked, len(asked), report.deletions_failed) == ([], 5, 5)


async def test_the_copies_are_asked_for_at_that_very_moment(house: House, cloud: Cloud) -> None:
    """A copy that goes while others are being deleted is found out."""
    nas = house.sinks["nas"]
    first = cloud.ref(0)

    async def delete_first() -> None:
        assert first.delete is not None
        await first.delete()
        del nas.objects[key_of(nas, 4)]

    await house.run(Listing(replace(first, delete=delete_first), *(cloud.ref(number) for number in range(1, 5))))
    assert cloud.asked == [0, 1, 2, 3]


async def test_a_sink_that_is_away_or_of_another_place_means_that_nothing_is_deleted(house: House, cloud: Cloud) -> None:
    offsite, house.sinks["offsite"] = house.sinks["offsite"], MemorySink()
    report = await cloud.run()
    assert (cloud.asked, report.deletions_failed) == ([], 0), "it is not even begun"
    house.sinks["offsite"] = offsite
    await cloud.run()
    assert cloud.asked == []  # a listing of the last two days only shows none of them
    house.clock.advance(DAY)
    await cloud.run()
    assert cloud.asked == [0, 1, 2, 3, 4]


async def test_what_is_listed_with_another_size_than_what_is_stored_is_not_deleted(house: House, cloud: Cloud) -> None:
    refs = [cloud.ref(0), replace(cloud.ref(1), fits=lambda size: size != len(film(1)))]
    report = await house.run(Listing(*refs))
    assert cloud.asked == [0]
    assert "another size" in troubles(report)
    assert (await house.state(clip(1).id))[0] is State.STORED


# The clock


@pytest.mark.parametrize(
    ("skew", "number"),
    [
        (None, 0),
        (timedelta(hours=1, seconds=1), 0),
        (timedelta(hours=-1, seconds=-1), 0),
        (timedelta(days=-30), 0),
        (timedelta(minutes=59), 5),
        (timedelta(minutes=-59), 5),
    ],
)
async def test_while_the_clocks_disagree_nothing_is_deleted(
    house: House, cloud: Cloud, skew: timedelta | None, number: int
) -> None:
    house.skew = skew
    report = await cloud.run()
    assert report.deleted == len(cloud.asked) == number
    assert ("nothing is deleted there" in troubles(report)) is (number == 0)


async def test_a_clock_that_jumps_between_two_deletions_ends_them(house: House, cloud: Cloud) -> None:
    first = cloud.ref(0)

    async def delete_first() -> None:
        assert first.delete is not None
        await first.delete()
        house.skew = timedelta(days=2)

    await house.run(Listing(replace(first, delete=delete_first), cloud.ref(1)))
    assert cloud.asked == [0]


# The intent


async def test_the_intent_is_committed_before_the_deletion_is_asked_for(house: House, cloud: Cloud) -> None:
    await cloud.run()
    for number, known in enumerate(cloud.intents):
        mine = known[number]
        assert mine.clip == clip(number)
        assert (mine.outcome, mine.tries, mine.accepted) == ("", 1, 0)
        assert {copy.sink for copy in mine.copies} == {"nas", "offsite"}
        assert [deletion.outcome for deletion in known[:number]] == ["accepted"] * number


async def test_each_deletion_is_a_line_of_the_log(house: House, cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="blinkarchive"):
        await cloud.run()
    lines = [record for record in caplog.records if record.message == "deleted at its source"]
    assert [record.__dict__["clip"] for record in lines] == [clip(number).id for number in range(5)]
    assert lines[0].__dict__["verified"] == "nas, offsite"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_run_that_ends_around_a_deletion_is_finished_by_the_next(house: House, cloud: Cloud, when: str) -> None:
    """Killed between intent and call, or between the call and its answer."""
    cloud.errors[0] = asyncio.CancelledError()
    report = await cloud.run()
    assert (report.stopped, report.deleted, cloud.asked) == (True, 0, [0])
    assert [deletion.outcome for deletion in await deletions(house)] == [""]
    cloud.errors.clear()
    if when == "after":
        cloud.numbers.remove(0)
    house.clock.advance(DAY + 1)
    report = await cloud.run()
    if when == "after":
        assert await confirmed(house) == [clip(0).id]
        assert cloud.asked == [0, 1, 2, 3, 4]
    else:
        assert await confirmed(house) == []
        assert cloud.asked == [0, 1, 2, 3, 4, 0], "what was tried before comes last"
        assert (await deletions(house))[0].tries == 2


async def test_a_stop_in_the_archiving_means_that_nothing_is_deleted(house: House, cloud: Cloud) -> None:
    class Waits(Listing):
        async def discover(self, since: datetime) -> AsyncIterator[Batch]:
            async for batch in super().discover(since):
                yield batch
            listed.set()
            await asyncio.Event().wait()

    listed = asyncio.Event()
    going_on = asyncio.create_task(house.run(Waits(*(cloud.ref(number) for number in range(5)))))
    await listed.wait()
    going_on.cancel()
    report = await going_on
    assert (report.stopped, cloud.asked) == (True, [])


# What the source says


@pytest.mark.parametrize("error", [ServerTrouble("500"), CommandFailed("no"), SourceError("400"), ArchiveError("tokens")])
async def test_an_error_is_told_and_kept_and_the_next_run_judges_anew(house: House, cloud: Cloud, error: SourceError) -> None:
    cloud.errors[1] = error
    report = await cloud.run()
    assert cloud.asked == [0, 1, 2, 3, 4]
    assert (report.deleted, report.deletions_failed) == (4, 1)
    assert f"it was not deleted at its source: {error}" in troubles(report)
    assert [(d.outcome, d.accepted) for d in await deletions(house) if d.clip == clip(1)] == [(str(error), 0)]
    cloud.errors.clear()
    house.clock.advance(DAY)
    report = await cloud.run()
    assert (report.deleted, report.deletions_confirmed) == (1, 4)


@pytest.mark.parametrize(
    "error",
    [TokenRevoked(), Throttled("slow", retry_after=90), Unreachable("no"), ModuleAway("m"), Busy("b"), CommandUnfinished("u")],
)
async def test_who_is_away_is_asked_nothing_more_and_another_source_is(house: House, cloud: Cloud, error: SourceError) -> None:
    other = Cloud(house, [7])
    ref = replace(other.ref(7), clip=replace(clip(7, account="cabin")))
    await house.run(Listing(ref, account="cabin"))
    house.clock.advance(WEEK + 1)
    cloud.errors = {1: error}
    report = await house.run(cloud.listing(), Listing(ref, account="cabin"))
    assert (cloud.asked, other.asked) == ([0, 1], [7])
    assert report.login_needed == (("home",) if isinstance(error, TokenRevoked) else ())
    assert report.wait == (90 if isinstance(error, Throttled) else 0)


async def test_after_three_errors_a_source_is_left_alone(house: House, cloud: Cloud) -> None:
    cloud.errors = {number: ServerTrouble("500") for number in range(5)}
    await cloud.run()
    assert cloud.asked == [0, 1, 2]


async def test_what_fails_again_and_again_holds_up_no_other(house: House, cloud: Cloud) -> None:
    cloud.errors = {number: CommandFailed("bad sector") for number in range(3)}
    house.rules = {CLOUD: Rule(limit=3)}
    await cloud.run()
    house.clock.advance(DAY)
    await cloud.run()
    assert cloud.asked == [0, 1, 2, 3, 4, 0]


async def test_what_was_gone_before_is_no_trouble_and_is_confirmed_as_all_else_is(house: House, cloud: Cloud) -> None:
    cloud.errors[0] = ClipGone("404")
    report = await cloud.run()
    assert (report.deleted, report.troubles) == (4, ())
    cloud.numbers.remove(0)
    house.clock.advance(DAY)
    assert (await cloud.run()).deletions_confirmed == 5


# What is gone


async def test_only_a_later_whole_listing_confirms(house: House, cloud: Cloud) -> None:
    report = await cloud.run()
    assert (report.deleted, report.deletions_confirmed, await confirmed(house)) == (5, 0, [])
    house.clock.advance(DAY)
    report = await cloud.run()
    assert (report.deleted, report.deletions_confirmed) == (0, 5)
    assert len(await confirmed(house)) == 5
    assert (await cloud.run()).deletions_confirmed == 0


@pytest.mark.parametrize("how", ["broke off", "part in trouble", "no word", "other part", "unreadable", "partial", "no video"])
async def test_a_listing_that_does_not_prove_it_confirms_nothing(house: House, cloud: Cloud, how: str) -> None:
    cloud.numbers = [0]
    await cloud.run()
    house.clock.advance(DAY)
    listing = cloud.listing(error=ListingIncomplete("page 2") if how == "broke off" else None)
    trouble = {"part in trouble": (Part(scope="cloud:home:", name="the cloud", trouble="it was ejected"),)}
    parts: dict[str, tuple[Part, ...]] = {"no word": (), "other part": (Part(scope="cloud:home:5:", name="x"),)} | trouble
    listing.parts = parts.get(how, listing.parts)
    if how == "unreadable":
        listing.unreadable = (Unreadable(item="", reason="?", raw="{}"),)
    if how in ("partial", "no video"):
        listing.left_out = (LeftOut(item="0", reason=how),)
    report = await house.run(listing)
    assert (report.deletions_confirmed, await confirmed(house)) == (0, [])


async def test_a_list_that_says_deleted_says_that_it_is_gone(house: House, cloud: Cloud) -> None:
    await cloud.run()
    house.clock.advance(DAY)
    listing = cloud.listing()
    listing.left_out = tuple(LeftOut(item=str(number), reason="deleted") for number in range(5))
    assert (await house.run(listing)).deletions_confirmed == 5


async def test_what_a_listing_of_the_last_days_need_not_show_is_not_confirmed_by_it(house: House, cloud: Cloud) -> None:
    await cloud.run()
    report = await cloud.run()
    assert (report.deletions_confirmed, await confirmed(house)) == (0, [])


@pytest.mark.parametrize("ask", [Ask(cameras=("Porch",)), Ask(since=clip(0).recorded_at - timedelta(days=9)), Ask(dry_run=True)])
async def test_a_narrow_run_confirms_nothing(house: House, cloud: Cloud, ask: Ask) -> None:
    await cloud.run()
    house.clock.advance(DAY)
    report = await cloud.run(ask)
    assert (report.deletions_confirmed, await confirmed(house)) == (0, [])


async def test_it_is_confirmed_even_when_the_owner_wants_nothing_deleted_any_more(house: House, cloud: Cloud) -> None:
    await cloud.run()
    house.rules = {}
    house.clock.advance(DAY)
    assert (await cloud.run()).deletions_confirmed == 5


async def test_what_is_listed_all_the_same_is_verified_and_deleted_again_and_told_in_the_end(house: House, cloud: Cloud) -> None:
    cloud.lies = {0}
    for run in range(3):
        report = await cloud.run()
        assert (cloud.asked.count(0), report.deletions_failed) == (run + 1, 0), "each time it is verified anew"
        house.clock.advance(DAY)
    told = "its deletion was accepted 3 times, and it was still listed after that"
    report = await cloud.run()
    assert (cloud.asked.count(0), report.deletions_failed) == (4, 1)
    assert told in troubles(report)
    for _ in range(3):
        house.clock.advance(3600)
        report = await house.run(cloud.listing())
        assert cloud.asked.count(0) == 4, "no more than once a day"
        assert "still listed" in troubles(report)
    nas = house.sinks["nas"]
    del nas.objects[key_of(nas, 0)]
    house.clock.advance(DAY)
    await cloud.run()
    assert cloud.asked.count(0) == 4, "nor without a proof"


async def test_what_is_gone_stays_in_the_archive_and_fails_nowhere(house: House, cloud: Cloud) -> None:
    await cloud.run()
    for _ in range(12):
        house.clock.advance(DAY)
        report = await cloud.run()
        assert (report.total.failed, report.total.gave_up, report.troubles, report.complete) == (0, 0, (), True)
    assert [await house.state(clip(number).id) for number in range(5)] == [(State.STORED, 0, "")] * 5
    house.sinks["new"] = MemorySink()
    report = await cloud.run()
    assert (report.total.stored, report.total.failed) == (5, 0)
    assert house.sinks["new"].clips == {film(number) for number in range(5)}


# A dry run


async def test_a_dry_run_tells_what_would_be_deleted_and_changes_nothing(house: House, cloud: Cloud) -> None:
    house.rules = {CLOUD: Rule(limit=3)}
    report = await cloud.run(Ask(dry_run=True))
    expected = tuple(clip(number).id for number in range(3))
    assert report.would_delete == tuple(standing.clip.id for standing in house.would_delete) == expected
    assert (report.deleted, cloud.asked, await deletions(house)) == (0, [], [])
    await cloud.run()
    assert cloud.asked == [0, 1, 2]


# Whatever happens


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_goes_wrong_only_what_trusted_holds_is_deleted_and_only_what_is_gone_is_confirmed(
    house: House, seed: int
) -> None:
    chance = random.Random(seed)
    cloud = Cloud(house, list(range(12)))
    house.rules = {CLOUD: Rule(limit=4, grace=timedelta(hours=chance.choice([0, 1, 200])))}

    def harm(sink: MemorySink) -> None:
        films = [key for key in sink.objects if key.endswith(".mp4")]
        if films and chance.random() < 0.5:
            key = chance.choice(films)
            if chance.random() < 0.5:
                del sink.objects[key]
            else:
                sink.objects[key] = chance.randbytes(len(sink.objects[key]))

    errors: list[Callable[[], BaseException]] = [
        lambda: ServerTrouble("500"),
        lambda: asyncio.CancelledError(),
        lambda: Unreachable("lost"),
        lambda: ClipGone("404"),
    ]
    for _ in range(20):
        cloud.errors = {number: chance.choice(errors)() for number in range(12) if chance.random() < 0.2}
        cloud.lies = {number for number in range(12) if chance.random() < 0.2}
        if chance.random() < 0.3:
            harm(chance.choice(list(house.sinks.values())))
        listing = cloud.listing(size=5, error=ListingIncomplete("x") if chance.random() < 0.2 else None)
        before = set(cloud.numbers)
        await house.run(listing)
        assert cloud.unjustified == []
        for id_ in await confirmed(house):
            assert int(id_.rpartition(":")[2]) not in before & set(cloud.numbers), "confirmed, and listed all the time"
        house.clock.advance(chance.choice([60, 3600, DAY, 9 * DAY]))
    assert cloud.asked
