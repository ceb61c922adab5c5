"""Every host name of the internet, on this machine: a resolver, a certificate, a TLS server in front of a scripted one."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from blinkarchive.blink.elsewhere import Elsewhere
from tests.blink.cloud import Server


class LeadsHere(AbstractResolver):
    """Answers the same address for each name, by default one of this machine; to a port of its own if there is one."""

    def __init__(self, *addresses: str, port: int = 0) -> None:
        self.addresses = addresses or ("127.0.0.1",)
        self.port = port
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        self.asked.append(host)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=self.port or port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in self.addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


class Internet:
    """What answers for every https host there is, and how a client is led to it."""

    def __init__(self, port: int, certificate: Path) -> None:
        self.resolver = LeadsHere(port=port)
        self.certificate = certificate

    def session(self) -> aiohttp.ClientSession:
        """A session for Blink's own names."""
        trust = ssl.create_default_context(cafile=str(self.certificate))
        connector = aiohttp.TCPConnector(resolver=self.resolver, ssl=trust, limit=0)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    def elsewhere(self) -> Elsewhere:
        """All other hosts; this machine plays the public internet."""
        return Elsewhere(ca_file=self.certificate, resolver=self.resolver, allowed=lambda address: address == "127.0.0.1")


@asynccontextmanager
async def internet(server: Server, folder: Path, names: Sequence[str]) -> AsyncIterator[Internet]:
    """The scripted server, for as long as the block lasts, under each of these names."""
    key, certificate = _certificate(folder, names)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await server.talk(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            tasks.discard(task)

    listening = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    try:
        yield Internet(listening.sockets[0].getsockname()[1], certificate)
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _certificate(folder: Path, names: Sequence[str]) -> tuple[Path, Path]:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    alternatives = ",".join(f"DNS:{name}" for name in names)
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
            *("-subj", "/CN=here", "-addext", f"subjectAltName={alternatives}"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return key, certificate
