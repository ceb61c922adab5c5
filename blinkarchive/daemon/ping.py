"""The dead-man's ping: an address that is called after each good run, so that silence itself becomes an alarm elsewhere."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from blinkarchive.blink.endpoints import own_origin
from blinkarchive.clock import Clock
from blinkarchive.convert import SecretRef
from blinkarchive.daemon.proxy import read_proxy
from blinkarchive.errors import BlinkArchiveError, ConfigError, Transient
from blinkarchive.loopback import is_this_machine
from blinkarchive.retry import retry
from blinkarchive.secret import Secret

log = logging.getLogger(__name__)

DEADLINE = 10.0
"""How long one attempt may take, in seconds."""

PAUSE = 5.0
"""How long after a first attempt that failed the second and last one is made, in seconds."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429})


class Ping:
    """Calls the address. Whatever becomes of it, nobody else has to care: it raises nothing, and ends in time."""

    def __init__(self, ref: SecretRef, *, clock: Clock, proxy: SecretRef | None = None, deadline: float = DEADLINE) -> None:
        """`ref` is where the address is kept, `proxy` that of an HTTP proxy; both are read for every call."""
        self._ref = ref
        self._proxy = proxy
        self._clock = clock
        self._deadline = deadline

    def check(self) -> None:
        """Raise `ConfigError` when the address cannot be read, or is none that may be called. Nothing is sent."""
        _address(self._ref)

    async def send(self) -> bool:
        """Call the address, once more when that fails in passing, and say whether it answered well. A failure is logged."""
        try:
            url = await asyncio.to_thread(_address, self._ref)
            proxy = await asyncio.to_thread(read_proxy, self._proxy)
            await retry(lambda: self._attempt(url, proxy), clock=self._clock, pauses=(PAUSE,))
        except BlinkArchiveError as error:
            log.warning("the ping after a good run failed", extra={"because": str(error)})
            return False
        log.debug("pinged")
        return True

    async def _attempt(self, url: URL, proxy: Secret | None) -> None:
        """Call it once. Raises `Transient`, or `ConfigError` for what another attempt would not help; none shows the address.

        A redirect is not followed: it could lead into the local network.
        """
        through = None if proxy is None or is_this_machine(url.host or "") else proxy.reveal()
        failure: BlinkArchiveError | None = None
        try:
            async with (
                asyncio.timeout(self._deadline),
                aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.get(url, allow_redirects=False, proxy=through) as answer,
            ):
                status = answer.status
        except TimeoutError:
            failure = Transient(f"no answer within {self._deadline:g} s")
        except (aiohttp.ClientError, OSError) as error:
            failure = Transient(f"no connection ({type(error).__name__})")
        # Not within `except`: the errors of aiohttp hold the address, and ours must not lead to them.
        failure = failure or _failure(status)
        if failure is not None:
            raise failure


def _failure(status: int) -> BlinkArchiveError | None:
    if 200 <= status < 300:
        return None
    if status in _REDIRECTS:
        return ConfigError(f"the answer was a redirect ({status}), which is not followed: write the final address as ping")
    return (Transient if status >= 500 or status in _PASSING else ConfigError)(f"the answer was {status}")


def _address(ref: SecretRef) -> URL:
    """The address from where it is kept. Raises `ConfigError`."""
    secret = ref.read()
    if secret is None:
        raise ConfigError(f"{ref} holds nothing")
    try:
        return _checked(_url(secret))
    except ValueError:
        raise ConfigError(f"{ref} holds no address") from None


def _url(secret: Secret) -> URL:
    return URL(secret.reveal())


def _checked(url: URL) -> URL:
    """The address, if it may be called: https, or http to this machine. Raises `ConfigError`, which does not show it."""
    parts = urlsplit(str(url))
    try:
        own_origin(f"{parts.scheme}://{parts.netloc}", "ping")
    except ConfigError:
        raise ConfigError("only https:// may be pinged, or http:// on this machine, without a password in the address") from None
    return url
