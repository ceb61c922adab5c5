"""Secrets hide themselves, and what is left of them in texts is swept away without eating the words around."""

from __future__ import annotations

import gc
import json
import pickle
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blinkarchive.errors import SinkError
from blinkarchive.secret import HIDDEN, LONGEST, Secret, redact
from tests.growth import growth

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl_-"


@pytest.mark.parametrize("show", [str, repr, "{}".format, "{!r:>20}".format, "%s".__mod__, lambda s: f"{s}"])
def test_a_secret_shows_as_stars(show: object) -> None:
    assert callable(show)
    shown = show(Secret("canary"))
    assert "canary" not in shown
    assert HIDDEN in shown


def test_a_secret_is_neither_json_nor_pickled() -> None:
    with pytest.raises(TypeError):
        json.dumps({"token": Secret("canary")})
    with pytest.raises(TypeError):
        pickle.dumps(Secret("canary"))


def test_a_dataclass_with_a_secret_may_be_printed() -> None:
    @dataclass(frozen=True)
    class Account:
        password: Secret

    assert "canary" not in f"{Account(Secret('canary'))}"


def test_equal_secrets_are_equal_and_no_string_is() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1


@pytest.mark.parametrize(
    "text",
    [
        # headers, as lines and in reprs
        "Authorization: Bearer canary123",
        "authorization: bearer canary123",
        "Authorization: Basic canary123==",
        "Authorization: canary123",
        "Authorization=Bearer canary123",
        "Proxy-Authorization: Basic canary123",
        "{'Authorization': 'Bearer canary123'}",
        '{"Authorization": "Bearer canary123"}',
        "{'Authorization': b'Bearer canary123'}",
        "('Authorization', 'Bearer canary123')",
        "(b'Authorization', b'Bearer canary123')",
        "<CIMultiDictProxy('Host': 'x', 'Authorization': 'Bearer canary123')>",
        "TOKEN-AUTH: canary123",
        "{'TOKEN_AUTH': 'canary123'}",
        "X-CSRF-Token: canary123",
        "Cookie: a=canary123",
        "Cookie: a=b; session=canary123; c=d",
        "Set-Cookie: a=canary123; Path=/; HttpOnly",
        "{'Cookie': 'a=b; session=canary123'}",
        "{'Set-Cookie': 'a=canary123; Path=/'}",
        "2fa-code: 991234",
        # JSON and dicts
        '{"access_token": "canary123", "expires_in": 14400}',
        '{"access_token":"canary123"}',
        '{"refresh_token" : "canary123"}',
        '{"access_token": "can\\"ary123"}',
        '{"password": "two words, canary123} & more"}',
        "{'password': 'two words, canary123'}",
        '{"password": "canary123',
        '{"token": "canary123"}',
        '{"code": "canary123"}',
        '{"code": "991234"}',
        '{"code": 991234}',
        '{"2fa_code": "991234"}',
        '{"2fa_code": 991234}',
        '{"pin": "991234"}',
        '{"csrf-token": "canary123"}',
        '{"code_verifier": "canary123"}',
        '{"body": "{\\"access_token\\": \\"canary123\\"}"}',
        '{"secret_access_key": "canary123"}',
        '{"client_secret": "canary123"}',
        # forms and queries
        "username=me&password=canary123&csrf-token=x",
        "grant_type=refresh_token&refresh_token=canary123",
        "GET /signin/callback?code=canary123&state=x HTTP/1.1",
        "GET /clip.mp4?token=canary123",
        "https://s3.example.org/x?X-Amz-Signature=canary123&X-Amz-Date=1",
        "https://s3.example.org/x?X-Amz-Security-Token=canary123",
        "https://host/x?sig=canary123",
        "2fa_code=991234&remember_me=false",
        "2fa_code = 991234",
        "https://me:canary123@example.org/dav",
        "sftp://me:can:ary123@nas/",
        # wherever they stand
        f"the answer held {JWT}.",
        f"{JWT[:40]}",
        "sent Bearer canary123 to the server",
        "owner@example.org signed in",
        "username=owner%40example.org&x=1",
        "username=owner%2Btag%40example.org",
        "('owner@example.org',)",
        "your code is 991234",
        "with code 991234 it went on",
        "code: 991234",
        "password: canary123",
        "token: canary1234567",
        "AGE-SECRET-KEY-1CANARY123QQQQ",
        "recipients = age-secret-key-1canary123qqqq",
        "'# public key\\nAGE-SECRET-KEY-PQ-1CANARY123\\n'",
    ],
)
def test_a_secret_is_swept_from_any_form(text: str) -> None:
    swept = redact(text)

    for part in ("canary", "ary123", "CANARY", "ARY123", "991234", "eyJ", "owner", "tag%40"):
        assert part not in swept, swept
    assert HIDDEN in swept


@pytest.mark.parametrize(
    "text",
    [
        '{"message": "System is busy, please wait", "code":307}',
        '{"code": 307, "message": "x"}',
        "{'code': 101}",
        "code=307",
        "HTTP 409, code 307: System is busy, please wait",
        "error code: 101.",
        '"status_code": 908, "status_msg": "Command succeeded"',
        "status_code=908",
        "the exit code is 3",
        "Blink sent a sign-in code by sms; run `blinkarchive login --code CODE`",
        "the token expired, and the password was refused",
        "token: expired",
        "the refresh token is no longer accepted: sign in again",
        "code: unknown",
        "a bearer of good news",
        "the bearer token: expired",
        "3 tokens: left",
        '{"access_token": null, "refresh_token": None}',
        "postcode: 12345",
        "zip-code: 123456",
        "camera Front Door, network 82 Downing, id 991234",
        "2026-07-01T12:00:00+00:00 clip cloud:home:7000001 of 1048576 bytes",
        "/api/v2/accounts/1/media/clip/2139143346.mp4",
        "https://rest-e008.immedia-semi.com/api/v1/users/tier_info?x=1",
        "Straße, 東京, 🎥",
        "a line\n\tand another",
        'password = { env = "BLINK_PASSWORD" }',
    ],
)
def test_ordinary_words_and_numbers_stay(text: str) -> None:
    assert redact(text) == text


def test_what_stands_around_a_secret_stays() -> None:
    assert redact("{'Authorization': 'Bearer abc', 'Host': 'h'}") == "{'Authorization': '***', 'Host': 'h'}"
    assert redact('{"access_token":"abc","expires_in":14400}') == '{"access_token":"***","expires_in":14400}'
    assert redact("a=1&password=abc&b=2") == "a=1&password=***&b=2"
    assert redact("sent Authorization: Bearer abc to the server") == "sent Authorization: *** to the server"
    assert redact("https://me:abc@example.test/x") == "https://***@example.test/x"
    assert redact("sftp://root@127.0.0.1:22/clips cannot be reached") == "sftp://root@127.0.0.1:22/clips cannot be reached"
    assert redact("no match: aes256-gcm@openssh.com, curve25519-sha256@libssh.org") == (
        "no match: aes256-gcm@openssh.com, curve25519-sha256@libssh.org"
    )


@given(st.text(min_size=4))
def test_a_known_secret_goes_whatever_it_looks_like(secret: str) -> None:
    if HIDDEN in secret or secret in HIDDEN:
        return
    for form in (secret, quote(secret, safe=""), urlencode({"x": secret})[2:], json.dumps(secret)[1:-1]):
        assert redact(f"<{form}>", Secret(secret)) == f"<{HIDDEN}>"


@given(st.text(alphabet="aeo:=,'\"\\{}& \n@.*-_1code tknpswrdButhizyJ", max_size=60))
def test_sweeping_twice_is_sweeping_once(text: str) -> None:
    once = redact(text)

    assert redact(once) == once


@given(
    st.sampled_from(["access_token", "refresh_token", "password", "2fa_code", "csrf-token", "Authorization", "cookie"]),
    st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=30),
)
def test_what_a_sure_key_holds_goes_from_every_writing_of_it(key: str, value: str) -> None:
    canary = f"kanari{value}"
    for text in (json.dumps({key: canary}), repr({key: canary}), urlencode({key: canary}), repr((key, canary))):
        assert "kanari" not in redact(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Door\x1b[31m", "Door\\x1b[31m"),
        ("a\rb\x00c", "a\\x0db\\x00c"),
        ("right\u202eleft", "right\\u202eleft"),
        ("\ud800", "\\ud800"),
    ],
)
def test_control_characters_are_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "part",
    [
        *(
            "a.",
            "code=",
            "password:",
            "'Authorization', ",
            "@",
            '\\"',
            "eyJ",
            "x:y@",
            "token ",
            "cookie:",
            "set-cookie: ",
            "bearer ",
        ),
        *("bearer x\t", "token\"'", 'secret\\"', "://a:", "AGE-SECRET-KEY-", " ", "\x00", "x-amz-", "a-token_", "code is "),
    ],
)
def test_the_work_grows_with_the_text_and_no_faster(part: str) -> None:
    assert growth(lambda length: redact(part * (length // len(part))), LONGEST) < 8


def test_of_an_endless_text_only_the_beginning_is_processed() -> None:
    shown = redact("a word, " * 1_000_000)
    assert shown.startswith("a word, a word, ")
    assert shown.endswith("(cut: 8,000,000 characters)")
    assert len(shown) < LONGEST


@pytest.mark.parametrize("at", [*range(LONGEST - 300, LONGEST + 10, 7)])
def test_a_cut_shows_no_half_of_a_secret(at: int) -> None:
    secret = Secret("canary" * 40)
    text = ("x" * 99 + " ") * (at // 100)
    assert "canary" not in redact(f"{text}{secret.reveal()} and more {text}")


@pytest.mark.parametrize(
    "text",
    [
        "invalid_grant: the token kanari/8%2c+x= of Mr. X is unknown",
        '{"said": "kanari/8%2c+x="}',
        "at https://example.test/?q=kanari%2F8%252c%2Bx%3D&z=1",
        "kanari/8%2c+x=",
    ],
)
def test_a_secret_in_use_is_hidden_wherever_a_server_repeats_it(text: str) -> None:
    secret = Secret("kanari/8%2c+x=")
    assert "kanari" not in redact(text)
    del secret
    gc.collect()


def test_a_secret_is_known_as_long_as_one_of_its_kind_exists() -> None:
    first, second = Secret("kanari-kanari"), Secret("kanari-kanari")
    del first
    gc.collect()
    assert redact("a kanari-kanari") == "a ***"
    del second
    gc.collect()
    assert redact("a kanari-kanari") == "a kanari-kanari"


def test_a_short_secret_is_hidden_as_a_word_and_leaves_other_words_alone() -> None:
    secret = Secret("garage")
    assert redact("password garage refused; the garages, Garage and a_garage stay") == (
        "password *** refused; the garages, Garage and a_garage stay"
    )
    assert redact("(garage)") == "(***)"
    tiny = Secret("doors")
    assert redact("the doors") == "the doors"
    del secret, tiny
    gc.collect()


def test_an_error_says_nothing_secret_whatever_it_was_given() -> None:
    secret = Secret("kanari-kanari")
    error = SinkError("the server says: no access for me@example.test with kanari-kanari\x1b[31m")
    assert str(error) == "the server says: no access for *** with ***\\x1b[31m"
    assert str(secret) == HIDDEN
