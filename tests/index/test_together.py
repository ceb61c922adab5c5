"""Many callers, one writer: changes that are committed together, callers that leave, and readers beside them."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from blinkarchive.clock import ManualClock
from blinkarchive.errors import ArchiveError
from blinkarchive.index import Index
from blinkarchive.index.index import GROUP
from blinkarchive.model import Clip, Key, Need, Standing, State
from tests.index.facts import CLOUD, NAS, T0, clip, copy, listening, name


@asynccontextmanager
async def held_up(index: Index) -> AsyncIterator[None]:
    """The index is in the middle of a transaction for as long as the block lasts."""
    within, go_on = threading.Event(), threading.Event()

    def slow_name(slow: Clip) -> Key:
        within.set()
        assert go_on.wait(30)
        return name(slow)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(index.lacking([clip(999_999)], [NAS], slow_name))
        await asyncio.to_thread(within.wait, 30)
        try:
            yield
            await asyncio.sleep(0)
        finally:
            go_on.set()


async def refused(index: Index) -> None:
    """A change that cannot be made."""
    with pytest.raises(ArchiveError, match="cloud:home:404"):
        await index.record(copy(clip(404), NAS))


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_changes_that_wait_for_a_commit_are_committed_together(index: Index) -> None:
    clips = [clip(number) for number in range(GROUP // 2)]
    await index.lacking(clips, [NAS, CLOUD], name)
    with listening() as heard:
        async with asyncio.TaskGroup() as tasks, held_up(index):
            for one in clips:
                tasks.create_task(index.record(copy(one, NAS)))
                tasks.create_task(index.failed(one.id, CLOUD, "offline", counts=False))
            await settle()
            assert heard.commits == 0
        assert heard.commits == 2  # the one that held all others up, and theirs
    (nas, _) = (await index.summary([NAS, CLOUD])).sinks
    assert nas.stored == len(clips)


async def test_copies_that_wait_for_a_commit_are_recorded_by_one_statement(index: Index) -> None:
    clips = [clip(number) for number in range(GROUP // 2)]
    await index.lacking(clips, [NAS, CLOUD], name)
    with listening() as heard:
        async with asyncio.TaskGroup() as tasks, held_up(index):
            for one in clips:
                for sink in (NAS, CLOUD):
                    tasks.create_task(index.record(copy(one, sink)))
            await settle()
    assert len([sql for sql in heard.changes if sql.startswith("UPDATE")]) == 1
    assert len(heard.questions) < 5  # of the one that held all others up
    assert [sink.stored for sink in (await index.summary([NAS, CLOUD])).sinks] == [len(clips)] * 2


@pytest.mark.parametrize("one_by_one", [False, True])
async def test_changes_of_one_copy_are_made_in_the_order_they_were_asked_for(index: Index, one_by_one: bool) -> None:
    clips = [clip(number) for number in range(5)]
    first, other = ([copy(one, NAS, size=size) for one in clips] for size in (1, 2))
    await index.lacking(clips, [NAS], name)
    orders: list[list[Coroutine[Any, Any, object]]] = [
        [index.record(first[0]), index.lost(clips[0].id, NAS, "gone")],
        [index.lost(clips[1].id, NAS, "gone"), index.record(first[1])],
        [index.record(first[2]), index.failed(clips[2].id, NAS, "late", counts=True), index.record(other[2])],
        [index.record(other[3]), index.record(first[3])],
        [index.failed(clips[4].id, NAS, "early", counts=True), index.record(first[4]), index.lost(clips[4].id, NAS, "gone")],
    ]
    async with asyncio.TaskGroup() as tasks, held_up(index):
        for changes in zip_longest(*orders):
            for change in changes:
                if change is not None:
                    tasks.create_task(change)
        if one_by_one:
            tasks.create_task(refused(index))
        await settle()
    standings = await index.standings([one.id for one in clips], [NAS])
    gone = (Need(sink=NAS, reason="gone"),)
    assert [standing.lacking for standing in standings] == [gone, (), (), (), gone]
    assert [standing.held for standing in standings] == [(), (first[1],), (other[2],), (first[3],), ()]


async def test_a_copy_that_is_recorded_twice_at_once_is_the_first_of_the_two(index: Index) -> None:
    await index.lacking([clip(1)], [NAS], name)
    async with asyncio.TaskGroup() as tasks, held_up(index):
        for days in (1, 2):
            tasks.create_task(index.record(copy(clip(1), NAS, stored_at=T0 + timedelta(days=days))))
        await settle()
    (standing,) = await index.standings([clip(1).id], [NAS])
    assert standing.held == (copy(clip(1), NAS, stored_at=T0 + timedelta(days=1)),)


async def test_copies_recorded_again_beside_new_ones_stay_as_they_were(index: Index) -> None:
    clips = [clip(number) for number in range(10)]
    await index.lacking(clips, [NAS], name)
    await asyncio.gather(*(index.record(copy(one, NAS)) for one in clips[:5]))
    await index.catalogued(NAS, [one.id for one in clips[:5]], Key("catalog/1.jsonl"))
    late = T0 + timedelta(days=9)
    async with asyncio.TaskGroup() as tasks, held_up(index):
        for one in clips:
            tasks.create_task(index.record(copy(one, NAS, stored_at=late)))
        await settle()
    standings = await index.standings([one.id for one in clips], [NAS])
    assert [standing.held[0].stored_at for standing in standings] == [T0 + timedelta(days=1)] * 5 + [late] * 5
    assert [one for one, _ in await index.uncatalogued(NAS)] == clips[5:]


async def test_no_more_than_a_group_waits_at_once(index: Index) -> None:
    clips = [clip(number) for number in range(GROUP + 1)]
    await index.lacking(clips, [NAS], name)
    with listening() as heard:
        async with asyncio.TaskGroup() as tasks, held_up(index):
            for one in clips:
                tasks.create_task(index.record(copy(one, NAS)))
            await settle()
        assert heard.commits == 3
    assert (await index.summary([NAS])).sinks[0].stored == len(clips)


async def test_nobody_is_told_before_the_commit(index: Index) -> None:
    await index.lacking([clip(1)], [NAS], name)
    async with asyncio.TaskGroup() as tasks, held_up(index):
        recorded = tasks.create_task(index.record(copy(clip(1), NAS)))
        await settle()
        assert not recorded.done()


async def test_a_change_that_cannot_be_made_fails_alone(index: Index) -> None:
    clips = [clip(number) for number in range(10)]
    await index.lacking(clips, [NAS], name)
    async with asyncio.TaskGroup() as tasks, held_up(index):
        good = [tasks.create_task(index.failed(one.id, NAS, "cut short", counts=True)) for one in clips[:5]]
        bad = asyncio.ensure_future(index.record(copy(clip(404), NAS)))
        good += [tasks.create_task(index.failed(one.id, NAS, "cut short", counts=True)) for one in clips[5:]]
        await settle()
    with pytest.raises(ArchiveError, match="cloud:home:404"):
        await bad
    assert [task.result() for task in good] == [State.FAILED] * 10
    standings = await index.standings([one.id for one in clips], [NAS])
    assert [standing.lacking[0].tries for standing in standings] == [1] * 10


async def test_a_copy_of_a_clip_that_was_never_found_is_refused_alone(index: Index) -> None:
    clips = [clip(number) for number in range(10)]
    await index.lacking(clips, [NAS], name)
    async with held_up(index):
        tasks = [asyncio.ensure_future(index.record(copy(one, NAS))) for one in [*clips[:5], clip(404), *clips[5:]]]
        await settle()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(end) for end in ended if end is not None] == ["the index does not know the clip cloud:home:404"]
    assert isinstance(ended[5], ArchiveError)
    assert await index.lacking(clips, [NAS], name) == [None] * 10


async def test_who_comes_while_a_group_fails_comes_after_it(index: Index) -> None:
    await index.lacking([clip(1)], [NAS], name)
    failing, go_on = threading.Event(), threading.Event()

    def on_rollback(_connection: object) -> None:
        failing.set()
        assert go_on.wait(30)

    sa.event.listen(sa.Engine, "rollback", on_rollback)
    try:
        async with asyncio.TaskGroup() as tasks:
            async with held_up(index):
                tasks.create_task(index.lost(clip(1).id, NAS, "gone"))
                tasks.create_task(refused(index))
                await settle()
            await asyncio.to_thread(failing.wait, 30)
            tasks.create_task(index.record(copy(clip(1), NAS)))
            await settle()
            go_on.set()
    finally:
        go_on.set()
        sa.event.remove(sa.Engine, "rollback", on_rollback)
    assert (await index.standings([clip(1).id], [NAS]))[0].held == (copy(clip(1), NAS),)


async def test_callers_that_leave_take_nothing_from_the_others(index: Index) -> None:
    clips = [clip(number) for number in range(20)]
    await index.lacking(clips, [NAS], name)
    async with held_up(index):
        tasks = [asyncio.ensure_future(index.record(copy(one, NAS))) for one in clips]
        await settle()
        for task in tasks[::2]:
            task.cancel()
        await settle()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(end, asyncio.CancelledError) for end in ended] == [True, False] * 10
    assert await index.lacking(clips[1::2], [NAS], name) == [None] * 10
    await asyncio.gather(*(index.record(copy(one, NAS)) for one in clips))
    assert (await index.summary([NAS])).sinks[0].stored == len(clips)


async def test_callers_that_leave_while_they_wait_for_a_place_leave_it_to_others(index: Index) -> None:
    clips = [clip(number) for number in range(GROUP * 2)]
    await index.lacking(clips, [NAS], name)
    async with held_up(index):
        tasks = [asyncio.ensure_future(index.record(copy(one, NAS))) for one in clips]
        await settle()
        for task in tasks:
            task.cancel()
        await settle()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(index.record(copy(one, NAS)) for one in clips))
    assert (await index.summary([NAS])).sinks[0].stored == len(clips)


async def test_callers_that_leave_before_their_turn_take_their_change_along(index: Index) -> None:
    clips = [clip(number) for number in range(GROUP)]
    await index.lacking(clips, [NAS], name)
    async with held_up(index):
        for _ in range(3):
            tasks = [asyncio.ensure_future(index.record(copy(one, NAS))) for one in clips]
            await settle()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
    await index.record(copy(clips[7], NAS))
    assert (await index.summary([NAS])).sinks[0].stored == 1


async def test_whoever_is_told_of_a_success_has_it_whatever_befalls_the_others(index: Index) -> None:
    chance = random.Random(7)
    clips = [clip(number) for number in range(240)]
    await index.lacking(clips[::2], [NAS], name)  # of the others, no copy can be recorded
    tasks = [asyncio.ensure_future(index.record(copy(one, NAS))) for one in clips]
    for task in chance.sample(tasks, 80):
        await asyncio.sleep(0)
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    stored = [one for one, end in zip(clips, ended, strict=True) if end is None]
    assert 40 < len(stored) < 120
    assert await index.lacking(stored, [NAS], name) == [None] * len(stored)
    for one, end in zip(clips, ended, strict=True):
        assert end is None or isinstance(end, asyncio.CancelledError) or (isinstance(end, ArchiveError) and one.id in str(end))


async def test_a_stop_while_the_index_opens_leaves_nothing_behind(path: Path, clock: ManualClock) -> None:
    async def opened() -> None:
        async with Index.open(path, clock=clock):
            raise AssertionError("it was to be stopped before")

    for turns in range(3):
        task = asyncio.ensure_future(opened())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("index")]
    async with Index.open(path, clock=clock) as index:
        assert await index.check() == []


async def test_a_reader_reads_what_was_committed_while_a_writer_writes(index: Index, path: Path, clock: ManualClock) -> None:
    await index.lacking([clip(1), clip(2)], [NAS], name)
    async with Index.open(path, clock=clock, read_only=True) as reader:
        async with held_up(index):
            assert (await reader.summary([NAS])).sinks[0].pending == 2
            async with Index.open(path, clock=clock, read_only=True) as another:
                assert [standing.clip async for standing in another.clips()] == [clip(1), clip(2)]
        await index.record(copy(clip(1), NAS))
        (nas,) = (await reader.summary([NAS])).sinks
        assert (nas.stored, nas.pending) == (1, 2)


async def test_a_listing_goes_on_while_clips_are_stored(index: Index, path: Path, clock: ManualClock) -> None:
    clips = [clip(number) for number in range(1200)]
    await index.lacking(clips, [NAS], name)
    async with Index.open(path, clock=clock, read_only=True) as reader:
        listed = reader.clips([NAS])
        seen = [(await anext(listed)).clip]
        await asyncio.gather(*(index.record(copy(one, NAS)) for one in clips))
        seen += [standing.clip async for standing in listed]
    assert seen == clips


async def test_a_reader_changes_nothing(index: Index, path: Path, clock: ManualClock) -> None:
    await index.lacking([clip(1)], [NAS], name)
    await index.record(copy(clip(1), NAS))
    async with Index.open(path, clock=clock, read_only=True) as reader:
        assert reader.archive_id == index.archive_id
        assert await reader.lacking([clip(1), clip(2)], [NAS], name) == [
            None,
            Standing(clip=clip(2), key=name(clip(2)), lacking=(Need(sink=NAS),)),
        ]
        assert await reader.lacking([clip(1), clip(2)], [NAS, CLOUD], name) == [
            Standing(clip=clip(1), key=name(clip(1)), lacking=(Need(sink=CLOUD),), held=(copy(clip(1), NAS),)),
            Standing(clip=clip(2), key=name(clip(2)), lacking=(Need(sink=NAS), Need(sink=CLOUD))),
        ]
        assert [standing.clip for standing in await reader.pending([NAS, CLOUD])] == [clip(1)]
        assert len(await reader.backlog([NAS, CLOUD])) == 1
        nas, cloud = (await reader.summary([NAS, CLOUD])).sinks
        assert (nas.stored, cloud.pending, cloud.oldest_lacking) == (1, 1, clip(1).recorded_at)
        assert [(lack.sink, lack.clips) for lack in await reader.reasons([NAS, CLOUD])] == [(CLOUD, 1)]
        with pytest.raises(ArchiveError, match="readonly"):
            await reader.keep_sink_id(NAS, "one")
    assert (await index.summary([NAS])).clips == 1
