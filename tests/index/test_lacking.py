"""Which sinks lack a clip: what is new, what is known, and what becomes of a copy."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from blinkarchive.clock import ManualClock
from blinkarchive.errors import ArchiveError
from blinkarchive.index import Index
from blinkarchive.model import Clip, ClipId, Key, Need, SinkName, SourceName, Standing, State
from tests.index.facts import CLOUD, NAS, T0, THIRD, clip, copy, listening, name

BOTH = (NAS, CLOUD)


def lacked_by(number: int, *sinks: SinkName) -> Standing:
    """How a clip stands that nobody holds and nothing has happened to."""
    one = clip(number)
    return Standing(clip=one, key=name(one), lacking=tuple(Need(sink=sink) for sink in sinks))


async def standing_of(index: Index, one: Clip, *sinks: SinkName) -> Standing:
    (standing,) = await index.standings([one.id], sinks)
    return standing


async def test_a_new_clip_is_lacked_by_trusted(index: Index) -> None:
    assert await index.lacking([clip(1)], BOTH, name) == [lacked_by(1, NAS, CLOUD)]


async def test_a_clip_that_nobody_lacks_has_nothing_to_do(index: Index) -> None:
    await index.lacking([clip(1)], BOTH, name)
    await index.record(copy(clip(1), NAS))
    await index.record(copy(clip(1), CLOUD))
    assert await index.lacking([clip(1), clip(2)], BOTH, name) == [None, lacked_by(2, *BOTH)]


async def test_one_sink_that_holds_a_clip_says_nothing_of_another(index: Index) -> None:
    await index.lacking([clip(1)], BOTH, name)
    await index.record(copy(clip(1), NAS))
    (standing,) = await index.lacking([clip(1)], BOTH, name)
    assert standing == Standing(clip=clip(1), key=name(clip(1)), lacking=(Need(sink=CLOUD),), held=(copy(clip(1), NAS),))


async def test_answers_come_in_the_order_of_the_question_one_for_each_clip(index: Index) -> None:
    await index.lacking([clip(3)], [NAS], name)
    await index.record(copy(clip(3), NAS))
    asked = [clip(number) for number in (5, 3, 4, 3, 5)]
    for _ in range(2):
        answers = await index.lacking(asked, [NAS], name)
        assert answers == [lacked_by(5, NAS), None, lacked_by(4, NAS), None, lacked_by(5, NAS)]


async def test_no_clips_and_no_sinks_are_fair_questions(index: Index) -> None:
    assert await index.lacking([], BOTH, name) == []
    for _ in range(2):
        assert await index.lacking([clip(1)], [], name) == [None]
    assert await index.backlog([]) == await index.pending([]) == []
    assert (await index.summary([])).sinks == ()


async def test_a_renamed_camera_moves_no_clip_that_is_known(index: Index) -> None:
    for camera in ("Front Door", "Porch"):
        assert await index.lacking([clip(1, camera=camera)], [NAS], name) == [lacked_by(1, NAS)]
    await index.record(copy(clip(1), NAS))
    assert await index.lacking([clip(1, camera="Porch")], [NAS], name) == [None]
    (standing,) = await index.standings([clip(1).id], [NAS])
    assert (standing.clip, standing.key) == (clip(1), Key("Front Door/cloud:home:1.mp4"))


async def test_a_page_of_known_clips_is_one_question_and_no_change(index: Index) -> None:
    page = [clip(number) for number in range(500)]
    await index.lacking(page, BOTH, name)
    await asyncio.gather(*(index.record(copy(one, sink)) for one in page for sink in BOTH))
    with listening() as heard:
        assert await index.lacking(page, BOTH, name) == [None] * len(page)
    assert len(heard.questions) == 1
    assert heard.changes == []


async def test_a_page_may_be_of_any_size(index: Index) -> None:
    page = [clip(number) for number in range(33_000)]
    assert len(await index.lacking(page, [NAS], name)) == 33_000
    assert len(await index.lacking(page, [NAS], name)) == 33_000
    assert (await index.summary([NAS])).clips == 33_000


async def test_new_clips_of_a_page_are_taken_in_together(index: Index) -> None:
    await index.lacking([clip(0)], BOTH, name)
    with listening() as heard:
        await index.lacking([clip(number) for number in range(1, 100)], BOTH, name)
    assert heard.commits == 1


@pytest.mark.parametrize(
    "id_", ["emoji:📷:caméra", "quote:'\"", "percent:%s%%", "cjk:前門", "tab:\t", "json:\\u0041", "a" * 5000]
)
async def test_an_id_may_hold_any_letters(index: Index, id_: str) -> None:
    odd = clip(1, id=ClipId(id_), camera=id_)
    for _ in range(2):
        assert await index.lacking([odd], [NAS], name) == [Standing(clip=odd, key=name(odd), lacking=(Need(sink=NAS),))]
    await index.record(copy(odd, NAS))
    assert await index.lacking([odd], [NAS], name) == [None]


async def test_two_clips_never_share_a_key(index: Index) -> None:
    with pytest.raises(ArchiveError, match=r"cloud:home:1 and cloud:home:2 .* same\.mp4"):
        await index.lacking([clip(1), clip(2)], [NAS], lambda _: Key("same.mp4"))
    assert (await index.summary([NAS])).clips == 0
    await index.lacking([clip(1)], [NAS], lambda _: Key("same.mp4"))
    with pytest.raises(ArchiveError, match=r"cloud:home:1 and cloud:home:3 .* same\.mp4"):
        await index.lacking([clip(2), clip(3)], [NAS], lambda c: Key("same.mp4" if c.id == clip(3).id else "other.mp4"))
    assert (await index.summary([NAS])).clips == 1


async def test_a_sink_that_joins_later_lacks_all_that_was_ever_found(index: Index) -> None:
    await index.lacking([clip(number) for number in range(5)], [NAS], name)
    for number in range(5):
        await index.record(copy(clip(number), NAS))
    assert len(await index.backlog([NAS, THIRD])) == 5
    assert (await standing_of(index, clip(2), NAS, THIRD)).lacking == (Need(sink=THIRD),)
    assert await index.lacking([clip(2)], [THIRD], name) == [lacked_by(2, THIRD)]


async def test_a_sink_that_was_not_asked_about_lacks_the_clip_too(index: Index) -> None:
    await index.lacking([clip(1)], BOTH, name)
    await index.lacking([clip(2)], [NAS], name)
    assert [s.clip for s in await index.pending([CLOUD])] == [clip(1), clip(2)]


async def test_a_sink_whose_joining_failed_has_not_joined(index: Index) -> None:
    await index.lacking([clip(1)], [NAS], name)
    with pytest.raises(ArchiveError):
        await index.record(copy(clip(99), THIRD))
    assert [s.clip for s in await index.pending([THIRD])] == [clip(1)]


@pytest.mark.parametrize(
    "zone", [UTC, ZoneInfo("America/New_York"), ZoneInfo("Pacific/Kiritimati"), timezone(timedelta(hours=-11, minutes=-30))]
)
async def test_a_moment_comes_back_as_the_same_moment_in_utc(index: Index, zone: timezone | ZoneInfo) -> None:
    moments = [
        datetime(2024, 11, 3, 1, 30, tzinfo=zone),  # twice that night in New York
        datetime(2024, 11, 3, 1, 30, fold=1, tzinfo=zone),
        datetime(1970, 1, 1, tzinfo=zone),
        datetime(1931, 5, 6, 7, 8, 9, tzinfo=zone),
        datetime(2106, 2, 7, 6, 28, 16, 999_999, tzinfo=zone),
    ]
    clips = [clip(number, recorded_at=moment) for number, moment in enumerate(moments)]
    await index.lacking(clips, [NAS], name)
    for one, moment in zip(clips, moments, strict=True):
        await index.record(copy(one, NAS, stored_at=moment))
    held = {s.clip.id: s async for s in index.clips([NAS])}
    for one, moment in zip(clips, moments, strict=True):
        for kept in (held[one.id].clip.recorded_at, held[one.id].held[0].stored_at):
            assert kept - moment == timedelta(0)
            assert kept.tzinfo is UTC


DESCRIBED = {"description": "A person walks to the \u201cdoor\u201d.", "detections": ("person", "package")}


async def test_a_description_of_a_clip_is_kept(index: Index) -> None:
    one = clip(1, **DESCRIBED)
    await index.lacking([one], [NAS], name)
    assert (await standing_of(index, one, NAS)).clip == one


async def test_a_description_that_comes_later_is_kept_and_catalogued(index: Index) -> None:
    await index.lacking([clip(1), clip(2)], [NAS], name)
    await index.record(copy(clip(1), NAS))
    await index.catalogued(NAS, [clip(1).id], Key("catalog/1.jsonl"))
    described = clip(1, **DESCRIBED)
    for _ in range(2):
        assert await index.lacking([described, clip(2)], [NAS], name) == [None, lacked_by(2, NAS)]
        assert await index.uncatalogued(NAS) == [(described, copy(clip(1), NAS))]
    await index.catalogued(NAS, [clip(1).id], Key("catalog/2.jsonl"))
    for other in (described, clip(1), clip(1, description="Another one.")):
        await index.lacking([other], [NAS], name)
        assert (await standing_of(index, described, NAS)).clip == described
        assert await index.uncatalogued(NAS) == []


# What becomes of a copy


async def test_recording_a_copy_again_changes_nothing(index: Index) -> None:
    await index.lacking([clip(1)], [NAS], name)
    await index.record(copy(clip(1), NAS))
    await index.catalogued(NAS, [clip(1).id], Key("catalog/1.jsonl"))
    await index.record(copy(clip(1), NAS, stored_at=T0 + timedelta(days=99)))
    assert (await standing_of(index, clip(1), NAS)).held == (copy(clip(1), NAS),)
    assert await index.uncatalogued(NAS) == []


async def test_another_copy_in_the_place_of_the_first_is_catalogued_anew(index: Index) -> None:
    await index.lacking([clip(1)], [NAS], name)
    await index.record(copy(clip(1), NAS))
    await index.catalogued(NAS, [clip(1).id], Key("catalog/1.jsonl"))
    others: list[dict[str, Any]] = [{"key": Key("elsewhere.mp4")}, {"sha256": "cd" * 32}, {"size": 1001}, {}]
    for different in others:
        other = copy(clip(1), NAS, **different, stored_at=T0 + timedelta(days=2))
        await index.record(other)
        assert await index.uncatalogued(NAS) == [(clip(1), other)]
        await index.catalogued(NAS, [clip(1).id], Key("catalog/2.jsonl"))
        assert await index.uncatalogued(NAS) == []


async def test_a_stored_copy_forgets_its_failures(index: Index) -> None:
    await index.lacking([clip(1)], [NAS], name)
    await index.failed(clip(1).id, NAS, "cut short", counts=True)
    await index.record(copy(clip(1), NAS))
    await index.lost(clip(1).id, NAS, "gone from the disk")
    standing = await standing_of(index, clip(1), NAS)
    assert standing.lacking == (Need(sink=NAS, reason="gone from the disk"),)


async def test_a_copy_of_a_clip_that_was_never_found_is_refused(index: Index) -> None:
    with pytest.raises(ArchiveError, match="cloud:home:1"):
        await index.record(copy(clip(1), NAS))
    with pytest.raises(ArchiveError, match="cloud:home:1"):
        await index.backlog([NAS], after=clip(1).id)


async def test_the_tenth_try_that_counts_gives_the_clip_up_and_it_stays_lacking(index: Index, clock: ManualClock) -> None:
    await index.lacking([clip(1)], BOTH, name)
    states = []
    for number in range(11):
        clock.advance(60)
        states.append(await index.failed(clip(1).id, NAS, f"try {number}", counts=True))
    assert states == [State.FAILED] * 9 + [State.GAVE_UP] * 2
    standing = await standing_of(index, clip(1), *BOTH)
    given_up = Need(sink=NAS, state=State.GAVE_UP, tries=11, tried_at=clock.now(), reason="try 10")
    assert standing.lacking == (given_up, Need(sink=CLOUD))


async def test_a_try_that_does_not_count_leaves_its_reason_and_nothing_else(index: Index, clock: ManualClock) -> None:
    await index.lacking([clip(1)], [NAS], name)
    assert await index.failed(clip(1).id, NAS, "offline", counts=False) is State.PENDING
    standing = await standing_of(index, clip(1), NAS)
    assert standing.lacking == (Need(sink=NAS, reason="offline"),)
    tried_at = clock.now()
    await index.failed(clip(1).id, NAS, "cut short", counts=True)
    clock.advance(60)
    assert await index.failed(clip(1).id, NAS, "offline again", counts=False) is State.FAILED
    standing = await standing_of(index, clip(1), NAS)
    assert standing.lacking == (Need(sink=NAS, state=State.FAILED, tries=1, tried_at=tried_at, reason="offline again"),)


async def test_a_failure_after_the_fact_takes_no_stored_copy_away(index: Index) -> None:
    await index.lacking([clip(1)], [NAS], name)
    await index.record(copy(clip(1), NAS))
    assert await index.failed(clip(1).id, NAS, "too late", counts=True) is State.STORED
    assert (await index.standings([clip(1).id], [NAS]))[0].held == (copy(clip(1), NAS),)


async def test_what_the_owner_excludes_is_neither_lacking_nor_held(index: Index) -> None:
    await index.lacking([clip(1)], BOTH, name)
    assert await index.exclude(clip(1).id, NAS, "not wanted") is State.EXCLUDED
    assert await index.failed(clip(1).id, NAS, "tried anyway", counts=True) is State.EXCLUDED
    assert await index.lacking([clip(1)], [NAS], name) == [None]
    assert await standing_of(index, clip(1), NAS) == Standing(clip=clip(1), key=name(clip(1)))
    assert await index.pending([NAS]) == []
    await index.lost(clip(1).id, NAS, "wanted after all")
    assert [need.sink for need in (await standing_of(index, clip(1), *BOTH)).lacking] == [NAS, CLOUD]
    await index.record(copy(clip(1), NAS))
    assert await index.exclude(clip(1).id, NAS, "too late") is State.STORED


async def test_a_copy_may_have_a_key_of_its_own(index: Index) -> None:
    await index.lacking([clip(1)], [NAS], name)
    encrypted = copy(clip(1), NAS, key=Key("x/1.age"))
    await index.record(encrypted)
    (standing,) = await index.standings([clip(1).id], [NAS])
    assert (standing.key, standing.held) == (name(clip(1)), (encrypted,))


async def test_all_of_it_is_there_after_closing(path: Path, clock: ManualClock) -> None:
    async with Index.open(path, clock=clock) as index:
        archive = index.archive_id
        await index.lacking([clip(1), clip(2)], BOTH, name)
        await index.record(copy(clip(1), NAS))
        await index.failed(clip(2).id, NAS, "cut short", counts=True)
        before = [standing async for standing in index.clips(BOTH)]
    async with Index.open(path, clock=clock) as index:
        assert index.archive_id == archive
        assert [standing async for standing in index.clips(BOTH)] == before


async def test_clips_that_only_their_source_has_are_known_as_such(index: Index) -> None:
    local = clip(9, source=SourceName.SYNC_MODULE)
    await index.lacking([clip(3), clip(1), clip(2), local], BOTH, name)
    await index.record(copy(clip(2), CLOUD))
    assert await index.unstored("home", SourceName.CLOUD, BOTH) == [
        (clip(1).id, clip(1).recorded_at),
        (clip(3).id, clip(3).recorded_at),
    ]
    for _ in range(10):
        for sink in BOTH:
            await index.failed(clip(1).id, sink, "the source no longer lists it", counts=True)
    assert await index.unstored("home", SourceName.CLOUD, BOTH) == [(clip(3).id, clip(3).recorded_at)]
    assert await index.unstored("other", SourceName.CLOUD, BOTH) == []
    assert await index.unstored("home", SourceName.SYNC_MODULE, [NAS]) == [(local.id, local.recorded_at)]
