"""Signing in, as the app does it, and every way in which it is refused."""

from __future__ import annotations

import base64
import json
from typing import Literal

import pytest

from blinkarchive.clock import ManualClock
from blinkarchive.simulator import Running, Simulator, World
from blinkarchive.simulator.plan import SecondFactor
from tests.simulator.phone import HARDWARE_ID, Phone


@pytest.fixture
def second_factor() -> SecondFactor:
    return "none"


@pytest.fixture
def world(clock: ManualClock, second_factor: SecondFactor) -> World:
    return World.from_seed(1, clips=0, second_factor=second_factor, clock=clock)


@pytest.mark.parametrize("second_factor", ["none", "202", "412"])
async def test_the_whole_way_ends_with_a_token_that_lets_in(stranger: Phone, world: World) -> None:
    await stranger.sign_in()
    status, body = await stranger.ask("GET", "/api/v1/users/tier_info")
    assert (status, body) == (200, {"tier": "u011", "account_id": world.account.id})


async def test_tokens_look_like_the_real_ones(stranger: Phone) -> None:
    tokens = (await stranger.sign_in()).tokens
    assert set(tokens) == {"access_token", "expires_in", "refresh_token", "scope", "token_type"}
    assert (tokens["expires_in"], tokens["scope"], tokens["token_type"]) == (14400, "client", "Bearer")
    claims = json.loads(base64.urlsafe_b64decode(tokens["access_token"].split(".")[1] + "=="))
    assert claims["exp"] - claims["iat"] == 14400


@pytest.mark.parametrize(("second_factor", "status"), [("202", 202), ("412", 412)])
async def test_the_account_asks_for_its_code_in_either_form(stranger: Phone, world: World, status: int) -> None:
    await stranger.begin()
    answer, body, _ = await stranger.give_password()
    assert answer == status
    assert body["tsv_state"] == "sms"
    assert body["user_id"] == world.account.user_id
    assert body["next_time_in_secs"] == 60
    assert "tsv_methods" in body
    assert "phone" in body


@pytest.mark.parametrize("second_factor", ["202"])
@pytest.mark.parametrize("status", [400, 412])
async def test_a_wrong_code_leaves_the_session_usable(stranger: Phone, world: World, status: Literal[400, 412]) -> None:
    world.rules.wrong_code_status = status
    await stranger.begin()
    await stranger.give_password()
    assert (await stranger.give_code("000000"))[0] == status
    assert await stranger.one_time_code() is None
    assert (await stranger.give_code(world.account.code))[0] == 201
    assert await stranger.one_time_code() is not None


@pytest.mark.parametrize("second_factor", ["202"])
async def test_a_password_alone_does_not_let_in_where_a_code_is_wanted(stranger: Phone) -> None:
    await stranger.begin()
    await stranger.give_password()
    assert await stranger.one_time_code() is None


@pytest.mark.parametrize("second_factor", ["202"])
async def test_a_code_without_a_password_does_not_let_in(stranger: Phone, world: World) -> None:
    await stranger.begin()
    assert (await stranger.give_code(world.account.code))[0] == 400
    assert await stranger.one_time_code() is None


async def test_a_wrong_password_is_401(stranger: Phone) -> None:
    await stranger.begin()
    status, body, _ = await stranger.give_password("guess")
    assert status == 401
    assert "error" in body
    assert await stranger.one_time_code() is None


async def test_the_right_password_leads_on_to_authorize(stranger: Phone) -> None:
    await stranger.begin()
    status, _, location = await stranger.give_password()
    assert (status, location) == (302, "/oauth/v2/authorize")


async def test_a_post_without_cookies_is_told_so(stranger: Phone) -> None:
    await stranger.begin()
    stranger.http.cookie_jar.clear()
    empty = {"error": "bad_request", "error_cause": "empty_cookies", "error_description": "Empty Cookies."}
    assert (await stranger.give_password())[:2] == (400, empty)
    assert (await stranger.give_code("123456"))[:2] == (400, empty)


async def test_a_form_without_its_csrf_token_is_refused(stranger: Phone) -> None:
    await stranger.begin()
    stranger.csrf = "another"
    assert (await stranger.give_password())[0] == 400
    assert await stranger.one_time_code() is None


async def test_a_hardware_id_that_is_no_uuid_is_refused_at_the_edge(stranger: Phone) -> None:
    assert await stranger.begin(hardware_id="Blinkpy") == 406
    assert await stranger.begin(hardware_id="") == 406
    assert await stranger.begin(hardware_id="4a1f6e0c-93b7-4c52-8a7c-0b6a51d2e9f3") == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "android"},
        {"redirect_uri": "https://evil.example/"},
        {"response_type": "token"},
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
    ],
)
async def test_every_parameter_of_the_first_call_is_checked(stranger: Phone, changed: dict[str, str]) -> None:
    assert await stranger.begin(**changed) == 400


async def test_the_state_comes_back(stranger: Phone) -> None:
    await stranger.begin(state="a+b/c=")
    await stranger.give_password()
    async with stranger.http.get(f"{stranger.url}/oauth/v2/authorize", allow_redirects=False) as response:
        assert response.headers["Location"].endswith("&state=a%2Bb%2Fc%3D")


async def test_the_verifier_must_fit_the_challenge(stranger: Phone) -> None:
    await stranger.begin()
    await stranger.give_password()
    code = await stranger.one_time_code()
    assert code is not None
    status, body = await stranger.redeem(code, code_verifier=stranger.verifier[:-1] + "~")
    assert (status, body["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "android"},
        {"redirect_uri": "https://evil.example/"},
        {"hardware_id": "11111111-2222-4333-8444-555555555555"},
    ],
)
async def test_tokens_are_given_to_the_client_that_began(stranger: Phone, changed: dict[str, str]) -> None:
    await stranger.begin()
    await stranger.give_password()
    code = await stranger.one_time_code()
    assert code is not None
    assert (await stranger.redeem(code, **changed))[0] == 400


async def test_a_code_is_good_once(stranger: Phone) -> None:
    await stranger.begin()
    await stranger.give_password()
    code = await stranger.one_time_code()
    assert code is not None
    assert (await stranger.redeem(code))[0] == 200
    assert (await stranger.redeem(code))[0] == 400


async def test_a_lenient_cloud_takes_a_refresh_token_again(stranger: Phone) -> None:
    old = (await stranger.sign_in()).tokens["refresh_token"]
    first, second = await stranger.refresh(old), await stranger.refresh(old)
    assert (first[0], second[0]) == (200, 200)
    assert len({old, first[1]["refresh_token"], second[1]["refresh_token"]}) == 3


async def test_a_strict_cloud_takes_a_refresh_token_once(stranger: Phone, world: World) -> None:
    world.rules.refresh = "strict"
    old = (await stranger.sign_in()).tokens["refresh_token"]
    status, renewed = await stranger.refresh(old)
    assert status == 200
    status, body = await stranger.refresh(old)
    assert (status, body["error"]) == (400, "invalid_grant")
    assert (await stranger.refresh(renewed["refresh_token"]))[0] == 200


async def test_a_refresh_by_another_client_is_refused_and_costs_nothing(stranger: Phone, world: World) -> None:
    world.rules.refresh = "strict"
    token = (await stranger.sign_in()).tokens["refresh_token"]
    status, body = await stranger.refresh(token, client_id="android")
    assert (status, body["error_description"]) == (401, "client is not authorized")
    assert (await stranger.refresh(token))[0] == 200


async def test_revoked_refresh_tokens_are_an_invalid_grant(stranger: Phone, world: World) -> None:
    token = (await stranger.sign_in()).tokens["refresh_token"]
    world.signins.revoke_refresh_tokens()
    status, body = await stranger.refresh(token)
    assert (status, body["error"]) == (400, "invalid_grant")


async def test_an_access_token_dies_of_age(stranger: Phone, world: World, clock: ManualClock) -> None:
    world.rules.access_token_life = 60
    await stranger.sign_in()
    assert stranger.tokens["expires_in"] == 60
    clock.advance(59)
    assert (await stranger.ask("GET", "/networks"))[0] == 200
    clock.advance(1)
    assert await stranger.ask("GET", "/networks") == (401, {"message": "Unauthorized Access", "error": None, "code": 101})


async def test_access_tokens_can_be_revoked_in_the_middle_of_things(stranger: Phone, world: World) -> None:
    await stranger.sign_in()
    world.signins.revoke_access_tokens()
    assert (await stranger.ask("GET", "/networks"))[0] == 401
    _, stranger.tokens = await stranger.refresh(stranger.tokens["refresh_token"])
    assert (await stranger.ask("GET", "/networks"))[0] == 200


async def test_too_many_tries_lock_the_account_for_an_hour(stranger: Phone, world: World, clock: ManualClock) -> None:
    world.rules.signin_limit = 2
    await stranger.begin()
    await stranger.give_password("guess")
    await stranger.give_password("guess")
    status, body, _ = await stranger.give_password()
    assert status == 429
    assert body["message"].startswith("Login limit exceeded.")
    clock.advance(3600)
    assert (await stranger.give_password())[0] == 302


@pytest.mark.parametrize("path", ["/api/v5/account/login", "/api/v4/account/login"])
async def test_the_old_way_to_sign_in_wants_an_app_update(stranger: Phone, path: str) -> None:
    assert (await stranger.post(path, email="a", password="b"))[:2] == (426, {"message": "An app update is required"})


async def test_the_password_grant_is_gone(stranger: Phone, world: World) -> None:
    form = {"grant_type": "password", "client_id": "android", "username": world.account.username, "password": "x"}
    status, body, _ = await stranger.post("/oauth/token", **form)
    assert (status, body["error"]) == (401, "unsupported_grant_type")


async def test_each_account_has_its_own_way_in(clock: ManualClock) -> None:
    world = World.from_seed(1, accounts=2, clips=1, clock=clock)
    async with Simulator(world).serving() as running:
        for account in world.accounts:
            async with Phone.switched_on(running, account) as phone:
                await phone.sign_in()
                assert (await phone.ask("GET", "/api/v1/users/tier_info"))[1]["account_id"] == account.id


async def test_a_token_opens_no_other_account(clock: ManualClock) -> None:
    world = World.from_seed(1, accounts=2, clips=1, clip_bytes=(8_000, 8_000), clock=clock)
    mine, other = world.accounts
    async with Simulator(world).serving() as running, Phone.switched_on(running, mine) as phone:
        await phone.sign_in()
        for path in (
            f"/api/v3/accounts/{other.id}/homescreen",
            f"/api/v1/accounts/{other.id}/media/changed?since=1970-01-01T00:00:00Z&page=1",
            other.clips[0].path,
        ):
            assert (await phone.ask("GET", path))[0] == 401


async def test_without_a_token_nothing_is_told(stranger: Phone, running: Running) -> None:
    account = running.world.account
    for path in ("/api/v1/users/tier_info", "/networks", f"/api/v3/accounts/{account.id}/homescreen"):
        status, body = await stranger.ask("GET", path)
        assert (status, body["code"]) == (401, 101)


@pytest.mark.parametrize(("tier", "status"), [("u011", 200), ("prod", 200), ("e008", 401)])
async def test_a_token_is_good_on_its_accounts_own_host_alone(phone: Phone, tier: str, status: int) -> None:
    headers = {**phone.bearer, "Host": f"rest-{tier}.immedia-semi.com"}
    async with phone.http.get(f"{phone.url}/networks", headers=headers) as response:
        assert response.status == status


async def test_the_token_call_refuses_a_hardware_id_that_is_no_uuid_too(phone: Phone) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": phone.tokens["refresh_token"], "client_id": "ios"}
    for hardware_id, status in (("Blinkpy", 406), (HARDWARE_ID, 200)):
        async with phone.http.post(f"{phone.url}/oauth/token", data=form, headers={"hardware_id": hardware_id}) as response:
            assert response.status == status
