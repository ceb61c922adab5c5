"""Sign-in and refresh as lists of requests and answers: nothing here touches a network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import pytest

from blinkarchive.blink import login
from blinkarchive.blink.endpoints import Endpoints
from blinkarchive.blink.exchange import Answer, Flow, Request
from blinkarchive.blink.login import PendingSignIn
from blinkarchive.blink.sign_in_page import LARGEST, csrf_token
from blinkarchive.blink.wire import Grant
from blinkarchive.errors import (
    ClientRefused,
    ForeignHost,
    LoginLimit,
    LoginNeeded,
    ServerTrouble,
    SourceError,
    Throttled,
    TokenRevoked,
    UpdateRequired,
    WrongCode,
    WrongPassword,
)
from blinkarchive.secret import Secret
from tests.growth import growth

T = TypeVar("T")
NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
DEVICE = "9C4D3B2A-0F1E-4D2C-8B3A-112233445566"
CALLBACK = "immedia-blink://applinks.blink.com/signin/callback"


def answer(status: int = 200, body: object = b"", *cookies: str, **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(
        status=status, body=data, cookies=cookies, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )


PAGE = answer(200, b'<html><script id="oauth-args" type="application/json">{"csrf-token":"csrf1","x":[1]}</script></html>')
BEGUN = answer(302, b"", "session=abc; Path=/; HttpOnly; Secure", "other=1; Path=/", location="/oauth/v2/signin")
LET_IN = answer(302, b"", "signed=yes", location="/oauth/v2/authorize")
CODE_SENT = answer(
    202, {"next_time_in_secs": 60, "phone": "+61xxxxxxxx40", "tsv_methods": ["sms"], "tsv_state": "sms", "user_id": 0}
)
VERIFIED = answer(201, {"status": "auth-completed"}, "signed=yes")
TO_THE_APP = answer(302, b"", location=f"{CALLBACK}?code=auth%2Fcode&state=s")
TOKENS = answer(200, {"access_token": "A", "expires_in": 14400, "refresh_token": "R", "scope": "client", "token_type": "Bearer"})
EMPTY_COOKIES = answer(400, {"error": "bad_request", "error_cause": "empty_cookies", "error_description": "Empty Cookies."})
START = (BEGUN, PAGE, PAGE)


def talk(flow: Flow[T], answers: Sequence[Answer]) -> tuple[T, list[Request]]:
    """Send the answers one by one; what the flow returned, and the requests it made. Every answer must be used."""
    waiting, asked = list(answers), []
    try:
        request = next(flow)
        while True:
            asked.append(request)
            assert waiting, f"one request more than expected: {request}"
            request = flow.send(waiting.pop(0))
    except StopIteration as end:
        assert not waiting, "the flow ended early"
        result: T = end.value
        return result, asked


def signing_in() -> Flow[Grant | PendingSignIn]:
    return login.sign_in(Endpoints(), "me@example.org", Secret("p&ss wörd"), hardware_id=DEVICE, now=NOW)


def refreshing() -> Flow[Grant]:
    return login.refresh(Endpoints(), Secret("R"), client_id="android", hardware_id=DEVICE, now=NOW)


def pending() -> PendingSignIn:
    result, _ = talk(signing_in(), (*START, CODE_SENT))
    assert isinstance(result, PendingSignIn)
    return result


def form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((request.body or b"").decode(), keep_blank_values=True, strict_parsing=True))


def query(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.target.partition("?")[2], strict_parsing=True))


def test_a_sign_in_asks_what_a_browser_and_the_app_would_ask() -> None:
    grant, asked = talk(signing_in(), (*START, LET_IN, TO_THE_APP, TOKENS))

    assert isinstance(grant, Grant)
    assert (grant.access_token, grant.refresh_token, grant.expires_in) == (Secret("A"), Secret("R"), 14400)
    assert [(one.method, one.target.partition("?")[0], "?" in one.target) for one in asked] == [
        ("GET", "/oauth/v2/authorize", True),
        ("GET", "/oauth/v2/signin", False),
        ("GET", "/oauth/v2/signin", False),
        ("POST", "/oauth/v2/signin", False),
        ("GET", "/oauth/v2/authorize", False),
        ("POST", "/oauth/token", False),
    ]
    assert {str(one.origin) for one in asked} == {"https://api.oauth.blink.com"}
    assert form(asked[3]) == {"username": "me@example.org", "password": "p&ss wörd", "csrf-token": "csrf1"}
    assert all(one.headers["User-Agent"] == login.BROWSER for one in asked[:5])
    assert asked[5].headers["User-Agent"] == login.APP
    assert asked[3].headers["Origin"] == "https://api.oauth.blink.com"
    assert {one.headers["Referer"] for one in asked[1:5]} == {"https://api.oauth.blink.com/oauth/v2/signin"}


def test_the_challenge_of_the_beginning_is_proven_at_the_end() -> None:
    _, asked = talk(signing_in(), (*START, LET_IN, TO_THE_APP, TOKENS))

    begun, token = query(asked[0]), form(asked[5])
    verifier = token["code_verifier"]
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert (len(verifier), begun["code_challenge"], begun["code_challenge_method"]) == (43, challenge, "S256")
    assert begun["hardware_id"] == token["hardware_id"] == DEVICE
    assert begun["redirect_uri"] == token["redirect_uri"] == CALLBACK
    assert begun["client_id"] == token["client_id"] == "ios"
    assert (token["code"], token["grant_type"]) == ("auth/code", "authorization_code")
    _, again = talk(signing_in(), (*START, LET_IN, TO_THE_APP, TOKENS))
    assert query(again[0])["code_challenge"] != challenge


def test_cookies_are_kept_from_step_to_step_and_stay_out_of_the_token_call() -> None:
    gone = answer(
        302, b"", "other=; Max-Age=0", "signed=yes; Expires=Wed, 01 Jan 2099 00:00:00 GMT", location="/oauth/v2/authorize"
    )
    _, asked = talk(signing_in(), (*START, gone, TO_THE_APP, TOKENS))

    cookies = [one.headers.get("Cookie") for one in asked]
    assert cookies == [
        None,
        Secret("session=abc; other=1"),
        Secret("session=abc; other=1"),
        Secret("session=abc; other=1"),
        Secret("session=abc; signed=yes"),
        None,
    ]


@pytest.mark.parametrize(
    "page",
    [
        b"""<script type="application/json" id='oauth-args'> {"csrf-token" : "csrf1"} </script>""",
        b"""<script>var x = "<script id=no>";</script><script id="oauth-args">{"a":{"b":1},"csrf-token":"csrf1"}</script>""",
        b"""<form><input type="hidden" name="csrf-token" value="csrf1"></form>""",
        b"""<head><meta name="csrf-token" content="csrf1"/></head>""",
        b"""<script id="oauth-args">not json</script><input name=csrf-token value=csrf1>""",
        "<p>é\xff</p>".encode("latin-1") + b"""<script id="oauth-args">{"csrf-token":"csrf1"}</script>""",
    ],
)
def test_the_csrf_token_is_found_in_any_of_its_places(page: bytes) -> None:
    result, asked = talk(signing_in(), (BEGUN, PAGE, answer(200, page), CODE_SENT))

    assert isinstance(result, PendingSignIn)
    assert form(asked[3])["csrf-token"] == "csrf1"


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"<html>Maintenance</html>",
        b'<script id="oauth-args">{"csrf-token":5}</script>',
        b'<script id="oauth-args">[]</script>',
    ],
)
def test_a_page_without_a_csrf_token_is_the_servers_trouble(page: bytes) -> None:
    with pytest.raises(ServerTrouble, match="csrf"):
        talk(signing_in(), (BEGUN, PAGE, answer(200, page)))


@pytest.mark.parametrize(
    "part",
    [b"<a ", b"<input ", b"<script>", b"<script id=oauth-args>", b"<meta a='", b'<input name="', b"<!--", b"<![", b"&", b"</"],
)
def test_the_work_on_a_page_grows_with_the_page_and_no_faster(part: bytes) -> None:
    assert growth(lambda length: csrf_token(part * (length // len(part))), LARGEST) < 8


def test_of_an_endless_page_only_the_beginning_is_read() -> None:
    field = b'<input name="csrf-token" value="csrf1">'
    assert csrf_token(b" " * (LARGEST - len(field)) + field) == "csrf1"
    assert csrf_token(b" " * LARGEST + field) == ""


@pytest.mark.parametrize(
    "wanted",
    [
        CODE_SENT,
        answer(412, {"phone": "+61xxxxxxxx40", "tsv_state": "sms", "user_id": 1}),
        answer(202, {"tsv_methods": ["sms"], "phone": None}),
        answer(412, b""),
    ],
)
def test_a_right_password_may_want_a_code_as_well(wanted: Answer) -> None:
    result, _ = talk(signing_in(), (*START, wanted))

    assert isinstance(result, PendingSignIn)
    assert result.sent.startswith("Blink sent a sign-in code")
    assert (result.csrf, result.hardware_id, result.started_at) == (Secret("csrf1"), DEVICE, NOW)


def test_the_code_goes_with_the_cookies_and_the_csrf_token_of_its_sign_in() -> None:
    waiting = pending()
    grant, asked = talk(login.send_code(waiting, Secret("123456"), now=NOW), (VERIFIED, TO_THE_APP, TOKENS))

    assert grant.access_token == Secret("A")
    assert asked[0].target == "/oauth/v2/2fa/verify"
    assert form(asked[0]) == {"2fa_code": "123456", "csrf-token": "csrf1", "remember_me": "false"}
    assert asked[0].headers["Cookie"] == Secret("session=abc; other=1")
    assert asked[1].headers["Cookie"] == Secret("session=abc; other=1; signed=yes")
    assert form(asked[2])["code_verifier"] == waiting.verifier.reveal()


@pytest.mark.parametrize(
    "said", [answer(412, b""), answer(400, {"message": "Verification Code is invalid or expired"}), answer(412, {"code": 1621})]
)
def test_a_wrong_code_may_be_followed_by_a_right_one(said: Answer) -> None:
    waiting = pending()
    with pytest.raises(WrongCode):
        talk(login.send_code(waiting, Secret("000000"), now=NOW), (said,))

    grant, _ = talk(login.send_code(waiting, Secret("123456"), now=NOW), (answer(200), TO_THE_APP, TOKENS))
    assert grant.refresh_token == Secret("R")


HTML = answer(200, b"<html><h1>Please stand by</h1></html>", content_type="text/html")
REFUSALS: list[tuple[Answer, type[SourceError]]] = [
    (answer(406), ClientRefused),
    (answer(426, {"message": "An app update is required"}), UpdateRequired),
    (answer(429, {"message": "Login limit exceeded."}, retry_after="3600"), LoginLimit),
    (answer(401, {"message": "Login limit exceeded. Please disable any 3rd party automation"}), LoginLimit),
    (answer(403), Throttled),
    (answer(500), ServerTrouble),
    (answer(502, b"<html>Bad gateway</html>", content_type="text/html"), ServerTrouble),
    (answer(503, b"", retry_after="5"), ServerTrouble),
]


@pytest.mark.parametrize(("said", "kind"), [*REFUSALS, (EMPTY_COOKIES, ServerTrouble)])
@pytest.mark.parametrize("step", range(6))
def test_a_refusal_means_the_same_at_each_step_of_a_sign_in(step: int, said: Answer, kind: type[SourceError]) -> None:
    steps = [*START, LET_IN, TO_THE_APP, said]

    with pytest.raises(kind) as caught:
        talk(signing_in(), [*steps[:step], said])

    assert type(caught.value) is kind
    assert caught.value.status == said.status


@pytest.mark.parametrize(("said", "kind"), [*REFUSALS, (EMPTY_COOKIES, ServerTrouble)])
@pytest.mark.parametrize("step", range(3))
def test_a_refusal_means_the_same_at_each_step_after_the_code(step: int, said: Answer, kind: type[SourceError]) -> None:
    with pytest.raises(kind) as caught:
        talk(login.send_code(pending(), Secret("1"), now=NOW), [*(VERIFIED, TO_THE_APP)[:step], said])

    assert type(caught.value) is kind


NO_SUCH_CLIENT = {"error": "invalid_client", "error_description": "No such\nclient"}


@pytest.mark.parametrize("status", [400, 401])
def test_a_client_that_blink_does_not_know_is_told_to_update(status: int) -> None:
    said = answer(status, NO_SUCH_CLIENT)
    flows: list[tuple[Any, list[Answer]]] = [
        (signing_in(), [*START, LET_IN, TO_THE_APP, said]),
        (login.send_code(pending(), Secret("1"), now=NOW), [said]),
        (refreshing(), [said]),
    ]
    for flow, answers in flows:
        with pytest.raises(ClientRefused, match="Update blinkarchive") as caught:
            talk(flow, answers)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("said", "kind"), [one for one in REFUSALS if one[0].status != 401])
def test_a_failed_refresh_says_nothing_about_the_token(said: Answer, kind: type[SourceError]) -> None:
    with pytest.raises(Throttled if kind is LoginLimit else kind) as caught:
        talk(refreshing(), (said,))

    assert not isinstance(caught.value, LoginNeeded)


@pytest.mark.parametrize(
    "said",
    [
        answer(429, {"message": "Login limit exceeded."}, retry_after="3600"),
        answer(429, b"", retry_after="3600"),
        answer(401, {"message": "Login limit exceeded."}, retry_after="3600"),
    ],
)
def test_too_many_refreshes_are_a_pause_and_no_reason_to_sign_in(said: Answer) -> None:
    with pytest.raises(Throttled) as caught:
        talk(refreshing(), (said,))

    assert not isinstance(caught.value, LoginNeeded)
    assert (caught.value.status, caught.value.retry_after) == (said.status, 3600)


@pytest.mark.parametrize(
    "said",
    [
        answer(400, {"error": "invalid_client"}),
        answer(400, {"error": "unauthorized_client", "error_description": "client is not authorized"}),
        answer(400),
        answer(404),
        answer(422),
        HTML,
        answer(200, {"message": "x"}),
        answer(200, {"access_token": ""}),
        answer(200, {"access_token": 5}),
        answer(200, b""),
    ],
)
def test_only_a_revoked_token_is_revoked(said: Answer) -> None:
    with pytest.raises(SourceError) as caught:
        talk(refreshing(), (said,))

    assert not isinstance(caught.value, LoginNeeded)


@pytest.mark.parametrize("said", [answer(401), answer(401, {"code": 101}), answer(400, {"error": "invalid_grant"})])
def test_a_revoked_token_needs_a_person(said: Answer) -> None:
    with pytest.raises(TokenRevoked):
        talk(refreshing(), (said,))


def test_a_refresh_is_asked_as_the_client_and_the_device_it_was_issued_to() -> None:
    grant, asked = talk(refreshing(), (answer(200, {"access_token": "A2"}),))

    assert (grant.access_token, grant.refresh_token) == (Secret("A2"), None)
    assert form(asked[0]) == {
        "grant_type": "refresh_token",
        "refresh_token": "R",
        "client_id": "android",
        "scope": "client",
        "hardware_id": DEVICE,
    }


@pytest.mark.parametrize(
    "said", [answer(401), answer(401, {"error": "unauthorized"}), answer(401, {"message": "x", "code": 101})]
)
def test_a_wrong_password_is_told_from_all_else(said: Answer) -> None:
    with pytest.raises(WrongPassword) as caught:
        talk(signing_in(), (*START, said))

    assert caught.value.status == 401


@pytest.mark.parametrize("said", [answer(202, {"status": "ok"}), answer(202), answer(200), HTML, answer(204), answer(418)])
def test_an_answer_that_is_no_promise_lets_nobody_in(said: Answer) -> None:
    with pytest.raises(SourceError) as caught:
        talk(signing_in(), (*START, said))

    assert not isinstance(caught.value, LoginNeeded)


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        (f"{CALLBACK}?error=access_denied", ServerTrouble),
        (f"{CALLBACK}?state=x", ServerTrouble),
        (CALLBACK, ServerTrouble),
        (f"{CALLBACK}.evil.example?code=x", ServerTrouble),
        ("https://evil.example/?code=x", ServerTrouble),
        ("/oauth/v2/signin", ServerTrouble),
    ],
)
def test_a_code_comes_from_the_address_of_the_app_alone(location: str, kind: type[SourceError]) -> None:
    with pytest.raises(kind, match="authorization code"):
        talk(signing_in(), (*START, LET_IN, answer(302, b"", location=location)))


def test_a_redirect_that_leads_nowhere_or_in_a_circle_ends() -> None:
    with pytest.raises(ServerTrouble, match="leads nowhere"):
        talk(signing_in(), (answer(302),))
    with pytest.raises(ServerTrouble, match="more than 3 redirects"):
        talk(signing_in(), [BEGUN] * 4)
    with pytest.raises(ForeignHost):
        talk(signing_in(), (answer(302, b"", location="https://api.oauth.blink.com.evil.example/"),))


def test_how_long_to_wait_is_told() -> None:
    with pytest.raises(LoginLimit) as caught:
        talk(signing_in(), (*START, answer(429, b"", retry_after="3600")))

    assert caught.value.retry_after == 3600


def test_no_value_of_the_flow_shows_a_secret() -> None:
    result, asked = talk(signing_in(), (*START, CODE_SENT))
    assert isinstance(result, PendingSignIn)
    shown = f"{result!r} {asked!r} {TOKENS!r} {PAGE!r}"

    for secret in ("csrf1", "p&ss", "session=abc", result.verifier.reveal(), '"A"', "refresh_token"):
        assert secret not in shown
