"""P12: files through the rclone sink, one by one and each looked at, beside `rclone copy` of their folder to the same place."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks import servers
from benchmarks.bench import Bench
from benchmarks.measure import MB, CannotRun, Command, Ran, Rival, take_turns
from benchmarks.report import Row, Told
from blinkarchive import ConfigError
from blinkarchive_rclone.program import find_program

PEER = Path(__file__).parent.parent / "peers" / "our_rclone.py"
FILES = 200
TRANSFERS = 4
WHY = (
    "a sink is asked to keep one clip, and to prove that it has it; `rclone copy` thinks about a whole folder. So each clip "
    "is six calls of an rclone that stays: is there something of that name, is the folder there, the copy, the renaming that "
    "overwrites nothing, whether it did that, and what is there now; `rclone copy` lists once, and copies. A call takes 0.6 ms "
    "of processor time, a third of it Python's, and starting takes 0.4 s. On WebDAV what counts are requests: rclone's own "
    "server, which is the other side here, takes 40 ms for each; it is asked 11 times for a clip of ours, and 3 times for one of "
    "`rclone copy`."
)
OURS, THEIRS = "the rclone sink", f"rclone copy --transfers {TRANSFERS}"


def measure(bench: Bench) -> Iterator[Row | Told]:
    try:
        program = asyncio.run(find_program(None))
    except ConfigError as error:
        raise CannotRun(str(error)) from error
    files = servers.filled(bench.scratch / "files", FILES)
    served = bench.scratch / "served"
    served.mkdir()
    with _webdav(program, served) as port:
        config = bench.scratch / "rclone.conf"
        config.write_text(f"[dav]\ntype = webdav\nvendor = other\nurl = http://127.0.0.1:{port}\n")
        for where, prefix in (("a folder", f"{served}/"), ("WebDAV on loopback", "dav:")):
            rivals = [_rival(name, program, files, prefix, config) for name in (OURS, THEIRS)]
            rounds = take_turns(rivals, bench.pairs, served)
            what = f"{FILES} x 1 MB into {where}: {OURS} / {THEIRS}"
            yield from Row.of_whole_race(rounds, OURS, THEIRS, road="P12", what=what)
    yield Told(road="P12", what=WHY)


def _rival(name: str, program: Path, files: Path, prefix: str, config: Path) -> Rival:
    def ready(folder: Path) -> Command:
        remote = f"{prefix}{folder.name}"
        time.sleep(0.2)  # until the server sees the folder
        if name == OURS:
            return Command(argv=[sys.executable, PEER, files, remote, config, str(TRANSFERS)])
        return Command(argv=[program, "copy", files, remote, "--config", config, "--transfers", str(TRANSFERS)])

    def check(folder: Path, _ran: Ran) -> None:
        stored = [path for path in folder.iterdir() if path.stat().st_size == MB]
        if len(stored) != FILES:
            raise CannotRun(f"{name} stored {len(stored)} of {FILES} files")

    return Rival(name=name, ready=ready, check=check)


@contextmanager
def _webdav(program: Path, folder: Path) -> Iterator[int]:
    """A WebDAV server on loopback that serves a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    server = subprocess.Popen(
        [
            program,
            "serve",
            "webdav",
            folder,
            f"--addr=127.0.0.1:{port}",
            "--vfs-cache-mode=writes",
            "--vfs-write-back=0s",
            "--dir-cache-time=50ms",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.02)
        else:
            raise CannotRun("rclone serve webdav does not start")
        yield port
    finally:
        server.kill()
        server.wait()
