"""Signing in to a whole simulated cloud: with and without a code, across processes, through revocation and rotation."""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blinkarchive.blink import Client, Endpoints, import_blinkpy
from blinkarchive.clock import Clock, ManualClock
from blinkarchive.errors import ClientRefused, CodeNeeded, LoginHeldBack, LoginLimit, TokenRevoked, WrongCode, WrongPassword
from blinkarchive.secret import Secret
from blinkarchive.simulator import Running, Simulator, World
from blinkarchive.simulator.plan import SecondFactor
from tests.acceptance.conftest import Houses

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def client(running: Running, folder: Path, clock: Clock | None = None) -> AbstractAsyncContextManager[Client]:
    servers = Endpoints.of(api_url=running.url, oauth_url=running.url)
    return Client.open(folder / "state" / "home.json", servers=servers, clock=clock)


async def films(blink: Client) -> list[str]:
    """Hashes of all films that the client can list and fetch."""
    found, number = [], 1
    while (page := await blink.media_page(LONG_AGO, number)).items:
        assert page.malformed == ()
        for item in page.items:
            async with blink.media(item.media) as body:
                whole = b"".join([chunk async for chunk in body.chunks])
            assert (body.length, body.type) == (len(whole), "video/mp4")
            found.append(hashlib.sha256(whole).hexdigest())
        number += 1
    return sorted(found)


def expected(world: World) -> list[str]:
    return sorted(hashlib.sha256(clip.film()).hexdigest() for clip in world.account.clips)


async def test_from_a_password_to_every_film(tmp_path: Path) -> None:
    world = World.from_seed(5, clips=7, second_factor="none", clip_bytes=(8_000, 20_000))
    world.rules.page_size = 3
    async with Simulator(world).serving() as running, client(running, tmp_path) as blink:
        await blink.sign_in(world.account.username, Secret(world.account.password))

        assert await blink.account_id() == world.account.id
        assert await films(blink) == expected(world)
        home = await blink.homescreen()
        assert {camera.name for camera in home.cameras} == {camera.name for camera in world.account.cameras}
        assert len(home.networks) == len(world.account.networks)
        assert home.malformed == ()


@pytest.mark.parametrize("second_factor", ["202", "412"])
@pytest.mark.parametrize("status", [400, 412])
async def test_a_code_is_given_by_another_process_after_a_wrong_one(
    second_factor: SecondFactor, status: int, tmp_path: Path
) -> None:
    world = World.from_seed(5, clips=2, second_factor=second_factor, clip_bytes=(8_000, 20_000))
    world.rules.wrong_code_status = 400 if status == 400 else 412
    async with Simulator(world).serving() as running:
        async with client(running, tmp_path) as blink:
            with pytest.raises(CodeNeeded):
                await blink.sign_in(world.account.username, Secret(world.account.password))
        async with client(running, tmp_path) as blink:
            with pytest.raises(WrongCode):
                await blink.send_code(Secret("000000"))
        async with client(running, tmp_path) as blink:
            await blink.send_code(Secret(world.account.code))
            assert await films(blink) == expected(world)

        assert len(running.seen("POST", "/oauth/v2/signin")) == 1


async def test_strict_rotation_is_survived_for_days(tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 1, 2, tzinfo=UTC))
    world = World.from_seed(5, clips=1, second_factor="none", clip_bytes=(8_000, 9_000), clock=clock)
    world.rules.refresh = "strict"
    async with Simulator(world).serving() as running:
        async with client(running, tmp_path, clock) as blink:
            await blink.sign_in(world.account.username, Secret(world.account.password))
        for _ in range(20):
            clock.advance(5 * 3600)
            async with client(running, tmp_path, clock) as one, client(running, tmp_path, clock) as two:
                pages = await asyncio.gather(*(blink.media_page(LONG_AGO, 1) for blink in (one, two) for _ in range(5)))
                assert {len(page.items) for page in pages} == {1}

        assert len(running.seen("POST", "/oauth/v2/signin")) == 1
        assert len(running.seen("POST", "/oauth/token")) == 21


async def test_a_revoked_sign_in_is_made_anew_from_the_password(tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 1, 2, tzinfo=UTC))
    world = World.from_seed(5, clips=1, second_factor="none", clip_bytes=(8_000, 9_000), clock=clock)
    password = Secret(world.account.password)
    async with Simulator(world).serving() as running, client(running, tmp_path, clock) as blink:
        await blink.ensure_signed_in(world.account.username, password)
        clock.advance(5 * 3600)
        world.signins.revoke_refresh_tokens()
        with pytest.raises(TokenRevoked):
            await blink.ensure_signed_in()
        await blink.ensure_signed_in(world.account.username, password)
        assert await films(blink) == expected(world)

        world.signins.revoke_refresh_tokens()
        world.signins.revoke_access_tokens()
        with pytest.raises(TokenRevoked):
            await blink.media_page(LONG_AGO, 1)


async def test_two_revocations_within_an_hour_are_not_two_sign_ins(tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 1, 2, tzinfo=UTC))
    world = World.from_seed(5, clips=0, second_factor="none", clock=clock)
    world.rules.access_token_life = 600
    password = Secret(world.account.password)
    async with Simulator(world).serving() as running, client(running, tmp_path, clock) as blink:
        await blink.ensure_signed_in(world.account.username, password)
        for _ in range(24 * 4):
            clock.advance(900)
            world.signins.revoke_refresh_tokens()
            with suppress(LoginHeldBack):
                await blink.ensure_signed_in(world.account.username, password)

        assert len(running.seen("POST", "/oauth/v2/signin")) == 25


async def test_the_lock_of_an_account_is_told_and_left_alone(tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 1, 2, tzinfo=UTC))
    world = World.from_seed(5, clips=0, second_factor="none", clock=clock)
    world.rules.signin_limit = 2
    async with Simulator(world).serving() as running, client(running, tmp_path, clock) as blink:
        for kind in (WrongPassword, WrongPassword, LoginLimit):
            with pytest.raises(kind):
                await blink.sign_in(world.account.username, Secret("wrong"))


async def test_the_edge_that_refuses_a_client_is_told_from_all_else(tmp_path: Path) -> None:
    world = World.from_seed(5, clips=0, second_factor="none")
    world.faults.add("authorize.status", status=406)
    async with Simulator(world).serving() as running, client(running, tmp_path) as blink:
        with pytest.raises(ClientRefused):
            await blink.sign_in(world.account.username, Secret(world.account.password))


async def test_a_sign_in_is_brought_from_blinkpy(tmp_path: Path) -> None:
    world = World.from_seed(5, clips=2, second_factor="202", clip_bytes=(8_000, 9_000))
    given = world.signins.sign_in(world.account)
    file = tmp_path / "blink.json"
    ended = (datetime.now(UTC) - timedelta(hours=1)).timestamp()
    file.write_text(
        json.dumps({"token": given["access_token"], "refresh_token": given["refresh_token"], "expiration_date": ended})
    )
    async with Simulator(world).serving() as running, client(running, tmp_path) as blink:
        servers = Endpoints.of(api_url=running.url, oauth_url=running.url)
        await blink.adopt(import_blinkpy(file, servers=servers, now=datetime.now(UTC)))
        assert await films(blink) == expected(world)
        assert running.seen("POST", "/oauth/v2/signin") == []


async def test_the_command_asks_for_the_code_and_goes_on_when_it_gets_one(house_of: Houses) -> None:
    world = World.from_seed(5, clips=0, second_factor="202")
    async with house_of(world) as house:
        asked = await house("login")
        assert asked.code == 4, asked
        assert "code" in asked.err
        refused = await house("login", "--code", "000000")
        assert refused.code == 4, refused
        done = await house("login", "--code", world.account.code)
        assert done.code == 0, done
        assert house.asked("/oauth/v2/2fa/verify") == 2
        for end in (asked, refused, done):
            assert world.account.password not in end.out + end.err
            assert "Traceback" not in end.err


async def test_secrets_that_the_server_repeats_are_shown_nowhere(house_of: Houses) -> None:
    """An opaque token does not look like a secret. It is known as one because it is in use."""
    async with house_of(World.from_seed(7, clips=3, clip_bytes=(8_000, 20_000), until=datetime.now(UTC))) as house:
        await house("run")
        [kept] = house.folder.rglob("tokens.json")
        tokens = json.loads(kept.read_text())
        secrets = [house.account.password, tokens["refresh_token"], tokens["access_token"]]
        assert all(isinstance(secret, str) and len(secret) >= 8 for secret in secrets)
        echo = json.dumps({"message": f"no such session for {' and '.join(secrets)}!"})
        for place in ("list", "media", "homescreen"):
            house.cloud.world.faults.add(f"{place}.status", status=400, body=echo, times=0)
        world = house.cloud.world
        world.account.add_clip()
        shown = ""
        for command in (("-vv", "run"), ("run", "--json"), ("status",), ("status", "--json"), ("doctor",), ("list", "--json")):
            ended = await house(*command)
            shown += ended.out + ended.err
        assert "no such session for ***" in shown
        index = b"".join(file.read_bytes() for file in (house.folder / "state").glob("index*"))
        for secret in secrets:
            assert secret not in shown
            assert secret.encode() not in index
