"""Clips of the cloud in a folder: those that were asked for, each whole, each once."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from blinkarchive.blink import Blink
from blinkarchive.clock import ManualClock
from blinkarchive.errors import ArchiveError, LoginNeeded, Throttled, UpdateRequired
from blinkarchive.simulator import CloudClip, Running, World
from tests.library.conftest import camera


def recorded(world: World, *names: tuple[str, str]) -> list[CloudClip]:
    return [clip for clip in world.account.clips if (clip.camera.network.name, clip.camera.name) in names]


async def listed(blink: Blink, **wanted: object) -> set[int]:
    return {item.id for item in await blink.get_videos_metadata(**wanted)}  # type: ignore[arg-type]


async def test_every_clip_is_written_byte_by_byte_under_a_name_of_its_own(blink: Blink, world: World, tmp_path: Path) -> None:
    done = await blink.download_videos(str(tmp_path / "a" / "b"), delay=0)
    assert (done.skipped, done.failed, done.cut_off) == ([], {}, False)
    clips = {re.search(r"(\d+)\.mp4$", path.name)[1]: path for path in done.files}  # type: ignore[index]
    for clip in world.account.clips:
        path = clips.pop(str(clip.id))
        assert path.read_bytes() == clip.film()
        assert path.name.startswith(f"{clip.camera.name.lower().replace(' ', '-')}-2026-0")
    assert clips == {}


@pytest.mark.parametrize("form", ["%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%SZ", "24h"])
async def test_since_is_a_time_in_many_forms(blink: Blink, world: World, clock: ManualClock, form: str) -> None:
    begin = clock.now().replace(second=0) - timedelta(hours=24)
    later = {clip.id for clip in world.account.clips if clip.updated_at >= begin}
    assert 0 < len(later) < 20
    local = begin if form.endswith("Z") else begin.astimezone().replace(tzinfo=None)
    assert await listed(blink, since=local.strftime(form)) == later
    assert await listed(blink, since=begin) == later
    assert await listed(blink, since=begin.astimezone(timezone(timedelta(hours=-9)))) == later


async def test_a_time_that_could_mean_two_is_refused(blink: Blink) -> None:
    for since in ("yesterday", "07/04/2018", "", datetime(2026, 1, 1)):  # noqa: DTZ001
        with pytest.raises(ValueError):
            await listed(blink, since=since)


async def test_a_camera_that_nothing_knows_is_logged(
    blink: Blink, world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bell = camera(world, "Bell")
    bell.name = "Another"
    await blink.refresh(force=True)
    world.account.add_clip(bell, extra={"device_name": "Former"})
    for known in ("Another", "former", "all", str(bell.id), "Kitchen", blink.cameras["Kitchen"].camera_id):
        await blink.download_videos(tmp_path, camera=[known], debug=True)
    assert not caplog.records
    await blink.download_videos(tmp_path, camera=["Kitchen", "Kitchenn"], debug=True)
    assert [record.__dict__.get("camera") for record in caplog.records] == ["kitchenn"]


async def test_cameras_are_chosen_by_name_by_id_and_by_the_names_of_the_house(blink: Blink, world: World) -> None:
    world.account.add_clip(camera(world, "Front Door"))
    world.account.add_clip(camera(world, "Front Door", "Barn"))
    home, barn, bell = ("Home", "Front Door"), ("Barn", "Front Door"), ("Home", "Bell")
    for chosen, names in (
        ("Bell", [bell]),
        ("bELL", [bell]),
        ("Front Door", [home, barn]),
        ("Front Door (Barn)", [barn]),
        (["front door (home)", "Bell"], [home, bell]),
        ([str(camera(world, "Bell").id)], [bell]),
        ([camera(world, "Front Door", "Barn").id], [barn]),
        (("nobody",), []),
        ([], []),
    ):
        assert await listed(blink, camera=chosen) == {clip.id for clip in recorded(world, *names)}, chosen
    assert len(await listed(blink, camera=["all"])) == 22


async def test_what_has_no_film_is_left_out(blink: Blink, world: World) -> None:
    world.account.change(world.account.clips[0], deleted=True)
    world.account.add_clip(video=False)
    world.account.add_clip(partial=True)
    world.account.add_clip(instead={"id": "odd"})
    assert len(await listed(blink)) == 19


async def test_a_pause_is_between_two_downloads_and_not_before_the_first(
    blink: Blink, world: World, clock: ManualClock, tmp_path: Path
) -> None:
    before = len(clock.sleeps)
    await blink.download_videos(tmp_path, camera="Bell", delay=7)
    assert clock.sleeps[before:].count(7) == len(recorded(world, ("Home", "Bell"))) - 1
    before = len(clock.sleeps)
    await blink.download_videos(tmp_path, camera="Bell", delay=7)
    assert 7 not in clock.sleeps[before:]


async def test_with_debug_nothing_is_fetched_and_nothing_is_written(blink: Blink, cloud: Running, tmp_path: Path) -> None:
    cloud.log.clear()
    done = await blink.download_videos(tmp_path / "clips", debug=True)
    assert len(done.files) == 20
    assert cloud.seen("GET", ".mp4") == []
    assert not (tmp_path / "clips").exists()


def by_camera(created_at: str, camera: str, path: str) -> str:
    assert datetime.fromisoformat(created_at).tzinfo is not None
    return os.path.join(path, camera, f"{created_at[:10]}.mp4")


@pytest.mark.parametrize("relative", [False, True])
async def test_a_name_that_the_caller_gives_twice_is_still_two_files(
    blink: Blink, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relative: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("clips") if relative else tmp_path / "clips"
    done = await blink.download_videos(folder, delay=0, filename_format=by_camera)
    assert len(set(done.files)) == 20
    assert {path.parent.parent for path in done.files} == {folder}
    assert len(list((tmp_path / "clips").rglob("*.mp4"))) == 20
    last = world.account.clips[0]
    newer = world.account.add_clip(last.camera, created_at=last.created_at, size=9000)
    again = await blink.download_videos(folder, delay=0, filename_format=by_camera)
    assert len(again.skipped) == 20
    assert [path.read_bytes() for path in again.files] == [newer.film()]


async def test_a_bare_name_is_one_in_the_folder(blink: Blink, tmp_path: Path) -> None:
    done = await blink.download_videos(tmp_path, delay=0, camera="Bell", filename_format=lambda *_: "clip.mp4")
    assert {path.parent for path in done.files} == {tmp_path}


async def test_what_is_there_is_not_fetched_again(blink: Blink, world: World, cloud: Running, tmp_path: Path) -> None:
    first = await blink.download_videos(tmp_path, delay=0)
    first.files[4].write_bytes(first.files[4].read_bytes()[:-1])
    cloud.log.clear()
    second = await blink.download_videos(tmp_path, delay=0)
    assert (second.files, len(second.skipped)) == ([first.files[4]], 19)
    assert len(cloud.seen("GET", ".mp4")) == 1


async def test_a_passing_fault_is_tried_again(blink: Blink, world: World, tmp_path: Path) -> None:
    for clip, fault in zip(world.account.clips, ("drop", "cut", "empty", "html", "status", "garbage"), strict=False):
        world.faults.add(f"media.{fault}", clip=clip.id, times=2)
    done = await blink.download_videos(tmp_path, delay=0)
    assert (len(done.files), done.failed) == (20, {})


@pytest.mark.parametrize(
    ("prepare", "kind"),
    [
        (lambda world: world.faults.add("media.status", status=429, times=0, skip=3), Throttled),
        (lambda world: world.faults.add("media.status", status=426, times=0, skip=3), UpdateRequired),
        (lambda world: (world.signins.revoke_access_tokens(), world.signins.revoke_refresh_tokens()), LoginNeeded),
    ],
)
async def test_what_would_stop_every_clip_stops_at_the_first(
    blink: Blink, world: World, cloud: Running, tmp_path: Path, prepare: Callable[[World], object], kind: type[Exception]
) -> None:
    prepare(world)
    cloud.log.clear()
    with pytest.raises(kind):
        await blink.download_videos(tmp_path, delay=0)
    assert len(cloud.seen("GET", ".mp4")) <= 6
    assert all(path.suffix == ".mp4" for path in tmp_path.iterdir())


async def test_a_folder_that_cannot_be_written_to_stops_at_the_first(blink: Blink, cloud: Running, tmp_path: Path) -> None:
    (tmp_path / "clips").write_text("a file, and no folder")
    cloud.log.clear()
    with pytest.raises(ArchiveError, match="cannot be written"):
        await blink.download_videos(tmp_path / "clips", delay=0)
    assert len(cloud.seen("GET", ".mp4")) == 1


async def test_an_address_elsewhere_is_one_clip_that_failed_and_gets_no_token(blink: Blink, world: World, tmp_path: Path) -> None:
    clip = world.account.clips[2]
    world.account.change(clip, media_path="https://evil.example.org/clip.mp4")
    done = await blink.download_videos(tmp_path, delay=0)
    assert list(done.failed) == [clip.id]
    assert "evil.example.org" in str(done.failed[clip.id])


async def test_clips_that_come_in_between_two_pages_cost_no_other(blink: Blink, world: World, tmp_path: Path) -> None:
    world.rules.page_size = 3
    world.faults.add("list.insert", page=2)
    world.faults.add("list.insert", page=4)
    old = {clip.id for clip in world.account.clips}
    assert old <= await listed(blink)


async def test_an_item_that_cannot_be_understood_is_said_and_skipped(
    blink: Blink, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.rules.page_size = 1
    world.account.add_clip(instead={"id": 5})
    with caplog.at_level(logging.WARNING):
        assert len(await listed(blink, stop=None)) == 20
    assert "could not be understood" in caplog.text


async def test_the_newest_come_first(blink: Blink, world: World) -> None:
    world.rules.order = "shuffled"
    items = await blink.get_videos_metadata()
    assert [item.id for item in items] == [clip.id for clip in world.account.clips]
    assert items[0].created_at.tzinfo == UTC


async def test_a_house_need_not_be_read_to_fetch_its_clips(blink: Blink, tmp_path: Path) -> None:
    house = Blink(auth=blink.auth)
    assert len((await house.download_videos(tmp_path, camera=["Bell"], delay=0)).files) > 0
