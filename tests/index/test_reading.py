"""What the index tells of the archive: pages, sums, listings and runs."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from blinkarchive.clock import ManualClock
from blinkarchive.errors import ArchiveError
from blinkarchive.index import Index, Lack, Listing, SinkSummary
from blinkarchive.index.history import KILLED, RUNS_KEPT
from blinkarchive.index.index import PAGE
from blinkarchive.interfaces import Unreadable
from blinkarchive.model import (
    Clip,
    ClipId,
    Key,
    Need,
    Outcome,
    Result,
    RunReport,
    SinkName,
    SourceName,
    Standing,
    State,
    Subject,
    Tally,
    Trouble,
)
from tests.index.facts import CLOUD, NAS, T0, THIRD, clip, copy, listening, name

BOTH = (NAS, CLOUD)


async def stored(index: Index, clips: Iterable[Clip], *sinks: SinkName) -> None:
    await asyncio.gather(*(index.record(copy(one, sink)) for one in clips for sink in sinks))


# Pages


async def test_the_backlog_is_what_one_sink_can_feed_to_another_oldest_first(index: Index) -> None:
    await index.lacking([clip(number) for number in (4, 2, 3, 1, 5)], BOTH, name)
    await stored(index, [clip(2)], NAS)
    await stored(index, [clip(1)], CLOUD)
    await stored(index, [clip(4)], NAS, CLOUD)
    await stored(index, [clip(3)], NAS)
    await index.failed(clip(3).id, CLOUD, "offline", counts=False)
    assert await index.backlog(BOTH) == [
        Standing(clip=clip(1), key=name(clip(1)), lacking=(Need(sink=NAS),), held=(copy(clip(1), CLOUD),)),
        Standing(clip=clip(2), key=name(clip(2)), lacking=(Need(sink=CLOUD),), held=(copy(clip(2), NAS),)),
        Standing(clip=clip(3), key=name(clip(3)), lacking=(Need(sink=CLOUD, reason="offline"),), held=(copy(clip(3), NAS),)),
    ]


async def test_a_sink_that_was_not_asked_about_feeds_nobody(index: Index) -> None:
    await index.lacking([clip(1)], BOTH, name)
    await stored(index, [clip(1)], CLOUD)
    assert await index.backlog([NAS, THIRD]) == []


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
async def test_pages_follow_each_other_without_gap_or_repetition(index: Index, limit: int) -> None:
    clips = [clip(number, recorded_at=T0 + timedelta(seconds=number % 4)) for number in range(20)]
    await index.lacking(clips, [NAS, CLOUD, THIRD], name)
    await stored(index, clips[::2], NAS)
    await stored(index, clips[::3], CLOUD)
    seen: list[Clip] = []
    after: ClipId | None = None
    while page := await index.pending(BOTH, after=after, limit=limit):
        assert len(page) <= limit
        seen += [standing.clip for standing in page]
        after = page[-1].clip.id
    lacked = [one for number, one in enumerate(clips) if number % 2 or number % 3]
    assert seen == sorted(lacked, key=lambda one: (one.recorded_at, int(one.id.rpartition(":")[2])))


async def test_clips_are_listed_in_the_order_of_recording_through_every_page(index: Index) -> None:
    clips = [clip(number) for number in range(PAGE * 2 + 3)]
    await index.lacking(clips[::-1], [NAS], name)
    assert [standing.clip async for standing in index.clips()] == clips


async def test_a_listing_of_all_clips_holds_one_page_at_a_time(index: Index) -> None:
    await index.lacking([clip(number) for number in range(PAGE * 3)], [NAS], name)
    with listening() as heard:
        listed = index.clips()
        await anext(listed)
        assert len(heard.questions) == 1
        assert [standing async for standing in listed][-1].clip == clip(PAGE * 3 - 1)


async def test_clips_are_chosen_by_account_source_camera_and_time(index: Index) -> None:
    clips = [
        clip(0),
        clip(1, camera="Porch"),
        clip(2, account="office"),
        clip(3, source=SourceName.SYNC_MODULE, camera_id=None),
        clip(4, camera="Shed"),
    ]
    await index.lacking(clips, [NAS], name)

    async def chosen(**choice: object) -> list[Clip]:
        return [standing.clip async for standing in index.clips([NAS], **choice)]  # type: ignore[arg-type]  # as given below

    assert await chosen() == clips
    assert await chosen(accounts=["office"]) == [clips[2]]
    assert await chosen(sources=[SourceName.SYNC_MODULE]) == [clips[3]]
    assert await chosen(cameras=["Porch", "Shed"]) == [clips[1], clips[4]]
    assert await chosen(since=clips[1].recorded_at, until=clips[3].recorded_at) == clips[1:3]
    assert await chosen(cameras=["porch"]) == []


async def test_standings_of_unknown_clips_are_left_out(index: Index) -> None:
    await index.lacking([clip(1)], [NAS], name)
    known = await index.standings([clip(2).id, clip(1).id], [NAS])
    assert [standing.clip for standing in known] == [clip(1)]


async def test_nothing_reads_the_whole_archive_to_find_what_is_left_to_do(index: Index, path: Path, clock: ManualClock) -> None:
    clips = [clip(number) for number in range(50)]
    await index.lacking(clips, BOTH, name)
    await stored(index, clips, *BOTH)
    with listening() as heard:
        await index.lacking([*clips, clip(60)], BOTH, name)
        await index.standings([clip(1).id], BOTH)
        for after in (None, clip(3).id):
            await index.backlog(BOTH, after=after)
            await index.pending(BOTH, after=after)
        await index.reasons(BOTH)
        await index.given_up(BOTH)
        await index.unstored("home", SourceName.CLOUD, BOTH)
        await index.uncatalogued(NAS)
        await index.catalogued(NAS, [clip(1).id], Key("catalog/1.jsonl"))
        await index.record(copy(clip(60), NAS))
        await index.failed(clip(60).id, CLOUD, "offline", counts=True)
        [standing async for standing in index.clips(BOTH, since=clip(40).recorded_at)]
    asked = {
        sql: values for sql, values in heard.statements if sql.startswith(("SELECT", "UPDATE")) and "count(*), min" not in sql
    }
    assert len(asked) > 12
    with sqlite3.connect(path) as connection:
        for sql, values in asked.items():
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
            assert not [step for step in plan if step in ("SCAN clip", "SCAN copy")], (sql, plan)
    connection.close()


# Sums


async def test_every_clip_is_in_one_state_with_trusted(index: Index, clock: ManualClock) -> None:
    clips = [clip(number) for number in range(6)]
    await index.lacking(clips, BOTH, name)
    await stored(index, clips[:2], NAS)
    for _ in range(10):
        await index.failed(clips[2].id, NAS, "cut short", counts=True)
    await index.failed(clips[3].id, NAS, "cut short", counts=True)
    await index.exclude(clips[4].id, NAS, "not wanted")
    summary = await index.summary(BOTH)
    assert (summary.clips, summary.oldest, summary.newest) == (6, clips[0].recorded_at, clips[5].recorded_at)
    nas, cloud = summary.sinks
    assert nas == SinkSummary(
        sink=NAS, stored=2, pending=1, failed=1, gave_up=1, excluded=1, bytes=2000, oldest_lacking=clips[2].recorded_at
    )
    assert cloud == SinkSummary(sink=CLOUD, pending=6, oldest_lacking=clips[0].recorded_at)
    assert (nas.lacking, cloud.lacking) == (3, 6)
    assert await index.given_up(BOTH) == {NAS: 1}
    assert await index.reasons(BOTH) == [
        Lack(sink=CLOUD, state=State.PENDING, reason="", clips=6, oldest=clips[0].recorded_at),
        Lack(sink=NAS, state=State.FAILED, reason="cut short", clips=1, oldest=clips[3].recorded_at),
        Lack(sink=NAS, state=State.GAVE_UP, reason="cut short", clips=1, oldest=clips[2].recorded_at),
        Lack(sink=NAS, state=State.PENDING, reason="", clips=1, oldest=clips[5].recorded_at),
    ]


async def test_an_archive_without_clips_has_a_summary(index: Index) -> None:
    summary = await index.summary([NAS])
    assert (summary.clips, summary.oldest, summary.newest) == (0, None, None)
    assert summary.sinks == (SinkSummary(sink=NAS),)
    assert await index.reasons([NAS]) == []


# Catalogues and sinks


async def test_a_copy_is_uncatalogued_until_a_catalogue_lists_it(index: Index) -> None:
    clips = [clip(number) for number in range(5)]
    await index.lacking(clips, BOTH, name)
    await stored(index, clips[:3], *BOTH)
    pairs = await index.uncatalogued(NAS, limit=2)
    assert pairs == [(one, copy(one, NAS)) for one in clips[:2]]
    await index.catalogued(NAS, [one.id for one, _ in pairs], Key("catalog/1.jsonl"))
    assert await index.uncatalogued(NAS) == [(clips[2], copy(clips[2], NAS))]
    assert len(await index.uncatalogued(CLOUD)) == 3
    await index.catalogued(NAS, [one.id for one in clips], Key("catalog/2.jsonl"))
    assert await index.uncatalogued(NAS) == []
    await stored(index, clips[3:4], NAS)
    assert await index.uncatalogued(NAS) == [(clips[3], copy(clips[3], NAS))]


async def test_a_sink_is_known_by_its_marker(index: Index) -> None:
    assert await index.sink_id(NAS) is None
    await index.lacking([clip(1)], [NAS], name)
    assert await index.sink_id(NAS) is None
    await index.keep_sink_id(NAS, "one")
    await index.keep_sink_id(CLOUD, "two")
    await index.keep_sink_id(NAS, "three")
    assert (await index.sink_id(NAS), await index.sink_id(CLOUD)) == ("three", "two")


# Listings


async def test_a_full_listing_is_remembered_beside_the_last_one(index: Index) -> None:
    assert await index.listing("home", SourceName.CLOUD) is None
    await index.listed("home", SourceName.CLOUD, started_at=T0, full=True)
    later = T0 + timedelta(minutes=5)
    await index.listed("home", SourceName.CLOUD, started_at=later, full=False)
    await index.listed("home", SourceName.SYNC_MODULE, started_at=later, full=False)
    first = Listing(account="home", source=SourceName.CLOUD, complete_at=later, full_at=T0)
    assert await index.listing("home", SourceName.CLOUD) == first
    assert await index.listings() == [
        first,
        Listing(account="home", source=SourceName.SYNC_MODULE, complete_at=later, full_at=None),
    ]


async def test_an_unreadable_item_is_kept_once_and_counted(index: Index, clock: ManualClock) -> None:
    started = clock.now()
    bad = Unreadable(item="7", reason="no time", raw='{"id": 7}')
    await index.unreadable("home", SourceName.CLOUD, [bad, Unreadable(item="", reason="no id", raw="{}")])
    clock.advance(60)
    await index.unreadable("home", SourceName.CLOUD, [Unreadable(item="7", reason="no zone", raw="{}")])
    await index.unreadable("home", SourceName.CLOUD, [Unreadable(item="", reason="no id", raw="{}")])
    await index.unreadable("home", SourceName.CLOUD, [Unreadable(item="", reason="no id", raw="[]")])
    found = {(seen.unreadable.raw, seen.unreadable.reason): seen for seen in await index.unreadables()}
    assert {key: seen.times for key, seen in found.items()} == {("{}", "no zone"): 2, ("{}", "no id"): 2, ("[]", "no id"): 1}
    seven = found["{}", "no zone"]
    assert (seven.unreadable.item, seven.first_seen, seven.last_seen) == ("7", started, clock.now())


async def test_an_unreadable_item_is_forgotten_long_after_it_was_last_seen(index: Index, clock: ManualClock) -> None:
    old, new = (Unreadable(item=item, reason="no time", raw="{}") for item in ("old", "new"))
    await index.unreadable("home", SourceName.CLOUD, [old])
    clock.advance(91 * 86400)
    await index.unreadable("home", SourceName.CLOUD, [new])
    assert [seen.unreadable.item for seen in await index.unreadables()] == ["new"]


# Runs


def report(number: int, **facts: object) -> RunReport:
    given: dict[str, object] = {
        "run": f"{number:06}-abcd",
        "started_at": T0 + timedelta(minutes=number),
        "total": Tally(listed=3, known=1, stored=1, failed=1),
        "seconds": 2.5,
    }
    return RunReport(**(given | facts))  # type: ignore[arg-type]  # the tests give what the fields want


async def test_a_report_comes_back_as_it_was(index: Index) -> None:
    full = report(
        1,
        accounts={"home": Tally(listed=1, known=1)},
        sources={SourceName.SYNC_MODULE: Tally(bytes=10**12)},
        sinks={NAS: Tally(stored=1), CLOUD: Tally(failed=1)},
        excluded={"no video": 3},
        troubles=(Trouble(where="sink cloud", what="offline: “très” far"),),
        complete=False,
        stopped=True,
        login_needed=("home",),
    )
    await index.finished(full)
    await index.finished(report(2))
    assert await index.last_runs(5) == [report(2), full]
    assert await index.last_runs(1) == [report(2)]


async def test_only_so_many_reports_are_kept(index: Index) -> None:
    await asyncio.gather(*(index.finished(report(number)) for number in range(RUNS_KEPT + 5)))
    runs = await index.last_runs(RUNS_KEPT + 5)
    assert (len(runs), runs[0], runs[-1]) == (RUNS_KEPT, report(RUNS_KEPT + 4), report(5))


HOME, OFFICE = (Subject.account(account, SourceName.CLOUD) for account in ("home", "office"))
HOME_STICKS = Subject.account("home", SourceName.SYNC_MODULE)


def outcomes(*good: Subject, bad: dict[Subject, Outcome] | None = None) -> tuple[Outcome, ...]:
    return (*(Outcome(subject=subject) for subject in good), *(bad or {}).values())


async def test_each_source_of_an_account_and_each_sink_has_good_runs_of_its_own(index: Index) -> None:
    all_ = (HOME, HOME_STICKS, OFFICE, Subject.sink(NAS), Subject.sink(CLOUD))
    away = Outcome(subject=Subject.sink(CLOUD), result=Result.FAILED, reason="offline")
    refused = Outcome(subject=OFFICE, result=Result.SIGN_IN, reason="sign in again")
    await index.finished(report(1, outcomes=outcomes(*all_)))
    await index.finished(report(2, outcomes=(*outcomes(HOME, HOME_STICKS, Subject.sink(NAS)), away, refused), complete=False))
    await index.finished(report(3, outcomes=(*outcomes(HOME), replace(refused, reason="still")), complete=False))
    await index.finished(report(4, stopped=True))
    first, second, third = (T0 + timedelta(minutes=number, seconds=2.5) for number in (1, 2, 3))
    known = await index.outcomes()
    assert {subject: last.good_at for subject, last in known.items()} == {
        HOME: third,
        HOME_STICKS: second,
        OFFICE: first,
        Subject.sink(NAS): second,
        Subject.sink(CLOUD): first,
    }
    assert (known[OFFICE].outcome.reason, known[OFFICE].since, known[OFFICE].ended_at) == ("still", second, third)
    assert (known[HOME].since, known[Subject.sink(CLOUD)].since) == (None, second)


async def test_a_run_that_began_and_never_ended_is_kept_as_a_crash(index: Index) -> None:
    await index.began("a", [HOME, Subject.sink(NAS)], started_at=T0)
    await index.began("b", [Subject.sink(NAS)], started_at=T0 + timedelta(minutes=1))
    await index.began("c", [], started_at=T0)
    await index.finished(replace(report(5), run="b"))
    await index.dropped("c")
    [killed] = await index.left_over()
    assert (killed.run, killed.crashed, killed.ended) == ("a", KILLED, "crashed")
    assert killed.outcomes == (Outcome(subject=HOME, result=Result.CRASHED, reason=KILLED),), "the sink is not to blame"
    await index.finished(killed)
    assert await index.left_over() == []
    assert (await index.outcomes())[HOME].outcome.result is Result.CRASHED


# Dismissals


async def test_a_dismissed_clip_is_missing_nowhere_not_even_in_a_sink_that_comes_later(index: Index) -> None:
    await index.lacking([clip(1), clip(2)], BOTH, name)
    await stored(index, [clip(1)], CLOUD)
    await index.failed(clip(1).id, NAS, "bad", counts=True)
    assert await index.dismiss([clip(1).id]) == {clip(1).id: [NAS]}
    assert [standing.clip.id for standing in await index.pending(BOTH)] == [clip(2).id]
    assert await index.lacking([clip(1)], BOTH, name) == [None]
    assert [standing.clip.id for standing in await index.pending([*BOTH, THIRD])] == [clip(2).id]
    assert await index.dismissed() == {clip(1).id: {NAS, THIRD}}
    assert await index.failed(clip(1).id, NAS, "again", counts=True) is State.EXCLUDED


async def test_a_dismissal_is_undone_and_the_clip_is_as_one_that_was_never_tried(index: Index) -> None:
    await index.lacking([clip(1)], BOTH, name)
    for _ in range(10):
        await index.failed(clip(1).id, NAS, "bad", counts=True)
    assert [one.clip.id for one in await index.given_up_clips(BOTH)] == [clip(1).id]
    assert await index.dismiss([name(clip(1))]) == {clip(1).id: [NAS, CLOUD]}, "by its key"
    assert await index.given_up_clips(BOTH) == []
    assert await index.dismiss([clip(1).id]) == {clip(1).id: []}, "it is dismissed already"
    assert await index.dismiss([clip(1).id], undo=True) == {clip(1).id: [NAS, CLOUD]}
    [standing] = await index.pending(BOTH)
    assert standing.lacking == (Need(sink=NAS), Need(sink=CLOUD))
    assert await index.dismissed() == {}


async def test_to_dismiss_what_is_not_known_changes_nothing(index: Index) -> None:
    await index.lacking([clip(1)], BOTH, name)
    with pytest.raises(ArchiveError, match=r"does not know cloud:x:1, y; nothing was changed"):
        await index.dismiss([clip(1).id, "cloud:x:1", "y"])
    assert await index.dismissed() == {}
