"""Blink's number alone does not make a clip the stored one: what differs is kept beside it, and neither is deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from blinkarchive import Clip, ClipId, SinkName, SourceName
from blinkarchive.interfaces import Batch, ClipRef
from blinkarchive.model import RunReport, Standing
from blinkarchive.pipeline.archive import Ask
from blinkarchive.pipeline.deletion import Deletions, Rule
from blinkarchive.pipeline.identity import difference, listed_id, set_apart
from blinkarchive.pipeline.lane import Lane
from blinkarchive.pipeline.progress import Progress
from tests.pipeline.fakes import START, MemorySink, clip, film, found
from tests.pipeline.test_archive import House, Listing

WEEK = 7 * 86400


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, sinks={"nas": MemorySink(), "offsite": MemorySink()}, rules={SourceName.CLOUD: Rule()})


def deletable(ref: ClipRef, deleted: list[str]) -> ClipRef:
    async def delete() -> None:
        deleted.append(ref.clip.id)

    return replace(ref, delete=delete)


def as_other(number: int, data: bytes, **facts: object) -> ClipRef:
    ref = found(number, data)
    return replace(ref, clip=replace(ref.clip, **facts))  # type: ignore[arg-type]


OTHERS: list[Callable[[Clip], dict[str, object]]] = [
    lambda one: {"recorded_at": one.recorded_at + timedelta(days=3), "camera_id": "77", "camera": "Garage"},
    lambda one: {"recorded_at": one.recorded_at + timedelta(seconds=3)},
    lambda one: {"camera_id": "77", "camera": "Garage"},
    lambda one: {"camera_id": "77"},
    lambda one: {"camera_id": None, "camera": "Garage"},
]

SAME: list[Callable[[Clip], dict[str, object]]] = [
    lambda one: {"camera": "Renamed"},
    lambda one: {"network": "Renamed", "trigger": "liveview"},
    lambda one: {"recorded_at": one.recorded_at + timedelta(milliseconds=900)},
    lambda one: {"camera_id": None},
]


@pytest.mark.parametrize("other", OTHERS)
async def test_a_known_id_of_another_clip_keeps_both_and_deletes_nothing(
    other: Callable[[Clip], dict[str, object]], house: House
) -> None:
    deleted: list[str] = []
    assert (await house.run(Listing(found(1), found(2)))).total.stored == 2
    stranger = deletable(as_other(1, film(9), **other(clip(1))), deleted)

    reports: list[RunReport] = []
    for _ in range(4):
        house.clock.advance(WEEK + 60)
        reports.append(await house.run(Listing(stranger, deletable(found(2), deleted))))

    assert [report.total.stored for report in reports] == [1, 0, 0, 0], "archived once"
    assert all(sink.clips == {film(1), film(2), film(9)} for sink in house.sinks.values())
    assert set(deleted) == {"cloud:home:2"}, "what is the same clip is deleted as before"
    [said, *again] = [[t.what for t in report.troubles if t.where == "clip cloud:home:1"] for report in reports]
    assert "neither is deleted" in said[0]
    assert again == [[], [], []], "reported once"
    lines = [json.loads(line) for sink in house.sinks.values() for key, data in sink.objects.items() if "catalog/" in key
             for line in data.decode().splitlines()]  # fmt: skip
    ids = {line["id"] for line in lines if "id" in line}
    assert len(ids) == 3
    assert {listed_id(ClipId(id_)) for id_ in ids} == {"cloud:home:1", "cloud:home:2"}


@pytest.mark.parametrize("same", SAME)
async def test_what_may_change_of_a_clip_makes_no_other_one_of_it(
    same: Callable[[Clip], dict[str, object]], house: House
) -> None:
    deleted: list[str] = []
    await house.run(Listing(found(1)))
    house.clock.advance(WEEK + 60)
    report = await house.run(Listing(deletable(as_other(1, film(1), **same(clip(1))), deleted)))
    assert (report.total.stored, report.total.known, report.deleted, deleted) == (0, 1, 1, ["cloud:home:1"])
    assert report.troubles == ()


async def test_a_dry_run_tells_of_the_difference_and_would_not_delete(house: House) -> None:
    await house.run(Listing(found(1)))
    house.clock.advance(WEEK + 60)
    stranger = deletable(as_other(1, film(9), recorded_at=clip(1).recorded_at + timedelta(days=1)), [])
    report = await house.run(Listing(stranger), ask=Ask(dry_run=True))
    assert report.would_delete == ()
    assert house.would_delete == []
    assert [one.clip.id.partition("@")[0] for one in house.planned] == ["cloud:home:1"]


async def test_the_difference_is_looked_at_again_before_a_deletion(house: House) -> None:
    """Even from a batch that nobody has set apart nothing is deleted that is not the stored clip."""
    await house.run(Listing(found(1), found(2)))
    house.clock.advance(WEEK + 60)
    progress = Progress()
    would: list[Standing] = []
    async with house.index(read_only=True) as index:
        deletions = Deletions(
            index=index,
            lanes=[Lane(SinkName(name), None, clock=house.clock) for name in house.sinks],
            trusted=[SinkName(name) for name in house.sinks],
            clock=house.clock,
            progress=progress,
            rules={SourceName.CLOUD: Rule()},
            skew={"home": lambda: timedelta(0)},
            dry_run=True,
            would=would.append,
        )
        listing = Listing()
        await deletions.begin(listing)
        batch = Batch(found=(deletable(as_other(1, film(9), camera_id="77"), []), deletable(found(2), [])))
        await deletions.look(listing, batch)
        await deletions.end(listing, START, whole=True)
        await deletions.run()
    assert [standing.clip.id for standing in would] == ["cloud:home:2"]
    assert progress.deletions_failed == 1
    assert any("may be another clip" in trouble.what for trouble in progress.troubles)


def test_a_clip_of_a_stick_is_known_by_what_its_id_tells() -> None:
    """Its camera is looked up by name: another camera under that name makes no other clip of it."""
    one = replace(clip(1), source=SourceName.SYNC_MODULE, id=ClipId("local:home:1:2:Porch@0123456789ab!:2026-05-01T12:00:00Z"))
    assert difference(replace(one, camera_id="77"), one) == ""
    assert listed_id(one.id) == one.id


def test_an_id_of_its_own_is_the_same_in_every_listing() -> None:
    known = {clip(1).id: clip(1)}
    ref = as_other(1, film(9), recorded_at=clip(1).recorded_at + timedelta(days=1))
    ids = {set_apart(Batch(found=(ref,)), known)[0].found[0].clip.id for _ in range(3)}
    [id_] = ids
    assert id_ != clip(1).id
    assert listed_id(id_) == clip(1).id
    batch = Batch(found=(found(1), found(2)))
    assert set_apart(batch, known) == (batch, ())
