"""Clips and copies for the tests of the index, and a look at what it says to the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from blinkarchive.model import Clip, ClipId, Copy, Key, SinkName, SourceName

T0 = datetime(2026, 1, 1, tzinfo=UTC)
NAS, CLOUD, THIRD = SinkName("nas"), SinkName("cloud"), SinkName("third")


def clip(number: int, **facts: Any) -> Clip:
    """A clip that was recorded `number` minutes after `T0`."""
    given: dict[str, Any] = {
        "id": ClipId(f"cloud:home:{number}"),
        "account": "home",
        "network_id": "11",
        "network": "House",
        "camera_id": "22",
        "camera": "Front Door",
        "source": SourceName.CLOUD,
        "trigger": "pir",
        "recorded_at": T0 + timedelta(minutes=number),
    }
    return Clip(**(given | facts))


def name(clip: Clip) -> Key:
    return Key(f"{clip.camera}/{clip.id}.mp4")


def copy(clip: Clip, sink: SinkName, **facts: Any) -> Copy:
    given: dict[str, Any] = {
        "clip": clip.id,
        "sink": sink,
        "key": name(clip),
        "size": 1000,
        "sha256": "ab" * 32,
        "stored_at": T0 + timedelta(days=1),
    }
    return Copy(**(given | facts))


@dataclass
class Heard:
    """What was said to the database meanwhile."""

    statements: list[tuple[str, Any]] = field(default_factory=list)
    commits: int = 0

    @property
    def changes(self) -> list[str]:
        return [sql for sql, _ in self.statements if sql.split()[0] in ("INSERT", "UPDATE", "DELETE")]

    @property
    def questions(self) -> list[str]:
        return [sql for sql, _ in self.statements if sql.startswith("SELECT")]


@contextmanager
def listening() -> Iterator[Heard]:
    """Listen to every database of this process."""
    heard = Heard()

    def on_statement(_c: object, _cursor: object, sql: str, parameters: Any, _context: object, _many: bool) -> None:
        heard.statements.append((sql, parameters))

    def on_commit(_connection: object) -> None:
        heard.commits += 1

    sa.event.listen(sa.Engine, "before_cursor_execute", on_statement)
    sa.event.listen(sa.Engine, "commit", on_commit)
    try:
        yield heard
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", on_statement)
        sa.event.remove(sa.Engine, "commit", on_commit)
