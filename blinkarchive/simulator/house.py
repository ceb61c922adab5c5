"""The account's house as the cloud tells of it: tier, homescreen, networks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from blinkarchive.simulator.answers import UPDATE_REQUIRED, Refusal, as_json
from blinkarchive.simulator.faults import Place, Target
from blinkarchive.simulator.gate import Gate
from blinkarchive.simulator.trouble import answer
from blinkarchive.simulator.world import Account, Camera, Network, SyncModule, World

_INSTALLED = "2022-03-06T18:05:40+00:00"


class House:
    """What is said of an account's networks, modules and cameras."""

    def __init__(self, world: World, gate: Gate) -> None:
        self._world = world
        self._gate = gate

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/users/tier_info", self.tier),
            web.get(r"/api/{version:v[34]}/accounts/{account}/homescreen", self.homescreen),
            web.get("/networks", self.networks),
            web.get("/events/network/{network}", self.retired),
            web.get("/api/v2/videos/{rest:.*}", self.retired),
        ]

    async def tier(self, request: web.Request) -> web.StreamResponse:
        """On which host the account lives."""
        account = self._gate.account(request)

        async def usual() -> web.StreamResponse:
            return as_json({"tier": account.tier, "account_id": account.id})

        return await answer(request, self._world, Place.TIER, usual, Target(account=account.username))

    async def homescreen(self, request: web.Request) -> web.StreamResponse:
        """Everything the app's first screen shows."""
        account = self._gate.account_in_path(request)
        client = str(self._gate.grant(request).client_number)

        async def usual() -> web.StreamResponse:
            body = homescreen(account, self._world.clock.now())
            return as_json(body, headers={"Client-Id": client, "User-Id": str(account.user_id)})

        return await answer(request, self._world, Place.HOMESCREEN, usual, Target(account=account.username))

    async def networks(self, request: web.Request) -> web.StreamResponse:
        """The networks, in the older form."""
        account = self._gate.account(request)

        async def usual() -> web.StreamResponse:
            return as_json(
                {
                    "networks": [_old_network(account, network) for network in account.networks],
                    "summary": {str(n.id): {"name": n.name, "onboarded": True} for n in account.networks},
                }
            )

        return await answer(request, self._world, Place.NETWORKS, usual, Target(account=account.username))

    async def retired(self, _: web.Request) -> web.StreamResponse:
        """Calls that are still routed, and no longer answered."""
        raise Refusal(426, UPDATE_REQUIRED)


def stamp(when: datetime) -> str:
    """A time as the cloud writes it: UTC, whole seconds."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def homescreen(account: Account, now: datetime) -> dict[str, Any]:
    """The homescreen's body."""
    modules = [module for network in account.networks for module in network.sync_modules]
    minis = [camera for camera in account.cameras if camera.is_mini]
    doorbells = [camera for camera in account.cameras if camera.is_doorbell]
    others = [camera for camera in account.cameras if not camera.is_mini and not camera.is_doorbell]
    return {
        "account": {
            "id": account.id,
            "email_verified": True,
            "email_verification_required": True,
            "amazon_account_linked": False,
        },
        "networks": [_network(network, now) for network in account.networks],
        "sync_modules": [_sync_module(module, now) for module in modules],
        "cameras": [_battery_camera(account, camera, now) for camera in others],
        "sirens": [],
        "chimes": [],
        "video_stats": {"storage": 2, "auto_delete_days": 60, "auto_delete_day_options": [3, 7, 14, 30, 60]},
        "doorbell_buttons": [],
        "owls": [_mini(account, camera, now) for camera in minis],
        "doorbells": [_doorbell(account, camera, now) for camera in doorbells],
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
    if camera.type in ("white", "xt", "xt2"):
        network = camera.network.id
        return f"/media/production/account/{account.id}/network/{network}/camera/{camera.id}/clip_x_2026_01_01__00_28AM"
    house = f"/api/v3/media/accounts/{account.id}/networks/{camera.network.id}"
    return f"{house}/{camera.type}/{camera.id}/thumbnail/thumbnail.jpg?ts=1767225600&ext="


def _network(network: Network, now: datetime) -> dict[str, Any]:
    return {
        "id": network.id,
        "name": network.name,
        "created_at": _INSTALLED,
        "updated_at": stamp(now),
        "time_zone": network.time_zone,
        "dst": True,
        "armed": network.armed,
        "lv_save": False,
    }


def _sync_module(module: SyncModule, now: datetime) -> dict[str, Any]:
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
        "serial": f"G8T1{module.id:08d}",
        "fw_version": "4.5.20",
        "last_hb": stamp(now),
        "wifi_strength": 4,
        "enable_temp_alerts": True,
        "local_storage_enabled": False,  # seen false on a module whose stick was in use: not to be relied on
        "local_storage_compatible": True,
        "local_storage_status": module.local_storage,
        "revision": "00",
    }


def _device(account: Account, camera: Camera, now: datetime) -> dict[str, Any]:
    return {
        "id": camera.id,
        "name": camera.name,
        "type": camera.type,
        "network_id": camera.network.id,
        "created_at": _INSTALLED,
        "updated_at": stamp(now),
        "serial": f"G8V1{camera.id:08d}",
        "fw_version": "10.66",
        "enabled": camera.enabled,
        "thumbnail": camera_thumbnail(account, camera),
        "status": "done",
        "local_storage_enabled": False,
        "local_storage_compatible": True,
    }


def _battery_camera(account: Account, camera: Camera, now: datetime) -> dict[str, Any]:
    return _device(account, camera, now) | {
        "battery": "ok",
        "usage_rate": False,
        "issues": [],
        "signals": {"lfr": 5, "wifi": 4, "temp": 68, "battery": 3},
        "snooze": False,
        "snooze_time_remaining": None,
        "revision": "00",
    }


def _mini(account: Account, camera: Camera, now: datetime) -> dict[str, Any]:
    return _device(account, camera, now) | {"onboarded": True, "status": "online"}


def _doorbell(account: Account, camera: Camera, now: datetime) -> dict[str, Any]:
    return _device(account, camera, now) | {
        "onboarded": True,
        "battery": "ok",
        "signals": {"lfr": 5, "wifi": 4, "battery": 3},
    }


def _old_network(account: Account, network: Network) -> dict[str, Any]:
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
    }
