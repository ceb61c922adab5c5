"""What is kept of clips that Blink itself has only damaged. None of it counts as a copy of the clip."""

from __future__ import annotations

import sqlalchemy as sa

from blinkarchive.index.schema import clip, damaged, sink
from blinkarchive.model import ClipId, DamagedCopy, Key, SinkName

_READ = (
    sa.select(clip.c.id, sink.c.name, damaged.c.key, damaged.c.size, damaged.c.sha256, damaged.c.reason, damaged.c.stored_at)
    .join_from(damaged, clip, damaged.c.clip == clip.c.n)
    .join(sink, damaged.c.sink == sink.c.n)
    .order_by(clip.c.recorded_at, clip.c.n, sink.c.n, damaged.c.stored_at)
)


def keep(connection: sa.Connection, copy: DamagedCopy) -> None:
    """Note that a sink holds it. The clip and the sink are known; the same bytes are noted once."""
    numbers = sa.select(clip.c.n, sink.c.n).where(clip.c.id == copy.clip, sink.c.name == copy.sink)
    number, place = connection.execute(numbers).one()
    same = (damaged.c.clip == number) & (damaged.c.sink == place) & (damaged.c.sha256 == copy.sha256)
    connection.execute(sa.delete(damaged).where(same))
    connection.execute(
        damaged.insert(),
        {
            "clip": number,
            "sink": place,
            "sha256": copy.sha256,
            "key": copy.key,
            "size": copy.size,
            "reason": copy.reason,
            "stored_at": copy.stored_at,
        },
    )


def kept(connection: sa.Connection, id_: ClipId | None) -> list[DamagedCopy]:
    """What is kept of a clip, or of all, oldest recording first."""
    rows = connection.execute(_READ if id_ is None else _READ.where(clip.c.id == id_))
    return [
        DamagedCopy(
            clip=ClipId(row.id),
            sink=SinkName(row.name),
            key=Key(row.key),
            size=row.size,
            sha256=row.sha256,
            reason=row.reason,
            stored_at=row.stored_at,
        )
        for row in rows
    ]
