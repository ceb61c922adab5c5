"""An archive with a long past: rows put straight into an index, as if that many clips had been archived over the years."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from blinkarchive.clock import Clock
from blinkarchive.files import Files
from blinkarchive.index import Index, schema
from blinkarchive.index.opening import open_engine
from blinkarchive.model import Clip, ClipId, Key, SinkName, SourceName, State

SINK = SinkName("nas")
_FIRST_ID = 1_000_000
_STEP = 23
_BEGAN = datetime(2005, 1, 1, tzinfo=UTC)
_GROUP = 10_000


def id_of(number: int) -> ClipId:
    """The id of the past's clip of that number."""
    return ClipId(f"cloud:home:{_FIRST_ID + _STEP * number}")


def id_of_no_clip(number: int) -> ClipId:
    """An id among those of the past that none of its clips has."""
    return ClipId(f"cloud:home:{_FIRST_ID + _STEP * number + 7}")


def clip_of(id_: ClipId, number: int) -> Clip:
    """A clip of the past."""
    return Clip(
        id=id_,
        account="home",
        network_id="410001",
        network="Home",
        camera_id="410002",
        camera="Front Door",
        source=SourceName.CLOUD,
        trigger="pir",
        recorded_at=_BEGAN + timedelta(seconds=30 * number),
    )


def key_of(clip: Clip) -> Key:
    """As long as the names that clips usually have."""
    return Key(f"Front-Door/{clip.recorded_at:%Y/%m/%d/Front-Door_%Y%m%dT%H%M%SZ}_{int(clip.id.rpartition(':')[2]):016x}.mp4")


def add_past(index: Path, clips: int) -> None:
    """Put so many clips, all stored in the sink `nas`, into an index, which is made if it is not there."""
    asyncio.run(_make(index))
    engine = open_engine(index, clock=Clock(), read_only=False, files=Files())
    try:
        with engine.connect() as connection, connection.begin():
            sink = connection.execute(sa.select(schema.sink.c.n).where(schema.sink.c.name == SINK)).scalar_one()
            first = (connection.execute(sa.select(sa.func.max(schema.clip.c.n))).scalar() or 0) + 1
            for start in range(0, clips, _GROUP):
                numbers = range(start, min(start + _GROUP, clips))
                connection.execute(schema.clip.insert(), [_clip_row(first + number, number) for number in numbers])
                connection.execute(schema.copy.insert(), [_copy_row(first + number, number, sink) for number in numbers])
    finally:
        engine.dispose()
    asyncio.run(_believe(index, clips))


async def _make(index: Path) -> None:
    async with Index.open(index, clock=Clock()) as opened:
        if await opened.sink_id(SINK) is None:
            await opened.keep_sink_id(SINK, "00000000-0000-4000-8000-000000000000")


async def _believe(index: Path, clips: int) -> None:
    """The index itself says that the past is there."""
    async with Index.open(index, clock=Clock(), read_only=True) as opened:
        (sink,) = (await opened.summary([SINK])).sinks
    assert sink.stored >= clips
    assert sink.lacking == 0


def _clip_row(n: int, number: int) -> dict[str, object]:
    clip = clip_of(id_of(number), number)
    facts = {name: getattr(clip, name) for name in ("id", "account", "network_id", "network", "camera_id", "camera", "trigger")}
    return {
        **facts,
        "n": n,
        "source": clip.source.value,
        "recorded_at": clip.recorded_at,
        "key": key_of(clip),
        "found_at": clip.recorded_at,
    }


def _copy_row(n: int, number: int, sink: int) -> dict[str, object]:
    at = _BEGAN + timedelta(seconds=30 * number)
    return {
        "clip": n,
        "sink": sink,
        "recorded_at": at,
        "state": State.STORED.value,
        "size": 1_000_000,
        "sha256": f"{number:064x}",
        "stored_at": at,
        "catalogue": "catalog/past.jsonl",
    }


def pages_of(clips: Sequence[Clip], size: int) -> list[Sequence[Clip]]:
    """The clips, a page at a time."""
    return [clips[start : start + size] for start in range(0, len(clips), size)]
