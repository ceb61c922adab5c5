"""Moves of the service: an account on another tier, clips on other hosts, tokens that end too soon."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from blinkarchive.blink.client import Client
from blinkarchive.blink.elsewhere import Elsewhere, is_public
from blinkarchive.blink.endpoints import Endpoints
from blinkarchive.blink.tokens import TokenFile
from blinkarchive.clock import ManualClock
from blinkarchive.errors import BadClip, ClipGone, Forbidden, ForeignHost, LoginNeeded, ServerTrouble, Unreachable
from tests.blink.cloud import ACCOUNT, CHANGED, CLIP, TIER, Cloud, Reply, Seen, as_json, canaries, film
from tests.blink.conftest import OWNER, PASSWORD, Hasty
from tests.blink.here import Internet, LeadsHere, internet
from tests.blink.test_session import SINCE, fetch

OLD, NEW, PROD = "rest-e008.immedia-semi.com", "rest-eu-west-2.immedia-semi.com", "rest-prod.immedia-semi.com"
CDN, S3 = "d111.cloudfront.net", "clips.s3.eu-west-1.amazonaws.com"
SIGNED = "/a%20b/77.mp4?X-Amz-Signature=abc%2F%2B&X-Amz-Expires=300&response-content-type=video%2Fmp4"
FILM = film(b"the bytes of a clip")
REFUSED = as_json({"message": "Unauthorized Access", "code": 101}, 401)

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")

Opened = Callable[..., AbstractAsyncContextManager[Client]]


class Hosts(Cloud):
    """A cloud that looks at the host it is asked under."""

    def __init__(self) -> None:
        super().__init__()
        self.by_host: dict[str, Reply | Callable[[Seen], Reply]] = {}
        self.tier = "e008"
        self.routes[TIER] = self.guarded(lambda _: as_json({"tier": self.tier, "account_id": ACCOUNT}))

    async def _answer(self, request: Seen) -> Reply:
        found = self.by_host.get(request.headers["host"])
        if found is not None:
            return found if isinstance(found, Reply) else found(request)
        return await super()._answer(request)

    def under(self, host: str) -> list[Seen]:
        return [one for one in self.seen if one.headers["host"].partition(":")[0] == host]


def redirect(to: str) -> Reply:
    return Reply(status=302, headers=(("Location", to),))


@pytest.fixture
def cloud() -> Hosts:
    return Hosts()


@pytest.fixture
async def net(cloud: Hosts, tmp_path: Path) -> AsyncIterator[Internet]:
    names = ("*.immedia-semi.com", "api.oauth.blink.com", CDN, S3, "elsewhere.example")
    async with internet(cloud, tmp_path, names) as net:
        yield net


@pytest.fixture
async def opened(net: Internet, clock: ManualClock, token_file: Path) -> AsyncIterator[Opened]:
    async with net.session() as session:

        def open_(**options: Any) -> AbstractAsyncContextManager[Client]:
            given: dict[str, Any] = {"session": session, "elsewhere": net.elsewhere(), "clock": clock, "files": Hasty()}
            return Client.open(token_file, servers=Endpoints(), **given | options)

        yield open_


@pytest.fixture
async def blink(opened: Opened, cloud: Hosts) -> AsyncIterator[Client]:
    async with opened() as blink:
        await blink.sign_in(OWNER, PASSWORD)
        await blink.account_id()
        cloud.seen.clear()
        yield blink


# A tier that was given up


async def test_an_account_that_moved_is_found_by_asking_for_its_tier_once(
    blink: Client, opened: Opened, cloud: Hosts, token_file: Path
) -> None:
    cloud.tier, cloud.by_host[OLD] = "EU-West-2", REFUSED
    await asyncio.gather(*(blink.media_page(SINCE, 1) for _ in range(10)), *(fetch(blink) for _ in range(5)))

    assert len(cloud.to(TIER)) == 1
    assert len(cloud.to("/oauth/token")) <= 1
    assert {one.headers["host"] for one in cloud.to(CHANGED)[-10:]} == {NEW}
    kept = TokenFile(token_file).load()
    assert kept is not None
    assert kept.tier == "EU-West-2"
    cloud.seen.clear()
    async with opened() as again:
        await again.media_page(SINCE, 1)
    assert [one.headers["host"] for one in cloud.seen] == [NEW]


async def test_a_server_of_an_old_tier_that_is_gone_is_no_end(blink: Client, cloud: Hosts) -> None:
    cloud.tier, cloud.by_host[OLD] = "u034", Reply(raw=b"")
    await blink.media_page(SINCE, 1)
    assert await fetch(blink) == b"the bytes of a clip"
    assert len(cloud.under(OLD)) <= 2, "a GET on a connection that was closed is sent once more"


async def test_an_old_tier_that_redirects_to_the_new_one_is_no_end(blink: Client, cloud: Hosts) -> None:
    cloud.tier, cloud.by_host[OLD] = "u034", lambda seen: redirect(f"https://rest-u034.immedia-semi.com{seen.target}")
    await blink.media_page(SINCE, 1)
    assert cloud.to(CHANGED)[-1].headers["host"] == "rest-u034.immedia-semi.com"


async def test_an_outage_is_asked_for_the_tier_once_a_minute(blink: Client, cloud: Hosts, clock: ManualClock) -> None:
    cloud.by_host[OLD] = Reply(raw=b"")
    for _ in range(10):
        with pytest.raises(Unreachable):
            await blink.media_page(SINCE, 1)
        clock.advance(5)
    assert len(cloud.to(TIER)) == 1


async def test_what_is_refused_on_the_right_tier_wants_a_person_as_before(blink: Client, cloud: Hosts) -> None:
    cloud.by_host[OLD] = REFUSED
    for _ in range(5):
        with pytest.raises(LoginNeeded, match="has just given"):
            await blink.media_page(SINCE, 1)
        with pytest.raises(Forbidden):
            await fetch(blink)
    assert len(cloud.to("/oauth/token")) == 1
    assert len(cloud.to(TIER)) == 1


# Tokens that end too soon


async def test_a_token_that_ends_seconds_after_its_renewal_is_renewed_again_for_all_clips_in_flight(
    blink: Client, cloud: Hosts, clock: ManualClock
) -> None:
    cloud.access = "ended-canary-1"
    assert await fetch(blink) == b"the bytes of a clip"
    clock.advance(3)
    cloud.access = "ended-canary-2"  # another device has renewed the sign-in
    assert await asyncio.gather(*(fetch(blink) for _ in range(16))) == [b"the bytes of a clip"] * 16
    assert cloud.refreshes == 2


async def test_tokens_that_end_again_and_again_are_renewed_within_a_bound(
    blink: Client, cloud: Hosts, clock: ManualClock
) -> None:
    cloud.by_host[OLD] = cloud.by_host[PROD] = REFUSED
    for _ in range(10):
        with pytest.raises(LoginNeeded, match="another program"):
            await fetch(blink)
        clock.advance(20)
    assert cloud.refreshes <= 3
    cloud.by_host.clear()
    assert await fetch(blink) == b"the bytes of a clip"


@pytest.mark.parametrize("seconds", [1, 60, None, "x"])
async def test_a_token_with_a_short_life_is_not_renewed_for_each_request(
    seconds: object, blink: Client, cloud: Hosts, clock: ManualClock
) -> None:
    cloud.expires_in = seconds
    clock.advance(14400)
    for _ in range(20):
        await blink.media_page(SINCE, 1)
        clock.advance(2)
    assert cloud.refreshes == 1


# Clips on other hosts


@pytest.mark.parametrize("host", [CDN, S3, PROD])
@pytest.mark.parametrize("how", ["redirect", "address"])
async def test_a_clip_on_another_host_is_fetched_without_any_credential(
    how: str, host: str, blink: Client, cloud: Hosts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    cloud.by_host[host] = FILM
    if how == "redirect":
        cloud.routes[CLIP] = cloud.guarded(
            Reply(status=302, headers=(("Location", f"https://{host}{SIGNED}"), ("Set-Cookie", "a=b")))
        )
    assert await fetch(blink, CLIP if how == "redirect" else f"https://{host}{SIGNED}") == b"the bytes of a clip"

    [there] = cloud.under(host)
    assert there.raw.startswith(f"GET {SIGNED} HTTP/1.1\r\n".encode()), "letter for letter: it is signed"
    assert set(there.headers) == {"host", "user-agent", "accept", "accept-encoding"}
    assert canaries(there.raw.decode()) == []
    assert "abc%2F" not in caplog.text


async def test_a_clip_on_another_server_of_blink_that_wants_the_token_gets_it(blink: Client, cloud: Hosts) -> None:
    for address in (f"https://{PROD}{CLIP}", CLIP):
        cloud.by_host[OLD] = redirect(f"https://{PROD}{CLIP}")
        cloud.seen.clear()
        assert await fetch(blink, address) == b"the bytes of a clip"
        assert [("authorization" in one.headers) for one in cloud.under(PROD)] == [False, True]


async def test_who_is_no_server_of_blink_never_gets_the_token(blink: Client, cloud: Hosts) -> None:
    for host in (CDN, "elsewhere.example", "api.oauth.blink.com"):
        cloud.by_host[host] = REFUSED
        cloud.seen.clear()
        with pytest.raises(Forbidden):
            await fetch(blink, f"https://{host}/clip.mp4")
        assert [("authorization" in one.headers) for one in cloud.seen] == [False]
    assert cloud.refreshes == 0


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(status=403, body=b"<Error><Code>AccessDenied</Code></Error>"), Forbidden),
        (Reply(status=401), Forbidden),
        (Reply(status=404), ClipGone),
        (Reply(status=406), Forbidden),
        (Reply(status=426), Forbidden),
        (Reply(status=429), ServerTrouble),
        (Reply(status=503), ServerTrouble),
        (Reply(body=b"<html>", headers=(("Content-Type", "text/html"),)), BadClip),
        (redirect("/again"), ServerTrouble),
        (redirect("http://d111.cloudfront.net/clip.mp4"), ForeignHost),
        (redirect("https://127.0.0.2/clip.mp4"), ForeignHost),
        (redirect("https://10.0.0.1/clip.mp4"), ForeignHost),
    ],
)
async def test_what_another_host_answers_is_about_that_clip_alone(
    reply: Reply, kind: type[Exception], blink: Client, cloud: Hosts
) -> None:
    cloud.by_host[CDN] = reply
    with pytest.raises(kind) as caught:
        await fetch(blink, f"https://{CDN}{SIGNED}")
    assert type(caught.value) is kind
    assert "Signature" not in str(caught.value)
    assert len(cloud.under(CDN)) <= 4
    assert cloud.refreshes == 0
    assert await fetch(blink) == b"the bytes of a clip"


async def test_a_redirect_back_to_blink_carries_no_token_that_was_left_behind(blink: Client, cloud: Hosts) -> None:
    cloud.by_host[CDN] = redirect("https://api.oauth.blink.com/oauth/token")
    with pytest.raises((Forbidden, ClipGone)):
        await fetch(blink, f"https://{CDN}/clip.mp4")
    assert [("authorization" in one.headers) for one in cloud.under("api.oauth.blink.com")] == [False]


async def test_other_hosts_can_be_switched_off(opened: Opened, blink: Client, cloud: Hosts) -> None:
    cloud.by_host[CDN] = FILM
    cloud.routes["/moved.mp4"] = cloud.guarded(redirect(f"https://{CDN}/clip.mp4"))
    async with opened(elsewhere=None) as strict:
        for address in (f"https://{CDN}/clip.mp4", "/moved.mp4"):
            with pytest.raises(ForeignHost):
                await fetch(strict, address)
    assert cloud.under(CDN) == []


@pytest.mark.parametrize(
    "addresses", [("10.0.0.1",), ("127.0.0.1",), ("192.168.178.1", "93.184.216.34"), ("::1",), ("fe80::1",), ("::ffff:10.0.0.1",)]
)
async def test_a_name_that_leads_to_a_private_address_is_not_connected_to(
    addresses: tuple[str, ...], opened: Opened, blink: Client, cloud: Hosts
) -> None:
    resolver = LeadsHere(*addresses)
    async with opened(elsewhere=Elsewhere(resolver=resolver)) as strict:
        with pytest.raises(ForeignHost, match="not an address of the public internet"):
            await fetch(strict, f"https://{CDN}/clip.mp4")
    assert resolver.asked == [CDN]
    assert cloud.under(CDN) == []


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1"),
        *("192.0.2.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1"),
        *("fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::"),
        *("2002:a00:1::", "64:ff9b::a00:1", "64:ff9b::7f00:1", "2001:db8::1", "", "127.1", "2130706433", "0x7f.1", "name"),
    ],
)
def test_what_is_not_of_the_public_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_what_is_of_the_public_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("http://cdn.example/x", "ftp://cdn.example/x", "https://user:pass@cdn.example/x", "https://@cdn.example/x"),
        *("https://127.0.0.1/x", "https://127.1/x", "https://2130706433/x", "https://0x7f.1/x", "https://0177.0.0.1/x"),
        *("https://[::1]/x", "https://[::ffff:7f00:1]/x", "https://[fe80::1%25eth0]/x", "https://127.0.0.1./x"),
        *("https://cdn.example:0/x", "https://cdn.example:99999/x", "https://cdn.example\\@evil/x", "https:///x", "https://"),
        *("https://cdn.example/a b", "https://cdn.example/a\r\nX: y", "https://ｃdn.example/x", "https://10.0.0.1:443/x"),
    ],
)
def test_an_address_that_may_not_be_asked_is_refused(address: str) -> None:
    with pytest.raises(ForeignHost):
        Elsewhere().request(address, what="the clip")
