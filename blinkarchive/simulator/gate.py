"""Who may ask: the bearer token of a request, and the account in its path."""

from __future__ import annotations

from aiohttp import web

from blinkarchive.simulator.answers import unauthorized
from blinkarchive.simulator.signins import Grant
from blinkarchive.simulator.world import Account, World

_SCHEME = "Bearer "


def bearer(request: web.BaseRequest) -> str | None:
    """The token that a request carries."""
    header = request.headers.get("Authorization", "")
    return header.removeprefix(_SCHEME) if header.startswith(_SCHEME) else None


class Gate:
    """Lets a request in, or raises `Refusal`: 401, code 101."""

    def __init__(self, world: World) -> None:
        self._world = world

    def grant(self, request: web.Request) -> Grant:
        """Whose token it is."""
        grant = self._world.signins.whose(bearer(request) or "")
        if grant is None:
            raise unauthorized()
        return grant

    def account(self, request: web.Request) -> Account:
        """The account of the token."""
        person = self.grant(request).person
        return next(account for account in self._world.accounts if account is person)

    def account_in_path(self, request: web.Request) -> Account:
        """The account of the token, which must be the one in the path."""
        account = self.account(request)
        if request.match_info["account"] != str(account.id):
            raise unauthorized()
        return account
