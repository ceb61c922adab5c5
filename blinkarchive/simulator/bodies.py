"""The cloud's bodies: what it says of a house's devices, and of what they were asked to do."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from blinkarchive.simulator.commands import STAGES, Command
from blinkarchive.simulator.devices import Camera, Network, SyncModule
from blinkarchive.simulator.plan import ManifestTimes
from blinkarchive.simulator.stick import LocalClip, Manifest
from blinkarchive.simulator.world import Account

Body = dict[str, Any]

_INSTALLED = "2022-03-06T18:05:40+00:00"
AUTO_DELETE_DAYS = (3, 7, 14, 30, 60)
_CLIENT = "unknown - 51.0 (29426569)"
_OLD = ("white", "xt", "xt2")
_ENABLED = {"arm": "enable", "disarm": "disable"}


def stamp(when: datetime) -> str:
    """A time as the cloud writes it: UTC, whole seconds."""
    return when.astimezone(UTC).isoformat(timespec="seconds")


def homescreen(account: Account, now: datetime) -> Body:
    """The homescreen's body."""
    modules = [module for network in account.networks for module in network.sync_modules]
    devices: dict[str, list[Body]] = {"cameras": [], "owls": [], "doorbells": [], "doorbell_buttons": []}
    for camera in account.cameras:
        device = _device(account, camera, now) | _OF_A_FAMILY[camera.family](camera)
        devices.setdefault(camera.listed_in or camera.family, []).append(device)
    return {
        "account": {
            "id": account.id,
            "email_verified": True,
            "email_verification_required": True,
            "amazon_account_linked": False,
        },
        "networks": [_network(network, now) for network in account.networks],
        "sync_modules": [_sync_module(module, now) for module in modules],
        **devices,
        "sirens": [],
        "chimes": [],
        "video_stats": {
            "storage": 2,
            "auto_delete_days": account.auto_delete_days,
            "auto_delete_day_options": [*AUTO_DELETE_DAYS],
        },
        "app_updates": {"message": "OK", "code": 103, "update_available": False, "update_required": False},
        "device_limits": {
            "camera": 10,
            "chime": 5,
            "doorbell": 10,
            "doorbell_button": 2,
            "owl": 10,
            "siren": 5,
            "total_devices": 20,
        },
        "whats_new": {"updated_at": 20210208, "url": "https://updates.blinkforhome.com/"},
        "subscriptions": {"updated_at": "2023-11-07T01:48:59+00:00"},
        "entitlements": {"updated_at": "2023-11-07T01:48:59+00:00"},
        "tiv_lock_enable": True,
        "tiv_lock_status": {"locked": True},
        "accessories": {"storm": [], "rosie": []},
    }


def camera_thumbnail(account: Account, camera: Camera) -> str:
    """Where a camera's picture is: the old form, without `.jpg`, for old cameras; else the new one."""
    if camera.type in _OLD:
        network = camera.network.id
        name = camera.pictured_at.strftime("clip_x_%Y_%m_%d__%H_%M_%S")
        return f"/media/production/account/{account.id}/network/{network}/camera/{camera.id}/{name}"
    house = f"/api/v3/media/accounts/{account.id}/networks/{camera.network.id}"
    return f"{house}/{camera.type}/{camera.id}/thumbnail/thumbnail.jpg?ts={int(camera.pictured_at.timestamp())}&ext="


def _bare_thumbnail(account: Account, camera: Camera) -> str | int:
    """A camera's picture as its settings tell it: of all but old cameras, the time alone."""
    return camera_thumbnail(account, camera) if camera.type in _OLD else int(camera.pictured_at.timestamp())


def _network(network: Network, now: datetime) -> Body:
    return {
        "id": network.id,
        "name": network.name,
        "created_at": _INSTALLED,
        "updated_at": stamp(now),
        "time_zone": network.time_zone,
        "dst": True,
        "armed": network.armed,
        "lv_save": False,
    } | _settings(network, "name", "lv_save", "time_zone", "dst")


def _sync_module(module: SyncModule, now: datetime) -> Body:
    storage = module.local_storage if module.listed_storage is None else module.listed_storage
    return {
        "id": module.id,
        "name": module.name,
        "type": "sm2",
        "subtype": "vinnie",
        "network_id": module.network.id,
        "created_at": _INSTALLED,
        "updated_at": stamp(now),
        "onboarded": True,
        "status": "online" if module.online else "offline",
        "serial": _serial("T", module.id),
        "fw_version": "4.5.20",
        "last_hb": stamp(now),
        "wifi_strength": 4,
        "enable_temp_alerts": True,
        "local_storage_enabled": False,  # seen false on a module whose stick was in use: not to be relied on
        "local_storage_compatible": True,
        **({"local_storage_status": storage} if storage else {}),
        "revision": "00",
    }


def _device(account: Account, camera: Camera, now: datetime) -> Body:
    return {
        "id": camera.id,
        "name": camera.name,
        "type": camera.type,
        "network_id": camera.network.id,
        "created_at": _INSTALLED,
        "updated_at": stamp(now),
        "serial": _serial("V", camera.id),
        "fw_version": "10.66",
        "enabled": camera.enabled,
        "thumbnail": camera_thumbnail(account, camera),
        "status": "done" if camera.reached else "offline",
        "local_storage_enabled": False,
        "local_storage_compatible": True,
    }


def _battery_camera(camera: Camera) -> Body:
    return {
        "battery": camera.battery,
        "usage_rate": False,
        "issues": [],
        "signals": {"lfr": 5, "wifi": 4, "temp": camera.temperature, "battery": _bars(camera)},
        "snooze": bool(camera.settings.get("snooze_time")),
        "snooze_time_remaining": camera.settings.get("snooze_time"),
        "revision": "00",
    }


def _wired(camera: Camera) -> Body:
    return {"onboarded": True, "status": "online" if camera.reached else "offline"}


def _doorbell(camera: Camera) -> Body:
    return {"onboarded": True, "battery": camera.battery, "signals": {"lfr": 5, "wifi": 4, "battery": _bars(camera)}}


_OF_A_FAMILY = {"cameras": _battery_camera, "owls": _wired, "doorbells": _doorbell}


def networks(account: Account) -> Body:
    """The networks, in the older form. Those without a module are not onboarded: by that, clients know cameras without one."""
    return {
        "networks": [old_network(account, network) for network in account.networks],
        "summary": {str(n.id): {"name": n.name, "onboarded": bool(n.sync_modules)} for n in account.networks},
    }


def old_network(account: Account, network: Network) -> Body:
    return {
        "id": network.id,
        "name": network.name,
        "account_id": account.id,
        "updated_at": _INSTALLED,
        "created_at": _INSTALLED,
        "arm_string": "Armed" if network.armed else "Disarmed",
        "armed": network.armed,
        "autoarm_geo_enable": False,
        "autoarm_time_enable": False,
        "busy": False,
        "camera_error": False,
        "description": "",
        "dst": True,
        "encryption_key": None,
        "feature_plan_id": None,
        "lfr_channel": 0,
        "locale": "",
        "location_id": None,
        "lv_mode": "relay",
        "network_key": "0000",
        "network_origin": "normal",
        "ping_interval": 60,
        "sm_backup_enabled": False,
        "storage_total": 0,
        "storage_used": 0,
        "sync_module_error": False,
        "time_zone": network.time_zone,
        "video_count": 0,
        "video_destination": "server",
        "video_history_count": 4000,
    } | network.settings


def one_network(account: Account, network: Network, now: datetime) -> Body:
    """What a network says of itself when it is asked alone."""
    more = {"deleted_at": None, "lv_save": False, "updated_at": stamp(now)}
    return {"network": old_network(account, network) | more | network.settings}


def sync_module(account: Account, module: SyncModule, now: datetime) -> Body:
    """What a network's module says of itself; nothing of its stick."""
    return {
        "syncmodule": {
            "id": module.id,
            "created_at": _INSTALLED,
            "updated_at": stamp(now),
            "last_activity": "1970-01-01",
            "name": module.name,
            "fw_version": "4.5.20",
            "mac_address": None,
            "ip_address": "203.0.113.7",
            "lfr_frequency": None,
            "serial": _serial("T", module.id),
            "status": "online" if module.online else "offline",
            "onboarded": True,
            "server": "i-00000000000000001",
            "last_hb": stamp(now),
            "os_version": "6.16.3",
            "last_wifi_alert": None,
            "wifi_alert_count": 0,
            "last_offline_alert": None,
            "offline_alert_count": 0,
            "table_update_sequence": 1,
            "local_storage_enabled": False,
            "last_backup_started": None,
            "last_backup_completed": None,
            "last_backfill_completed": None,
            "backfill_in_progress": None,
            "ring_device_id": None,
            "first_boot": _INSTALLED,
            "feature_plan_id": None,
            "account_id": account.id,
            "network_id": module.network.id,
            "country_id": "DE",
            "vo9_channel": 0,
            "wifi_strength": 4,
        }
    }


def usage(account: Account) -> Body:
    """How much the battery cameras of each network were in use. Others are not listed, and some networks are empty."""
    return {
        "range_days": 7,
        "reference": {"usage": 400},
        "networks": [
            {
                "network_id": network.id,
                "name": network.name,
                "cameras": [
                    {"id": camera.id, "name": camera.name, "usage": 0, "lv_seconds": 0, "clip_seconds": 0}
                    for camera in network.cameras
                    if camera.family == "cameras"
                ],
            }
            for network in account.networks
        ],
    }


def signals(camera: Camera, now: datetime) -> Body:
    """How well a camera is heard, and how warm it is: in degrees Fahrenheit."""
    return {"lfr": 5, "wifi": 4, "updated_at": stamp(now), "temp": camera.temperature, "battery": _bars(camera)}


def battery_config(account: Account, camera: Camera, now: datetime) -> Body:
    """The settings of a battery camera: a list of one, and its signals."""
    module = next(iter(camera.network.sync_modules), None)
    config = {
        "id": camera.id,
        "name": camera.name,
        "network_id": camera.network.id,
        "network": camera.network.id,
        "sync_module_id": module.id if module else None,
        "account_id": account.id,
        "account": account.id,
        "created_at": _INSTALLED,
        "updated_at": stamp(now),
        "deleted_at": None,
        "alert_interval": 10,
        "armed": camera.network.armed,
        "battery_alarm_enable": True,
        "battery_check_time": stamp(now),
        "battery_state": camera.battery,
        "battery_voltage": 160 if camera.battery == "ok" else 133,
        "buzzer_on": True,
        "camera_seq": 1,
        "clip_max_length": 60,
        "early_termination": True,
        "early_termination_supported": True,
        "enabled": camera.enabled,
        "flip_video": False,
        "fw_version": "10.66",
        "illuminator_enable": 2,
        "illuminator_intensity": 3,
        "invert_image": False,
        "last_snapshot_event": None,
        "lfr_strength": -55,
        "local_storage_compatible": True,
        "local_storage_enabled": False,
        "mac_address": None,
        "max_resolution": "r1080",
        "motion_alert": True,
        "motion_regions": 33554431,
        "motion_sensitivity": 5,
        "offline_alert_count": 0,
        "onboarded": True,
        "record_audio": True,
        "record_audio_enable": True,
        "serial": _serial("V", camera.id),
        "snapshot_enabled": False,
        "snooze_till": None,
        "status": "done",
        "temp_adjust": 0,
        "temp_alarm_enable": False,
        "temp_max": 100,
        "temp_min": 32,
        "temperature": camera.temperature,
        "thumbnail": _bare_thumbnail(account, camera),
        "type": camera.type,
        "unit_number": 1,
        "video_length": 30,
        "video_quality": "standard",
        "video_recording_enable": True,
        "wifi_strength": -51,
        "wifi_timeout": 30,
    }
    heard = signals(camera, now) | {"battery_state": camera.battery}
    return {"camera": [config | _settings(camera, *config)], "signals": heard}


def flat_config(camera: Camera, now: datetime) -> Body:
    """The settings of a Mini or a doorbell: one flat object. Its `fw_version` is a number."""
    config = {
        "name": camera.name,
        "updated_at": stamp(now),
        "fw_version": 9.63,
        "enabled": camera.enabled,
        "led_enabled": True,
        "led_state": "off",
        "status": "online",
        "video_quality": "best",
        "clip_length_max": 30,
        "clip_length": 30,
        "retrigger_time": 10,
        "motion_sensitivity": 5,
        "motion_regions": 33554431,
        "advanced_motion_regions": [4095] * 12,
        "early_termination": False,
        "early_termination_supported": True,
        "early_notification": False,
        "early_notification_compatible": True,
        "night_vision_control": "normal",
        "illuminator_enable": "auto",
        "illuminator_enable_v2": "auto",
        "illuminator_duration": 1,
        "illuminator_intensity": 4,
        "record_audio_enable": True,
        "volume_control": 7,
        "wifi": 4,
        "video_recording_enable": True,
        "video_recording_optional": True,
        "flip_video": False,
        "flip_video_compatible": True,
        "local_storage_enabled": False,
        "local_storage_compatible": True,
    }
    if camera.family == "doorbells":
        config["battery"] = camera.battery
    return config | _settings(camera, *config)


def accepted(account: Account, command: Command) -> Body:
    """The answer to whoever asked for something: of a battery camera a whole row, else a short form."""
    if command.camera is not None and command.camera.family == "cameras":
        return _row(account, command, command.begins)
    short: Body = {"id": command.id, "network_id": command.network.id, "command": command.name, "state": "new"}
    if command.camera is None:
        asked = f"device_motion_{_ENABLED[command.name]}"
        short["commands"] = [
            {"id": part, "network_id": command.network.id, "command": asked, "state": "running"} for part in command.parts
        ]
    return short


def progress(account: Account, command: Command, now: float) -> Body:
    """How far a command has come. Until it ends it says that it succeeded."""
    complete = command.complete(now)
    failed = complete and bool(command.status)
    return {
        "complete": complete,
        "status": command.status if complete else 0,
        "status_msg": "Command failed" if failed else "Command succeeded",
        "status_code": command.status_code if complete else 908,
        "commands": [_row(account, command, now) | ({"id": command.parts[0]} if command.parts else {})],
        "media_id": None,
    }


def _row(account: Account, command: Command, now: float) -> Body:
    stage = command.stage(now)
    asked, passed = stamp(command.asked_at), STAGES.index(stage)
    row: Body = {
        "id": command.id,
        "created_at": asked,
        "updated_at": asked,
        "execute_time": asked,
        "command": command.name,
        "state_stage": stage,
        "stage_is": None,
        "stage_lv": None,
        **{f"stage_{name}": _reached(command, number) if number <= passed else None for number, name in enumerate(STAGES)},
        "state_condition": "new" if stage == "rest" else "done" if command.complete(now) else "running",
        "sm_ack": 1 if passed >= STAGES.index("sm") else None,
        "lfr_ack": 0 if command.complete(now) else None,
        "sequence": 1634 if passed else None,
        "attempts": 0,
        "transaction": f"t{command.id:x}",
        "player_transaction": f"p{command.id:x}",
        "server": None,
        "duration": 0 if command.complete(now) else None,
        "by_whom": _CLIENT,
        "diagnostic": False,
        "debug": "",
        "opts_1": 0,
        "target": "camera" if command.camera else None,
        "target_id": command.camera.id if command.camera else None,
        "parent_command_id": None,
        "camera_id": command.camera.id if command.camera else None,
        "siren_id": None,
        "firmware_id": None,
        "network_id": command.network.id,
        "account_id": account.id,
        "sync_module_id": command.module.id if command.module else None,
    }
    return row


def _reached(command: Command, stage: int) -> str:
    """When a command came to a stage."""
    if not stage or command.ends == math.inf:
        return stamp(command.asked_at)
    share = max(0, stage - 1) / (len(STAGES) - 2)
    waited = command.begins - command.asked_moment
    return stamp(command.asked_at + timedelta(seconds=waited + share * (command.ends - command.begins)))


def _settings(thing: Camera | Network, *keys: str) -> Body:
    """What its owner has set of these."""
    return {key: value for key, value in thing.settings.items() if key in keys}


def _bars(camera: Camera) -> int:
    return 3 if camera.battery == "ok" else 1


def _serial(letter: str, number: int) -> str:
    return f"G8{letter}1{number:08d}"


def storage(module: SyncModule) -> Body:
    """The state of a stick."""
    full = module.local_storage == "memory_full"
    return {
        "enabled": module.readable,
        "local_storage_enabled": module.readable,
        "usb_state": module.local_storage,
        "usb_storage_used": 100 if full else 12,
        "usb_storage_full": full,
        "storage_warning": 3 if full else 0,
        "usb_format_compatible": module.local_storage != "incompatible",
        "sm_backup_enabled": False,
        "sm_backup_in_progress": False,
        "last_backup_completed": None,
        "last_backup_result": None,
    }


def manifest(found: Manifest, prefix: str = "") -> Body:
    """A manifest as modules make it: all of it in strings, names without what is no letter, digit or underscore, sizes in KiB."""
    return {
        "version": "1.0",
        "manifest_id": f"{prefix}{found.id}",
        "clips": [
            {
                "id": f"{prefix}{number}",
                "size": str(clip.kib) if clip.stated is None else clip.stated,
                "camera_name": re.sub(r"\W", "", clip.camera),
                "created_at": stamp(clip.created_at),
            }
            for number, clip in found.clips.items()
        ],
    }


def newer_manifest(found: Manifest, path: str, form: ManifestTimes) -> Body:
    """The newer form of a manifest, with whole names; `path` is where its module's storage is."""

    def times(clip: LocalClip) -> Body:
        if form == "millis":
            return {"clip_start_millis": int(clip.created_at.timestamp() * 1000), "clip_length_ms": 5_000}
        return {"created_at": stamp(clip.created_at), "clip_length": 5}

    return {
        "manifest_id": found.id,
        "media": [
            {
                "id": number,
                "device_name": clip.camera,
                "event_type": "pir",
                "media": f"{path}/manifest/{found.id}/clip/request/{number}",
                **times(clip),
            }
            for number, clip in found.clips.items()
        ],
    }


def user(account: Account, now: datetime) -> Body:
    """Who the owner is."""
    return {
        "id": account.user_id,
        "created_at": _INSTALLED,
        "updated_at": stamp(now),
        "email": account.username,
        "verified": True,
        "verification_required": True,
        "time_zone": account.networks[0].time_zone,
        "owner": True,
        "name": "",
        "user_access": "write",
        "temp_units": account.temp_units,
        "type": "regular",
        "force_password_reset": False,
        "phone_number": None,
        "phone_verified": True,
        "verification_channel": "email",
        "locale": "en_US",
        "country_id": "DE",
        "account_id": account.id,
    }


def info(account: Account, client: int) -> Body:
    """What the app asks when it begins."""
    return {
        "account_id": account.id,
        "client_id": client,
        "country": "DE",
        "new_account": False,
        "tier": account.tier,
        "region": "eu",
        "account_verification_required": False,
        "phone_verification_required": False,
        "client_verification_required": False,
        "verification_channel": "phone",
        "country_required": False,
        "user": {"user_id": account.user_id, "country": "DE"},
    }
