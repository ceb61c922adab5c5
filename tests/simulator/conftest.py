"""A world that is served, and a phone that knows its owner's password."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from blinkarchive.clock import ManualClock
from blinkarchive.simulator import Running, Simulator, World
from tests.simulator.phone import Phone


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture
def world(clock: ManualClock) -> World:
    """A small house; whoever wants another one overrides this."""
    return World.from_seed(1, clips=12, clip_bytes=(8_000, 20_000), clock=clock)


@pytest.fixture
async def running(world: World) -> AsyncIterator[Running]:
    async with Simulator(world).serving() as running:
        yield running


@pytest.fixture
async def stranger(running: Running) -> AsyncIterator[Phone]:
    """A phone that has not signed in."""
    async with Phone.switched_on(running) as phone:
        yield phone


@pytest.fixture
async def phone(stranger: Phone, world: World) -> Phone:
    """A phone that was signed in long ago."""
    stranger.tokens = world.signins.sign_in(world.account)
    return stranger
