"""The SFTP sink keeps the contract on a real OpenSSH server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from blinkarchive import Key
from blinkarchive.conformance import OpenSink, SinkContract
from blinkarchive_sftp import open_sftp
from tests.sshd import Sshd


class TestOpenSsh(SinkContract):
    @pytest.fixture
    def open_sink(self, tmp_path: Path, sshd: Sshd) -> OpenSink:
        self.folder = tmp_path / "clips"
        self.sshd = sshd
        return lambda: open_sftp(sshd.options(self.folder))

    async def flip_a_stored_byte(self, key: Key) -> None:
        stored = self.folder / key
        data = bytearray(stored.read_bytes())
        data[len(data) // 2] ^= 1
        stored.write_bytes(data)

    @asynccontextmanager
    async def take_away(self) -> AsyncIterator[None]:
        self.sshd.stop()
        yield
        self.sshd.start()
