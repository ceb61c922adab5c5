"""blinkpy as tests hold it: a process that is given orders, and that knows nothing of the simulator."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import trustme

from blinkarchive.simulator import Account, Running
from tests.witness.newest import Installed

_DRIVER = Path(__file__).parent / "driver.py"
_LONGEST = 32 * 1024 * 1024
CODE_WANTED = "a code is wanted"


class Raised(Exception):
    """blinkpy raised."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(f"{name}: {words}")
        self.name = name


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a witness is started with."""

    installed: Installed
    authority: trustme.CA
    #: Where the authority's certificate is.
    certificate: Path


class Witness:
    """A running blinkpy."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def called(cls, made: Made, running: Running) -> AsyncIterator[Self]:
        """Start a blinkpy that takes this simulator for Blink."""
        process = await asyncio.create_subprocess_exec(
            made.installed.python,
            "-I",
            _DRIVER,
            str(urlsplit(running.url).port),
            made.certificate,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST,
        )
        try:
            yield cls(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def tell(self, do: str, /, **words: Any) -> Any:
        """Give an order of the driver and wait for its answer. Raises `Raised` when blinkpy raised."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **words}).encode() + b"\n")
        await self._process.stdin.drain()
        line = await self._process.stdout.readline()
        assert line, "blinkpy's process has ended; its last words are on stderr"
        said: dict[str, Any] = json.loads(line)
        if "raised" in said:
            raise Raised(said["raised"], said["words"])
        return said["answer"]

    async def raised_by(self, do: str, /, **words: Any) -> str:
        """Give an order, and name the exception that blinkpy raised; "" for none."""
        try:
            await self.tell(do, **words)
        except Raised as raised:
            return raised.name
        return ""

    async def start(self, account: Account, password: str | None = None) -> Any:
        """Sign in: true, false, or `CODE_WANTED`."""
        return await self.tell("start", username=account.username, password=password or account.password)
