"""P11: clips of the cloud into two sinks in one run, beside the same run into the slower of the two alone.

Each clip is fetched once, and put into both. Two pairs: a disk and S3 on loopback, where processors bind; a disk and SFTP at the
end of a wire of 50 ms, where that wire does. There are no more clips than may wait for the slower sink: a run leaves what is
more than that to the next one, and would be done too soon.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks import ours, servers
from benchmarks.bench import Bench
from benchmarks.cloud import Cloud, cloud
from benchmarks.measure import MB, Command, Ran, Rival, Spread, take_turns
from benchmarks.report import Row

BOTH = "both"
TARGET = 1.1
MOST_WAITING = 256
"""So many clips wait for a sink at most."""
WHY = (
    "No sink waits for another; but where processors bind, the work for both adds up: the clip is put, flushed, named and read "
    "back on the disk with the same two cores that the server of the other sink, the cloud and the rest of the run are at."
)


def measure(bench: Bench) -> Iterator[Row]:
    with servers.s3(bench.scratch) as s3:
        yield _race(bench, {"disk": servers.Disk(), "s3": s3}, min(bench.files, MOST_WAITING), "S3 on loopback")
    with servers.sftp(bench.scratch) as sftp, sftp.far(25) as far:
        yield _race(bench, {"disk": servers.Disk(), "sftp": far}, bench.files // 5, "SFTP at 50 ms")


def _race(bench: Bench, sinks: Mapping[str, servers.Server], count: int, what: str) -> Row:
    with cloud(bench.scratch, clips=count, size=MB) as near:
        alone = [_rival(near, name, {name: server}) for name, server in sinks.items()]
        rounds = take_turns([*alone, _rival(near, BOTH, sinks)], bench.pairs, bench.scratch)
    slower = max(sinks, key=lambda name: Spread.of([ran.wall for ran in rounds[name]]).median)
    what = f"{count} x 1 MB into a disk and {what}: both at once / {slower} alone, the slower"
    return Row.of_race(rounds, BOTH, slower, road="P11", what=what, target=TARGET, why=WHY)


def _rival(near: Cloud, name: str, sinks: Mapping[str, servers.Server]) -> Rival:
    def ready(folder: Path) -> Command:
        shutil.copytree(ours.signed_in(near), folder / "state")
        for server in sinks.values():
            server.make(folder)
        return ours.command(near, folder, sinks={name: server.sink(folder) for name, server in sinks.items()})

    def check(folder: Path, ran: Ran) -> None:
        for one, server in sinks.items():
            servers.require(f"{name}: {one}", server.clear(folder), near.clips)
        ours.require_stored(near, ran)

    return Rival(name=name, ready=ready, check=check)
