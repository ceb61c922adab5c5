"""A Blink cloud's state: its accounts, their houses and their clips, while tests change them."""

from __future__ import annotations

import bisect
import copy
import hashlib
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from blinkarchive.clock import Clock
from blinkarchive.simulator.commands import Commands
from blinkarchive.simulator.devices import Camera, Network, SyncModule
from blinkarchive.simulator.faults import Faults
from blinkarchive.simulator.footage import Take, film
from blinkarchive.simulator.plan import (
    AccountPlan,
    CameraPlan,
    NetworkPlan,
    Rules,
    SecondFactor,
    SyncModulePlan,
    WorldPlan,
    read,
)
from blinkarchive.simulator.signins import SignIns
from blinkarchive.simulator.stick import LocalClip
from blinkarchive.simulator.timeline import Timeline

FIRST_ID = 2_989_164_000
"""Ids of clips begin here: they need more than 31 bits."""

_FIRST_COMMAND = 4_301_000_000
NOTIFICATIONS = (
    "low_battery", "camera_offline", "camera_usage", "scheduling", "motion", "sync_module_offline", "temperature",
    "doorbell", "wifi", "lfr", "bandwidth", "battery_dead", "local_storage", "accessory_connected",
    "accessory_disconnected", "accessory_low_battery", "general", "cv_motion",
)  # fmt: skip
"""What an owner may be told of."""

_NOTHING_MORE: Mapping[str, Any] = MappingProxyType({})
_NAMES = ("Front Door", "Back Yard", "Garage", "Driveway", "Kitchen", "Shed", "Side Gate", "Nursery")


@dataclass(slots=True, kw_only=True, eq=False)
class CloudClip:
    """An item of the media list, and its film. Change it by `Account.change`, or in place when `updated_at` shall stay."""

    id: int
    account: int
    camera: Camera
    #: Fixed: it decides the place in the list.
    created_at: datetime
    updated_at: datetime
    take: Take
    #: "v2" or "v3": the family of its addresses.
    paths: str = "v3"
    source: str = "pir"
    #: Stays listed; its film answers 404, code 700.
    deleted: bool = False
    #: Still being written: its film is a beginning without an end.
    partial: bool = False
    watched: bool = False
    #: False: an event without a film.
    video: bool = True
    #: What the list says the film's address is, whatever that is; None says the truth.
    media_path: str | None = None
    #: Members of the item beside the known ones, or in their place.
    extra: Mapping[str, Any] = field(default_factory=dict)
    #: What the list shows in place of the item: any JSON value. None shows the item.
    instead: Any = None
    #: What the video analysis has found: members of the item in the newer list alone.
    analysis: Mapping[str, Any] = field(default_factory=lambda: _NOTHING_MORE)

    @property
    def path(self) -> str:
        """Where its film truly is."""
        if self.paths == "v2":
            return f"/api/v2/accounts/{self.account}/media/clip/{self.id}.mp4"
        return f"{self._v3}/{self.id}.mp4"

    @property
    def newer_path(self) -> str:
        """Where its film is too, as the newer list says it."""
        return f"/api/v4/accounts/{self.account}/media/{self.id}/video/contents"

    @property
    def thumbnail_path(self) -> str:
        """Where its picture is, as the list says it: the v2 form wants `.jpg` at its end."""
        if self.paths == "v2":
            return f"/api/v2/accounts/{self.account}/media/thumb/{self.id}"
        return f"{self._v3}/{self.id}.jpg?ext="

    @property
    def _v3(self) -> str:
        camera = self.camera
        house = f"/api/v3/media/accounts/{self.account}/networks/{camera.network.id}"
        return f"{house}/{camera.type}/{camera.id}/{self.source}"

    def film(self) -> bytes:
        """The truth to compare an archive with: every byte of the whole film."""
        return film(self.take)


class Account:
    """An account: who owns it, the house, and the clips."""

    def __init__(
        self, plan: AccountPlan, *, id: int, ids: Iterator[int], seed: int, rules: Rules, timeline: Timeline, clock: Clock
    ) -> None:
        self.id = id
        self.user_id = id + 7_000
        self.username = plan.username
        self.password = plan.password
        self.second_factor: SecondFactor = plan.second_factor
        self.code = plan.code
        self.tier = plan.tier
        self.subscription = plan.subscription
        #: What the owner has set for the whole account, by the cloud's words.
        self.notifications = dict.fromkeys(NOTIFICATIONS, True)
        self.auto_delete_days = 60
        #: "f" or "c".
        self.temp_units = "f"
        self.networks: list[Network] = []
        self._ids = ids
        self._seed = seed
        self._rules = rules
        self._timeline = timeline
        self._clock = clock
        self._clips: dict[int, CloudClip] = {}
        self._by_time: list[tuple[datetime, int]] = []
        self._changed: tuple[datetime, Sequence[CloudClip]] | None = None
        self._local_ids = itertools.count(1)

    @property
    def cameras(self) -> list[Camera]:
        return [camera for network in self.networks for camera in network.cameras]

    @property
    def sync_modules(self) -> list[SyncModule]:
        return [module for network in self.networks for module in network.sync_modules]

    @property
    def clips(self) -> list[CloudClip]:
        """All that is listed, the newest recording first."""
        return [self._clips[id] for _, id in reversed(self._by_time)]

    def clip(self, id: int) -> CloudClip | None:
        return self._clips.get(id)

    @property
    def last_id(self) -> int:
        """The id of the clip that came last; 1 when there is none."""
        return next(reversed(self._clips), 1)

    def changed_since(self, since: datetime) -> Sequence[CloudClip]:
        """What the media list is made of: every clip whose `updated_at` is not before `since`, the newest recording first.

        All pages of a list are cut from one answer, until a clip comes, goes or is changed: a big house has thousands of pages.
        """
        if self._changed is None or self._changed[0] != since:
            self._changed = since, tuple(clip for clip in self.clips if clip.updated_at >= since)
        return self._changed[1]

    def add_clip(
        self,
        camera: Camera | None = None,
        *,
        created_at: datetime | None = None,
        updated_at: datetime | None = None,
        size: int = 100_000,
        index_first: bool = True,
        paths: str = "v3",
        source: str = "pir",
        deleted: bool = False,
        partial: bool = False,
        video: bool = True,
        media_path: str | None = None,
        extra: Mapping[str, Any] | None = None,
        instead: Any = None,
    ) -> CloudClip:
        """Record a clip: by the first camera and now, unless said otherwise. `CloudClip` says what each word means."""
        camera = camera or self.cameras[0]
        created_at = (created_at or self._clock.now()).astimezone(UTC).replace(microsecond=0)
        updated_at = (updated_at or created_at).astimezone(UTC).replace(microsecond=0)
        id = next(self._ids)
        take = Take(seed=self._seed, camera=camera.id, clip=id, at=created_at, size=size, index_first=index_first)
        clip = CloudClip(
            id=id,
            account=self.id,
            camera=camera,
            created_at=created_at,
            updated_at=updated_at,
            take=take,
            paths=paths,
            source=source,
            deleted=deleted,
            partial=partial,
            video=video,
            media_path=media_path,
            extra=dict(extra) if extra else _NOTHING_MORE,
            instead=instead,
        )
        camera.pictured_at = max(camera.pictured_at, created_at)
        self._clips[id] = clip
        bisect.insort(self._by_time, (created_at, id))
        self._changed = None
        return clip

    def add_local_clip(
        self,
        module: SyncModule | None = None,
        camera: Camera | None = None,
        *,
        name: str | None = None,
        created_at: datetime | None = None,
        size: int = 100_000,
        index_first: bool = True,
    ) -> LocalClip:
        """Record a clip on a stick: the first module's, by its network's first camera and now, unless said otherwise.
        `name` is what the camera is called at that moment.
        """
        module = module or self.sync_modules[0]
        camera = camera or module.network.cameras[0]
        at = created_at or self._clock.now()
        take = Take(seed=self._seed, camera=camera.id, clip=next(self._local_ids), at=at, size=size, index_first=index_first)
        return module.stick.add(camera=name or camera.name, created_at=at, take=take)

    def record(self, camera: Camera, at: datetime, *, source: str = "pir") -> CloudClip | LocalClip:
        """A camera has seen something: kept by the cloud with a subscription, else by a stick that can be read, else by
        nobody, and the cloud lists an event without a film.
        """
        module = next((module for module in camera.network.sync_modules if module.readable), None)
        if module is not None and not self.subscription:
            return self.add_local_clip(module, camera, created_at=at)
        partial = self._rules.partial_for > 0
        clip = self.add_clip(camera, created_at=at, source=source, video=self.subscription, partial=partial)
        if partial:
            self._timeline.after(self._rules.partial_for, lambda at: self.change(clip, partial=False, at=at))
        return clip

    def change(
        self,
        clip: CloudClip,
        *,
        deleted: bool | None = None,
        partial: bool | None = None,
        watched: bool | None = None,
        video: bool | None = None,
        media_path: str | None = None,
        at: datetime | None = None,
    ) -> None:
        """Change a clip; its `updated_at` becomes now (or `at`), so that it comes back in the list."""
        clip.deleted = clip.deleted if deleted is None else deleted
        clip.partial = clip.partial if partial is None else partial
        clip.watched = clip.watched if watched is None else watched
        clip.video = clip.video if video is None else video
        clip.media_path = clip.media_path if media_path is None else media_path
        clip.updated_at = (at or self._clock.now()).astimezone(UTC).replace(microsecond=0)
        self._changed = None

    def remove_clip(self, clip: CloudClip) -> None:
        """Let a clip vanish without a trace, as after the time an account keeps its clips."""
        del self._clips[clip.id]
        self._by_time.remove((clip.created_at, clip.id))
        self._changed = None


class World:
    """Everything the simulated cloud knows. Change it at will while it is served."""

    def __init__(self, plan: WorldPlan, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.seed = plan.seed
        self.rules: Rules = copy.copy(plan.rules)
        #: Told of each clip right before it is deleted because a client wants it so.
        self.deleting: Callable[[CloudClip | LocalClip], None] = lambda _: None
        self.faults = Faults()
        for fault in plan.faults:
            self.faults.plan(fault)
        #: What will happen: add to it what shall.
        self.timeline = Timeline(self.clock)
        self.accounts = _people(plan, self.rules, self.timeline, self.clock)
        self.signins = SignIns(self.accounts, self.rules, self.clock)
        commands = _rising(_FIRST_COMMAND, 90, plan.seed)
        self.commands = Commands(rules=self.rules, clock=self.clock, timeline=self.timeline, ids=commands)

    @property
    def account(self) -> Account:
        """The first account, which is often the only one."""
        return self.accounts[0]

    @classmethod
    def default(cls, clock: Clock | None = None, *, until: datetime | None = None) -> Self:
        """One account that asks for a code, two networks, 60 clips of the last three days, a sync module with 12 on its stick.

        `until` is when its newest clip may be at the latest (aware); None is now.
        """
        return cls(
            WorldPlan(
                until=until,
                accounts=(
                    AccountPlan(
                        username="owner@example.org",
                        password="open-sesame-42",  # noqa: S106 - it opens nothing but the simulator
                        networks=(
                            NetworkPlan(
                                name="Home",
                                sync_modules=(SyncModulePlan(name="Home Module", clips=12),),
                                cameras=(
                                    CameraPlan(name="Front Door", type="lotus"),
                                    CameraPlan(name="Back Yard"),
                                    CameraPlan(name="Garage", type="sedona"),
                                ),
                            ),
                            NetworkPlan(
                                name="Summer House",
                                cameras=(CameraPlan(name="Jetty", type="hawk"), CameraPlan(name="Kitchen", type="owl")),
                            ),
                        ),
                    ),
                ),
            ),
            clock,
        )

    @classmethod
    def from_seed(
        cls,
        seed: int,
        *,
        accounts: int = 1,
        networks: int = 1,
        cameras: int = 3,
        modules: int = 1,
        clips: int = 60,
        local_clips: int = 0,
        days: float = 3.0,
        until: datetime = datetime(2026, 1, 1, tzinfo=UTC),
        clip_bytes: tuple[int, int] = (100_000, 700_000),
        second_factor: SecondFactor = "none",
        same_names: bool = False,
        rules: Rules | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """A world by figures: the same figures make the same clips, ids and films.

        `networks` and `clips` are for each account, `cameras` and `modules` for each network, `local_clips` for each module.
        Names are unique within an account, unless `same_names` wants every network to be called alike, and its cameras too.
        Accounts are `owner1@example.org` and so on.
        """

        def network(number: int) -> NetworkPlan:
            mark = "" if same_names or number == 0 else f" {number + 1}"
            names = (f"{_NAMES[i % len(_NAMES)]}{i // len(_NAMES) or ''}{mark}" for i in range(cameras))
            return NetworkPlan(
                name=f"Home{mark}",
                sync_modules=tuple(
                    SyncModulePlan(name=f"Module{mark}{chr(97 + i) if i else ''}", clips=local_clips) for i in range(modules)
                ),
                cameras=tuple(CameraPlan(name=name) for name in names),
            )

        people = tuple(
            AccountPlan(
                username=f"owner{number + 1}@example.org",
                password=f"open-sesame-{number + 1}",
                second_factor=second_factor,
                clips=clips,
                networks=tuple(network(i) for i in range(networks)),
            )
            for number in range(accounts)
        )
        plan = WorldPlan(seed=seed, until=until, days=days, clip_bytes=clip_bytes, accounts=people, rules=rules or Rules())
        return cls(plan, clock)

    @classmethod
    def load(cls, path: Path, clock: Clock | None = None) -> Self:
        """The world that a TOML file describes (its keys: `blinkarchive.simulator.plan`). Raises `ConfigError`."""
        return cls(read(path), clock)


def _people(plan: WorldPlan, rules: Rules, timeline: Timeline, clock: Clock) -> list[Account]:
    """The accounts of a plan with their houses and clips, all ids drawn from the seed."""
    chance = random.Random(plan.seed)  # noqa: S311 - a world is repeatable, not secret
    ids = _rising(FIRST_ID, 40, plan.seed)
    things = _rising(410_000, 3_000, plan.seed)
    until = plan.until or clock.now()
    people = []
    for number, person in enumerate(plan.accounts):
        account = Account(person, id=116_000 + 57 * number, ids=ids, seed=plan.seed, rules=rules, timeline=timeline, clock=clock)
        account.networks = [_network(network, things) for network in person.networks]
        for age in _ages(chance, person.clips, plan):
            created_at = until - timedelta(seconds=int(age) + 60)
            account.add_clip(
                chance.choice(account.cameras),
                created_at=created_at,
                updated_at=created_at + timedelta(seconds=chance.randint(5, 60)),
                size=chance.randint(*plan.clip_bytes),
                index_first=plan.film_index == "first" or (plan.film_index == "mixed" and chance.random() < 0.5),
                paths=chance.choice(("v2", "v3")) if plan.media_paths == "mixed" else plan.media_paths,
                source=chance.choice(("pir", "pir", "pir", "cv_motion", "liveview", "snapshot")),
            )
        for plans, network in zip(person.networks, account.networks, strict=True):
            _fill_sticks(account, plans, network, plan, until)
        people.append(account)
    return people


def _ages(chance: random.Random, number: int, world: WorldPlan) -> list[float]:
    """How long ago so many clips were recorded, in seconds, the oldest first."""
    ages = sorted((chance.uniform(0, world.days * 86_400) for _ in range(number)), reverse=True)
    for i in range(1, len(ages)):
        if world.bursts and chance.random() < world.bursts:
            ages[i] = ages[i - 1]
    return ages


def _fill_sticks(account: Account, plans: NetworkPlan, network: Network, world: WorldPlan, until: datetime) -> None:
    """Put on every stick of a network the clips it begins with."""
    for plan, module in zip(plans.sync_modules, network.sync_modules, strict=True):
        chance = random.Random(f"{world.seed} {module.id}")  # noqa: S311 - a world is repeatable, not secret
        for age in _ages(chance, plan.clips, world):
            who, camera = chance.choice(list(zip(plans.cameras, network.cameras, strict=True)))
            account.add_local_clip(
                module,
                camera,
                name=who.formerly if who.formerly and age > world.days * 43_200 else None,
                created_at=until - timedelta(seconds=int(age) + 60),
                size=chance.randint(*world.clip_bytes),
                index_first=world.film_index == "first" or (world.film_index == "mixed" and chance.random() < 0.5),
            )


def _network(plan: NetworkPlan, ids: Iterator[int]) -> Network:
    network = Network(id=next(ids), name=plan.name, time_zone=plan.time_zone, armed=plan.armed)
    network.sync_modules = [
        SyncModule(
            id=next(ids),
            name=module.name,
            network=network,
            local_storage=module.local_storage,
            online=module.online,
            uplink=module.uplink,
        )
        for module in plan.sync_modules
    ]
    network.cameras = [
        Camera(id=next(ids), name=camera.name, type=camera.type, network=network, enabled=camera.enabled)
        for camera in plan.cameras
    ]
    return network


def _rising(first: int, step: int, seed: int) -> Iterator[int]:
    """Ids that rise by uneven steps."""
    at = first
    while True:
        at += 1 + int.from_bytes(hashlib.sha256(f"{seed} {at}".encode()).digest()[:4]) % step
        yield at
