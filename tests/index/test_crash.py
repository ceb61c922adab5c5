"""Killed in the middle of it: what was said to be recorded is recorded, and the index is whole."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from blinkarchive.clock import ManualClock
from blinkarchive.index import Index
from tests.index.facts import NAS, clip, name

ROOT = Path(__file__).parent.parent.parent
KILLS = 6


def archive_until_killed(path: Path, first: int, after: int) -> list[int]:
    """Let a program archive clips, kill it once it has recorded so many, and give the numbers of all that it said."""
    program = [sys.executable, "-m", "tests.index.writer", str(path), str(first)]
    with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [int(next(writer.stdout)) for _ in range(after)]
        writer.kill()
        return said + [int(line) for line in writer.stdout if line.endswith("\n")]


async def test_no_kill_loses_what_was_said_to_be_recorded(path: Path, clock: ManualClock) -> None:
    chance = random.Random(1)
    said: list[int] = []
    for kill in range(KILLS):
        said += archive_until_killed(path, kill * 100_000, after=chance.randrange(1, 400))
        async with Index.open(path, clock=clock, read_only=kill % 2 == 0) as index:
            assert await index.check() == []
            assert await index.lacking([clip(number) for number in said], [NAS], name) == [None] * len(said)
    assert len(said) > 100 * KILLS / 2
