"""An SFTP server that does what OpenSSH cannot be made to do: fail at the k-th write, lose an answer, rename over a file."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from blinkarchive_sftp import SftpOptions

Fault = Callable[["_Files"], Awaitable[None] | None]
"""What happens in place of, or after, an operation. It may raise what the server answers then."""

WATCHED = (
    "open", "read", "write", "fsync", "fstat", "close", "rename", "posix_rename", "link", "remove", "mkdir", "lstat", "stat",
    "statvfs",
)  # fmt: skip


@dataclass
class OddServer:
    """A server whose operations can be made to fail."""

    folder: Path
    password: str = "the password of the odd server"
    host_key: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    #: By operation: how often it was asked for.
    asked: Counter[str] = field(default_factory=Counter)
    #: By operation and number (0: always): what happens before it, and after it but before its answer.
    before: dict[tuple[str, int], Fault] = field(default_factory=dict)
    after: dict[tuple[str, int], Fault] = field(default_factory=dict)
    #: By operation: what is done in its place.
    instead: dict[str, Callable[..., Any]] = field(default_factory=dict)
    port: int = 0
    passwords_tried: int = 0
    #: What it says to those who give a wrong password.
    farewell: str = ""
    connections: set[asyncssh.SSHServerConnection] = field(default_factory=set)
    logins: int = 0
    #: Its own files, to be closed whatever became of the connection.
    opened: list[Any] = field(default_factory=list)
    _listener: asyncssh.SSHAcceptor | None = None

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[OddServer]:
        await self.start()
        try:
            yield self
        finally:
            await self.stop()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Be gone for a while."""
        await self.stop()
        yield
        await self.start()

    async def start(self) -> None:
        self._listener = await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_host_keys=[self.host_key],
            server_factory=lambda: _Door(self),
            sftp_factory=lambda channel: _Files(channel, self),
        )
        self.port = self._listener.get_port()

    async def stop(self) -> None:
        assert self._listener is not None
        self._listener.close()
        self.cut()
        await self._listener.wait_closed()
        # A handler that still works for a connection that is gone would go on to the end of all it was sent.
        handlers = [task for task in asyncio.all_tasks() if "_sftp_handler" in repr(task.get_coro())]
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        while self.connections:
            await asyncio.sleep(0.01)
        for file in self.opened:
            file.close()

    def cut(self) -> None:
        """End all connections at once."""
        for connection in list(self.connections):
            connection.abort()

    def options(self, **changed: object) -> SftpOptions:
        from blinkarchive.convert import SecretRef
        from blinkarchive.secret import Secret

        given: dict[str, object] = {
            "host": "127.0.0.1",
            "port": self.port,
            "path": str(self.folder),
            "username": "camera",
            "password": SecretRef(kind="inline", inline=Secret(self.password)),
            "host_key": self.host_key.get_fingerprint(),
            "connections": 1,
        }
        return SftpOptions(**{**given, **changed})  # type: ignore[arg-type]

    def fails(self, operation: str, number: int, error: Exception) -> None:
        """Have an operation answered with an error."""

        def fault(_files: _Files) -> None:
            raise error

        self.before[operation, number] = fault

    def cuts(self, operation: str, number: int, *, answered: bool = True) -> None:
        """Have the connection end at an operation: before it is done, or after, so that its answer is lost."""

        def fault(files: _Files) -> None:
            files.connection.abort()
            raise asyncssh.SFTPFailure("cut")

        (self.before if answered else self.after)[operation, number] = fault


class _Door(asyncssh.SSHServer):
    def __init__(self, server: OddServer) -> None:
        self._server = server
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._server.connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        self._server.passwords_tried += 1
        if password == self._server.password:
            self._server.logins += 1
            return True
        if self._server.farewell:
            raise asyncssh.DisconnectError(asyncssh.DISC_BY_APPLICATION, self._server.farewell.format(password=password))
        return False


class _Files(asyncssh.SFTPServer):
    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], server: OddServer) -> None:
        super().__init__(channel)
        self.server = server


def _watched(name: str) -> Callable[..., Awaitable[Any]]:
    plain = getattr(asyncssh.SFTPServer, name)

    async def watched(files: _Files, *arguments: Any) -> Any:
        server = files.server
        server.asked[name] += 1
        number = server.asked[name]
        await _meet(server.before, name, number, files)
        result = server.instead.get(name, plain)(files, *arguments)
        if inspect.isawaitable(result):
            result = await result
        if name == "open":
            server.opened.append(result)
        await _meet(server.after, name, number, files)
        return result

    return watched


async def _meet(faults: dict[tuple[str, int], Fault], name: str, number: int, files: _Files) -> None:
    fault = faults.get((name, number)) or faults.get((name, 0))
    if fault is not None and (waiting := fault(files)) is not None:
        await waiting


for _name in WATCHED:
    setattr(_Files, _name, _watched(_name))


async def _scandir(files: _Files, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
    plain = asyncssh.SFTPServer.scandir
    async for name in files.server.instead.get("scandir", plain)(files, path):
        yield name


setattr(_Files, "scandir", _scandir)  # noqa: B010  # as above


@dataclass
class Proxy:
    """A wire to a server that is cut after so many bytes of one direction."""

    target: int
    port: int = 0
    #: Bytes after which it is cut, of those to the server and of those from it; None: never.
    to: int | None = None
    back: int | None = None
    #: How many bytes went through since it was last set.
    sent: int = 0
    received: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Proxy]:
        server = await asyncio.start_server(self._through, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()
            await server.wait_closed()
            await asyncio.sleep(0.02)

    def reset(self, *, to: int | None = None, back: int | None = None) -> None:
        """Count anew, and cut at these counts."""
        self.to, self.back, self.sent, self.received = to, back, 0, 0

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers |= {writer, back}
        try:
            with suppress(OSError):
                await asyncio.gather(self._pass(reader, back, "to"), self._pass(there, writer, "back"))
        finally:
            self._writers -= {writer, back}
            for one in (writer, back):
                one.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        while data := await reader.read(65536):
            limit, count = (self.to, self.sent) if way == "to" else (self.back, self.received)
            room = None if limit is None else max(0, limit - count)
            data = data[:room]
            if way == "to":
                self.sent += len(data)
            else:
                self.received += len(data)
            writer.write(data)
            await writer.drain()
            if room is not None and len(data) == room:
                await asyncio.sleep(0.005)  # what was sent arrives: only what comes after is lost
                self.reset()
                self.cut()
                return
