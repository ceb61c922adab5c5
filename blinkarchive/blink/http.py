"""The one way out: requests to trusted servers, with deadlines, bounded answers, streamed bodies and our own errors."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import urljoin

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from blinkarchive.blink.elsewhere import Elsewhere
from blinkarchive.blink.endpoints import Endpoints
from blinkarchive.blink.exchange import MAX_HOPS, REDIRECTS, Answer, Flow, Request, shown
from blinkarchive.clock import Clock
from blinkarchive.errors import BadClip, ConfigError, ForeignHost, ServerTrouble, SourceError, Unreachable
from blinkarchive.secret import redact

T = TypeVar("T")

LARGEST_ANSWER = 32 * 1024 * 1024
"""The longest JSON answer that is read, in bytes. A full page of clips is a few hundred thousand."""

DECODED = ("identity", "gzip", "x-gzip", "deflate")
"""The encodings of a clip that are decoded. None is wanted, and a server or a proxy on the way may use one all the same."""

READ_BUFFER = 64 * 1024
"""How much of a body may wait to be taken, in bytes; the transport is stopped at twice of it.

A transport gives up to 256 KiB at once, and that is what each connection then holds. With as much again allowed to wait,
16 connections took 15 MB more, and no less CPU.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long the other side may take, in seconds, and how slow it may be."""

    #: For a connection: name, TCP and TLS.
    connect: float = 10.0
    #: Between two pieces of an answer.
    silence: float = 30.0
    #: For a whole answer, other than a clip.
    whole: float = 30.0
    #: For a whole clip.
    clip: float = 600.0
    #: A clip may begin slowly; after `patience` it must have come with `slowest` bytes a second on average.
    patience: float = 30.0
    slowest: float = 4096.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """An answer whose body is still to come."""

    #: The request that it answers: the last one, after redirects.
    request: Request
    answer: Answer
    #: What the server says it will send, in bytes; None when it does not say.
    length: int | None
    chunks: AsyncIterator[bytes]


class Http:
    """Carries out requests, to servers that `endpoints` trusts and no others. It knows nothing of tokens.

    Nothing is tried again, but for a GET on a connection that the server had closed in the meantime (aiohttp's own way).

    It makes its own aiohttp session and closes it, unless one is given, which stays the giver's. `before_request` is
    awaited before each request, and may hold it back.
    """

    def __init__(
        self,
        servers: Endpoints,
        *,
        session: aiohttp.ClientSession | None = None,
        deadlines: Deadlines | None = None,
        before_request: Callable[[], Awaitable[None]] | None = None,
        ca_file: Path | None = None,
        elsewhere: Elsewhere | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._elsewhere = elsewhere
        self._clock = clock or Clock()
        #: When the last answer was given by the clock of who gave it, and when it came by our monotonic one.
        self._dated: tuple[datetime, float] | None = None
        self._servers = servers
        self._given = session
        self._session = session
        self._deadlines = deadlines or Deadlines()
        self._before_request = before_request
        self._ca_file = ca_file

    async def __aenter__(self) -> Self:
        if self._session is None:
            # Unless a file names whom to trust, the system does. Either way: TLS 1.2 or newer, and names are checked.
            trust = trusting(self._ca_file) if self._ca_file else True
            # How many connections there are is decided by who asks; cookies are part of a sign-in's own values.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=trust, limit=0), cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._elsewhere is not None:
            await self._elsewhere.close()
        if self._session is not None and self._session is not self._given:
            await self._session.close()
        self._session = self._given

    @property
    def skew(self) -> timedelta | None:
        """How far the other side's clock is ahead of ours, to a second or so; None when its last answer did not say."""
        if self._dated is None:
            return None
        date, came = self._dated
        return date + timedelta(seconds=self._clock.monotonic() - came) - self._clock.now()

    async def run(self, flow: Flow[T]) -> T:
        """Carry out a conversation, and return what it was for."""
        try:
            request = next(flow)
            while True:
                request = flow.send(await self.exchange(request))
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            flow.close()

    async def exchange(self, request: Request) -> Answer:
        """Send one request and take its whole answer, whatever its status; a redirect is an answer.

        Raises `Unreachable`, `ServerTrouble` or `ForeignHost`.
        """
        await self._may_send(request)
        try:
            async with self._send(request, whole=self._deadlines.whole) as response:
                date = _date(response.headers.get("Date", ""))
                self._dated = None if date is None else (date, self._clock.monotonic())
                return _answer(response, await _bounded(response, request.what))
        except FOREIGN as error:
            failure = told(error, request.what)
        raise failure

    async def get(self, request: Request) -> Answer:
        """`exchange` for a GET, over at most three redirects within the same server."""
        for _ in range(MAX_HOPS + 1):
            answer = await self.exchange(request)
            if answer.status not in REDIRECTS:
                return answer
            request = request.to(answer.location)
        raise ServerTrouble(f"{request.what}: more than {MAX_HOPS} redirects", status=answer.status)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Incoming]:
        """Send a GET and give its answer as it comes, over at most three redirects.

        They lead to the same server; or to another one that may be asked for clips, which is sent none of the headers.

        The answer to a failure (any status but 200) has its body in `answer.body`. What goes wrong with a body that
        has begun is a `BadClip`.
        """
        request = request.with_headers(Accept_Encoding="identity")
        for _ in range(MAX_HOPS + 1):
            async with self._stream_once(request) as incoming:
                if incoming.answer.status not in REDIRECTS:
                    yield incoming
                    return
            request = self._led_to(request, incoming.answer.location)
        raise ServerTrouble(f"{request.what}: more than {MAX_HOPS} redirects", status=incoming.answer.status)

    def to_elsewhere(self, address: str, *, what: str) -> Request:
        """The request for a clip on another server. Raises `ForeignHost` when it may not be asked."""
        if self._elsewhere is None:
            raise ForeignHost(f"{what}: its address leads to another server ({address[:80].partition('?')[0]!r})")
        return self._elsewhere.request(address, what=what)

    def _led_to(self, request: Request, address: str) -> Request:
        """The request for the place that a redirect leads to."""
        if request.elsewhere:
            return self.to_elsewhere(urljoin(f"{request.origin}{request.target}", address), what=request.what)
        try:
            return request.to(address)
        except ForeignHost:
            if self._elsewhere is None or not address.lower().startswith("https://"):
                raise
            return self.to_elsewhere(address, what=request.what)

    @asynccontextmanager
    async def _stream_once(self, request: Request) -> AsyncIterator[Incoming]:
        await self._may_send(request)
        # What is not read to its end cannot be followed by another request: leaving early closes the connection.
        async with AsyncExitStack() as stack:
            response, body = await self._begin(request, stack)
            encoding = response.headers.get("Content-Encoding", "identity").lower()
            if response.status == 200 and encoding not in DECODED:
                raise BadClip(f"{request.what}: it came in the encoding {encoding!r}, though none was wanted", status=200)
            length = response.content_length if encoding == "identity" else None  # it is that of the encoded bytes
            chunks = await stack.enter_async_context(aclosing(self._chunks(response, request.what)))
            yield Incoming(request=request, answer=_answer(response, body), length=length, chunks=chunks)

    async def _begin(self, request: Request, stack: AsyncExitStack) -> tuple[aiohttp.ClientResponse, bytes]:
        """The head of an answer, and its body when it is a failure."""
        try:
            response = await stack.enter_async_context(self._send(request, whole=self._deadlines.clip))
            return response, b"" if response.status == 200 else await _bounded(response, request.what)
        except FOREIGN as error:
            failure = told(error, request.what)
        raise failure

    async def _chunks(self, response: aiohttp.ClientResponse, what: str) -> AsyncGenerator[bytes, None]:
        """The body in the pieces it comes in. Only waiting for the server counts as slowness, not what the reader does."""
        time = asyncio.get_running_loop().time  # what all other deadlines go by
        waited, received = 0.0, 0
        while True:
            began = time()
            try:
                chunk = await response.content.readany()
            except FOREIGN as error:
                failure = BadClip(str(told(error, what)))
                break
            if not chunk:
                return
            waited += time() - began
            received += len(chunk)
            if waited > self._deadlines.patience and received < waited * self._deadlines.slowest:
                raise BadClip(f"{what}: too slow ({received} bytes in {waited:.0f} s)")
            yield chunk
        raise failure

    async def _may_send(self, request: Request) -> None:
        if not request.elsewhere and not self._servers.trusted(request.origin):
            raise ForeignHost(f"{request.what}: {request.origin} is not a server of Blink")
        if self._before_request is not None:
            await self._before_request()

    @asynccontextmanager
    async def _send(self, request: Request, *, whole: float) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("not open: use `async with`")
        headers = CIMultiDict((name, shown(value)) for name, value in request.headers.items())
        if request.form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif request.json is not None:
            headers["Content-Type"] = "application/json"
        headers.setdefault("Accept-Encoding", "gzip")
        session = self._elsewhere.session() if request.elsewhere and self._elsewhere else self._session
        async with session.request(
            request.method,
            URL(f"{request.origin}{request.target}", encoded=True),
            headers=headers,
            data=request.body,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=whole, connect=self._deadlines.connect, sock_read=self._deadlines.silence),
            read_bufsize=READ_BUFFER,
        ) as response:
            yield response


def trusting(ca_file: Path) -> ssl.SSLContext:
    """Trust in the authorities of a file, and in no others. Raises `ConfigError` when it holds none."""
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except ssl.SSLError as error:
        raise ConfigError(f"ca_file: {ca_file} holds no certificate in PEM form") from error
    except OSError as error:
        raise ConfigError(f"ca_file: {ca_file} cannot be read: {error.strerror}") from error


def _date(text: str) -> datetime | None:
    """The time that a header tells; None for what makes no sense."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _answer(response: aiohttp.ClientResponse, body: bytes) -> Answer:
    return Answer(
        status=response.status,
        headers={name.lower(): value for name, value in response.headers.items()},
        cookies=tuple(response.headers.getall("Set-Cookie", ())),
        body=body,
    )


async def _bounded(response: aiohttp.ClientResponse, what: str) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise ServerTrouble(f"{what}: an answer of more than {LARGEST_ANSWER >> 20} MiB", status=response.status)
    return bytes(body)


#: What aiohttp raises, most specific first, and what it stands for while no body has begun.
TRANSLATIONS: tuple[tuple[type[Exception], type[SourceError], str], ...] = (
    (aiohttp.ClientSSLError, Unreachable, "no safe connection; is this machine's clock right?"),
    (aiohttp.ServerFingerprintMismatch, Unreachable, "no safe connection"),
    (ssl.SSLError, Unreachable, "no safe connection; is this machine's clock right?"),
    (aiohttp.ClientConnectorDNSError, Unreachable, "its name cannot be looked up; is there a network?"),
    (TimeoutError, Unreachable, "no answer in time"),
    (aiohttp.ServerDisconnectedError, Unreachable, "the connection was closed"),
    (aiohttp.ClientConnectionError, Unreachable, "no connection"),
    (aiohttp.ClientPayloadError, ServerTrouble, "the answer was cut off"),
    (aiohttp.ClientError, ServerTrouble, "not an answer that can be read"),
    (HttpProcessingError, ServerTrouble, "not an answer that can be read"),
    (OSError, Unreachable, "no connection"),
)


FOREIGN = tuple(foreign for foreign, _, _ in TRANSLATIONS)


def told(error: Exception, what: str) -> SourceError:
    """What the library underneath raised, in our words.

    Raise it after the `except` block, and not in it: aiohttp's errors hold the request's headers, and a chain of errors
    that leads to them would show the token to whoever prints it.
    """
    kind, words = next((ours, words) for foreign, ours, words in TRANSLATIONS if isinstance(error, foreign))
    detail = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    shown = " ".join(": ".join(filter(None, (type(error).__name__, detail))).split())
    return kind(f"{what}: {words} ({redact(shown)[:200]})")
