"""The SFTP sink keeps the contract on a real OpenSSH server, and on one whose rename replaces what is there."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from blinkarchive import Key
from blinkarchive.conformance import OpenSink, SinkContract
from blinkarchive_sftp import open_sftp
from tests.sinks.odd_server import OddServer
from tests.sshd import Sshd


class SftpContract(SinkContract):
    folder: Path

    async def flip_a_stored_byte(self, key: Key) -> None:
        stored = self.folder / key
        data = bytearray(stored.read_bytes())
        data[len(data) // 2] ^= 1
        stored.write_bytes(data)


class TestOpenSsh(SftpContract):
    @pytest.fixture
    def open_sink(self, tmp_path: Path, sshd: Sshd) -> OpenSink:
        self.folder = tmp_path / "clips"
        self.sshd = sshd
        return lambda: open_sftp(sshd.options(self.folder))

    @asynccontextmanager
    async def take_away(self) -> AsyncIterator[None]:
        self.sshd.stop()
        yield
        self.sshd.start()


class TestServerThatRenamesOver(SftpContract):
    """Hard links give names there. It works in the same thread as the tests, so pauses are its own, too."""

    LONGEST_PAUSE = 2.0

    @pytest.fixture
    async def open_sink(self, tmp_path: Path) -> AsyncIterator[OpenSink]:
        self.folder = tmp_path / "clips"
        self.odd = OddServer(self.folder)
        self.odd.instead["rename"] = lambda _files, old, new: os.replace(old, new)
        async with self.odd.serving():
            yield lambda: open_sftp(self.odd.options(connections=2))

    def take_away(self) -> AbstractAsyncContextManager[None]:
        return self.odd.away()
