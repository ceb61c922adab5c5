"""Which requests came, and how each was answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from aiohttp import web
from aiohttp.typedefs import Handler

from blinkarchive.simulator.gate import bearer
from blinkarchive.simulator.world import World

KEPT = 50_000
"""How many exchanges, of some 300 bytes each."""

_SECRET = frozenset({"code", "code_verifier", "password", "token", "access_token", "refresh_token", "2fa_code"})

_NO_QUERY: Mapping[str, str] = MappingProxyType({})


@dataclass(slots=True, kw_only=True, eq=False)
class Exchange:
    """A request that came, and its answer. It holds no secret."""

    method: str
    path: str
    query: Mapping[str, str]
    #: Whether it carried a bearer token, good or not.
    bearer: bool
    #: The username of the account that the token let in; None without a good token.
    account: str | None
    #: On the world's monotonic clock.
    began: float
    #: None while it lasts.
    ended: float | None = None
    #: Known before the client sees it; None when there was no answer.
    status: int | None = None


class Journal:
    """Notes every request when it comes, and completes the note when it is answered."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lasting: dict[int, Exchange] = {}  # by the identity of a request that is being handled
        #: Oldest first.
        self.exchanges: deque[Exchange] = deque(maxlen=KEPT)

    def attach(self, app: web.Application) -> None:
        """Note whatever this application is asked."""
        app.middlewares.append(self._came)
        app.on_response_prepare.append(self._answered)

    @web.middleware
    async def _came(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        clock = self._world.clock
        token = bearer(request)
        grant = self._world.signins.whose(token or "")
        exchange = Exchange(
            method=request.method,
            path=request.path,
            query=_shown(request.query) if request.query_string else _NO_QUERY,
            bearer=token is not None,
            account=grant.person.username if grant else None,
            began=clock.monotonic(),
        )
        self.exchanges.append(exchange)
        self._lasting[id(request)] = exchange
        try:
            response = await handler(request)
        except Exception:
            exchange.status = 500
            raise
        else:
            exchange.status = response.status
            return response
        finally:
            exchange.ended = clock.monotonic()
            del self._lasting[id(request)]

    async def _answered(self, request: web.Request, response: web.StreamResponse) -> None:
        """The head of an answer goes out; that of a film does so while it is being handled."""
        if exchange := self._lasting.get(id(request)):
            exchange.status = response.status


def _shown(query: Mapping[str, str]) -> dict[str, str]:
    return {key: "***" if key in _SECRET else value for key, value in query.items()}
