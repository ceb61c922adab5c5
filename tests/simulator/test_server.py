"""The server itself: its journal, its manners, and that it is never what one waits for."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import ssl
import subprocess
import sys
import time
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
import trustme

from blinkarchive.clock import ManualClock
from blinkarchive.simulator import Running, Simulator, World
from tests.simulator import big_house
from tests.simulator.phone import Phone

ROOT = Path(__file__).parent.parent.parent

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_the_journal_tells_what_was_asked_and_answered(phone: Phone, running: Running, world: World) -> None:
    clip = world.account.clips[0]
    await phone.page(1)
    await phone.fetch(clip.path)
    await phone.fetch("/nowhere")
    listed, fetched, lost = running.log
    assert (listed.method, listed.status, listed.bearer, listed.account) == ("GET", 200, True, world.account.username)
    assert dict(listed.query) == {"since": "1970-01-01T00:00:00Z", "page": "1"}
    assert (fetched.path, fetched.status) == (clip.path, 200)
    assert lost.status == 404
    assert running.seen("GET", "/media/changed") == [listed]


async def test_every_answer_says_when_it_was_given_by_the_worlds_clock(phone: Phone, world: World, clock: ManualClock) -> None:
    for seconds in (0, 3600):
        clock.advance(seconds)
        for path in ("/nowhere", world.account.clips[0].path):
            async with phone.http.get(phone.url + path, headers=phone.bearer) as response:
                assert response.headers.getall("Date") == [format_datetime(world.clock.now(), usegmt=True)]


async def test_the_journal_holds_no_secret(stranger: Phone, running: Running, world: World) -> None:
    await stranger.sign_in()
    await stranger.fetch(f"/nowhere?access_token={stranger.tokens['access_token']}&code=123456")
    written = repr(list(running.log))
    secrets = [stranger.tokens["access_token"], stranger.tokens["refresh_token"], world.account.password, stranger.csrf]
    assert not [secret for secret in secrets if secret in written]
    assert "123456" not in written
    assert [exchange.bearer for exchange in running.log] == [False] * (len(running.log) - 1) + [True]


async def test_a_wrong_token_is_noted_as_nobodys(phone: Phone, running: Running, world: World) -> None:
    world.signins.revoke_access_tokens()
    await phone.fetch("/networks")
    assert [(exchange.status, exchange.bearer, exchange.account) for exchange in running.log] == [(401, True, None)]


@pytest.mark.parametrize(
    "claim",
    [
        {"User-Agent": "Blink/2511191620 CFNetwork/3860.200.71 Darwin/25.1.0"},
        {"User-Agent": "Blink/51.0 (Google Pixel 8; Android 14)"},
        {"APP-BUILD": "ANDROID_29426569"},
    ],
)
async def test_a_request_that_names_an_app_version_is_answered_426(phone: Phone, world: World, claim: dict[str, str]) -> None:
    clip = world.account.clips[0].path
    for path in ("/api/v1/users/tier_info", f"/api/v3/accounts/{world.account.id}/homescreen", clip):
        async with phone.http.get(phone.url + path, headers=phone.bearer | claim) as response:
            assert response.status == 426, path
            assert await response.json() == {"message": "An app update is required"}
    world.rules.app_versions = "accepted"
    async with phone.http.get(phone.url + clip, headers=phone.bearer | claim) as response:
        assert response.status == 200


async def test_the_token_call_is_where_an_app_version_belongs(phone: Phone) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": phone.tokens["refresh_token"], "client_id": "ios"}
    app = {"User-Agent": "Blink/2511191620 CFNetwork/3860.200.71 Darwin/25.1.0"}
    async with phone.http.post(f"{phone.url}/oauth/token", data=form, headers=app) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/", {}, 404),
        ("PUT", "/networks", {}, 405),
        ("GET", "/api/v1/accounts/x/media/changed", {}, 401),
        ("POST", "/oauth/token", {"data": b"\xff\xfe", "headers": FORM}, 401),
        ("POST", "/oauth/token", {"data": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 401),
        ("POST", "/oauth/token", {"json": {"grant_type": 1}}, 401),
        ("POST", "/oauth/v2/signin", {"data": io.BytesIO(b"a" * 2_000_000), "headers": FORM}, 413),
        ("POST", "/oauth/v2/signin", {"cookies": {"blink_oauth_session": "forged"}}, 400),
        ("GET", "/oauth/v2/authorize?client_id=%FF", {}, 400),
        ("GET", "/api/v2/accounts/116000/media/clip/" + "9" * 5_000 + ".mp4", {}, 404),
    ],
)
async def test_a_bad_request_is_answered_and_leaves_no_trace_on_the_console(
    stranger: Phone,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    options: dict[str, object],
    status: int,
) -> None:
    async with stranger.http.request(method, stranger.url + path, **options) as response:  # type: ignore[arg-type]  # parameters
        assert response.status == status
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


async def test_what_is_not_even_http_harms_nobody(phone: Phone, capfd: pytest.CaptureFixture[str]) -> None:
    address = urlsplit(phone.url)
    for noise in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b""):
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(noise)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert (await phone.fetch("/networks"))[0] == 200
    assert capfd.readouterr() == ("", "")


async def test_a_client_that_goes_away_in_the_middle_harms_nobody(
    phone: Phone, world: World, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    clip = world.account.add_clip(size=20_000_000)
    for rate in (0, 10_000_000):
        world.rules.bandwidth = rate
        async with phone.http.get(phone.url + clip.path, headers=phone.bearer) as response:
            await response.content.readexactly(100)
            response.close()
    world.rules.bandwidth = 0
    assert await phone.fetch(world.account.clips[1].path) == (200, world.account.clips[1].film())
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


async def test_the_end_does_not_wait_for_those_who_hang(world: World) -> None:
    world.faults.add("networks.hang")
    token = world.signins.sign_in(world.account)["access_token"]
    async with Simulator(world).serving() as running:
        address = urlsplit(running.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(f"GET /networks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        while not world.faults.fired:
            await asyncio.sleep(0.001)
        ending = time.monotonic()
    assert time.monotonic() - ending < 3
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_the_port_can_be_chosen_and_one_that_is_taken_is_an_error(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            async with Simulator(world).serving(port=port):
                pass
    async with Simulator(world).serving(port=port) as running:
        assert running.url == f"http://127.0.0.1:{port}"


@pytest.fixture
def tls() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


@pytest.fixture
def trusting(tls: ssl.SSLContext) -> ssl.SSLContext:
    """What a client needs to trust the server."""
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    return ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())


async def test_it_can_be_served_as_https_and_films_come_whole(
    world: World, tls: ssl.SSLContext, trusting: ssl.SSLContext, capfd: pytest.CaptureFixture[str]
) -> None:
    large, cut = world.account.add_clip(size=9_000_000), world.account.add_clip(size=9_000_000)
    world.faults.add("media.cut", clip=cut.id)
    async with Simulator(world).serving(tls=tls) as running, Phone.switched_on(running) as phone:
        assert running.url.startswith("https://127.0.0.1:")
        phone.tokens = world.signins.sign_in(world.account)
        for clip in (large, world.account.clips[-1]):
            async with phone.http.get(phone.url + clip.path, headers=phone.bearer, ssl=trusting) as response:
                assert await response.read() == clip.film()
        async with phone.http.get(phone.url + cut.path, headers=phone.bearer, ssl=trusting) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await phone.http.get(phone.url + large.path, headers=phone.bearer)
    assert capfd.readouterr() == ("", "")


async def test_the_end_does_not_wait_for_those_who_say_no_good_bye(
    world: World, tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with Simulator(world).serving(tls=tls) as running:
        address = urlsplit(running.url)
        plain = await asyncio.to_thread(socket.create_connection, (address.hostname, address.port), 5)
        with await asyncio.to_thread(trusting.wrap_socket, plain, server_hostname="127.0.0.1") as talking:
            talking.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await asyncio.to_thread(talking.recv, 100)).startswith(b"HTTP/1.1 404")
            silent = socket.socket(fileno=talking.detach())
    with silent:
        silent.settimeout(5)
        while await asyncio.to_thread(silent.recv, 4096):
            pass


async def test_films_can_be_made_beforehand(world: World) -> None:
    async with Simulator(world).serving(filmed=True) as running:
        folder = running.footage.path(world.account.clips[0].take).parent
        assert sorted(path.stat().st_size for path in folder.iterdir()) == sorted(c.take.size for c in world.account.clips)
    assert not folder.exists()


def test_a_house_of_forty_thousand_clips_is_played_within_100_mb() -> None:
    command = [sys.executable, "-m", big_house.__name__]
    played = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True)
    assert played.returncode == 0, played.stderr
    told = json.loads(played.stdout)
    every = [big_house.CLIPS] * big_house.ACCOUNTS
    assert told["listed"] == {"25": every, "500": every}
    assert told["wrong"] == [0] * big_house.ACCOUNTS
    assert told["mebibytes"] <= 95, "in MiB"
