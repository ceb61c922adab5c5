"""A house to archive: a simulated cloud, a config, a folder for the clips, and the installed command in a process of its own."""

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from blinkarchive.simulator import Account, Running, Simulator, World
from tests.seaweed import seaweed

__all__ = ["seaweed"]

COMMAND = Path(sys.executable).with_name("blinkarchive")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """The one JSON object that stdout ends with. Whatever went wrong, nobody was shown a traceback."""
        assert "Traceback" not in self.err, self.err
        [line] = self.out.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found

    @property
    def counts(self) -> tuple[int, int, int, int, int, int]:
        """listed, known, stored, failed, gave up, excluded: and they add up."""
        words = ("listed", "known", "stored", "failed", "gave_up", "excluded")
        for each in (
            self.report,
            *self.report["sources"].values(),
            *self.report["sinks"].values(),
            *self.report["accounts"].values(),
        ):
            listed, *ends = (each[word] for word in words)
            assert listed == sum(ends), each
        listed, known, stored, failed, gave_up, excluded = (self.report[word] for word in words)
        return listed, known, stored, failed, gave_up, excluded


@dataclass
class House:
    """A person's machine."""

    folder: Path
    cloud: Running
    #: The installed program; a test may have installed another.
    command: Path = COMMAND
    environment: dict[str, str] = field(default_factory=dict)
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    @property
    def account(self) -> Account:
        return self.cloud.world.account

    @property
    def config(self) -> Path:
        return self.folder / "blinkarchive.toml"

    @property
    def nas(self) -> Path:
        return self.folder / "nas"

    def configure(self, *, pace: str = '"unlimited"', more: str = "", password: bool = True) -> None:
        """Write the config: an account for each of the cloud's, and one folder."""
        accounts = "".join(
            f'[account.a{number}]\nusername = "{account.username}"\npace = {pace}\n'
            f'api_url = "{self.cloud.url}"\noauth_url = "{self.cloud.url}"\n'
            + (f'password = {{ env = "PASSWORD_{number}" }}\n' if password else "")
            for number, account in enumerate(self.cloud.world.accounts)
        )
        for number, account in enumerate(self.cloud.world.accounts):
            self.environment[f"PASSWORD_{number}"] = account.password
        self.nas.mkdir(exist_ok=True)
        state, nas = self.folder / "state", self.nas
        sink = f'[sink.nas]\ntype = "disk"\npath = "{nas}"\n'
        self.config.write_text(f'[archive]\nstate = "{state}"\n{accounts}\n[source.cloud]\n{sink}{more}')

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """Start the command."""
        process = await asyncio.create_subprocess_exec(
            self.command,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **self.environment, "BLINKARCHIVE_CONFIG": str(self.config)},
        )
        self.processes.append(process)
        return process

    async def __call__(self, *arguments: str) -> Ended:
        """Run the command to its end."""
        return await ended(await self.start(*arguments))

    def clips(self) -> dict[Path, str]:
        """The clips in the folder, and the hash of each; what is kept of damaged ones is none."""
        clips = [path for path in self.nas.rglob("*.mp4") if path.relative_to(self.nas).parts[0] != "damaged"]
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in clips}

    def asked(self, path: str) -> int:
        """How many requests came for addresses with this in them."""
        return sum(path in exchange.path for exchange in self.cloud.log)


async def ended(process: asyncio.subprocess.Process) -> Ended:
    """Wait for the command's end."""
    out, err = await asyncio.wait_for(process.communicate(), 50)
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


def films(world: World) -> set[str]:
    """The hashes of all the clips in the cloud."""
    return {hashlib.sha256(clip.film()).hexdigest() for account in world.accounts for clip in account.clips}


Houses = Callable[[World], AbstractAsyncContextManager[House]]


@pytest.fixture
def house_of(tmp_path: Path) -> Houses:
    """A house whose cloud is this world."""

    @asynccontextmanager
    async def opened(world: World) -> AsyncIterator[House]:
        async with Simulator(world).serving() as cloud:
            house = House(tmp_path, cloud)
            house.configure()
            try:
                yield house
            finally:
                for process in house.processes:
                    if process.returncode is None:
                        process.kill()
                    await process.communicate()

    return opened
