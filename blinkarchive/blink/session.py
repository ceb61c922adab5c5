"""Requests in the name of a signed-in account: a token that is fresh, refreshed once for all, and saved before it is used."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Self, TypeVar

import msgspec

from blinkarchive.blink import answers, login, wire
from blinkarchive.blink.endpoints import TIER, Endpoints
from blinkarchive.blink.exchange import AGENT, Request
from blinkarchive.blink.holds import DETAIL, LOGIN
from blinkarchive.blink.http import Http
from blinkarchive.blink.memory import Memory, MemoryChange
from blinkarchive.blink.tokens import Change, TokenFile, Tokens, same_user
from blinkarchive.clock import Clock
from blinkarchive.errors import (
    ArchiveError,
    Forbidden,
    ForeignHost,
    LoginNeeded,
    NotSignedIn,
    OtherAccount,
    ServerTrouble,
    SourceError,
    Throttled,
    TokenRevoked,
    Unauthorized,
    Unreachable,
)
from blinkarchive.secret import Secret

T = TypeVar("T")
log = logging.getLogger(__name__)

LONG = 256 * 1024
"""From how many bytes on an answer is decoded in a thread."""

EARLY = timedelta(minutes=5)
"""How long before its end an access token is refreshed."""

PAUSE = 60.0
"""At least so many seconds are between two refreshes that a token in force does not need, and between two looks at the tier."""

MOST_RENEWALS = 3
WITHIN = 300.0
"""Tokens that are refused although they are new are renewed so often within so many seconds, and then no more."""

_MOST_TRIES = 8


_REFUSALS = (400, 406, 426)
"""How a refresh is answered that is refused for what it is, and not for its token."""


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
        self.http = http
        self.servers = servers
        self._file: TokenFile | Memory = token_file
        self.clock = clock
        #: How long Blink asked for the account to be left alone.
        self.holds = token_file.holds(clock)
        self._on_refresh = on_refresh
        self._tokens: Tokens | None = None
        self._unsaved: Tokens | None = None
        self._refreshing: asyncio.Task[Tokens] | None = None
        self._looking_up = asyncio.Lock()
        self._asking = asyncio.Lock()
        #: An access token that Blink has accepted when it was asked for the tier, and when that was on the monotonic clock.
        self._confirmed: tuple[Secret, float] | None = None
        #: When the tier was looked up because its server could not be reached, on the same clock.
        self._looked_at: float | None = None
        #: When tokens were renewed, on the monotonic clock.
        self._renewals: deque[float] = deque(maxlen=MOST_RENEWALS)
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
        saved = await self._file.save(tokens, self.clock)
        await self.holds.accepted(LOGIN)
        self._unsaved = self._renewed_at = self._good_until = None
        self._now_use(saved)

    async def belong_to(self, username: str) -> None:
        """See to it that the tokens, if there are any, are of this user. Raises `OtherAccount` when they are of another."""
        try:
            tokens = self.tokens
        except NotSignedIn:
            return
        if tokens.username is None:
            with suppress(ArchiveError):  # another time: it is good as it is
                async with self._file.change(self.clock) as change:
                    change.prepare()
                    self._tokens = change.commit(replace(change.current or tokens, username=username))
        elif not same_user(tokens.username, username):
            raise OtherAccount(
                "the saved sign-in is of another user than `username` in the config: nothing was listed, stored or deleted. "
                "Correct `username`, or sign in as the new user with `blinkarchive login`"
            )

    async def account(self) -> Tokens:
        """Tokens that name the account and its tier, looked up when they do not yet."""
        async with self._looking_up:
            if self.tokens.account_id is None or self.tokens.tier is None:
                request = Request(method="GET", origin=self.servers.first, target=TIER, what="the account's tier")
                await self._keep_tier(await self.with_token(lambda _: request, self._reading(wire.tier_info)))
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
        if self._was_just_renewed(tokens) and self._unsaved is None and not tokens.revoked:
            return tokens  # it is what there is, however soon it is to end
        try:
            return await self.refresh(tokens)
        except LoginNeeded:
            raise
        except SourceError as error:
            self._good_until = self.clock.monotonic() + max(PAUSE, error.retry_after or 0.0)
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
        async with self._file.change(self.clock) as change:
            current = change.current or used
            self._check_servers(current)
            if current.access != used.access and self._lasts(current) and not current.revoked:
                self._tokens, self._unsaved = current, None  # another process was here first
                self._renewed_at = self.clock.monotonic()
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
            now = self.clock.now()
            flow = login.refresh(
                self.servers, current.refresh, client_id=current.client_id, hardware_id=current.hardware_id, now=now
            )
            try:
                grant = await self.http.run(flow)
            except TokenRevoked:
                self._note_revoked(change, current)
                raise
            except Throttled as error:
                raise await self.holds.refused(LOGIN, error) from error
            except SourceError as error:
                if error.status in _REFUSALS:  # the same request would be refused again
                    await self.holds.refused(LOGIN, error)
                raise
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
        self._renewed_at = self.clock.monotonic()
        self._renewals.append(self._renewed_at)
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
        return tokens.expires_at - self.clock.now() >= EARLY

    def _in_force(self, tokens: Tokens) -> bool:
        return self._unsaved is None and not tokens.revoked and self.clock.now() < tokens.expires_at

    def _has_just_failed(self) -> bool:
        return self._good_until is not None and self.clock.monotonic() < self._good_until

    def _was_just_renewed(self, tokens: Tokens) -> bool:
        just_now = self._renewed_at is not None and self.clock.monotonic() - self._renewed_at < PAUSE
        return just_now and tokens.access == self.tokens.access

    def _check_servers(self, tokens: Tokens) -> None:
        if not tokens.are_of(self.servers):
            raise NotSignedIn(f"the saved sign-in is of {tokens.oauth}, not of {self.servers.oauth}; sign in again")

    # Requests

    async def get(self, target: str, decode: Callable[[bytes], T], *, what: str, detail: bool = False) -> T:
        """What the account's server answers to a GET. `detail`: its refusals hold up no other requests."""
        await self.account()
        return await self.with_token(self._on_the_tier("GET", target, what, detail=detail), self._reading(decode))

    async def post(self, target: str, decode: Callable[[bytes], T], *, what: str, json: object | None = None) -> T:
        """What the account's server answers to a POST, with a JSON document or without a body."""
        await self.account()
        body = None if json is None else msgspec.json.encode(json)
        return await self.with_token(self._on_the_tier("POST", target, what, body), self._reading(decode))

    def _on_the_tier(
        self, method: str, target: str, what: str, json: bytes | None = None, *, detail: bool = False
    ) -> Callable[[Tokens], Request]:
        def request(tokens: Tokens) -> Request:
            origin = self.servers.rest(tokens.tier)
            return Request(method=method, origin=origin, target=target, what=what, json=json, detail=detail)

        return request

    def _reading(self, decode: Callable[[bytes], T]) -> Callable[[Request], Awaitable[T]]:
        return lambda request: self._read(request, decode)

    async def _tier_info(self, tokens: Tokens) -> wire.TierInfo:
        """The account and its tier, asked for with these tokens whatever comes of it."""
        request = Request(method="GET", origin=self.servers.first, target=TIER, what="the account's tier")
        return await self._in_turn(_bearing(request, tokens), self._reading(wire.tier_info))

    async def _read(self, request: Request, decode: Callable[[bytes], T]) -> T:
        send = self.http.get if request.method == "GET" else self.http.exchange
        answer = await send(request.with_headers(Accept="application/json"))
        if (number := answer.headers.get("client-id", "")).isdecimal():
            self.client_number = int(number)
        read = functools.partial(answers.read, answer, decode, what=request.what, now=self.clock.now())
        # A long answer would keep everything else waiting while it is decoded.
        return read() if len(answer.body) <= LONG else await asyncio.to_thread(read)

    async def with_token(
        self, request: Callable[[Tokens], Request], send: Callable[[Request], Awaitable[T]], *, media: bool = False
    ) -> T:
        """Send a request with the token; again, with a new one or to another tier, when the answer says that this is needed.

        A new token that is refused as well may have been ended by somebody else, the account may have moved to another tier, or
        just this request is refused: Blink is asked for the tier once, and its answer tells. If it is a clip (`media`) that is
        refused, that is `Forbidden`, and many such clips are not as many refreshes; else a person has to sign in.
        """
        tokens = await self.fresh()
        for _ in range(_MOST_TRIES):
            made = request(tokens)
            try:
                return await self._in_turn(_bearing(made, tokens), send)
            except Unauthorized as error:
                tokens = await self._after_refusal(tokens, error, media=media)
            except (Unreachable, ForeignHost):
                # The server of a tier that was given up answers no more, or leads elsewhere.
                asked = made.method == "GET" and made.origin != self.servers.first
                moved = await self._moved_away(tokens) if asked else None
                if moved is None:
                    raise
                tokens = moved
        raise ServerTrouble(f"{made.what}: refused to each of {_MOST_TRIES} tokens")

    async def _after_refusal(self, tokens: Tokens, error: Unauthorized, *, media: bool) -> Tokens:
        """The tokens to try next, when these were refused. Raises `Forbidden` or `LoginNeeded` when there are none."""
        if not self._was_just_renewed(tokens) and not self._renewed_often():
            return await self.refresh(tokens)
        try:
            moved = await self._moved(tokens)
        except Unauthorized as dead:  # another program may have renewed the sign-in as well
            if not self._renewed_often() or self.tokens.access != tokens.access:
                return await self.refresh(tokens)
            raise LoginNeeded(
                f"Blink ended {MOST_RENEWALS} tokens right after it gave them ({dead}): does another program use the same "
                "sign-in? Stop it, and sign in again"
            ) from dead
        if moved is not None:
            return moved
        if media:
            raise _forbidden(error) from error
        raise LoginNeeded(f"Blink does not accept a token that it has just given; sign in again ({error})") from error

    async def _moved(self, tokens: Tokens) -> Tokens | None:
        """Tokens that are newer, or name another tier, because Blink says that the account has moved there. None when it has not.

        Blink is asked once a minute. Raises `Unauthorized` when it does not accept these tokens at all.
        """
        async with self._asking:
            newest = self.tokens
            if (newest.access, newest.tier) != (tokens.access, tokens.tier):
                return newest
            now = self.clock.monotonic()
            if self._confirmed is not None and self._confirmed[0] == tokens.access and now - self._confirmed[1] < PAUSE:
                return None
            found = await self._tier_info(tokens)
            self._confirmed = tokens.access, now
            if found.tier == tokens.tier:
                return None
            log.warning("the account has moved to another tier", extra={"tier": found.tier, "before": tokens.tier})
            return await self._keep_tier(found)

    async def _moved_away(self, tokens: Tokens) -> Tokens | None:
        """The same, when the server of the tier cannot be reached; None as well when Blink cannot be asked, or was just now."""
        now = self.clock.monotonic()
        if self.tokens.tier == tokens.tier and self._looked_at is not None and now - self._looked_at < PAUSE:
            return None
        self._looked_at = now
        try:
            return await self._moved(tokens)
        except SourceError as error:
            log.info("the account's tier could not be looked up", extra={"because": str(error)})
            return None

    def _renewed_often(self) -> bool:
        now = self.clock.monotonic()
        return sum(now - at < WITHIN for at in self._renewals) >= MOST_RENEWALS

    async def _keep_tier(self, found: wire.TierInfo) -> Tokens:
        if self.tokens.account_id not in (None, found.account_id):
            raise OtherAccount(
                f"the saved sign-in was of Blink account {self.tokens.account_id}, and is of {found.account_id} now; "
                "sign in again"
            )
        async with self._file.change(self.clock) as change:
            change.prepare()
            newest = change.current or self.tokens
            self._tokens = change.commit(replace(newest, tier=found.tier, account_id=found.account_id))
        return self._tokens

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


def _bearing(request: Request, tokens: Tokens) -> Request:
    """The request with the headers that every request with a token has, with a body or without one."""
    return request.with_headers(
        User_Agent=AGENT, Content_Type="application/json", Authorization=Secret(f"Bearer {tokens.access.reveal()}")
    )


def _forbidden(error: Unauthorized) -> Forbidden:
    return Forbidden(f"refused to a new token too: {error}", status=error.status, code=error.code)


def _look_at(task: asyncio.Task[Tokens]) -> None:
    """A failure that everybody has stopped waiting for is no surprise to the loop."""
    if not task.cancelled():
        task.exception()
