"""How a film goes out: whole, at the pace of the rules, or spoilt as the script wants it."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from blinkarchive.simulator.faults import Fault, Kind, Place, Target
from blinkarchive.simulator.footage import Footage, Take
from blinkarchive.simulator.trouble import hang_up, troubled
from blinkarchive.simulator.world import World

_TYPE = "video/mp4"
_PIECE = 64 * 1024
_PIECES_A_SECOND = 25
_SPOILS = frozenset({Kind.CUT, Kind.CUT_CHUNKED, Kind.CUT_UNMARKED, Kind.TOO_LONG, Kind.TOO_SHORT, Kind.DRIP})
_CHANGES = frozenset({Kind.TRAILING, Kind.COMPRESSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """A film, and how much of it there is to see."""

    take: Take
    #: In bytes, from its beginning.
    size: int


class Films:
    """Sends films, wherever they are asked for."""

    def __init__(self, world: World, footage: Footage) -> None:
        self._world = world
        self._footage = footage

    async def show(self, request: web.Request, place: Place, target: Target, wanted: Callable[[], Showing]) -> web.StreamResponse:
        """Answer with a film, unless the script has something in its place. `wanted` is asked when the wait is over;
        it may raise `Refusal`.
        """
        world = self._world
        fault = world.faults.strike(place, target)
        if fault is not None and fault.kind is Kind.DELAY:
            await world.clock.sleep(fault.seconds)
        elif fault is not None and fault.kind not in _SPOILS | _CHANGES:
            return await troubled(request, fault)
        if world.rules.latency:
            await world.clock.sleep(world.rules.latency)
        showing = wanted()
        path = self._footage.path(showing.take)
        if fault is not None and fault.kind in _SPOILS:
            return await self._spoilt(request, path, showing.take.size, fault)
        if fault is not None and fault.kind in _CHANGES:
            return _changed(path.read_bytes(), fault)
        return await self._send(request, path, showing.size)

    async def _send(self, request: web.Request, path: Path, size: int) -> web.StreamResponse:
        """The first `size` bytes of a film: at the pace that the rules want, a small one at once, others by the kernel alone."""
        if rate := self._world.rules.bandwidth:
            response = await self._stream(request, path, size=size, promised=size, rate=rate)
        elif size <= _PIECE:
            with path.open("rb", buffering=0) as file:
                return web.Response(body=file.read(size), content_type=_TYPE)
        else:
            response = _head(size)
            await response.prepare(request)
            with path.open("rb", buffering=0) as file:
                assert request.transport is not None
                await asyncio.get_running_loop().sendfile(request.transport, file, count=size)
        await response.write_eof()
        return response

    async def _spoilt(self, request: web.Request, path: Path, size: int, fault: Fault) -> web.StreamResponse:
        half, other = fault.after or size // 2, fault.after or 1000
        sent, promised = {
            Kind.CUT: (half, size),
            Kind.CUT_CHUNKED: (half, None),
            Kind.CUT_UNMARKED: (half, None),
            Kind.TOO_LONG: (size, size + other),
            Kind.TOO_SHORT: (size - other, size - other),
            Kind.DRIP: (size, size),
        }[fault.kind]
        rate = fault.rate if fault.kind is Kind.DRIP else self._world.rules.bandwidth
        response = await self._stream(request, path, size=sent, promised=promised, rate=rate)
        if fault.kind in (Kind.CUT, Kind.CUT_CHUNKED, Kind.TOO_LONG):
            await hang_up(request)
        await response.write_eof()
        return response

    async def _stream(
        self, request: web.Request, path: Path, *, size: int, promised: int | None, rate: int
    ) -> web.StreamResponse:
        """Send the first `size` bytes of a film at `rate` bytes a second (0: no limit), and leave the end of the answer open."""
        clock = self._world.clock
        response = _head(promised)
        await response.prepare(request)
        began, sent = clock.monotonic(), 0
        piece = max(1, min(_PIECE, rate // _PIECES_A_SECOND)) if rate else _PIECE
        with path.open("rb") as file:
            while sent < size and (data := file.read(min(piece, size - sent))):
                sent += len(data)
                early = began + sent / rate - clock.monotonic() if rate else 0.0
                if early > 0:
                    await clock.sleep(early)
                await response.write(data)
        return response


def _changed(film: bytes, fault: Fault) -> web.Response:
    """A film that comes whole, and not as it should."""
    if fault.kind is Kind.TRAILING:
        return web.Response(body=film + b"\xff" * (fault.after or 1000), content_type=_TYPE)
    encoding = fault.to or "gzip"
    body = gzip.compress(film) if encoding == "gzip" else zlib.compress(film)
    return web.Response(body=body, content_type=_TYPE, headers={"Content-Encoding": encoding})


def _head(length: int | None) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": _TYPE})
    response.content_length = length
    return response
