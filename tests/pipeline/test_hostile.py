"""Runs beside a plugin that does what it must not: the other sink gets every clip, and nobody says that this one holds any."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from blinkarchive import Content, Key, SinkName, Stored
from blinkarchive.model import RunReport, State
from blinkarchive.pipeline.lane import MARKER
from tests.pipeline.fakes import MemorySink, clip, film, found
from tests.pipeline.test_archive import House, Listing

CLIPS = 6
NAS, BAD = SinkName("nas"), SinkName("bad")


class Hostile(MemorySink):
    """Keeps its marker as it should, so that it is let in, and then does what a subclass says."""

    async def put(self, key: Key, content: Content) -> None:
        if key == MARKER:
            await super().put(key, content)
        else:
            await self.harm(key, content)

    async def harm(self, key: Key, content: Content) -> None:
        await super().put(key, content)


class Raises(Hostile):
    fault: BaseException = ValueError("a bug")

    async def harm(self, key: Key, content: Content) -> None:
        raise self.fault


class Exits(Raises):
    fault = SystemExit(0)


class EndsGenerators(Raises):
    fault = GeneratorExit()


class StopsIteration(Raises):
    fault = StopAsyncIteration()


class CancelsItself(Raises):
    fault = asyncio.CancelledError()


class RaisesMany(Raises):
    fault = ExceptionGroup("several", [ValueError("one"), KeyError("two")])


class RaisesWithoutEnd(Hostile):
    async def harm(self, key: Key, content: Content) -> None:
        await self.harm(key, content)


class SaysOk(Hostile):
    async def harm(self, key: Key, content: Content) -> None:
        return


class SaysOkAndRemembers(Hostile):
    """It tells what it was given, and holds nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[Key, Content] = {}

    async def harm(self, key: Key, content: Content) -> None:
        self.told[key] = content

    async def stat(self, key: Key) -> Stored | None:
        return await super().stat(key) if key not in self.told else Stored(key=key, size=self.told[key].size)


class StoresHalf(Hostile):
    async def harm(self, key: Key, content: Content) -> None:
        self.objects[key] = content.path.read_bytes()[: content.size // 2]


class StoresSomethingElse(Hostile):
    async def harm(self, key: Key, content: Content) -> None:
        self.objects[key] = bytes(content.size)


class StatsNonsense(Hostile):
    async def stat(self, key: Key) -> Stored | None:
        return {"size": 1}  # type: ignore[return-value]  # the fault


class StatsOfAnother(Hostile):
    async def stat(self, key: Key) -> Stored | None:
        return Stored(key=key, size=0, sha256="0" * 64)


class ReadsNonsense(Hostile):
    async def stat(self, key: Key) -> Stored | None:
        return Stored(key=key, size=len(self.objects.get(key, b"")))

    @asynccontextmanager
    async def open(self, key: Key, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        if key == MARKER:
            async with super().open(key, start) as chunks:
                yield chunks
        else:
            yield None  # type: ignore[misc]  # the fault


class Hangs(Hostile):
    async def harm(self, key: Key, content: Content) -> None:
        await asyncio.Event().wait()


class DoesNotLetGo(Hostile):
    free: list[asyncio.Event] = []  # noqa: RUF012  # one list for all

    async def harm(self, key: Key, content: Content) -> None:
        self.free.append(free := asyncio.Event())
        while not free.is_set():
            with suppress(asyncio.CancelledError):
                await free.wait()


class BlocksTheLoop(Hostile):
    async def harm(self, key: Key, content: Content) -> None:
        time.sleep(0.05)  # the fault
        raise ValueError("and then fails")


class DeletesTheFile(Hostile):
    async def harm(self, key: Key, content: Content) -> None:
        content.path.unlink(missing_ok=True)
        raise ValueError("and then fails")


class EmptiesTheFile(Hostile):
    async def harm(self, key: Key, content: Content) -> None:
        content.path.write_bytes(b"")
        raise ValueError("and then fails")


class ChangesTheFile(Hostile):
    async def harm(self, key: Key, content: Content) -> None:
        content.path.write_bytes(bytes(content.size))
        raise ValueError("and then fails")


class LeavesThreads(Hostile):
    async def harm(self, key: Key, content: Content) -> None:
        threading.Thread(target=time.sleep, args=(0.2,), daemon=True).start()
        raise ValueError("and then fails")


class LeavesTasks(Hostile):
    tasks: list[asyncio.Task[None]] = []  # noqa: RUF012  # one list for all

    async def harm(self, key: Key, content: Content) -> None:
        self.tasks.append(asyncio.create_task(asyncio.sleep(60)))
        raise ValueError("and then fails")


class Overwrites(Hostile):
    """Another clip's object is replaced by each new one."""

    async def harm(self, key: Key, content: Content) -> None:
        for other in list(self.objects):
            if other != MARKER:
                self.objects[other] = content.path.read_bytes()
        self.objects[key] = bytes(content.size)


HOSTILE = [kind for base in (Hostile, Raises) for kind in base.__subclasses__()]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, opening=1.0, deadline=0.2)


def held(house: House, name: str) -> set[bytes]:
    return {data for key, data in house.sinks[name].objects.items() if key.endswith(".mp4")}


async def run(house: House) -> RunReport:
    async with asyncio.timeout(30):
        return await house.run(Listing(*(found(n) for n in range(CLIPS))))


@pytest.mark.parametrize("kind", HOSTILE, ids=lambda kind: kind.__name__)
async def test_the_other_sink_gets_every_clip_and_nobody_says_that_this_one_does(house: House, kind: type[Hostile]) -> None:
    house.sinks["bad"] = kind()
    report = await run(house)
    assert "bad" in {trouble.where.removeprefix("sink ") for trouble in report.troubles}, "it is named"
    for number in range(CLIPS):
        state, _, _ = await house.state(clip(number).id, "bad")
        assert state in (State.PENDING, State.FAILED)
    # What it did to the files on their way is made good by a run without it, at the latest.
    del house.sinks["bad"]
    assert (await run(house)).total.failed == 0
    assert held(house, "nas") >= {film(number) for number in range(CLIPS)}
    for number in range(CLIPS):
        assert (await house.state(clip(number).id))[0] is State.STORED
    for task in LeavesTasks.tasks:
        task.cancel()
    LeavesTasks.tasks.clear()
    for free in DoesNotLetGo.free:
        free.set()
    DoesNotLetGo.free.clear()
    await asyncio.sleep(0.01)


async def test_what_harms_nobodys_file_keeps_no_clip_from_the_other_sink_in_the_same_run(house: House) -> None:
    house.sinks["bad"] = Hangs()
    report = await run(house)
    assert report.sinks[NAS].stored == CLIPS
    assert report.sinks[BAD].failed == CLIPS


@pytest.mark.parametrize("fault", [ValueError("no"), SystemExit(1), asyncio.CancelledError(), GeneratorExit()])
async def test_a_sink_that_cannot_even_be_asked_for_its_marker_is_closed_and_harms_nobody(
    house: House, fault: BaseException
) -> None:
    class Shut(MemorySink):
        @asynccontextmanager
        async def open(self, key: Key, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
            raise fault
            yield  # pragma: no cover  # makes this a generator

    house.sinks["bad"] = Shut()
    report = await run(house)
    assert held(house, "nas") == {film(number) for number in range(CLIPS)}
    assert report.sinks[BAD].failed == CLIPS
