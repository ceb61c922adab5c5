"""The ping after a good run, against a real server: what is called, what is refused, and what is never shown."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from blinkarchive import ConfigError
from blinkarchive.cli.logs import LineFormatter
from blinkarchive.clock import ManualClock
from blinkarchive.convert import SecretRef
from blinkarchive.daemon.ping import PAUSE, Ping
from blinkarchive.secret import Secret

CANARY = "canary-5ecret"


def ping(address: str, clock: ManualClock | None = None, deadline: float = 10.0) -> Ping:
    return Ping(SecretRef(kind="inline", inline=Secret(address)), clock=clock or ManualClock(), deadline=deadline)


class Service:
    """A service that waits for pings."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.port = 0
        #: What the next calls are answered with; 200 when it is empty.
        self.answers: list[int] = []
        self.redirects: dict[str, str] = {}
        self.release = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        self.calls.append(f"{request.method} {request.path_qs}")
        if request.path == "/hang":
            await self.release.wait()
        if request.path in self.redirects:
            return web.Response(status=302, headers={"Location": self.redirects[request.path]})
        return web.Response(status=self.answers.pop(0) if self.answers else 200)

    def url(self, path: str = CANARY) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    there = Service()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", there.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    there.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    yield there
    there.release.set()
    await runner.cleanup()


def logged(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(LineFormatter().format(record) for record in caplog.records)


async def test_a_good_answer_is_one_call(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    assert await ping(service.url(f"{CANARY}?rid=1")).send()
    assert service.calls == [f"GET /{CANARY}?rid=1"]
    assert not [record for record in caplog.records if record.levelno >= logging.INFO]


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_passing_fault_is_tried_once_more(service: Service, status: int) -> None:
    clock = ManualClock()
    service.answers = [status]
    assert await ping(service.url(), clock).send()
    assert (len(service.calls), clock.sleeps) == (2, [PAUSE])


@pytest.mark.parametrize(("answers", "calls"), [([500, 500, 200], 2), ([404], 1), ([401], 1), ([304], 1)])
async def test_a_failure_is_logged_without_the_address(
    service: Service, caplog: pytest.LogCaptureFixture, answers: list[int], calls: int
) -> None:
    caplog.set_level(1)
    service.answers = [*answers]
    assert not await ping(service.url()).send()
    assert len(service.calls) == calls
    assert f'the ping after a good run failed because="the answer was {answers[0]}"' in logged(caplog)
    assert CANARY not in logged(caplog)


async def test_a_service_that_hangs_is_left_after_the_deadline(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    began = time.monotonic()
    assert not await ping(service.url("hang"), deadline=0.2).send()
    assert time.monotonic() - began < 5
    assert "no answer within 0.2 s" in logged(caplog)


async def test_nobody_there_is_logged_without_the_address(caplog: pytest.LogCaptureFixture, unused_tcp_port: int) -> None:
    caplog.set_level(1)
    assert not await ping(f"http://127.0.0.1:{unused_tcp_port}/{CANARY}").send()
    assert "no connection (ClientConnectorError)" in logged(caplog)
    assert CANARY not in logged(caplog)


@pytest.mark.parametrize(
    "there", ["/1", "http://192.168.1.1/admin?reboot=1", f"https://example.org/{CANARY}", f"http://[{CANARY}/", ""]
)
async def test_a_redirect_is_not_followed_wherever_it_leads(
    service: Service, caplog: pytest.LogCaptureFixture, there: str
) -> None:
    caplog.set_level(1)
    service.redirects = {"/0": there}
    assert not await ping(service.url("0")).send()
    assert service.calls == ["GET /0"]
    assert "the answer was a redirect (302), which is not followed: write the final address as ping" in logged(caplog)
    assert CANARY not in logged(caplog)


@pytest.mark.parametrize(
    "address",
    [f"http://example.org/{CANARY}", f"file:///{CANARY}", f"ftp://example.org/{CANARY}", CANARY, f"/{CANARY}",
     f"https://user:{CANARY}@example.org/", f"https://{CANARY}:port/", f"https://[{CANARY}", "https://", f"http://127.0.0.1.{CANARY}/"],
)  # fmt: skip
async def test_an_address_that_may_not_be_called_is_refused_and_not_shown(caplog: pytest.LogCaptureFixture, address: str) -> None:
    caplog.set_level(1)
    refused = ping(address)
    with pytest.raises(ConfigError) as error:
        refused.check()
    assert not await refused.send()
    assert CANARY not in str(error.value) + logged(caplog)


@pytest.mark.parametrize("address", ["https://example.org/x", "http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]:1/x"])
def test_an_address_that_may_be_called_is_accepted(address: str) -> None:
    ping(address).check()


async def test_an_address_that_cannot_be_read_is_a_failure_and_no_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for ref in (SecretRef(kind="env", at="NOT_SET"), SecretRef(kind="file", at=str(tmp_path))):
        assert not await Ping(ref, clock=ManualClock()).send()
    assert "environment variable NOT_SET holds nothing" in logged(caplog)
    assert "cannot be read" in logged(caplog)


async def test_the_proxies_of_the_environment_are_not_used(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert await ping(service.url()).send()


async def test_a_proxy_of_the_config_is_used_with_its_password(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    heard: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    address = f"http://me:{CANARY}@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    through = SecretRef(kind="inline", inline=Secret(address))
    called = Ping(
        SecretRef(kind="inline", inline=Secret("https://example.org/x")), clock=ManualClock(), proxy=through, deadline=5
    )
    assert not await called.send()
    assert heard[0].startswith(b"CONNECT example.org:443 ")
    assert base64.b64encode(f"me:{CANARY}".encode()) in heard[0]
    assert CANARY not in logged(caplog)
    server.close()
    await server.wait_closed()


async def test_a_service_of_this_machine_is_called_without_the_proxy(service: Service) -> None:
    through = SecretRef(kind="inline", inline=Secret("http://127.0.0.1:1"))
    assert await Ping(SecretRef(kind="inline", inline=Secret(service.url())), clock=ManualClock(), proxy=through).send()


@pytest.mark.parametrize("address", [CANARY, f"ftp://{CANARY}", f"http://{CANARY}:port", "http://", f"socks5://{CANARY}:1"])
async def test_a_proxy_that_is_none_is_refused_and_not_shown(caplog: pytest.LogCaptureFixture, address: str) -> None:
    through = SecretRef(kind="inline", inline=Secret(address))
    assert not await Ping(SecretRef(kind="inline", inline=Secret("https://x/")), clock=ManualClock(), proxy=through).send()
    assert "is not an address such as http://proxy.example.org:3128" in logged(caplog)
    assert CANARY not in logged(caplog)


async def test_a_stop_goes_through(service: Service) -> None:
    task = asyncio.create_task(ping(service.url("hang")).send())
    while not service.calls:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
