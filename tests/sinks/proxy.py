"""A reverse proxy on loopback, in front of a store: it limits bodies, changes the Host header, asks for a sign-in."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

TOO_LARGE = (
    "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>\r\n"
    "<center><h1>413 Request Entity Too Large</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
SIGN_IN = "https://login.example.org/start?token=canary-5ecret"


class Proxy:
    """Passes requests on, one a connection."""

    def __init__(self, target: str) -> None:
        self._target = int(target.rsplit(":", 1)[1])
        self.url = ""
        #: The largest body that it passes on, in bytes.
        self.limit = 2**40
        #: What the store sees as Host; None leaves it as it is.
        self.host: str | None = None
        #: Whether everybody is sent to a page for signing in.
        self.sign_in = False
        #: Bytes of bodies that were passed on.
        self.passed = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Proxy]:
        server = await asyncio.start_server(self._one, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()
            await asyncio.sleep(0.05)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(found[1]) if (found := re.search(r"(?i)\r\ncontent-length: *(\d+)", head)) else 0
                if self.sign_in:
                    answer = f"302 Found\r\nLocation: {SIGN_IN}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    writer.write(f"HTTP/1.1 {answer}".encode())
                elif length > self.limit:
                    writer.write(
                        "HTTP/1.1 413 Request Entity Too Large\r\nContent-Type: text/html\r\nConnection: close\r\n"
                        f"Content-Length: {len(TOO_LARGE)}\r\n\r\n{TOO_LARGE}".encode()
                    )
                else:
                    await self._pass_on(head, length, reader, writer)
                await writer.drain()
        finally:
            writer.close()

    async def _pass_on(self, head: str, length: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.host is not None:
            head = re.sub(r"(?i)\r\nhost:[^\r]*", f"\r\nHost: {self.host}", head)
        back, there = await asyncio.open_connection("127.0.0.1", self._target)
        there.write(head.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").encode())
        body = asyncio.create_task(self._send(length, reader, there))
        try:
            while data := await back.read(65536):
                writer.write(data)
                await writer.drain()
        finally:
            body.cancel()
            await asyncio.gather(body, return_exceptions=True)
            there.close()

    async def _send(self, length: int, reader: asyncio.StreamReader, there: asyncio.StreamWriter) -> None:
        while length and (data := await reader.read(min(length, 65536))):
            length -= len(data)
            self.passed += len(data)
            there.write(data)
            await there.drain()
        if length:
            there.close()  # the client hung up
