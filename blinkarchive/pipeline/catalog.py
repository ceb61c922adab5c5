"""The catalogue: what a sink holds, written into the sink itself, so that any one sink is enough to rebuild and restore.

One object of JSON lines for the copies of a run, each line a clip and its copy. A line's keys: `id account network_id network
camera_id camera source trigger recorded_at key size sha256 stored_at`; times are ISO 8601 in UTC. Where the copy is encrypted
`size` and `sha256` are of what is stored, and `plain_size plain_sha256` of the clip. The catalogue of a sink that encrypts is
encrypted itself, for the same recipients.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from blinkarchive.model import Clip, Copy, Key
from blinkarchive.pipeline.lane import Lane
from blinkarchive.pipeline.naming import CATALOG, SEALED
from blinkarchive.pipeline.spool import Spool

if TYPE_CHECKING:
    from blinkarchive.index import Index

CATALOGUED = 500
"""The most copies of one object. With 5,000 a first run's peak of memory was here, 14 MB above all else."""


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
