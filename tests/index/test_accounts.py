"""Which Blink account the clips of a name are of: the first one, for good."""

from __future__ import annotations

from pathlib import Path

from blinkarchive.clock import ManualClock
from blinkarchive.index import Index
from tests.index.facts import NAS, clip, name


async def test_the_first_account_of_a_name_stays(path: Path, clock: ManualClock) -> None:
    async with Index.open(path, clock=clock) as index:
        assert await index.accounts() == {}
        assert await index.bind_account("home", "111") == "111"
        assert await index.bind_account("home", "222") == "111"
        assert await index.bind_account("cabin", "222") == "222"
    async with Index.open(path, clock=clock, read_only=True) as index:
        assert await index.accounts() == {"home": "111", "cabin": "222"}


async def test_read_only_binds_nothing(path: Path, clock: ManualClock) -> None:
    async with Index.open(path, clock=clock):
        pass
    async with Index.open(path, clock=clock, read_only=True) as index:
        assert await index.bind_account("home", "111") == "111"
        assert await index.accounts() == {}


async def test_known_clips_have_the_facts_of_when_they_were_found(index: Index) -> None:
    found = [clip(number) for number in range(700)]
    await index.lacking(found, [NAS], name)
    assert await index.known([one.id for one in found[:600]] + [clip(9000).id]) == {one.id: one for one in found[:600]}
