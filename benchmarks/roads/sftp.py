"""P8: the same files to the same OpenSSH server: our sink, OpenSSH's own `sftp -b`, and `rclone copy`.

We write each file under another name, have the server flush it, ask its size and rename it. `sftp` is told to flush, too:
`put -f`. rclone does not flush; its hash check, which starts a remote command for every file, is off. On loopback the
processor binds; at 50 ms, through a wire that delays, the number of requests under way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import servers
from benchmarks.bench import Bench
from benchmarks.measure import Command, take_turns
from benchmarks.report import Measure, Row

HERE = Path(__file__).parent.parent
US, SFTP, RCLONE = "we", "sftp -b", "rclone copy"
WHY = (
    "Of 2.2 s of processor time for 500 MB, where rclone takes 0.9, 0.3 are the start. The rest is spent by one interpreter, on "
    "one core at a time; more than half of it is sending: the library hands each packet of 32 kB to the kernel by itself, an "
    "empty one before it. Joining them saved a tenth, and would reach into the library's privates. 0.35 s are the ways to a "
    "thread and back for each block that is read, without which a slow disk would hold up all other sinks. More connections, and "
    "other amounts under way, made no difference. We have each file flushed, which rclone does not."
)


def measure(bench: Bench) -> Iterator[Row]:
    with servers.sftp(bench.scratch) as server:
        yield from _race(bench, server, "loopback", bench.files, 1.0)
        with server.far(25) as far:
            yield from _race(bench, far, "50 ms", bench.files // 5, 0.6)


def _race(bench: Bench, server: servers.Sftp, where: str, count: int, target: float) -> Iterator[Row]:
    files = servers.filled(bench.scratch / f"files-{count}", count)

    def ours(folder: Path) -> Command:
        there, known = folder / "there", server.known_hosts
        words: list[str | Path] = [files, str(server.port), there, server.sshd.user_key, known, "2"]
        return Command(argv=[sys.executable, "-m", "benchmarks.peers.our_sftp", *words], env={"PYTHONPATH": str(HERE.parent)})

    commands: dict[str, Callable[[Path], Command]] = {
        US: ours,
        SFTP: lambda folder: server.sftp(files, folder),
        RCLONE: lambda folder: server.rclone(files, folder, 8),
    }
    rivals = [servers.rival(name, server, command, count) for name, command in commands.items()]
    rounds = take_turns(rivals, bench.pairs, bench.scratch)
    targets: dict[str, dict[Measure, float]] = {SFTP: {}, RCLONE: {"wall": target}}
    for other, wanted in targets.items():
        what = f"{count} x 1 MB, {where}: {US} / {other}"
        yield from Row.of_whole_race(rounds, US, other, road="P8", what=what, targets=wanted, why=WHY)
