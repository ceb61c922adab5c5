"""One run into a folder, a bucket, a server, and, encrypted, what rclone reaches: each has every clip, a dead one harms none."""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest

from blinkarchive.simulator import World
from tests import sshd as servers
from tests.acceptance.conftest import House, Houses, films
from tests.seaweed import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Seaweed

pytestmark = pytest.mark.timeout(180)  # some seconds, where the machine has nothing else to do

CLIPS = 12
KEYS = [pyrage.x25519.Identity.generate() for _ in range(2)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[servers.Sshd]:
    (tmp_path / "server").mkdir()
    with servers.serving(tmp_path / "server") as sshd:
        yield sshd


def everywhere(house: House, seaweed: Seaweed, bucket: str, server: servers.Sshd) -> None:
    """The config of somebody who trusts no single place."""
    house.environment |= {"S3_KEY": ACCESS_KEY_ID, "S3_SECRET": SECRET_ACCESS_KEY}
    server.trust(house.folder / "known_hosts")
    (house.folder / "remote").mkdir()
    house.configure(
        more=f'''
[sink.bucket]
type = "s3"
bucket = "{bucket}"
endpoint_url = "{seaweed.url}"
access_key_id = {{ env = "S3_KEY" }}
secret_access_key = {{ env = "S3_SECRET" }}

[sink.server]
type = "sftp"
host = "127.0.0.1"
port = {server.port}
username = "{getpass.getuser()}"
path = "clips"
key = "{server.user_key}"
known_hosts = "{house.folder / "known_hosts"}"

[sink.remote]
type = "rclone"
remote = "{house.folder / "remote"}"
encrypt = {{ recipients = ["{KEYS[0].to_public()}", "{KEYS[1].to_public()}"] }}
'''
    )


def opened(folder: Path) -> set[str]:
    """The hashes of the clips in a folder that are encrypted."""
    sealed = [path for path in folder.rglob("*.age") if not path.is_relative_to(folder / "catalog")]
    return {hashlib.sha256(pyrage.decrypt(path.read_bytes(), [KEYS[1]])).hexdigest() for path in sealed}


def hashes(folder: Path) -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.mp4")}


def in_bucket(seaweed: Seaweed, bucket: str) -> set[str]:
    client = seaweed.client()
    keys = [one["Key"] for one in client.list_objects_v2(Bucket=bucket)["Contents"] if one["Key"].endswith(".mp4")]
    found = {hashlib.sha256(client.get_object(Bucket=bucket, Key=key)["Body"].read()).hexdigest() for key in keys}
    client.close()
    return found


async def test_one_run_brings_every_clip_into_every_kind_of_sink(
    house_of: Houses, seaweed: Seaweed, server: servers.Sshd
) -> None:
    bucket = seaweed.bucket()
    async with house_of(World.from_seed(7, clips=CLIPS, clip_bytes=(8_000, 600_000), until=datetime.now(UTC))) as house:
        everywhere(house, seaweed, bucket, server)
        ended = await house("run", "--json")
        assert ended.code == 0, ended.err
        assert {name: sink["stored"] for name, sink in ended.report["sinks"].items()} == dict.fromkeys(
            ("nas", "bucket", "server", "remote"), CLIPS
        )
        truth = films(house.cloud.world)
        assert hashes(house.nas) == hashes(server.home / "clips") == opened(house.folder / "remote") == truth
        assert in_bucket(seaweed, bucket) == truth
        assert house.asked(".mp4") == CLIPS, "each was fetched once"
        again = await house("run", "--json")
        assert (again.code, again.report["stored"]) == (0, 0)
        checked = await house("verify", "--full", "--json")
        assert checked.code == 0
        assert {name: (sink["sound"], sink["read"]) for name, sink in checked.report["sinks"].items()} == dict.fromkeys(
            ("nas", "bucket", "server", "remote"), (CLIPS, CLIPS)
        )


async def test_a_server_that_is_away_holds_up_no_other_sink_and_catches_up_without_blink(
    house_of: Houses, seaweed: Seaweed, server: servers.Sshd
) -> None:
    bucket = seaweed.bucket()
    async with house_of(World.from_seed(7, clips=CLIPS, clip_bytes=(8_000, 60_000), until=datetime.now(UTC))) as house:
        everywhere(house, seaweed, bucket, server)
        server.stop()
        ended = await house("run", "--json")
        assert (ended.code, ended.report["sinks_failed"]) == (3, ["server"])
        truth = films(house.cloud.world)
        assert hashes(house.nas) == opened(house.folder / "remote") == in_bucket(seaweed, bucket) == truth
        server.start()
        fetched = house.asked(".mp4")
        ended = await house("run", "--json")
        assert (ended.code, ended.report["sinks"]["server"]["stored"]) == (0, CLIPS)
        assert hashes(server.home / "clips") == truth
        assert house.asked(".mp4") == fetched
