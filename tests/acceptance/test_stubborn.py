"""A plugin that does not stop when it is told to: the command says what is so, closes what is its own, and ends by itself."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from blinkarchive.simulator import World
from tests.acceptance.conftest import Ended, House, Houses, ended

CLIPS = 3
SOON = 15.0
"""Seconds for a whole command, with room for a machine that has other work."""

PLUGIN = """
import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from blinkarchive import SinkType, SinkUnavailable, hookimpl
from blinkarchive_disk import DISK

kept = []


@dataclass(frozen=True)
class Options:
    path: str
    how: str


async def deaf():
    while True:
        try:
            await asyncio.sleep(3600)
        except BaseException:
            pass


async def generator():
    try:
        yield
    finally:
        await deaf()


class Sink:
    def __init__(self, disk, how):
        self.disk = disk
        self.how = how
        self.stat, self.open, self.list, self.delete = disk.stat, disk.open, disk.list, disk.delete

    async def put(self, key, content):
        if key.endswith(".mp4"):
            await getattr(self, self.how, partial(asyncio.sleep, 0))()
        await self.disk.put(key, content)

    async def put_is_deaf(self):
        print("deaf", flush=True)
        await deaf()

    async def leaves_a_task(self):
        kept.append(asyncio.create_task(deaf()))
        await asyncio.sleep(0)
        raise SinkUnavailable("away")

    async def leaves_a_generator(self):
        kept.append(generator())
        await anext(kept[-1])
        raise SinkUnavailable("away")

    async def leaves_a_thread(self):
        threading.Thread(target=threading.Event().wait, name="for ever").start()

    async def leaves_a_pool(self):
        ThreadPoolExecutor().submit(threading.Event().wait)

    async def leaves_the_loops_pool_full(self):
        for _ in range(40):
            kept.append(asyncio.get_running_loop().run_in_executor(None, threading.Event().wait))


@asynccontextmanager
async def opened(options):
    async with DISK.open(DISK.options(path=options.path)) as disk:
        yield Sink(disk, options.how)
        if options.how == "closes_deaf":
            await deaf()


@hookimpl
def blinkarchive_sink_types():
    return [SinkType(kind="stubborn", options=Options, open=opened)]
"""

FAILS = ("leaves_a_task", "leaves_a_generator")
STORES = ("closes_deaf", "leaves_a_thread", "leaves_a_pool", "leaves_the_loops_pool_full")


@asynccontextmanager
async def with_a_plugin(house_of: Houses, how: str) -> AsyncIterator[House]:
    """A house with a good sink, and one that does `how`."""
    async with house_of(World.from_seed(5, clips=CLIPS)) as house:
        site = house.folder / "site"
        info = site / "stubborn-1.0.dist-info"
        info.mkdir(parents=True)
        (site / "stubborn.py").write_text(PLUGIN)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stubborn\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[blinkarchive]\nstubborn = stubborn\n")
        house.environment["PYTHONPATH"] = str(site)
        (house.folder / "bad").mkdir()
        house.configure(more=f'[sink.bad]\ntype = "stubborn"\npath = "{house.folder / "bad"}"\nhow = "{how}"\n')
        yield house


async def soon(house: House, *arguments: str) -> Ended:
    """Run a command, which must end by itself."""
    began = time.monotonic()
    process = await house.start(*arguments)
    try:
        async with asyncio.timeout(SOON):
            await process.wait()
    except TimeoutError:
        pytest.fail(f"it did not end by itself within {SOON:g} s")
    assert time.monotonic() - began < SOON
    return await ended(process)


async def in_order(house: House) -> None:
    """Nothing half-done was left, and another command has the archive at once and brings the good sink all it lacks."""
    assert list((house.folder / "state" / "spool").glob(".*.part")) == []
    ran = await soon(house, "run", "--json", "--sink", "nas")
    assert (ran.code, len(house.clips())) == (0, CLIPS), ran.err


def was_closed(house: House) -> bool:
    """Whether the last run closed the index: it left no log beside it."""
    return [file.name for file in (house.folder / "state").glob("index.sqlite3*")] == ["index.sqlite3"]


@pytest.mark.parametrize("how", FAILS)
async def test_a_run_ends_by_itself_and_names_the_sink_whose_plugin_goes_on(house_of: Houses, how: str) -> None:
    async with with_a_plugin(house_of, how) as house:
        ran = await soon(house, "run", "--json")
        assert (ran.code, ran.counts) == (3, (CLIPS, 0, 0, CLIPS, 0, 0)), ran.err
        assert ran.report["sinks"]["nas"]["stored"] == CLIPS
        assert ran.report["sinks"]["bad"]["failed"] == CLIPS
        assert "sink bad" in {trouble["where"] for trouble in ran.report["troubles"]}
        [line] = [line for line in ran.err.splitlines() if "blinkarchive." in line or "asyncio" in line]
        assert "left behind" in line, "a word for the plugin's author, and no complaints of Python"
        assert "Exception ignored" not in ran.err
        assert was_closed(house)
        await in_order(house)


@pytest.mark.parametrize("how", STORES)
async def test_a_run_ends_by_itself_though_a_plugin_closes_or_works_for_ever(house_of: Houses, how: str) -> None:
    async with with_a_plugin(house_of, how) as house:
        ran = await soon(house, "run", "--json")
        assert (ran.code, ran.counts) == (0, (CLIPS, 0, CLIPS, 0, 0, 0)), ran.err
        assert len(list((house.folder / "bad").rglob("*.mp4"))) == CLIPS
        assert ("for ever" in ran.err) is (how == "leaves_a_thread"), "what is left has a name"
        assert was_closed(house)
        await in_order(house)


async def test_a_stop_in_the_midst_of_a_put_that_does_not_let_go_ends_with_a_report(house_of: Houses) -> None:
    async with with_a_plugin(house_of, "put_is_deaf") as house:
        process = await house.start("run", "--json")
        assert process.stdout is not None
        for _ in range(CLIPS):
            assert await process.stdout.readline() == b"deaf\n"
        while len(house.clips()) < CLIPS:
            await asyncio.sleep(0.05)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        ran = await ended(process)
        assert time.monotonic() - began < 10
        assert (ran.code, ran.report["stopped"]) == (130, True), ran.err
        assert ran.report["sinks_failed"] == ["bad"]
        assert ran.report["sinks"]["bad"]["stored"] == 0
        assert was_closed(house)
        await in_order(house)


@pytest.mark.parametrize("how", ["leaves_a_task", "closes_deaf", "leaves_the_loops_pool_full"])
async def test_a_scheduler_stops_though_a_plugin_does_not(house_of: Houses, how: str) -> None:
    async with with_a_plugin(house_of, how) as house:
        process = await house.start("serve")
        while not (ran := (await house("status", "--json")).report["last_runs"]):
            await asyncio.sleep(0.1)
        assert ran
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        stopped = await ended(process)
        assert time.monotonic() - began < SOON
        assert (stopped.code, "Stopped." in stopped.err, "Traceback" in stopped.err) == (0, True, False), stopped.err
        await in_order(house)


async def test_doctor_ends_by_itself_with_the_checks_of_a_sink_whose_plugin_goes_on(house_of: Houses, tmp_path: Path) -> None:
    async with with_a_plugin(house_of, "closes_deaf") as house:
        checked = await ended(await house.start("doctor", "--json"))
        [check] = [check for check in checked.report["checks"] if check["what"] == "sink bad"]
        assert (checked.code, check["verdict"], check["found"]) == (1, "fail", "no answer within 20 s"), checked
