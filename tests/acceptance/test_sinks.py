"""Sinks that come and go: what counts as archived, who is known under another name, and how one is retired."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from blinkarchive.simulator import World
from tests.acceptance.conftest import House, Houses, ended, films

CLIPS = 4


def disk(name: str, path: Path, **keys: Any) -> str:
    more = "".join(f"{key} = {str(value).lower()}\n" for key, value in keys.items())
    return f'[sink.{name}]\ntype = "disk"\npath = "{path}"\n{more}'


def configure(house: House, *sinks: str, archive: str = "", cloud: str = "") -> None:
    """The house's config with other sinks."""
    house.configure()
    text = house.config.read_text().partition("[sink.")[0]
    text = text.replace("[archive]\n", f"[archive]\n{archive}").replace("[source.cloud]\n", f"[source.cloud]\n{cloud}")
    house.config.write_text(text + "".join(sinks))


@pytest.fixture
def world() -> World:
    return World.from_seed(3, clips=CLIPS)


async def test_a_sink_that_is_not_required_fails_no_run_and_is_told(house_of: Houses, world: World) -> None:
    async with house_of(world) as house:
        gone = house.folder / "nowhere" / "cabin"
        configure(house, disk("nas", house.nas), disk("cabin", gone, required=False))
        ended = await house("run", "--json")
        assert ended.code == 0
        assert ended.counts == (CLIPS, 0, CLIPS, 0, 0, 0)
        assert (ended.report["sinks_failed"], ended.report["optional"]) == (["cabin"], ["cabin"])
        assert ended.report["sinks"]["cabin"]["failed"] == CLIPS
        assert "sink cabin" in (await house("run")).err
        gone.parent.mkdir()
        ended = await house("run", "--json")
        assert (ended.code, ended.report["sinks_failed"]) == (0, [])
        assert len(list(gone.rglob("*.mp4"))) == CLIPS
        configure(house, disk("nas", house.nas), disk("attic", house.folder / "nowhere2" / "attic"))
        assert (await house("run")).code == 3, "required is what a sink is by itself"


async def test_min_copies_counts_whatever_is_required(house_of: Houses, world: World) -> None:
    async with house_of(world) as house:
        sinks = [disk(name, house.folder / name, required=False) for name in ("one", "two", "three")]
        for name in ("one", "two"):
            (house.folder / name).mkdir()
        away = disk("three", house.folder / "nowhere" / "three", required=False)
        configure(house, *sinks[:2], away, archive="min_copies = 2\n")
        assert (await house("run")).code == 0
        configure(house, *sinks[:2], away, archive="min_copies = 3\n")
        world.account.add_clip()
        ended = await house("run", "--json")
        assert (ended.code, ended.report["failed"]) == (3, 1)
        configure(house, *sinks[:2], archive="min_copies = 3\n")
        refused = await house("run")
        assert (refused.code, "there are only 2 sinks that could hold a clip" in refused.err) == (2, True)


async def test_a_sink_with_another_name_keeps_what_it_holds(house_of: Houses, world: World) -> None:
    async with house_of(world) as house:
        assert (await house("run")).code == 0
        written = {path: path.stat().st_mtime_ns for path in house.nas.rglob("*") if path.is_file()}
        configure(house, disk("vault", house.nas))
        ended = await house("run", "--json")
        assert (ended.code, ended.report["sinks"]["vault"]["stored"]) == (0, 0)
        assert {path: path.stat().st_mtime_ns for path in house.nas.rglob("*") if path.is_file()} == written
        [sink] = (await house("sinks", "--json")).report["sinks"]
        assert (sink["sink"], sink["stored"], sink["in_config"]) == ("vault", CLIPS, True)
        assert (await house("status", "--json")).report["sinks"]["vault"]["last_good"] is not None


async def test_one_that_was_away_when_it_got_its_name_keeps_it_too(house_of: Houses, world: World) -> None:
    async with house_of(world) as house:
        assert (await house("run")).code == 0
        elsewhere = house.nas.rename(house.folder / "elsewhere")
        configure(house, disk("vault", house.folder / "away" / "nas"))
        assert (await house("run")).code == 3
        configure(house, disk("vault", elsewhere))
        ended = await house("run", "--json")
        assert (ended.code, ended.report["sinks"]["vault"]["stored"]) == (0, 0)
        assert [sink["sink"] for sink in (await house("sinks", "--json")).report["sinks"]] == ["vault"]


async def test_a_sink_that_left_the_config_counts_until_it_is_retired(house_of: Houses, world: World) -> None:
    async with house_of(world) as house:
        cabin = house.folder / "cabin"
        cabin.mkdir()
        delete = 'delete_after_archive = true\ndelete_grace = "0s"\n'
        both = (disk("nas", house.nas), disk("cabin", cabin))
        configure(house, *both)
        assert (await house("run")).code == 0
        refused = await house("sinks", "retire", "cabin")
        assert (refused.code, "take [sink.cabin] out of it first" in refused.err) == (2, True)

        configure(house, both[0], cloud=delete)
        ended = await house("run", "--json")
        assert ended.report["deleted"] == 0
        assert "`blinkarchive sinks retire cabin`" in str(ended.report["troubles"])
        assert "not in the config" in (await house("sinks")).out

        retired = await house("sinks", "retire", "cabin", "--json")
        assert (retired.code, retired.report) == (0, {"retired": "cabin", "stored": CLIPS, "only_there": 0})
        ended = await house("run", "--json")
        assert (ended.report["deleted"], ended.report["troubles"]) == (ended.report["listed"], [])
        assert len(list(cabin.rglob("*.mp4"))) == CLIPS, "nothing in it was touched"


async def test_a_sink_that_alone_holds_clips_is_not_retired_by_mistake(house_of: Houses, world: World) -> None:
    async with house_of(world) as house:
        assert (await house("run")).code == 0
        (house.folder / "cabin").mkdir()
        configure(house, disk("cabin", house.folder / "cabin"))
        refused = await house("sinks", "retire", "nas")
        assert (refused.code, f"{CLIPS} clips are held by the sink nas and no other" in refused.err) == (2, True)
        unknown = await house("sinks", "retire", "attic")
        assert (unknown.code, "the archive has no sink attic; it has nas" in unknown.err) == (2, True)
        assert (await house("sinks", "retire", "nas", "--force")).code == 0
        assert set(house.clips().values()) == films(world)


async def test_a_sink_that_comes_back_after_it_was_retired_is_looked_at_again(house_of: Houses, world: World) -> None:
    async with house_of(world) as house:
        (house.folder / "cabin").mkdir()
        both = (disk("nas", house.nas), disk("cabin", house.folder / "cabin"))
        configure(house, *both)
        assert (await house("run")).code == 0
        configure(house, both[0])
        assert (await house("sinks", "retire", "cabin")).code == 0
        [kept, *_] = (house.folder / "cabin").rglob("*.mp4")
        kept.unlink()  # two folders of one disk hold the same file
        kept.write_bytes(b"spoiled")
        configure(house, *both)
        assert (await house("run")).code == 0
        names = sorted(path.name for path in (house.folder / "cabin").rglob("*.mp4"))
        assert len(names) == CLIPS + 1, "what is spoiled there counts as nothing: the clip has a second name"


async def test_two_sinks_whose_server_is_silent_delay_no_clip_in_the_folder(house_of: Houses, world: World) -> None:
    async with house_of(world) as house, _silent_server() as port:
        configure(house, _sftp("one", port), disk("nas", house.nas), _sftp("two", port))
        running = await house.start("run", "--json")
        async with asyncio.timeout(25):
            while len(house.clips()) < CLIPS:
                await asyncio.sleep(0.1)
        assert running.returncode is None, "the silent sinks are still being opened"
        running.send_signal(signal.SIGINT)
        stopped = await ended(running)
        assert stopped.code == 130
        assert stopped.report["sinks"]["nas"]["stored"] == CLIPS


@asynccontextmanager
async def _silent_server() -> AsyncIterator[int]:
    """A port that takes connections and never says a word."""
    server = socket.create_server(("127.0.0.1", 0))
    try:
        yield server.getsockname()[1]
    finally:
        server.close()


def _sftp(name: str, port: int) -> str:
    return (
        f'[sink.{name}]\ntype = "sftp"\nhost = "127.0.0.1"\nport = {port}\nusername = "nobody"\npath = "clips"\n'
        f'password = "x"\nhost_key = "SHA256:{"A" * 43}"\nrequired = false\n'
    )
