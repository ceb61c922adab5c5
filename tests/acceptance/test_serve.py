"""The installed `serve`: a process that looks after an archive, is asked about it by others, and stops when it is told."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from blinkarchive.simulator import World
from tests.acceptance.conftest import Ended, House, Houses, ended, films

WAIT = 30.0


@asynccontextmanager
async def served(house: House, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A scheduler while the block lasts; it is told to stop at the end, if it has not stopped before."""
    process = await house.start(*arguments, "serve")
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await ended(process)


async def until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not so():
        assert time.monotonic() < deadline, "it never came to be"
        await asyncio.sleep(0.1)


async def stop(process: asyncio.subprocess.Process, signum: signal.Signals = signal.SIGTERM) -> tuple[Ended, float]:
    began = time.monotonic()
    process.send_signal(signum)
    return await ended(process), time.monotonic() - began


async def test_serve_archives_at_once_and_others_are_told_of_it_while_it_lives(house_of: Houses) -> None:
    world = World.from_seed(3, clips=8)
    async with house_of(world) as house:
        before = await house("status", "--check", "--json")
        assert (before.code, before.report["ok"]) == (3, False)
        assert (await house("status", "--json")).report["serving"] is None
        async with served(house) as process:
            await until(lambda: set(house.clips().values()) == films(world))
            while not (status := await house("status", "--json")).report["last_runs"]:
                await asyncio.sleep(0.1)
            told = status.report
            assert told["serving"]["pid"] == process.pid
            assert set(told["serving"]["next"]) == {"cloud"}
            assert told["serving"]["wrong"] == []
            assert told["parts"] == [
                {
                    "account": "a0",
                    "source": "cloud",
                    "name": "the cloud",
                    "trouble": "",
                    "absent": False,
                    "trouble_since": None,
                    "listed_at": told["parts"][0]["listed_at"],
                    "keeps_days": 60,
                }
            ]
            said = (await house("status")).out
            assert f"by process {process.pid}. Now: nothing." in said
            assert "Next: cloud at " in said
            assert (await house("status", "--check")).code == 0
            late = await house("status", "--check", "--json", "--max-age", "0s")
            assert (late.code, set(late.report["late"])) == (
                3,
                {f"{x}, overdue" for x in ("account a0, cloud", "sink nas")},
            )
            second = await house("serve")
            assert (second.code, "another `blinkarchive serve` looks after this archive" in second.err) == (5, True)
            assert (await house("run")).code == 0, "between its runs others may have the archive"
            said_at_the_end, took = await stop(process)
        assert (said_at_the_end.code, took < 10) == (0, True)
        assert "Traceback" not in said_at_the_end.err
        assert "a run has ended run=cloud listed=8 stored=8" in said_at_the_end.err
        assert "no `blinkarchive serve`" not in (await house("status")).out
        assert (await house("status", "--json")).report["serving"] is None


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_serve_stops_within_ten_seconds_in_the_middle_of_a_run_and_the_next_start_goes_on(
    house_of: Houses, signum: signal.Signals
) -> None:
    world = World.from_seed(3, clips=40)
    world.rules.bandwidth = 100_000
    async with house_of(world) as house:
        async with served(house) as process:
            await until(lambda: len(house.clips()) >= 2)
            said, took = await stop(process, signum)
            assert (said.code, took < 10) == (0, True)
            assert len(house.clips()) < 40
        world.rules.bandwidth = 10**9
        async with served(house):
            await until(lambda: set(house.clips().values()) == films(world))
        assert len(house.clips()) == 40


async def test_a_scheduler_that_is_killed_is_no_longer_told_of_and_loses_nothing(house_of: Houses) -> None:
    world = World.from_seed(3, clips=40)
    world.rules.bandwidth = 100_000
    async with house_of(world) as house:
        async with served(house) as process:
            await until(lambda: len(house.clips()) >= 2)
            process.kill()
            await process.wait()
        assert (await house("status", "--json")).report["serving"] is None
        world.rules.bandwidth = 10**9
        async with served(house):
            await until(lambda: set(house.clips().values()) == films(world))
        assert len(house.clips()) == 40


async def test_sighup_reads_the_config_anew_and_a_bad_one_is_refused(house_of: Houses, tmp_path: Path) -> None:
    world = World.from_seed(3, clips=5)
    async with house_of(world) as house, served(house) as process:
        await until(lambda: set(house.clips().values()) == films(world))
        good = house.config.read_text()
        house.config.write_text(good + "[sink.x]\ntype = 7\n")
        process.send_signal(signal.SIGHUP)
        kept = tmp_path / "good.toml"
        kept.write_text(good)
        wrong: list[str] = []
        while not wrong:
            told = (await house("--json", "--config", str(kept), "status")).report
            wrong = [one["where"] for one in told["serving"]["wrong"]]
        assert wrong == ["the config"]
        (tmp_path / "cabin").mkdir()
        house.config.write_text(good + f'[sink.cabin]\ntype = "disk"\npath = "{tmp_path / "cabin"}"\n')
        process.send_signal(signal.SIGHUP)
        await until(lambda: len(list((tmp_path / "cabin").rglob("*.mp4"))) == 5)
        said, _ = await stop(process)
        assert (said.code, "the new config is refused, the old one stays" in said.err) == (0, True)


async def test_systemd_hears_that_it_is_ready_alive_and_stopping(house_of: Houses, tmp_path: Path) -> None:
    world = World.from_seed(3, clips=3)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.setblocking(False)
        async with house_of(world) as house:
            house.environment |= {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
            async with served(house) as process:
                said: list[str] = []

                async def hear(word: str) -> None:
                    async with asyncio.timeout(WAIT):
                        while not any(word in one for one in said):
                            said.append((await asyncio.get_running_loop().sock_recv(heard, 4096)).decode())

                await hear("READY=1")
                await hear("STATUS=all well; next cloud at ")
                del said[:]
                await hear("WATCHDOG=1")
                process.terminate()
                await hear("STOPPING=1")
                assert await process.wait() == 0


async def test_serve_needs_a_config_that_can_be_used(house_of: Houses) -> None:
    async with house_of(World.from_seed(3, clips=1)) as house:
        house.configure(more='[source.sync-module]\ncron = "0 0 30 2 *"\n')
        refused = await house("serve")
        assert (refused.code, '"0 0 30 2 *" never comes' in refused.err) == (2, True)
        assert not os.path.exists(house.folder / "state" / "serve.json")


async def test_people_are_told_when_a_sink_goes_and_when_it_is_back_and_pinged_only_while_all_is_well(
    house_of: Houses, tmp_path: Path
) -> None:
    heard: list[dict[str, str]] = []
    pings: list[str] = []

    async def take(request: web.Request) -> web.Response:
        heard.append(await request.json())
        return web.Response()

    async def ping(request: web.Request) -> web.Response:
        pings.append(request.path)
        return web.Response()

    app = web.Application()
    app.router.add_post("/phone", take)
    app.router.add_get("/alive", ping)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port, *_ = runner.addresses[0]
        async with house_of(World.from_seed(3, clips=3)) as house:
            house.environment |= {"PHONE": f"json://{host}:{port}/phone", "PING": f"http://{host}:{port}/alive"}
            house.configure(more='[alarm]\nnotify = [{ env = "PHONE" }]\nping = { env = "PING" }\nafter = "0s"\n')
            async with served(house) as process:
                await until(lambda: len(pings) == 1)
                away = house.nas.rename(tmp_path / "elsewhere")
                process.send_signal(signal.SIGHUP)  # all sources are due at once
                await until(lambda: len(heard) == 1)
                assert heard[0]["title"] == "blinkarchive: sink nas"
                assert len(pings) == 1
                away.rename(house.nas)
                for _ in range(2):  # it is over when it is missing for the second time
                    before = len(pings)
                    process.send_signal(signal.SIGHUP)
                    await until(lambda so_many=before: len(pings) > so_many)  # type: ignore[misc]  # a default binds it
                await until(lambda: len(heard) == 2)
                assert (heard[1]["title"], heard[1]["type"]) == ("blinkarchive: sink nas (over)", "success")
                said, _ = await stop(process)
            assert str(port) not in said.err, "an address is a secret"
    finally:
        await runner.cleanup()
