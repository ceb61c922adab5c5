"""Twins in a run: with `skip_twins` the cloud comes first, and a stick's clip is left to a twin that every sink holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from blinkarchive import ClipId, SinkName, SourceName
from blinkarchive.errors import BadClip, ListingIncomplete
from blinkarchive.interfaces import Batch, ClipRef
from blinkarchive.pipeline.archive import Ask
from tests.pipeline.fakes import MemorySink, film, found
from tests.pipeline.test_archive import House, Listing, always, failing, tally

STICK = SourceName.SYNC_MODULE


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, skip_twins=True)


def on_stick(number: int, *, opened: list[int] | None = None, seconds: int = 1) -> ClipRef:
    """The twin of clip `number`, with bytes of its own."""
    ref = found(number, film(1000 + number), opened=opened)
    at = ref.clip.recorded_at + timedelta(seconds=seconds)
    return replace(ref, clip=replace(ref.clip, id=ClipId(f"local:home:1:5:Porch:{number}"), source=STICK, recorded_at=at))


class Slow(Listing):
    """A cloud that takes its time."""

    async def discover(self, since: datetime) -> AsyncIterator[Batch]:
        await asyncio.sleep(0.05)
        async for batch in super().discover(since):
            await asyncio.sleep(0.01)
            yield batch


async def test_without_the_option_both_twins_are_kept(house: House) -> None:
    house.skip_twins = False
    report = await house.run(Listing(found(1)), Listing(on_stick(1), name=STICK))
    assert tally(report) == (2, 0, 2, 0, 0, 0)
    assert house.sinks["nas"].clips == {film(1), film(1001)}


async def test_with_it_the_cloud_comes_first_and_its_twins_are_not_uploaded(house: House) -> None:
    house.sinks["offsite"] = MemorySink()
    opened: list[int] = []
    for run in range(2):
        cloud = Slow(*(found(n) for n in range(30)), size=5)
        report = await house.run(Listing(*(on_stick(n, opened=opened) for n in range(35)), name=STICK), cloud)
        stored, known = (35, 0) if run == 0 else (0, 35)
        assert tally(report) == (65, known, stored, 0, 0, 30)
        assert report.excluded == {"twin": 30}
        assert report.sources[STICK].excluded == 30
        assert report.sinks[SinkName("nas")].excluded == 30
    assert sorted(opened) == list(range(30, 35)), "those without a twin"
    assert len(house.sinks["nas"].clips) == len(house.sinks["offsite"].clips) == 35


async def test_a_twin_that_is_not_stored_everywhere_stands_for_nothing(house: House) -> None:
    report = await house.run(Listing(failing(1, always(BadClip("cut")))), Listing(on_stick(1), name=STICK))
    assert tally(report) == (2, 0, 1, 1, 0, 0)
    assert house.sinks["nas"].clips == {film(1001)}


async def test_a_cloud_that_could_not_be_listed_costs_no_stick_clip(house: House) -> None:
    report = await house.run(Listing(error=ListingIncomplete("500")), Listing(on_stick(1), name=STICK))
    assert tally(report) == (1, 0, 1, 0, 0, 0)


async def test_what_is_stored_of_both_stays_and_counts_as_known(house: House) -> None:
    house.skip_twins = False
    await house.run(Listing(found(1)), Listing(on_stick(1), name=STICK))
    house.skip_twins = True
    report = await house.run(Listing(found(1)), Listing(on_stick(1), name=STICK))
    assert tally(report) == (2, 2, 0, 0, 0, 0)
    assert house.sinks["nas"].clips == {film(1), film(1001)}


@pytest.mark.parametrize("why", ["option off", "doubtful", "copy lost"])
async def test_it_is_archived_after_all_when_its_twin_stands_for_it_no_more(house: House, why: str) -> None:
    cloud, stick = [found(1)], Listing(on_stick(1), name=STICK)
    await house.run(Listing(*cloud), stick)
    assert house.sinks["nas"].clips == {film(1)}
    match why:
        case "option off":
            house.skip_twins = False
        case "doubtful":
            cloud.append(replace(found(2), clip=replace(found(2).clip, recorded_at=cloud[0].clip.recorded_at)))
        case "copy lost":
            async with house.index() as index:
                await index.lost(cloud[0].clip.id, SinkName("nas"), "gone")
            cloud.clear()
    report = await house.run(Listing(*cloud), stick)
    assert report.sources[STICK].stored == 1
    assert film(1001) in house.sinks["nas"].clips


async def test_a_sink_that_is_new_gets_the_twins_first_and_nothing_is_uploaded_for_it(house: House) -> None:
    cloud, stick = [found(n) for n in range(5)], [on_stick(n) for n in range(5)]
    await house.run(Listing(*cloud), Listing(*stick, name=STICK))
    house.sinks["new"] = MemorySink()
    report = await house.run(Listing(), Listing(*stick, name=STICK))
    assert report.sources[STICK].excluded == 5
    assert house.sinks["new"].clips == {film(n) for n in range(5)}


async def test_a_dry_run_tells_twins_apart_and_changes_nothing(house: House) -> None:
    await house.run(Listing(found(1), found(2)), Listing(on_stick(1), name=STICK))
    report = await house.run(Listing(found(1)), Listing(on_stick(1), on_stick(7), name=STICK), ask=Ask(dry_run=True))
    assert tally(report) == (3, 1, 0, 0, 0, 2)
    assert report.excluded == {"twin": 1, "dry run": 1}
    house.skip_twins = False
    report = await house.run(Listing(), Listing(on_stick(1), name=STICK), ask=Ask(dry_run=True))
    assert report.excluded == {"twin": 1}, "what is not stored is not called known"


async def test_what_sinks_lack_is_fed_even_when_nobody_is_listed(house: House) -> None:
    await house.run(Listing(found(1)))
    house.sinks["new"] = MemorySink()
    report = await house.run()
    assert tally(report) == (1, 0, 1, 0, 0, 0)
