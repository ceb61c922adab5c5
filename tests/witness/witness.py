"""blinkpy as tests hold it: a process that is given orders, and that knows nothing of the simulator."""

from __future__ import annotations

import asyncio
import json
import subprocess
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
    """A blinkpy in a process of its own."""

    def __init__(self, made: Made) -> None:
        self._made = made
        self._process: subprocess.Popen[str] | None = None

    @classmethod
    @asynccontextmanager
    async def called(cls, made: Made, running: Running) -> AsyncIterator[Self]:
        """A new process, until the block ends."""
        witness = cls(made)
        try:
            await witness.meet(running)
            yield witness
        finally:
            witness.dismiss()

    async def meet(self, running: Running) -> None:
        """Take this simulator for Blink, and know nothing of any earlier one."""
        if self._process is None:
            self._process = subprocess.Popen(
                [self._made.installed.python, "-I", _DRIVER, self._made.certificate],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        await self.tell("meet", port=urlsplit(running.url).port)

    def dismiss(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    async def tell(self, do: str, /, **words: Any) -> Any:
        """Give an order of the driver and wait for its answer. Raises `Raised` when blinkpy raised."""
        try:
            line = await asyncio.to_thread(self._say, json.dumps({"do": do, **words}))
            assert line, "blinkpy's process has ended; its last words are on stderr"
        except BaseException:  # an order that is not answered yet must not be answered to the next one who asks
            self.dismiss()
            raise
        said: dict[str, Any] = json.loads(line)
        if "raised" in said:
            raise Raised(said["raised"], said["words"])
        return said["answer"]

    def _say(self, order: str) -> str:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(order, file=self._process.stdin, flush=True)
        return self._process.stdout.readline()

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
