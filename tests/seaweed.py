"""A real S3 server on loopback: SeaweedFS, in a process of its own, with a bucket for whoever asks."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from blinkarchive.convert import SecretRef
from blinkarchive.secret import Secret

PROGRAM = Path(sys.executable).with_name("weed")
ACCESS_KEY_ID = "AKIDOFTHEARCHIVE0001"
READER_KEY_ID = "AKIDOFTHEREADER00002"
"""It can read and list, and nothing else; its secret is the same."""
SECRET_ACCESS_KEY = "canary-secret-of-the-archive-4711-do-not-show"
STARTING = 40.0
"""Seconds until it must answer."""

_SERVICES = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
_S3 = ("s3.port", "s3.port.grpc")


def secret(value: str) -> SecretRef:
    """A secret as the config would lead to it."""
    return SecretRef(kind="inline", inline=Secret(value))


@dataclass(frozen=True)
class Seaweed:
    """A running server."""

    url: str
    pid: int

    @property
    def keys(self) -> dict[str, Any]:
        """The options of a sink that its credentials are."""
        return {"access_key_id": secret(ACCESS_KEY_ID), "secret_access_key": secret(SECRET_ACCESS_KEY)}

    def client(self) -> Any:
        """A client that has nothing to do with the sink."""
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET_ACCESS_KEY,
            config=Config(s3={"addressing_style": "path"}, proxies={}),
        )

    def bucket(self) -> str:
        """A new bucket. It goes with the server."""
        client, name = self.client(), f"clips-{uuid.uuid4().hex[:12]}"
        client.create_bucket(Bucket=name)
        client.close()
        return name


@contextmanager
def serving(where: Path | None = None, volume_mb: int = 64) -> Iterator[Seaweed]:
    """Start it, with its data in a folder; it is killed in the end. Whoever takes one of its ports costs another try."""
    for last in (False, False, True):
        with (
            tempfile.TemporaryDirectory(prefix="seaweed-", dir=where) as folder,
            suppress(_PortTaken),
            _started(Path(folder), volume_mb) as seaweed,
        ):
            yield seaweed
            return
        assert not last, "SeaweedFS does not start"


class _PortTaken(Exception):
    pass


@contextmanager
def _started(folder: Path, volume_mb: int) -> Iterator[Seaweed]:
    identity = {
        "name": "archive",
        "credentials": [{"accessKey": ACCESS_KEY_ID, "secretKey": SECRET_ACCESS_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    reader = {
        "name": "reader",
        "credentials": [{"accessKey": READER_KEY_ID, "secretKey": SECRET_ACCESS_KEY}],
        "actions": ["Read", "List"],
    }
    (folder / "iam.json").write_text(json.dumps({"identities": [identity, reader]}))
    (folder / "data").mkdir()
    ports = dict(zip((*_SERVICES, *_S3), _free_ports(len(_SERVICES) + len(_S3)), strict=True))
    flags: dict[str, object] = {
        "dir": folder / "data",
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        **ports,
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": volume_mb,
        "volume.max": 0,
        "filer.localSocket": folder / "filer.sock",
        "s3.config": folder / "iam.json",
        "s3.localSocket": folder / "s3.sock",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
    }
    argv = [str(PROGRAM), "-logtostderr", "server", "-filer", "-s3", *(f"-{name}={value}" for name, value in flags.items())]
    with (folder / "log").open("w") as log, subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process:
        try:
            seaweed = Seaweed(f"http://127.0.0.1:{ports['s3.port']}", process.pid)
            _await(seaweed, process)
            yield seaweed
        finally:
            process.kill()


def _await(seaweed: Seaweed, process: subprocess.Popen[bytes]) -> None:
    client, until = seaweed.client(), time.monotonic() + STARTING
    while time.monotonic() < until:
        if process.poll() is not None:
            raise _PortTaken
        try:
            client.create_bucket(Bucket="ready")
            client.put_object(Bucket="ready", Key="ready", Body=b"ready")
        except (BotoCoreError, ClientError):
            time.sleep(0.2)
        else:
            client.close()
            return
    raise _PortTaken


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Seaweed]:
    """One server for all tests of a process."""
    with serving() as started:
        yield started


@pytest.fixture(scope="session")
def bucket(seaweed: Seaweed) -> str:
    """One bucket for all who have a folder of their own in it: a new one takes seconds."""
    return seaweed.bucket()
