"""What the cloud tells of an account's house: where it lives, the homescreen, and each thing in it alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from blinkarchive.simulator import bodies
from blinkarchive.simulator.answers import UPDATE_REQUIRED, Refusal, as_json, not_found
from blinkarchive.simulator.devices import Camera
from blinkarchive.simulator.faults import Place, Target
from blinkarchive.simulator.gate import Gate
from blinkarchive.simulator.trouble import answer
from blinkarchive.simulator.world import Account, World

CAMERA = r"/network/{network}/camera/{camera:[0-9]+}"
"""A camera with a battery."""
DEVICE = r"/api/v1/accounts/{account}/networks/{network}/{family:owls|doorbells}/{camera:[0-9]+}"
"""Any other camera."""


class House:
    """Reads."""

    def __init__(self, world: World, gate: Gate) -> None:
        self._world = world
        self._gate = gate

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/users/tier_info", self.tier),
            web.get(r"/api/{version:v[34]}/accounts/{account}/homescreen", self.homescreen),
            web.get("/networks", self.networks),
            web.get("/network/{network:[0-9]+}", self.network),
            web.get("/network/{network}/syncmodules", self.sync_module),
            web.get("/network/{network}/cameras", self.old_cameras),
            web.get("/api/v1/camera/usage", self.usage),
            web.get(f"{CAMERA}/config", self.battery_config),
            web.get(f"{CAMERA}/signals", self.signals),
            web.get(f"{DEVICE}/config", self.flat_config),
            web.get("/events/network/{network}", self.retired),
            web.get("/api/v2/videos/{rest:.*}", self.retired),
        ]

    async def tier(self, request: web.Request) -> web.StreamResponse:
        """On which host the account lives."""
        account = self._gate.account(request)
        return await self._say(request, Place.TIER, account, lambda: {"tier": account.tier, "account_id": account.id})

    async def homescreen(self, request: web.Request) -> web.StreamResponse:
        """Everything the app's first screen shows."""
        account = self._gate.account_in_path(request)
        client = str(self._gate.grant(request).client_number)
        if request.match_info["version"] == "v3":
            self._gate.older_endpoint()

        async def usual() -> web.StreamResponse:
            body = bodies.homescreen(account, self._world.clock.now())
            return as_json(body, headers={"Client-Id": client, "User-Id": str(account.user_id)})

        return await answer(request, self._world, Place.HOMESCREEN, usual, Target(account=account.username))

    async def networks(self, request: web.Request) -> web.StreamResponse:
        """The networks, in the older form."""
        account = self._gate.account(request)
        return await self._say(request, Place.NETWORKS, account, lambda: bodies.networks(account))

    async def network(self, request: web.Request) -> web.StreamResponse:
        """One network."""
        account, network = self._gate.network(request)
        now = self._world.clock.now()
        return await self._say(request, Place.DEVICE, account, lambda: bodies.one_network(account, network, now))

    async def sync_module(self, request: web.Request) -> web.StreamResponse:
        """The network's module: one object, also where there are several."""
        account, network = self._gate.network(request)
        if not network.sync_modules:
            raise not_found()
        module, now = network.sync_modules[0], self._world.clock.now()
        return await self._say(request, Place.DEVICE, account, lambda: bodies.sync_module(account, module, now))

    async def old_cameras(self, request: web.Request) -> web.StreamResponse:
        """The battery cameras of a network, in the oldest form."""
        account, network = self._gate.network(request)
        now = self._world.clock.now()

        def listed() -> dict[str, Any]:
            found = [camera for camera in network.cameras if camera.family == "cameras"]
            return {"dev": [bodies.battery_config(account, camera, now)["camera"][0] for camera in found]}

        return await self._say(request, Place.DEVICE, account, listed)

    async def usage(self, request: web.Request) -> web.StreamResponse:
        """How much the battery cameras were in use."""
        account = self._gate.account(request)
        return await self._say(request, Place.DEVICE, account, lambda: bodies.usage(account))

    async def battery_config(self, request: web.Request) -> web.StreamResponse:
        """The settings of a camera with a battery."""
        account, camera = self._gate.camera(request)
        now = self._world.clock.now()
        return await self._say(request, Place.DEVICE, account, lambda: bodies.battery_config(account, camera, now), camera)

    async def flat_config(self, request: web.Request) -> web.StreamResponse:
        """The settings of a Mini or a doorbell."""
        account, camera = self._gate.camera(request)
        now = self._world.clock.now()
        return await self._say(request, Place.DEVICE, account, lambda: bodies.flat_config(camera, now), camera)

    async def signals(self, request: web.Request) -> web.StreamResponse:
        """How well a camera is heard."""
        account, camera = self._gate.camera(request)
        now = self._world.clock.now()
        return await self._say(request, Place.DEVICE, account, lambda: bodies.signals(camera, now), camera)

    async def retired(self, _: web.Request) -> web.StreamResponse:
        """Calls that are still routed, and no longer answered."""
        raise Refusal(426, UPDATE_REQUIRED)

    async def _say(
        self, request: web.Request, place: Place, account: Account, body: Callable[[], Any], camera: Camera | None = None
    ) -> web.StreamResponse:
        """Answer with a body, unless the script has something in its place."""

        async def usual() -> web.StreamResponse:
            return as_json(body())

        target = Target(account=account.username, camera=None if camera is None else camera.name)
        return await answer(request, self._world, place, usual, target)
