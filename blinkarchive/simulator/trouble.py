"""What a fault does to an answer."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from typing import NoReturn

from aiohttp import web

from blinkarchive.simulator.answers import (
    EDGE_PAGE,
    INVALID_GRANT,
    LOGIN_LIMIT,
    MANIFEST_NOT_READY,
    MEDIA_NOT_FOUND,
    SYSTEM_BUSY,
    UNAUTHORIZED,
    UPDATE_REQUIRED,
    Json,
    as_json,
)
from blinkarchive.simulator.faults import Fault, Kind, Place, Target
from blinkarchive.simulator.world import World

_OF_A_SIGN_IN = (Place.AUTHORIZE, Place.SIGNIN, Place.VERIFY, Place.TOKEN)

Usual = Callable[[], Awaitable[web.StreamResponse]]


async def answer(
    request: web.Request, world: World, place: Place, usual: Usual, target: Target | None = None
) -> web.StreamResponse:
    """The usual answer, or what the script has in its place."""
    fault = world.faults.strike(place, target or Target())
    if fault is None:
        return await usual()
    if fault.kind is Kind.DELAY:
        await world.clock.sleep(fault.seconds)
        return await usual()
    if fault.kind is Kind.LOSE:
        await usual()
        await hang_up(request, at_once=True)
    return await troubled(request, fault)


async def troubled(request: web.Request, fault: Fault) -> web.StreamResponse:
    """The answer of a fault that needs no body to spoil."""
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    match fault.kind:
        case Kind.STATUS:
            return _status(fault, fault.status or 500, headers)
        case Kind.JSON_ERROR:
            return _said(fault, 200, headers) or as_json(MEDIA_NOT_FOUND, headers=headers)
        case Kind.BUSY:
            return as_json(SYSTEM_BUSY, 409, headers)
        case Kind.NOT_READY:
            status = fault.status or 409
            return _said(fault, status, headers) or as_json(MANIFEST_NOT_READY, status, headers)
        case Kind.INVALID_GRANT:
            return as_json(INVALID_GRANT, fault.status or 400, headers)
        case Kind.HTML:
            return web.Response(text=EDGE_PAGE, status=fault.status or 200, content_type="text/html", headers=headers)
        case Kind.GARBAGE:
            return web.Response(text='{"limit":500,"media":[{"id":', content_type="application/json")
        case Kind.EMPTY:
            films = fault.place in (Place.MEDIA, Place.LOCAL_MEDIA)
            return web.Response(content_type="video/mp4" if films else "application/json")
        case Kind.SHORT:
            return web.Response(body=gzip.compress(b"", mtime=0), content_type="video/mp4")
        case Kind.REDIRECT:
            return web.Response(status=fault.status or 302, headers={"Location": fault.to})
        case Kind.HANG:
            await silence()
        case Kind.DROP:
            await hang_up(request, at_once=True)
    raise AssertionError(f"{fault.name} has no answer of its own")


async def silence() -> NoReturn:
    """Say nothing, until the client goes away or the simulator ends: either cancels this."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets this event")


async def hang_up(request: web.Request, *, at_once: bool = False) -> NoReturn:
    """End the connection, after what was written has gone, or with a reset."""
    if request.transport is not None:
        if at_once:
            request.transport.abort()
        else:
            request.transport.close()
    await silence()


def _status(fault: Fault, status: int, headers: dict[str, str]) -> web.Response:
    known: dict[int, Json] = {
        401: UNAUTHORIZED,
        404: MEDIA_NOT_FOUND,
        426: UPDATE_REQUIRED,
        429: LOGIN_LIMIT
        if fault.place in (Place.SIGNIN, Place.VERIFY, Place.AUTHORIZE, Place.TOKEN)
        else {"message": "Too Many Requests"},
        500: {"message": "Internal Server Error"},
    }
    if said := _said(fault, status, headers):
        return said
    if status in known:
        return as_json(known[status], status, headers)
    return web.Response(text=EDGE_PAGE, status=status, content_type="text/html", headers=headers)


def _said(fault: Fault, status: int, headers: dict[str, str]) -> web.Response | None:
    if fault.body is None:
        return None
    return web.Response(text=fault.body, status=status, content_type="application/json", headers=headers)
