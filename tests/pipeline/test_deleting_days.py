"""Two weeks of archiving and deleting, in virtual time: whatever goes wrong, what is deleted is held by every sink just then."""

from __future__ import annotations

import asyncio
import hashlib
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blinkarchive import wiring
from blinkarchive.config import Config, load
from blinkarchive.model import RunReport, SinkName
from blinkarchive.pipeline.archive import Ask
from blinkarchive.pipeline.progress import Progress
from blinkarchive.simulator import CloudClip, Running, Simulator, VirtualClock, World
from blinkarchive.simulator.plan import Rules
from blinkarchive.simulator.stick import LocalClip
from tests.virtually import virtually

HOUR = 3600.0
START = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
SINKS = ("nas", "offsite")


class Judge:
    """Looks at every sink at the moment a clip is deleted."""

    def __init__(self, folder: Path, world: World) -> None:
        self.deleted: list[CloudClip | LocalClip] = []
        self.unjustified: list[str] = []
        self._folder = folder
        self._films = {clip: hashlib.sha256(clip.film()).hexdigest() for clip in clips(world)}
        world.deleting = self.look

    def look(self, clip: CloudClip | LocalClip) -> None:
        self.deleted.append(clip)
        for sink in SINKS:
            if self._films[clip] not in kept(self._folder / sink):
                self.unjustified.append(f"{clip.created_at} is not in {sink}")


def clips(world: World) -> list[CloudClip | LocalClip]:
    on_sticks = [clip for account in world.accounts for module in account.sync_modules for clip in module.stick.clips]
    return [*(clip for account in world.accounts for clip in account.clips), *on_sticks]


def kept(folder: Path) -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.mp4")}


def house(folder: Path, cloud: Running, *, grace: str = "1d", limit: int = 100) -> Config:
    """A person's config: everything is to be deleted in the cloud and on sticks."""
    account = cloud.world.account
    delete = f'delete_after_archive = true\ndelete_grace = "{grace}"\ndelete_limit = {limit}\n'
    for sink in SINKS:
        (folder / sink).mkdir()
    sinks = "".join(f'[sink.{sink}]\ntype = "disk"\npath = "{folder}/{sink}"\n' for sink in SINKS)
    file = folder / "blinkarchive.toml"
    file.write_text(
        f'[archive]\nstate = "{folder}/state"\n[account.home]\nusername = "{account.username}"\n'
        f'password = {{ env = "PASSWORD" }}\npace = "unlimited"\napi_url = "{cloud.url}"\noauth_url = "{cloud.url}"\n'
        f"[source.cloud]\n{delete}[source.sync-module]\n{delete}{sinks}"
    )
    return load(file, {"PASSWORD": account.password})


def made(seed: int, clock: VirtualClock, **rules: object) -> World:
    return World.from_seed(
        seed,
        clips=12,
        local_clips=8,
        modules=2,
        until=START,
        clip_bytes=(8_000, 20_000),
        clock=clock,
        rules=Rules(command_time=0.5, manifest_time=0.5, **rules),  # type: ignore[arg-type]  # as the rules take them
    )


async def run(config: Config, clock: VirtualClock, ask: Ask | None = None) -> RunReport:
    return await wiring.run(config, ask or Ask(), Progress(), clock=clock)


async def open_and_confirmed(config: Config) -> tuple[int, int]:
    async with wiring.reading(config) as index:
        found = [deletion async for deletion in index.deletions()]
    return sum(one.confirmed_at is None for one in found), sum(one.confirmed_at is not None for one in found)


@virtually
async def test_what_is_archived_leaves_its_source_and_is_seen_to_be_gone(tmp_path: Path) -> None:
    clock = VirtualClock(START)
    world = made(3, clock)
    judge = Judge(tmp_path, world)
    everything = {hashlib.sha256(clip.film()).hexdigest() for clip in clips(world)}
    async with Simulator(world).serving() as cloud:
        config = house(tmp_path, cloud)
        first = await run(config, clock)
        assert (first.total.stored, first.deleted) == (28, 0)
        await clock.sleep(26 * HOUR)
        second = await run(config, clock)
        assert (second.deleted, second.deletions_failed, second.troubles) == (28, 0, ())
        await clock.sleep(26 * HOUR)
        third = await run(config, clock)
        assert (third.deletions_confirmed, third.deleted, third.total.failed) == (28, 0, 0)
        assert await open_and_confirmed(config) == (0, 28)
        async with wiring.reading(config) as index:
            assert [len(standing.held) async for standing in index.clips([SinkName(sink) for sink in SINKS])] == [2] * 28
    assert judge.unjustified == []
    assert [clip for clip in world.account.clips if not clip.deleted] == []
    assert [clip for module in world.account.sync_modules for clip in module.stick.clips] == []
    assert kept(tmp_path / "nas") == kept(tmp_path / "offsite") == everything


@virtually
async def test_a_clock_that_is_wrong_deletes_nothing_until_it_is_right(tmp_path: Path) -> None:
    clock, ours = VirtualClock(START), VirtualClock(START)
    world = made(3, clock)
    judge = Judge(tmp_path, world)
    async with Simulator(world).serving() as cloud:
        config = house(tmp_path, cloud)
        await run(config, ours)
        ours.jump(timedelta(days=3))
        report = await run(config, ours)
        assert (report.deleted, judge.deleted) == (0, [])
        assert any("clock" in trouble.what for trouble in report.troubles)
        ours.jump(timedelta(days=-3))
        await clock.sleep(26 * HOUR)
        assert (await run(config, ours)).deleted == 28
    assert judge.unjustified == []


def trouble(world: World, chance: random.Random) -> None:
    add = world.faults.add
    for place, kinds in {
        "delete": ("status", "lose", "drop", "lie", "html", "hang"),
        "local-delete": ("fail", "stall", "lie", "lose", "busy", "status", "drop"),
        "manifest": ("fail", "renumber", "busy"),
        "list": ("status", "drop"),
    }.items():
        for kind in kinds:
            add(f"{place}.{kind}", skip=chance.randrange(12), times=chance.randrange(1, 4))
    add("delete.status", status=429, retry_after=120, skip=chance.randrange(12))


def harm(folder: Path, chance: random.Random) -> None:
    """Somebody loses or spoils a stored file."""
    films = sorted(folder.rglob("*.mp4"))
    if not films:
        return
    path = chance.choice(films)
    if chance.random() < 0.5:
        path.unlink()
    else:
        path.chmod(0o600)
        path.write_bytes(chance.randbytes(path.stat().st_size))


@pytest.mark.timeout(180)  # some seconds, where the machine has nothing else to do
@pytest.mark.parametrize("seed", [1, 2])
@virtually
async def test_in_two_weeks_of_trouble_every_deletion_was_justified_and_in_the_end_all_is_gone(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    clock = VirtualClock(START)
    world = made(seed, clock, old_manifest=("refused", "misleading")[seed % 2])
    judge = Judge(tmp_path, world)
    trouble(world, chance)
    async with Simulator(world).serving() as cloud:
        config = house(tmp_path, cloud, limit=6)
        for number in range(16):
            if 1 < number < 10:
                harm(tmp_path / chance.choice(SINKS), chance)
            going_on = asyncio.create_task(run(config, clock))
            if chance.random() < 0.4:  # killed at any moment
                await clock.sleep(chance.uniform(0, 40))
                going_on.cancel()
            with suppress(asyncio.CancelledError):
                await going_on
            for module in world.account.sync_modules:
                if chance.random() < 0.5:
                    module.stick.renumber()
            await clock.sleep(25 * HOUR)
        world.faults.clear()
        for _ in range(6):
            report = await run(config, clock)
            await clock.sleep(25 * HOUR)
        assert judge.unjustified == []
        assert (report.total.failed, report.deletions_failed, report.deleted) == (0, 0, 0)
        assert await open_and_confirmed(config) == (0, 28)
    assert [clip for clip in world.account.clips if not clip.deleted] == []
    assert [clip for module in world.account.sync_modules for clip in module.stick.clips] == []
    assert len(judge.deleted) == len(set(judge.deleted)) == 28
