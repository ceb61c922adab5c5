"""The disk sink keeps the contract: whether it may link the content's file, or has to copy it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from blinkarchive import Key
from blinkarchive.conformance import OpenSink, SinkContract
from blinkarchive.files import Files
from blinkarchive_disk import DiskOptions, open_disk
from tests.sinks.file_systems import Copying, Unlinked


class DiskContract(SinkContract):
    files: Files

    @pytest.fixture
    def open_sink(self, tmp_path: Path) -> OpenSink:
        self.folder = tmp_path / "clips"
        self.folder.mkdir()
        return lambda: open_disk(DiskOptions(path=str(self.folder), min_free=0), self.files)

    async def flip_a_stored_byte(self, key: Key) -> None:
        stored = self.folder / key
        data = bytearray(stored.read_bytes())
        data[len(data) // 2] ^= 1
        stored.unlink()  # it may be the content's own file
        stored.write_bytes(data)

    @asynccontextmanager
    async def take_away(self) -> AsyncIterator[None]:
        elsewhere = self.folder.with_name("unmounted")
        self.folder.rename(elsewhere)
        yield
        elsewhere.rename(self.folder)


class TestDiskThatLinks(DiskContract):
    files = Files()


class TestDiskThatCopies(DiskContract):
    files = Copying()


class TestDiskWithoutHardLinks(DiskContract):
    files = Unlinked()
