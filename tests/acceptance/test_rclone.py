"""An archive whose second copy goes wherever rclone reaches: here into an encrypted folder."""

import asyncio
import hashlib
import signal
from datetime import UTC, datetime
from pathlib import Path

from blinkarchive import Key, Sink
from blinkarchive.simulator import World
from blinkarchive_rclone import RcloneOptions, open_rclone
from tests.acceptance.conftest import Houses, ended, films
from tests.sinks.rclone_servers import obscured


async def read(sink: Sink, key: Key) -> bytes:
    async with sink.open(key) as chunks:
        return b"".join([chunk async for chunk in chunks])


def rclones(folder: Path) -> list[int]:
    """The processes that were started with our config of rclone."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if f"--config={folder}/rclone.conf" in (process / "cmdline").read_text().split("\0"):
                found.append(int(process.name))
        except (OSError, ValueError):
            continue
    return found


async def test_every_clip_is_stored_and_verified_and_no_rclone_is_left(house_of: Houses) -> None:
    world = World.from_seed(7, clips=12, clip_bytes=(8_000, 60_000), until=datetime.now(UTC))
    async with house_of(world) as house:
        vault = house.folder / "vault"
        vault.mkdir()
        password = obscured("of the vault")
        (house.folder / "rclone.conf").write_text(f"[vault]\ntype = crypt\nremote = {vault}\npassword = {password}\n")
        house.configure(more='[sink.vault]\ntype = "rclone"\nremote = "vault:"\nconfig = "rclone.conf"\n')

        first = await house("run", "--json")
        assert (first.code, first.counts) == (0, (12, 0, 12, 0, 0, 0)), first.err
        assert first.report["sinks"]["vault"]["stored"] == 12
        assert not list(vault.rglob("*.mp4")), "its names are encrypted"

        second = await house("run", "--json")
        assert (second.code, second.report["sinks"]["vault"]["stored"]) == (0, 0)
        assert rclones(house.folder) == []
        async with open_rclone(RcloneOptions(remote="vault:", config=house.folder / "rclone.conf")) as sink:
            held = {
                hashlib.sha256(await read(sink, stored.key)).hexdigest() async for stored in sink.list() if "mp4" in stored.key
            }
        assert held == set(house.clips().values()) == films(house.cloud.world)


async def test_a_run_that_is_killed_leaves_no_rclone_and_the_next_one_stores_the_rest(house_of: Houses) -> None:
    world = World.from_seed(7, clips=12, clip_bytes=(200_000, 300_000), until=datetime.now(UTC))
    async with house_of(world) as house:
        vault = house.folder / "vault"
        vault.mkdir()
        (house.folder / "rclone.conf").touch()
        sink = f'[sink.vault]\ntype = "rclone"\nremote = "{vault}"\nconfig = "rclone.conf"\n'
        house.configure(more=f'{sink}bwlimit = "400k"\n')
        process = await house.start("run", "--json")
        async with asyncio.timeout(30):
            while not list(vault.rglob("*.mp4")):
                await asyncio.sleep(0.05)
        assert len(rclones(house.folder)) == 1
        process.send_signal(signal.SIGKILL)
        await ended(process)
        async with asyncio.timeout(5):
            while rclones(house.folder):
                await asyncio.sleep(0.05)

        house.configure(more=sink)
        second = await house("run", "--json")
        assert second.code == 0, second.err
        assert {path.read_bytes() for path in vault.rglob("*.mp4")} == {path.read_bytes() for path in house.clips()}
        assert len(list(vault.rglob("*.mp4"))) == 12
