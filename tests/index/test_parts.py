"""What the index keeps of the parts of sources: when each was listed to its end, what is wrong with it, and since when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from blinkarchive.clock import ManualClock
from blinkarchive.index import Index
from blinkarchive.index.facts import SeenPart
from blinkarchive.interfaces import Part
from blinkarchive.model import SourceName

STICK = Part(scope="local:home:1:2:", name='sync module "Hall"')
AWAY = replace(STICK, trouble="its stick was ejected")


async def hear(index: Index, part: Part, clock: ManualClock) -> SeenPart:
    return await index.heard_of("home", SourceName.SYNC_MODULE, part, started_at=clock.now() - timedelta(seconds=5))


async def test_a_trouble_has_the_time_it_began_and_the_last_whole_listing_stays_known(index: Index, clock: ManualClock) -> None:
    listed_at = (await hear(index, STICK, clock)).listed_at
    assert listed_at == clock.now() - timedelta(seconds=5)
    clock.advance(60)
    began = clock.now()
    await hear(index, AWAY, clock)
    clock.advance(60)
    seen = await hear(index, replace(AWAY, trouble="it has no stick"), clock)
    assert (seen.listed_at, seen.trouble_since, seen.seen_at) == (listed_at, began, clock.now())
    assert [seen] == await index.parts()
    clock.advance(60)
    seen = await hear(index, STICK, clock)
    assert (seen.part.trouble, seen.trouble_since, seen.listed_at) == ("", None, clock.now() - timedelta(seconds=5))


async def test_how_long_clips_are_kept_stays_known_until_something_else_is_said(index: Index, clock: ManualClock) -> None:
    await hear(index, replace(STICK, keeps=timedelta(days=30)), clock)
    assert (await hear(index, AWAY, clock)).part.keeps == timedelta(days=30)
    assert (await hear(index, replace(STICK, keeps=timedelta(days=7)), clock)).part.keeps == timedelta(days=7)


async def test_a_part_that_was_never_listed_has_no_time_of_listing(index: Index, clock: ManualClock) -> None:
    assert (await hear(index, AWAY, clock)).listed_at is None


async def test_a_part_that_nobody_hears_of_any_more_is_forgotten_after_90_days(index: Index, clock: ManualClock) -> None:
    await hear(index, STICK, clock)
    clock.advance(89 * 86400)
    other = replace(STICK, scope="local:home:1:3:")
    await hear(index, other, clock)
    assert len(await index.parts()) == 2
    clock.advance(2 * 86400)
    assert [seen.part.scope for seen in [await hear(index, other, clock)]] == ["local:home:1:3:"]
    assert [seen.part.scope for seen in await index.parts()] == ["local:home:1:3:"]
