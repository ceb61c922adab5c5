"""One Blink account: signing in, its devices, its clips."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from blinkarchive.blink import endpoints, login, media, wire
from blinkarchive.blink.attempts import Attempts
from blinkarchive.blink.clip_list import ClipList
from blinkarchive.blink.commands import Commands
from blinkarchive.blink.control import Control
from blinkarchive.blink.elsewhere import Elsewhere
from blinkarchive.blink.endpoints import Endpoints
from blinkarchive.blink.exchange import Flow
from blinkarchive.blink.holds import LOGIN
from blinkarchive.blink.http import Deadlines, Http
from blinkarchive.blink.local_storage import LocalStorage
from blinkarchive.blink.login import PendingSignIn
from blinkarchive.blink.memory import Memory
from blinkarchive.blink.retired import Replaceable
from blinkarchive.blink.session import Session
from blinkarchive.blink.tokens import TokenFile, Tokens, same_user
from blinkarchive.clock import Clock
from blinkarchive.errors import (
    CodeNeeded,
    LoginHeldBack,
    LoginLimit,
    LoginNeeded,
    NotSignedIn,
    OtherAccount,
    ServerTrouble,
    Throttled,
    TokenRevoked,
    WrongCode,
)
from blinkarchive.files import Files
from blinkarchive.interfaces import Body
from blinkarchive.secret import Secret

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")

Proof = Callable[[Tokens], Awaitable[Tokens]]
"""Proves new tokens, and gives them as they are afterwards: they may have been renewed. Raises `OtherAccount` to refuse them."""


class Client:
    """A Blink account. Open it with `Client.open`.

    Every method raises `LoginNeeded` when a person has to sign in first, and another `SourceError` for what the server
    says or fails to say. Nothing is tried again in here, but a request whose token had ended.
    """

    def __init__(self, http: Http, servers: Endpoints, session: Session, attempts: Attempts | Memory, clock: Clock) -> None:
        self._http = http
        self._servers = servers
        self._session = session
        self._attempts = attempts
        self._clock = clock
        self._commands = Commands(session, clock)
        self._clips = ClipList(session)
        self._homescreen = Replaceable("homescreen")
        self._deletion = Replaceable("deletion of clips")
        #: What can be asked of networks and cameras.
        self.control = Control(session, self._commands)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        tokens: Path | Memory,
        *,
        servers: Endpoints | None = None,
        session: aiohttp.ClientSession | None = None,
        before_request: Callable[[], Awaitable[None]] | None = None,
        on_refresh: Callable[[Tokens], None] | None = None,
        deadlines: Deadlines | None = None,
        ca_file: Path | None = None,
        elsewhere: Elsewhere | Literal["default"] | None = "default",
        clock: Clock | None = None,
        files: Files | None = None,
    ) -> AsyncIterator[Client]:
        """The account whose tokens are kept in a file, or in a `Memory` alone; nothing is sent yet.

        A `session` that is given stays the giver's; without one, one is made and closed. `before_request` is awaited before each
        request. `on_refresh` is called with new tokens, after they were saved. `ca_file` names the
        authorities that Blink's servers are trusted by, in place of the system's. `elsewhere` decides about clips on other
        servers; with None, none is fetched there.
        """
        servers, clock = servers or Endpoints(), clock or Clock()
        http = Http(
            servers,
            session=session,
            deadlines=deadlines,
            before_request=before_request,
            ca_file=ca_file,
            elsewhere=Elsewhere(ca_file=ca_file) if elsewhere == "default" else elsewhere,
            clock=clock,
        )
        kept = tokens if isinstance(tokens, Memory) else TokenFile(tokens, files=files)
        attempts = tokens if isinstance(tokens, Memory) else Attempts(tokens, clock=clock, files=files)
        async with http, Session(http, servers, kept, clock=clock, on_refresh=on_refresh) as signed_in:
            yield cls(http, servers, signed_in, attempts, clock)

    # Signing in

    @property
    def tokens(self) -> Tokens:
        """The tokens in use. Raises `LoginNeeded` when there are none."""
        return self._session.tokens

    @property
    def pending(self) -> PendingSignIn | None:
        """The sign-in that waits for its code, when it is not too old to be worth a code."""
        waiting = self._attempts.waiting(self._servers)
        return waiting if waiting is not None and self._attempts.is_fresh(waiting) else None

    async def sign_in(self, username: str, password: Secret, *, prove: Proof | None = None) -> None:
        """Sign in: one attempt, at once, because a person asked for it.

        `prove` is called with the new tokens before they replace the saved ones, and may raise `OtherAccount` to refuse them.

        Raises `CodeNeeded` when Blink sent a sign-in code: go on with `send_code`, here or in another process. Raises
        `WrongPassword`, `LoginLimit`, or another `SourceError`.
        """
        hardware_id = self._attempts.hardware_id()
        now = self._clock.now()
        flow = login.sign_in(self._servers, username, password, hardware_id=hardware_id, now=now)
        result = await self._run(flow)
        if isinstance(result, PendingSignIn):
            self._attempts.wait_for_code(result)
            raise CodeNeeded(f"{result.sent}; run `blinkarchive login --code CODE`")
        await self._signed_in(result, hardware_id, username, prove)

    async def send_code(self, code: Secret, *, prove: Proof | None = None) -> None:
        """Give the code that a sign-in waits for. `prove` is as for `sign_in`.

        Raises `WrongCode`, after which another code may be given, or `LoginNeeded` when no sign-in waits.
        """
        pending = self.pending
        if pending is None:
            raise LoginNeeded("no sign-in waits for a code; sign in again")
        flow: Flow[wire.Grant] = login.send_code(pending, code, now=self._clock.now())
        try:
            grant = await self._run(flow)
        except WrongCode:
            raise
        except ServerTrouble as error:
            if error.status is not None and error.status < 500:
                self._attempts.forget_waiting()  # the server has forgotten it, so it cannot be resumed
            raise
        await self._signed_in(grant, pending.hardware_id, pending.username, prove)

    async def ensure_signed_in(self, username: str | None = None, password: Secret | None = None) -> None:
        """Be signed in, without a person: by the saved tokens, else by the password if there is one.

        The password is for when no tokens are saved, or Blink has revoked them; no other trouble is a reason to use it.
        At most one sign-in an hour is tried in this way, whatever happens in between, and none while one waits for its code.
        Raises `LoginHeldBack`, `CodeNeeded`, `TokenRevoked` or another `LoginNeeded` when only a person can go on.
        """
        try:
            await self._session.fresh()
        except (NotSignedIn, TokenRevoked):
            if not username or password is None:
                raise
            await self.sign_in_unattended(username, password)

    async def sign_in_unattended(self, username: str, password: Secret) -> None:
        """Sign in, whatever tokens there are: at most once an hour, and not while a sign-in waits for its code.

        Raises `LoginHeldBack`, or what `sign_in` does.
        """
        waiting = self._attempts.waiting(self._servers)
        if waiting is not None:
            raise CodeNeeded(f"{waiting.sent}; run `blinkarchive login`") from None
        self._check_login_hold()
        await self._attempts.hold_back(self._servers.oauth)
        await self.sign_in(username, password)

    async def _run(self, flow: Flow[T]) -> T:
        """Carry out a part of a sign-in. A limit that Blink sets on sign-ins is noted: no unattended one is tried meanwhile."""
        try:
            return await self._http.run(flow)
        except LoginLimit as error:
            await self._session.holds.refused(LOGIN, error)
            raise

    def _check_login_hold(self) -> None:
        try:
            self._session.holds.check_login()
        except Throttled as held:
            raise LoginHeldBack(str(held), retry_after=held.retry_after) from None

    async def belong_to(self, username: str) -> None:
        """See to it that the saved sign-in, if there is one, is of this user. One that names nobody yet is theirs from now on.

        Raises `OtherAccount` when it is of somebody else: then nothing was sent.
        """
        pending = self._attempts.waiting(self._servers)
        if pending is not None and pending.username and not same_user(pending.username, username):
            self._attempts.forget_waiting()
        await self._session.belong_to(username)

    async def renew(self) -> None:
        """Renew the tokens now. Raises `TokenRevoked` when Blink no longer accepts them, or another `SourceError`."""
        await self._session.refresh(self._session.tokens)

    async def adopt(self, tokens: Tokens) -> None:
        """Be signed in with tokens that were brought from elsewhere, as the device that they were issued to.

        What was noted of the account elsewhere is looked up anew: so the first request proves the tokens.
        """
        self._attempts.keep_hardware_id(tokens.hardware_id)
        await self._session.begin(replace(tokens, tier=None, account_id=None))

    async def _signed_in(self, grant: wire.Grant, hardware_id: str, username: str, prove: Proof | None) -> None:
        tokens = Tokens.granted(grant, self._servers, hardware_id=hardware_id, now=self._clock.now(), username=username or None)
        try:
            if prove is not None:
                tokens = await prove(tokens)
        except OtherAccount:
            self._attempts.forget_waiting()
            raise
        await self._session.begin(tokens)
        self._attempts.forget_waiting()

    # The account

    @property
    def skew(self) -> timedelta | None:
        """How far Blink's clock is ahead of this machine's, as its last answer said; None while that is not known."""
        return self._http.skew

    async def account_id(self) -> int:
        """The account's number."""
        return await self._session.account_id()

    @property
    def client_number(self) -> int | None:
        """Which of the account's clients Blink takes us for, once it has said so."""
        return self._session.client_number

    def local_storage(self, module: wire.SyncModule) -> LocalStorage:
        """A sync module's stick."""
        return LocalStorage(self._session, self._commands, self._clock, module)

    async def user(self) -> wire.User:
        """The account's owner."""
        return await self._session.get(endpoints.USER, wire.user, what="the owner", detail=True)

    async def notifications(self) -> Mapping[str, bool]:
        """What the owner is told of, by Blink's words."""
        target = endpoints.notifications(await self.account_id())
        return await self._session.get(target, wire.notifications, what="the notifications")

    async def notify(self, flags: Mapping[str, bool]) -> None:
        """Change some of what the owner is told of."""
        target = endpoints.notifications(await self.account_id())
        await self._session.post(target, wire.message, what="the notifications", json={"notifications": dict(flags)})

    async def sign_out(self) -> None:
        """End this client: its tokens are worth nothing any more."""
        if self._session.client_number is None:
            await self.homescreen()  # it says in its headers who asks
        if self._session.client_number is None:
            raise ServerTrouble("Blink does not say which client this is, so it cannot be signed out")
        target = endpoints.logout(await self.account_id(), self._session.client_number)
        await self._session.post(target, wire.message, what="signing out")

    async def homescreen(self) -> wire.Homescreen:
        """All devices of the account."""
        account = await self.account_id()

        def read(version: int) -> Awaitable[wire.Homescreen]:
            target = endpoints.homescreen(account, version=version)
            return self._session.get(target, wire.homescreen, what="the list of devices")

        return await self._homescreen.ask(lambda: read(3), lambda: read(4))

    async def media_page(self, since: datetime, page: int) -> wire.MediaPage:
        """One page (from 1) of the clips that changed since a time (aware): newest first, as far as was seen.

        The end is a page without items. The list is made anew for each page, so items may come twice, and one may be
        missed when another is deleted in between. Once Blink has retired that list, it is the newer one: of the clips that
        were recorded since that time.
        """
        return await self._clips.page(since, page)

    async def delete_media(self, clips: Iterable[int]) -> None:
        """Delete clips of the cloud by their ids, for good. Whether they are gone, the list tells."""
        account, json = await self.account_id(), {"media_list": list(clips)}

        def delete(version: int) -> Awaitable[None]:
            target = endpoints.media_delete(account, version=version)
            return self._session.post(target, wire.deleted, what="the deletion of clips", json=json)

        await self._deletion.ask(lambda: delete(1), lambda: delete(4))

    def media(self, address: str) -> AbstractAsyncContextManager[Body]:
        """The bytes behind an address that a list of clips gave, as they come.

        An address on another server than the account's is asked without credentials. Raises `ForeignHost` for one that may not be
        asked at all (nothing is sent), `Forbidden`, `ClipGone`,
        `BadClip`, or another `SourceError`, on entering or while reading. That the bytes are a whole clip is for the
        reader to check: a body without a length may end early unnoticed.
        """
        return media.media(self._session, address)

    def picture(self, address: str) -> AbstractAsyncContextManager[Body]:
        """The bytes of a picture, as `media`; but its refusals hold up no other requests."""
        return media.media(self._session, address, what="the picture", detail=True)
