"""P13: a sink that came later is given what another holds, beside `rclone copy` of the other's folder to the same place.

The clips are in a sink on a disk, and the index knows of them. `blinkarchive run` asks the cloud what is new, and for no clip:
it reads each from the first sink, compares it with the hash it has, and stores and proves it in the second like any other.
rclone compares hashes where the other side tells one; it flushes nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks import ours, servers
from benchmarks.bench import Bench
from benchmarks.cloud import Cloud, cloud
from benchmarks.measure import MB, CannotRun, Command, Ran, Rival, run, take_turns
from benchmarks.report import Row, Told
from benchmarks.servers import AT_ONCE

US, RCLONE = "we", f"rclone copy with {AT_ONCE} transfers"
WHY = (
    "a clip that one sink gives to another goes the way of any clip: it is read into the spool, checked, flushed, compared with "
    "the hash that is known of it; put, flushed and named; proven, by the hash that S3 has of it, or by reading it back, from "
    "the disk and over SFTP: there every byte goes over the wire twice. `rclone copy` reads a file once and writes it once, and "
    "flushes nothing; over SFTP it looks at the size alone."
)


def measure(bench: Bench) -> Iterator[Row | Told]:
    scratch = bench.scratch
    with cloud(scratch, clips=bench.files, size=MB) as near, servers.s3(scratch) as s3, servers.sftp(scratch) as sftp:
        before = _archived(near, scratch / "before")
        places: dict[str, servers.Server] = {"another disk": servers.Disk(), "S3 on loopback": s3, "SFTP on loopback": sftp}
        for where, server in places.items():
            rivals = [_ours(near, before, server), _rclone(before, server, bench.files)]
            rounds = take_turns(rivals, bench.pairs, scratch)
            what = f"{bench.files} x 1 MB from a disk to {where}: {US} / {RCLONE}"
            yield from Row.of_whole_race(rounds, US, RCLONE, road="P13", what=what)
    yield Told(road="P13", what=WHY)


def _archived(near: Cloud, folder: Path) -> Path:
    """A folder with the state and the clips of an archive that has everything in its one sink."""
    folder.mkdir()
    shutil.copytree(ours.signed_in(near), folder / "state")
    ours.check(near, folder, run(ours.command(near, folder)))
    return folder


def _ours(near: Cloud, before: Path, server: servers.Server) -> Rival:
    def ready(folder: Path) -> Command:
        shutil.copytree(before / "state", folder / "state")
        shutil.copytree(before / "clips", folder / "clips", copy_function=os.link)
        server.make(folder)
        near.seen()
        nas = {"type": "disk", "path": str(folder / "clips")}
        return ours.command(near, folder, sinks={"nas": nas, "late": server.sink(folder)})

    def check(folder: Path, ran: Ran) -> None:
        servers.require(US, server.clear(folder), near.clips)
        ours.require_stored(near, ran)
        if fetched := near.seen().films:
            raise CannotRun(f"{fetched} clips were fetched from the cloud again")

    return Rival(name=US, ready=ready, check=check)


def _rclone(before: Path, server: servers.Server, count: int) -> Rival:
    return servers.rival(RCLONE, server, lambda folder: server.rclone(before / "clips", folder, AT_ONCE), count)
