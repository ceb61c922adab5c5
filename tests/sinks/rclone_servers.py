"""Remotes on loopback: rclone itself serving a folder over a wire, a proxy that can cut it, and a WebDAV server with faults."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from pathlib import Path

from blinkarchive_rclone.program import find_program

USER, PASSWORD = "keeper", "canary-of-the-server"


@cache
def rclone() -> str:
    """The rclone that a sink would use by default."""
    with ThreadPoolExecutor(1) as thread:  # a test's own event loop may be running
        return str(thread.submit(asyncio.run, find_program(None)).result())


def obscured(password: str) -> str:
    """A password in the form that rclone's config wants it."""
    run = subprocess.run([rclone(), "obscure", password], capture_output=True, text=True, check=True)
    return run.stdout.strip()


class Server:
    """`rclone serve KIND FOLDER` on a port of loopback."""

    def __init__(self, kind: str, folder: Path, *flags: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._command = [rclone(), "serve", kind, str(folder), f"--addr=127.0.0.1:{self.port}", *flags]
        self._log = folder.parent / f"{kind}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("RCLONE_")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env)
        until = time.monotonic() + 20
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < until, self._log.read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextmanager
def serving(kind: str, folder: Path, *flags: str) -> Iterator[Server]:
    """A server that runs."""
    server = Server(kind, folder, *flags)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Proxy:
    """Passes bytes on to a port, while it is not cut."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self.port = 0
        #: Bytes a second that it lets through to the server; None for all.
        self.passed = 0
        self.cut_after: int | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close every connection, and refuse new ones."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None
            serving = list(self._serving)
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        self._writers.add(writer)
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(there_writer)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, there_writer, count=True))
                group.create_task(self._pass(there_reader, writer, count=False))
        finally:
            for one in (writer, there_writer):
                one.transport.abort()
                self._writers.discard(one)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, count: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(16 * 1024):
                if count:
                    self.passed += len(data)
                    if self.cut_after is not None and self.passed > self.cut_after:
                        for one in list(self._writers):
                            one.transport.abort()
                        return
                writer.write(data)
                await writer.drain()
            writer.write_eof()


@asynccontextmanager
async def proxied(port: int) -> AsyncIterator[Proxy]:
    """A proxy before a port."""
    proxy = Proxy(port)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


def alive(pid: int) -> bool:
    """Whether a process lives; a zombie does not."""
    try:
        found = re.search(r"^State:\s+(\S)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return False
    return found is not None and found[1] not in "ZX"
