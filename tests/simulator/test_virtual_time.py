"""Time that jumps: what waits, waits as long as it says; what works is waited for; and nothing takes long."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from blinkarchive.blink import Client, Deadlines, Endpoints
from blinkarchive.errors import BadClip, Unreachable
from blinkarchive.secret import Secret
from blinkarchive.simulator import Running, Simulator, Standstill, VirtualClock, VirtualLoop, World
from tests.simulator.phone import Phone
from tests.virtually import virtually

MINUTE = 60.0
HOUR = 3600.0


def now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def served(world: World) -> AsyncIterator[tuple[Running, Phone]]:
    """A cloud, and a phone that is signed in."""
    async with Simulator(world).serving() as running, Phone.switched_on(running) as phone:
        phone.tokens = world.signins.sign_in(world.account)
        yield running, phone


@asynccontextmanager
async def our_client(world: World, tokens: Path, deadlines: Deadlines | None = None) -> AsyncIterator[tuple[Running, Client]]:
    """A cloud, and our own client that is signed in."""
    async with (
        Simulator(world).serving() as running,
        Client.open(
            tokens, servers=Endpoints.of(api_url=running.url, oauth_url=running.url), clock=world.clock, deadlines=deadlines
        ) as blink,
    ):
        await blink.sign_in(world.account.username, Secret(world.account.password))
        await blink.account_id()
        yield running, blink


def house() -> World:
    return World.from_seed(1, clips=12, clip_bytes=(8_000, 20_000), clock=VirtualClock())


# --- the loop


@virtually
async def test_sleepers_side_by_side_take_as_long_as_the_longest() -> None:
    clock = VirtualClock()
    await asyncio.gather(*(clock.sleep(seconds) for seconds in (1.0, HOUR, 5.0, HOUR - 1.0)))
    assert now() == pytest.approx(HOUR)


@virtually
async def test_timers_come_in_their_order() -> None:
    order: list[float] = []
    loop = asyncio.get_running_loop()
    for after in (50.0, 3.0, 86_400.0 * 30, 7.0):
        loop.call_later(after, order.append, after)
    await asyncio.sleep(86_400.0 * 31)
    assert order == [3.0, 7.0, 50.0, 86_400.0 * 30]


@virtually
async def test_a_deadline_is_of_virtual_time() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(HOUR):
            await asyncio.Event().wait()
    assert now() == pytest.approx(HOUR)


@virtually
async def test_computing_takes_no_time() -> None:
    began = now()
    for _ in range(1000):
        await asyncio.sleep(0)
    time.sleep(0.02)
    assert now() == began


def test_what_can_never_go_on_is_told_and_does_not_hang() -> None:
    async def nothing_comes() -> None:
        await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner, pytest.raises(Standstill, match=r"nothing is at work.*test_virtual"):
        runner.run(nothing_comes())


def test_what_goes_on_for_ever_is_told_and_does_not_hang() -> None:
    async def never_enough() -> None:
        while True:
            await asyncio.sleep(MINUTE)

    with (
        asyncio.Runner(loop_factory=lambda: VirtualLoop(patience=0.1)) as runner,
        pytest.raises(Standstill, match="for more than"),
    ):
        runner.run(never_enough())


# --- what is at work


def slow_write(path: Path) -> None:
    """A file's way to a slow disk."""
    with path.open("wb") as file:
        for _ in range(5):
            file.write(os.urandom(100_000))
            file.flush()
            os.fsync(file.fileno())
            time.sleep(0.01)


async def in_the_default_pool(path: Path, _: ThreadPoolExecutor) -> None:
    await asyncio.to_thread(slow_write, path)


async def in_a_pool(path: Path, pool: ThreadPoolExecutor) -> None:
    await asyncio.get_running_loop().run_in_executor(pool, slow_write, path)


async def past_the_loop(path: Path, pool: ThreadPoolExecutor) -> None:
    await asyncio.wrap_future(pool.submit(slow_write, path))


async def by_a_thread_that_rests(path: Path, pool: ThreadPoolExecutor) -> None:
    """What it is given waits in a queue when the loop looks."""
    pool.submit(int).result()
    time.sleep(0.01)
    await past_the_loop(path, pool)


@pytest.mark.parametrize("write", [in_the_default_pool, in_a_pool, past_the_loop, by_a_thread_that_rests])
def test_time_does_not_jump_past_a_file_that_a_thread_writes(write: Callable[..., object], tmp_path: Path) -> None:
    @virtually
    async def test() -> None:
        with ThreadPoolExecutor(max_workers=1) as pool:
            async with asyncio.timeout(MINUTE):
                await write(tmp_path / "film", pool)  # type: ignore[misc]  # any of those above
        assert now() < MINUTE
        assert (tmp_path / "film").stat().st_size == 500_000

    test()


@virtually
async def test_time_does_not_jump_while_a_thread_works_for_nobody_any_more(tmp_path: Path) -> None:
    writing = asyncio.ensure_future(asyncio.to_thread(slow_write, tmp_path / "film"))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.sleep(MINUTE)
    assert (tmp_path / "film").stat().st_size == 500_000


@virtually
async def test_while_a_thread_works_a_timer_comes_in_its_time() -> None:
    fired = threading.Event()
    asyncio.get_running_loop().call_later(0.05, fired.set)
    assert await asyncio.to_thread(fired.wait, 20)


@virtually
async def test_time_does_not_jump_past_a_child_process() -> None:
    child = await asyncio.create_subprocess_exec("sh", "-c", "sleep 0.1; echo done", stdout=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(child.communicate(), MINUTE)
    assert (out, child.returncode) == (b"done\n", 0)
    await asyncio.sleep(HOUR)
    assert now() >= HOUR


@virtually
async def test_signals_arrive() -> None:
    loop, came = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, came.set)
    try:
        child = await asyncio.create_subprocess_shell(f"sleep 0.05; kill -USR1 {os.getpid()}")
        await came.wait()
        await child.wait()
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)


# --- the clock


@virtually
async def test_the_clock_says_what_has_passed_in_any_thread() -> None:
    start = datetime(2026, 3, 29, tzinfo=UTC)
    clock = VirtualClock(start)
    await clock.sleep(HOUR)
    assert await asyncio.to_thread(clock.now) - start == pytest.approx(timedelta(hours=1), abs=timedelta(seconds=1))
    assert clock.monotonic() == now()


@virtually
async def test_the_time_of_day_can_jump_and_nobody_sleeps_longer() -> None:
    clock = VirtualClock()
    before, sleeping = clock.now(), asyncio.ensure_future(clock.sleep(HOUR))
    await clock.sleep(MINUTE)
    clock.jump(timedelta(days=-2))
    assert clock.now() - before == timedelta(days=-2, minutes=1)
    await sleeping
    assert clock.monotonic() == pytest.approx(HOUR)


# --- a client and its cloud


@virtually
async def test_a_silent_cloud_is_given_up_after_virtual_seconds(tmp_path: Path) -> None:
    world = house()
    async with our_client(world, tmp_path / "tokens") as (_, blink):
        world.faults.add("media.hang")
        began = now()
        with pytest.raises(Unreachable):
            async with blink.media(world.account.clips[0].path):
                pass
        assert now() - began == pytest.approx(30, abs=1)


@virtually
async def test_a_dripping_film_is_given_up_after_virtual_seconds(tmp_path: Path) -> None:
    world = house()
    clip = world.account.add_clip(size=400_000)
    async with our_client(world, tmp_path / "tokens") as (_, blink):
        world.faults.add("media.drip", rate=1000)
        began = now()
        with pytest.raises(BadClip, match="too slow"):
            async with blink.media(clip.path) as body:
                async for _ in body.chunks:
                    pass
        assert now() - began == pytest.approx(30, abs=1)


@virtually
async def test_a_film_that_comes_too_slowly_to_its_end_is_given_up_after_virtual_minutes(tmp_path: Path) -> None:
    world = house()
    clip = world.account.add_clip(size=4_000_000)
    async with our_client(world, tmp_path / "tokens", Deadlines(clip=2 * MINUTE)) as (_, blink):
        world.faults.add("media.drip", rate=5000)
        began = now()
        with pytest.raises(BadClip, match="no answer in time"):
            async with blink.media(clip.path) as body:
                async for _ in body.chunks:
                    pass
        assert now() - began == pytest.approx(2 * MINUTE, abs=1)


@virtually
async def test_each_of_many_connections_has_its_own_pace_and_its_own_time() -> None:
    world = house()
    world.rules.latency, world.rules.bandwidth = 2.5, 10_000
    async with served(world) as (_, phone):

        async def seconds(path: str) -> float:
            began = now()
            status, _ = await phone.fetch(path)
            assert status == 200
            return now() - began

        clips = world.account.clips
        took = await asyncio.gather(*(seconds(clip.path) for clip in clips))
        assert took == pytest.approx([2.5 + clip.take.size / 10_000 for clip in clips], abs=0.001)
        assert now() == pytest.approx(max(took), abs=0.001)


@virtually
async def test_a_token_lasts_for_its_virtual_hours() -> None:
    world = house()
    async with served(world) as (_, phone):
        path = f"/api/v1/accounts/{world.account.id}/media/changed"
        await world.clock.sleep(4 * HOUR - 1)
        assert (await phone.ask("GET", path))[0] == 200
        await world.clock.sleep(2)
        assert (await phone.ask("GET", path))[0] == 401


@virtually
async def test_our_client_renews_what_has_run_out(tmp_path: Path) -> None:
    world = house()
    async with our_client(world, tmp_path / "tokens") as (running, blink):
        for _ in range(24):
            assert len((await blink.media_page(datetime(1970, 1, 1, tzinfo=UTC), 1)).items) == 12
            await world.clock.sleep(HOUR)
        # One with the sign-in, and one whenever four hours are over.
        assert len(running.seen("POST", "/oauth/token")) == 6
        assert {exchange.status for exchange in running.seen("GET", "/media/changed")} == {200}


@virtually
async def test_a_day_of_polls_ends() -> None:
    world = house()
    world.rules.access_token_life = 7 * 24 * HOUR
    async with served(world) as (running, phone):
        for _ in range(24 * 12):
            await phone.page()
            await world.clock.sleep(5 * MINUTE)
        assert len(running.seen("GET", "/media/changed")) == 24 * 12
        assert world.clock.now() - datetime(2026, 1, 1, tzinfo=UTC) == pytest.approx(timedelta(days=1), abs=timedelta(seconds=1))


@virtually
async def test_an_idle_connection_is_closed_by_the_cloud_and_the_next_request_takes_another() -> None:
    world = house()
    async with served(world) as (_, phone):
        await phone.page()
        await world.clock.sleep(3 * HOUR)
        assert len(await phone.page()) == 12


def test_a_connection_that_cannot_be_made_is_an_error_at_once() -> None:
    async def ask() -> None:
        async with aiohttp.ClientSession() as http:
            await http.get("http://127.0.0.1:1/")

    with asyncio.Runner(loop_factory=VirtualLoop) as runner, pytest.raises(aiohttp.ClientConnectorError):
        runner.run(ask())


def test_the_day_of_the_docs_is_lived() -> None:
    page = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
    (day,) = re.findall(r"```python\n(import asyncio\n.*?)```", page, re.DOTALL)
    exec(day, {})
