"""What the cloud knows of an owner and of the clients they have let in."""

from __future__ import annotations

from blinkarchive.simulator import Running, World
from tests.simulator.phone import HARDWARE_ID, Phone


async def test_an_owner_is_told_of_what_they_want_to_hear(phone: Phone, world: World) -> None:
    path = f"/api/v1/accounts/{world.account.id}/notifications/configuration"
    _, before = await phone.ask("GET", path)
    assert set(before["notifications"].values()) == {True}
    wanted = {"notifications": {"motion": False, "no such thing": True}}
    assert (await phone.ask("POST", path, json=wanted))[1] == {"message": "Client Notification Configure Update Successful"}
    assert (await phone.ask("GET", path))[1] == {"notifications": before["notifications"] | {"motion": False}}


async def test_an_owner_says_how_long_clips_are_kept(phone: Phone, world: World) -> None:
    assert (await phone.ask("POST", "/api/v1/account/video_options", json={"auto_delete_days": 7}))[0] == 200
    _, screen = await phone.ask("GET", f"/api/v3/accounts/{world.account.id}/homescreen")
    assert screen["video_stats"]["auto_delete_days"] == 7
    bad: tuple[object, ...] = ({"auto_delete_days": 8}, {}, [])
    for wrong in bad:
        assert (await phone.ask("POST", "/api/v1/account/video_options", json=wrong))[1]["code"] == 213


async def test_who_the_owner_is_and_what_they_pay_for(phone: Phone, world: World) -> None:
    _, user = await phone.ask("GET", "/user")
    assert (user["email"], user["account_id"], user["temp_units"]) == (world.account.username, world.account.id, "f")
    _, plans = await phone.ask("GET", f"/api/v2/accounts/{world.account.id}/subscriptions/plans")
    assert plans["subscriptions"][0]["active"] is True
    _, info = await phone.ask("GET", f"/api/v1/accounts/{world.account.id}/info")
    assert (info["tier"], info["user"]) == (world.account.tier, {"user_id": world.account.user_id, "country": "DE"})
    assert (await phone.ask("GET", "/api/v1/account/options"))[1]["c2s_clip_list_limit"] == 1000


async def test_signing_out_ends_this_client_and_no_other(phone: Phone, running: Running, world: World) -> None:
    async with Phone.switched_on(running) as other:
        other.tokens = world.signins.sign_in(world.account, HARDWARE_ID)
        _, account = await phone.ask("GET", "/api/v1/users/tier_info")
        async with phone.http.get(
            f"{phone.url}/api/v3/accounts/{account['account_id']}/homescreen", headers=phone.bearer
        ) as response:
            client = response.headers["Client-Id"]
        assert (await phone.ask("POST", f"/api/v4/account/{world.account.id}/client/1/logout"))[0] == 401
        path = f"/api/v4/account/{world.account.id}/client/{client}/logout"
        assert await phone.ask("POST", path) == (200, {"message": "logout"})
        assert (await phone.ask("GET", "/networks"))[0] == 401
        assert (await phone.refresh(phone.tokens["refresh_token"]))[0] == 400
        assert (await other.ask("GET", "/networks"))[0] == 200
