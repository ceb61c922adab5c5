"""A cloud on loopback, and a Blink client that talks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from blinkarchive.blink.client import Client
from blinkarchive.blink.endpoints import Endpoints
from blinkarchive.clock import ManualClock
from blinkarchive.files import Files
from blinkarchive.secret import Secret
from tests.blink.cloud import Cloud, serving

OWNER = "owner@example.org"
PASSWORD = Secret(Cloud.password)

Opener = Callable[..., AbstractAsyncContextManager[Client]]


class Hasty(Files):
    """Files that nothing makes durable: for tests that are not about that, and there are many."""

    def sync(self, fd: int) -> None:
        pass

    def sync_folder(self, path: Path) -> None:
        pass


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    cloud = Cloud()
    async with serving(cloud):
        yield cloud


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 7, 1, 12, 0, tzinfo=UTC))


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "home.json"


@pytest.fixture
def servers(cloud: Cloud) -> Endpoints:
    return Endpoints.of(api_url=cloud.url, oauth_url=cloud.url)


@pytest.fixture
def opened(servers: Endpoints, clock: ManualClock, token_file: Path) -> Opener:
    def open_(**options: Any) -> AbstractAsyncContextManager[Client]:
        return Client.open(
            options.pop("token_file", token_file), **{"servers": servers, "clock": clock, "files": Hasty(), **options}
        )

    return open_


@pytest.fixture
async def blink(opened: Opener) -> AsyncIterator[Client]:
    """A client that nobody has signed in yet."""
    async with opened() as blink:
        yield blink


@pytest.fixture
async def signed_in(blink: Client) -> Client:
    await blink.sign_in(OWNER, PASSWORD)
    return blink
