"""blinkpy reads systems and cameras of every family, and what it asks of them happens."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from blinkarchive.simulator import Running, World
from tests.witness.house import camera, house, network, settled
from tests.witness.witness import Witness

FAMILIES = {
    "Back Yard": "BlinkCamera",
    "Garage": "BlinkCamera",
    "Jetty": "BlinkCamera",
    "Front Door": "BlinkDoorbell",
    "Hall": "BlinkCameraMini",
    "Kitchen": "BlinkCameraMini",
}
"""Every camera of the house, and what blinkpy takes it for."""

every_camera = pytest.mark.parametrize("name", sorted(FAMILIES))


@pytest.fixture
def world() -> World:
    return house()


@pytest.fixture
async def owner(witness: Witness, world: World, running: Running) -> Witness:
    """A blinkpy that has signed in and looked around."""
    assert await witness.start(world.account) is True
    running.log.clear()
    return witness


async def picture(owner: Witness, name: str) -> bytes:
    return base64.b64decode(await owner.tell("picture", name=name))


async def test_every_camera_of_every_family_is_found_with_its_attributes(owner: Witness, world: World) -> None:
    seen = await owner.tell("cameras")
    assert {name: camera["class"] for name, camera in seen.items()} == FAMILIES
    for name, told in seen.items():
        true = camera(world.account, name)
        assert (told["camera_id"], told["type"]) == (str(true.id), true.type)
        assert int(told["network_id"]) == true.network.id
        assert told["motion_enabled"] is true.enabled
        assert told["online"] is True
        assert told["serial"]
        assert told["version"]
        path, ending = ("/media/production/", ".jpg") if true.type == "white" else ("/api/v3/media/", "&ext=")
        assert told["thumbnail"].startswith(f"https://rest-{world.account.tier}.immedia-semi.com{path}")
        assert told["thumbnail"].endswith(ending)


async def test_those_with_a_battery_tell_of_it(owner: Witness, world: World) -> None:
    seen = await owner.tell("cameras")
    for name, told in seen.items():
        assert (told["battery"] is not None) is (camera(world.account, name).family != "owls"), name
    for name in ("Back Yard", "Garage", "Jetty"):
        true = camera(world.account, name)
        assert seen[name]["temperature_calibrated"] == true.temperature
        assert 100 < seen[name]["battery_voltage"] < 200


async def test_every_system_is_found(owner: Witness, world: World) -> None:
    """A camera that needs no module is a system of its own for blinkpy, called after the camera."""
    systems = await owner.tell("systems")
    assert set(systems) == {"Home", "Lake House", "Kitchen"}
    for name in ("Home", "Lake House"):
        told, true = systems[name], network(world.account, name)
        (module,) = true.sync_modules
        assert (int(told["network_id"]), told["id"], told["status"]) == (true.id, module.id, "online")
        assert told["arm"] is true.armed
        assert told["local_storage"] is (module.local_storage == "active")
        assert told["version"]


@every_camera
async def test_a_cameras_picture_is_a_jpeg(owner: Witness, name: str) -> None:
    seen = await picture(owner, name)
    assert seen[:3] == b"\xff\xd8\xff"
    assert seen[-2:] == b"\xff\xd9"


@pytest.mark.parametrize("name", ["Home", "Lake House"])
async def test_a_system_is_disarmed_and_armed(owner: Witness, world: World, name: str) -> None:
    true = network(world.account, name)
    others = [other for other in world.account.networks if other is not true]
    before = [other.armed for other in others]
    for on in (False, True, False):
        await owner.tell("arm_system", name=name, on=on)
        assert true.armed is on
        await owner.tell("refresh")
        assert (await owner.tell("systems"))[name]["arm"] is on
    assert [other.armed for other in others] == before


async def test_a_system_whose_cameras_do_not_watch_cannot_be_armed(owner: Witness, world: World) -> None:
    lake = network(world.account, "Lake House")
    await owner.tell("arm_camera", name="Jetty", on=False)
    assert (await owner.tell("arm_system", name="Lake House", on=True))["code"] == 304
    assert lake.armed is False
    await owner.tell("arm_camera", name="Jetty", on=True)
    await owner.tell("arm_system", name="Lake House", on=True)
    assert lake.armed is True


@every_camera
async def test_a_camera_is_told_not_to_watch_and_to_watch_again(owner: Witness, world: World, name: str) -> None:
    true = camera(world.account, name)
    others = [other for other in world.account.cameras if other is not true]
    for on in (False, True):
        await owner.tell("arm_camera", name=name, on=on)
        assert true.enabled is on
        assert all(other.enabled for other in others)
        await owner.tell("refresh")
        assert (await owner.tell("cameras"))[name]["motion_enabled"] is on


@every_camera
async def test_a_picture_is_taken(owner: Witness, world: World, name: str) -> None:
    before, old = (await owner.tell("cameras"))[name]["thumbnail"], await picture(owner, name)
    await owner.tell("snap", name=name)
    await owner.tell("refresh")
    assert (await owner.tell("cameras"))[name]["thumbnail"] != before
    new = await picture(owner, name)
    assert new[:3] == b"\xff\xd8\xff"
    assert new != old


@every_camera
async def test_a_clip_is_recorded_and_listed(owner: Witness, world: World, name: str, tmp_path: Path) -> None:
    before = {clip.id for clip in world.account.clips}
    await owner.tell("record", name=name)
    (new,) = [clip for clip in world.account.clips if clip.id not in before]
    assert new.camera is camera(world.account, name)
    await owner.tell("refresh")
    assert (await owner.tell("cameras"))[name]["video"].endswith(new.path)
    await owner.tell("save_video", name=name, file=str(tmp_path / "new.mp4"))
    assert (tmp_path / "new.mp4").read_bytes() == new.film()


@pytest.mark.parametrize("name", ["Back Yard", "Hall"])
async def test_night_vision_is_set(owner: Witness, world: World, name: str) -> None:
    for value in ("off", "on", "auto"):
        assert await owner.tell("set_night_vision", name=name, value=value)
        await settled(world)
        told = await owner.tell("night_vision", name=name)
        assert told["illuminator_enable"] == value


async def test_what_the_owner_is_told_of_is_set(owner: Witness, world: World) -> None:
    assert await owner.tell("status") == world.account.notifications
    await owner.tell("set_status", flags={"low_battery": False})
    assert world.account.notifications["low_battery"] is False
    assert (await owner.tell("status"))["low_battery"] is False
    assert (await owner.tell("status"))["motion"] is True


async def test_a_module_does_one_thing_at_a_time(owner: Witness, world: World) -> None:
    world.rules.command_time = 5.0
    yard, jetty = camera(world.account, "Back Yard"), camera(world.account, "Jetty")
    first = await owner.tell("ask", path=f"/network/{yard.network.id}/camera/{yard.id}/thumbnail")
    second = await owner.tell("ask", path=f"/network/{yard.network.id}/camera/{yard.id}/clip")
    other = await owner.tell("ask", path=f"/network/{jetty.network.id}/camera/{jetty.id}/thumbnail")
    assert (first["status"], first["gave"]["command"]) == (200, "thumbnail")
    assert (second["status"], second["gave"]["code"]) == (409, 307)
    assert other["status"] == 200


async def test_a_module_that_is_away_is_offline_and_does_nothing(witness: Witness, world: World) -> None:
    module = network(world.account, "Lake House").sync_modules[0]
    module.online = False
    await witness.start(world.account)
    assert {name: system["online"] for name, system in (await witness.tell("systems")).items() if name != "Kitchen"} == {
        "Home": True,
        "Lake House": False,
    }
    jetty = camera(world.account, "Jetty")
    asked = await witness.tell("ask", path=f"/network/{jetty.network.id}/camera/{jetty.id}/disable")
    await settled(world)
    where = [jetty.network.id, asked["gave"]["id"]]
    told = await witness.tell("api", function="request_command_status", words=where)
    assert (told["gave"]["status_code"], told["gave"]["complete"]) == (908, False)
    assert jetty.enabled
