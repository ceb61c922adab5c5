"""An index of its own for every test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from blinkarchive.clock import ManualClock
from blinkarchive.index import Index


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "index.sqlite3"


@pytest_asyncio.fixture
async def index(path: Path, clock: ManualClock) -> AsyncIterator[Index]:
    async with Index.open(path, clock=clock) as opened:
        yield opened
