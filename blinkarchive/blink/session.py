"""Requests in the name of a signed-in account: a token that is fresh, refreshed once for all, and saved before it is used."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Self, TypeVar

import msgspec

from blinkarchive import __version__
from blinkarchive.blink import answers, login, wire
from blinkarchive.blink.endpoints import TIER, Endpoints, Origin, target_on
from blinkarchive.blink.exchange import Request
from blinkarchive.blink.holds import DETAIL, LOGIN
from blinkarchive.blink.http import Http, Incoming
from blinkarchive.blink.memory import Memory, MemoryChange
from blinkarchive.blink.tokens import Change, TokenFile, Tokens
from blinkarchive.clock import Clock
from blinkarchive.errors import (
    ArchiveError,
    Forbidden,
    LoginNeeded,
    NotSignedIn,
    SourceError,
    Throttled,
    TokenRevoked,
    Unauthorized,
)
from blinkarchive.interfaces import Body
from blinkarchive.secret import Secret

T = TypeVar("T")
log = logging.getLogger(__name__)

HEAD = 4096

AGENT = f"blinkarchive/{__version__}"
"""Our name in every request with a token. An app version has no place there: once Blink has retired it, each request with it
is answered 426.
"""

LONG = 256 * 1024
"""From how many bytes on an answer is decoded in a thread."""

EARLY = timedelta(minutes=5)
"""How long before its end an access token is refreshed."""

PAUSE = 60.0
"""At least so many seconds are between two refreshes that a token in force does not need."""


class Session:
    """A signed-in account, and requests in its name.

    A request that is answered 401 is sent once more with a new token. However many requests find that out at the same time, in
    however many processes, the tokens are refreshed once.
    """

    def __init__(
        self,
        http: Http,
        servers: Endpoints,
        token_file: TokenFile | Memory,
        *,
        clock: Clock,
        on_refresh: Callable[[Tokens], None] | None = None,
    ) -> None:
        self._http = http
        self._servers = servers
        self._file: TokenFile | Memory = token_file
        self._clock = clock
        #: How long Blink asked for the account to be left alone.
        self.holds = token_file.holds(clock)
        self._on_refresh = on_refresh
        self._tokens: Tokens | None = None
        self._unsaved: Tokens | None = None
        self._refreshing: asyncio.Task[Tokens] | None = None
        self._looking_up = asyncio.Lock()
        #: On the monotonic clock: when the tokens came by a refresh, and until when a token in force is used without another.
        self._renewed_at: float | None = None
        self._good_until: float | None = None
        #: Which of the account's clients Blink takes us for, once it has said so.
        self.client_number: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait for a refresh under way: what the server has changed must be saved."""
        if self._refreshing is not None:
            await asyncio.wait([self._refreshing])

    # The sign-in

    @property
    def tokens(self) -> Tokens:
        """The newest tokens. Raises `NotSignedIn` when nobody has signed in, or at other servers."""
        if self._tokens is None:
            tokens = self._file.load()
            if tokens is None:
                raise NotSignedIn("nobody has signed in yet: run `blinkarchive login`")
            self._check_servers(tokens)
            self._tokens = tokens
        return self._tokens

    async def begin(self, tokens: Tokens) -> None:
        """Be signed in with these tokens from now on."""
        saved = await self._file.save(tokens, self._clock)
        await self.holds.accepted(LOGIN)
        self._unsaved = self._renewed_at = self._good_until = None
        self._now_use(saved)

    async def account(self) -> Tokens:
        """Tokens that name the account and its tier, looked up when they do not yet."""
        async with self._looking_up:
            if self.tokens.account_id is None or self.tokens.tier is None:
                found = await self._get_from(self._servers.first, TIER, wire.tier_info, what="the account's tier")
                async with self._file.change(self._clock) as change:
                    change.prepare()
                    newest = change.current or self.tokens
                    self._tokens = change.commit(replace(newest, tier=found.tier, account_id=found.account_id))
        return self.tokens

    async def account_id(self) -> int:
        """The account's number."""
        account = (await self.account()).account_id
        assert account is not None  # `account` has looked it up
        return account

    async def fresh(self) -> Tokens:
        """Tokens to use now, refreshed when they will not last for a while.

        While they are in force, they are used for want of newer ones, and Blink is asked for those once a minute. Raises as
        `refresh` does when they have ended, and `TokenRevoked` as soon as they cannot be refreshed any more.
        """
        tokens = self.tokens
        if self._in_force(tokens) and (self._lasts(tokens) or self._has_just_failed()):
            return tokens
        try:
            return await self.refresh(tokens)
        except LoginNeeded:
            raise
        except SourceError as error:
            self._good_until = self._clock.monotonic() + max(PAUSE, error.retry_after or 0.0)
            if not self._in_force(tokens):
                raise
            log.info("the sign-in could not be refreshed yet", extra={"because": str(error)})
            return tokens

    async def refresh(self, used: Tokens) -> Tokens:
        """Tokens that are newer than `used`.

        Raises `TokenRevoked` when Blink no longer accepts the refresh token, and another `SourceError` when it could not
        be asked: then the token is as good as it was.
        """
        if self._unsaved is None and self.tokens.access != used.access:
            return self.tokens
        if self._refreshing is None or self._refreshing.done():
            # A task of its own, and shielded: who waits for it may be cancelled, but between the server's change of the
            # token and our saving it nothing may come.
            self._refreshing = asyncio.create_task(self._renew(used))
            self._refreshing.add_done_callback(_look_at)
        return await asyncio.shield(self._refreshing)

    async def _renew(self, used: Tokens) -> Tokens:
        async with self._file.change(self._clock) as change:
            current = change.current or used
            self._check_servers(current)
            if current.access != used.access and self._lasts(current) and not current.revoked:
                self._tokens, self._unsaved = current, None  # another process was here first
                self._renewed_at = self._clock.monotonic()
                return current
            if self._unsaved is not None:
                change.prepare()
                return self._keep(change, self._unsaved)
            if current.refresh is None:
                raise TokenRevoked("the saved sign-in has ended, and cannot be refreshed; sign in again")
            if current.revoked:
                self._tokens = current
                raise TokenRevoked("Blink no longer accepts the saved sign-in; sign in again")
            self.holds.check_login()
            change.prepare()
            now = self._clock.now()
            flow = login.refresh(
                self._servers, current.refresh, client_id=current.client_id, hardware_id=current.hardware_id, now=now
            )
            try:
                grant = await self._http.run(flow)
            except TokenRevoked:
                self._note_revoked(change, current)
                raise
            except Throttled as error:
                raise await self.holds.refused(LOGIN, error) from error
            renewed = self._keep(change, current.renewed(grant, now))
        await self.holds.accepted(LOGIN)
        return renewed

    def _keep(self, change: Change | MemoryChange, tokens: Tokens) -> Tokens:
        """Save, then use. What cannot be saved now is not thrown away: the old token may be worth nothing any more."""
        try:
            saved = change.commit(tokens)
        except ArchiveError:
            self._unsaved = tokens
            raise
        self._unsaved = None
        self._renewed_at = self._clock.monotonic()
        return self._now_use(saved)

    def _note_revoked(self, change: Change | MemoryChange, tokens: Tokens) -> None:
        """Never show this refresh token again, in any process: to Blink that looks like an attack."""
        self._tokens = replace(tokens, revoked=True)
        with suppress(ArchiveError):  # then it is shown once more, and what matters now is that it was refused
            self._tokens = change.commit(self._tokens)

    def _now_use(self, tokens: Tokens) -> Tokens:
        self._tokens = tokens
        if self._on_refresh is not None:
            self._on_refresh(tokens)
        return tokens

    def _lasts(self, tokens: Tokens) -> bool:
        return tokens.expires_at - self._clock.now() >= EARLY

    def _in_force(self, tokens: Tokens) -> bool:
        return self._unsaved is None and not tokens.revoked and self._clock.now() < tokens.expires_at

    def _has_just_failed(self) -> bool:
        return self._good_until is not None and self._clock.monotonic() < self._good_until

    def _was_just_renewed(self, tokens: Tokens) -> bool:
        just_now = self._renewed_at is not None and self._clock.monotonic() - self._renewed_at < PAUSE
        return just_now and tokens.access == self.tokens.access

    def _check_servers(self, tokens: Tokens) -> None:
        if not tokens.are_of(self._servers):
            raise NotSignedIn(f"the saved sign-in is of {tokens.oauth}, not of {self._servers.oauth}; sign in again")

    # Requests

    async def get(self, target: str, decode: Callable[[bytes], T], *, what: str, detail: bool = False) -> T:
        """What the account's server answers to a GET. `detail`: its refusals hold up no other requests."""
        tokens = await self.account()
        return await self._get_from(self._servers.rest(tokens.tier), target, decode, what=what, detail=detail)

    async def post(self, target: str, decode: Callable[[bytes], T], *, what: str, json: object | None = None) -> T:
        """What the account's server answers to a POST, with a JSON document or without a body."""
        tokens = await self.account()
        request = Request(
            method="POST",
            origin=self._servers.rest(tokens.tier),
            target=target,
            what=what,
            json=None if json is None else msgspec.json.encode(json),
        )
        return await self._with_token(request, lambda request: self._read(request, decode))

    async def _get_from(self, origin: Origin, target: str, decode: Callable[[bytes], T], *, what: str, detail: bool = False) -> T:
        request = Request(method="GET", origin=origin, target=target, what=what, detail=detail)
        return await self._with_token(request, lambda request: self._read(request, decode))

    async def _read(self, request: Request, decode: Callable[[bytes], T]) -> T:
        send = self._http.get if request.method == "GET" else self._http.exchange
        answer = await send(request.with_headers(Accept="application/json"))
        if (number := answer.headers.get("client-id", "")).isdecimal():
            self.client_number = int(number)
        read = functools.partial(answers.read, answer, decode, what=request.what, now=self._clock.now())
        # A long answer would keep everything else waiting while it is decoded.
        return read() if len(answer.body) <= LONG else await asyncio.to_thread(read)

    async def _with_token(self, request: Request, send: Callable[[Request], Awaitable[T]], *, media: bool = False) -> T:
        """Send a request with the token; once more, with a new one, when the server says that it has ended.

        A new token that is refused as well is no good: a person has to sign in. But if it is a clip (`media`) that is
        refused to it, then the clip is what is wrong, and many such clips are not as many refreshes.
        """
        tokens = await self.fresh()
        try:
            return await self._in_turn(_bearing(request, tokens), send)
        except Unauthorized as error:
            if media and self._was_just_renewed(tokens):
                raise _forbidden(error) from error
            tokens = await self.refresh(tokens)
        try:
            return await self._in_turn(_bearing(request, tokens), send)
        except Unauthorized as error:
            if media:
                raise _forbidden(error) from error
            raise LoginNeeded(f"Blink does not accept a token that it has just given; sign in again ({error})") from error

    async def _in_turn(self, request: Request, send: Callable[[Request], Awaitable[T]]) -> T:
        """Send a request unless Blink asked for a pause. Raises `Throttled`, with the pause, when it asks for one."""
        kind = f"{DETAIL}{request.what}" if request.detail else request.what
        await self.holds.before_request(kind)
        try:
            result = await send(request)
        except Throttled as error:
            raise await self.holds.refused(kind, error) from error
        await self.holds.accepted(kind)
        return result

    @asynccontextmanager
    async def media(self, address: str, *, what: str = "the clip", detail: bool = False) -> AsyncIterator[Body]:
        """The bytes of a clip or a picture, as they come. `detail`: its refusals hold up no other requests.

        `address` is a path on the account's server, or an absolute address there, as Blink's lists give it. Raises
        `ForeignHost` when it leads elsewhere (then nothing was sent), `Forbidden`, `ClipGone`, `BadClip`, or another
        `SourceError`.
        """
        tokens = await self.account()
        origin = self._servers.rest(tokens.tier)
        request = Request(method="GET", origin=origin, target=target_on(origin, address), what=what, detail=detail)
        async with AsyncExitStack() as stack:

            async def begin(request: Request) -> Incoming:
                incoming = await stack.enter_async_context(self._http.stream(request))
                await self._check_clip(incoming, what)
                return incoming

            incoming = await self._with_token(request.with_headers(Accept="*/*"), begin, media=True)
            yield Body(length=incoming.length, type=incoming.answer.type, chunks=incoming.chunks)

    async def _check_clip(self, incoming: Incoming, what: str) -> None:
        """Raise the error that an answer to a media address stands for, unless its body may be a clip."""
        answer, because = incoming.answer, ""
        if answer.status == 200:
            if not answers.is_no_clip(answer):
                return
            answer = replace(answer, body=await _head(incoming))
            because = f"it is {answer.type}, not a clip: {wire.excerpt(answer.body)!r}"
        raise answers.refusal(answer, what=what, now=self._clock.now(), media=True, because=because)


def _bearing(request: Request, tokens: Tokens) -> Request:
    """The request with the headers that every request with a token has, with a body or without one."""
    return request.with_headers(
        User_Agent=AGENT, Content_Type="application/json", Authorization=Secret(f"Bearer {tokens.access.reveal()}")
    )


def _forbidden(error: Unauthorized) -> Forbidden:
    return Forbidden(f"refused to a new token too: {error}", status=error.status, code=error.code)


async def _head(incoming: Incoming) -> bytes:
    head = b""
    async for chunk in incoming.chunks:
        head += chunk[: HEAD - len(head)]
        if len(head) >= HEAD:
            break
    return head


def _look_at(task: asyncio.Task[Tokens]) -> None:
    """A failure that everybody has stopped waiting for is no surprise to the loop."""
    if not task.cancelled():
        task.exception()
