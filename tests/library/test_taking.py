"""A picture or a clip that was asked for is found again: the very one, wherever it is kept; or it is said that it is not."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from blinkarchive.blink import Client, taking, wire
from blinkarchive.blink.saving import save
from blinkarchive.blink.taking import Taken
from blinkarchive.clock import ManualClock
from blinkarchive.errors import Busy, CommandFailed, CommandUnfinished
from blinkarchive.simulator import World
from tests.library.conftest import camera, module
from tests.library.test_client_control import shown

Asking = Callable[..., Awaitable[Taken]]


async def bytes_of(taken: Taken) -> bytes:
    async with taken.open() as body:
        return b"".join([chunk async for chunk in body.chunks])


async def modules(client: Client, network: str = "Home") -> list[wire.SyncModule]:
    home = await client.homescreen()
    ids = {each.id for each in home.networks if each.name == network}
    return [each for each in home.sync_modules if each.network_id in ids]


def sees_something_soon(world: World, name: str) -> None:
    """Let something move before a camera while it does what it was asked for."""

    def moves(at: datetime) -> None:
        world.account.record(camera(world, name), at)

    world.timeline.after(1.0, moves)


@pytest.fixture
def clip(client: Client, clock: ManualClock) -> Asking:
    """Let a camera of the simulated house record, and find the clip."""

    async def taken(name: str, network: str = "Home", sticks: bool = True) -> Taken:
        known = await modules(client, network) if sticks else []
        return await taking.clip(client, await shown(client, name, network), known, clock=clock)

    return taken


@pytest.mark.parametrize(
    ("name", "network"), [("Front Door", "Home"), ("Kitchen", "Home"), ("Bell", "Home"), ("Front Door", "Barn")]
)
async def test_a_picture_is_the_new_one_and_its_time_is_told(
    client: Client, world: World, clock: ManualClock, name: str, network: str
) -> None:
    began = clock.now()
    taken = await taking.picture(client, await shown(client, name, network), clock=clock)
    assert taken.at is not None
    assert taken.at >= began
    assert taken.at == camera(world, name, network).pictured_at.replace(microsecond=0)
    assert (await bytes_of(taken)).startswith(b"\xff\xd8\xff")


async def test_a_picture_that_was_never_taken_is_not_the_old_one(client: Client, world: World, clock: ManualClock) -> None:
    world.faults.add("control.lie")
    with pytest.raises(CommandUnfinished, match="'Kitchen': reported taken, and Blink still shows the old one"):
        await taking.picture(client, await shown(client, "Kitchen"), clock=clock)


async def test_a_picture_of_a_camera_that_cannot_is_a_failure(client: Client, world: World, clock: ManualClock) -> None:
    world.faults.add("control.fail")
    with pytest.raises(CommandFailed):
        await taking.picture(client, await shown(client, "Bell"), clock=clock)
    world.faults.add("control.busy", times=0)
    with pytest.raises(Busy):
        await taking.picture(client, await shown(client, "Bell"), clock=clock)


@pytest.mark.parametrize("sticks", [True, False])
async def test_a_clip_is_found_in_the_cloud(clip: Asking, world: World, sticks: bool) -> None:
    known = {one.id for one in world.account.clips}
    taken = await clip("Bell", sticks=sticks)
    [new] = [one for one in world.account.clips if one.id not in known]
    assert taken.at == new.created_at
    assert await bytes_of(taken) == new.film()


async def test_a_clip_that_is_still_written_is_waited_for(clip: Asking, world: World) -> None:
    world.rules.partial_for = 20.0
    taken = await clip("Bell", sticks=False)
    assert await bytes_of(taken) == world.account.clips[0].film()


async def test_of_two_new_clips_it_is_the_one_that_was_asked_for(clip: Asking, world: World, clock: ManualClock) -> None:
    sees_something_soon(world, "Front Door")
    began = clock.now()
    taken = await clip("Front Door")
    [asked] = [one for one in world.account.clips if one.source == "liveview" and one.created_at >= began]
    assert await bytes_of(taken) == asked.film()


async def test_a_clip_that_was_asked_for_a_moment_ago_is_not_taken_for_it(clip: Asking, world: World, clock: ManualClock) -> None:
    world.account.record(camera(world, "Bell"), clock.now() - timedelta(minutes=1), source="liveview")
    taken = await clip("Bell")
    assert await bytes_of(taken) == world.account.clips[0].film()


async def test_a_clip_of_another_camera_is_not_taken_for_it(clip: Asking, world: World) -> None:
    world.faults.add("control.lie")
    sees_something_soon(world, "Kitchen")
    with pytest.raises(CommandUnfinished, match="recorded, and not to be found within 120 s"):
        await clip("Front Door")


async def test_without_a_subscription_a_clip_is_found_on_the_stick(clip: Asking, world: World, tmp_path: Path) -> None:
    world.account.subscription = False
    held = set(map(id, module(world).stick.clips))
    taken = await clip("Front Door")
    [new] = [one for one in module(world).stick.clips if id(one) not in held]
    async with taken.open() as body:
        await save(body, tmp_path / "clip.mp4", film=True)
    assert hashlib.sha256((tmp_path / "clip.mp4").read_bytes()).digest() == hashlib.sha256(new.film()).digest()


async def test_a_clip_that_nobody_keeps_is_a_failure_at_once(clip: Asking, world: World, clock: ManualClock) -> None:
    world.account.subscription = False
    began = clock.now()
    with pytest.raises(CommandFailed, match="kept neither in the cloud nor on a stick"):
        await clip("Bench", "Shed")
    assert clock.now() - began < timedelta(seconds=30)


async def test_a_stick_that_cannot_be_read_before_is_left_out(clip: Asking, world: World) -> None:
    world.faults.add("manifest.fail", times=0)
    taken = await clip("Bell")
    assert await bytes_of(taken) == world.account.clips[0].film()


@pytest.mark.parametrize(
    ("thumbnail", "at"),
    [
        ("/api/v3/media/accounts/1/networks/2/lotus/3/thumbnail/thumbnail.jpg?ts=1793000000&ext=", "2026-10-26T07:33:20Z"),
        ("/x.jpg?ext=&ts=1793000000", "2026-10-26T07:33:20Z"),
        ("/x.jpg?ts=1793000000000&ext=", "2026-10-26T07:33:20Z"),
        (1793000000, "2026-10-26T07:33:20Z"),
        ("/media/production/account/1/network/2/camera/3/clip_x1_2020_10_02__00_28AM", "2020-10-02T00:28:00Z"),
        ("/media/production/account/1/network/2/camera/3/clip_x1_2020_10_02__13_28PM.jpg", "2020-10-02T13:28:00Z"),
        ("/media/production/account/1/network/2/camera/3/clip_x_2020_10_02__13_28_59", "2020-10-02T13:28:59Z"),
        ("/media/production/account/1/network/2/camera/3/clip_x_2020_13_02__13_28_59", None),
        ("/media/production/account/1/network/2/camera/3/clip_name", None),
        ("/x.jpg?ts=12345&ext=", None),
        ("/x.jpg?ts=1793000000123&ext=", "2026-10-26T07:33:20.123000Z"),
        ("", None),
    ],
)
def test_the_time_of_a_picture_is_in_its_address(thumbnail: str | int, at: str | None) -> None:
    seen = wire.Camera(id=3, network_id=2, thumbnail=thumbnail)
    assert seen.pictured_at == (datetime.fromisoformat(at) if at else None)


async def test_a_file_that_may_not_be_replaced_stays_as_it_is(client: Client, clock: ManualClock, tmp_path: Path) -> None:
    file = tmp_path / "door.jpg"
    file.write_text("mine")
    taken = await taking.picture(client, await shown(client, "Kitchen"), clock=clock)
    with pytest.raises(FileExistsError):
        async with taken.open() as body:
            await save(body, file, film=False, replace=False)
    assert file.read_text() == "mine"
    assert list(tmp_path.glob(".*")) == []
    async with taken.open() as body:
        await save(body, file, film=False)
    assert file.read_bytes().startswith(b"\xff\xd8\xff")
