"""A simulated house with devices of every family, and a client of ours that has signed in: both live by one clock."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from blinkarchive.blink import Auth, Blink, Client, Endpoints
from blinkarchive.clock import ManualClock
from blinkarchive.secret import Secret
from blinkarchive.simulator import Account, Camera, Running, Simulator, SyncModule, World
from blinkarchive.simulator.plan import AccountPlan, CameraPlan, NetworkPlan, SyncModulePlan, WorldPlan


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 7, 1, 12, 0, tzinfo=UTC))


@pytest.fixture
def plan() -> WorldPlan:
    """Two networks with modules whose cameras are called alike, and one of a Mini alone."""
    home = NetworkPlan(
        name="Home",
        sync_modules=(SyncModulePlan(name="Home Module", clips=6),),
        cameras=(
            CameraPlan(name="Front Door"),
            CameraPlan(name="Kitchen", type="owl"),
            CameraPlan(name="Bell", type="lotus"),
            CameraPlan(name="Drive", type="superior"),
        ),
    )
    barn = NetworkPlan(
        name="Barn",
        sync_modules=(SyncModulePlan(name="Barn Module", clips=3),),
        cameras=(CameraPlan(name="Front Door", type="xt2"), CameraPlan(name="Stable", type="sedona")),
    )
    shed = NetworkPlan(name="Shed", cameras=(CameraPlan(name="Bench", type="hawk"),))
    person = AccountPlan(username="owner@example.org", password="open-sesame-42", networks=(home, barn, shed), clips=20)
    return WorldPlan(seed=4, until=datetime(2026, 7, 1, 11, 0, tzinfo=UTC), clip_bytes=(8_000, 30_000), accounts=(person,))


@pytest.fixture
def world(plan: WorldPlan, clock: ManualClock) -> World:
    return World(plan, clock)


@pytest.fixture
async def cloud(world: World) -> AsyncIterator[Running]:
    async with Simulator(world).serving() as running:
        yield running


@pytest.fixture
def servers(cloud: Running) -> Endpoints:
    return Endpoints.of(api_url=cloud.url, oauth_url=cloud.url)


@pytest.fixture
async def client(servers: Endpoints, world: World, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Client]:
    world.account.second_factor = "none"
    async with Client.open(tmp_path / "tokens" / "home.json", servers=servers, clock=clock) as client:
        await client.sign_in(world.account.username, Secret(world.account.password))
        yield client


Signing = Callable[..., Auth]


@pytest.fixture
def signing(cloud: Running, world: World, clock: ManualClock) -> Signing:
    """Makes the sign-in of the first account, or of another: by its password, without a prompt, unless said otherwise."""

    def sign(login_data: dict[str, Any] | None = None, *, account: Account | None = None, **options: Any) -> Auth:
        person = account or world.account
        given = {"username": person.username, "password": person.password} if login_data is None else login_data
        servers = {"api_url": cloud.url, "oauth_url": cloud.url, "clock": clock}
        return Auth(given, **{"no_prompt": True, **servers, **options})

    return sign


@pytest.fixture
async def blink(signing: Signing, world: World) -> AsyncIterator[Blink]:
    """A house whose owner has signed in."""
    world.account.second_factor = "none"
    async with Blink(auth=signing()) as blink:
        assert await blink.start()
        yield blink


@contextmanager
def served_beside(world: World) -> Iterator[Running]:
    """A simulated cloud in a thread of its own: for tests that run event loops themselves, or scripts in other processes."""
    up = threading.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        async with Simulator(world).serving() as found["running"]:
            found["loop"], found["end"] = asyncio.get_running_loop(), asyncio.Event()
            up.set()
            await found["end"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="cloud")
    thread.start()
    try:
        assert up.wait(20)
        yield found["running"]
    finally:
        found["loop"].call_soon_threadsafe(found["end"].set)
        thread.join(20)


def camera(world: World, name: str, network: str = "Home") -> Camera:
    """The simulated camera of this name."""
    return next(each for each in world.account.cameras if (each.network.name, each.name) == (network, name))


def module(world: World, name: str = "Home Module") -> SyncModule:
    """The simulated sync module of this name."""
    return next(each for each in world.account.sync_modules if each.name == name)
