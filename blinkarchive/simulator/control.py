"""What an owner asks cameras and networks to do, and how far that has come."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from aiohttp import web

from blinkarchive.simulator import bodies
from blinkarchive.simulator.answers import NO_CAMERAS_ENABLED, NOT_ENABLED, Refusal, as_json
from blinkarchive.simulator.devices import Camera, Network
from blinkarchive.simulator.faults import OUTCOMES, Place, Target
from blinkarchive.simulator.gate import Gate
from blinkarchive.simulator.house import CAMERA, DEVICE
from blinkarchive.simulator.trouble import answer
from blinkarchive.simulator.world import Account, World

_OF_A_NETWORK = ("name", "lv_save", "time_zone", "dst", "lv_mode")


class Control:
    """Writes that reach a device: each is a command, and takes its time."""

    def __init__(self, world: World, gate: Gate) -> None:
        self._world = world
        self._gate = gate

    def routes(self) -> list[web.RouteDef]:
        house = "/api/v1/accounts/{account}/networks/{network}"
        switches, asked = "{switch:enable|disable}", "{asked:thumbnail|clip}"
        return [
            web.post(house + "/state/{state:arm|disarm}", self.arm),
            web.post("/network/{network}/update", self.network),
            web.post(f"{CAMERA}/{switches}", self.switch),
            web.post(house + r"/{family:doorbells}/{camera:[0-9]+}/" + switches, self.switch),
            web.post(f"{CAMERA}/{asked}", self.see),
            web.post(f"{DEVICE}/{asked}", self.see),
            web.post(f"{CAMERA}/update", self.settings),
            web.post(f"{DEVICE}/config", self.settings),
            web.post(f"{DEVICE}/lights/{{light:on|off}}", self.light),
            web.post(house + r"/{family:cameras}/{camera:[0-9]+}/snooze", self.snooze),
            web.post(r"/api/{version:v[56]}/accounts/{account}/networks/{network}/{family:cameras}/{camera}/liveview", self.live),
            web.post("/api/v2/accounts/{account}/networks/{network}/{family:owls|doorbells}/{camera}/liveview", self.live),
            web.get("/network/{network}/command/{command:[0-9]{1,18}}", self.command),
            web.get("/accounts/{account}/networks/{network}/commands/{command:[0-9]{1,18}}", self.command),
            web.post("/network/{network}/command/{command:[0-9]{1,18}}/{end:done|update}/", self.end),
        ]

    async def arm(self, request: web.Request) -> web.StreamResponse:
        """Arm or disarm a network."""
        account, network = self._gate.network(request)
        arm = request.match_info["state"] == "arm"
        if arm and network.cameras and not any(camera.enabled for camera in network.cameras):
            raise Refusal(400, NO_CAMERAS_ENABLED)

        def done(_: datetime) -> None:
            network.armed = arm

        return await self._ask(request, Place.ARM, account, network, "arm" if arm else "disarm", done)

    async def network(self, request: web.Request) -> web.StreamResponse:
        """Change what the cloud knows of a network; without a body, only read it."""
        account, network = self._gate.network(request)
        wanted = await _body(request)

        async def usual() -> web.StreamResponse:
            network.settings |= {key: wanted[key] for key in _OF_A_NETWORK if key in wanted}
            network.name = network.settings.pop("name", network.name)
            network.time_zone = network.settings.pop("time_zone", network.time_zone)
            return as_json(bodies.one_network(account, network, self._world.clock.now()))

        return await answer(request, self._world, Place.DEVICE, usual, Target(account=account.username))

    async def switch(self, request: web.Request) -> web.StreamResponse:
        """Let a camera watch, or not."""
        account, camera = self._gate.camera(request)
        enable = request.match_info["switch"] == "enable"

        def done(_: datetime) -> None:
            camera.enabled = enable

        return await self._command(request, account, camera, f"device_motion_{request.match_info['switch']}", done)

    async def see(self, request: web.Request) -> web.StreamResponse:
        """Let a camera take a picture, or a clip."""
        account, camera = self._gate.camera(request)
        asked = request.match_info["asked"]

        def done(at: datetime) -> None:
            if asked == "clip":
                account.record(camera, at, source="liveview")
            camera.pictured_at = at

        return await self._command(request, account, camera, asked, done)

    async def settings(self, request: web.Request) -> web.StreamResponse:
        """Change a camera's settings."""
        account, camera = self._gate.camera(request)
        wanted = await _body(request)

        def done(_: datetime) -> None:
            camera.settings |= {key: value for key, value in wanted.items() if key not in ("name", "enabled")}
            camera.name = wanted.get("name", camera.name)
            camera.enabled = wanted.get("enabled", camera.enabled)

        return await self._command(request, account, camera, "config_set", done)

    async def light(self, request: web.Request) -> web.StreamResponse:
        """Switch a floodlight on or off."""
        account, camera = self._gate.camera(request)
        light = request.match_info["light"]

        def done(_: datetime) -> None:
            camera.settings["light"] = light

        return await self._command(request, account, camera, f"light_{light}", done)

    async def snooze(self, request: web.Request) -> web.StreamResponse:
        """Let a camera tell of nothing for some minutes."""
        account, camera = self._gate.camera(request)
        wanted = await _body(request)
        if not camera.enabled:
            raise Refusal(400, NOT_ENABLED)

        def done(_: datetime) -> None:
            camera.settings["snooze_time"] = wanted.get("snooze_time", 0)

        return await self._command(request, account, camera, "snooze", done)

    async def live(self, request: web.Request) -> web.StreamResponse:
        """Open a live view. Where it leads nobody plays a stream."""
        account, camera = self._gate.camera(request)

        def answered(command: int) -> dict[str, Any]:
            return {
                "command_id": command,
                "join_available": True,
                "join_state": "available",
                "server": f"immis://127.0.0.1:443/stream{command:x}__IMDS_0000000000000000?client_id=1",
                "duration": 300,
                "extended_duration": 5400,
                "continue_interval": 300,
                "continue_warning": 0,
                "polling_interval": 15,
                "submit_logs": True,
                "new_command": True,
                "media_id": None,
                "options": {"poor_connection": False},
                "liveview_token": f"live{command:x}",
            }

        return await self._command(request, account, camera, "liveview", lambda _: None, answered)

    async def command(self, request: web.Request) -> web.StreamResponse:
        """How far a command has come."""
        account, network = self._gate.network(request)
        command = self._world.commands.get(network, int(request.match_info["command"]))

        async def usual() -> web.StreamResponse:
            now = self._world.clock.monotonic()
            self._world.timeline.settle()  # what is said to be done has happened
            return as_json(bodies.progress(account, command, now))

        return await answer(request, self._world, Place.COMMAND, usual, Target(account=account.username))

    async def end(self, request: web.Request) -> web.StreamResponse:
        """Wait no longer for a command."""
        _, network = self._gate.network(request)
        command = self._world.commands.get(network, int(request.match_info["command"]))
        if request.match_info["end"] == "done":
            self._world.commands.finish(command)
        return as_json({"message": f"Command {command.id} set to :{request.match_info['end']}", "code": 902})

    async def _command(
        self,
        request: web.Request,
        account: Account,
        camera: Camera,
        name: str,
        done: Callable[[datetime], None],
        answered: Callable[[int], dict[str, Any]] | None = None,
    ) -> web.StreamResponse:
        return await self._ask(request, Place.CONTROL, account, camera.network, name, done, camera, answered)

    async def _ask(
        self,
        request: web.Request,
        place: Place,
        account: Account,
        network: Network,
        name: str,
        done: Callable[[datetime], None],
        camera: Camera | None = None,
        answered: Callable[[int], dict[str, Any]] | None = None,
    ) -> web.StreamResponse:
        """Start a command, and say that it was accepted."""
        target = Target(account=account.username, camera=None if camera is None else camera.name)

        async def usual() -> web.StreamResponse:
            command = self._world.commands.start(
                name,
                network=network,
                camera=camera,
                parts=0 if camera else len(network.cameras),
                seconds=self._world.rules.command_time,
                fault=self._world.faults.strike(place, target, OUTCOMES),
                done=done,
            )
            return as_json(answered(command.id) if answered else bodies.accepted(account, command))

        return await answer(request, self._world, place, usual, target)


async def _body(request: web.Request) -> Mapping[str, Any]:
    """The members of a JSON object; of no body or another one, nothing."""
    try:
        wanted = json.loads(await request.read() or b"{}")
    except ValueError:
        wanted = None
    if not isinstance(wanted, dict):
        raise Refusal(400, {"message": "Invalid JSON", "code": 400})
    return wanted
