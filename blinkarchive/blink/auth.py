"""Signing in, as a script or a person at a terminal does it: credentials, questions, a code, tokens that are renewed."""

from __future__ import annotations

import asyncio
import getpass
import inspect
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from blinkarchive.blink.client import Client
from blinkarchive.blink.credentials import Credentials, credentials_of, device_in, tokens_in
from blinkarchive.blink.endpoints import Endpoints
from blinkarchive.blink.memory import Memory
from blinkarchive.blink.tokens import Tokens
from blinkarchive.blink.wire import NotAsPromised
from blinkarchive.clock import Clock
from blinkarchive.errors import CodeNeeded, ConfigError, LoginNeeded, NotSignedIn, TokenRevoked, WrongCode, WrongPassword
from blinkarchive.pace import Figures, Pace
from blinkarchive.secret import Secret

if TYPE_CHECKING:
    import aiohttp

    from blinkarchive.blink.system import Blink

PACE = Figures(requests_per_second=4.0, burst=40, downloads=2)
"""A start asks for everything at once; after that, steadily."""

_OF_A_SIGN_IN = ("password", "2fa_code", "token", "refresh_token", "expires_in", "expiration_date")
"""What is never kept, or kept as it is now and not as it was given."""

_CODES = 3
"""How often a code may be given at a prompt."""


class Auth:
    """An account's sign-in.

    `login_data` are credentials: `username` and `password`, or what `Blink.save` has kept, by blinkpy's keys. Without
    `no_prompt`, what is missing is asked for at the terminal. A `session` that is given stays its giver's, and is used in the
    event loop it was given in alone; without one, sessions are made and closed here. `callback` is called after tokens were
    renewed, and may be a coroutine function: save them then. `api_url` and `oauth_url` are other servers (https, or this
    machine), by default `BLINKARCHIVE_API_URL` and `BLINKARCHIVE_OAUTH_URL`, by default Blink's. `agent` and `app_build` are
    taken for blinkpy's sake, and not used.
    """

    def __init__(
        self,
        login_data: Credentials | None = None,
        no_prompt: bool = False,
        session: aiohttp.ClientSession | None = None,
        agent: str | None = None,
        app_build: str | None = None,
        callback: Callable[[], object] | None = None,
        *,
        api_url: str | None = None,
        oauth_url: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.data: dict[str, Any] = dict(login_data or {})
        self.no_prompt = no_prompt
        self.callback = callback
        self.clock = clock or Clock()
        self.servers = Endpoints.of(
            api_url=api_url or os.environ.get("BLINKARCHIVE_API_URL"),
            oauth_url=oauth_url or os.environ.get("BLINKARCHIVE_OAUTH_URL"),
        )
        device = device_in(str(self.data.get("hardware_id") or ""))
        try:
            tokens = tokens_in(self.data, servers=self.servers, now=self.clock.now(), device=device)
        except NotAsPromised as error:
            raise ConfigError(f"these are no credentials: {error}") from None
        self._memory = Memory(tokens, hardware_id=device, clock=self.clock)
        self._client: Client | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._users = 0
        self._closing = AsyncExitStack()
        self._called: set[asyncio.Future[object]] = set()
        self._pace: Pace | None = None
        self._given: aiohttp.ClientSession | None = None
        self._given_in: asyncio.AbstractEventLoop | None = None
        self.session = session
        #: Of the client that signs in: blinkpy's names for what the homescreen's headers say.
        self.client_id: str | None = None
        self.user_id: str | None = None

    # The client

    @property
    def session(self) -> aiohttp.ClientSession | None:
        """The session that was given."""
        return self._given

    @session.setter
    def session(self, session: aiohttp.ClientSession | None) -> None:
        self._given = session
        self._given_in = None
        if session is not None:
            try:
                self._given_in = asyncio.get_running_loop()
            except RuntimeError:
                self._given_in = session._loop

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Client]:
        """The client, for as long as the block lasts. Blocks within blocks, and beside each other, share it.

        It belongs to one event loop: in another one, another is made.
        """
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            if self._loop is not loop or self._pace is None:
                self._pace = Pace(PACE, self.clock)
            self._loop, self._users, self._closing, self._called = loop, 0, AsyncExitStack(), set()
            self._client = await self._closing.enter_async_context(
                Client.open(
                    self._memory,
                    servers=self.servers,
                    session=self._given if self._given_in is loop else None,
                    before_request=self._pace.request,
                    on_refresh=self._renewed,
                    clock=self.clock,
                )
            )
        client = self._client
        self._users += 1
        try:
            yield client
        finally:
            self._users -= 1
            if not self._users:
                self._client = None
                await self._closing.aclose()
                called, self._called = self._called, set()
                await asyncio.gather(*called)

    def _renewed(self, _: Tokens) -> None:
        result = self.callback() if self.callback is not None else None
        if inspect.isawaitable(result):
            called = asyncio.ensure_future(result)
            self._called.add(called)
            called.add_done_callback(self._has_been_called)

    def _has_been_called(self, called: asyncio.Future[object]) -> None:
        """One that went wrong stays, and is raised when the client is closed."""
        if called.cancelled() or called.exception() is None:
            self._called.discard(called)

    # What is known of the sign-in

    @property
    def tokens(self) -> Tokens | None:
        """The sign-in; None before there is one."""
        return self._memory.load()

    @property
    def token(self) -> str | None:
        """The access token."""
        return self.tokens.access.reveal() if self.tokens else None

    @property
    def refresh_token(self) -> str | None:
        """The refresh token."""
        return self.tokens.refresh.reveal() if self.tokens and self.tokens.refresh else None

    @property
    def expiration_date(self) -> float | None:
        """When the access token ends, in seconds since 1970."""
        return self.tokens.expires_at.timestamp() if self.tokens else None

    @property
    def region_id(self) -> str | None:
        """The account's tier."""
        return self.tokens.tier if self.tokens else None

    @property
    def host(self) -> str | None:
        """The host of the account's data, without `rest-`."""
        return f"{self.region_id}.immedia-semi.com" if self.region_id else None

    @property
    def account_id(self) -> int | None:
        """The account's number."""
        return self.tokens.account_id if self.tokens else None

    @property
    def hardware_id(self) -> str:
        """This device's id."""
        return self._memory.hardware_id()

    @property
    def header(self) -> dict[str, str] | None:
        """What a request in the account's name carries; None before a sign-in."""
        return None if self.token is None else {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}

    @property
    def login_attributes(self) -> dict[str, Any]:
        """All that is needed to go on without a new sign-in, by blinkpy's keys. The password is not in it."""
        told = {key: value for key, value in self.data.items() if key not in _OF_A_SIGN_IN}
        kept = {} if self.tokens is None else credentials_of(self.tokens, self.clock.now())
        return {**told, **kept, "hardware_id": self.hardware_id, "client_id": self.client_id, "user_id": self.user_id}

    # Signing in

    async def startup(self) -> None:
        """Be signed in: by the tokens there are, else by the password.

        Raises `CodeNeeded` (`BlinkTwoFARequiredError`) when Blink has sent a code: go on with `send_auth_key`. Raises
        `WrongPassword`, `LoginLimit`, `LoginHeldBack` or another `LoginNeeded` when a person has to act, and another
        `SourceError` when Blink could not be asked: then what there is stays as good as it was.
        """
        async with self.opened() as client:
            try:
                if self.tokens is None:
                    raise NotSignedIn
                await client.ensure_signed_in()
                await client.account_id()
            except (NotSignedIn, TokenRevoked):
                await self.sign_in()

    async def sign_in(self) -> None:
        """Sign in by the password, whatever tokens there are: once, and without a person at most once an hour.

        Raises as `startup` does.
        """
        if not await self.validate_login():
            raise LoginNeeded("no sign-in that can be used, and no username and password for a new one")
        username, password = str(self.data["username"]), Secret(str(self.data["password"]))
        async with self.opened() as client:
            try:
                await (client.sign_in_unattended if self.no_prompt else client.sign_in)(username, password)
            except CodeNeeded:
                raise CodeNeeded(f"{self.code_wanted()}; give it to `send_auth_key`") from None
            except WrongPassword:
                if not self.no_prompt:
                    self.data.pop("password")  # it is asked for the next time, and not tried again
                raise
            await client.account_id()

    async def validate_login(self) -> bool:
        """Whether there are a username and a password, after the terminal was asked for what is missing."""
        if not self.no_prompt:
            if not self.data.get("username"):
                self.data["username"] = await ask("Username: ")
            if not self.data.get("password"):
                self.data["password"] = await ask("Password: ", hidden=True)
        return bool(self.data.get("username") and self.data.get("password"))

    async def send_auth_key(self, blink: Blink, key: str | int) -> bool:
        """Give the code that Blink has sent; False when it is refused, after which another may be given.

        Raises `LoginNeeded` when no sign-in waits for one. Go on with `blink.setup_post_verify`.
        """
        signed_in = await self.complete_2fa_login(key)
        if signed_in:
            blink.key_required = False
        return signed_in

    async def complete_2fa_login(self, code: str | int) -> bool:
        """Give the code that Blink has sent; False when it is refused."""
        async with self.opened() as client:
            try:
                await client.send_code(Secret(str(code).strip()))
            except WrongCode:
                return False
            await client.account_id()
        return True

    async def prompt_code(self) -> None:
        """Ask the terminal for the code until it is right, a few times. Raises `WrongCode`."""
        for _ in range(_CODES):
            if await self.complete_2fa_login(await ask("Code that Blink has sent: ")):
                return
        raise WrongCode

    async def refresh_tokens(self, refresh: bool = True) -> bool:
        """Renew the tokens now; without `refresh`, by a new sign-in. Raises as `startup` does."""
        if not refresh:
            await self.sign_in()
            return True
        async with self.opened() as client:
            await client.renew()
        return True

    async def logout(self, blink: Blink | None = None) -> bool:
        """End this client: its tokens are worth nothing any more."""
        async with self.opened() as client:
            await client.sign_out()
        self._memory.forget()
        return True

    def code_wanted(self) -> str:
        """Where the code that is waited for was sent to, in words; "" when none is."""
        pending = self._memory.waiting(self.servers)
        return pending.sent if pending is not None else ""


async def ask(question: str, *, hidden: bool = False) -> str:
    """Ask at the terminal; the event loop goes on meanwhile. Raises `LoginNeeded` when nobody can be asked.

    The thread that waits for a person holds up no end: whoever stops the program need not answer first.
    """
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[str] = loop.create_future()

    def tell(answer: str | None, error: Exception | None) -> None:
        if answered.done():
            return
        if error is not None:
            answered.set_exception(error)
        else:
            answered.set_result(answer or "")

    def wait() -> None:
        try:
            answer, error = (getpass.getpass if hidden else input)(question), None
        except (EOFError, OSError) as failure:
            answer, error = None, failure
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell, answer, error)

    threading.Thread(target=wait, name="question", daemon=True).start()
    try:
        return (await answered).strip()
    except (EOFError, OSError) as error:
        raise LoginNeeded(f"nobody answers {question.strip(': ')!r}; give it in the credentials, with no_prompt=True") from error
