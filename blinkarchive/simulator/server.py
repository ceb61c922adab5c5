"""The simulated cloud on a loopback port: one address that plays the sign-in host and every REST host."""

from __future__ import annotations

import asyncio
import logging
import ssl
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import format_datetime
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from blinkarchive.simulator.answers import Refusal, as_json
from blinkarchive.simulator.control import Control
from blinkarchive.simulator.films import Films
from blinkarchive.simulator.footage import Footage
from blinkarchive.simulator.gate import Gate
from blinkarchive.simulator.house import House
from blinkarchive.simulator.journal import Exchange, Journal
from blinkarchive.simulator.local_storage import LocalStorage
from blinkarchive.simulator.media import Media
from blinkarchive.simulator.oauth import OAuthHost
from blinkarchive.simulator.owner import Owner
from blinkarchive.simulator.trouble import hang_up
from blinkarchive.simulator.world import World

_PATIENCE = 0.1

log = logging.getLogger(__name__)
log.addHandler(logging.NullHandler())  # whoever wants to hear of it sets up logging; nobody's console is written to


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A simulated cloud that is being served."""

    url: str
    world: World
    #: Every request, oldest first.
    log: deque[Exchange]
    footage: Footage

    def seen(self, method: str, path: str) -> list[Exchange]:
        """The exchanges with this method whose path contains this text."""
        return [exchange for exchange in self.log if exchange.method == method and path in exchange.path]


class Simulator:
    """A Blink cloud for tests, demonstrations and measurements."""

    def __init__(self, world: World) -> None:
        self.world = world

    @asynccontextmanager
    async def serving(
        self, *, port: int = 0, host: str = "127.0.0.1", filmed: bool = False, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[Running]:
        """Serve the world until the block ends; port 0 takes a free one. Raises `OSError` when the port is taken.

        With `tls`, the context of a server with its certificate, it is served as https: for clients that know nothing else.
        Films are made when they are asked for first, or before anything is served, as many as are kept (`filmed`: a
        millisecond or two a film, which a measurement should not see), and kept in a temporary folder until the end.
        """
        with tempfile.TemporaryDirectory(prefix="blink-simulator-") as folder:
            footage = Footage(Path(folder))
            if filmed:
                footage.make(clip.take for account in self.world.accounts for clip in account.clips)
            journal = Journal(self.world)
            runner = web.AppRunner(
                _app(self.world, footage, journal),
                access_log=None,
                logger=log,
                handler_cancellation=True,
                shutdown_timeout=_PATIENCE,
            )
            await runner.setup()
            try:
                site = web.TCPSite(runner, host, port, ssl_context=tls)
                await site.start()
                url = f"{'https' if tls else 'http'}://{host}:{runner.addresses[0][1]}"
                yield Running(url=url, world=self.world, log=journal.exchanges, footage=footage)
            finally:
                await _end(runner, tls)


async def _end(runner: web.AppRunner, tls: ssl.SSLContext | None) -> None:
    """Stop serving. https would wait half a minute for each client to say good-bye too: whoever has not said it is cut off."""
    connections = runner.server.connections if runner.server and tls else []
    transports = [connection.transport for connection in connections]
    await runner.cleanup()
    for transport in transports:
        if transport is not None:
            transport.abort()
    await asyncio.sleep(0)  # they close in the loop's next turn


def _app(world: World, footage: Footage, journal: Journal) -> web.Application:
    gate, films = Gate(world), Films(world, footage)
    app = web.Application()
    journal.attach(app)
    app.on_response_prepare.append(_dated(world))
    app.middlewares.append(_on_time(world))
    app.middlewares.append(_answering)
    parts = (
        OAuthHost(world),
        Owner(world, gate),
        House(world, gate),
        Control(world, gate),
        LocalStorage(world, gate, films),
        Media(world, gate, films),
    )
    for part in parts:
        app.add_routes(part.routes())
    return app


def _dated(world: World) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Every answer says when it was given, by the world's clock."""

    async def date(_: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = format_datetime(world.clock.now(), usegmt=True)

    return date


def _on_time(world: World) -> Middleware:
    """Before anybody is answered, what was due has happened."""

    @web.middleware
    async def settled(request: web.Request, handler: Handler) -> web.StreamResponse:
        world.timeline.settle()
        return await handler(request)

    return settled


@web.middleware
async def _answering(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what handlers raise into answers."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return as_json(refusal.body, refusal.status)
    except ConnectionError:  # the client went away in the middle of a film
        await hang_up(request, at_once=True)
    except web.HTTPException as error:  # no such path, another method, a body that is too large
        return as_json({"status": error.status, "error": error.reason}, error.status)
