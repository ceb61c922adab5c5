"""Twins: the same recording in the cloud and on a stick, told from what the index holds at that moment."""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from blinkarchive.clock import ManualClock
from blinkarchive.index import Index
from blinkarchive.index import sql as questions
from blinkarchive.index.sql import Sql
from blinkarchive.model import Clip, ClipId, SinkName, SourceName, State
from tests.index.facts import CLOUD, NAS, T0, THIRD, clip, copy, listening, name

BOTH = (NAS, CLOUD)


def on_stick(number: float, **facts: Any) -> Clip:
    """A clip of a stick that was recorded so many minutes after `T0`."""
    at = T0 + timedelta(minutes=number)
    given: dict[str, Any] = {"id": ClipId(f"local:home:11:5:FrontDoor:{at:%H:%M:%S}"), "recorded_at": at}
    return clip(0, **(given | {"source": SourceName.SYNC_MODULE} | facts))


def seconds(number: float) -> float:
    return number / 60


async def known(index: Index, *clips: Clip) -> list[ClipId]:
    await index.lacking(clips, BOTH, name)
    return [one.id for one in clips]


async def states(index: Index, one: Clip, *sinks: SinkName) -> list[tuple[State, str]]:
    """How a clip stands; one that is neither held nor lacking is excluded."""
    (standing,) = await index.standings([one.id], sinks)
    found = {held.sink: (State.STORED, "") for held in standing.held}
    found |= {need.sink: (need.state, need.reason) for need in standing.lacking}
    return [found.get(sink, (State.EXCLUDED, "")) for sink in sinks]


@pytest.mark.parametrize("apart", [-2, -1, 0, 1, 2])
async def test_twins_are_of_one_camera_and_within_two_seconds(index: Index, apart: int) -> None:
    cloud, stick = clip(10), on_stick(10 + seconds(apart))
    ids = await known(index, cloud, stick)
    assert await index.twins(ids) == {cloud.id: stick.id, stick.id: cloud.id}
    assert await index.twins([stick.id]) == {stick.id: cloud.id}


@pytest.mark.parametrize(
    "facts",
    [
        {"recorded_at": T0 + timedelta(minutes=10, seconds=3)},
        {"recorded_at": T0 + timedelta(minutes=10, seconds=-3)},
        {"account": "cabin"},
        {"network_id": "12"},
        {"camera_id": "23"},
        {"camera_id": None},
        {"source": SourceName.CLOUD},
    ],
)
async def test_what_differs_in_any_of_it_is_no_twin(index: Index, facts: dict[str, Any]) -> None:
    ids = await known(index, clip(10), on_stick(10, **facts))
    assert await index.twins(ids) == {}


async def test_two_cameras_that_are_not_known_are_not_the_same_camera(index: Index) -> None:
    ids = await known(index, clip(10, camera_id=None), on_stick(10, camera_id=None))
    assert await index.twins(ids) == {}


@pytest.mark.parametrize("third", [on_stick(10 + seconds(2)), clip(99, recorded_at=T0 + timedelta(minutes=10, seconds=-1))])
async def test_where_there_is_a_second_candidate_nobody_is_a_twin(index: Index, third: Clip) -> None:
    cloud, stick = clip(10), on_stick(10)
    ids = await known(index, cloud, stick)
    assert await index.twins(ids) != {}
    ids += await known(index, third)
    assert await index.twins(ids) == {}


async def test_a_candidate_of_a_candidate_makes_it_doubtful_too(index: Index) -> None:
    """A chain: the first could only be the second's, but the second could be the third's."""
    cloud, stick, other = clip(10), on_stick(10 + seconds(2)), clip(99, recorded_at=T0 + timedelta(minutes=10, seconds=4))
    ids = await known(index, cloud, stick, other)
    assert await index.twins(ids) == {}


async def test_any_clips_have_the_twins_that_a_plain_search_finds(index: Index) -> None:
    chance = random.Random(3)
    clips = [
        (on_stick if chance.random() < 0.5 else clip)(
            0,
            id=ClipId(f"{number}"),
            recorded_at=T0 + timedelta(seconds=chance.randrange(400)),
            camera_id=chance.choice(["1", "2", None]),
            account=chance.choice(["home", "cabin"]),
        )
        for number in range(300)
    ]
    ids = await known(index, *clips)

    def alike(one: Clip, other: Clip) -> bool:
        same = (one.account, one.network_id, one.camera_id) == (other.account, other.network_id, other.camera_id)
        near = abs(one.recorded_at - other.recorded_at) <= timedelta(seconds=2)
        return same and near and one.camera_id is not None and one.source is not other.source

    candidates: dict[ClipId, list[ClipId]] = {one.id: [] for one in clips}
    for one, other in product(clips, clips):
        if alike(one, other):
            candidates[one.id].append(other.id)
    expected = {one: others[0] for one, others in candidates.items() if len(others) == 1 and len(candidates[others[0]]) == 1}
    assert len(expected) > 20
    assert await index.twins(ids) == expected


async def test_the_twins_of_a_page_are_one_question(index: Index) -> None:
    ids = await known(index, *(clip(number) for number in range(500)), *(on_stick(number) for number in range(500)))
    with listening() as heard:
        assert len(await index.twins(ids)) == 1000
    assert len(heard.questions) == 1
    assert heard.changes == []


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_both_engines_are_asked_for_twins_by_the_recordings_index(engine: str) -> None:
    dialect = sa.make_url(f"{engine}://").get_dialect()()
    one = str(sa.select(questions._ONE.c.id).where(questions._ARE_TWINS).compile(dialect=dialect))
    assert "other.recorded_at BETWEEN one.recorded_at - " in one
    assert one.count("EXISTS") == 2


async def test_twins_are_found_by_time_and_not_by_looking_at_all_clips(path: Path, clock: ManualClock) -> None:
    async with Index.open(path, clock=clock) as index:
        await known(index, clip(10), on_stick(10))
    engine = sa.create_engine(f"sqlite:///{path}")
    asked = Sql(engine, clock, read_only=True)
    statement = sa.select(questions._ONE.c.id).where(questions._ARE_TWINS, asked._is_given)
    with engine.connect() as connection:
        compiled = str(statement.compile(engine, compile_kwargs={"render_postcompile": True}))
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", (None,) * compiled.count("?"))
        steps = [row[3] for row in plan]
    engine.dispose()
    assert not [step for step in steps if step.startswith(("SCAN one", "SCAN other", "SCAN third"))], steps
    assert sum("clip_recorded" in step for step in steps) == 3


# Left to their twins


async def test_a_stick_clip_is_left_to_a_twin_that_trusted_holds(index: Index) -> None:
    cloud, stick = clip(10), on_stick(10)
    await known(index, cloud, stick)
    assert await index.leave_to_twins([stick.id], BOTH, skip=True) == {}
    await index.record(copy(cloud, NAS))
    assert await index.leave_to_twins([stick.id], BOTH, skip=True) == {}, "one sink is not every sink"
    await index.record(copy(cloud, CLOUD))
    assert await index.leave_to_twins([cloud.id, stick.id], BOTH, skip=True) == {stick.id: frozenset(BOTH)}
    assert await index.lacking([stick], BOTH, name) == [None]
    assert await states(index, stick, *BOTH) == [(State.EXCLUDED, "")] * 2
    assert await index.pending(BOTH) == []
    assert [sink.excluded for sink in (await index.summary(BOTH)).sinks] == [1, 1]


async def test_the_reason_names_the_twin(index: Index, path: Path, clock: ManualClock) -> None:
    cloud, stick = clip(10), on_stick(10)
    await known(index, cloud, stick)
    await index.record(copy(cloud, NAS))
    await index.leave_to_twins([stick.id], [NAS], skip=True)
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT reason FROM copy WHERE state = 'excluded'").scalars().all() == [
            f"twin of {cloud.id}"
        ]
    engine.dispose()


async def test_what_is_stored_stays_stored_beside_its_twin(index: Index) -> None:
    cloud, stick = clip(10), on_stick(10)
    await known(index, cloud, stick)
    for sink in BOTH:
        await index.record(copy(cloud, sink))
    await index.record(copy(stick, NAS))
    assert await index.leave_to_twins([stick.id], BOTH, skip=True) == {stick.id: frozenset([CLOUD])}
    assert [state for state, _ in await states(index, stick, *BOTH)] == [State.STORED, State.EXCLUDED]


async def test_a_failed_clip_that_was_given_up_is_left_to_its_twin_too(index: Index) -> None:
    cloud, stick = clip(10), on_stick(10)
    await known(index, cloud, stick)
    await index.record(copy(cloud, NAS))
    for _ in range(10):
        await index.failed(stick.id, NAS, "cut", counts=True)
    assert await index.leave_to_twins([stick.id], [NAS], skip=True) == {stick.id: frozenset([NAS])}


@pytest.mark.parametrize("why", ["option off", "doubtful", "copy lost", "another sink"])
async def test_what_is_not_justified_any_more_is_pending_again(index: Index, why: str) -> None:
    cloud, stick = clip(10), on_stick(10)
    await known(index, cloud, stick)
    for sink in BOTH:
        await index.record(copy(cloud, sink))
    assert await index.leave_to_twins([stick.id], BOTH, skip=True) != {}
    sinks: tuple[SinkName, ...] = BOTH
    match why:
        case "doubtful":
            await known(index, clip(99, recorded_at=cloud.recorded_at))
        case "copy lost":
            await index.lost(cloud.id, NAS, "gone")
        case "another sink":
            sinks = (*BOTH, THIRD)
    assert await index.leave_to_twins([stick.id], sinks, skip=why != "option off") == {}
    assert await states(index, stick, *sinks) == [(State.PENDING, "")] * len(sinks)


async def test_what_the_owner_left_out_for_another_reason_stays_left_out(index: Index) -> None:
    cloud, stick = clip(10), on_stick(10)
    await known(index, cloud, stick)
    await index.exclude(stick.id, NAS, "not wanted")
    for skip in (True, False):
        assert await index.leave_to_twins([stick.id], [NAS], skip=skip) == {}
        assert await index.lacking([stick], [NAS], name) == [None]


async def test_the_clouds_clips_are_left_to_nobody(index: Index) -> None:
    cloud, stick = clip(10), on_stick(10)
    await known(index, cloud, stick)
    await index.record(copy(stick, NAS))
    assert await index.leave_to_twins([cloud.id, stick.id], [NAS], skip=True) == {}
    assert await states(index, cloud, NAS) == [(State.PENDING, "")]


async def test_with_nothing_to_change_nothing_is_changed(index: Index) -> None:
    cloud, stick = clip(10), on_stick(10)
    await known(index, cloud, stick)
    await index.record(copy(cloud, NAS))
    for _ in range(2):
        with listening() as heard:
            assert await index.leave_to_twins([stick.id], [NAS], skip=True) == {stick.id: frozenset([NAS])}
    assert heard.changes == []


async def test_to_read_only_changes_nothing_and_says_what_would_be_left_out(path: Path, clock: ManualClock) -> None:
    cloud, stick = clip(10), on_stick(10)
    async with Index.open(path, clock=clock) as index:
        await known(index, cloud, stick)
        await index.record(copy(cloud, NAS))
    async with Index.open(path, clock=clock, read_only=True) as index:
        assert await index.leave_to_twins([stick.id], [NAS], skip=True) == {stick.id: frozenset([NAS])}
        assert await states(index, stick, NAS) == [(State.PENDING, "")]
