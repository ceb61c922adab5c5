"""The rclone sink keeps the contract, over remotes that need no network: folders, clear and encrypted, and servers beside us."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from blinkarchive import Key
from blinkarchive.conformance import MakeContent, OpenSink, SinkContract
from blinkarchive.conformance.putting import ODD_KEYS
from blinkarchive_rclone import RcloneOptions, open_rclone
from tests.sinks.rclone_servers import PASSWORD, USER, Server, obscured, serving

SHORTER = {name: key for name, key in ODD_KEYS.items() if max(len(part.encode()) for part in key.split("/")) < 130}
"""The odd keys whose parts are short enough to be encrypted: that makes them longer, and a folder takes 255 bytes."""


class RcloneContract(SinkContract):
    folder: Path
    within = ""

    def remote(self, tmp_path: Path) -> str:
        """What goes into rclone's config, under the name of `there`."""
        raise NotImplementedError

    @pytest.fixture
    def open_sink(self, tmp_path: Path) -> OpenSink:
        self.folder = tmp_path / "clips"
        self.folder.mkdir()
        config = tmp_path / "rclone.conf"
        config.write_text(f"[there]\n{self.remote(tmp_path)}\n")
        config.chmod(0o600)
        return lambda: open_rclone(RcloneOptions(remote=f"there:{self.within}", config=config))

    def stored(self, key: Key) -> Path:
        """The file that holds an object."""
        return self.folder / key

    async def flip_a_stored_byte(self, key: Key) -> None:
        stored = self.stored(key)
        data = bytearray(stored.read_bytes())
        data[len(data) // 2] ^= 1
        stored.write_bytes(data)

    @asynccontextmanager
    async def take_away(self) -> AsyncIterator[None]:
        elsewhere = self.folder.with_name("unmounted")
        self.folder.rename(elsewhere)
        yield
        elsewhere.rename(self.folder)


class TestFolder(RcloneContract):
    """A folder of this machine, by a name in rclone's config."""

    def remote(self, tmp_path: Path) -> str:
        return f"type = alias\nremote = {self.folder}"


class TestEncryptedFolder(RcloneContract):
    """A folder in which names and bytes are encrypted by rclone."""

    def remote(self, tmp_path: Path) -> str:
        return f"type = crypt\nremote = {self.folder}\npassword = {obscured('canary of crypt')}"

    def stored(self, key: Key) -> Path:
        (only,) = (path for path in self.folder.rglob("*") if path.is_file())
        return only

    @pytest.mark.parametrize("key", SHORTER.values(), ids=SHORTER)
    async def test_odd_keys_are_kept_exactly(self, open_sink: OpenSink, make_content: MakeContent, key: str) -> None:
        await super().test_odd_keys_are_kept_exactly(open_sink, make_content, key)


class Served(RcloneContract):
    """A folder that is served by another rclone."""

    PATIENCE = 120.0  # a put over these is a dozen requests, each a message between three processes
    pytestmark = pytest.mark.timeout(150)

    kind: str
    flags: tuple[str, ...] = ()
    server: Server

    @pytest.fixture(autouse=True)
    def _server(self, tmp_path: Path) -> Iterator[None]:
        (tmp_path / "served").mkdir()
        with serving(self.kind, tmp_path / "served", *self.flags) as self.server:
            yield

    @asynccontextmanager
    async def take_away(self) -> AsyncIterator[None]:
        self.server.stop()
        yield
        self.server.start()

    def remote(self, tmp_path: Path) -> str:
        self.folder = tmp_path / "served" / self.within
        self.folder.mkdir(exist_ok=True)
        return self.lines()

    def lines(self) -> str:
        """What goes into rclone's config."""
        raise NotImplementedError


class TestWebDav(Served):
    """A server that speaks WebDAV."""

    kind = "webdav"
    # Without its cache this server answers at times that a folder is empty, while something in it is being renamed.
    flags = (f"--user={USER}", f"--pass={PASSWORD}", "--vfs-cache-mode=full", "--vfs-write-back=0s")

    def lines(self) -> str:
        return (
            f"type = webdav\nvendor = other\nurl = http://127.0.0.1:{self.server.port}\n"
            f"user = {USER}\npass = {obscured(PASSWORD)}\n"
            "pacer_min_sleep = 100us"  # rclone waits 10 ms between two requests, and the kit makes many
        )


class TestS3(Served):
    """A server that speaks S3: no renaming, a clip is sent under its own name."""

    kind = "s3"
    within = "clips"
    flags = ("--auth-key=kept,secret-canary", "--vfs-cache-mode=off")

    def lines(self) -> str:
        return (
            f"type = s3\nprovider = Rclone\nendpoint = http://127.0.0.1:{self.server.port}\naccess_key_id = kept\n"
            "secret_access_key = secret-canary\nuse_multipart_uploads = false\n"
            "override.low_level_retries = 1"  # or its library for S3 tries for a long time before it believes in an outage
        )
