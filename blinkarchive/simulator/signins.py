"""Who is signing in and who is signed in: sessions, one-time codes and tokens, without a word of HTTP but its statuses."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from blinkarchive.clock import Clock
from blinkarchive.simulator.answers import INVALID_GRANT, LOGIN_LIMIT, Refusal, oauth_error
from blinkarchive.simulator.plan import Rules, SecondFactor

CLIENT = "ios"
REDIRECT_URI = "immedia-blink://applinks.blink.com/signin/callback"
_LOCKED_FOR = 3600.0
_CODE_LIFE = 600.0


class Person(Protocol):
    """What signing in needs to know of an account."""

    id: int
    user_id: int
    username: str
    password: str
    second_factor: SecondFactor
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What the client said of itself when it began: it must say the same when it asks for tokens."""

    client_id: str
    redirect_uri: str
    challenge: str
    hardware_id: str
    state: str | None


@dataclass(slots=True, kw_only=True, eq=False)
class Session:
    """A sign-in on its way, found by its cookie."""

    cookie: str
    csrf: str
    flow: Flow
    #: Whose password was right.
    person: Person | None = None
    #: Whether nothing is missing any more.
    passed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A client that an account has let in."""

    person: Person
    client_id: str
    hardware_id: str

    @property
    def client_number(self) -> int:
        """The number that the cloud gives this client: `Client-Id` of the homescreen."""
        return 1_000_000 + int.from_bytes(hashlib.sha256(f"{self.person.id} {self.hardware_id}".encode()).digest()[:3])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ticket:
    """A one-time code that waits to be changed into tokens."""

    grant: Grant
    flow: Flow
    until: float


class SignIns:
    """The desk where accounts are signed in."""

    def __init__(self, people: Sequence[Person], rules: Rules, clock: Clock) -> None:
        self._people = people
        self._rules = rules
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._tickets: dict[str, _Ticket] = {}
        self._refresh: dict[str, Grant] = {}
        self._access: dict[str, tuple[Grant, float]] = {}
        self._tries: dict[str, deque[float]] = {}

    def begin(self, query: Mapping[str, str]) -> Session:
        """A session for the parameters of the first call. Raises `Refusal`: 406 for a hardware id that is no UUID, else 400."""
        wanted = {"response_type": "code", "code_challenge_method": "S256", "client_id": CLIENT, "redirect_uri": REDIRECT_URI}
        for key, value in wanted.items():
            if query.get(key) != value:
                raise oauth_error(400, "invalid_request", f"{key} must be {value}")
        challenge, hardware_id = query.get("code_challenge", ""), query.get("hardware_id", "")
        if len(challenge) != 43 or not challenge.replace("-", "a").replace("_", "a").isalnum():
            raise oauth_error(400, "invalid_request", "code_challenge is not a SHA-256 in base64url")
        check_hardware_id(hardware_id)
        flow = Flow(
            client_id=CLIENT,
            redirect_uri=REDIRECT_URI,
            challenge=challenge,
            hardware_id=hardware_id,
            state=query.get("state"),
        )
        session = Session(cookie=secrets.token_urlsafe(24), csrf=secrets.token_urlsafe(32), flow=flow)
        self._sessions[session.cookie] = session
        return session

    def session(self, cookie: str | None) -> Session | None:
        return self._sessions.get(cookie or "")

    def check_password(self, session: Session, username: str, password: str) -> Person:
        """Whose password it is. Raises `Refusal`: 429 when there were too many tries within an hour, 401 for a wrong password."""
        self._count_try(username)
        person = next((p for p in self._people if p.username.lower() == username.strip().lower()), None)
        if person is None or person.password != password:
            raise oauth_error(401, "invalid_credentials", "Invalid username or password.")
        session.person = person
        session.passed = person.second_factor == "none"
        return person

    def check_code(self, session: Session, code: str) -> None:
        """Take the second factor. Raises `Refusal` for a wrong one, after which another may be tried."""
        if session.person is None:
            raise oauth_error(400, "bad_request", "No password has been given.")
        if code != session.person.code:
            raise oauth_error(self._rules.wrong_code_status, "invalid_code", "Verification Code is invalid or expired")
        session.passed = True

    def ticket(self, session: Session) -> str:
        """A one-time code for a session that has passed; the session ends with it."""
        assert session.person is not None
        grant = Grant(person=session.person, client_id=session.flow.client_id, hardware_id=session.flow.hardware_id)
        code = secrets.token_urlsafe(24)
        self._tickets[code] = _Ticket(grant=grant, flow=session.flow, until=self._clock.monotonic() + _CODE_LIFE)
        del self._sessions[session.cookie]
        return code

    def redeem(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Tokens for a one-time code and the verifier of its challenge (RFC 7636). Raises `Refusal`."""
        ticket = self._tickets.pop(form.get("code", ""), None)
        if ticket is None or ticket.until < self._clock.monotonic():
            raise Refusal(400, INVALID_GRANT)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        said = (form.get("client_id"), form.get("redirect_uri"), form.get("hardware_id"))
        if said != (ticket.flow.client_id, ticket.flow.redirect_uri, ticket.flow.hardware_id):
            raise oauth_error(400, "invalid_grant", "client_id, redirect_uri or hardware_id is another than before")
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != ticket.flow.challenge:
            raise oauth_error(400, "invalid_grant", "code_verifier does not fit the challenge")
        return self._tokens(ticket.grant)

    def refresh(self, form: Mapping[str, str]) -> dict[str, Any]:
        """New tokens for a refresh token. Raises `Refusal`, also for a client that the token was not given to."""
        token = form.get("refresh_token", "")
        grant = self._refresh.get(token)
        if grant is None:
            raise Refusal(400, INVALID_GRANT)
        if form.get("client_id") != grant.client_id:
            raise oauth_error(401, "unauthorized_client", "client is not authorized")
        if self._rules.refresh == "strict":
            del self._refresh[token]
        return self._tokens(grant)

    def whose(self, access_token: str) -> Grant | None:
        """Whom a token lets in, while it lives."""
        grant, until = self._access.get(access_token, (None, 0.0))
        return grant if until > self._clock.monotonic() else None

    def revoke_access_tokens(self) -> None:
        """From now on every access token that is out there answers 401; refresh tokens stay good."""
        self._access.clear()

    def revoke_refresh_tokens(self) -> None:
        """From now on no client can renew its sign-in."""
        self._refresh.clear()

    def sign_out(self, grant: Grant) -> None:
        """End a client: its tokens of both kinds are no longer good."""
        self._access = {token: held for token, held in self._access.items() if held[0] != grant}
        self._refresh = {token: held for token, held in self._refresh.items() if held != grant}

    def sign_in(self, person: Person, hardware_id: str = "9D1C8E0C-6B0B-4B6B-9B5E-3C2F6E3F8C11") -> dict[str, Any]:
        """Tokens without the way to them: a client that has been let in before."""
        return self._tokens(Grant(person=person, client_id=CLIENT, hardware_id=hardware_id))

    def _tokens(self, grant: Grant) -> dict[str, Any]:
        life = self._rules.access_token_life
        now = int(self._clock.now().timestamp())
        claims = {"iat": now, "exp": now + int(life), "sub": str(grant.person.user_id), "jti": secrets.token_hex(8)}
        access = ".".join((_packed({"alg": "HS256", "typ": "JWT"}), _packed(claims), secrets.token_urlsafe(32)))
        refresh = secrets.token_urlsafe(48)
        self._access[access] = (grant, self._clock.monotonic() + life)
        self._refresh[refresh] = grant
        return {
            "access_token": access,
            "expires_in": int(life),
            "refresh_token": refresh,
            "scope": "client",
            "token_type": "Bearer",
        }

    def _count_try(self, username: str) -> None:
        limit = self._rules.signin_limit
        now = self._clock.monotonic()
        tries = self._tries.setdefault(username, deque())
        while tries and tries[0] <= now - _LOCKED_FOR:
            tries.popleft()
        if limit and len(tries) >= limit:
            raise Refusal(429, LOGIN_LIMIT)
        tries.append(now)


def check_hardware_id(hardware_id: str) -> None:
    """Raise `Refusal`, 406, for an id that the edge refuses: one that is no UUID, but for a single word."""
    if hardware_id != "homeassistant" and not _is_uuid(hardware_id):
        raise Refusal(406, {"message": "Not Acceptable"})


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _packed(claims: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims, separators=(",", ":")).encode()).rstrip(b"=").decode()
