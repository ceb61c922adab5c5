"""Who may ask: the bearer token of a request, and the account in its path."""

from __future__ import annotations

import re

from aiohttp import web

from blinkarchive.simulator.answers import INVALID_DEVICE_TYPE, UPDATE_REQUIRED, Refusal, not_found, unauthorized
from blinkarchive.simulator.devices import Camera, Network, SyncModule
from blinkarchive.simulator.signins import Grant
from blinkarchive.simulator.world import Account, World

_SCHEME = "Bearer "
_TIER = re.compile(r"rest-([a-z0-9-]+)\.immedia-semi\.com", re.ASCII | re.IGNORECASE)


def bearer(request: web.BaseRequest) -> str | None:
    """The token that a request carries."""
    header = request.headers.get("Authorization", "")
    return header.removeprefix(_SCHEME) if header.startswith(_SCHEME) else None


def claims_app_version(request: web.BaseRequest) -> bool:
    """Whether a request names a version of the vendor's app."""
    return request.headers.get("User-Agent", "").startswith("Blink/") or "APP-BUILD" in request.headers


class Gate:
    """Lets a request in, or raises `Refusal`: 401, code 101; 426 for one that names an app version, where the rules say so."""

    def __init__(self, world: World) -> None:
        self._world = world

    def older_endpoint(self) -> None:
        """Raise `Refusal` where the rules say that older endpoints are retired."""
        status = self._world.rules.older_endpoints
        if status != "served":
            raise Refusal(status, UPDATE_REQUIRED if status == 426 else {"message": "Not found"})

    def grant(self, request: web.Request) -> Grant:
        """Whose token it is."""
        if self._world.rules.app_versions == "refused" and claims_app_version(request):
            raise Refusal(426, UPDATE_REQUIRED)
        grant = self._world.signins.whose(bearer(request) or "")
        if grant is None:
            raise unauthorized()
        return grant

    def account(self, request: web.Request) -> Account:
        """The account of the token. Under the name of another account's host it is nobody's."""
        person = self.grant(request).person
        account = next(account for account in self._world.accounts if account is person)
        if (tier := _TIER.match(request.host)) and tier[1].lower() not in (account.tier.lower(), "prod"):
            raise unauthorized()
        return account

    def account_in_path(self, request: web.Request) -> Account:
        """The account of the token, which must be the one in the path."""
        account = self.account(request)
        if request.match_info["account"] != str(account.id):
            raise unauthorized()
        return account

    def network(self, request: web.Request) -> tuple[Account, Network]:
        """The network in the path, and its account: the token's, which must be the one in the path if there is one there."""
        account = self.account_in_path(request) if "account" in request.match_info else self.account(request)
        for network in account.networks:
            if request.match_info["network"] == str(network.id):
                return account, network
        raise not_found()

    def sync_module(self, request: web.Request) -> tuple[Account, SyncModule]:
        """The sync module in the path, and its account."""
        account, network = self.network(request)
        for module in network.sync_modules:
            if request.match_info["module"] == str(module.id):
                return account, module
        raise not_found()

    def camera(self, request: web.Request) -> tuple[Account, Camera]:
        """The camera in the path, and its account. One of another family than the path's raises `Refusal`: 400, code 1630."""
        account, network = self.network(request)
        for camera in network.cameras:
            if request.match_info["camera"] == str(camera.id):
                if request.match_info.get("family", "cameras") != camera.family:
                    raise Refusal(400, INVALID_DEVICE_TYPE)
                return account, camera
        raise not_found()
