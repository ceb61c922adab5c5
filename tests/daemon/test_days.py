"""A whole house over days of virtual time: three networks, two sticks, a cloud, two sinks, a scheduler, and all that goes wrong.

In the end the archive equals the world: nothing lost, nothing twice, nothing deleted that not every sink held just then.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from blinkarchive.model import SinkName
from blinkarchive.simulator import Account, CloudClip, Simulator, VirtualClock, World
from blinkarchive.simulator.plan import AccountPlan, CameraPlan, NetworkPlan, Rules, SyncModulePlan, WorldPlan
from blinkarchive.simulator.stick import LocalClip
from tests.daemon.house import HOUR, START, House
from tests.virtually import virtually

DAYS = 3
CLIPS = 60
SINKS = ("nas", "cabin")


def plan() -> WorldPlan:
    """Three networks, two of them with a sync module; cameras of one name in two of them."""
    home = NetworkPlan(
        name="Home",
        sync_modules=(SyncModulePlan(name="Hall", clips=6),),
        cameras=(CameraPlan(name="Front Door", formerly="Old Door"), CameraPlan(name="Kitchen", type="owl")),
    )
    barn = NetworkPlan(
        name="Barn",
        sync_modules=(SyncModulePlan(name="Barn", clips=4),),
        cameras=(CameraPlan(name="Front Door"), CameraPlan(name="Hay Loft")),
    )
    office = NetworkPlan(name="Office", cameras=(CameraPlan(name="Desk", type="hawk"),))
    person = AccountPlan(username="o@example.org", password="pw", second_factor="none", networks=(home, barn, office), clips=12)
    rules = Rules(page_size=20, latency=0.3, bandwidth=200_000, refresh="strict", command_time=1.0, manifest_time=2.0)
    return WorldPlan(seed=11, accounts=(person,), until=START, days=2, clip_bytes=(8_000, 20_000), rules=rules)


def film(clip: CloudClip | LocalClip) -> str:
    return hashlib.sha256(clip.film()).hexdigest()


@dataclass
class Truth:
    """Every film that there ever was, and what was deleted while every sink was looked at."""

    house: House
    on_sticks: Counter[str] = field(default_factory=Counter)
    deleted: int = 0
    unjustified: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for module in self.house.account.sync_modules:
            self.on_sticks.update(map(film, module.stick.clips))
        self.house.world.deleting = self.judge

    @property
    def films(self) -> Counter[str]:
        """The cloud remembers what was deleted there; a stick does not."""
        return self.on_sticks + Counter(map(film, self.house.account.clips))

    def judge(self, clip: CloudClip | LocalClip) -> None:
        self.deleted += 1
        for sink in SINKS:
            if film(clip) not in self.house.kept(sink):
                self.unjustified.append(f"{clip.created_at} was not in {sink}")


async def live(account: Account, clock: VirtualClock, truth: Truth) -> None:
    """Things move before the cameras at any time; some clips are published late."""
    chance = random.Random(7)
    pauses = [chance.expovariate(1) for _ in range(2 * CLIPS)]
    for pause in pauses:
        await clock.sleep(pause * DAYS * 24 * HOUR / sum(pauses))
        late = timedelta(hours=chance.choice((0, 0, 0, 5, 20)))
        if chance.random() < 0.5:
            camera = chance.choice(account.cameras)
            at = clock.now() - late
            account.add_clip(camera, created_at=at, updated_at=clock.now(), size=chance.randint(8_000, 40_000))
        else:
            module = chance.choice(account.sync_modules)
            camera = chance.choice(module.network.cameras)
            truth.on_sticks[film(account.add_local_clip(module, camera, size=chance.randint(8_000, 40_000)))] += 1


def faults(world: World) -> None:
    """What goes wrong with what is asked, spread over the days."""
    add = world.faults.add
    for day in range(DAYS):
        pages, films, uploads = day * 100, day * 14, day * 10
        add("list.status", skip=pages + 7, status=500, times=2)
        add("list.status", skip=pages + 21, status=429, retry_after=30)
        add("list.garbage", skip=pages + 33)
        add("list.hang", skip=pages + 44)
        add("list.insert", skip=pages + 55, times=2)
        add("media.cut", skip=films + 2, times=3)
        add("media.status", skip=films + 6, status=503, times=3)
        add("media.drip", skip=films + 9, rate=100)
        add("upload.busy", skip=uploads + 2, times=2)
        add("upload.stall", skip=uploads + 5)
        add("upload.fail", skip=uploads + 7)
        add("local-media.cut", skip=uploads + 3)
        add("manifest-read.not-ready", skip=day * 20 + 3)
        add("manifest.busy", skip=day * 20 + 8, times=2)
        add("manifest.renumber", skip=day * 20 + 12)
        add("local-delete.lie", skip=day * 4 + 1)
        add("delete.status", skip=day * 3 + 1, status=500)
        add("token.status", skip=day * 5 + 1, status=502)


async def trouble(house: House) -> None:
    """What goes wrong in the house: modules, sticks, tokens, sinks, the clock, the machine."""
    hall, barn = house.account.sync_modules
    clock = house.clock
    await clock.sleep(5 * HOUR)
    hall.online = False
    await clock.sleep(3 * HOUR)
    hall.online = True
    hall.stick.renumber()
    (house.folder / "cabin").rename(house.folder / "elsewhere")
    await clock.sleep(7 * HOUR)
    (house.folder / "elsewhere").rename(house.folder / "cabin")
    house.world.signins.revoke_access_tokens()
    await clock.sleep(4 * HOUR)
    barn.local_storage = "unmounted"
    await clock.sleep(5 * HOUR)
    barn.local_storage = "active"
    barn.stick.renumber()
    clock.jump(timedelta(minutes=-40))
    await clock.sleep(9 * HOUR)
    house.world.signins.revoke_access_tokens()
    house.world.signins.revoke_refresh_tokens()
    hall.stick.renumber()


@pytest.mark.timeout(300)  # well under a minute, where the machine has nothing else to do
@virtually
async def test_after_days_of_trouble_the_archive_equals_the_world(tmp_path: Path) -> None:
    clock = VirtualClock(START)
    world = World(plan(), clock)
    faults(world)
    delete = 'delete_after_archive = true\ndelete_grace = "12h"\n'
    async with Simulator(world).serving() as cloud:
        house = House(tmp_path, cloud, clock, sinks=SINKS)
        for sink in SINKS:
            (tmp_path / sink).mkdir()
        house.configure(sources=f'[source.cloud]\nevery = "45m"\n{delete}[source.sync-module]\nevery = "90m"\n{delete}')
        truth = Truth(house)
        async with asyncio.TaskGroup() as group:
            group.create_task(live(house.account, clock, truth))
            group.create_task(trouble(house))
            for hours in (11, 14, 20, 17, 12):  # a machine that is started anew now and then
                async with house.served():
                    await clock.sleep(hours * HOUR)
        # The world is still from here on; another day, and all that is left has been brought, deleted, and seen to be gone.
        async with house.served():
            await clock.sleep(40 * HOUR)
            left = house.wrong
        async with house.index() as index:
            standings = [standing async for standing in index.clips([SinkName(sink) for sink in SINKS])]
            gone = [one async for one in index.deletions()]

    struck = {id(fired.fault) for fired in world.faults.fired}
    assert [fault.name for fault in world.faults.planned if id(fault) not in struck] == [], "all of it has gone wrong"
    for sink in SINKS:
        assert Counter(house.kept(sink)) == truth.films, f"{sink}: nothing lost, nothing twice"
        assert len(house.catalogued(sink)) == len(set(house.catalogued(sink))) == truth.films.total()
    assert all(not standing.lacking and len(standing.held) == 2 for standing in standings)
    assert truth.unjustified == [], "nothing was deleted that not every sink held"
    assert left == {}
    still = [clip for clip in house.account.clips if not clip.deleted]
    on_sticks = [clip for module in house.account.sync_modules for clip in module.stick.clips]
    assert truth.deleted + len(still) + len(on_sticks) == truth.films.total()
    assert len([one for one in gone if one.confirmed_at]) == truth.deleted >= truth.films.total() * 0.9
