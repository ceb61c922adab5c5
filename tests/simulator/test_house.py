"""What the cloud tells of a house."""

from __future__ import annotations

import pytest

from blinkarchive.simulator import Simulator, World
from tests.simulator.phone import HARDWARE_ID, Phone


@pytest.fixture
def world() -> World:
    return World.default()


@pytest.mark.parametrize("version", ["v3", "v4"])
async def test_the_homescreen_shows_every_device_in_its_list(phone: Phone, world: World, version: str) -> None:
    status, body = await phone.ask("GET", f"/api/{version}/accounts/{world.account.id}/homescreen")
    assert status == 200
    assert [network["name"] for network in body["networks"]] == ["Home", "Summer House"]
    assert {camera["name"] for camera in body["cameras"]} == {"Back Yard", "Garage"}
    assert {camera["name"] for camera in body["owls"]} == {"Jetty", "Kitchen"}
    assert {camera["name"] for camera in body["doorbells"]} == {"Front Door"}
    assert [module["local_storage_status"] for module in body["sync_modules"]] == ["active"]
    assert body["app_updates"]["code"] == 103


async def test_the_homescreen_says_in_its_headers_who_asks(phone: Phone, world: World) -> None:
    url = f"{phone.url}/api/v3/accounts/{world.account.id}/homescreen"
    phone.tokens = world.signins.sign_in(world.account, HARDWARE_ID)
    numbers = set()
    for _ in range(2):
        async with phone.http.get(url, headers=phone.bearer) as response:
            assert response.headers["User-Id"] == str(world.account.user_id)
            numbers.add(int(response.headers["Client-Id"]))
    assert len(numbers) == 1


async def test_devices_belong_to_networks_and_have_a_picture(phone: Phone, world: World) -> None:
    _, body = await phone.ask("GET", f"/api/v3/accounts/{world.account.id}/homescreen")
    networks = {network["id"] for network in body["networks"]}
    devices = [*body["cameras"], *body["owls"], *body["doorbells"]]
    assert {device["network_id"] for device in devices} <= networks
    for device in devices:
        status, picture = await phone.fetch(device["thumbnail"])
        assert (status, picture[:3]) == (200, b"\xff\xd8\xff")


async def test_an_old_camera_has_a_picture_whose_address_wants_an_ending(world: World) -> None:
    camera = world.account.cameras[0]
    camera.type = "xt2"
    async with Simulator(world).serving() as running, Phone.switched_on(running) as phone:
        phone.tokens = world.signins.sign_in(world.account)
        _, body = await phone.ask("GET", f"/api/v3/accounts/{world.account.id}/homescreen")
        thumbnail = next(found["thumbnail"] for found in body["cameras"] if found["id"] == camera.id)
        assert (await phone.fetch(thumbnail))[0] == 404
        assert (await phone.fetch(f"{thumbnail}.jpg"))[0] == 200


async def test_a_picture_asked_for_under_the_wrong_type_is_refused(phone: Phone, world: World) -> None:
    camera = world.account.cameras[0]
    house = f"/api/v3/media/accounts/{world.account.id}/networks/{camera.network.id}"
    assert await phone.ask("GET", f"{house}/owl/{camera.id}/thumbnail/thumbnail.jpg") == (
        400,
        {"code": 1630, "message": "Invalid Device Type"},
    )


async def test_the_older_list_of_networks(phone: Phone, world: World) -> None:
    status, body = await phone.ask("GET", "/networks")
    assert status == 200
    assert {network["name"]: network["arm_string"] for network in body["networks"]} == {"Home": "Armed", "Summer House": "Armed"}
    assert list(body["summary"].values()) == [
        {"name": "Home", "onboarded": True},
        {"name": "Summer House", "onboarded": False},  # no module: its cameras stand for themselves
    ]


async def test_what_is_switched_off_in_the_world_is_switched_off_on_the_screen(phone: Phone, world: World) -> None:
    world.account.networks[0].armed = False
    world.account.networks[0].sync_modules[0].online = False
    world.account.networks[0].sync_modules[0].local_storage = "unmounted"
    _, body = await phone.ask("GET", f"/api/v3/accounts/{world.account.id}/homescreen")
    assert body["networks"][0]["armed"] is False
    assert body["sync_modules"][0]["status"] == "offline"
    assert body["sync_modules"][0]["local_storage_status"] == "unmounted"


async def test_retired_calls_want_an_app_update(phone: Phone, world: World) -> None:
    network = world.account.networks[0].id
    for path in (f"/events/network/{network}", "/api/v2/videos/count"):
        assert await phone.ask("GET", path) == (426, {"message": "An app update is required"})
