"""The rclone of one sink: there when it is asked for, and started anew when it has died."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from blinkarchive import ConfigError, SinkUnavailable
from blinkarchive_rclone.process import PULSE, Command, Process


class Keeper:
    """Keeps one process, never two."""

    def __init__(self, command: Command, pulse: float = PULSE) -> None:
        self._command = command
        self._pulse = pulse
        self._turn = asyncio.Lock()
        self._process: Process | None = None
        self._closed = False

    async def start(self) -> None:
        """Start it for the first time. Raises `ConfigError` and `SinkUnavailable`."""
        self._process = await Process.start(self._command, self._pulse)

    @property
    def pid(self) -> int | None:
        """The number of the process; None while there is none."""
        return None if self._process is None else self._process.pid

    async def call(self, what: str, given: Mapping[str, object]) -> Mapping[str, Any]:
        """Call one of rclone's functions. Raises `Refused` with what it answered, `SinkUnavailable` when it is not there."""
        return await (await self._running()).call(what, given)

    @asynccontextmanager
    async def reading(self, remote: str, name: str, start: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of an object from an offset on. Raises as `call` does."""
        async with (await self._running()).reading(remote, name, start) as chunks:
            yield chunks

    async def limit_upload(self, rate: int) -> None:
        """Have it send so many bytes a second at most, also after a restart. Raises as `call` does."""
        self._command = replace(self._command, bwlimit=f"{rate}B")
        await self.call("core/bwlimit", {"rate": self._command.bwlimit})

    async def close(self) -> None:
        """End the process, for good."""
        self._closed = True
        if self._process is not None:
            await self._process.end()

    async def _running(self) -> Process:
        async with self._turn:
            if self._closed:
                raise SinkUnavailable("the sink is closed")
            if self._process is None or self._process.ended:
                if self._process is not None:
                    gone, self._process = self._process, None
                    await gone.end()
                try:
                    self._process = await Process.start(self._command, self._pulse)
                except ConfigError as error:  # it worked when the sink was opened
                    raise SinkUnavailable(f"rclone has ended, and cannot be started anew: {error}") from error
            return self._process
