"""The sink keeps the contract: every promise of `blinkarchive.Sink`, tested by the conformance kit."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from blinkarchive import Key
from blinkarchive.conformance import OpenSink, SinkContract

from blinkarchive_new_kind import (
    NEW_KIND,
)


class TestContract(SinkContract):
    # For a slow place: PATIENCE = 120.0, and HUGE = 0 or LONG = 0 to leave those cases out. What is
    # left out is told at the end of the report.

    @pytest.fixture
    def open_sink(self, tmp_path: Path) -> OpenSink:
        """An empty place for every test, and the same one whenever it is opened within a test."""
        self.folder = tmp_path / "place"
        self.folder.mkdir()
        options = NEW_KIND.options(path=str(self.folder))
        return lambda: NEW_KIND.open(options)

    async def flip_a_stored_byte(self, key: Key) -> None:
        """Damage what is stored, behind the sink's back.

        Where that cannot be done: `raise Untestable("why")`, from `blinkarchive.conformance`.
        """
        for file in (self.folder / "objects").iterdir():
            data = bytearray(file.read_bytes())
            if data.startswith(json.dumps(key).encode() + b"\n"):
                data[-1] ^= 1
                file.write_bytes(data)

    @asynccontextmanager
    async def take_away(self) -> AsyncIterator[None]:
        """Make the place unreachable for a while: stop its server, unplug its disk.

        Where that cannot be done, `raise Untestable("why")` here too.
        """
        elsewhere = self.folder.with_name("unplugged")
        self.folder.rename(elsewhere)
        yield
        elsewhere.rename(self.folder)
