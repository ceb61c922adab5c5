"""Clips on other hosts than Blink's: which hosts may be asked, over connections that carry no credentials."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver

from blinkarchive.blink.endpoints import Origin
from blinkarchive.blink.exchange import AGENT, Answer, Request
from blinkarchive.errors import BadClip, ClipGone, Forbidden, ForeignHost, ServerTrouble, SourceError

_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|[0-9a-f.]*:[0-9a-f:.]*")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LAST_32_BITS = 0xFFFFFFFF


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, and so is the IPv4 address that an IPv6 address stands for."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & _LAST_32_BITS)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast


class _PublicResolver(AbstractResolver):
    """Looks names up, and refuses one that leads to an address which may not be asked.

    A connection is made to the addresses that it gives, and to no others.
    """

    def __init__(self, resolver: AbstractResolver, allowed: Callable[[str], bool]) -> None:
        self._resolver = resolver
        self._allowed = allowed

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for one in found:
            if not self._allowed(one["host"]):
                raise ForeignHost(f"{host} leads to {one['host']}, which is not an address of the public internet")
        return found

    async def close(self) -> None:
        await self._resolver.close()


class Elsewhere:
    """Other hosts that may be asked for a clip, because Blink's address of it leads there: https, and public addresses only.

    Requests there carry no token, no cookie and no Referer. `ca_file` names authorities that are trusted beside the system's.
    `resolver` and `allowed` take the place of the system's name service and of `is_public`.
    """

    def __init__(
        self,
        *,
        ca_file: Path | None = None,
        resolver: AbstractResolver | None = None,
        allowed: Callable[[str], bool] = is_public,
    ) -> None:
        self._ca_file = ca_file
        self._resolver = resolver
        self._allowed = allowed
        self._session: aiohttp.ClientSession | None = None

    def request(self, address: str, *, what: str) -> Request:
        """The request for a clip at an absolute address. Raises `ForeignHost` for one that may not be asked."""
        shown = address[:80].partition("?")[0]
        if re.search(r"[^!-~]|\\", address):
            raise ForeignHost(f"{what}: an address with characters that none has: {shown!r}")
        try:
            parts = urlsplit(address)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise ForeignHost(f"{what}: not an address: {shown!r}") from error
        if parts.scheme != "https" or "@" in parts.netloc or port == 0 or not _HOST.fullmatch(host):
            raise ForeignHost(f"{what}: its address leads to {shown!r}; of other servers only https ones are asked")
        if _is_number(host) and not self._allowed(host):
            raise ForeignHost(f"{what}: its address leads to {host}, which is not an address of the public internet")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"User-Agent": AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
        origin = Origin(scheme="https", host=host, port=port or 443)
        return Request(method="GET", origin=origin, target=target, what=what, headers=headers, elsewhere=True)

    def session(self) -> aiohttp.ClientSession:
        """The session for requests there: it shares nothing with the one for Blink's servers."""
        if self._session is None:
            trust = ssl.create_default_context()
            if self._ca_file is not None:
                trust.load_verify_locations(cafile=str(self._ca_file))
            resolver = _PublicResolver(self._resolver or DefaultResolver(), self._allowed)
            connector = aiohttp.TCPConnector(ssl=trust, limit=0, resolver=resolver)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)
        return self._session

    async def close(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def refusal(answer: Answer, request: Request, because: str = "") -> SourceError:
    """The error that an answer of another host stands for. It is about this clip: it says nothing of the account."""
    said = f"{request.what}: {request.origin.host}: {because or f'HTTP {answer.status}'}"
    if answer.status == 200:
        return BadClip(said, status=answer.status)
    if answer.status in (404, 410):
        return ClipGone(said, status=answer.status)
    if answer.status in (408, 429) or answer.status >= 500:
        return ServerTrouble(said, status=answer.status)
    return Forbidden(said, status=answer.status)


def _is_number(host: str) -> bool:
    """Whether it is an IP address in any of the forms that some programs take for one, such as 127.1."""
    return ":" in host or host.rpartition(".")[2][:1].isdigit()
