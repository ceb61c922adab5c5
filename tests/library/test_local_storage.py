"""A module's stick through the client: everything it holds can be listed, fetched and deleted, and nothing else is."""

from __future__ import annotations

import asyncio

import pytest

from blinkarchive.blink import Client, wire
from blinkarchive.blink.local_storage import LocalStorage
from blinkarchive.clock import ManualClock
from blinkarchive.errors import Busy, ClipGone, CommandFailed, CommandUnfinished, ServerTrouble, SourceError, Unreachable
from blinkarchive.simulator import Running, World
from tests.library.conftest import module


@pytest.fixture
async def stick(client: Client) -> LocalStorage:
    home = await client.homescreen()
    return client.local_storage(next(each for each in home.sync_modules if each.name == "Home Module"))


async def fetched(stick: LocalStorage, manifest: wire.Manifest, clip: wire.LocalClip) -> bytes:
    async with stick.open(manifest, clip) as body:
        return b"".join([chunk async for chunk in body.chunks])


async def test_a_manifest_has_every_clip_with_its_facts(stick: LocalStorage, world: World) -> None:
    manifest = await stick.manifest()
    truth = module(world).stick.clips
    assert [(clip.id, clip.created_at, clip.size) for clip in manifest.clips] == [
        (clip.number, clip.created_at, clip.kib) for clip in truth
    ]
    assert {clip.camera_name for clip in manifest.clips} <= {"FrontDoor", "Kitchen", "Bell", "Drive"}
    assert manifest.malformed == ()


async def test_a_clip_is_uploaded_and_fetched_byte_by_byte(stick: LocalStorage, world: World) -> None:
    manifest = await stick.manifest()
    for clip, truth in zip(manifest.clips, module(world).stick.clips, strict=True):
        with pytest.raises(ClipGone):
            await fetched(stick, manifest, clip)
        await stick.prepare(manifest, clip)
        assert await fetched(stick, manifest, clip) == truth.film()


async def test_a_deleted_clip_is_gone_from_the_next_manifest(stick: LocalStorage, world: World) -> None:
    manifest = await stick.manifest()
    await stick.delete(manifest, manifest.clips[2])
    after = await stick.manifest()
    assert {clip.id for clip in manifest.clips} - {clip.id for clip in after.clips} == {manifest.clips[2].id}
    assert len(module(world).stick.clips) == 5


@pytest.mark.parametrize(("fault", "kind"), [("fail", CommandFailed), ("stall", CommandUnfinished), ("busy", Busy)])
async def test_what_a_module_does_not_do_is_an_error(
    stick: LocalStorage, world: World, fault: str, kind: type[SourceError]
) -> None:
    manifest = await stick.manifest()
    world.faults.add(f"upload.{fault}", times=5)
    with pytest.raises(kind):
        await stick.prepare(manifest, manifest.clips[0])
    world.faults.clear()
    world.faults.add(f"local-delete.{fault}", times=5)
    with pytest.raises(kind):
        await stick.delete(manifest, manifest.clips[0])
    assert len(module(world).stick.clips) == 6


@pytest.mark.parametrize("status", [None, 400])
async def test_a_manifest_that_comes_late_is_waited_for(
    stick: LocalStorage, world: World, clock: ManualClock, status: int | None
) -> None:
    world.faults.add("manifest-read.not-ready", times=3, status=status)
    assert len((await stick.manifest()).clips) == 6
    assert world.faults.count("manifest-read.not-ready") == 3


@pytest.mark.parametrize("fault", ["lose", "drop", "status", "html", "garbage"])
@pytest.mark.parametrize("place", ["local-delete", "upload"])
async def test_what_may_have_been_accepted_is_not_asked_for_again(
    stick: LocalStorage, world: World, cloud: Running, place: str, fault: str
) -> None:
    manifest = await stick.manifest()
    world.faults.add(f"{place}.{fault}", times=3)
    asked = stick.delete if place == "local-delete" else stick.prepare
    with pytest.raises((Unreachable, ServerTrouble)):
        await asked(manifest, manifest.clips[0])
    assert len(cloud.seen("POST", "/clip/")) == 1


@pytest.mark.parametrize("fault", ["lose", "drop", "status", "html"])
async def test_a_manifest_may_be_asked_for_twice(stick: LocalStorage, world: World, cloud: Running, fault: str) -> None:
    world.faults.add(f"manifest.{fault}", times=1)
    assert len((await stick.manifest()).clips) == 6
    assert len(cloud.seen("POST", "/manifest/request")) >= 2


async def test_a_module_that_is_busy_has_not_accepted_and_is_asked_again(
    stick: LocalStorage, world: World, cloud: Running
) -> None:
    manifest = await stick.manifest()
    world.faults.add("local-delete.busy", times=3)
    await stick.delete(manifest, manifest.clips[0])
    assert [exchange.status for exchange in cloud.seen("POST", "/clip/delete/")] == [409, 409, 409, 200]
    assert len(module(world).stick.clips) == 5


async def test_a_stick_that_is_away_is_an_error_and_its_state_is_told(stick: LocalStorage, world: World) -> None:
    assert (await stick.status()).usb_state == "active"
    module(world).local_storage = "unmounted"
    assert (await stick.status()).usb_state == "unmounted"
    with pytest.raises(CommandFailed, match="Home Module"):
        await stick.manifest()


async def test_a_module_that_is_away_is_given_up(stick: LocalStorage, world: World) -> None:
    module(world).online = False
    with pytest.raises(CommandUnfinished):
        await stick.manifest()


async def test_numbers_of_an_old_manifest_fetch_nothing(stick: LocalStorage, world: World) -> None:
    manifest = await stick.manifest()
    module(world).stick.renumber()
    with pytest.raises(CommandFailed):
        await stick.prepare(manifest, manifest.clips[0])


async def test_one_module_is_asked_one_thing_at_a_time_and_two_modules_at_once(
    client: Client, world: World, cloud: Running
) -> None:
    home = await client.homescreen()
    async with asyncio.TaskGroup() as asking:
        for each in (*home.sync_modules, *home.sync_modules):
            asking.create_task(client.local_storage(each).manifest())
    assert [exchange.status for exchange in cloud.seen("POST", "/manifest/request")] == [200] * 4


OLD = b'{"version":"1.0","manifest_id":"8977","clips":[%s]}'
NEW = b'{"manifest_id":8977,"media":[%s]}'


@pytest.mark.parametrize(
    ("body", "clip"),
    [
        (
            OLD % b'{"id":"2718594887","size":"382","camera_name":"Camera","created_at":"2025-11-20T21:17:25+00:00"}',
            (2718594887, "2025-11-20T21:17:25+00:00", "Camera", 382),
        ),
        (
            OLD % b'{"id":5,"size":null,"created_at":"2025-11-20T21:17:25+00:00"}',
            (5, "2025-11-20T21:17:25+00:00", "", None),
        ),
        (
            NEW % b'{"id":7,"device_name":"Back Door","created_at":"2025-11-20T21:17:25+00:00","clip_length":5}',
            (7, "2025-11-20T21:17:25+00:00", "Back Door", None),
        ),
        (
            NEW % b'{"id":7,"device_name":"Back Door","clip_start_millis":1763673445000,"clip_length_ms":5000}',
            (7, "2025-11-20T21:17:25+00:00", "Back Door", None),
        ),
        (NEW % b'{"id":7,"device_name":"Back Door"}', None),
        (NEW % b'{"id":7,"clip_start_millis":1e30}', None),
        (
            OLD % b'{"id":"x-1.a","size":"many","created_at":"2025-11-20T21:17:25+00:00"}',
            ("x-1.a", "2025-11-20T21:17:25+00:00", "", None),
        ),
        (OLD % b'{"id":"..","created_at":"2025-11-20T21:17:25+00:00"}', None),
        (OLD % b'{"id":"1/2","created_at":"2025-11-20T21:17:25+00:00"}', None),
        (OLD % b'{"id":"1%2F2","created_at":"2025-11-20T21:17:25+00:00"}', None),
        (OLD % (b'{"id":"%s","created_at":"2025-11-20T21:17:25+00:00"}' % (b"1" * 101)), None),
        (OLD % b'{"id":"8","created_at":"yesterday"}', None),
        (OLD % b"[]", None),
    ],
)
def test_manifests_of_both_forms_are_read_and_a_bad_item_spoils_itself_alone(
    body: bytes, clip: tuple[int | str, str, str, int | None] | None
) -> None:
    manifest = wire.manifest(body)
    assert manifest.id == 8977
    found = [(each.id, each.created_at.isoformat(), each.camera_name, each.size) for each in manifest.clips]
    assert found == ([clip] if clip else [])
    assert len(manifest.malformed) == (0 if clip else 1)


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"\xff", b'{"message":"x"}', b'{"clips":[{"id":"5","created_at":"2025-11-20T21:17:25+00:00"}]}']
)
def test_what_is_no_manifest_is_an_error(body: bytes) -> None:
    with pytest.raises(wire.NotAsPromised):
        wire.manifest(body)
