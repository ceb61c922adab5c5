"""Clips that the owner dismissed: no sink has to hold them any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from blinkarchive.index.schema import DISMISSED, clip, copy, is_state, sink
from blinkarchive.model import ClipId, SinkName, State

REASON = "dismissed by the owner"
"""Why a copy is excluded that no sink has to hold."""

_BY_OWNER = (copy.c.state == State.EXCLUDED.value) & (copy.c.reason == REASON)
_MISSING = ~is_state(State.STORED) & ~_BY_OWNER


def state_for_new_sink() -> tuple[sa.ColumnElement[str], sa.ColumnElement[str]]:
    """The state and the reason of a clip's copy in a sink that is new to the archive."""
    state = sa.case((DISMISSED, State.EXCLUDED.value), else_=State.PENDING.value)
    return state, sa.case((DISMISSED, REASON), else_="")


def find(connection: sa.Connection, names: Sequence[str]) -> dict[str, tuple[int, ClipId]]:
    """The clips with these ids or keys, by what they were called."""
    rows = connection.execute(sa.select(clip.c.n, clip.c.id, clip.c.key).where(clip.c.id.in_(names) | clip.c.key.in_(names)))
    return {name: (n, ClipId(id_)) for n, id_, key in rows for name in (id_, key)}


def dismiss(connection: sa.Connection, number: int, now: datetime) -> list[SinkName]:
    """No sink that is missing the clip has to hold it any more. Returns those sinks; nothing changes when there is none."""
    names = _sinks(connection, number, _MISSING)
    if names:
        connection.execute(sa.update(clip).where(clip.c.n == number).values(dismissed_at=now))
        _set(connection, number, _MISSING, State.EXCLUDED, REASON)
    return names


def undo(connection: sa.Connection, number: int) -> list[SinkName]:
    """The sinks that were missing the clip have to hold it again, as one that was never tried. Returns those sinks."""
    names = _sinks(connection, number, _BY_OWNER)
    connection.execute(sa.update(clip).where(clip.c.n == number).values(dismissed_at=None))
    _set(connection, number, _BY_OWNER, State.PENDING, "")
    return names


def dismissed(connection: sa.Connection) -> dict[ClipId, frozenset[SinkName]]:
    """The clips that were dismissed, oldest recording first, and the sinks that do not hold them for that."""
    rows = connection.execute(
        sa.select(clip.c.id, sink.c.name)
        .join_from(clip, copy, copy.c.clip == clip.c.n)
        .join(sink, sink.c.n == copy.c.sink)
        .where(DISMISSED, _BY_OWNER)
        .order_by(clip.c.recorded_at, clip.c.n)
    )
    found: dict[ClipId, set[SinkName]] = {}
    for id_, name in rows:
        found.setdefault(ClipId(id_), set()).add(SinkName(name))
    return {id_: frozenset(names) for id_, names in found.items()}


def _sinks(connection: sa.Connection, number: int, which: sa.ColumnElement[bool]) -> list[SinkName]:
    names = sa.select(sink.c.name).join_from(copy, sink, sink.c.n == copy.c.sink).where(copy.c.clip == number, which)
    return [SinkName(name) for name in connection.execute(names.order_by(sink.c.n)).scalars()]


def _set(connection: sa.Connection, number: int, which: sa.ColumnElement[bool], state: State, reason: str) -> None:
    values = {"state": state.value, "reason": reason, "tries": 0, "tried_at": None}
    connection.execute(sa.update(copy).where(copy.c.clip == number, which).values(values))
