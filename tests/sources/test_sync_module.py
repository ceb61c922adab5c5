"""Clips on sticks come into the archive's hands whole, under the right name, whatever their module does meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blinkarchive.blink import Client, Endpoints
from blinkarchive.clock import ManualClock
from blinkarchive.errors import (
    BadClip,
    Busy,
    ClipGone,
    CommandFailed,
    CommandUnfinished,
    ListingIncomplete,
    LoginNeeded,
    ModuleAway,
    ServerTrouble,
    SourceError,
    Transient,
    Unreachable,
)
from blinkarchive.interfaces import Batch, ClipRef
from blinkarchive.pace import PACES, Pace
from blinkarchive.retry import Patience
from blinkarchive.secret import Secret
from blinkarchive.simulator import Running, Simulator, SyncModule, World
from blinkarchive.simulator.bodies import homescreen
from blinkarchive.simulator.plan import AccountPlan, CameraPlan, NetworkPlan, Rules, SyncModulePlan, WorldPlan
from blinkarchive.sources.sync_module import SyncModules

EVERYTHING = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 7, 1, 12, 0, tzinfo=UTC))


@pytest.fixture
def world(clock: ManualClock) -> World:
    home = NetworkPlan(
        name="Home",
        sync_modules=(SyncModulePlan(name="Hall", clips=6), SyncModulePlan(name="Attic", clips=2)),
        cameras=(CameraPlan(name="Front Door", formerly="Old Door"), CameraPlan(name="Kitchen", type="owl")),
    )
    barn = NetworkPlan(
        name="Barn", sync_modules=(SyncModulePlan(name="Barn", clips=3),), cameras=(CameraPlan(name="Front Door"),)
    )
    person = AccountPlan(username="o@example.org", password="pw", second_factor="none", networks=(home, barn), clips=0)
    return World(WorldPlan(seed=3, accounts=(person,), clip_bytes=(8_000, 60_000), rules=Rules()), clock)


@pytest.fixture
async def cloud(world: World) -> AsyncIterator[Running]:
    async with Simulator(world).serving() as running:
        yield running


@pytest.fixture
async def source(cloud: Running, world: World, clock: ManualClock, tmp_path: Path) -> AsyncIterator[SyncModules]:
    servers = Endpoints.of(api_url=cloud.url, oauth_url=cloud.url)
    async with Client.open(tmp_path / "tokens" / "home.json", servers=servers, clock=clock) as client:
        await client.sign_in(world.account.username, Secret(world.account.password))
        pace = Pace(PACES["unlimited"], clock)
        yield SyncModules("home", client, pace=pace, patience=Patience(), clock=clock)


def module(world: World, name: str) -> SyncModule:
    return next(each for each in world.account.sync_modules if each.name == name)


async def listed(source: SyncModules) -> list[Batch]:
    return [batch async for batch in source.discover(EVERYTHING)]


async def refs(source: SyncModules, of: SyncModule | None = None) -> list[ClipRef]:
    found = [ref for batch in await listed(source) for ref in batch.found]
    return [ref for ref in found if of is None or f":{of.id}:" in ref.clip.id]


async def fetched(ref: ClipRef) -> bytes:
    async with ref.open() as body:
        return b"".join([chunk async for chunk in body.chunks])


def truth(of: SyncModule) -> dict[tuple[str, datetime], bytes]:
    return {(clip.camera.replace(" ", ""), clip.created_at): clip.film() for clip in of.stick.clips}


def key(ref: ClipRef) -> tuple[str, datetime]:
    """The recorded name and the time, as the id has them."""
    _, _, _, _, camera, *_ = ref.clip.id.split(":")
    return camera, ref.clip.recorded_at


async def test_every_clip_of_every_stick_is_listed_once_and_fetched_byte_by_byte(source: SyncModules, world: World) -> None:
    found = await refs(source)
    assert len({ref.clip.id for ref in found}) == len(found) == 11
    for of in world.account.sync_modules:
        assert {key(ref): await fetched(ref) for ref in found if f":{of.id}:" in ref.clip.id} == truth(of)


async def test_an_id_is_the_same_after_a_restart_of_the_module_and_in_both_listings(source: SyncModules, world: World) -> None:
    before = {ref.clip.id for ref in await refs(source)}
    for of in world.account.sync_modules:
        of.stick.renumber()
    assert {ref.clip.id for ref in await refs(source)} == before
    world.account.networks[0].cameras[0].name = "Garden Door"
    assert {ref.clip.id for ref in await refs(source)} == before


async def test_a_clip_is_its_cameras_only_where_its_name_leaves_no_doubt(source: SyncModules, world: World) -> None:
    front, kitchen = world.account.networks[0].cameras
    named = {key(ref)[0]: ref.clip for ref in await refs(source, module(world, "Hall"))}
    assert (named["FrontDoor"].camera, named["FrontDoor"].camera_id) == ("Front Door", str(front.id))
    assert (named["OldDoor"].camera, named["OldDoor"].camera_id) == ("OldDoor", None)
    kitchen.name = "Front-Door"
    named = {key(ref)[0]: ref.clip for ref in await refs(source, module(world, "Hall"))}
    assert (named["FrontDoor"].camera, named["FrontDoor"].camera_id) == ("FrontDoor", None)


async def test_clips_that_are_equal_in_all_that_lasts_are_two_clips(source: SyncModules, world: World) -> None:
    hall = module(world, "Hall")
    at = world.clock.now() - timedelta(hours=1)
    twins = [world.account.add_local_clip(hall, created_at=at, size=20_000) for _ in range(2)]
    found = [ref for ref in await refs(source, hall) if ref.clip.recorded_at == at]
    assert [ref.clip.id.endswith(":2") for ref in found] == [False, True]
    assert {await fetched(ref) for ref in found} == {twin.film() for twin in twins}


@pytest.mark.parametrize("rule", ["refused", "misleading"])
async def test_a_restart_between_listing_and_fetching_brings_no_other_clip(
    source: SyncModules, world: World, clock: ManualClock, rule: str
) -> None:
    world.rules.old_manifest = "refused" if rule == "refused" else "misleading"
    hall = module(world, "Hall")
    found = await refs(source, hall)
    hall.stick.renumber()
    got: dict[tuple[str, datetime], bytes] = {}
    for ref in found:
        for _ in range(3):
            try:
                got[key(ref)] = await fetched(ref)
                break
            except (CommandFailed, BadClip):
                continue
    assert got == truth(hall)


async def test_a_clip_that_is_gone_from_the_stick_is_gone(source: SyncModules, world: World, clock: ManualClock) -> None:
    hall = module(world, "Hall")
    found = await refs(source, hall)
    hall.stick.remove(hall.stick.clips[0])
    clock.advance(120)
    gone = 0
    for ref in found:
        try:
            await fetched(ref)
        except ClipGone:
            gone += 1
    assert gone == 1


async def test_another_clip_or_half_of_one_is_found_out_by_its_size(source: SyncModules, world: World) -> None:
    [ref, *_] = await refs(source, module(world, "Hall"))
    world.faults.add("local-media.cut-unmarked")
    with pytest.raises(BadClip, match="may be another clip"):
        await fetched(ref)
    world.faults.add("local-media.json-error")
    with pytest.raises(SourceError):
        await fetched(ref)
    assert await fetched(ref) == truth(module(world, "Hall"))[key(ref)]


async def test_one_modules_trouble_keeps_no_others_clips(source: SyncModules, world: World) -> None:
    module(world, "Hall").online = False
    found: list[Batch] = []
    with pytest.raises(ListingIncomplete, match="'Hall'"):
        async for batch in source.discover(EVERYTHING):
            found.append(batch)
    assert sum(len(batch.found) for batch in found) == 5


async def test_a_module_whose_network_is_not_listed_is_archived_all_the_same(source: SyncModules, world: World) -> None:
    barn = module(world, "Barn")
    screen = homescreen(world.account, world.clock.now())
    screen["networks"] = [network for network in screen["networks"] if network["id"] != barn.network.id]
    world.faults.add("homescreen.json-error", body=json.dumps(screen))
    found = await refs(source)
    assert len(found) == 11
    assert {ref.clip.network for ref in found if f":{barn.id}:" in ref.clip.id} == {""}
    assert {ref.clip.id for ref in found} == {ref.clip.id for ref in await refs(source)}


async def test_what_cannot_be_read_is_not_asked(source: SyncModules, world: World, cloud: Running) -> None:
    for of, state in zip(world.account.sync_modules, ("unmounted", "unavailable", "memory_full"), strict=True):
        of.local_storage = state
    batches = await listed(source)
    assert sorted(len(batch.found) for batch in batches) == [0, 0, 3]
    assert len(cloud.seen("POST", "/manifest/request")) == 1
    assert {batch.part.name: batch.part.trouble for batch in batches if batch.part} == {
        'sync module "Hall"': "its stick was ejected",
        'sync module "Attic"': "it has no stick",
        'sync module "Barn"': "",
    }


async def test_each_stick_is_a_part_whose_scope_all_its_clips_and_no_others_are_in(source: SyncModules) -> None:
    batches = await listed(source)
    clips = [ref.clip.id for batch in batches for ref in batch.found]
    for batch in batches:
        assert batch.part
        assert [id_ for id_ in clips if id_.startswith(batch.part.scope)] == [ref.clip.id for ref in batch.found]


async def test_a_stick_that_could_not_be_listed_is_a_part_with_trouble(source: SyncModules, world: World) -> None:
    world.faults.add("manifest.fail", module="Hall", times=0)
    told = {}
    with pytest.raises(ListingIncomplete) as raised:
        async for batch in source.discover(EVERYTHING):
            assert batch.part
            told[batch.part.name] = batch.part.trouble
    assert {name for name, trouble in told.items() if not trouble} == {'sync module "Attic"', 'sync module "Barn"'}
    assert told['sync module "Hall"']
    assert told['sync module "Hall"'] in str(raised.value)


async def test_a_module_that_does_not_do_what_it_accepted_is_asked_nothing_more(
    source: SyncModules, world: World, cloud: Running
) -> None:
    found = await refs(source, module(world, "Hall"))
    world.faults.add("upload.stall")
    world.faults.add("manifest.stall")
    with pytest.raises(CommandUnfinished):
        await fetched(found[0])
    for ref in found[1:3]:
        with pytest.raises(ModuleAway) as raised:
            await fetched(ref)
        assert not isinstance(raised.value, Transient), "nobody waits to hear it again"
    assert len(cloud.seen("POST", "/clip/request/")) == 1
    other = await refs(source, module(world, "Barn"))
    assert await fetched(other[0]) == truth(module(world, "Barn"))[key(other[0])]


async def test_a_clip_whose_upload_never_ends_keeps_no_other_from_the_archive(source: SyncModules, world: World) -> None:
    hall = module(world, "Hall")
    world.faults.add("upload.stall", clip=hall.stick.clips[0].number, times=0)
    stuck, *others = await refs(source, hall)
    with pytest.raises(CommandFailed, match="the module does other things") as raised:
        await fetched(stuck)
    assert not isinstance(raised.value, Transient), "it is a try of this clip, and waits for another run"
    assert {key(ref): await fetched(ref) for ref in others} | {key(stuck): hall.stick.clips[0].film()} == truth(hall)


async def test_a_large_clip_of_a_slow_module_is_waited_for(source: SyncModules, world: World) -> None:
    hall = module(world, "Hall")
    hall.stick.clear()
    hall.uplink = 500
    small = world.account.add_local_clip(hall, created_at=world.clock.now() - timedelta(hours=2), size=20_000)
    large = world.account.add_local_clip(hall, created_at=world.clock.now() - timedelta(hours=1), size=100_000)
    found = {ref.clip.recorded_at: ref for ref in await refs(source, hall)}
    assert await fetched(found[small.created_at]) == small.film()
    assert await fetched(found[large.created_at]) == large.film(), "after 200 s"


async def test_a_run_bears_only_a_few_uploads_that_never_end(source: SyncModules, world: World, cloud: Running) -> None:
    world.faults.add("upload.stall", module="Hall", times=0)
    ends = []
    for ref in await refs(source, module(world, "Hall")):
        with pytest.raises(SourceError) as raised:
            await fetched(ref)
        ends.append(type(raised.value))
    assert ends == [CommandFailed] * 3 + [CommandUnfinished] + [ModuleAway] * (len(ends) - 4)
    assert len(cloud.seen("POST", "/clip/request/")) == 4


async def test_a_module_that_is_busy_with_the_owners_phone_is_waited_for_and_then_left(source: SyncModules, world: World) -> None:
    [ref, second, *_] = await refs(source, module(world, "Hall"))
    world.faults.add("upload.busy", times=3)
    assert await fetched(ref) == truth(module(world, "Hall"))[key(ref)]
    world.faults.add("upload.busy", times=0)
    with pytest.raises(Busy):
        await fetched(second)


async def test_clips_that_are_opened_at_once_are_uploaded_one_by_one(source: SyncModules, world: World, cloud: Running) -> None:
    found = await refs(source, module(world, "Hall"))
    async with asyncio.TaskGroup() as fetching:
        films = [fetching.create_task(fetched(ref)) for ref in found]
    assert {film.result() for film in films} == set(truth(module(world, "Hall")).values())
    assert {exchange.status for exchange in cloud.seen("POST", "/clip/request/")} == {200}


async def test_a_malformed_item_spoils_itself_alone(source: SyncModules, world: World) -> None:
    good = '{"id":"5","size":"9","camera_name":"A","created_at":"2026-01-01T00:00:00+00:00"}'
    body = f'{{"version":"1.0","manifest_id":"9","clips":[{{"id":"x"}},{good}]}}'
    world.faults.add("manifest-read.json-error", module="Hall", body=body)
    [hall] = [batch for batch in await listed(source) if batch.unreadable]
    assert (len(hall.found), len(hall.unreadable)) == (1, 1)


async def test_a_sign_in_that_has_ended_is_told_as_such(source: SyncModules, world: World) -> None:
    world.signins.revoke_access_tokens()
    world.signins.revoke_refresh_tokens()
    with pytest.raises(LoginNeeded):
        await listed(source)


# --- deleting


async def delete(ref: ClipRef) -> None:
    assert ref.delete is not None
    await ref.delete()


def left(of: SyncModule) -> set[tuple[str, datetime]]:
    return set(truth(of))


@pytest.mark.parametrize("rule", ["refused", "misleading"])
async def test_a_restart_between_listing_and_deleting_deletes_no_other_clip(
    source: SyncModules, world: World, clock: ManualClock, rule: str
) -> None:
    world.rules.old_manifest = "refused" if rule == "refused" else "misleading"
    hall = module(world, "Hall")
    expected = left(hall)
    for ref in await refs(source, hall):
        hall.stick.renumber()
        await delete(ref)
        expected.remove(key(ref))
        assert left(hall) == expected
        clock.advance(1)
    assert expected == set()


async def test_a_manifest_that_was_taken_before_is_not_used_to_delete(source: SyncModules, world: World, cloud: Running) -> None:
    world.rules.old_manifest = "misleading"
    hall = module(world, "Hall")
    first, second, third, *_ = await refs(source, hall)
    await fetched(first)
    asked = len(cloud.seen("POST", "/manifest/request"))
    world.faults.add("manifest.renumber")
    await delete(second)
    await delete(third)
    assert len(cloud.seen("POST", "/manifest/request")) == asked + 2
    assert len(hall.stick.clips) == 4
    with pytest.raises(ClipGone):
        await fetched(third)  # the manifest that had it is remembered no more
    assert await fetched(first) == truth(hall)[key(first)]


@pytest.mark.parametrize("hidden", ["before", "after"])
async def test_clips_that_cannot_be_told_apart_are_not_deleted(source: SyncModules, world: World, hidden: str) -> None:
    hall = module(world, "Hall")
    at = world.clock.now() - timedelta(hours=1)
    world.account.add_local_clip(hall, created_at=at, size=20_000)
    if hidden == "before":
        world.account.add_local_clip(hall, created_at=at, size=20_000)
        assert [ref.delete for ref in await refs(source, hall) if ref.clip.recorded_at == at] == [None, None]
        return
    [ref] = [ref for ref in await refs(source, hall) if ref.clip.recorded_at == at]
    world.account.add_local_clip(hall, created_at=at, size=20_000)
    with pytest.raises(CommandFailed, match="may be taken for it"):
        await delete(ref)
    assert len(hall.stick.clips) == 8


async def test_another_clip_that_has_come_to_its_name_and_time_is_not_deleted(source: SyncModules, world: World) -> None:
    hall = module(world, "Hall")
    at = world.clock.now() - timedelta(hours=1)
    gone = world.account.add_local_clip(hall, created_at=at, size=20_000)
    [ref] = [ref for ref in await refs(source, hall) if ref.clip.recorded_at == at]
    hall.stick.remove(gone)
    world.account.add_local_clip(hall, created_at=at, size=40_000)
    with pytest.raises(CommandFailed, match="may be taken for it"):
        await delete(ref)
    [ref] = [ref for ref in await refs(source, hall) if ref.clip.recorded_at == at]
    assert (ref.fits(40_000), ref.fits(40_900), ref.fits(20_000)) == (True, True, False)
    assert len(hall.stick.clips) == 7


async def test_what_is_gone_from_the_stick_is_gone_when_it_is_to_be_deleted(source: SyncModules, world: World) -> None:
    hall = module(world, "Hall")
    ref, *_ = await refs(source, hall)
    hall.stick.remove(hall.stick.clips[0])
    with pytest.raises(ClipGone):
        await delete(ref)
    assert len(hall.stick.clips) == 5


async def test_a_module_that_is_busy_is_asked_again_with_a_new_manifest(
    source: SyncModules, world: World, cloud: Running
) -> None:
    world.rules.old_manifest = "misleading"
    hall = module(world, "Hall")
    ref, *_ = await refs(source, hall)
    asked = len(cloud.seen("POST", "/manifest/request"))
    world.faults.add("local-delete.busy", times=2)
    world.faults.add("manifest.renumber", times=3)
    await delete(ref)
    assert len(cloud.seen("POST", "/manifest/request")) == asked + 3
    assert key(ref) not in left(hall)
    assert len(left(hall)) == 5


@pytest.mark.parametrize(
    ("fault", "error", "gone"),
    [
        ("local-delete.fail", CommandFailed, 0),
        ("local-delete.stall", CommandUnfinished, 0),
        ("local-delete.lose", Unreachable, 1),
        ("local-delete.drop", Unreachable, 0),
        ("local-delete.status", ServerTrouble, 0),
        ("local-delete.busy", Busy, 0),
        ("manifest.fail", CommandFailed, 0),
        ("manifest.busy", ModuleAway, 0),
        ("manifest.status", ServerTrouble, 0),
    ],
)
async def test_what_goes_wrong_with_a_deletion_is_told_and_it_is_asked_for_once(
    source: SyncModules, world: World, cloud: Running, clock: ManualClock, fault: str, error: type[SourceError], gone: int
) -> None:
    hall = module(world, "Hall")
    ref, *_ = await refs(source, hall)
    world.faults.add(fault, times=0 if "busy" in fault or fault.startswith("manifest.status") else 1)
    with pytest.raises(error):
        await delete(ref)
    accepted = [exchange for exchange in cloud.seen("POST", "/clip/delete/") if exchange.status != 409]
    assert len(accepted) == (fault.startswith("local-delete") and "busy" not in fault)
    clock.advance(200)
    world.timeline.settle()
    assert len(hall.stick.clips) == 6 - gone


async def test_a_deletion_that_was_only_said_to_be_done_is_no_error_here(source: SyncModules, world: World) -> None:
    hall = module(world, "Hall")
    ref, *_ = await refs(source, hall)
    world.faults.add("local-delete.lie")
    await delete(ref)
    assert key(ref) in {key(found) for found in await refs(source, hall)}


async def test_when_another_clip_goes_with_a_deletion_nothing_more_is_deleted(source: SyncModules, world: World) -> None:
    hall = module(world, "Hall")
    first, second, third, *_ = await refs(source, hall)
    await delete(first)
    hall.stick.remove(next(clip for clip in hall.stick.clips if clip.created_at == third.clip.recorded_at))
    with pytest.raises(ModuleAway, match="others went"):
        await delete(second)
    with pytest.raises(ModuleAway):
        await delete(second)
    assert len(hall.stick.clips) == 4
