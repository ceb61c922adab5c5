"""A sink in memory that keeps the contract, and variations of it that misbehave; clips to put into them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from blinkarchive import AlreadyThere, Clip, ClipId, Content, Key, NotFound, SourceName, Stored
from blinkarchive.interfaces import Body, ClipRef
from tests.unit.test_mp4 import FTYP, MDAT, MOOV, box

START = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


def film(number: int) -> bytes:
    """A small whole MP4, different for each number."""
    return FTYP + MOOV + box(b"free", str(number).encode()) + MDAT


def clip(number: int, *, account: str = "home", camera: str = "Porch") -> Clip:
    return Clip(
        id=ClipId(f"cloud:{account}:{number}"),
        account=account,
        network_id="1",
        network="House",
        camera_id="2",
        camera=camera,
        source=SourceName.CLOUD,
        trigger="pir",
        recorded_at=START + timedelta(minutes=number),
    )


def found(
    number: int, data: bytes | None = None, *, opened: list[int] | None = None, account: str = "home", camera: str = "Porch"
) -> ClipRef:
    """A clip that a source found, whose bytes are `data`, a film of its own by default."""

    @asynccontextmanager
    async def open_body() -> AsyncIterator[Body]:
        if opened is not None:
            opened.append(number)
        body = film(number) if data is None else data

        async def chunks() -> AsyncIterator[bytes]:
            yield body

        yield Body(length=len(body), type="video/mp4", chunks=chunks())

    return ClipRef(clip=clip(number, account=account, camera=camera), open=open_body)


class MemorySink:
    """Keeps the contract of a sink, but for durability."""

    def __init__(self) -> None:
        self.objects: dict[Key, bytes] = {}
        self.puts: list[Key] = []

    async def put(self, key: Key, content: Content) -> None:
        self.puts.append(key)
        await asyncio.sleep(0)
        if key in self.objects:
            raise AlreadyThere
        self.objects[key] = content.path.read_bytes()

    async def stat(self, key: Key) -> Stored | None:
        if key not in self.objects:
            return None
        data = self.objects[key]
        return Stored(key=key, size=len(data), sha256=hashlib.sha256(data).hexdigest())

    @asynccontextmanager
    async def open(self, key: Key, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        if key not in self.objects:
            raise NotFound(key)

        async def chunks() -> AsyncIterator[bytes]:
            yield self.objects[key][start:]

        yield chunks()

    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        for key in [key for key in self.objects if key.startswith(prefix)]:
            yield Stored(key=key, size=len(self.objects[key]))

    async def delete(self, key: Key) -> None:
        if self.objects.pop(key, None) is None:
            raise NotFound(key)

    @property
    def clips(self) -> set[bytes]:
        """The clips it holds, without markers and catalogues."""
        return {data for key, data in self.objects.items() if key.endswith(".mp4")}
