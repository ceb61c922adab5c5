"""What the cloud knows of an account's owner and clients."""

from __future__ import annotations

import json

from aiohttp import web

from blinkarchive.simulator import bodies
from blinkarchive.simulator.answers import INVALID_PURGE_DAYS, Refusal, as_json, unauthorized
from blinkarchive.simulator.faults import Place, Target
from blinkarchive.simulator.gate import Gate
from blinkarchive.simulator.trouble import answer
from blinkarchive.simulator.world import World


class Owner:
    """The owner's pages: who they are, what they are told of, how long clips are kept, and the end of a client."""

    def __init__(self, world: World, gate: Gate) -> None:
        self._world = world
        self._gate = gate

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/user", self.user),
            web.get("/api/v1/account/options", self.options),
            web.get("/api/v1/accounts/{account}/info", self.info),
            web.post("/api/v1/account/video_options", self.keep_for),
            web.get("/api/v1/accounts/{account}/notifications/configuration", self.notifications),
            web.post("/api/v1/accounts/{account}/notifications/configuration", self.notify),
            web.get(r"/api/{version:v[123]}/accounts/{account}/subscriptions/plans", self.plans),
            web.post("/api/v4/account/{account}/client/{client}/logout", self.logout),
            web.post("/api/v4/clients/{client}/logout", self.logout),
            web.get("/api/v1/version", self.version),
        ]

    async def user(self, request: web.Request) -> web.StreamResponse:
        """Who the owner is."""
        account = self._gate.account(request)

        async def usual() -> web.StreamResponse:
            return as_json(bodies.user(account, self._world.clock.now()))

        return await answer(request, self._world, Place.OWNER, usual, Target(account=account.username))

    async def info(self, request: web.Request) -> web.StreamResponse:
        """What the app asks when it begins."""
        account = self._gate.account_in_path(request)
        return as_json(bodies.info(account, self._gate.grant(request).client_number))

    async def options(self, request: web.Request) -> web.StreamResponse:
        """What the app may offer."""
        self._gate.account(request)
        return as_json({"c2s_clip_list_limit": 1000, "sm2_app_enabled": True, "owl_app_enabled": True, "subs_eligible": True})

    async def keep_for(self, request: web.Request) -> web.StreamResponse:
        """How many days clips are kept."""
        account = self._gate.account(request)
        days = _member(await request.read(), "auto_delete_days")
        if days not in bodies.AUTO_DELETE_DAYS:
            raise Refusal(400, INVALID_PURGE_DAYS)
        assert isinstance(days, int)
        account.auto_delete_days = days
        return as_json({"message": "Client Video Options Update Successful"})

    async def notifications(self, request: web.Request) -> web.StreamResponse:
        """What the owner is told of."""
        account = self._gate.account_in_path(request)

        async def usual() -> web.StreamResponse:
            return as_json({"notifications": account.notifications})

        return await answer(request, self._world, Place.OWNER, usual, Target(account=account.username))

    async def notify(self, request: web.Request) -> web.StreamResponse:
        """Change some of what the owner is told of."""
        account = self._gate.account_in_path(request)
        wanted = _member(await request.read(), "notifications")

        async def usual() -> web.StreamResponse:
            if isinstance(wanted, dict):
                account.notifications |= {key: bool(value) for key, value in wanted.items() if key in account.notifications}
            return as_json({"message": "Client Notification Configure Update Successful"})

        return await answer(request, self._world, Place.OWNER, usual, Target(account=account.username))

    async def plans(self, request: web.Request) -> web.StreamResponse:
        """Whether the cloud keeps clips for this account."""
        account = self._gate.account_in_path(request)
        return as_json({"subscriptions": [{"active": account.subscription, "flat_type": "basic"}]})

    async def logout(self, request: web.Request) -> web.StreamResponse:
        """End this client: none of its tokens is good any more."""
        grant = self._gate.grant(request)
        if "account" in request.match_info:
            self._gate.account_in_path(request)
        if request.match_info["client"] != str(grant.client_number):
            raise unauthorized()
        self._world.signins.sign_out(grant)
        return as_json({"message": "logout"})

    async def version(self, _: web.Request) -> web.StreamResponse:
        """Which apps are still welcome."""
        return as_json({"message": "OK", "code": 103, "update_available": False, "update_required": False})


def _member(body: bytes, key: str) -> object:
    """A member of a JSON object; None when there is none."""
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found.get(key) if isinstance(found, dict) else None
