"""A house whose archive is looked after in virtual time: its cloud, its config, its scheduler, all in one process."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blinkarchive import wiring
from blinkarchive.config import Config, load
from blinkarchive.daemon.serve import serve
from blinkarchive.daemon.word import Word, read
from blinkarchive.index import Index
from blinkarchive.simulator import Account, Running, Simulator, VirtualClock, World

HOUR = 3600.0
START = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)

SOURCES = '[source.cloud]\nevery = "15m"\njitter = "0s"\n[source.sync-module]\nevery = "1h"\njitter = "0s"\n'


@dataclass
class House:
    """What stays, whatever becomes of the scheduler."""

    folder: Path
    cloud: Running
    clock: VirtualClock
    sinks: tuple[str, ...] = ("nas",)
    sources: str = SOURCES
    more: str = ""
    reloads: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def world(self) -> World:
        return self.cloud.world

    @property
    def account(self) -> Account:
        return self.world.account

    @property
    def file(self) -> Path:
        return self.folder / "blinkarchive.toml"

    def configure(self, **changes: Any) -> None:
        """Write the config as a person would."""
        for name, value in changes.items():
            setattr(self, name, value)
        accounts = "".join(
            f'[account.a{number}]\nusername = "{account.username}"\npassword = {{ env = "PASSWORD_{number}" }}\n'
            f'api_url = "{self.cloud.url}"\noauth_url = "{self.cloud.url}"\n'
            for number, account in enumerate(self.world.accounts)
        )
        sinks = "".join(f'[sink.{name}]\ntype = "disk"\npath = "{self.folder / name}"\n' for name in self.sinks)
        self.file.write_text(f'[archive]\nstate = "{self.folder}/state"\n{accounts}{sinks}{self.sources}{self.more}')

    def load(self) -> Config:
        passwords = {f"PASSWORD_{number}": account.password for number, account in enumerate(self.world.accounts)}
        return load(self.file, passwords)

    @asynccontextmanager
    async def served(self) -> AsyncIterator[asyncio.Task[None]]:
        """Let a scheduler look after it while the block lasts, and stop it then as a signal would."""
        task = asyncio.create_task(serve(self.load, reloads=self.reloads, clock=self.clock))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()

    async def until(self, so: Callable[[], bool], *, longest: float = 48 * HOUR) -> float:
        """Let time pass until something is so; how long that took."""
        began = self.clock.monotonic()
        while not so():
            assert self.clock.monotonic() - began < longest, "it never came to be"
            await self.clock.sleep(20)
        return self.clock.monotonic() - began

    @property
    def word(self) -> Word:
        found = read(self.folder / "state")
        assert found is not None
        return found

    @property
    def wrong(self) -> dict[str, str]:
        word = read(self.folder / "state")
        return {one.where: one.what for one in word.wrong} if word else {}

    @asynccontextmanager
    async def index(self) -> AsyncIterator[Index]:
        async with wiring.reading(self.load(), clock=self.clock) as index:
            yield index

    def kept(self, sink: str = "nas") -> list[str]:
        """The hash of every clip in a sink."""
        return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in (self.folder / sink).rglob("*.mp4"))

    def catalogued(self, sink: str = "nas") -> list[str]:
        """The ids in the catalogues of a sink."""
        lines = (line for path in (self.folder / sink).rglob("catalog/*.jsonl") for line in path.read_text().splitlines())
        return sorted(json.loads(line)["id"] for line in lines)

    def truth(self) -> list[str]:
        """The hash of every film there is, in the cloud and on the sticks."""
        clouds = [clip.film() for account in self.world.accounts for clip in account.clips]
        sticks = [
            clip.film() for account in self.world.accounts for module in account.sync_modules for clip in module.stick.clips
        ]
        return sorted(hashlib.sha256(film).hexdigest() for film in clouds + sticks)


@asynccontextmanager
async def house(
    folder: Path, *, clips: int = 3, sinks: tuple[str, ...] = ("nas",), more: str = "", **world: Any
) -> AsyncIterator[House]:
    """A house with a cloud, two sync modules, and a config."""
    clock = VirtualClock(START)
    facts: dict[str, Any] = {"accounts": 1, "clip_bytes": (8_000, 20_000), "modules": 2, "local_clips": 3} | world
    made = World.from_seed(5, clips=clips, until=clock.now(), clock=clock, **facts)
    async with Simulator(made).serving() as cloud:
        found = House(folder, cloud, clock, sinks=sinks, more=more)
        for sink in sinks:
            (folder / sink).mkdir()
        found.configure()
        yield found
