"""Bodies and answers that are not as they should be, over real sockets; and what they are called in our words."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import ssl
import subprocess
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import http_exceptions
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from blinkarchive.blink.answers import retry_after
from blinkarchive.blink.client import Client
from blinkarchive.blink.endpoints import Endpoints
from blinkarchive.blink.exchange import Request
from blinkarchive.blink.http import FOREIGN, LARGEST_ANSWER, READ_BUFFER, Deadlines, Http, told
from blinkarchive.clock import ManualClock
from blinkarchive.errors import (
    BadClip,
    Busy,
    ClientRefused,
    ClipGone,
    Forbidden,
    LoginNeeded,
    ServerTrouble,
    SourceError,
    Throttled,
    Transient,
    Unavailable,
    Unreachable,
    UpdateRequired,
)
from tests.blink.cloud import CHANGED, CLIP, TIER, Cloud, Reply, Seen, as_json, canaries, film
from tests.blink.conftest import OWNER, PASSWORD, Opener

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
HURRY = Deadlines(connect=2.0, silence=0.2, whole=1.0, clip=0.6, patience=0.05, slowest=4096)


async def fetch(blink: Client) -> bytes:
    async with blink.media(CLIP) as body:
        return b"".join([chunk async for chunk in body.chunks])


async def listing(blink: Client) -> None:
    await blink.media_page(SINCE, 1)


@pytest.mark.parametrize("ahead", [0, 45, -7200, 10**8])
async def test_how_far_the_other_sides_clock_is_ahead_is_learned_from_its_answers(
    signed_in: Client, cloud: Cloud, clock: ManualClock, ahead: int
) -> None:
    cloud.routes[CHANGED] = as_json({"limit": 25, "media": []}, Date=dated(clock, ahead))
    await listing(signed_in)
    assert signed_in.skew == timedelta(seconds=ahead)
    clock.advance(500)
    assert signed_in.skew == timedelta(seconds=ahead), "both clocks go on"


async def test_a_jump_of_our_clock_since_the_last_answer_is_seen(signed_in: Client, cloud: Cloud, opened: Opener) -> None:
    class Jumping(ManualClock):
        jumped = timedelta(0)

        def now(self) -> datetime:
            return super().now() + self.jumped

    clock = Jumping(NOW)
    cloud.routes[CHANGED] = as_json({"limit": 25, "media": []}, Date=dated(clock))
    async with opened(clock=clock) as blink:
        await listing(blink)
        clock.jumped = timedelta(days=2)
        assert blink.skew == timedelta(days=-2)


@pytest.mark.parametrize("date", ["", "yesterday", "2026-07-01", "99999999999999999999", "Mon, 99 Foo 2026 99:99:99 GMT"])
async def test_what_the_last_answer_does_not_say_is_not_known(
    signed_in: Client, cloud: Cloud, clock: ManualClock, date: str
) -> None:
    cloud.routes[CHANGED] = as_json({"limit": 25, "media": []}, Date=dated(clock))
    await listing(signed_in)
    assert signed_in.skew is not None
    cloud.routes[CHANGED] = as_json({"limit": 25, "media": []}, Date=date)
    await listing(signed_in)
    assert signed_in.skew is None


def dated(clock: ManualClock, ahead: int = 0) -> str:
    return format_datetime(clock.now() + timedelta(seconds=ahead), usegmt=True)


@pytest.fixture
async def hurried(signed_in: Client, opened: Opener) -> AsyncIterator[Client]:
    """Signed in, with deadlines that a test can wait for."""
    await signed_in.account_id()
    async with opened(deadlines=HURRY) as blink:
        yield blink


def raw(*lines: str, body: bytes = b"", hang: bool = False) -> Reply:
    return Reply(raw="\r\n".join([*lines, "", ""]).encode() + body, hang=hang)


CODES: list[tuple[int, object, type[SourceError]]] = [
    (400, {"message": "x"}, SourceError),
    (400, {"message": "Motion capture not enabled for device", "code": 2805}, SourceError),
    (403, b"", Throttled),
    (404, {"message": "no such thing"}, SourceError),
    (404, {"message": "Media not found", "code": 700}, ClipGone),
    (406, b"", ClientRefused),
    (408, b"", ServerTrouble),
    (409, {"message": "System is busy, please wait", "error": None, "code": 307}, Busy),
    (409, {"code": 2102}, Busy),
    (409, b"", Busy),
    (426, {"message": "An app update is required"}, UpdateRequired),
    (429, {"message": "slow down"}, Throttled),
    (500, b"<html>", ServerTrouble),
    (502, b"", ServerTrouble),
    (503, {"message": "x"}, ServerTrouble),
    (504, b"", ServerTrouble),
    (200, {"message": "System is busy, please wait", "code": 307}, Busy),
    (200, {"message": "Media not found", "code": 700}, ClipGone),
    (200, {"message": "An app update is required", "code": 105}, UpdateRequired),
    (200, {"message": "No Cameras Enabled for Motion", "code": 999}, ServerTrouble),
    (200, b"", ServerTrouble),
    (200, b"<html>Please sign in to this network</html>", ServerTrouble),
    (200, b"[]", ServerTrouble),
    (200, b"null", ServerTrouble),
    (200, b"\xff\xfe", ServerTrouble),
    (200, b"[" * 100_000, ServerTrouble),
    (200, {"media": {}}, ServerTrouble),
    (200, {"media": None}, ServerTrouble),
    (204, b"", ServerTrouble),
    (304, b"", ServerTrouble),
]


@pytest.mark.parametrize(("status", "body", "kind"), CODES)
async def test_an_answer_of_the_list_means(
    status: int, body: object, kind: type[SourceError], signed_in: Client, cloud: Cloud
) -> None:
    await signed_in.account_id()
    cloud.routes[CHANGED] = Reply(status=status, body=body) if isinstance(body, bytes) else as_json(body, status)

    with pytest.raises(kind) as caught:
        await listing(signed_in)

    assert type(caught.value) is kind
    assert caught.value.status == status
    assert str(caught.value).startswith("the list of clips: ")
    if isinstance(body, dict) and "code" in body:
        assert caught.value.code == body["code"]
        assert f"code {body['code']}" in str(caught.value)
    assert len(cloud.to(CHANGED)) == 1, "nothing is tried again in here"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (as_json({"message": "Forbidden"}, 403), Forbidden),
        (as_json({"message": "Unauthorized Access", "code": 101}, 403), Forbidden),
        (as_json({"message": "Media not found", "code": 700}, 404), ClipGone),
        (Reply(status=404, body=b"<html>"), ClipGone),
        (Reply(status=410), ClipGone),
        (as_json({"message": "Media not found", "code": 700}), ClipGone),
        (as_json({"message": "System is busy", "code": 307}), Busy),
        (as_json({"message": "odd"}), BadClip),
        (as_json({}), BadClip),
        (Reply(body=b"<html>captive portal</html>", headers=(("Content-Type", "text/html; charset=utf-8"),)), BadClip),
        (Reply(body=b"hello", headers=(("Content-Type", "text/plain"),)), BadClip),
        (Reply(body=b"<x/>", headers=(("Content-Type", "application/problem+xml"),)), BadClip),
        (Reply(status=206, body=b"part", headers=(("Content-Type", "video/mp4"),)), ServerTrouble),
        (Reply(status=204), ServerTrouble),
        (Reply(body=b"x", headers=(("Content-Type", "video/mp4"), ("Content-Encoding", "x-odd"))), BadClip),
        (Reply(status=406), ClientRefused),
        (Reply(status=409), Busy),
        (Reply(status=426), UpdateRequired),
        (Reply(status=429), Throttled),
        (Reply(status=500), ServerTrouble),
    ],
)
async def test_an_answer_to_a_clip_means(reply: Reply, kind: type[SourceError], signed_in: Client, cloud: Cloud) -> None:
    await signed_in.account_id()
    cloud.routes[CLIP] = reply

    with pytest.raises(kind) as caught:
        await fetch(signed_in)

    assert type(caught.value) is kind
    assert (len(cloud.to(CLIP)), cloud.sign_ins, cloud.refreshes) == (1, 1, 0)


async def test_what_came_in_a_clips_place_is_shown_without_its_secrets(signed_in: Client, cloud: Cloud) -> None:
    text = b"Sorry owner@example.org,\ntoken=abc123 " + b"x" * 500
    cloud.routes[CLIP] = Reply(body=text, headers=(("Content-Type", "text/plain"),))

    with pytest.raises(BadClip, match=r"it is text/plain, not a clip: 'Sorry \*\*\*, token=\*\*\* x+'") as caught:
        await fetch(signed_in)
    assert len(str(caught.value)) < 400


CLOUDFLARE = b"""<!DOCTYPE html>\n<html>\n<title>Attention Required! &#124;\n Cloudflare owner@example.org</title>
<style>body{margin:0}</style><body><h1>Sorry, you have been blocked</h1><p>token=abc123</p></body></html>"""
TITLE = '("Attention Required! | Cloudflare ***")'


@pytest.mark.parametrize(
    ("status", "advice"),
    [(200, "a sign-in page of this network"), (403, "wait an hour"), (404, "wait an hour"), (502, "")],
)
@pytest.mark.parametrize("type", ["text/html; charset=utf-8", "application/json"])
async def test_of_a_web_page_an_error_shows_the_title_and_a_next_step(
    signed_in: Client, cloud: Cloud, status: int, advice: str, type: str
) -> None:
    await signed_in.account_id()
    cloud.routes[CHANGED] = cloud.routes[CLIP] = Reply(status=status, body=CLOUDFLARE, headers=(("Content-Type", type),))
    for call in (listing(signed_in), fetch(signed_in)):
        with pytest.raises(SourceError) as caught:
            await call
        shown = str(caught.value)
        assert f"a web page came instead of an answer {TITLE}" in shown
        assert advice in shown
        assert f"(HTTP {status})" in shown
        assert "<" not in shown
        assert "\n" not in shown


async def test_a_web_page_without_a_title_is_told_as_one(signed_in: Client, cloud: Cloud) -> None:
    await signed_in.account_id()
    cloud.routes[CHANGED] = Reply(status=502, body=b"  <HTML><title " + b"<title " * 100_000)
    with pytest.raises(ServerTrouble, match=r"^the list of clips: a web page came instead of an answer \(HTTP 502\)$"):
        await listing(signed_in)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (426, {"message": "An app update is required"}, UpdateRequired),
        (200, {"message": "An app update is required", "code": 105}, UpdateRequired),
        (406, {"message": "Not Acceptable"}, ClientRefused),
        (406, CLOUDFLARE, ClientRefused),
    ],
)
async def test_a_client_that_is_refused_is_told_to_update_itself_and_not_the_app(
    signed_in: Client, cloud: Cloud, status: int, body: object, kind: type[SourceError]
) -> None:
    await signed_in.account_id()
    cloud.routes["*"] = Reply(status=status, body=body) if isinstance(body, bytes) else as_json(body, status)
    del cloud.routes[CHANGED]
    with pytest.raises(kind) as caught:
        await listing(signed_in)
    assert "Update blinkarchive" in str(caught.value)
    assert "An app update" not in str(caught.value)
    assert "<" not in str(caught.value)


async def test_the_words_of_a_server_are_one_line(signed_in: Client, cloud: Cloud) -> None:
    await signed_in.account_id()
    cloud.routes[CHANGED] = as_json({"message": "first\r\n\tsecond\u2028third\x85\x1b[31mfourth\u202e " + "x" * 500}, 400)
    with pytest.raises(SourceError) as caught:
        await listing(signed_in)
    shown = str(caught.value)
    assert shown.isprintable()
    assert "first second" in shown
    assert len(shown) < 300


CUT: dict[str, Reply] = {
    "short of its length": raw("HTTP/1.1 200 OK", "Content-Type: video/mp4", "Content-Length: 100", body=b"x" * 99),
    "nothing of its length": raw("HTTP/1.1 200 OK", "Content-Type: video/mp4", "Content-Length: 100"),
    "a chunk cut off": raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"64\r\n" + b"x" * 50),
    "no last chunk": raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"5\r\nxxxxx\r\n"),
    "no chunk at all": raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"),
    "a chunk of no size": raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"1\r\nx\r\n" * 100_000 + b"zz\r\n"),
    "silence": raw("HTTP/1.1 200 OK", "Content-Length: 100", body=b"x" * 50, hang=True),
}


def ends_by_a_deadline(reply: Reply) -> bool:
    """Whether only patience ends it. The library underneath does not tell a reader of a broken chunk that has begun."""
    return reply.hang or reply is CUT["a chunk of no size"]


@pytest.mark.parametrize("name", CUT)
async def test_a_clip_that_is_cut_off_is_a_bad_clip(name: str, signed_in: Client, hurried: Client, cloud: Cloud) -> None:
    cloud.routes[CLIP] = CUT[name]

    with pytest.raises(BadClip) as caught:
        await fetch(hurried if ends_by_a_deadline(CUT[name]) else signed_in)

    assert isinstance(caught.value, Transient)
    assert not isinstance(caught.value, Unavailable)
    cloud.routes[CLIP] = film(b"whole")
    assert await fetch(signed_in) == b"whole", "the next one is not spoilt"


LENGTHS: dict[str, tuple[Reply, int | None]] = {
    "as said": (film(b"x" * 100), 100),
    "in chunks": (raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"64\r\n" + b"x" * 100 + b"\r\n0\r\n\r\n"), None),
    "until the end": (raw("HTTP/1.1 200 OK", "Connection: close", body=b"x" * 100), None),
}


@pytest.mark.parametrize("name", LENGTHS)
async def test_the_length_of_a_clip_is_what_the_server_says(name: str, signed_in: Client, cloud: Cloud) -> None:
    cloud.routes[CLIP], length = LENGTHS[name]

    async with signed_in.media(CLIP) as body:
        assert body.length == length
        assert b"".join([chunk async for chunk in body.chunks]) == b"x" * 100


BROKEN: dict[str, tuple[Reply, type[SourceError]]] = {
    "closed at once": (Reply(raw=b""), Unreachable),
    "never answered": (Reply(raw=b"", hang=True), Unreachable),
    "half a status": (Reply(raw=b"HTTP/1.1 20"), Unreachable),
    "not HTTP": (Reply(raw=b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), ServerTrouble),
    "two lengths": (raw("HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 6", body=b"xxxxx"), ServerTrouble),
    "more than its length": (raw("HTTP/1.1 200 OK", "Content-Length: 100", body=b"x" * 150), ServerTrouble),
    "a length of letters": (raw("HTTP/1.1 200 OK", "Content-Length: five", body=b"xxxxx"), ServerTrouble),
    "a negative length": (raw("HTTP/1.1 200 OK", "Content-Length: -1", body=b"xxxxx"), ServerTrouble),
    "a header without end": (Reply(raw=b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000), ServerTrouble),
    "a header of odd letters": (Reply(raw=b"HTTP/1.1 200 OK\r\nX\x00: y\r\n\r\n"), ServerTrouble),
    "both length and chunks": (
        raw("HTTP/1.1 200 OK", "Content-Length: 5", "Transfer-Encoding: chunked", body=b"5\r\nxxxxx\r\n0\r\n\r\n"),
        ServerTrouble,
    ),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize(("what", "path"), [(fetch, CLIP), (listing, CHANGED)])
async def test_what_is_no_answer_is_told_in_our_words(
    what: Callable[[Client], Awaitable[object]], path: str, name: str, signed_in: Client, hurried: Client, cloud: Cloud
) -> None:
    cloud.routes[path], kind = reply, _ = BROKEN[name]

    with pytest.raises(kind) as caught:
        await what(hurried if ends_by_a_deadline(reply) else signed_in)

    assert type(caught.value) is kind
    assert isinstance(caught.value, Transient)


@pytest.mark.parametrize(
    "reply",
    [
        raw("HTTP/1.1 200 OK", "Content-Length: 100", body=b'{"media"'),
        raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"5\r\nxxxxx\r\n"),
        raw("HTTP/1.1 200 OK", "Content-Encoding: gzip", "Content-Length: 5", body=b"xxxxx"),
    ],
)
async def test_a_list_that_is_cut_off_is_the_servers_trouble(reply: Reply, signed_in: Client, cloud: Cloud) -> None:
    await signed_in.account_id()
    cloud.routes[CHANGED] = reply
    with pytest.raises(ServerTrouble):
        await listing(signed_in)


async def test_an_answer_without_end_is_cut(signed_in: Client, cloud: Cloud) -> None:
    await signed_in.account_id()
    cloud.routes[CHANGED] = Reply(body=b" " * (LARGEST_ANSWER + 1))

    with pytest.raises(ServerTrouble, match="more than 32 MiB"):
        await listing(signed_in)


async def test_a_clip_that_only_drips_is_cut(hurried: Client, cloud: Cloud) -> None:
    cloud.routes[CLIP] = Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", drip=0.01)
    with pytest.raises(BadClip, match=r"too slow \(\d+ bytes in 0 s\)"):
        await fetch(hurried)


async def test_a_slow_reader_is_not_taken_for_a_slow_server(signed_in: Client, cloud: Cloud, opened: Opener) -> None:
    cloud.routes["/slow"] = Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nxx", drip=0.01)
    async with opened(deadlines=Deadlines(patience=0.5)) as blink, blink.media("/slow") as body:
        async for _ in body.chunks:
            await asyncio.sleep(0.6)


async def test_a_clip_that_lasts_too_long_is_cut(hurried: Client, cloud: Cloud) -> None:
    """It comes fast enough for the slowest speed, and never ends."""
    cloud.routes[CLIP] = raw("HTTP/1.1 200 OK", "Content-Length: 1000000000", body=b"x" * 1_000_000, hang=True)
    with pytest.raises(BadClip):
        await fetch(hurried)


async def test_leaving_a_clip_early_leaves_nothing_open(signed_in: Client, cloud: Cloud) -> None:
    cloud.routes[CLIP] = film(b"x" * 5_000_000)
    for _ in range(3):
        async with signed_in.media(CLIP) as body:
            async for _chunk in body.chunks:
                break
    cloud.routes[CLIP] = film(b"whole")
    assert await fetch(signed_in) == b"whole"


async def test_a_big_clip_comes_in_pieces_of_a_bounded_size(signed_in: Client, cloud: Cloud) -> None:
    whole = bytes(range(256)) * 40_000
    cloud.routes[CLIP] = film(whole)
    async with signed_in.media(CLIP) as body:
        pieces = []
        async for chunk in body.chunks:
            pieces.append(chunk)
            await asyncio.sleep(0)  # a reader that lets others work

    assert b"".join(pieces) == whole
    assert max(map(len, pieces)) <= 2 * READ_BUFFER + 256 * 1024  # and what a transport gives at once


async def test_nobody_listens(opened: Opener, cloud: Cloud) -> None:
    gone = Endpoints.of(api_url="http://127.0.0.1:1", oauth_url="http://127.0.0.1:1")
    async with opened(servers=gone) as blink:
        with pytest.raises(Unreachable, match="the beginning of the sign-in: no connection"):
            await blink.sign_in(OWNER, PASSWORD)


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    key, certificate = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0, ssl=context)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    servers = Endpoints.of(api_url=url, oauth_url=url)
    request = Request(method="GET", origin=servers.first, target="/", what="a call")
    async with server:
        async with Http(servers) as http:
            with pytest.raises(Unreachable, match="no safe connection; is this machine's clock right"):
                await http.exchange(request)
        assert heard == []
        async with Http(servers, ca_file=certificate) as http:
            assert (await http.exchange(request)).body == b"hi"


def self_signed(folder: Path) -> tuple[Path, Path]:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return key, certificate


async def test_a_session_that_is_given_stays_the_givers(opened: Opener, cloud: Cloud) -> None:
    async with aiohttp.ClientSession() as session:
        async with opened(session=session) as blink:
            await blink.sign_in(OWNER, PASSWORD)
            assert await fetch(blink) == b"the bytes of a clip"
        assert not session.closed


async def test_the_environment_names_no_proxy_for_us(
    opened: Opener, cloud: Cloud, clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    (clean_environment / ".netrc").write_text("machine 127.0.0.1 login evil password evil\n")
    async with opened() as blink:
        await blink.sign_in(OWNER, PASSWORD)
        assert await fetch(blink) == b"the bytes of a clip"


# Translation


OTHER_THINGS = {
    # Of web sockets, of the server's side, and signals inside the library: no request of ours raises them.
    "WebSocketError",
    "WSMessageTypeError",
    "EofStream",
    "BadContentDispositionHeader",
    "BadContentDispositionParam",
}


def foreign() -> list[type[Exception]]:
    found = [
        kind
        for module in (aiohttp, http_exceptions)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__.startswith("aiohttp") and kind.__name__ not in OTHER_THINGS
    ]
    return [*dict.fromkeys(found), TimeoutError, ConnectionResetError, BrokenPipeError, OSError, ssl.SSLError]


def test_the_hunt_for_the_untranslated_finds_something() -> None:
    assert len(foreign()) > 35


def raised(kind: type[Exception]) -> Exception:
    """An error as the library would raise it, with a secret in it."""
    words = "Bearer canary"
    url = URL("https://127.0.0.1/?token=canary")
    if issubclass(kind, aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError):
        key = ConnectionKey("127.0.0.1", 443, True, True, None, None, None)
        error = ssl.SSLError(1, words) if issubclass(kind, ssl.SSLError) else OSError(1, words)
        return kind(key, error)
    if issubclass(kind, aiohttp.ClientResponseError):
        headers = CIMultiDictProxy(CIMultiDict({"Authorization": "Bearer canary"}))
        return kind(aiohttp.RequestInfo(url, "GET", headers, url), (), message=words)
    if issubclass(kind, aiohttp.ServerFingerprintMismatch):
        return kind(b"1", b"2", "127.0.0.1", 443)
    if issubclass(kind, http_exceptions.HttpProcessingError):
        bad = kind.__new__(kind)
        http_exceptions.HttpProcessingError.__init__(bad, message=words)
        return bad
    return kind(words)


@pytest.mark.parametrize("kind", foreign(), ids=lambda kind: kind.__name__)
def test_no_error_of_the_library_stays_untranslated(kind: type[Exception]) -> None:
    error = raised(kind)

    assert isinstance(error, FOREIGN)
    ours = told(error, "a call")
    assert type(ours) in {Unreachable, ServerTrouble}
    assert str(ours).startswith("a call: ")
    assert "canary" not in str(ours)


def test_our_own_errors_are_not_taken_for_foreign_ones() -> None:
    for kind in (BadClip, Unreachable, LoginNeeded, asyncio.CancelledError):
        assert not issubclass(kind, FOREIGN)


# How long to wait


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("1000000000", 1e9),
        (format_datetime(datetime(2026, 7, 1, 12, 2, tzinfo=UTC), usegmt=True), 120.0),
        ("Wed, 01 Jul 2026 11:00:00 GMT", 0.0),
        ("Wed, 01 Jul 2026 12:01:00", 60.0),
        ("-5", None),
        ("-0", None),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("9" * 400, None),
        ("12 parsecs", None),
        ("Wed, 99 Jul 2026 12:01:00 GMT", None),
        ("\u0661\u0662", None),
        (None, None),
    ],
)
def test_a_retry_after_is_read_as_it_is_meant_or_not_at_all(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


async def test_a_wait_that_is_asked_for_reaches_the_one_who_waits(signed_in: Client, cloud: Cloud) -> None:
    cloud.routes[CHANGED] = Reply(status=429, headers=(("Retry-After", "77"),))
    with pytest.raises(Throttled) as caught:
        await listing(signed_in)
    assert caught.value.retry_after == 77


# Secrets


def everywhere(error: BaseException) -> str:
    """All that may be shown of an error and what led to it."""
    chain: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        chain += [str(seen), repr(seen), repr(seen.args)]
        seen = seen.__cause__ or seen.__context__
    return "\n".join([*chain, *traceback.format_exception(error)])


@pytest.mark.parametrize(
    "reply",
    [
        *(reply for reply, _ in BROKEN.values()),
        *CUT.values(),
        as_json({"message": "no owner@example.org", "code": 1, "access_token": "access-canary-1"}, 400),
        Reply(status=500, body=b"Bearer access-canary-1", headers=(("Content-Type", "text/plain"),)),
        Reply(status=302, headers=(("Location", "https://evil.example/?token=access-canary-1"),)),
        Reply(status=200, body=b"password: access-canary-1", headers=(("Content-Type", "text/html"),)),
    ],
)
@pytest.mark.parametrize("path", [CLIP, CHANGED, TIER, "POST /oauth/token", "POST /oauth/v2/signin", "GET /oauth/v2/signin"])
async def test_no_failure_shows_a_secret(
    path: str, reply: Reply, opened: Opener, cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    cloud.routes[path] = reply
    shown: list[str] = []
    async with opened(deadlines=HURRY if ends_by_a_deadline(reply) else None) as blink:
        for act in (lambda: blink.sign_in(OWNER, PASSWORD), lambda: fetch(blink), lambda: listing(blink)):
            try:
                await act()
            except SourceError as error:
                shown.append(everywhere(error))
    assert shown
    assert canaries("\n".join([*shown, caplog.text])) == []


def test_requests_seen_by_the_tests_hold_what_was_sent() -> None:
    """The search for secrets is worth something only if it would find them."""
    seen = Seen(method="GET", target="/", headers={}, body=b"", raw=b"Authorization: Bearer access-canary-7")
    assert canaries(repr(seen)) == ["access-canary-7"]
    assert json.loads(as_json({"a": 1}).body) == {"a": 1}
