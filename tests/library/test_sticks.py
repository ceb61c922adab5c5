"""The clips on a sync module's stick, by the house: listed, fetched, deleted, each by what it is and not by its number."""

from __future__ import annotations

from pathlib import Path

import pytest

from blinkarchive.blink import Blink, LocalStorageMediaItem
from blinkarchive.errors import BadClip, Busy, ClipGone, CommandFailed, CommandUnfinished, SourceError
from blinkarchive.simulator import World
from tests.library.conftest import camera, module


@pytest.fixture
async def items(blink: Blink) -> tuple[LocalStorageMediaItem, ...]:
    assert not blink.sync["Home"].local_storage_manifest_ready
    return await blink.sync["Home"].update_local_storage_manifest()


async def test_the_newest_come_first_with_their_facts(
    blink: Blink, world: World, items: tuple[LocalStorageMediaItem, ...]
) -> None:
    truth = module(world).stick.clips
    assert [(item.id, item.created_at, item.size) for item in items] == [(c.number, c.created_at, c.kib) for c in truth]
    assert [item.name for item in items] == [clip.camera for clip in truth]
    assert all(item.camera is blink.cameras[item.camera.camera_id] for item in items if item.camera)
    assert blink.sync["Home"].local_storage_manifest_ready
    assert "LocalStorageMediaItem" in repr(items[0])


async def test_a_clip_is_fetched_whole_to_a_file_or_piece_by_piece(
    blink: Blink, world: World, items: tuple[LocalStorageMediaItem, ...], tmp_path: Path
) -> None:
    for item, clip in zip(items, module(world).stick.clips, strict=True):
        with pytest.raises(ClipGone):
            await item.download_video(blink, tmp_path / "early.mp4")
        assert await item.prepare_download(blink, max_retries=2)
        assert await item.download_video(blink, tmp_path / "clip.mp4", max_retries=2)
        assert (tmp_path / "clip.mp4").read_bytes() == clip.film()
        async with item.open() as body:
            assert b"".join([piece async for piece in body.chunks]) == clip.film()
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


async def test_a_clip_is_deleted_and_no_other(world: World, items: tuple[LocalStorageMediaItem, ...]) -> None:
    gone = module(world).stick.clips[2]
    assert await items[2].delete_video()
    assert gone not in module(world).stick.clips
    assert len(module(world).stick.clips) == 5
    assert await items[2].delete_video()  # what is gone already is gone


async def test_a_clip_is_deleted_by_what_it_is_whatever_its_number_is_now(
    world: World, items: tuple[LocalStorageMediaItem, ...]
) -> None:
    module(world).stick.renumber()
    gone = module(world).stick.clips[1]
    assert await items[1].delete_video()
    assert gone not in module(world).stick.clips
    assert len(module(world).stick.clips) == 5


async def test_numbers_that_move_in_the_middle_of_a_deletion_delete_nothing(
    world: World, items: tuple[LocalStorageMediaItem, ...]
) -> None:
    world.faults.add("local-delete.renumber")
    with pytest.raises(CommandFailed):
        await items[1].delete_video()
    assert len(module(world).stick.clips) == 6


async def test_of_two_clips_that_cannot_be_told_apart_none_is_deleted(blink: Blink, world: World) -> None:
    stick = module(world).stick
    newest = stick.clips[0]
    world.account.add_local_clip(module(world), camera(world, newest.camera), created_at=newest.created_at, size=newest.take.size)
    before = len(stick.clips)
    items = await blink.sync["Home"].update_local_storage_manifest()
    with pytest.raises(CommandFailed, match="several clips"):
        await items[0].delete_video()
    assert len(stick.clips) == before


@pytest.mark.parametrize("fault", ["fail", "lie", "stall", "busy", "status"])
async def test_a_deletion_says_what_became_of_it(world: World, items: tuple[LocalStorageMediaItem, ...], fault: str) -> None:
    kinds: dict[str, type[SourceError]] = {"fail": CommandFailed, "lie": CommandFailed, "stall": CommandUnfinished, "busy": Busy}
    world.faults.add(f"local-delete.{fault}", times=0)
    with pytest.raises(kinds.get(fault, SourceError)):
        await items[0].delete_video()
    assert len(module(world).stick.clips) == 6


async def test_a_clip_of_another_size_under_the_number_is_not_kept(
    world: World, items: tuple[LocalStorageMediaItem, ...], tmp_path: Path
) -> None:
    """A cloud that takes an old number for a new one gives another clip away."""
    world.rules.old_manifest = "misleading"
    module(world).stick.renumber()
    await items[0].prepare_download()
    with pytest.raises(BadClip, match="another clip"):
        await items[0].download_video(None, tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


async def test_a_clip_is_not_deleted_when_it_may_be_another_that_was_fetched(blink: Blink, world: World, tmp_path: Path) -> None:
    """Not even when the two are of one size."""
    world.rules.old_manifest = "misleading"
    stick = module(world).stick
    stick.clear()
    for name in ("Bell", "Drive"):
        world.account.add_local_clip(module(world), camera(world, name), size=9000)
    items = await blink.sync["Home"].update_local_storage_manifest()
    stick.renumber()
    with pytest.raises(CommandFailed, match="the numbers have moved"):
        await items[0].download_video_delete(None, tmp_path / "clip.mp4")
    assert len(stick.clips) == 2
    for item in await blink.sync["Home"].update_local_storage_manifest():
        assert await item.download_video_delete(None, tmp_path / f"{item.name}.mp4")
    assert stick.clips == []


async def test_what_is_fetched_and_deleted_is_first_of_all_fetched(
    world: World, items: tuple[LocalStorageMediaItem, ...], tmp_path: Path
) -> None:
    clip = module(world).stick.clips[0]
    world.faults.add("upload.fail")
    with pytest.raises(CommandFailed):
        await items[0].download_video_delete(None, tmp_path / "clip.mp4")
    assert await items[0].download_video_delete(None, tmp_path / "clip.mp4")
    assert (tmp_path / "clip.mp4").read_bytes() == clip.film()
    assert clip not in module(world).stick.clips


async def test_a_stick_that_is_pulled_out_is_an_error(blink: Blink, world: World) -> None:
    home = blink.sync["Home"]
    module(world).local_storage = "unmounted"
    with pytest.raises(CommandFailed):
        await home.update_local_storage_manifest()
    await blink.refresh(force=True)
    assert not home.local_storage
