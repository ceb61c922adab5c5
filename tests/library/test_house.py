"""A house by name: what its cameras and modules say of themselves, what they are asked, and how it is kept up to date."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from blinkarchive.blink import Auth, Blink, BlinkCamera, Family, wire
from blinkarchive.clock import ManualClock
from blinkarchive.errors import ClipGone, LoginNeeded, ServerTrouble, SourceError
from blinkarchive.simulator import Running, Simulator, World
from blinkarchive.simulator.bodies import user
from blinkarchive.simulator.plan import AccountPlan, CameraPlan, NetworkPlan, SyncModulePlan, WorldPlan
from tests.library.conftest import Signing, camera

EVERY_FAMILY = ["Front Door (Home)", "Kitchen", "Drive", "Bell", "Front Door (Barn)", "Stable", "Bench"]


def truth(world: World, shown: BlinkCamera) -> Any:
    """The simulated camera that this one stands for."""
    return next(each for each in world.account.cameras if str(each.id) == shown.camera_id)


# What is there


async def test_everything_is_found_by_the_names_its_owner_gave(blink: Blink, world: World) -> None:
    assert list(blink.cameras) == EVERY_FAMILY
    assert list(blink.sync) == ["Home", "Barn", "Shed"]
    home, shed = blink.sync["home"], blink.sync["SHED"]
    assert home is blink.sync["Home Module"] is blink.sync[world.account.networks[0].id] is blink.sync[home.sync_id or 0]
    assert shed is blink.sync["Bench"]
    assert list(home.cameras) == ["Front Door", "Kitchen", "Drive", "Bell"]
    assert home.cameras["Front Door"] is blink.cameras["front door (home)"]
    assert blink.cameras[home.cameras["Front Door"].camera_id] is home.cameras["Front Door"]
    assert blink.network_ids == [str(each.id) for each in world.account.networks]
    assert blink.networks[blink.network_ids[2]] == {"name": "Shed", "onboarded": True}


async def test_what_a_module_says_of_itself(blink: Blink, world: World) -> None:
    home, shed = blink.sync["Home"], blink.sync["Shed"]
    assert home.attributes == {
        "name": "Home",
        "id": home.sync_id,
        "network_id": world.account.networks[0].id,
        "serial": home.serial,
        "version": "4.5.20",
        "status": "online",
        "region_id": "u011",
        "local_storage": True,
    }
    assert (home.available, home.network_name, bool(home.serial)) == (True, "Home", True)
    assert (shed.module, shed.sync_id, shed.serial, shed.version, shed.online) == (None, None, None, None, True)
    assert (shed.local_storage, shed.local_storage_manifest_ready) == (False, False)
    world.account.sync_modules[0].online = False
    await blink.refresh(force=True)
    assert (home.status, home.online) == ("offline", False)


async def test_what_a_battery_camera_says_of_itself(blink: Blink, world: World) -> None:
    shown = blink.cameras["Stable"]
    newest = next(clip for clip in world.account.clips if clip.camera is camera(world, "Stable", "Barn"))
    assert shown.attributes == {
        "name": "Stable",
        "camera_id": shown.camera_id,
        "serial": shown.serial,
        "version": "10.66",
        "temperature": 68,
        "temperature_unit": "F",
        "temperature_c": 20.0,
        "temperature_calibrated": 68,
        "battery": "ok",
        "battery_level": 3,
        "battery_voltage": 160,
        "thumbnail": shown.thumbnail,
        "video": newest.path,
        "recent_clips": [],
        "motion_enabled": True,
        "motion_detected": False,
        "wifi_strength": 4,
        "network_id": world.account.networks[1].id,
        "network": "Barn",
        "sync_module": "Barn",
        "sync_signal_strength": 5,
        "last_record": newest.created_at.isoformat(),
        "type": "sedona",
    }
    assert (shown.battery_state, shown.online, shown.arm, shown.camera_type) == ("ok", True, True, "default")
    assert shown.serial == "G8V100421317"
    assert json.dumps(shown.attributes)


async def test_a_wired_camera_has_no_battery_and_no_temperature(blink: Blink) -> None:
    mini, bell = blink.cameras["Kitchen"], blink.cameras["Bell"]
    assert (mini.camera_type, bell.camera_type) == ("mini", "doorbell")
    for key in ("battery", "battery_level", "battery_voltage", "temperature", "temperature_unit", "temperature_c"):
        assert mini.attributes[key] is None
    assert mini.wifi_strength is None
    assert (bell.battery, bell.battery_level, bell.temperature) == ("ok", 3, None)


@pytest.mark.parametrize(
    ("unit", "told", "celsius"),
    [("f", "F", 20.0), ("C", "C", 68.0), ("kelvin", None, None), ("", None, None), (None, None, None)],
)
async def test_a_temperature_is_in_the_unit_its_owner_has_chosen(
    signing: Signing, world: World, clock: ManualClock, unit: str | None, told: str | None, celsius: float | None
) -> None:
    world.account.second_factor = "none"
    body = {**user(world.account, clock.now()), "temp_units": unit}
    world.faults.add("owner.json-error", body=json.dumps(body))
    blink = Blink(auth=signing())
    await blink.start()
    shown = blink.cameras["Stable"]
    assert (shown.temperature, shown.temperature_unit, shown.temperature_c) == (68, told, celsius)


async def test_an_owner_who_cannot_be_read_costs_the_unit_alone(signing: Signing, world: World) -> None:
    world.account.second_factor = "none"
    world.faults.add("owner.status", status=500)
    world.faults.add("device.status", status=500, camera="Stable")
    blink = Blink(auth=signing())
    assert await blink.start()
    assert (blink.temperature_unit, blink.cameras["Stable"].battery_voltage) == (None, None)
    assert blink.cameras["Drive"].temperature_c is None


NO_END_OF_THE_JOB = (400, 401, 403, 404, 406, 409, 410, 426, 429, 500)


@pytest.mark.parametrize("status", NO_END_OF_THE_JOB)
async def test_an_owner_whose_page_is_refused_costs_the_unit_alone(signing: Signing, world: World, status: int) -> None:
    world.account.second_factor = "none"
    world.faults.add("owner.status", status=status, times=0)
    blink = Blink(auth=signing())
    assert await blink.start()
    assert (list(blink.cameras), blink.temperature_unit) == (EVERY_FAMILY, None)


@pytest.mark.parametrize("status", NO_END_OF_THE_JOB)
async def test_a_camera_whose_settings_are_refused_costs_them_alone(
    signing: Signing, world: World, cloud: Running, status: int
) -> None:
    world.account.second_factor = "none"
    world.faults.add("device.status", status=status, times=0, camera="Front Door")
    blink = Blink(auth=signing())
    assert await blink.start()
    assert await blink.refresh(force=True)
    assert list(blink.cameras) == EVERY_FAMILY
    assert blink.cameras["Front Door (Home)"].battery_voltage is None
    asked_no_more = status in (401, 429)  # it would be the same with every other camera
    assert blink.cameras["Stable"].battery_voltage == (None if asked_no_more else 160)
    assert len(cloud.seen("GET", "/config")) == {401: 4, 403: 4, 429: 2}.get(status, 6)
    for _ in range(3):
        assert await blink.refresh(force=True), "the pause after refused details holds up nothing else"


ODD: list[dict[str, Any]] = [
    {"cameras": [{"id": 77, "network_id": 1, "name": None, "type": 9, "signals": "none", "enabled": "yes"}]},
    {"cameras": [{"name": "without an id"}, 5, None, "text"]},
    {"cameras": None, "owls": {"a": 1}, "doorbells": "none"},
    {"cameras": [{"id": 77, "network_id": 1, "type": "quantum", "status": "asleep", "thumbnail": 1700000000}]},
    {"hovercrafts": [{"id": 1}], "accessories": None, "sirens": [{}], "app_updates": {"code": 105}},
    {"sync_modules": [{"id": 3}, {"id": 4, "network_id": 1, "name": 4, "local_storage_status": None, "last_hb": "never"}]},
    {"networks": [{"id": 1, "name": None}, {"id": "x"}, {"id": 1, "name": "again"}]},
    {"owls": [{"id": 9, "network_id": 888, "name": ""}], "cameras": [{"id": 9, "network_id": 888, "name": ""}]},
]


async def test_a_doorbell_among_the_buttons_is_a_doorbell(signing: Signing, world: World) -> None:
    world.account.second_factor = "none"
    bell = camera(world, "Bell")
    bell.listed_in = "doorbell_buttons"
    async with Blink(auth=signing()) as blink:
        await blink.start()
        assert sorted(blink.cameras) == sorted(EVERY_FAMILY)
        assert blink.cameras["Bell"].camera_type == "doorbell"
        assert await blink.cameras["Bell"].snap_picture()
        assert await blink.cameras["Bell"].async_arm(False)
    assert not bell.enabled


async def test_a_device_of_a_list_that_nobody_knows_is_shown_and_not_controlled(
    signing: Signing, world: World, cloud: Running
) -> None:
    world.account.second_factor = "none"
    camera(world, "Kitchen").listed_in = "hovercrafts"
    async with Blink(auth=signing()) as blink:
        await blink.start()
        assert sorted(blink.cameras) == sorted(EVERY_FAMILY)
        shown = blink.cameras["Kitchen"]
        assert (shown.camera_type, shown.product_type, shown.online) == ("unknown", "owl", True)
        assert shown.image_from_cache
        assert shown.last_record
        cloud.log.clear()
        for ask in (shown.snap_picture, shown.record, shown.get_liveview, shown.read_settings, lambda: shown.async_arm(True)):
            with pytest.raises(SourceError, match=r"Kitchen.*cannot control; its clips are archived"):
                await ask()
    assert not cloud.log, "nothing is sent to an invented address"


def test_what_is_a_camera_on_a_homescreen() -> None:
    device = {"id": 1, "network_id": 9, "name": "A"}
    body = {
        "networks": None,
        "doorbells": [device],
        "doorbell_buttons": [device | {"type": "lotus"}, device | {"id": 2}, {"id": 3}],
        "sirens": [device | {"id": 4}],
        "chimes": [device | {"id": 5}],
        "subscriptions": [{"plan": "free"}],
        "sonorans": [device | {"id": 6, "type": "sonoran"}, device, device | {"id": 7, "name": ""}, {"id": 8, "name": "B"}, 5],
        "devices": {"a": device | {"id": 10}},
    }
    home = wire.homescreen(json.dumps(body).encode())
    assert [(one.id, one.family, one.type) for one in home.cameras] == [
        (1, Family.DOORBELL, ""),
        (2, Family.DOORBELL, ""),
        (6, Family.OTHER, "sonoran"),
    ]
    assert (home.networks, [bad.item for bad in home.malformed]) == ((), ["3"])


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
async def test_nothing_a_homescreen_says_breaks_the_start(signing: Signing, world: World, odd: dict[str, Any]) -> None:
    world.account.second_factor = "none"
    body = {"networks": [{"id": 1, "name": "Home"}], "owls": [{"id": 5, "network_id": 1, "name": "Mini", "type": "owl"}], **odd}
    world.faults.add("homescreen.json-error", times=0, body=json.dumps(body))
    blink = Blink(auth=signing())
    assert await blink.start()
    assert await blink.refresh(force=True)
    if "owls" not in odd:
        assert blink.cameras["Mini"].name == "Mini"
    for each in blink.cameras.values():
        assert json.dumps(each.attributes)
        assert isinstance(each.online, bool)
    for module in blink.sync.values():
        assert json.dumps(module.attributes)
    if odd is ODD[7]:
        assert [each.camera_type for each in blink.cameras.values()] == ["default", "mini"]


async def test_a_homescreen_that_is_none_is_an_error(signing: Signing, world: World) -> None:
    world.account.second_factor = "none"
    world.faults.add("homescreen.json-error", times=0, body='{"message": "An app update is required"}')
    with pytest.raises(ServerTrouble, match="An app update is required"):
        await Blink(auth=signing()).start()


async def test_minis_are_left_out_on_request(signing: Signing, world: World) -> None:
    world.account.second_factor = "none"
    blink = Blink(no_owls=True, auth=signing())
    await blink.start()
    assert list(blink.cameras) == ["Front Door (Home)", "Bell", "Front Door (Barn)", "Stable"]


@pytest.fixture
async def two_modules(clock: ManualClock) -> AsyncIterator[tuple[Blink, World]]:
    """A network with two modules, and one with none and no cameras."""
    modules = (SyncModulePlan(name="Cellar", clips=2), SyncModulePlan(name="Attic", clips=3))
    home = NetworkPlan(name="Home", sync_modules=modules, cameras=(CameraPlan(name="Hall"),))
    person = AccountPlan(
        username="o@example.org", password="x", second_factor="none", networks=(home, NetworkPlan(name="Land")), clips=0
    )
    world = World(WorldPlan(until=clock.now(), clip_bytes=(8000, 9000), accounts=(person,)), clock)
    async with Simulator(world).serving() as cloud:
        auth = Auth({"username": "o@example.org", "password": "x"}, api_url=cloud.url, oauth_url=cloud.url, clock=clock)
        blink = Blink(auth=auth)
        await blink.start()
        yield blink, world


async def test_each_module_of_a_network_is_there_with_its_stick(two_modules: tuple[Blink, World]) -> None:
    blink, world = two_modules
    assert list(blink.sync) == ["Home (Cellar)", "Home (Attic)", "Land"]
    cellar, attic = blink.sync["Cellar"], blink.sync["attic"]
    assert [len(await each.update_local_storage_manifest()) for each in (cellar, attic)] == [2, 3]
    assert (list(cellar.cameras), list(attic.cameras), list(blink.cameras)) == (["Hall"], [], ["Hall"])
    for several in ("Home", world.account.networks[0].id):
        with pytest.raises(KeyError, match="several"):
            blink.sync[several]
    await attic.async_arm(False)
    assert (cellar.arm, attic.arm, blink.sync["Land"].arm) == (False, False, True)


async def test_a_network_without_a_module_has_no_stick(two_modules: tuple[Blink, World]) -> None:
    blink, _ = two_modules
    with pytest.raises(SourceError, match="Land: a network without a sync module has no stick"):
        await blink.sync["Land"].update_local_storage_manifest()


async def test_a_renamed_camera_stays_the_same_object(blink: Blink, world: World) -> None:
    kept, module = blink.cameras["Bell"], blink.sync["Home"]
    camera(world, "Bell").name = "Gate"
    world.account.networks[0].name = "Villa"
    await blink.refresh(force=True)
    assert blink.cameras["Gate"] is kept
    assert (kept.name, module.name, kept.sync) == ("Gate", "Villa", module)
    assert blink.sync["Villa"] is module
    assert "Bell" not in blink.cameras
    assert next(iter(blink.cameras)) == "Front Door (Villa)"


async def test_a_camera_comes_and_goes(blink: Blink, world: World) -> None:
    barn = world.account.networks[1]
    gone = barn.cameras.pop()
    await blink.refresh(force=True)
    assert "Stable" not in blink.cameras
    barn.cameras.append(gone)
    await blink.refresh(force=True)
    assert blink.cameras["Stable"].sync is blink.sync["Barn"]


# What is asked of it


@pytest.mark.parametrize("name", EVERY_FAMILY)
async def test_a_camera_of_any_family_is_armed_and_disarmed(blink: Blink, world: World, name: str) -> None:
    shown = blink.cameras[name]
    for on in (False, True):
        assert await shown.async_arm(on)
        assert (shown.arm, shown.motion_enabled, truth(world, shown).enabled) == (on, on, on)
    await shown.set_motion_detect(False)
    assert not truth(world, shown).enabled


@pytest.mark.parametrize("name", ["Home", "Barn", "Shed"])
async def test_a_network_is_armed_and_disarmed(blink: Blink, world: World, name: str) -> None:
    network = next(each for each in world.account.networks if each.name == name)
    for on in (False, True):
        assert await blink.sync[name].async_arm(on)
        assert network.armed is on
        if name != "Shed":
            assert blink.sync[name].arm is on
    assert world.account.networks[0].armed


async def test_a_network_of_minis_alone_is_armed_as_its_cameras_are(blink: Blink) -> None:
    assert blink.sync["Shed"].arm
    await blink.cameras["Bench"].async_arm(False)
    assert not blink.sync["Shed"].arm


@pytest.mark.parametrize("name", EVERY_FAMILY)
async def test_a_new_picture_is_there_when_it_was_taken(blink: Blink, world: World, tmp_path: Path, name: str) -> None:
    shown = blink.cameras[name]
    before, address = shown.image_from_cache, shown.thumbnail
    assert before is not None
    assert await shown.snap_picture()
    assert shown.image_from_cache != before
    assert shown.thumbnail != address
    await shown.image_to_file(tmp_path / "new folder" / "picture.jpg")
    assert (tmp_path / "new folder" / "picture.jpg").read_bytes() == shown.image_from_cache
    media = await shown.get_media()
    assert (media.status, await media.read()) == (200, shown.image_from_cache)


async def test_a_recorded_clip_comes_in(blink: Blink, world: World, clock: ManualClock, tmp_path: Path) -> None:
    bell = blink.cameras["Bell"]
    assert await bell.record()
    clock.advance(30)
    await blink.refresh()
    newest = world.account.clips[0]
    assert bell.clip == newest.path
    assert bell.video_from_cache == newest.film()
    await bell.video_to_file(str(tmp_path / "clip.mp4"))
    assert (tmp_path / "clip.mp4").read_bytes() == newest.film()
    assert await (await bell.get_media("video")).read() == newest.film()
    async with bell.open_video() as body:
        assert (body.length, body.type) == (len(newest.film()), "video/mp4")


async def test_a_camera_without_a_clip_says_so(signing: Signing, world: World, tmp_path: Path) -> None:
    world.account.second_factor = "none"
    for clip in world.account.clips:
        world.account.remove_clip(clip)
    blink = Blink(auth=signing())
    await blink.start()
    bell = blink.cameras["Bell"]
    assert (bell.clip, bell.last_record, bell.video_from_cache) == (None, None, None)
    with pytest.raises(ClipGone, match="'Bell' has no clip that is known"):
        await bell.video_to_file(tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


async def test_night_vision_is_one_word_for_every_family(blink: Blink, world: World) -> None:
    for name, sent in (("Front Door (Home)", 1), ("Kitchen", "on"), ("Bell", "on")):
        shown = blink.cameras[name]
        assert (await shown.night_vision)["illuminator_enable"] == "auto"
        assert await shown.async_set_night_vision("on")
        assert truth(world, shown).settings["illuminator_enable"] == sent
        assert (await shown.night_vision)["illuminator_enable"] == "on"
        with pytest.raises(ValueError, match="off, on, auto"):
            await shown.async_set_night_vision("dim")


async def test_settings_and_a_floodlight(blink: Blink, world: World) -> None:
    drive = blink.cameras["Drive"]
    assert not drive.floodlight_enabled
    assert await drive.async_set_floodlight(True)
    assert (drive.floodlight_enabled, truth(world, drive).settings["light"]) == (True, "on")
    await drive.configure(motion_sensitivity=3)
    assert (await drive.read_settings()).values["motion_sensitivity"] == 3


async def test_what_the_owner_is_told_of_can_be_changed(blink: Blink, world: World) -> None:
    assert (await blink.get_status())["motion"] is True
    await blink.set_status({"motion": False})
    assert (await blink.get_status())["motion"] is False
    assert world.account.notifications["low_battery"] is True


# How it is kept up to date


async def test_it_is_refreshed_no_more_often_than_its_rate(blink: Blink, clock: ManualClock, cloud: Running) -> None:
    assert await blink.refresh()
    cloud.log.clear()
    clock.advance(29)
    assert not await blink.refresh()
    assert (blink.check_if_ok_to_update(), list(cloud.log)) == (False, [])
    clock.advance(1)
    assert await blink.refresh()
    assert blink.last_refresh == int(clock.now().timestamp())
    assert await blink.refresh(force=True)
    assert await blink.refresh(force_cache=True)
    blink.refresh_rate = 300
    clock.advance(299)
    assert not await blink.refresh()


async def test_a_refresh_fetches_what_is_new_and_nothing_else(
    blink: Blink, world: World, clock: ManualClock, cloud: Running
) -> None:
    await blink.refresh()
    cloud.log.clear()
    clock.advance(60)
    await blink.refresh()
    assert {exchange.path.rpartition("/")[2] for exchange in cloud.log} == {"homescreen", "changed"}
    cloud.log.clear()
    clip = world.account.add_clip(camera(world, "Bell"), size=9000)
    clock.advance(60)
    await blink.refresh()
    assert [exchange.path for exchange in cloud.seen("GET", ".mp4")] == [clip.path]
    assert len(cloud.seen("GET", "thumbnail.jpg")) == 1
    cloud.log.clear()
    await blink.refresh(force=True)
    filmed = {clip.camera for clip in world.account.clips}
    assert len(cloud.seen("GET", ".mp4")) == len(filmed)
    assert len(cloud.seen("GET", ".jpg")) == 7


async def test_a_motion_is_seen_for_as_long_as_was_asked_for(blink: Blink, world: World, clock: ManualClock) -> None:
    blink.motion_interval = 5
    bell = blink.cameras["Bell"]
    clock.advance(60)
    world.account.add_clip(camera(world, "Bell"), size=9000)
    await blink.refresh()
    assert (bell.motion_detected, blink.cameras["Kitchen"].motion_detected) == (True, False)
    clock.advance(240)
    await blink.refresh()
    assert bell.motion_detected
    clock.advance(90)
    await blink.refresh()
    assert not bell.motion_detected


async def test_in_a_disarmed_network_nothing_moves(blink: Blink, world: World, clock: ManualClock) -> None:
    await blink.sync["Home"].async_arm(False)
    world.account.add_clip(camera(world, "Bell"), size=9000, source="liveview")
    clock.advance(60)
    await blink.refresh()
    assert not blink.cameras["Bell"].motion_detected
    assert len(blink.cameras["Bell"].recent_clips) == 1


async def test_a_clip_that_is_written_still_comes_in_when_it_is_whole(blink: Blink, world: World, clock: ManualClock) -> None:
    clip = world.account.add_clip(camera(world, "Bell"), size=9000, partial=True)
    clock.advance(60)
    await blink.refresh()
    assert blink.cameras["Bell"].recent_clips == []
    world.account.change(clip, partial=False)
    clock.advance(60)
    await blink.refresh()
    assert [each["clip"] for each in blink.cameras["Bell"].recent_clips] == [clip.path]
    clock.advance(60)
    await blink.refresh()
    assert len(blink.cameras["Bell"].recent_clips) == 1


@pytest.mark.parametrize("wrong_by", [timedelta(days=-400), timedelta(days=2)])
async def test_a_clip_comes_in_whatever_the_clock_of_this_machine_says(
    signing: Signing, world: World, clock: ManualClock, wrong_by: timedelta
) -> None:
    """A small machine may start without knowing the time."""
    world.account.second_factor = "none"
    world.rules.page_size = 5
    ours = ManualClock(clock.now() + wrong_by)
    blink = Blink(auth=signing(clock=ours))
    await blink.start()
    await blink.refresh()
    assert not any(each.recent_clips for each in blink.cameras.values())
    clip = world.account.add_clip(camera(world, "Bell"), size=9000)
    ours.advance(60)
    await blink.refresh()
    assert [each["clip"] for each in blink.cameras["Bell"].recent_clips] == [clip.path]
    assert blink.cameras["Bell"].motion_detected


async def test_a_clip_that_is_written_at_the_start_comes_in_afterwards(
    signing: Signing, world: World, clock: ManualClock
) -> None:
    world.account.second_factor = "none"
    clip = world.account.add_clip(camera(world, "Bell"), size=9000, partial=True)
    blink = Blink(auth=signing())
    await blink.start()
    world.account.change(clip, partial=False)
    clock.advance(60)
    await blink.refresh()
    assert [each["clip"] for each in blink.cameras["Bell"].recent_clips] == [clip.path]


async def test_the_first_clip_of_an_account_comes_in(signing: Signing, world: World, clock: ManualClock) -> None:
    world.account.second_factor = "none"
    for clip in world.account.clips:
        world.account.remove_clip(clip)
    blink = Blink(auth=signing())
    await blink.start()
    await blink.refresh()
    world.account.add_clip(camera(world, "Bell"), size=9000)
    clock.advance(60)
    await blink.refresh()
    assert blink.cameras["Bell"].motion_detected


async def test_recent_clips_are_forgotten_one_by_one(
    blink: Blink, world: World, clock: ManualClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bell = blink.cameras["Bell"]
    gone, torn, good = (
        world.account.add_clip(camera(world, "Bell"), created_at=clock.now() + timedelta(seconds=n), size=9000) for n in range(3)
    )
    clock.advance(60)
    await blink.refresh()
    world.account.change(gone, deleted=True)
    world.faults.add("media.cut", clip=torn.id)
    with caplog.at_level(logging.WARNING):
        [saved] = await bell.save_recent_clips(tmp_path)
    assert saved.read_bytes() == good.film()
    assert [each["clip"] for each in bell.recent_clips] == [torn.path]
    assert caplog.text.count("could not be saved") == 2
    assert len(await bell.save_recent_clips(tmp_path)) == 1
    assert bell.recent_clips == []


async def test_old_recent_clips_are_forgotten_on_request(blink: Blink, world: World, clock: ManualClock) -> None:
    bell = blink.cameras["Bell"]
    for _ in range(2):
        world.account.add_clip(camera(world, "Bell"), size=9000)
        clock.advance(3000)
        await blink.refresh()
    assert len(bell.recent_clips) == 2
    await bell.expire_recent_clips()
    assert len(bell.recent_clips) == 1
    await bell.expire_recent_clips(timedelta(minutes=1))
    assert bell.recent_clips == []


async def test_a_camera_remembers_a_hundred_recent_clips(blink: Blink, world: World, clock: ManualClock) -> None:
    for n in range(103):
        world.account.add_clip(camera(world, "Bell"), created_at=clock.now() + timedelta(seconds=n), size=9000)
    newest = world.account.clips[0]
    clock.advance(600)
    await blink.refresh()
    recent = blink.cameras["Bell"].recent_clips
    assert (len(recent), recent[-1]["clip"]) == (100, newest.path)


async def test_a_caller_who_gives_up_takes_no_other_with_them(blink: Blink, world: World, clock: ManualClock) -> None:
    world.faults.add("homescreen.hang")
    patient, hasty = asyncio.create_task(blink.refresh(force=True)), asyncio.create_task(blink.refresh())
    while not world.faults.count("homescreen.hang"):
        await asyncio.sleep(0.01)
    hasty.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hasty
    assert not patient.done()
    patient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await patient
    assert await blink.refresh(force=True)


async def test_a_first_caller_who_gives_up_leaves_the_refresh_to_the_second(blink: Blink, world: World) -> None:
    world.faults.add("homescreen.delay", seconds=1)
    first, second = asyncio.create_task(blink.refresh(force=True)), asyncio.create_task(blink.refresh())
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await second


async def test_a_picture_or_a_clip_that_cannot_be_had_spoils_no_refresh(blink: Blink, world: World, clock: ManualClock) -> None:
    world.account.add_clip(camera(world, "Bell"), size=9000)
    world.faults.add("thumbnail.status", status=500, times=0)
    world.faults.add("media.status", status=404, times=0)
    clock.advance(60)
    before = blink.cameras["Bell"].image_from_cache
    assert await blink.refresh(force=True)
    assert blink.cameras["Bell"].image_from_cache == before
    world.faults.clear()
    clock.advance(60)
    assert await blink.refresh()
    assert blink.cameras["Bell"].video_from_cache == world.account.clips[0].film()


@pytest.mark.parametrize(("status", "asked"), [(403, 7), (406, 7), (426, 7), (429, 1)])
async def test_pictures_that_are_refused_end_no_refresh(
    blink: Blink, world: World, clock: ManualClock, status: int, asked: int
) -> None:
    """A throttle is not asked for six pictures more."""
    world.faults.add("thumbnail.status", status=status, times=0)
    world.account.networks[0].armed = False
    assert await blink.refresh(force=True)
    assert world.faults.count("thumbnail.status") == asked
    assert not blink.sync["Home"].arm


@pytest.mark.parametrize("status", [406, 426, 500])
async def test_a_new_picture_that_cannot_be_fetched_is_an_error_of_who_wants_it(blink: Blink, world: World, status: int) -> None:
    world.faults.add("thumbnail.status", status=status, times=0)
    with pytest.raises(SourceError):
        await blink.cameras["Bell"].snap_picture()


async def test_a_sign_in_that_ends_in_the_middle_is_no_line_in_a_log(blink: Blink, world: World) -> None:
    world.signins.revoke_refresh_tokens()
    world.faults.add("thumbnail.status", status=401, times=0)
    with pytest.raises(LoginNeeded):
        await blink.refresh(force=True)


async def test_a_house_that_was_never_started_is_read_by_its_first_refresh(signing: Signing, blink: Blink) -> None:
    house = Blink(auth=signing(blink.auth.login_attributes))
    assert not house.available
    assert await house.refresh()
    assert (house.available, list(house.cameras)) == (True, EVERY_FAMILY)


async def test_a_page_that_nobody_can_read_is_not_the_end_of_the_list(blink: Blink, world: World, clock: ManualClock) -> None:
    await blink.start()
    world.rules.page_size = 1
    whole = world.account.add_clip(camera(world, "Kitchen"), created_at=clock.now())
    strange = world.account.add_clip(camera(world, "Bell"), created_at=clock.now() + timedelta(seconds=9))
    strange.instead = {"id": "nobody knows"}
    await blink.refresh(force=True)
    assert blink.cameras["Kitchen"].last_record == whole.created_at.isoformat()
