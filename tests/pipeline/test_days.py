"""Days of archiving, in virtual time: client, pipeline and cloud in one process, with all that goes wrong in three days."""

from __future__ import annotations

import asyncio
import hashlib
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blinkarchive import wiring
from blinkarchive.config import Config, load
from blinkarchive.model import RunReport
from blinkarchive.pipeline.archive import Ask
from blinkarchive.pipeline.progress import Progress
from blinkarchive.simulator import Account, Running, Simulator, VirtualClock, World
from tests.virtually import virtually

HOUR = 3600.0
DAYS = 3
CLIPS = 100


def house(folder: Path, cloud: Running) -> Config:
    """A person's config, as the file they wrote: two accounts, one folder, all else as it comes."""
    accounts = "".join(
        f'[account.a{number}]\nusername = "{account.username}"\npassword = {{ env = "PASSWORD_{number}" }}\n'
        f'api_url = "{cloud.url}"\noauth_url = "{cloud.url}"\n'
        for number, account in enumerate(cloud.world.accounts)
    )
    file = folder / "blinkarchive.toml"
    (folder / "nas").mkdir()
    file.write_text(f'[archive]\nstate = "{folder}/state"\n{accounts}[sink.nas]\ntype = "disk"\npath = "{folder}/nas"\n')
    return load(file, {f"PASSWORD_{number}": account.password for number, account in enumerate(cloud.world.accounts)})


async def live(account: Account, clock: VirtualClock, seed: int) -> None:
    """Things move before the cameras, at any time of three days."""
    chance = random.Random(seed)
    pauses = [chance.expovariate(1) for _ in range(CLIPS + 1)]
    for pause in pauses[:-1]:
        await clock.sleep(pause * DAYS * 24 * HOUR / sum(pauses))
        account.add_clip(chance.choice(account.cameras), size=chance.randint(8_000, 60_000), index_first=chance.random() < 0.5)


def trouble(world: World) -> None:
    """What goes wrong, all along the three days."""
    add = world.faults.add
    for day in range(DAYS):
        requests, films = day * 90, day * 50  # of pages and films there are some more than that
        add("list.status", skip=requests + 7, status=500)
        add("list.status", skip=requests + 20, status=429, retry_after=7, times=2)
        add("list.hang", skip=requests + 31)
        add("list.garbage", skip=requests + 44)
        add("list.html", skip=requests + 58, status=503, times=4)
        add("list.insert", skip=requests + 70, times=3)
        add("list.drop", skip=requests + 90)
        add("media.cut", skip=films + 3, times=5)
        add("media.status", skip=films + 15, status=429, retry_after=20, times=3)
        add("media.status", skip=films + 24, status=503, times=4)
        add("media.hang", skip=films + 33)
        add("media.drip", skip=films + 40, rate=100)
        add("media.cut-unmarked", skip=films + 48, times=2)
        add("media.too-short", skip=films + 55, times=2)
        add("token.status", skip=2 + 6 * day, status=502)


def kept(folder: Path) -> list[str]:
    """The hash of every clip in the archive."""
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.mp4"))


def films(world: World) -> list[str]:
    """The hash of every film in the cloud."""
    return sorted(hashlib.sha256(clip.film()).hexdigest() for account in world.accounts for clip in account.clips)


@pytest.mark.timeout(180)  # some seconds, where the machine has nothing else to do
@virtually
async def test_after_three_days_of_trouble_every_clip_is_archived_once(tmp_path: Path) -> None:
    clock = VirtualClock(datetime(2026, 3, 27, 12, 0, tzinfo=UTC))
    world = World.from_seed(5, accounts=2, clips=3, until=clock.now(), clip_bytes=(8_000, 20_000), clock=clock)
    world.rules.page_size, world.rules.latency, world.rules.bandwidth = 50, 0.3, 200_000
    world.rules.refresh = "strict"
    trouble(world)
    reports: list[RunReport] = []
    async with Simulator(world).serving() as cloud, asyncio.TaskGroup() as group:
        config = house(tmp_path, cloud)

        async def run_hourly() -> None:
            for hour in range(DAYS * 24 + 2):
                if hour == 30:
                    world.signins.revoke_access_tokens()
                reports.append(await wiring.run(config, Ask(), Progress(), clock=clock))
                await clock.sleep(HOUR - clock.monotonic() % HOUR)

        for number, account in enumerate(world.accounts):
            group.create_task(live(account, clock, number))
        group.create_task(run_hourly())

    struck = {id(fired.fault) for fired in world.faults.fired}
    assert [fault for fault in world.faults.planned if id(fault) not in struck] == [], "all of it has gone wrong"
    there = films(world)
    assert kept(tmp_path / "nas") == there
    assert len(there) == len(set(there)) >= 2 * CLIPS
    assert reports[-1].complete
    assert (reports[-1].total.failed, reports[-1].total.gave_up) == (0, 0)
    assert sum(report.total.stored for report in reports) == len(there)
    assert any(report.total.failed for report in reports), "some of it was mended in a later run"
    assert clock.now() - reports[0].started_at > timedelta(days=DAYS)
