"""What devices are asked to do: accepted at once, done later, one thing at a time."""

from __future__ import annotations

from typing import Any

import pytest

from blinkarchive.clock import ManualClock
from blinkarchive.simulator import Camera, World
from blinkarchive.simulator.plan import AccountPlan, CameraPlan, NetworkPlan, Rules, SyncModulePlan, WorldPlan
from tests.simulator.phone import Phone

BUSY = (409, {"message": "System is busy, please wait", "error": None, "code": 307})
ROW = {
    *("id", "created_at", "updated_at", "execute_time", "command", "state_stage", "stage_rest", "stage_cs_db", "stage_cs_sent"),
    *("stage_sm", "stage_dev", "stage_is", "stage_lv", "stage_vs", "state_condition", "sm_ack", "lfr_ack", "sequence"),
    *("attempts", "transaction", "player_transaction", "server", "duration", "by_whom", "diagnostic", "debug", "opts_1"),
    *("target", "target_id", "parent_command_id", "camera_id", "siren_id", "firmware_id", "network_id", "account_id"),
    "sync_module_id",
}


@pytest.fixture
def world(clock: ManualClock) -> World:
    """A house with one camera of each family beside a module, and a Mini that has none."""
    home = NetworkPlan(
        name="Home",
        sync_modules=(SyncModulePlan(name="Module"),),
        cameras=(
            CameraPlan(name="Yard"),
            CameraPlan(name="Kitchen", type="owl"),
            CameraPlan(name="Door", type="lotus"),
            CameraPlan(name="Drive", type="superior"),
        ),
    )
    shed = NetworkPlan(name="Shed", cameras=(CameraPlan(name="Bench", type="hawk"),))
    person = AccountPlan(username="a@example.org", password="x", clips=0, networks=(home, shed))
    return World(WorldPlan(accounts=(person,), rules=Rules(command_time=3.0)), clock)


def named(world: World, name: str) -> Camera:
    return next(camera for camera in world.account.cameras if camera.name == name)


def at(world: World, camera: Camera) -> str:
    """Where a camera is asked for something."""
    network = camera.network.id
    if camera.family == "cameras":
        return f"/network/{network}/camera/{camera.id}"
    return f"/api/v1/accounts/{world.account.id}/networks/{network}/{camera.family}/{camera.id}"


async def ask(phone: Phone, path: str, body: object = None) -> dict[str, Any]:
    """Ask a device for something, which must be accepted."""
    status, said = await phone.ask("POST", path, json=body)
    assert status == 200, said
    found: dict[str, Any] = said
    return found


async def state(phone: Phone, command: dict[str, Any]) -> dict[str, Any]:
    """How far a command has come."""
    status, said = await phone.ask("GET", f"/network/{command['network_id']}/command/{command['id']}")
    assert status == 200
    found: dict[str, Any] = said
    return found


async def carried_out(phone: Phone, clock: ManualClock, path: str, body: object = None) -> dict[str, Any]:
    """Ask for something, and wait for its end."""
    command = await ask(phone, path, body)
    clock.advance(3)
    return await state(phone, command)


async def test_a_network_is_armed_when_its_command_is_complete(phone: Phone, world: World, clock: ManualClock) -> None:
    home = world.account.networks[0]
    home.armed = False
    command = await ask(phone, f"/api/v1/accounts/{world.account.id}/networks/{home.id}/state/arm")
    assert (command["command"], command["state"], len(command["commands"])) == ("arm", "new", 4)
    assert command["id"] > 2**31
    clock.advance(2.9)
    running = await state(phone, command)
    assert (running["complete"], running["status"], running["status_code"]) == (False, 0, 908)
    assert not home.armed
    clock.advance(0.1)
    ended = await state(phone, command)
    assert (ended["complete"], ended["status"], ended["status_code"]) == (True, 0, 908)
    assert home.armed
    await carried_out(phone, clock, f"/api/v1/accounts/{world.account.id}/networks/{home.id}/state/disarm")
    assert not home.armed


async def test_a_network_whose_cameras_all_rest_is_not_armed(phone: Phone, world: World) -> None:
    shed = world.account.networks[1]
    named(world, "Bench").enabled = False
    path = f"/api/v1/accounts/{world.account.id}/networks/{shed.id}/state/arm"
    assert await phone.ask("POST", path) == (400, {"message": "No Cameras Enabled for Motion", "code": 304})


@pytest.mark.parametrize("name", ["Yard", "Door"])
async def test_a_camera_is_switched_off_and_on(phone: Phone, world: World, clock: ManualClock, name: str) -> None:
    camera = named(world, name)
    await carried_out(phone, clock, f"{at(world, camera)}/disable")
    assert not camera.enabled
    await carried_out(phone, clock, f"{at(world, camera)}/enable")
    assert camera.enabled


@pytest.mark.parametrize("name", ["Kitchen", "Bench", "Drive"])
async def test_a_wired_camera_is_switched_by_its_settings(phone: Phone, world: World, clock: ManualClock, name: str) -> None:
    camera = named(world, name)
    await carried_out(phone, clock, f"{at(world, camera)}/config", {"enabled": False})
    assert not camera.enabled
    assert (await phone.ask("GET", f"{at(world, camera)}/config"))[1]["enabled"] is False


@pytest.mark.parametrize("name", ["Yard", "Kitchen", "Door", "Bench"])
async def test_a_new_picture_has_another_address_and_another_content(
    phone: Phone, world: World, clock: ManualClock, name: str
) -> None:
    async def thumbnail() -> str:
        _, body = await phone.ask("GET", f"/api/v3/accounts/{world.account.id}/homescreen")
        found: str = next(c["thumbnail"] for f in ("cameras", "owls", "doorbells") for c in body[f] if c["name"] == name)
        return found

    before = await thumbnail()
    _, seen = await phone.fetch(before)
    await carried_out(phone, clock, f"{at(world, named(world, name))}/thumbnail")
    assert await thumbnail() != before
    status, now = await phone.fetch(await thumbnail())
    assert (status, now[:3]) == (200, b"\xff\xd8\xff")
    assert now != seen


async def test_battery_cameras_answer_with_a_whole_row_and_others_with_a_short_form(phone: Phone, world: World) -> None:
    row = await ask(phone, f"{at(world, named(world, 'Yard'))}/thumbnail")
    assert set(row) == ROW
    assert (row["command"], row["state_condition"], row["state_stage"]) == ("thumbnail", "new", "rest")
    short = await ask(phone, f"{at(world, named(world, 'Bench'))}/thumbnail")
    assert set(short) == {"id", "network_id", "command", "state"}


async def test_a_command_walks_through_its_stages_and_has_a_row(phone: Phone, world: World, clock: ManualClock) -> None:
    command = await ask(phone, f"{at(world, named(world, 'Yard'))}/thumbnail")
    stages = []
    for _ in range(8):
        [row] = (await state(phone, command))["commands"]
        assert set(row) == ROW
        stages.append(row["state_stage"])
        clock.advance(0.5)
    assert list(dict.fromkeys(stages)) == ["rest", "cs_db", "cs_sent", "sm", "dev", "vs"]
    assert row["state_condition"] == "done"
    stamps = [row[f"stage_{stage}"] for stage in ("rest", "cs_db", "cs_sent", "sm", "dev", "vs")]
    assert stamps == sorted(stamps)
    assert stamps[0] < stamps[-1]
    newer = f"/accounts/{world.account.id}/networks/{command['network_id']}/commands/{command['id']}"
    assert (await phone.ask("GET", newer))[1]["complete"] is True


@pytest.mark.parametrize(
    ("subscription", "stick", "kept"),
    [(True, "active", "cloud"), (False, "active", "stick"), (False, "unavailable", "nobody")],
)
async def test_a_recorded_clip_is_kept_by_the_cloud_or_the_stick_or_nobody(
    phone: Phone, world: World, clock: ManualClock, subscription: bool, stick: str, kept: str
) -> None:
    world.account.subscription = subscription
    [module] = world.account.sync_modules
    module.local_storage = stick
    command = await ask(phone, f"{at(world, named(world, 'Yard'))}/clip")
    assert not world.account.clips
    clock.advance(3)
    assert (await state(phone, command))["complete"]
    films = [clip.video for clip in world.account.clips]
    assert (films, len(module.stick.clips)) == {"cloud": ([True], 0), "stick": ([], 1), "nobody": ([False], 0)}[kept]


async def test_a_module_does_one_thing_at_a_time(phone: Phone, world: World, clock: ManualClock) -> None:
    yard, kitchen, bench = (at(world, named(world, name)) for name in ("Yard", "Kitchen", "Bench"))
    first = await ask(phone, f"{yard}/thumbnail")
    assert await phone.ask("POST", f"{kitchen}/thumbnail") == BUSY
    assert await phone.ask("POST", f"{yard}/disable") == BUSY
    await ask(phone, f"{bench}/thumbnail")  # has no module to share
    clock.advance(3)
    await ask(phone, f"{kitchen}/thumbnail")
    assert (await state(phone, first))["complete"]


async def test_a_module_may_let_one_command_wait_behind_another(phone: Phone, world: World, clock: ManualClock) -> None:
    world.rules.module_queue = 2
    yard, kitchen = named(world, "Yard"), named(world, "Kitchen")
    await ask(phone, f"{at(world, yard)}/disable")
    second = await ask(phone, f"{at(world, kitchen)}/config", {"enabled": False})
    assert await phone.ask("POST", f"{at(world, yard)}/enable") == BUSY
    clock.advance(3.1)
    await state(phone, second)
    assert (yard.enabled, kitchen.enabled) == (False, True)
    clock.advance(3)
    assert (await state(phone, second))["complete"]
    assert not kitchen.enabled


async def test_a_command_is_known_in_its_own_network_alone(phone: Phone, world: World) -> None:
    command = await ask(phone, f"{at(world, named(world, 'Yard'))}/thumbnail")
    shed = world.account.networks[1].id
    assert (await phone.ask("GET", f"/network/{shed}/command/{command['id']}"))[0] == 404


async def test_who_waits_no_longer_frees_the_module(phone: Phone, world: World) -> None:
    yard = at(world, named(world, "Yard"))
    command = await ask(phone, f"{yard}/thumbnail")
    done = f"/network/{command['network_id']}/command/{command['id']}/done/"
    assert await phone.ask("POST", done) == (200, {"message": f"Command {command['id']} set to :done", "code": 902})
    await ask(phone, f"{yard}/thumbnail")


async def test_a_module_that_is_away_accepts_and_never_ends(phone: Phone, world: World, clock: ManualClock) -> None:
    [module] = world.account.sync_modules
    module.online = False
    command = await ask(phone, f"{at(world, named(world, 'Yard'))}/disable")
    clock.advance(3_600)
    said = await state(phone, command)
    assert (said["complete"], said["status_code"]) == (False, 908)
    assert named(world, "Yard").enabled
    _, screen = await phone.ask("GET", f"/api/v3/accounts/{world.account.id}/homescreen")
    assert {camera["status"] for camera in screen["cameras"]} == {"offline"}
    assert {camera["name"] for camera in screen["owls"] if camera["status"] == "online"} == {"Bench"}
    module.online = True
    await ask(phone, f"{at(world, named(world, 'Yard'))}/disable")


async def test_a_command_can_fail_stall_lie_or_be_refused(phone: Phone, world: World, clock: ManualClock) -> None:
    yard = named(world, "Yard")
    for name in ("control.busy", "control.fail", "control.stall", "control.lie"):
        world.faults.add(name, camera="Yard")
    assert await phone.ask("POST", f"{at(world, yard)}/disable") == BUSY
    failed = await carried_out(phone, clock, f"{at(world, yard)}/disable")
    assert (failed["complete"], failed["status"], failed["status_code"], failed["status_msg"]) == (True, 1, 908, "Command failed")
    assert not (await carried_out(phone, clock, f"{at(world, yard)}/disable"))["complete"]
    clock.advance(60)
    assert (await carried_out(phone, clock, f"{at(world, yard)}/disable"))["status"] == 0
    assert yard.enabled
    await carried_out(phone, clock, f"{at(world, yard)}/disable")
    assert not yard.enabled


async def test_settings_are_read_as_they_were_written(phone: Phone, world: World, clock: ManualClock) -> None:
    yard, kitchen, door = (named(world, name) for name in ("Yard", "Kitchen", "Door"))
    command = await carried_out(phone, clock, f"{at(world, yard)}/update", {"illuminator_enable": 1, "name": "Garden"})
    assert command["commands"][0]["command"] == "config_set"
    _, body = await phone.ask("GET", f"{at(world, yard)}/config")
    [config] = body["camera"]
    assert (config["illuminator_enable"], config["name"], config["type"]) == (1, "Garden", "catalina")
    assert type(config["thumbnail"]) is int, "the time of the picture, and nothing of its address"
    assert {"battery", "lfr", "temp", "wifi"} <= set(body["signals"])
    await carried_out(phone, clock, f"{at(world, kitchen)}/config", {"illuminator_enable": "off"})
    for camera, lamp in ((kitchen, "off"), (door, "auto")):
        _, flat = await phone.ask("GET", f"{at(world, camera)}/config")
        assert (flat["name"], flat["illuminator_enable"], type(flat["fw_version"])) == (camera.name, lamp, float)
    status, said = await phone.ask("POST", f"{at(world, yard)}/update", data=b"not json")
    assert (status, said["message"]) == (400, "Invalid JSON")


async def test_a_camera_is_found_only_under_its_own_family(phone: Phone, world: World) -> None:
    kitchen = named(world, "Kitchen")
    for method, path in (("GET", "config"), ("POST", "thumbnail")):
        wrong = f"/network/{kitchen.network.id}/camera/{kitchen.id}/{path}"
        assert await phone.ask(method, wrong) == (400, {"code": 1630, "message": "Invalid Device Type"})


async def test_usage_lists_battery_cameras_alone(phone: Phone, world: World) -> None:
    _, body = await phone.ask("GET", "/api/v1/camera/usage")
    assert {n["name"]: [c["name"] for c in n["cameras"]] for n in body["networks"]} == {"Home": ["Yard"], "Shed": []}


async def test_signals_tell_how_warm_it_is(phone: Phone, world: World) -> None:
    named(world, "Yard").temperature = 23
    _, body = await phone.ask("GET", f"{at(world, named(world, 'Yard'))}/signals")
    assert (body["temp"], body["battery"], body["wifi"]) == (23, 3, 4)


async def test_a_network_says_what_it_is_and_changes_what_it_is_given(phone: Phone, world: World) -> None:
    home = world.account.networks[0]
    _, body = await phone.ask("POST", f"/network/{home.id}/update")
    assert (body["network"]["armed"], body["network"]["sync_module_error"]) == (True, False)
    assert (await phone.ask("GET", f"/network/{home.id}"))[1] == body
    await ask(phone, f"/network/{home.id}/update", {"name": "House", "lv_save": True})
    _, screen = await phone.ask("GET", f"/api/v3/accounts/{world.account.id}/homescreen")
    assert (screen["networks"][0]["name"], screen["networks"][0]["lv_save"]) == ("House", True)


async def test_a_networks_module_is_one_object_and_tells_nothing_of_its_stick(phone: Phone, world: World) -> None:
    home, shed = world.account.networks
    _, body = await phone.ask("GET", f"/network/{home.id}/syncmodules")
    assert (body["syncmodule"]["id"], body["syncmodule"]["network_id"]) == (home.sync_modules[0].id, home.id)
    assert "local_storage_status" not in body["syncmodule"]
    assert (await phone.ask("GET", f"/network/{shed.id}/syncmodules"))[0] == 404


async def test_a_camera_snoozes_only_while_it_watches(phone: Phone, world: World, clock: ManualClock) -> None:
    yard = named(world, "Yard")
    path = f"/api/v1/accounts/{world.account.id}/networks/{yard.network.id}/cameras/{yard.id}/snooze"
    await carried_out(phone, clock, path, {"snooze_time": 240})
    _, screen = await phone.ask("GET", f"/api/v3/accounts/{world.account.id}/homescreen")
    assert screen["cameras"][0]["snooze_time_remaining"] == 240
    yard.enabled = False
    assert (await phone.ask("POST", path, json={"snooze_time": 240}))[1]["code"] == 2805


async def test_a_floodlight_is_lit(phone: Phone, world: World, clock: ManualClock) -> None:
    await carried_out(phone, clock, f"{at(world, named(world, 'Drive'))}/lights/on")
    assert named(world, "Drive").settings["light"] == "on"


@pytest.mark.parametrize(("name", "version"), [("Yard", "v5"), ("Yard", "v6"), ("Kitchen", "v2"), ("Door", "v2")])
async def test_a_live_view_says_where_it_would_be(phone: Phone, world: World, name: str, version: str) -> None:
    camera = named(world, name)
    path = f"/api/{version}/accounts/{world.account.id}/networks/{camera.network.id}/{camera.family}/{camera.id}/liveview"
    said = await ask(phone, path, {"intent": "liveview", "motion_event_start_time": None})
    assert said["server"].startswith("immis://")
    assert (said["duration"], said["polling_interval"]) == (300, 15)
    assert (await phone.ask("GET", f"/network/{camera.network.id}/command/{said['command_id']}"))[0] == 200


async def test_nobody_reaches_anothers_house(phone: Phone, world: World, clock: ManualClock) -> None:
    other = World.from_seed(9, clips=0, clock=clock).account
    network, camera = other.networks[0].id, other.cameras[0].id
    for method, path in (
        ("GET", f"/network/{network}"),
        ("POST", f"/network/{network}/camera/{camera}/thumbnail"),
        ("GET", f"/network/{network}/command/1"),
        ("POST", f"/api/v1/accounts/{world.account.id}/networks/{network}/state/arm"),
    ):
        assert (await phone.ask(method, path))[0] == 404
    home = world.account.networks[0].id
    assert (await phone.ask("POST", f"/api/v1/accounts/1/networks/{home}/state/arm"))[0] == 401
    phone.tokens = {}
    assert (await phone.ask("POST", f"/network/{home}/update"))[0] == 401
