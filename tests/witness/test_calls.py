"""Every call that blinkpy knows is answered in the shape that is known of the real cloud."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

from blinkarchive.simulator import Account, World
from tests.witness.house import camera, house, network, settled
from tests.witness.shapes import STAMP, OneOf, misfits
from tests.witness.witness import Witness

TEXT = OneOf(str, None)
TIME = OneOf(STAMP, None)
NUMBER = OneOf(int, None)

ROW = {
    "id": int,
    "command": str,
    "network_id": int,
    "account_id": int,
    "sync_module_id": NUMBER,
    "camera_id": NUMBER,
    "created_at": STAMP,
    "updated_at": STAMP,
    "execute_time": STAMP,
    "state_stage": str,
    "state_condition": str,
    "stage_rest": STAMP,
    **dict.fromkeys(("stage_cs_db", "stage_cs_sent", "stage_sm", "stage_dev", "stage_is", "stage_lv", "stage_vs"), TIME),
    "target": str,
    "target_id": int,
    "attempts": int,
    "transaction": str,
    "player_transaction": str,
    "by_whom": str,
    "diagnostic": bool,
    "debug": str,
    "opts_1": int,
    "sm_ack": NUMBER,
    "lfr_ack": NUMBER,
    "sequence": NUMBER,
    "server": TEXT,
    "duration": NUMBER,
    "parent_command_id": NUMBER,
    "siren_id": NUMBER,
    "firmware_id": NUMBER,
}
"""A command, told in full."""

SHORT = {"id": int, "network_id": int, "command": str, "state": "new"}
PART = {"id": int, "network_id": int, "command": str, "state": str}
BARE = {"id": int, "network_id": int}

NETWORK = {
    "id": int,
    "name": str,
    "created_at": STAMP,
    "updated_at": STAMP,
    "network_key": str,
    "description": str,
    "network_origin": "normal",
    "locale": str,
    "time_zone": str,
    "dst": bool,
    "ping_interval": 60,
    "encryption_key": None,
    "armed": bool,
    "autoarm_geo_enable": bool,
    "autoarm_time_enable": bool,
    "lv_mode": "relay",
    "lfr_channel": int,
    "video_destination": "server",
    "storage_used": int,
    "storage_total": int,
    "video_count": int,
    "video_history_count": int,
    "sm_backup_enabled": bool,
    "arm_string": TEXT,
    "busy": bool,
    "camera_error": bool,
    "sync_module_error": bool,
}

SYNC_MODULE = {
    "id": int,
    "created_at": STAMP,
    "updated_at": STAMP,
    "last_activity": str,
    "name": str,
    "fw_version": str,
    "mac_address": TEXT,
    "ip_address": str,
    "lfr_frequency": NUMBER,
    "serial": str,
    "status": "online",
    "onboarded": True,
    "server": str,
    "last_hb": STAMP,
    "os_version": str,
    "last_wifi_alert": TIME,
    "wifi_alert_count": int,
    "last_offline_alert": TIME,
    "offline_alert_count": int,
    "table_update_sequence": int,
    "local_storage_enabled": bool,
    "last_backup_started": TIME,
    "last_backup_completed": TIME,
    "last_backfill_completed": TIME,
    "backfill_in_progress": OneOf(None, bool),
    "ring_device_id": TEXT,
    "first_boot": STAMP,
    "feature_plan_id": NUMBER,
    "account_id": int,
    "network_id": int,
    "country_id": str,
    "vo9_channel": int,
    "wifi_strength": int,
}

CAMERA_CONFIG = {
    "id": int,
    "name": str,
    "network_id": int,
    "type": str,
    "serial": str,
    "fw_version": str,
    "enabled": bool,
    "status": "done",
    "battery_state": str,
    "battery_voltage": int,
    "battery_check_time": STAMP,
    "temperature": int,
    "wifi_strength": int,
    "lfr_strength": int,
    "thumbnail": OneOf(str, int),
    "illuminator_enable": int,
    "mac_address": TEXT,
}

MINI_CONFIG = {
    "name": str,
    "updated_at": STAMP,
    "enabled": bool,
    "status": "online",
    "led_state": str,
    "video_quality": str,
    "clip_length": int,
    "clip_length_max": int,
    "retrigger_time": int,
    "motion_sensitivity": int,
    "motion_regions": int,
    "advanced_motion_regions": [int],
    "early_termination": bool,
    "night_vision_control": str,
    "illuminator_enable": OneOf("off", "on", "auto"),
    "illuminator_enable_v2": str,
    "illuminator_intensity": int,
    "record_audio_enable": bool,
    "volume_control": int,
    "wifi": int,
    "flip_video": bool,
    "local_storage_enabled": bool,
    "local_storage_compatible": bool,
}

SEEN_AT_HOME = {"id": int, "name": str, "type": str, "network_id": int, "serial": str, "fw_version": str, "enabled": bool}

HOMESCREEN = {
    "account": {"id": int, "email_verified": bool, "email_verification_required": bool, "amazon_account_linked": bool},
    "networks": [{"id": int, "name": str, "time_zone": str, "dst": bool, "armed": bool, "lv_save": bool, "updated_at": STAMP}],
    "sync_modules": [
        {
            "id": int,
            "onboarded": bool,
            "status": "online",
            "name": str,
            "serial": str,
            "fw_version": str,
            "type": str,
            "subtype": str,
            "last_hb": STAMP,
            "wifi_strength": int,
            "network_id": int,
            "enable_temp_alerts": bool,
            "local_storage_enabled": bool,
            "local_storage_compatible": bool,
            "local_storage_status": str,
            "revision": str,
        }
    ],
    "cameras": [
        SEEN_AT_HOME
        | {
            "thumbnail": str,
            "status": "done",
            "battery": "ok",
            "usage_rate": bool,
            "issues": list,
            "signals": {"lfr": int, "wifi": int, "temp": int, "battery": int},
            "snooze": bool,
            "snooze_time_remaining": NUMBER,
        }
    ],
    "owls": [SEEN_AT_HOME | {"thumbnail": str, "status": "online", "onboarded": True}],
    "doorbells": [SEEN_AT_HOME | {"thumbnail": str, "onboarded": True, "battery": str, "type": "lotus"}],
    "sirens": list,
    "chimes": list,
    "doorbell_buttons": list,
    "accessories": {"storm": list, "rosie": list},
    "video_stats": {"storage": int, "auto_delete_days": int, "auto_delete_day_options": [int]},
    "app_updates": {"message": "OK", "code": 103, "update_available": False, "update_required": False},
    "device_limits": {"camera": int, "total_devices": int},
    "whats_new": {"updated_at": int, "url": str},
    "subscriptions": {"updated_at": STAMP},
    "entitlements": {"updated_at": STAMP},
}

USER = {
    "id": int,
    "account_id": int,
    "email": str,
    "created_at": STAMP,
    "updated_at": STAMP,
    "name": str,
    "country_id": str,
    "locale": str,
    "owner": bool,
    "temp_units": str,
    "time_zone": str,
    "type": "regular",
    "verified": bool,
    "verification_required": bool,
}

CAMERA_USED = {"id": int, "name": str, "usage": int, "lv_seconds": int, "clip_seconds": int}
USED = {"network_id": int, "name": str, "cameras": OneOf([], [CAMERA_USED])}

SIGNALS = {"battery": int, "lfr": int, "temp": int, "wifi": int, "updated_at": STAMP}

ITEM = {
    "id": int,
    "created_at": STAMP,
    "updated_at": STAMP,
    "deleted": bool,
    "device": str,
    "device_id": int,
    "device_name": str,
    "network_id": int,
    "network_name": str,
    "type": "video",
    "source": str,
    "watched": bool,
    "partial": bool,
    "thumbnail": str,
    "media": str,
    "metadata": OneOf(None, dict),
    "additional_devices": list,
    "time_zone": str,
}

COMMAND = {
    "complete": bool,
    "status": 0,
    "status_msg": "Command succeeded",
    "status_code": 908,
    "commands": [ROW],
    "media_id": NUMBER,
}

TOKENS = {"access_token": str, "expires_in": 14400, "refresh_token": str, "scope": "client", "token_type": "Bearer"}

LIVE = {
    "command_id": int,
    "join_available": bool,
    "join_state": str,
    "server": str,
    "duration": int,
    "continue_interval": int,
    "continue_warning": int,
    "polling_interval": int,
    "submit_logs": bool,
    "new_command": bool,
    "media_id": NUMBER,
    "options": {"poor_connection": bool},
}

UPDATE_REQUIRED = {"message": "An app update is required"}
"""No code: the call is retired."""

DIGITS = re.compile("[0-9]+")

MANIFEST = {
    "version": "1.0",
    "manifest_id": DIGITS,
    "clips": [{"id": DIGITS, "size": DIGITS, "camera_name": re.compile(r"\w+"), "created_at": STAMP}],
}

ELSEWHERE = {
    "get_local_storage_manifest": "test_a_stick_answers_in_its_shapes",
    "http_get": "under every call that reads",
    "http_post": "under every call that writes",
    "oauth_authorize_request": "test_signing_in.py",
    "oauth_exchange_code_for_token": "test_signing_in.py",
    "oauth_get_authorization_code": "test_signing_in.py",
    "oauth_get_signin_page": "test_signing_in.py",
    "oauth_refresh_token": "test_signing_in.py",
    "oauth_signin": "test_signing_in.py",
    "oauth_verify_2fa": "test_signing_in.py",
    "request_camera_action": "under every call that asks a camera",
    "request_command_done": "test_a_command_is_followed_until_it_is_done",
    "request_command_status": "test_a_command_is_followed_until_it_is_done",
    "request_local_storage_clip": "test_a_stick_answers_in_its_shapes",
    "request_local_storage_manifest": "test_a_stick_answers_in_its_shapes",
    "request_login": "test_the_old_way_to_sign_in_is_closed",
    "request_logout": "test_signing_in.py",
    "wait_for_command": "test_a_command_is_followed_until_it_is_done",
}
"""Calls that are not in the table, and where else they are looked at."""


@dataclass(frozen=True, slots=True)
class Call:
    """A function of `blinkpy.api`, what it is called with, and what it gives."""

    function: str
    words: tuple[Any, ...]
    gives: Any
    #: Where blinkpy hands on the raw answer.
    status: int | None = None


NOT_WAITED_FOR = ("request_camera_liveview", "request_update_config", "request_floodlight")
"""blinkpy does not follow these commands to their end."""

TIER = "https://rest-prod.immedia-semi.com/api/v1/users/tier_info"
LESS = '{"motion_sensitivity": 4}'


def calls(account: Account) -> list[Call]:
    """All calls that ask for something at once; what needs an earlier answer has tests of its own."""
    home = network(account, "Home")
    yard, door, hall = (camera(account, name) for name in ("Back Yard", "Front Door", "Hall"))
    families = ((yard, "default"), (door, "doorbell"), (hall, "mini"))
    asked = (
        "request_new_image",
        "request_new_video",
        "request_motion_detection_disable",
        "request_motion_detection_enable",
    )
    summary = {str(home.id): {"name": "Home", "onboarded": True}}
    return [
        *(Call(name, (home.id, seen.id, family), OneOf(ROW, SHORT)) for name in asked for seen, family in families),
        *(Call("request_camera_liveview", (home.id, seen.id, family), LIVE) for seen, family in families),
        Call("request_tier", (TIER,), {"tier": account.tier, "account_id": account.id}),
        Call("request_networks", (), {"networks": [NETWORK | {"account_id": account.id}], "summary": summary}),
        Call("request_network_update", (home.id,), {"network": NETWORK | {"deleted_at": None, "lv_save": bool}}),
        Call("request_network_status", (home.id,), {"network": NETWORK | {"deleted_at": None}}),
        Call("request_syncmodule", (home.id,), {"syncmodule": SYNC_MODULE}),
        Call("request_user", (), USER),
        Call("request_system_disarm", (home.id,), SHORT | {"command": "disarm", "commands": [PART]}),
        Call("request_system_arm", (home.id,), SHORT | {"command": "arm", "commands": [PART]}),
        Call("request_notification_flags", (), {"notifications": dict.fromkeys(account.notifications, bool)}),
        Call(
            "request_set_notification_flag",
            ({"motion": False},),
            {"message": "Client Notification Configure Update Successful"},
            200,
        ),
        Call("request_homescreen", (), HOMESCREEN, 200),
        Call("request_sync_events", (home.id,), UPDATE_REQUIRED),
        Call("request_video_count", (), UPDATE_REQUIRED),
        Call("request_videos", (0, 1), {"limit": int, "purge_id": int, "refresh_count": 0, "media": [ITEM]}),
        Call("request_videos", (0, 99), {"media": []}),
        Call("request_cameras", (home.id,), {"dev": [CAMERA_CONFIG]}),
        Call("request_camera_info", (home.id, yard.id), {"camera": [CAMERA_CONFIG], "signals": SIGNALS}),
        Call("request_camera_usage", (), {"range_days": 7, "reference": {"usage": 400}, "networks": [USED]}),
        Call("request_camera_sensors", (home.id, yard.id), SIGNALS),
        Call("request_get_config", (home.id, hall.id, "owl"), MINI_CONFIG),
        Call("request_get_config", (home.id, yard.id, "catalina"), {"camera": [CAMERA_CONFIG]}),
        Call("request_update_config", (home.id, hall.id, "owl", LESS), OneOf(ROW, SHORT), 200),
        Call("request_update_config", (home.id, yard.id, "catalina", LESS), ROW | {"command": "config_set"}, 200),
        Call("request_floodlight", (home.id, hall.id, True), OneOf(ROW, SHORT)),
    ]


@pytest.fixture
def world() -> World:
    return house(local_clips=3)


@pytest.fixture
async def owner(witness: Witness, world: World) -> Witness:
    """A blinkpy that has signed in."""
    assert await witness.start(world.account) is True
    return witness


async def test_every_answer_has_its_shape(owner: Witness, world: World) -> None:
    wrong: list[str] = []
    for call in calls(world.account):
        said = await owner.tell("api", function=call.function, words=call.words)
        faults = misfits(call.gives, said["gave"])
        if said.get("status") != call.status:
            faults.append(f"its status is {said.get('status')}")
        wrong += [f"{call.function}{call.words}: {fault}" for fault in faults]
        if call.function in NOT_WAITED_FOR:
            await settled(world)
    assert not wrong, "\n".join(wrong)


async def test_blinkpy_has_no_call_that_nobody_looks_at(owner: Witness, world: World) -> None:
    known = {call.function for call in calls(world.account)} | set(ELSEWHERE)
    assert set(await owner.tell("calls")) - known == set()


async def test_a_stick_answers_in_its_shapes(owner: Witness, world: World) -> None:
    (module,) = network(world.account, "Home").sync_modules
    where = [module.network.id, module.id]
    asked = (await owner.tell("api", function="request_local_storage_manifest", words=where))["gave"]
    assert misfits(BARE, asked) == []
    told = (await owner.tell("api", function="get_local_storage_manifest", words=[*where, asked["id"]]))["gave"]
    assert misfits(MANIFEST, told) == []
    assert {clip["camera_name"] for clip in told["clips"]} <= {"BackYard", "Garage", "FrontDoor", "Hall"}
    clip = [*where, told["manifest_id"], told["clips"][0]["id"]]
    assert misfits(BARE, (await owner.tell("api", function="request_local_storage_clip", words=clip))["gave"]) == []


async def test_the_old_way_to_sign_in_is_closed(owner: Witness, world: World) -> None:
    login = {"username": world.account.username, "password": world.account.password}
    said = await owner.tell("api", function="request_login", words=["https://api.oauth.blink.com/oauth/token", login])
    assert (said["status"], said["gave"]["error"]) == (401, "unsupported_grant_type")


async def test_a_command_is_followed_until_it_is_done(owner: Witness, world: World) -> None:
    world.rules.command_time = 1.0
    yard = camera(world.account, "Back Yard")
    asked = (await owner.tell("ask", path=f"/network/{yard.network.id}/camera/{yard.id}/thumbnail"))["gave"]
    assert misfits(ROW | {"command": "thumbnail", "state_condition": "new", "stage_vs": None}, asked) == []
    where = [yard.network.id, asked["id"]]
    running = (await owner.tell("api", function="request_command_status", words=where))["gave"]
    assert misfits(COMMAND | {"complete": False}, running) == []
    assert await owner.tell("api", function="wait_for_command", words=[asked]) == {"gave": True}
    done = (await owner.tell("api", function="request_command_status", words=where))["gave"]
    assert misfits(COMMAND | {"complete": True, "commands": [ROW | {"state_condition": "done", "stage_vs": STAMP}]}, done) == []
    said = (await owner.tell("api", function="request_command_done", words=where))["gave"]
    assert said == {"message": f"Command {asked['id']} set to :done", "code": 902}
