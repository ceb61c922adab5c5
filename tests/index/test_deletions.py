"""What the index knows of deletions: what may be deleted, what was to be, and what is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex

from blinkarchive.clock import ManualClock
from blinkarchive.errors import ArchiveError
from blinkarchive.index import Index, schema
from blinkarchive.model import Clip, ClipId, Copy, Key, RunReport, SinkName, SourceName, Tally
from tests.index.facts import CLOUD, NAS, T0, THIRD, clip, copy, listening, name

BOTH = (NAS, CLOUD)
STORED = T0 + timedelta(days=1)
STICK = SourceName.SYNC_MODULE


async def stored(index: Index, clips: Sequence[Clip], *sinks: SinkName, catalogued: bool = True) -> None:
    await index.lacking(clips, BOTH, name)
    for one in clips:
        for sink in sinks:
            await index.record(copy(one, sink))
    if catalogued:
        for sink in sinks:
            await index.catalogued(sink, [one.id for one in clips], Key("catalog/x.jsonl"))


async def ripe(index: Index, *clips: Clip, sinks: Sequence[SinkName] = BOTH, late: int = 0) -> list[ClipId]:
    """The clips that are ripe for who waits so many seconds longer than they have been stored."""
    found = await index.ripe([one.id for one in clips], sinks, stored_before=STORED - timedelta(seconds=late))
    return [standing.clip.id for standing in found]


def copies(one: Clip, *sinks: SinkName) -> tuple[Copy, ...]:
    return tuple(copy(one, sink) for sink in sinks)


async def open_ids(index: Index, source: SourceName = SourceName.CLOUD) -> list[ClipId]:
    return [deletion.clip.id for deletion in await index.open_deletions("home", source)]


# What may be deleted


async def test_what_trusted_holds_and_has_catalogued_is_ripe_oldest_first(index: Index) -> None:
    await stored(index, [clip(2), clip(1)], *BOTH)
    (first, second) = await index.ripe([clip(2).id, clip(1).id], BOTH, stored_before=STORED)
    assert (first.clip, second.clip) == (clip(1), clip(2))
    assert first.held == copies(clip(1), *BOTH)
    assert first.lacking == ()


async def test_what_one_sink_lacks_is_not_ripe(index: Index) -> None:
    await stored(index, [clip(1)], NAS)
    assert await ripe(index, clip(1)) == []
    assert await ripe(index, clip(1), sinks=[NAS]) == [clip(1).id]
    await stored(index, [clip(1)], CLOUD)
    assert await ripe(index, clip(1)) == [clip(1).id]
    assert await ripe(index, clip(1), sinks=[*BOTH, THIRD]) == [], "a sink that was added lacks it"


async def test_without_sinks_nothing_is_ripe(index: Index) -> None:
    await stored(index, [clip(1)], *BOTH)
    assert await ripe(index, clip(1), sinks=[]) == []


async def test_what_no_catalogue_lists_is_not_ripe(index: Index) -> None:
    await stored(index, [clip(1)], *BOTH, catalogued=False)
    assert await ripe(index, clip(1)) == []
    await index.catalogued(NAS, [clip(1).id], Key("catalog/x.jsonl"))
    assert await ripe(index, clip(1)) == []


async def test_the_copy_that_was_stored_last_counts(index: Index) -> None:
    await stored(index, [clip(1)], *BOTH)
    assert await ripe(index, clip(1), late=1) == []
    await index.record(copy(clip(1), CLOUD, size=7, stored_at=STORED + timedelta(seconds=1)))
    await index.catalogued(CLOUD, [clip(1).id], Key("catalog/y.jsonl"))
    assert await ripe(index, clip(1)) == []
    assert await ripe(index, clip(1), late=-1) == [clip(1).id]


async def test_a_copy_that_a_wrong_clock_made_older_than_its_clip_is_never_old_enough(index: Index) -> None:
    await index.lacking([clip(1), clip(2)], BOTH, name)
    for one, hours in ((clip(1), 1), (clip(2), 1.1)):
        for sink in BOTH:
            await index.record(copy(one, sink, stored_at=one.recorded_at - timedelta(hours=hours)))
            await index.catalogued(sink, [one.id], Key("catalog/x.jsonl"))
    assert await ripe(index, clip(1), clip(2)) == [clip(1).id]


async def test_what_was_lost_or_left_out_is_not_ripe(index: Index) -> None:
    await stored(index, [clip(1), clip(2)], *BOTH)
    await index.lost(clip(1).id, NAS, "gone")
    await index.lost(clip(2).id, NAS, "gone")
    await index.exclude(clip(2).id, NAS, "not wanted")
    assert await ripe(index, clip(1), clip(2)) == []


async def test_a_stick_clip_that_had_an_equal_one_beside_it_is_not_ripe(index: Index) -> None:
    """The other may have taken over its id."""
    one = clip(1, id=ClipId("local:home:11:5:Porch:2026-01-01T00:01:00Z"), source=STICK)
    await stored(index, [one], *BOTH)
    assert await ripe(index, one) == [one.id]
    await index.lacking([replace(one, id=ClipId(f"{one.id}:2"))], BOTH, name)
    assert await ripe(index, one) == []


async def test_a_page_is_one_question(index: Index) -> None:
    page = [clip(number) for number in range(500)]
    await stored(index, page, *BOTH)
    with listening() as heard:
        assert len(await ripe(index, *page)) == 500
    assert len(heard.questions) == 1
    assert heard.changes == []


async def test_to_read_only_is_enough_to_know_what_is_ripe(path: Path, clock: ManualClock) -> None:
    async with Index.open(path, clock=clock) as index:
        await stored(index, [clip(1)], *BOTH)
    async with Index.open(path, clock=clock, read_only=True) as index:
        assert await ripe(index, clip(1)) == [clip(1).id]
        assert await ripe(index, clip(1), sinks=[*BOTH, THIRD]) == []


# What was intended, and what became of it


async def test_an_intent_is_open_with_all_that_was_verified_until_it_is_confirmed(index: Index, clock: ManualClock) -> None:
    await stored(index, [clip(1)], *BOTH)
    assert await index.intend(clip(1).id, copies(clip(1), *BOTH))
    (deletion,) = await index.open_deletions("home", SourceName.CLOUD)
    assert deletion.clip == clip(1)
    assert deletion.copies == copies(clip(1), *BOTH)
    assert (deletion.asked_at, deletion.tries, deletion.accepted) == (clock.now(), 1, 0)
    assert (deletion.outcome, deletion.confirmed_at) == ("", None)
    await index.answered(clip(1).id, "accepted", accepted=True)
    clock.advance(86400)
    assert await index.confirm([clip(1).id]) == 1
    assert await index.confirm([clip(1).id]) == 0
    assert await open_ids(index) == []
    (deletion,) = [each async for each in index.deletions()]
    assert (deletion.accepted, deletion.outcome, deletion.confirmed_at) == (1, "accepted", clock.now())
    (standing,) = await index.standings([clip(1).id], BOTH)
    assert len(standing.held) == 2, "what is deleted at its source stays in the archive"


async def test_deletions_of_another_account_or_source_are_not_a_sources_own(index: Index) -> None:
    stick = clip(2, id=ClipId("local:home:1:1:P:2"), source=STICK)
    await stored(index, [clip(1), stick, clip(3, account="cabin")], *BOTH)
    for one in (clip(1), stick, clip(3, account="cabin")):
        assert await index.intend(one.id, copies(one, *BOTH))
    assert await open_ids(index) == [clip(1).id]
    assert await open_ids(index, STICK) == [stick.id]


async def test_only_the_copies_that_the_index_knows_are_good_for_an_intent(index: Index) -> None:
    await stored(index, [clip(1)], *BOTH)
    for wrong in (
        [],
        [copy(clip(1), NAS, size=1), copy(clip(1), CLOUD)],
        [copy(clip(1), NAS, sha256="cd" * 32), copy(clip(1), CLOUD)],
        [copy(clip(1), NAS), copy(clip(1), THIRD)],
    ):
        assert not await index.intend(clip(1).id, wrong)
    await index.lost(clip(1).id, NAS, "gone meanwhile")
    assert not await index.intend(clip(1).id, copies(clip(1), *BOTH))
    assert await open_ids(index) == []
    with pytest.raises(ArchiveError, match="does not know"):
        await index.intend(clip(9).id, copies(clip(9), NAS))


async def test_a_second_try_is_counted_and_is_open_again(index: Index, clock: ManualClock) -> None:
    await stored(index, [clip(1)], *BOTH)
    await index.intend(clip(1).id, copies(clip(1), *BOTH))
    await index.answered(clip(1).id, "accepted", accepted=True)
    await index.confirm([clip(1).id])
    clock.advance(10)
    assert await index.intend(clip(1).id, copies(clip(1), *BOTH))
    (deletion,) = await index.open_deletions("home", SourceName.CLOUD)
    assert (deletion.tries, deletion.accepted, deletion.outcome, deletion.asked_at) == (2, 1, "", clock.now())


async def test_after_three_that_were_accepted_a_clip_rests_for_a_day(index: Index, clock: ManualClock) -> None:
    await stored(index, [clip(1)], *BOTH)
    for number in range(3):
        assert await ripe(index, clip(1)) == [clip(1).id], number
        await index.intend(clip(1).id, copies(clip(1), *BOTH))
        await index.answered(clip(1).id, "accepted", accepted=True)
        clock.advance(60)
    assert await ripe(index, clip(1)) == []
    clock.advance(86400)
    assert await ripe(index, clip(1)) == [clip(1).id]


async def test_what_was_refused_does_not_rest(index: Index) -> None:
    await stored(index, [clip(1)], *BOTH)
    for _ in range(5):
        await index.intend(clip(1).id, copies(clip(1), *BOTH))
        await index.answered(clip(1).id, "HTTP 500", accepted=False)
    assert await ripe(index, clip(1)) == [clip(1).id]


async def test_deletions_are_never_forgotten_and_come_in_pages(index: Index, clock: ManualClock) -> None:
    page = [clip(number) for number in range(700)]
    await stored(index, page, *BOTH)
    for one in reversed(page):
        await index.intend(one.id, copies(one, *BOTH))
    await index.confirm([one.id for one in page])
    clock.advance(10 * 365 * 86400)
    await index.finished(RunReport(run="r", started_at=clock.now(), total=Tally()))
    assert [deletion.clip.id async for deletion in index.deletions()] == [one.id for one in page]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_both_engines_look_for_open_deletions_in_an_index_of_them_alone(engine: str) -> None:
    dialect = sa.make_url(f"{engine}://").get_dialect()()
    (made,) = schema.tables_for(engine).tables["deletion"].indexes
    assert str(CreateIndex(made).compile(dialect=dialect)).endswith("(clip) WHERE confirmed_at IS NULL")


# Reports


REPORT = msgspec.json.decode(b'{"run":"20260101T000000Z-abcd","started_at":"2026-01-01T00:00:00Z","total":{}}', type=RunReport)


def test_a_report_that_knew_nothing_of_deletions_is_read_as_one_without_any() -> None:
    assert (REPORT.deleted, REPORT.deletions_confirmed, REPORT.deletions_failed, REPORT.would_delete) == (0, 0, 0, ())
