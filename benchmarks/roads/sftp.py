"""P8: the same files to the same OpenSSH server: our sink, OpenSSH's own `sftp -b`, and `rclone copy`.

We write each file under another name, have the server flush it, ask its size and rename it. `sftp` is told to flush, too:
`put -f`. rclone does not flush; its hash check, which starts a remote command for every file, is off. On loopback the
processor binds; at 50 ms, through a wire that delays, the number of requests under way.
"""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path

from benchmarks import peers
from benchmarks.bench import Bench
from benchmarks.measure import MB, CannotRun, Command, Ran, Rival, ratio, take_turns
from benchmarks.report import Row
from tests import sshd

HERE = Path(__file__).parent.parent
US, SFTP, RCLONE = "we", "sftp -b", "rclone copy"
WHY = (
    "Of 2.4 s of processor time for 500 MB 0.6 are Python's start with its SSH library. Of the rest more than half is spent "
    "sending: the library hands each packet of 32 kB to the kernel by itself, an empty one before it. Joining them saved a "
    "tenth, and would reach into the library's privates. We have each file flushed, which rclone does not."
)


def measure(bench: Bench) -> Iterator[Row]:
    with _server(bench.scratch) as server:
        yield from _race(bench, server, server.port, "500 x 1 MB, loopback", 500, {SFTP: None, RCLONE: 1.0})
        with _far(server.port, 25) as port:
            yield from _race(bench, server, port, "100 x 1 MB, 50 ms", 100, {SFTP: None, RCLONE: 0.6})


def _race(bench: Bench, server: sshd.Sshd, port: int, what: str, count: int, targets: dict[str, float | None]) -> Iterator[Row]:
    files = bench.scratch / f"files-{count}"
    files.mkdir()
    for number in range(count):
        (files / f"{number}.mp4").write_bytes(os.urandom(MB))
    rivals = [_rival(name, make, server, files) for name, make in _makers(server, files, port).items()]
    rounds = take_turns(rivals, bench.pairs, bench.scratch)
    for other, target in targets.items():
        yield Row.of_race(rounds, US, other, road="P8", what=f"{what}: {US} / {other}", target=target, why=WHY)
        cpu = ratio(rounds, US, other, attrgetter("cpu"))
        yield Row(road="P8", what=f"{what}: processor time, {US} / {other}", figure=cpu, pairs=bench.pairs)


def _makers(server: sshd.Sshd, files: Path, port: int) -> dict[str, Callable[[Path], Command]]:
    me, known = getpass.getuser(), server.folder / f"known-{port}"
    known.write_text(f"[127.0.0.1]:{port} {server.host_key.export_public_key().decode()}")

    def ours(there: Path) -> Command:
        words: list[str | Path] = [files, str(port), there, server.user_key, known, "2"]
        return Command(argv=[sys.executable, "-m", "benchmarks.peers.our_sftp", *words], env={"PYTHONPATH": str(HERE.parent)})

    def sftp(there: Path) -> Command:
        peers.needs("sftp")
        orders = there.parent / "orders"
        orders.write_text("".join(f"put -f {file} {there / file.name}\n" for file in sorted(files.iterdir())))
        wanted = ["StrictHostKeyChecking=yes", f"UserKnownHostsFile={known}", "IdentitiesOnly=yes"]
        wanted += ["Ciphers=aes128-gcm@openssh.com"]  # what we prefer, too
        options: list[str | Path] = [word for one in wanted for word in ("-o", one)]
        return Command(
            argv=["sftp", "-q", "-b", orders, "-P", str(port), "-i", server.user_key, "-F", "none", *options, f"{me}@127.0.0.1"]
        )

    def rclone(there: Path) -> Command:
        program = Path(sys.executable).with_name("rclone")
        remote = f":sftp,host=127.0.0.1,port={port},user={me},key_file={server.user_key},known_hosts_file={known}:{there}"
        off = ["--sftp-disable-hashcheck", "--sftp-set-modtime=false", "--ignore-checksum", "--config", os.devnull]
        return Command(argv=[program, "copy", files, remote, "--transfers", "8", *off])

    return {US: ours, SFTP: sftp, RCLONE: rclone}


def _rival(name: str, make: Callable[[Path], Command], server: sshd.Sshd, files: Path) -> Rival:
    def ready(folder: Path) -> Command:
        there = folder / "there"
        there.mkdir()
        return make(there)

    def check(folder: Path, _ran: Ran) -> None:
        for file in files.iterdir():
            if (folder / "there" / file.name).read_bytes() != file.read_bytes():
                raise CannotRun(f"{name} did not store {file.name} as it is")

    return Rival(name=name, ready=ready, check=check)


@contextmanager
def _server(scratch: Path) -> Iterator[sshd.Sshd]:
    folder = scratch / "sshd"
    folder.mkdir()
    peers.needs("sftp")
    with sshd.serving(folder) as server:
        yield server


@contextmanager
def _far(port: int, milliseconds: int) -> Iterator[int]:
    """The port of a wire that takes its time."""
    argv: list[str | Path] = [sys.executable, HERE / "peers" / "far.py", str(port), str(milliseconds)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as wire:
        try:
            assert wire.stdout is not None
            yield int(wire.stdout.readline())
        finally:
            wire.kill()
