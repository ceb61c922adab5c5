"""What a client asks of devices is done when the call returns, or the call says that it is not."""

from __future__ import annotations

import asyncio

import pytest

from blinkarchive.blink import Client, wire
from blinkarchive.clock import ManualClock
from blinkarchive.errors import Busy, CommandFailed, CommandUnfinished, ServerTrouble, SourceError, TokenRevoked
from blinkarchive.simulator import Running, World
from tests.library.conftest import camera


async def shown(client: Client, name: str, network: str = "Home") -> wire.Camera:
    """A camera as the homescreen shows it."""
    home = await client.homescreen()
    ids = {each.id for each in home.networks if each.name == network}
    return next(each for each in home.cameras if each.name == name and each.network_id in ids)


async def test_a_network_is_armed_when_the_call_returns(client: Client, world: World) -> None:
    home = world.account.networks[0]
    for armed in (False, True):
        await client.control.arm(home.id, arm=armed)
        assert home.armed is armed
        assert (await client.control.network(home.id)).armed is armed


@pytest.mark.parametrize("name", ["Front Door", "Kitchen", "Bell", "Drive"])
async def test_a_camera_of_any_family_is_switched_off_and_on(client: Client, world: World, name: str) -> None:
    for on in (False, True):
        await client.control.watch(await shown(client, name), on=on)
        assert camera(world, name).enabled is on
        assert (await shown(client, name)).enabled is on


@pytest.mark.parametrize(
    ("name", "network"),
    [("Front Door", "Home"), ("Kitchen", "Home"), ("Bell", "Home"), ("Front Door", "Barn"), ("Bench", "Shed")],
)
async def test_a_picture_is_there_when_the_call_returns(
    client: Client, world: World, clock: ManualClock, name: str, network: str
) -> None:
    before = (await shown(client, name, network)).picture(world.account.id)
    await client.control.snap(await shown(client, name, network))
    after = (await shown(client, name, network)).picture(world.account.id)
    assert after != before
    async with client.media(after) as body:
        assert b"".join([chunk async for chunk in body.chunks]).startswith(b"\xff\xd8\xff")


async def test_a_recorded_clip_is_listed_when_the_call_returns(client: Client, world: World) -> None:
    known = {clip.id for clip in world.account.clips}
    began = world.clock.now()
    await client.control.record(await shown(client, "Bell"))
    [item] = (await client.media_page(began, 1)).items
    assert item.id not in known
    assert item.device_name == "Bell"


async def test_settings_are_written_and_read_in_both_forms(client: Client, world: World) -> None:
    for name, lamp in (("Front Door", 1), ("Kitchen", "off"), ("Bell", "on")):
        await client.control.configure(await shown(client, name), {"illuminator_enable": lamp})
        config = await client.control.config(await shown(client, name))
        assert (config.values["name"], config.values["illuminator_enable"]) == (name, lamp)
    signals = await client.control.signals(await shown(client, "Front Door"))
    assert (signals.temp, signals.battery) == (68, 3)


async def test_a_floodlight_is_lit(client: Client, world: World) -> None:
    await client.control.light(await shown(client, "Drive"), on=True)
    assert camera(world, "Drive").settings["light"] == "on"


@pytest.mark.parametrize("name", ["Front Door", "Kitchen", "Bell"])
async def test_a_live_view_leads_somewhere(client: Client, name: str) -> None:
    live = await client.control.live(await shown(client, name))
    assert live.server.startswith("immis://")
    assert live.polling_interval == 15


async def test_a_command_that_fails_is_an_error(client: Client, world: World) -> None:
    front = await shown(client, "Front Door")
    world.faults.add("control.fail")
    with pytest.raises(CommandFailed, match="switching camera 'Front Door' off: accepted, and not done"):
        await client.control.watch(front, on=False)
    world.faults.add("control.fail", status=910)
    with pytest.raises(CommandFailed, match="not done") as failure:
        await client.control.watch(front, on=False)
    assert failure.value.code == 910
    assert camera(world, "Front Door").enabled


async def test_a_command_that_never_ends_is_given_up(client: Client, world: World, clock: ManualClock) -> None:
    world.faults.add("arm.stall")
    began = clock.monotonic()
    with pytest.raises(CommandUnfinished, match="120 s"):
        await client.control.arm(world.account.networks[0].id, arm=False)
    assert 120 <= clock.monotonic() - began < 130
    assert world.account.networks[0].armed


async def test_who_is_busy_with_the_owners_phone_is_left_alone_for_a_while(
    client: Client, world: World, clock: ManualClock
) -> None:
    world.faults.add("control.busy", times=3)
    await client.control.snap(await shown(client, "Front Door"))
    assert world.faults.count("control.busy") == 3
    assert [pause for pause in clock.sleeps if pause > 2] == [3.0, 8.0, 15.0]
    world.faults.add("control.busy", times=0)
    with pytest.raises(Busy):
        await client.control.snap(await shown(client, "Front Door"))


async def test_two_who_ask_at_once_never_meet_at_the_module(client: Client, world: World, cloud: Running) -> None:
    front, bell, stable = await shown(client, "Front Door"), await shown(client, "Bell"), await shown(client, "Stable", "Barn")
    async with asyncio.TaskGroup() as asking:
        for each in (front, bell, stable, front):
            asking.create_task(client.control.snap(each))
    assert [exchange.status for exchange in cloud.seen("POST", "/thumbnail")] == [200] * 4


async def test_an_error_where_a_command_was_promised_is_an_error(client: Client, world: World) -> None:
    world.faults.add("arm.json-error", body='{"message": "No Cameras Enabled for Motion", "code": 304}')
    with pytest.raises(SourceError, match="No Cameras Enabled for Motion"):
        await client.control.arm(world.account.networks[0].id, arm=True)
    for each in world.account.cameras:
        each.enabled = False
    with pytest.raises(SourceError, match="No Cameras Enabled for Motion") as failure:
        await client.control.arm(world.account.networks[0].id, arm=True)
    assert (failure.value.status, failure.value.code) == (400, 304)


async def test_a_passing_fault_while_waiting_is_waited_for(client: Client, world: World) -> None:
    world.faults.add("command.status", status=502)
    world.faults.add("command.garbage")
    await client.control.arm(world.account.networks[0].id, arm=False)
    assert not world.account.networks[0].armed


async def test_clips_are_deleted_and_a_refusal_is_no_success(client: Client, world: World) -> None:
    first, second = world.account.clips[:2]
    await client.delete_media([first.id])
    assert (first.deleted, second.deleted) == (True, False)
    world.faults.add("delete.json-error", body='{"message": "Invalid Media List Format", "code": 706}')
    with pytest.raises(SourceError, match="Invalid Media List Format"):
        await client.delete_media([second.id])


async def test_the_owner_and_what_they_are_told_of(client: Client, world: World) -> None:
    assert (await client.user()).email == world.account.username
    assert (await client.notifications())["motion"] is True
    await client.notify({"motion": False})
    assert world.account.notifications["motion"] is False
    world.faults.add("owner.json-error")
    with pytest.raises(SourceError):
        await client.notifications()


async def test_who_has_signed_out_is_out(client: Client, world: World) -> None:
    await client.sign_out()
    with pytest.raises(TokenRevoked):
        await client.homescreen()


async def test_a_client_that_blink_gives_no_number_says_so(client: Client, world: World) -> None:
    world.faults.add("homescreen.json-error", times=0, body='{"networks": []}')
    with pytest.raises(ServerTrouble, match="which client this is"):
        await client.sign_out()
