"""The service moves: an account to another tier, clips to other hosts; and a client that finds them there."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
import trustme

from blinkarchive.blink.client import Client
from blinkarchive.blink.elsewhere import Elsewhere
from blinkarchive.errors import Forbidden, ForeignHost
from blinkarchive.secret import Secret
from blinkarchive.simulator import Running, Simulator, World
from tests.blink.here import LeadsHere

NAMES = ("*.immedia-semi.com", "api.oauth.blink.com")
SINCE = datetime(1970, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def met(folder: Path) -> AsyncIterator[tuple[Client, World, Running]]:
    """A signed-in client that knows nothing but Blink's own names."""
    world = World.from_seed(3, clips=4, clip_bytes=(8_000, 9_000))
    world.account.second_factor = "none"
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*NAMES).configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    async with Simulator(world).serving(tls=context) as cloud:
        resolver = LeadsHere(port=int(cloud.url.rpartition(":")[2]))
        trust = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        elsewhere = Elsewhere(ca_file=folder / "ca.pem", resolver=resolver, allowed=lambda address: address == "127.0.0.1")
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=resolver, ssl=trust)) as session,
            Client.open(folder / "state" / "home.json", session=session, elsewhere=elsewhere) as client,
        ):
            await client.sign_in(world.account.username, Secret(world.account.password))
            await client.account_id()
            yield client, world, cloud


async def film(client: Client, address: str) -> bytes:
    async with client.media(address) as body:
        return b"".join([chunk async for chunk in body.chunks])


@pytest.mark.parametrize("tier", ["e008", "EU-West-2"])
async def test_an_account_that_moves_is_archived_from_its_new_tier(tier: str, tmp_path: Path) -> None:
    async with met(tmp_path) as (client, world, cloud):
        await client.media_page(SINCE, 1)
        world.account.tier = tier
        world.rules.refresh = "strict"
        clip = world.account.clips[0]
        assert await film(client, clip.path) == clip.film()
        assert len((await client.media_page(SINCE, 1)).items) == 4
        assert client.tokens.tier == tier
        assert len(cloud.seen("POST", "/oauth/token")) <= 2


async def test_a_clip_that_redirects_to_the_sibling_server_is_fetched_there(tmp_path: Path) -> None:
    async with met(tmp_path) as (client, world, cloud):
        clip = world.account.clips[0]
        world.faults.add("media.redirect", to=f"https://rest-prod.immedia-semi.com{clip.path}")
        assert await film(client, clip.path) == clip.film()
        assert [exchange.bearer for exchange in cloud.seen("GET", clip.path)] == [True, False, True]


async def test_redirects_to_private_places_are_refused(tmp_path: Path) -> None:
    async with met(tmp_path) as (client, world, _):
        for to in ("https://10.0.0.1/x", "https://192.168.1.1/x", "http://rest-prod.immedia-semi.com/x", "https://localhost@x/"):
            world.faults.add("media.redirect", to=to)
            with pytest.raises(ForeignHost):
                await film(client, world.account.clips[0].path)


async def test_a_token_that_dies_at_once_is_renewed_for_the_clips_in_flight(tmp_path: Path) -> None:
    async with met(tmp_path) as (client, world, cloud):
        for clip in world.account.clips[:3]:
            world.signins.revoke_access_tokens()
            assert await film(client, clip.path) == clip.film()
        world.signins.revoke_access_tokens()
        with pytest.raises((Forbidden, Exception), match="another program"):
            await film(client, world.account.clips[3].path)
        assert len(cloud.seen("POST", "/oauth/token")) == 4
