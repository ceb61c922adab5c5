"""Sign-in and refresh as conversations of values: PKCE, password, sign-in code, tokens. No I/O happens here.

Each flow yields requests, is sent their answers, and returns what it was for, or raises the `SourceError` that the
answer stands for. Nothing is repeated: whoever runs a flow decides whether there is another attempt. A sign-in that waits
for its code is a value too: it can be saved, and resumed by another process.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from blinkarchive.blink import answers, endpoints, wire
from blinkarchive.blink.endpoints import Endpoints, Origin
from blinkarchive.blink.exchange import MAX_HOPS, REDIRECTS, Answer, Flow, Request
from blinkarchive.blink.sign_in_page import csrf_token
from blinkarchive.errors import (
    ClientRefused,
    LoginLimit,
    ServerTrouble,
    SourceError,
    Throttled,
    TokenRevoked,
    Unauthorized,
    WrongCode,
    WrongPassword,
)
from blinkarchive.secret import Secret

CLIENT_ID = "ios"
"""The client that our tokens are issued to. They can be refreshed as this one only."""

SCOPE = "client"
REDIRECT_URI = "immedia-blink://applinks.blink.com/signin/callback"
BROWSER = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/26.1 Mobile/15E148 Safari/604.1"
)
"""A browser's name, for the sign-in pages. Since version 26, Safari reports the system as 18_7."""

APP = "Blink/2511191620 CFNetwork/3860.200.71 Darwin/25.1.0"
"""The name of the vendor's app, for the token call alone. The edge refuses clients it does not know there (HTTP 406)."""

_PAGE = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSignIn:
    """A sign-in whose password was right and whose code is still to come."""

    #: The server that asked for the code; the code goes nowhere else.
    oauth: Origin
    cookies: Mapping[str, Secret]
    csrf: Secret
    #: The secret half of PKCE.
    verifier: Secret
    hardware_id: str
    started_at: datetime
    #: How the code was sent, and where to (mostly masked), as Blink says.
    method: str = ""
    phone: str = ""
    username: str = ""

    @property
    def sent(self) -> str:
        """A sentence for the person who has to type the code."""
        where = f" to {self.phone}" if self.phone else ""
        return f"Blink sent a sign-in code by {self.method or 'message'}{where}"


def sign_in(
    servers: Endpoints, username: str, password: Secret, *, hardware_id: str, now: datetime
) -> Flow[wire.Grant | PendingSignIn]:
    """Sign in with a password. Returns tokens, or a pending sign-in when Blink wants a code as well.

    Raises `WrongPassword`, `LoginLimit`, `ClientRefused`, `UpdateRequired` or another `SourceError`.
    """
    talk = _Conversation(servers.oauth, now=now)
    verifier = Secret(_random())
    yield from talk.open(_authorize(verifier, hardware_id))
    page = yield from talk.page(endpoints.SIGN_IN, what="the sign-in page")
    talk.csrf = _csrf(page)
    form = (("username", username), ("password", password), ("csrf-token", talk.csrf))
    answer = yield from talk.post(endpoints.SIGN_IN, form, what="sign-in")
    if answer.status in (202, 412):
        try:
            sent = wire.code_sent(answer.body)
        except wire.NotAsPromised as error:
            if answer.status == 202:  # 412 says it by itself; 202 is used for other things as well
                raise talk.refusal(answer, "sign-in", str(error)) from None
            sent = wire.CodeSent()
        return PendingSignIn(
            oauth=servers.oauth,
            cookies=dict(talk.cookies),
            csrf=talk.csrf,
            verifier=verifier,
            hardware_id=hardware_id,
            started_at=now,
            method=sent.tsv_state,
            phone=sent.phone,
            username=username,
        )
    if answer.status not in REDIRECTS:
        refusal = talk.refusal(answer, "sign-in")
        if answer.status == 401 and not isinstance(refusal, LoginLimit):
            raise WrongPassword(f"Blink refused the user name or the password ({refusal})", status=401, code=refusal.code)
        raise refusal
    return (yield from _tokens(talk, verifier, hardware_id))


def send_code(pending: PendingSignIn, code: Secret, *, now: datetime) -> Flow[wire.Grant]:
    """Give the code that a pending sign-in waits for. Returns tokens.

    Raises `WrongCode`, after which the same pending sign-in may be tried with another code, or another `SourceError`.
    """
    talk = _Conversation(pending.oauth, now=now, cookies=pending.cookies, csrf=pending.csrf)
    form = (("2fa_code", code), ("csrf-token", pending.csrf), ("remember_me", "false"))
    answer = yield from talk.post(endpoints.VERIFY, form, what="the sign-in code")
    if answer.status not in (200, 201):
        error = talk.refusal(answer, "the sign-in code")
        if answer.status in (400, 412) and not _without_cookies(answer) and not isinstance(error, (LoginLimit, ClientRefused)):
            raise WrongCode(f"Blink refused the sign-in code ({error})", status=answer.status, code=error.code)
        raise error
    return (yield from _tokens(talk, pending.verifier, pending.hardware_id))


def refresh(servers: Endpoints, token: Secret, *, client_id: str, hardware_id: str, now: datetime) -> Flow[wire.Grant]:
    """New tokens for a refresh token, as the client and the device it was issued to.

    Raises `TokenRevoked` when Blink no longer accepts it; any other `SourceError` says nothing about the token: `Throttled`
    when there were too many calls, and never `LoginLimit`.
    """
    form = (
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", client_id),
        ("scope", SCOPE),
        ("hardware_id", hardware_id),
    )
    talk = _Conversation(servers.oauth, now=now)
    what = "the refresh of the sign-in"
    answer = yield talk.token_call(form, what=what)
    try:
        return talk.grant(answer, what)
    except LoginLimit as error:
        # The token is as good as it was: a pause is all that is asked for, and no other sign-in.
        raise Throttled(str(error), status=error.status, code=error.code, retry_after=error.retry_after) from error
    except SourceError as error:
        if isinstance(error, ClientRefused):  # the client, and not the token
            raise
        if answer.status == 401 or (answer.status == 400 and wire.complaint(answer.body).error == "invalid_grant"):
            because = f"Blink no longer accepts the saved sign-in ({error})"
            raise TokenRevoked(because, status=answer.status, code=error.code) from error
        raise


def _tokens(talk: _Conversation, verifier: Secret, hardware_id: str) -> Flow[wire.Grant]:
    """The end of every sign-in: fetch the authorization code, and change it into tokens."""
    # Without a query: what was asked for at the beginning is in the session that the cookies name.
    answer = yield from talk.get(endpoints.AUTHORIZE, what="the authorization code")
    code = _authorization_code(answer, talk)
    form = (
        ("app_brand", "blink"),
        ("client_id", CLIENT_ID),
        ("code", code),
        ("code_verifier", verifier),
        ("grant_type", "authorization_code"),
        ("hardware_id", hardware_id),
        ("redirect_uri", REDIRECT_URI),
        ("scope", SCOPE),
    )
    answer = yield talk.token_call(form, what="the tokens")
    return talk.grant(answer, "the tokens")


class _Conversation:
    """One sign-in's talk with the sign-in server: its cookies, and the headers that a browser would send."""

    def __init__(
        self, oauth: Origin, *, now: datetime, cookies: Mapping[str, Secret] | None = None, csrf: Secret | None = None
    ) -> None:
        self.oauth = oauth
        self.now = now
        self.cookies = dict(cookies or {})
        self.csrf = csrf or Secret("")

    def open(self, query: Sequence[tuple[str, str]]) -> Flow[Answer]:
        """Begin: the server notes what we ask for, and sets the cookies of its session."""
        target = f"{endpoints.AUTHORIZE}?{urlencode(query, quote_via=quote, safe='')}"
        return (yield from self.page(target, what="the beginning of the sign-in"))

    def page(self, target: str, *, what: str) -> Flow[Answer]:
        """Get a page, over a few redirects within the sign-in server."""
        for _ in range(MAX_HOPS + 1):
            answer = yield from self.get(target, what=what)
            if answer.status == 200:
                return answer
            if answer.status not in REDIRECTS:
                raise self.refusal(answer, what)
            target = endpoints.target_on(self.oauth, answer.location)
        raise ServerTrouble(f"{what}: more than {MAX_HOPS} redirects", status=answer.status)

    def get(self, target: str, *, what: str) -> Flow[Answer]:
        return (yield from self._send(Request(method="GET", origin=self.oauth, target=target, what=what), _PAGE))

    def post(self, target: str, form: Sequence[tuple[str, str | Secret]], *, what: str) -> Flow[Answer]:
        request = Request(method="POST", origin=self.oauth, target=target, what=what, form=form)
        return (yield from self._send(request.with_headers(Origin=str(self.oauth)), "*/*"))

    def _send(self, request: Request, accept: str) -> Flow[Answer]:
        headers: dict[str, str | Secret] = {"User-Agent": BROWSER, "Accept": accept, "Accept-Language": "en-US,en;q=0.9"}
        if not request.target.startswith(f"{endpoints.AUTHORIZE}?"):
            headers["Referer"] = f"{self.oauth}{endpoints.SIGN_IN}"
        if self.cookies:
            headers["Cookie"] = Secret("; ".join(f"{name}={value.reveal()}" for name, value in self.cookies.items()))
        answer = yield replace(request, headers={**request.headers, **headers})
        self._note_cookies(answer)
        return answer

    def _note_cookies(self, answer: Answer) -> None:
        # One server, one flow: domain and path of a cookie never matter, only whether it is set or taken away.
        for line in answer.cookies:
            pair, _, attributes = line.partition(";")
            name, equals, value = (part.strip() for part in pair.partition("="))
            if not name or not equals or not f"{name}{value}".isprintable():
                continue
            if re.search(r"max-age\s*=\s*(?:0|-\d+)\s*(?:;|$)|expires\s*=[^;]*\b1970\b", attributes, re.IGNORECASE):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = Secret(value)

    def token_call(self, form: Sequence[tuple[str, str | Secret]], *, what: str) -> Request:
        """The app's own call: no cookies, and the app's name."""
        headers = {"User-Agent": APP, "Accept": "application/json"}
        return Request(method="POST", origin=self.oauth, target=endpoints.TOKEN, what=what, form=form, headers=headers)

    def grant(self, answer: Answer, what: str) -> wire.Grant:
        if answer.status != 200:
            raise self.refusal(answer, what)
        try:
            return wire.grant(answer.body)
        except wire.NotAsPromised as error:
            raise self.refusal(answer, what, str(error)) from None

    def refusal(self, answer: Answer, what: str, because: str = "") -> SourceError:
        """What an answer stands for at sign-in: the limit is on sign-ins, and no token can be at fault."""
        error = answers.refusal(answer, what=what, now=self.now, because=because)
        if wire.complaint(answer.body).error == "invalid_client":
            return ClientRefused(
                f"{what}: Blink no longer accepts this version of blinkarchive as a client. Update blinkarchive "
                f"(HTTP {answer.status}, invalid_client)",
                status=answer.status,
            )
        if (isinstance(error, Throttled) and answer.status == 429) or "login limit" in str(error).lower():
            return LoginLimit(str(error), status=error.status, code=error.code, retry_after=error.retry_after)
        if _without_cookies(answer) or isinstance(error, Unauthorized):
            return ServerTrouble(str(error), status=error.status, code=error.code, retry_after=error.retry_after)
        return error


def _authorize(verifier: Secret, hardware_id: str) -> Sequence[tuple[str, str]]:
    challenge = hashlib.sha256(verifier.reveal().encode("ascii")).digest()
    return (
        ("app_brand", "blink"),
        ("app_version", "50.1"),
        ("client_id", CLIENT_ID),
        ("code_challenge", _base64(challenge)),
        ("code_challenge_method", "S256"),
        ("device_brand", "Apple"),
        ("device_model", "iPhone16,1"),
        ("device_os_version", "26.1"),
        ("hardware_id", hardware_id),
        ("redirect_uri", REDIRECT_URI),
        ("response_type", "code"),
        ("scope", SCOPE),
    )


def _random() -> str:
    return _base64(secrets.token_bytes(32))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _without_cookies(answer: Answer) -> bool:
    return wire.complaint(answer.body).error_cause == "empty_cookies"


def _authorization_code(answer: Answer, talk: _Conversation) -> Secret:
    """The code in the address of the app that a redirect leads to; it is never followed."""
    what = "the authorization code"
    if answer.status not in REDIRECTS:
        raise talk.refusal(answer, what, "no redirect to the app")
    location = answer.location
    if not location.startswith(f"{REDIRECT_URI}?"):
        raise ServerTrouble(f"{what}: the sign-in was forgotten on the way", status=answer.status)
    query = parse_qs(urlsplit(location).query)
    if not query.get("code"):
        said = "".join(query.get("error", [])) or "none came"
        raise ServerTrouble(f"{what}: {said[:100]!r}", status=answer.status)
    return Secret(query["code"][0])


def _csrf(page: Answer) -> Secret:
    token = csrf_token(page.body)
    if not token:
        raise ServerTrouble("the sign-in page holds no csrf token; it may be another page, or a new one", status=page.status)
    return Secret(token)
