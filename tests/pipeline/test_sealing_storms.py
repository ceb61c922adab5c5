"""Weeks in which anything fails and runs are killed at any moment: in the end each vault has every clip, and each once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from blinkarchive import Content, Copy, Key, SinkName, SinkUnavailable, Stored
from blinkarchive.errors import ArchiveError, leaves
from blinkarchive.index import Index
from blinkarchive.model import ClipId, State
from blinkarchive.pipeline.archive import Ask
from blinkarchive.pipeline.lane import MARKER
from blinkarchive.pipeline.spool import Spool
from tests.pipeline.fakes import MemorySink, found
from tests.pipeline.test_archive import House, Listing
from tests.pipeline.test_sealing import AWAY, NAS, PUBLIC, Killed, Vault, films, plain

COLD = SinkName("cold")
DAYS = 12


@dataclass
class Storm:
    """What goes wrong."""

    chance: random.Random
    over: bool = False
    #: The program is gone: nothing is tidied up any more.
    killed: bool = False

    def hits(self, probability: float) -> bool:
        return not self.over and self.chance.random() < probability

    def kills(self, probability: float) -> None:
        if self.hits(probability):
            self.killed = True
            raise Killed


class Hit:
    """An index that the program dies at, before or after it knows."""

    def __init__(self, index: Index, storm: Storm) -> None:
        self._index = index
        self._storm = storm

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    async def record(self, copy: Copy) -> None:
        self._storm.kills(0.04)
        await self._index.record(copy)
        self._storm.kills(0.03)

    async def failed(self, clip: ClipId, sink: SinkName, reason: str, *, counts: bool, final: bool = False) -> State:
        self._storm.kills(0.03)
        return await self._index.failed(clip, sink, reason, counts=counts, final=final)


class Fails(MemorySink):
    """Is away at times, and loses what it is given, its answers, and what it is asked."""

    storm: Storm
    away = False

    async def put(self, key: Key, content: Content) -> None:
        if key != MARKER and (self.away or self.storm.hits(0.05)):
            raise SinkUnavailable("it did not come through")
        await super().put(key, content)
        if key != MARKER and self.storm.hits(0.1):
            raise SinkUnavailable("it came through, and nobody was told")

    async def stat(self, key: Key) -> Stored | None:
        if self.away or (key != MARKER and self.storm.hits(0.15)):
            raise SinkUnavailable("no answer")
        return await super().stat(key)


class StormyVault(Fails, Vault):
    pass


def errors(ended: object) -> Iterator[BaseException]:
    if isinstance(ended, BaseException):
        yield from leaves(ended)


@pytest.mark.parametrize("seed", range(12))
async def test_each_vault_ends_with_every_clip_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)
    storm = Storm(chance)
    remove = Spool._remove
    monkeypatch.setattr(Spool, "_remove", lambda spool, paths: None if storm.killed else remove(spool, paths))
    sinks: dict[str, Fails] = {AWAY: StormyVault()}
    if seed % 3:
        sinks[NAS] = Fails()
    if seed % 2:
        sinks[COLD] = StormyVault()
    house = House(tmp_path, sinks={**sinks}, encrypt={name: PUBLIC[:2] for name, one in sinks.items() if isinstance(one, Vault)})
    for sink in sinks.values():
        sink.storm = storm
    clips = 0
    for _ in range(DAYS):
        clips += chance.randrange(3)
        listing = Listing(*(found(number) for number in range(max(0, clips - chance.choice([3, 99])), clips)))
        for sink in sinks.values():
            sink.away = chance.random() < 0.3
        storm.killed = False
        ask = Ask(sinks=(SinkName(chance.choice(list(sinks))),)) if chance.random() < 0.25 else None
        running = asyncio.ensure_future(house.run(listing, ask=ask, wrap=lambda index: Hit(index, storm)))  # type: ignore[arg-type,return-value]  # stands in for it
        if chance.random() < 0.2:
            await asyncio.sleep(chance.random() * 0.08)
            running.cancel()
            storm.killed = chance.random() < 0.5
        [ended] = await asyncio.gather(running, return_exceptions=True)
        assert all(isinstance(error, Killed | SinkUnavailable | ArchiveError | asyncio.CancelledError) for error in errors(ended))
        house.in_hand.clear()
        house.clock.advance(chance.choice([600, 90_000]))
    storm.over, storm.killed = True, False
    for sink in sinks.values():
        sink.away = False
    for _ in range(2):
        await house.run(Listing(*(found(number) for number in range(clips))))
        house.clock.advance(90_000)
    for sink in sinks.values():
        held = [data for key, data in sink.objects.items() if key != MARKER and not key.startswith("catalog/")]
        assert sorted(plain(data) if isinstance(sink, Vault) else data for data in held) == films(*range(clips))
    assert house.spooled == []
