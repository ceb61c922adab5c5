"""Clips that leave the house encrypted: nobody at the other end can read them, and their owner can, with age alone."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest

from blinkarchive.simulator import World
from tests.acceptance.conftest import House, Houses, films

CLIPS = 8


@pytest.fixture
def keys(tmp_path: Path) -> list[pyrage.x25519.Identity]:
    """Two identities, each in a file as age-keygen writes one."""
    made = [pyrage.x25519.Identity.generate() for _ in range(2)]
    for number, key in enumerate(made):
        (tmp_path / f"key{number}").write_text(f"# created: long ago\n# public key: {key.to_public()}\n{key}\n")
    return made


def two(keys: list[pyrage.x25519.Identity]) -> str:
    return json.dumps([str(key.to_public()) for key in keys])


def configure(house: House, keys: list[pyrage.x25519.Identity], more: str = "") -> Path:
    """One sink, a folder that stands for another house, and all that goes there encrypted."""
    away = house.folder / "away"
    away.mkdir(exist_ok=True)
    house.configure()
    text = house.config.read_text()
    house.config.write_text(
        text[: text.index("[sink.nas]")]
        + f'[sink.away]\ntype = "disk"\npath = "{away}"\nencrypt = {{ recipients = {two(keys)} }}\n{more}'
    )
    return away


def age(*arguments: str | Path, stdin: bytes = b"") -> bytes:
    """What the standard tool says."""
    if shutil.which("age") is None:
        pytest.skip("this test opens what was encrypted with the standard tool, and there is none: install age")
    return subprocess.run(["age", *arguments], input=stdin, capture_output=True, check=True).stdout


async def test_what_leaves_tells_nothing_and_the_standard_tool_opens_it(
    house_of: Houses, keys: list[pyrage.x25519.Identity], tmp_path: Path
) -> None:
    async with house_of(World.from_seed(7, clips=CLIPS, clip_bytes=(8_000, 300_000), until=datetime.now(UTC))) as house:
        away = configure(house, keys)
        ended = await house("run", "--json")
        assert ended.code == 0, ended.err
        assert ended.report["sinks"]["away"]["stored"] == CLIPS
        files = [path for path in away.rglob("*") if path.is_file()]
        sealed = [path for path in files if path.name != ".blinkarchive-sink"]
        assert all(path.suffix == ".age" for path in sealed)
        for key in ("key0", "key1"):
            opened = {
                hashlib.sha256(age("--decrypt", "-i", tmp_path / key, path)).hexdigest()
                for path in sealed
                if not path.is_relative_to(away / "catalog")
            }
            assert opened == films(house.cloud.world)
        [catalogue] = (away / "catalog").iterdir()
        lines = [json.loads(line) for line in age("-d", "-i", tmp_path / "key0", catalogue).splitlines()]
        assert {line["plain_sha256"] for line in lines} == films(house.cloud.world)
        for line in lines:
            data = (away / line["key"]).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (line["size"], line["sha256"])
            assert hashlib.sha256(age("-d", "-i", tmp_path / "key1", away / line["key"])).hexdigest() == line["plain_sha256"]
        assert (await house("run", "--json")).report["stored"] == 0
        assert not list((house.folder / "state" / "spool").iterdir())
