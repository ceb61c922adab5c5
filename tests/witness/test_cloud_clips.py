"""blinkpy lists the cloud's clips and fetches them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from blinkarchive.simulator import CloudClip, Rules, Running, World
from tests.witness.witness import Witness

EVER = "1970/01/02 00:00:00"


@pytest.fixture
def world() -> World:
    return World.from_seed(11, clips=60, clip_bytes=(8_000, 60_000), rules=Rules(page_size=25))


@pytest.fixture
async def owner(witness: Witness, world: World) -> Witness:
    """A blinkpy that has signed in."""
    await witness.start(world.account)
    return witness


def films(clips: Iterable[CloudClip]) -> Counter[str]:
    return Counter(hashlib.sha256(clip.film()).hexdigest() for clip in clips)


def files(folder: Path) -> Counter[str]:
    return Counter(hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir())


async def test_every_clip_of_every_page_comes_whole(owner: Witness, world: World, running: Running, tmp_path: Path) -> None:
    await owner.tell("videos", folder=str(tmp_path), since=EVER)
    assert files(tmp_path) == films(world.account.clips)
    assert [(page.query["page"], page.status) for page in running.seen("GET", "/media/changed")] == [
        (str(number), 200) for number in (1, 2, 3, 4)
    ]


async def test_a_file_is_named_after_its_own_camera_and_time(owner: Witness, world: World, tmp_path: Path) -> None:
    await owner.tell("videos", folder=str(tmp_path), since=EVER)
    for clip in world.account.clips:
        name = f"{clip.camera.name.lower().replace(' ', '-')}-{clip.created_at:%Y-%m-%dt%H-%M-%S}-00-00.mp4"
        assert (tmp_path / name).read_bytes() == clip.film()


async def test_only_what_has_changed_since_a_time_is_listed(owner: Witness, world: World, tmp_path: Path) -> None:
    since = world.account.clips[20].updated_at
    late = world.account.clips[-1]
    world.account.change(late, watched=True, at=since + timedelta(seconds=1))
    await owner.tell("videos", folder=str(tmp_path), since=since.isoformat())
    assert files(tmp_path) == films(clip for clip in world.account.clips if clip.updated_at >= since)
    assert hashlib.sha256(late.film()).hexdigest() in files(tmp_path)


async def test_what_was_deleted_is_listed_as_deleted(owner: Witness, world: World, running: Running, tmp_path: Path) -> None:
    gone = world.account.clips[3]
    world.account.change(gone, deleted=True)
    await owner.tell("videos", folder=str(tmp_path), since=EVER)
    assert files(tmp_path) == films(clip for clip in world.account.clips if clip is not gone)
    assert not running.seen("GET", gone.path)


async def test_a_second_run_fetches_only_what_is_new(owner: Witness, world: World, running: Running, tmp_path: Path) -> None:
    await owner.tell("videos", folder=str(tmp_path), since=EVER)
    new = world.account.add_clip(size=30_000)
    running.log.clear()
    await owner.tell("videos", folder=str(tmp_path), since=EVER)
    assert [exchange.path for exchange in running.seen("GET", ".mp4")] == [new.path]
    assert files(tmp_path) == films(world.account.clips)
