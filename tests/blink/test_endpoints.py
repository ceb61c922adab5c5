"""Which addresses are trusted: decided on the parsed address, and kept by sending nothing of it but its path."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest

from blinkarchive.blink.client import Client
from blinkarchive.blink.elsewhere import Elsewhere
from blinkarchive.blink.endpoints import FIRST, OAUTH, Endpoints, Origin, media_changed, own_origin, target_on
from blinkarchive.blink.exchange import Request
from blinkarchive.errors import ConfigError, ForeignHost, ServerTrouble
from tests.blink.cloud import CLIP, TIER, Cloud, Reply, Server, as_json, serving
from tests.blink.conftest import OWNER, PASSWORD, Opener
from tests.blink.here import LeadsHere

E008 = Origin(scheme="https", host="rest-e008.immedia-semi.com", port=443)


@pytest.mark.parametrize("tier", ["e008", "prod", "u011", "prde", "a", "12345678"])
def test_a_tier_names_the_server_of_an_account(tier: str) -> None:
    assert str(Endpoints().rest(tier)) == f"https://rest-{tier}.immedia-semi.com"


@pytest.mark.parametrize(
    "tier",
    [
        "",
        "e008.evil.example",
        "e008/",
        "e008@evil",
        "e008#",
        "e008?",
        "e0 08",
        "e008\n",
        "e008-",
        "-e008",
        33 * "e",
        "é008",
        "-",
        "e_8",
        "%65008",
    ],
)
def test_what_is_no_tier_makes_no_host_name(tier: str) -> None:
    with pytest.raises(ForeignHost):
        Endpoints().rest(tier)


def test_a_tier_may_have_capital_letters_and_hyphens() -> None:
    assert str(Endpoints().rest("EU-West-2")) == "https://rest-eu-west-2.immedia-semi.com"
    assert Endpoints().trusted(Endpoints().rest("EU-West-2"))


def test_another_server_stands_in_for_every_tier() -> None:
    servers = Endpoints.of(api_url="http://127.0.0.1:8080")
    assert servers.rest("e008") == servers.rest(None) == Origin(scheme="http", host="127.0.0.1", port=8080)
    assert not servers.trusted(E008)


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://blink.example.org", "https://blink.example.org"),
        ("https://blink.example.org/", "https://blink.example.org"),
        ("HTTPS://Blink.Example.org:443", "https://blink.example.org"),
        ("https://blink.example.org:8443", "https://blink.example.org:8443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://localhost:80/", "http://localhost"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_an_owner_may_name_another_server(address: str, origin: str) -> None:
    assert str(own_origin(address, "api_url")) == origin


@pytest.mark.parametrize(
    "address",
    [
        "",
        "blink.example.org",
        "//blink.example.org",
        "ftp://blink.example.org",
        "file:///etc/passwd",
        "http://blink.example.org",
        "http://192.168.1.5:8080",
        "http://0.0.0.0",
        "http://[::]",
        "http://127.0.0.1.example.org",
        "http://localhost.example.org",
        "http://localhost.",
        "http://127.1",
        "http://2130706433",
        "http://0x7f.0.0.1",
        "http://0177.0.0.1",
        "http://[::ffff:8.8.8.8]",
        "http://me:secret@127.0.0.1",
        "https://me@blink.example.org",
        "https://@blink.example.org",
        "https://blink.example.org./",
        "https://.blink.example.org",
        "https://blink.example.org:0",
        "https://blink.example.org:99999",
        "https://blink.example.org:port",
        "https://blink.example.org/api",
        "https://blink.example.org?x=1",
        "https://blink.example.org#x",
        "https://blink.example.org/#",
        "https://blink.example.org\\@evil.example",
        "https://blink.example.org\n",
        "https://blink.example.org\t",
        "https://bl ink.example.org",
        "https://blïnk.example.org",
        "https://①②⑦.example",
        "https://[::1",
        "https://",
        "https:///x",
        "https://%62link.example.org",
    ],
)
def test_a_server_that_cannot_be_trusted_is_refused_with_its_key(address: str) -> None:
    with pytest.raises(ConfigError, match="api_url"):
        Endpoints.of(api_url=address or " ")


@pytest.mark.parametrize(
    "origin",
    [
        Origin(scheme="https", host="rest-e008.immedia-semi.com.evil.example", port=443),
        Origin(scheme="https", host="rest-e008-.immedia-semi.com", port=443),
        Origin(scheme="https", host="rest-e008ximmedia-semi.com", port=443),
        Origin(scheme="https", host="immedia-semi.com", port=443),
        Origin(scheme="https", host="rest-e008.immedia-semi.com", port=8443),
        Origin(scheme="http", host="rest-e008.immedia-semi.com", port=80),
        Origin(scheme="https", host="rest-e008.immedia-semi.com.", port=443),
        Origin(scheme="https", host="rest-e008.immedia-semi.com\n", port=443),
        Origin(scheme="https", host="127.0.0.1", port=443),
    ],
)
def test_nothing_is_sent_to_any_other_server(origin: Origin) -> None:
    assert not Endpoints().trusted(origin)


@pytest.mark.parametrize("origin", [OAUTH, FIRST, E008])
def test_the_servers_of_blink_are_trusted(origin: Origin) -> None:
    assert Endpoints().trusted(origin)


@pytest.mark.parametrize(
    "address",
    [
        "/api/v2/accounts/1/media/clip/77.mp4",
        "/api/v3/media/accounts/1/networks/2/catalina/4/snapshot/3032353907.jpg?ext=",
        "/media/production/account/1/network/2/camera/4/clip_8mpxqvts_2020_01_01__01_01AM.jpg",
        "/api/v3/media/accounts/1/networks/2/owl/4/thumbnail/thumbnail.jpg?ts=1648473188&ext=",
        "/a/b%20c.mp4",
    ],
)
def test_a_path_that_blink_gives_is_asked_for_as_it_is(address: str) -> None:
    assert target_on(E008, address) == address
    assert target_on(E008, f"{E008}{address}") == address
    assert target_on(E008, f"HTTPS://REST-E008.immedia-semi.com:443{address}") == address


def hostile(listener: Server, cloud: Cloud) -> list[str]:
    """Addresses that must not be followed: they lead to a listener on this machine, or nowhere good."""
    own, port = cloud.url, int(listener.url.rpartition(":")[2])
    evil = f"127.0.0.1:{port}"
    return [
        f"http://{evil}/clip.mp4",
        f"https://{evil}/clip.mp4",
        f"//{evil}/clip.mp4",
        f"///{evil}/clip.mp4",
        f"\\\\{evil}\\clip.mp4",
        f"/\\{evil}/clip.mp4",
        f"\\/{evil}/clip.mp4",
        f"/\t/{evil}/clip.mp4",
        f"/\n/{evil}/clip.mp4",
        f"\t//{evil}/clip.mp4",
        f" http://{evil}/clip.mp4",
        f"http:\\\\{evil}\\clip.mp4",
        f"http:/{evil}/clip.mp4",
        f"http:{evil}/clip.mp4",
        f"HTTP://{evil}/clip.mp4",
        f"ht\ntp://{evil}/clip.mp4",
        f"@{evil}/clip.mp4",
        f":@{evil}/clip.mp4",
        f".{evil}/clip.mp4",
        f".evil.example:{port}/clip.mp4",
        f":{port}/clip.mp4",
        f":{port}@{evil}/clip.mp4",
        f"{evil}/clip.mp4",
        f"{own}@{evil}/clip.mp4",
        f"{own}:x@{evil}/clip.mp4",
        f"{own}.evil.example/clip.mp4",
        f"{own}\\@{evil}/clip.mp4",
        f"{own}:80/clip.mp4",
        f"{own}//{evil}/clip.mp4",
        f"{own}/../clip.mp4",
        f"{own}/clip.mp4#x",
        f"{own}",
        f"http://user:pass@{evil}/clip.mp4",
        f"http://localhost:{port}/clip.mp4",
        f"http://127.1:{port}/clip.mp4",
        f"http://2130706433:{port}/clip.mp4",
        f"http://0x7f000001:{port}/clip.mp4",
        f"http://0177.0.0.1:{port}/clip.mp4",
        f"http://[::ffff:127.0.0.1]:{port}/clip.mp4",
        f"http://①②⑦.⓪.⓪.①:{port}/clip.mp4",
        f"http://127。0。0。1:{port}/clip.mp4",
        f"http://127.0.0.1.:{port}/clip.mp4",
        f"ftp://{evil}/clip.mp4",
        f"ws://{evil}/clip.mp4",
        f"gopher://{evil}/clip.mp4",
        "file:///etc/passwd",
        "data:video/mp4;base64,AAAA",
        "javascript:alert(1)",
        "http://169.254.169.254/latest/meta-data",
        "https://rest-e009.immedia-semi.com/clip.mp4",
        "https://rest-e008.immedia-semi.com.evil.example/clip.mp4",
        "https://api.oauth.blink.com/clip.mp4",
        "http://[::1/clip.mp4",
        "http://host:99999/clip.mp4",
        "clip.mp4",
        "./clip.mp4",
        "../clip.mp4",
        "/a/../../clip.mp4",
        "/a/%2e%2e/clip.mp4",
        "/a/..%2fclip.mp4",
        "/a%2f%2fclip.mp4",
        "/a/%5c%5cclip.mp4",
        "/a//clip.mp4",
        "/clip.mp4 HTTP/1.1\r\nX: y\r\n\r\nGET /",
        "/clip.mp4%0d%0aX:y",
        "/clip.mp4?x=1\r\nX: y",
        "/clip.mp4\x00",
        "/clíp.mp4",
        "/clip.mp4#fragment",
        "?x=1",
        "#x",
        " ",
        "",
    ]


def in_a_header(addresses: list[str]) -> list[str]:
    """Those that a header can hold, as a client reads it: bytes without spaces around."""
    return [text.encode().decode("latin-1") for text in addresses if text.strip(" \t") and not set(text) & set("\r\n\x00")]


@pytest.fixture
async def evil() -> AsyncIterator[Server]:
    """A listener that would take anything."""
    server = Server(routes={"*": Reply(body=b"thanks")})
    async with serving(server):
        yield server


#: Without clips of other hosts; and with them, where every name leads to this machine.
ELSEWHERE = pytest.mark.parametrize("elsewhere", [lambda: None, lambda: Elsewhere(resolver=LeadsHere())], ids=["off", "on"])


@ELSEWHERE
async def test_a_hostile_clip_address_gets_nothing(
    elsewhere: Callable[[], Elsewhere | None], signed_in: Client, opened: Opener, cloud: Cloud, evil: Server
) -> None:
    await signed_in.account_id()
    before = len(cloud.seen)

    async with opened(elsewhere=elsewhere()) as blink:
        for address in hostile(evil, cloud):
            with pytest.raises(ForeignHost):
                async with blink.media(address):
                    pytest.fail(f"followed {address!r}")

    assert evil.seen == []
    assert len(cloud.seen) == before


@ELSEWHERE
@pytest.mark.parametrize("path", [CLIP, TIER])
async def test_a_hostile_redirect_gets_no_token(
    path: str, elsewhere: Callable[[], Elsewhere | None], signed_in: Client, opened: Opener, cloud: Cloud, evil: Server
) -> None:
    async with opened(elsewhere=elsewhere()) as blink:
        for location in in_a_header(hostile(evil, cloud)):
            cloud.routes[path] = cloud.guarded(Reply(status=302, headers=(("Location", location),)))
            with pytest.raises(ForeignHost):
                async with blink.media(CLIP):
                    pytest.fail(f"followed {location!r}")

    assert [one.raw for one in evil.seen] == []


@pytest.mark.parametrize("path", ["/oauth/v2/authorize", "/oauth/v2/signin"])
async def test_a_hostile_redirect_gets_no_password(path: str, blink: Client, cloud: Cloud, evil: Server) -> None:
    for location in in_a_header(hostile(evil, cloud)):
        cloud.routes[f"GET {path}"] = Reply(status=302, headers=(("Location", location),))
        with pytest.raises(ForeignHost):
            await blink.sign_in(OWNER, PASSWORD)

    assert [one.raw for one in evil.seen] == []
    assert cloud.sign_ins == 0


async def test_a_redirect_within_the_server_is_followed_with_the_token(signed_in: Client, cloud: Cloud) -> None:
    cloud.routes["/there.mp4"] = cloud.routes[CLIP]
    cloud.routes[CLIP] = Reply(status=307, headers=(("Location", f"{cloud.url}/there.mp4"),))

    async with signed_in.media(CLIP) as body:
        assert b"".join([chunk async for chunk in body.chunks]) == b"the bytes of a clip"


@pytest.mark.parametrize("path", [CLIP, TIER])
async def test_redirects_end_after_three(path: str, blink: Client, cloud: Cloud) -> None:
    cloud.routes[path] = Reply(status=302, headers=(("Location", path),))
    await blink.sign_in(OWNER, PASSWORD)

    with pytest.raises(ServerTrouble, match="more than 3 redirects"):
        async with blink.media(CLIP):
            pass

    assert len(cloud.to(path)) == 4


@pytest.mark.parametrize("tier", [".evil.example/", "e008\n", "", 8, None])
async def test_a_tier_that_is_no_tier_is_never_saved(tier: object, blink: Client, cloud: Cloud) -> None:
    cloud.routes[TIER] = cloud.guarded(as_json({"tier": tier, "account_id": 1}))
    await blink.sign_in(OWNER, PASSWORD)

    with pytest.raises(ServerTrouble, match="without tier"):
        await blink.account_id()

    assert blink.tokens.tier is None


@pytest.mark.parametrize("target", ["", "x", "//x", "/x y", "/x\r\nX: y", "/..", "/é", "http://x/"])
def test_a_request_cannot_be_made_for_what_is_no_path(target: str) -> None:
    with pytest.raises(ForeignHost):
        Request(method="GET", origin=FIRST, target=target, what="x")


def test_the_time_in_a_listing_has_a_zone() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        media_changed(1, datetime(2026, 1, 1), 1)  # noqa: DTZ001  # that is the point
    assert media_changed(1, datetime(2026, 1, 1, tzinfo=UTC), 2).endswith("since=2026-01-01T00:00:00%2B0000&page=2")
