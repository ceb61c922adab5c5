"""The rclone sink keeps the contract, over remotes that need no network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from blinkarchive import Key
from blinkarchive.conformance import OpenSink, SinkContract
from blinkarchive_rclone import RcloneOptions, open_rclone


class TestFolder(SinkContract):
    """A remote of the kind `local`."""

    @pytest.fixture
    def open_sink(self, tmp_path: Path) -> OpenSink:
        self.folder = tmp_path / "clips"
        self.folder.mkdir()
        config = tmp_path / "rclone.conf"
        config.touch()
        return lambda: open_rclone(RcloneOptions(remote=str(self.folder), config=config))

    async def flip_a_stored_byte(self, key: Key) -> None:
        stored = self.folder / key
        data = bytearray(stored.read_bytes())
        data[len(data) // 2] ^= 1
        stored.write_bytes(data)

    @asynccontextmanager
    async def take_away(self) -> AsyncIterator[None]:
        elsewhere = self.folder.with_name("unmounted")
        self.folder.rename(elsewhere)
        yield
        elsewhere.rename(self.folder)
