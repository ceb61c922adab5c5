"""The catalogue: what a sink holds, written into the sink itself, so that any one sink is enough to rebuild and restore.

One object of JSON lines for the copies of a run, each line a clip and its copy. A line's keys: `id account network_id network
camera_id camera source trigger recorded_at key size sha256 stored_at`; times are ISO 8601 in UTC. Where the copy is encrypted
`size` and `sha256` are of what is stored, and `plain_size plain_sha256` of the clip. The catalogue of a sink that encrypts is
encrypted itself, for the same recipients.
"""

from __future__ import annotations

import asyncio
import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from blinkarchive.encryption import Identities
from blinkarchive.errors import ArchiveError, BadKey, NoIdentity
from blinkarchive.keys import parts_of
from blinkarchive.model import Clip, ClipId, Copy, Key, Plain, SinkName, SourceName, Stored
from blinkarchive.pipeline.lane import Lane
from blinkarchive.pipeline.naming import CATALOG, SEALED
from blinkarchive.pipeline.spool import Spool

if TYPE_CHECKING:
    from blinkarchive.index import Index

CATALOGUED = 500
"""The most copies of one object. With 5,000 a first run's peak of memory was here, 14 MB above all else."""


async def read(lane: Lane, stored: Stored, identities: Identities | None) -> list[tuple[Clip, Copy]]:
    """What a catalogue in a sink lists.

    Raises `SinkError`, `PluginError`, `CannotDecrypt`; and `ArchiveError` where it cannot be understood.
    """
    listed = []
    for number, text in enumerate((await _text(lane, stored, identities)).splitlines(), 1):
        try:
            listed.append(_parsed(lane.name, text))
        except (ValueError, KeyError, TypeError, BadKey) as error:
            raise ArchiveError(f"line {number} of the catalogue {stored.key} cannot be understood: {error}") from error
    return listed


async def _text(lane: Lane, stored: Stored, identities: Identities | None) -> bytes:
    sealed = io.BytesIO()
    async with lane.read(stored.key, stored.size) as body:
        async for chunk in body.chunks:
            sealed.write(chunk)
    if not stored.key.endswith(SEALED):
        return sealed.getvalue()
    if identities is None:
        raise NoIdentity
    plain = io.BytesIO()
    sealed.seek(0)
    await asyncio.to_thread(identities.decrypt, sealed, plain.write)
    return plain.getvalue()


def _parsed(sink: SinkName, text: bytes) -> tuple[Clip, Copy]:
    """A line of a catalogue. It came from outside: nothing of it is trusted but what the bytes of the clip prove."""
    facts = json.loads(text)
    plain = Plain(size=int(facts["plain_size"]), sha256=str(facts["plain_sha256"])) if "plain_sha256" in facts else None
    clip = Clip(
        id=ClipId(str(facts["id"])),
        account=str(facts["account"]),
        network_id=str(facts["network_id"]),
        network=str(facts["network"]),
        camera_id=facts["camera_id"] if facts["camera_id"] is None else str(facts["camera_id"]),
        camera=str(facts["camera"]),
        source=SourceName(facts["source"]),
        trigger=str(facts["trigger"]),
        recorded_at=datetime.fromisoformat(facts["recorded_at"]),
    )
    copy = Copy(
        clip=clip.id,
        sink=sink,
        key=Key("/".join(parts_of(str(facts["key"])))),
        size=int(facts["size"]),
        sha256=str(facts["sha256"]),
        stored_at=datetime.fromisoformat(facts["stored_at"]),
        plain=plain,
    )
    return clip, copy


async def catalogue(index: Index, spool: Spool, lane: Lane, run: str, now: datetime) -> int:
    """Write down the copies in a sink that no catalogue lists yet: those of this run, and of runs that were killed.

    Returns how many. Raises `SinkError` or `PluginError`; what was not written is left to the next run.
    """
    number = part = 0
    while copies := await index.uncatalogued(lane.name, limit=CATALOGUED):
        suffix = f"-{part}" if part else ""
        name = f"{CATALOG}{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{run.rpartition('-')[2]}{suffix}.jsonl"
        key = Key(name + SEALED if lane.seal else name)
        text = "".join(line(clip, copy) for clip, copy in copies)
        async with spool.written(text.encode(), lane.seal.recipients if lane.seal else None) as content:
            key = await lane.store(key, content)
        await index.catalogued(lane.name, [clip.id for clip, _ in copies], key)
        number += len(copies)
        part += 1
    return number


def line(clip: Clip, copy: Copy) -> str:
    """A clip and its copy as one line of a catalogue."""
    facts = {
        "id": clip.id,
        "account": clip.account,
        "network_id": clip.network_id,
        "network": clip.network,
        "camera_id": clip.camera_id,
        "camera": clip.camera,
        "source": clip.source.value,
        "trigger": clip.trigger,
        "recorded_at": _iso(clip.recorded_at),
        "key": copy.key,
        "size": copy.size,
        "sha256": copy.sha256,
        "stored_at": _iso(copy.stored_at),
    }
    if copy.plain is not None:
        facts |= {"plain_size": copy.plain.size, "plain_sha256": copy.plain.sha256}
    return json.dumps(facts, ensure_ascii=False) + "\n"


def _iso(when: datetime) -> str:
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")
