"""Sinks join a run when they are proven: one that is slow or silent delays no clip in another."""

import asyncio
from pathlib import Path

from blinkarchive import Content, Key, SinkName, SinkUnavailable
from blinkarchive.model import RunReport, State
from blinkarchive.pipeline.archive import Ask
from tests.pipeline.fakes import MemorySink, film, found
from tests.pipeline.test_archive import House, Listing
from tests.virtually import virtually


class Timed(MemorySink):
    """It keeps when each clip came."""

    def __init__(self) -> None:
        super().__init__()
        self.at: dict[bytes, float] = {}

    async def put(self, key: Key, content: Content) -> None:
        await super().put(key, content)
        if key.endswith(".mp4"):
            self.at.setdefault(content.path.read_bytes(), asyncio.get_running_loop().time())


def house_with(folder: Path, **slow: float) -> tuple[House, dict[SinkName, Timed]]:
    sinks = {SinkName(name): Timed() for name in slow}
    house = House(folder, sinks={str(name): sink for name, sink in sinks.items()})
    house.slow = {sinks[SinkName(name)]: seconds for name, seconds in slow.items()}
    return house, sinks


def first(sink: Timed, began: float) -> float:
    return min(sink.at.values()) - began


SILENT = 10_000.0
BROKEN = SinkName("broken")
LATE = SinkName("late")
NAS = SinkName("nas")
ONE = SinkName("one")
TWO = SinkName("two")


@virtually
async def test_silent_sinks_delay_no_clip_in_a_healthy_one(tmp_path: Path) -> None:
    house, sinks = house_with(tmp_path, one=SILENT, nas=0.0, two=SILENT)
    began = asyncio.get_running_loop().time()
    report = await house.run(Listing(*map(found, range(40))))
    assert sinks[NAS].clips == {film(number) for number in range(40)}
    assert max(sinks[NAS].at.values()) - began < 1
    assert asyncio.get_running_loop().time() - began < 2 * house.opening, "they were opened at the same time"
    assert (report.sinks[NAS].stored, report.sinks[ONE].failed, report.sinks[TWO].failed) == (40, 40, 40)


@virtually
async def test_a_sink_that_joins_late_gets_all_that_it_lacks_in_the_same_run(tmp_path: Path) -> None:
    house, sinks = house_with(tmp_path, nas=0.0, late=20.0)
    report = await house.run(Listing(*map(found, range(400)), size=50))
    assert sinks[LATE].clips == sinks[NAS].clips == {film(number) for number in range(400)}
    assert (report.total.listed, report.total.stored) == (400, 400)
    assert (report.sinks[LATE].listed, report.sinks[LATE].stored, report.sinks[LATE].failed) == (400, 400, 0)


@virtually
async def test_nothing_is_fetched_for_a_sink_that_is_not_there(tmp_path: Path) -> None:
    house, _ = house_with(tmp_path, nas=SILENT)
    opened: list[int] = []
    await house.run(Listing(*(found(number, opened=opened) for number in range(40))))
    assert opened == []


@virtually
async def test_a_run_with_one_sink_waits_for_it(tmp_path: Path) -> None:
    house, sinks = house_with(tmp_path, nas=30.0)
    report = await house.run(Listing(*map(found, range(40))))
    assert (report.sinks[NAS].stored, len(sinks[NAS].clips)) == (40, 40)


@virtually
async def test_what_only_a_silent_sink_lacks_is_not_read_again_for_it(tmp_path: Path) -> None:
    house, sinks = house_with(tmp_path, nas=0.0, one=SILENT)
    await house.run(Listing(*map(found, range(20))))
    read: list[Key] = []
    nas_open = sinks[NAS].open

    def counted(key: Key, start: int = 0) -> object:
        read.append(key)
        return nas_open(key, start)

    sinks[NAS].open = counted  # type: ignore[assignment]  # it counts
    opened: list[int] = []
    began = asyncio.get_running_loop().time()
    refs = [found(number, opened=opened) for number in range(21)]
    await house.run(Listing(*refs))
    assert opened == [20], "the new one alone"
    new = [key for key, stored in sinks[NAS].objects.items() if stored == film(20)]
    assert [key for key in read if key.endswith(".mp4")] == new, "it is read back once, as the first copy of the run"
    assert sinks[NAS].at[film(20)] - began < 1, "clips that wait for the silent sink are not in the way of a new one"


@virtually
async def test_a_clip_that_only_a_silent_sink_holds_comes_from_its_source(tmp_path: Path) -> None:
    house, sinks = house_with(tmp_path, one=0.0)
    await house.run(Listing(*map(found, range(20))))
    new = house.sinks[NAS] = Timed()
    house.slow[sinks[ONE]] = SILENT
    began = asyncio.get_running_loop().time()
    await house.run(Listing(*map(found, range(20))))
    assert new.clips == {film(number) for number in range(20)}
    assert first(new, began) < 1


@virtually
async def test_feeding_begins_with_the_sinks_that_are_there_and_goes_on_with_each_that_joins(tmp_path: Path) -> None:
    house, sinks = house_with(tmp_path, nas=0.0)
    await house.run(Listing(*map(found, range(20))))
    quick, late, silent = Timed(), Timed(), Timed()
    house.sinks |= {"quick": quick, "late": late, "silent": silent}
    house.slow = {late: 10.0, silent: SILENT}
    began = asyncio.get_running_loop().time()
    report = await house.run(ask=Ask(collect=False))
    assert quick.clips == late.clips == sinks[NAS].clips
    assert first(quick, began) < 1
    assert first(late, began) < 11
    assert report.sinks[SinkName("silent")].failed == 20


@virtually
async def test_two_new_sinks_that_are_one_place_are_not_two_copies(tmp_path: Path) -> None:
    place = MemorySink()
    house = House(tmp_path, sinks={"one": place, "two": place})
    report = await house.run(Listing(found(1)))
    assert sorted((report.sinks[ONE].stored, report.sinks[TWO].stored)) == [0, 1]


@virtually
async def test_a_stop_does_not_wait_for_a_silent_sink(tmp_path: Path) -> None:
    house, sinks = house_with(tmp_path, nas=0.0, one=SILENT)
    began = asyncio.get_running_loop().time()
    running: asyncio.Task[RunReport] = asyncio.create_task(house.run(Listing(*map(found, range(20)))))
    await asyncio.sleep(5)
    running.cancel()
    report = await running
    assert report.stopped
    assert asyncio.get_running_loop().time() - began < 10
    assert sinks[NAS].clips == {film(number) for number in range(20)}


@virtually
async def test_a_sink_that_cannot_be_opened_costs_itself_alone(tmp_path: Path) -> None:
    house, sinks = house_with(tmp_path, nas=0.0, broken=3.0)

    async def refuse(key: Key, content: Content) -> None:
        raise SinkUnavailable("it is read-only")

    sinks[BROKEN].put = refuse  # type: ignore[method-assign]  # it fails to be proven
    report = await house.run(Listing(*map(found, range(20))))
    assert (report.sinks[NAS].stored, report.sinks[BROKEN].failed) == (20, 20)
    assert (await house.state(found(1).clip.id, "broken"))[0] is State.PENDING
