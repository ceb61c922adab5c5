"""blinkpy signs in, and stays signed in."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Literal

import pytest
import trustme

from blinkarchive.simulator import AccountPlan, CameraPlan, NetworkPlan, Running, Simulator, SyncModulePlan, World, WorldPlan
from tests.witness.witness import CODE_WANTED, Made, Witness

SIGNED_IN = "/oauth/v2/signin"


@pytest.fixture
def world() -> World:
    home = NetworkPlan(name="Home", sync_modules=(SyncModulePlan(),), cameras=(CameraPlan(name="Front Door"),))
    account = AccountPlan(username="owner@example.org", password="open-sesame-42", networks=(home,), clips=3)
    return World(WorldPlan(accounts=(account,), clip_bytes=(8_000, 20_000)))


@pytest.fixture
async def saved(witness: Witness, world: World, running: Running, tmp_path: Path) -> Path:
    """What a blinkpy that has signed in has saved."""
    await witness.start(world.account)
    await witness.tell("code", code=world.account.code)
    file = tmp_path / "credentials.json"
    await witness.tell("save", file=str(file))
    running.log.clear()
    return file


@pytest.mark.parametrize("second_factor", ["202", "412"])
async def test_a_code_is_asked_for_and_only_the_right_one_is_taken(
    witness: Witness, world: World, running: Running, second_factor: Literal["202", "412"]
) -> None:
    world.account.second_factor = second_factor
    assert await witness.start(world.account) == CODE_WANTED
    assert running.seen("POST", SIGNED_IN)[-1].status == int(second_factor)
    assert await witness.tell("code", code="000000") is False
    assert not running.seen("POST", "/oauth/token")
    assert await witness.tell("code", code=world.account.code) is True
    assert [exchange.status for exchange in running.seen("POST", "/2fa/verify")] == [400, 201]
    assert [exchange.account for exchange in running.seen("GET", "/homescreen")] == [world.account.username]


async def test_it_is_led_here_by_blinks_own_names(witness: Witness, world: World) -> None:
    world.account.second_factor = "none"
    assert await witness.start(world.account) is True
    assert await witness.tell("hosts") == [
        "api.oauth.blink.com",
        "rest-prod.immedia-semi.com",
        f"rest-{world.account.tier}.immedia-semi.com",
    ]


async def test_it_believes_no_certificate_but_that_of_our_authority(made: Made, world: World) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("api.oauth.blink.com").configure_cert(tls)
    login = {"username": world.account.username, "password": world.account.password}
    async with Simulator(world).serving(tls=tls) as stranger, Witness.called(made, stranger) as careful:
        assert await careful.raised_by("start", **login) == "ClientConnectorCertificateError"
    assert not stranger.log


async def test_a_wrong_password_lets_nobody_in(witness: Witness, world: World, running: Running) -> None:
    assert await witness.start(world.account, "a-guess") is False
    assert running.log[-1].status == 401
    assert await witness.start(world.account) == CODE_WANTED


async def test_what_is_saved_is_what_a_client_needs(saved: Path, world: World) -> None:
    told = json.loads(saved.read_text())
    assert told["account_id"] == world.account.id
    assert told["user_id"] == str(world.account.user_id)
    assert told["client_id"].isdigit()
    assert told["host"] == f"{world.account.tier}.immedia-semi.com"
    assert told["expires_in"] == 14_400
    assert told["token"].count(".") == 2


@pytest.mark.parametrize("refresh", ["strict", "lenient"])
async def test_a_new_process_goes_on_without_a_password_and_without_a_code(
    saved: Path, made: Made, world: World, running: Running, refresh: Literal["strict", "lenient"]
) -> None:
    world.rules.refresh = refresh
    world.signins.revoke_access_tokens()
    for _ in range(2):
        async with Witness.called(made, running) as second:
            assert await second.tell("start", file=str(saved)) is True
            assert list(await second.tell("cameras")) == ["Front Door"]
            await second.tell("save", file=str(saved))
    assert not running.seen("POST", SIGNED_IN)
    assert [exchange.status for exchange in running.seen("POST", "/oauth/token")] == [200, 200]


@pytest.mark.parametrize(("refresh", "then"), [("strict", CODE_WANTED), ("lenient", True)])
async def test_a_used_refresh_token_is_good_only_where_rotation_is_lenient(
    saved: Path, made: Made, world: World, running: Running, refresh: Literal["strict", "lenient"], then: object
) -> None:
    world.rules.refresh = refresh
    began = []
    for _ in range(2):
        async with Witness.called(made, running) as forgetful:
            began.append(await forgetful.tell("start", file=str(saved)))
    assert began == [True, then]


async def test_what_it_cannot_renew_while_it_runs_it_renews_at_its_next_start(
    saved: Path, witness: Witness, made: Made, world: World, running: Running
) -> None:
    """blinkpy 0.25 asks for a renewal under another client's name than it signed in with: that is refused, and harms nothing."""
    world.rules.refresh = "strict"
    world.signins.revoke_access_tokens()
    await witness.tell("expire")
    if refused := await witness.raised_by("refresh"):
        assert (refused, running.log[-1].path, running.log[-1].status) == ("UnauthorizedError", "/oauth/token", 401)
    else:
        await witness.tell("save", file=str(saved))
    async with Witness.called(made, running) as second:
        assert await second.tell("start", file=str(saved)) is True
    assert not running.seen("POST", SIGNED_IN)


async def test_who_has_logged_out_is_asked_for_a_code_again(saved: Path, witness: Witness, made: Made, running: Running) -> None:
    assert await witness.tell("api", function="request_logout", words=[]) == {"gave": {"message": "logout"}}
    async with Witness.called(made, running) as second:
        assert await second.tell("start", file=str(saved)) == CODE_WANTED


async def test_who_was_thrown_out_is_asked_for_a_code_again(saved: Path, made: Made, world: World, running: Running) -> None:
    world.signins.revoke_access_tokens()
    world.signins.revoke_refresh_tokens()
    async with Witness.called(made, running) as second:
        assert await second.tell("start", file=str(saved)) == CODE_WANTED
        assert await second.tell("code", code=world.account.code) is True


async def test_a_token_that_was_revoked_is_refused_everywhere(witness: Witness, world: World, running: Running) -> None:
    world.account.second_factor = "none"
    await witness.start(world.account)
    world.signins.revoke_access_tokens()
    for function in ("request_networks", "request_user", "request_videos", "request_camera_usage"):
        assert await witness.raised_by("api", function=function, words=[]) == "UnauthorizedError"
        assert running.log[-1].status == 401


async def test_too_many_passwords_lock_the_account(witness: Witness, world: World, running: Running) -> None:
    world.rules.signin_limit = 2
    assert [await witness.start(world.account, "a-guess") for _ in range(2)] == [False, False]
    assert await witness.start(world.account) is False
    assert running.seen("POST", SIGNED_IN)[-1].status == 429
