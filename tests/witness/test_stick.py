"""blinkpy reads a sync module's stick, fetches clips from it and deletes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blinkarchive.simulator import LocalClip, Running, SyncModule, World
from tests.witness.house import house, settled
from tests.witness.witness import Witness

SYSTEM = "Home"


@pytest.fixture
def world() -> World:
    return house(local_clips=6)


@pytest.fixture
def module(world: World) -> SyncModule:
    return world.account.sync_modules[0]


@pytest.fixture
async def owner(witness: Witness, world: World) -> Witness:
    """A blinkpy that has signed in, and has read the stick."""
    assert await witness.start(world.account) is True
    await witness.tell("refresh")
    return witness


def told(clips: list[LocalClip]) -> list[dict[str, Any]]:
    """How blinkpy tells of clips: the oldest first, and sizes as the module says them."""
    return [
        {"id": clip.number, "camera": clip.camera, "created_at": clip.created_at.isoformat(), "size": str(clip.kib)}
        for clip in reversed(clips)
    ]


async def manifest(owner: Witness, module: SyncModule) -> dict[str, Any]:
    """A new manifest as it comes: blinkpy itself never forgets what it has once seen on a stick."""
    where = [module.network.id, module.id]
    asked = await owner.tell("api", function="request_local_storage_manifest", words=where)
    read = await owner.tell("api", function="get_local_storage_manifest", words=[*where, asked["gave"]["id"]])
    body: dict[str, Any] = read["gave"]
    return body


async def test_the_clips_of_a_stick_are_listed(owner: Witness, module: SyncModule) -> None:
    assert len(module.stick.clips) == 6
    assert await owner.tell("stick", name=SYSTEM) == told(module.stick.clips)
    assert await owner.tell("stick", name="Lake House") == []


async def test_a_new_clip_is_in_the_next_manifest(owner: Witness, world: World, module: SyncModule) -> None:
    world.account.add_local_clip(module, size=20_000)
    await owner.tell("refresh")
    assert await owner.tell("stick", name=SYSTEM) == told(module.stick.clips)


async def test_every_clip_of_a_stick_comes_whole(owner: Witness, module: SyncModule, running: Running, tmp_path: Path) -> None:
    for clip in module.stick.clips:
        file = tmp_path / f"{clip.number}.mp4"
        assert await owner.tell("fetch_from_stick", name=SYSTEM, clip=clip.number, file=str(file)) is True
        assert file.read_bytes() == clip.film()
    assert all(exchange.status == 200 for exchange in running.seen("GET", "/clip/request/"))


async def test_a_clip_that_was_not_uploaded_is_not_there(owner: Witness, module: SyncModule) -> None:
    body = await manifest(owner, module)
    where = f"/api/v1/accounts/{{account}}/networks/{module.network.id}/sync_modules/{module.id}/local_storage"
    path = f"{where}/manifest/{body['manifest_id']}/clip/request/{body['clips'][0]['id']}"
    assert (await owner.tell("read", path=path))["gave"]["code"] == 700


async def test_a_clip_that_has_gone_meanwhile_is_not_fetched(owner: Witness, module: SyncModule, tmp_path: Path) -> None:
    gone = module.stick.clips[0]
    module.stick.remove(gone)
    file = tmp_path / "gone.mp4"
    assert await owner.tell("fetch_from_stick", name=SYSTEM, clip=gone.number, file=str(file)) is False
    assert not file.exists()


async def test_without_a_subscription_what_is_recorded_is_found_on_the_stick(
    owner: Witness, module: SyncModule, world: World, tmp_path: Path
) -> None:
    world.account.subscription = False
    await owner.tell("record", name="Back Yard")
    new = module.stick.clips[0]
    await owner.tell("refresh")
    told = (await owner.tell("cameras"))["Back Yard"]
    assert "/local_storage/" in told["video"]
    assert told["last_record"] == new.created_at.isoformat()
    await owner.tell("save_video", name="Back Yard", file=str(tmp_path / "new.mp4"))
    assert (tmp_path / "new.mp4").read_bytes() == new.film()


async def test_a_clip_is_deleted_from_a_stick(owner: Witness, module: SyncModule, world: World) -> None:
    gone, *kept = module.stick.clips
    assert await owner.tell("delete_from_stick", name=SYSTEM, clip=gone.number) is True
    await settled(world)  # it was accepted; blinkpy does not wait until it is done
    listed = [clip["id"] for clip in (await manifest(owner, module))["clips"]]
    assert listed == [str(clip.number) for clip in kept]
    assert module.stick.clips == kept


async def test_a_new_blinkpy_does_not_see_what_was_deleted(owner: Witness, module: SyncModule, world: World) -> None:
    gone, *kept = module.stick.clips
    await owner.tell("delete_from_stick", name=SYSTEM, clip=gone.number)
    await owner.tell("start", username=world.account.username, password=world.account.password)
    await owner.tell("refresh")
    assert await owner.tell("stick", name=SYSTEM) == told(kept)


async def test_a_manifest_is_not_there_before_its_command_is_done(owner: Witness, module: SyncModule, world: World) -> None:
    world.rules.manifest_time = 5.0
    where = f"/api/v1/accounts/{{account}}/networks/{module.network.id}/sync_modules/{module.id}/local_storage"
    asked = await owner.tell("ask", path=f"{where}/manifest/request")
    early = await owner.tell("read", path=f"{where}/manifest/request/{asked['gave']['id']}")
    assert (asked["status"], early["status"]) == (200, 409)
    assert early["gave"]["code"] in (2102, 1700)


async def test_a_stick_that_was_pulled_out_has_no_clips(witness: Witness, module: SyncModule, world: World) -> None:
    module.local_storage = "unavailable"
    await witness.start(world.account)
    await witness.tell("refresh")
    assert (await witness.tell("systems"))[SYSTEM]["local_storage"] is False
    assert await witness.tell("stick", name=SYSTEM) == []
