"""A sync module's stick: manifests, uploads, films, deletion, and how all of it goes wrong."""

from __future__ import annotations

from typing import Any

import pytest

from blinkarchive.clock import ManualClock
from blinkarchive.simulator import LocalClip, SyncModule, World
from blinkarchive.simulator.plan import AccountPlan, CameraPlan, NetworkPlan, Rules, SyncModulePlan, WorldPlan
from tests.simulator.phone import Phone

NOT_FOUND = {"message": "Media not found", "code": 700}


@pytest.fixture
def world(clock: ManualClock) -> World:
    """A house with six clips on a stick; its two cameras have had other names."""
    home = NetworkPlan(
        name="Home",
        sync_modules=(SyncModulePlan(name="Module", clips=6, uplink=50_000),),
        cameras=(CameraPlan(name="Back Door", formerly="Side Door"), CameraPlan(name="Kitchen", type="owl", formerly="Küche 1")),
    )
    person = AccountPlan(username="a@example.org", password="x", clips=0, networks=(home,))
    rules = Rules(command_time=1.0, manifest_time=3.0, upload_start=0.5, upload_life=100.0)
    return World(WorldPlan(seed=3, accounts=(person,), clip_bytes=(8_000, 30_000), rules=rules), clock)


@pytest.fixture
def module(world: World) -> SyncModule:
    return world.account.sync_modules[0]


class Stick:
    """The stick as a client sees it."""

    def __init__(self, phone: Phone, module: SyncModule, clock: ManualClock) -> None:
        self.phone = phone
        self.clock = clock
        self.network = module.network.id
        self.path = f"/api/v1/accounts/{phone.account.id}/networks/{self.network}/sync_modules/{module.id}/local_storage"

    async def command(self, path: str, wait: float = 10.0, method: str = "POST") -> dict[str, Any]:
        """Ask for something and wait: what is then said of the command."""
        status, asked = await self.phone.ask(method, self.path + path)
        assert (status, set(asked)) == (200, {"id", "network_id"}), asked
        self.clock.advance(wait)
        _, said = await self.phone.ask("GET", f"/network/{self.network}/command/{asked['id']}")
        return {**said, "id": asked["id"]}

    async def manifest(self) -> dict[str, Any]:
        """A fresh manifest."""
        command = await self.command("/manifest/request")
        status, body = await self.phone.ask("GET", f"{self.path}/manifest/request/{command['id']}")
        assert status == 200, body
        found: dict[str, Any] = body
        return found

    def clip(self, manifest: dict[str, Any], clip: LocalClip, what: str = "request") -> str:
        return f"/manifest/{manifest['manifest_id']}/clip/{what}/{clip.number}"

    async def upload(self, manifest: dict[str, Any], clip: LocalClip) -> dict[str, Any]:
        return await self.command(self.clip(manifest, clip))

    async def film(self, manifest: dict[str, Any], clip: LocalClip) -> tuple[int, bytes]:
        return await self.phone.fetch(self.path + self.clip(manifest, clip))


@pytest.fixture
def stick(phone: Phone, module: SyncModule, clock: ManualClock) -> Stick:
    return Stick(phone, module, clock)


async def test_a_manifest_is_asked_for_waited_for_and_read(stick: Stick, module: SyncModule, clock: ManualClock) -> None:
    _, asked = await stick.phone.ask("POST", f"{stick.path}/manifest/request")
    address = f"{stick.path}/manifest/request/{asked['id']}"
    clock.advance(2.9)
    assert (await stick.phone.ask("GET", address))[0] == 409
    assert (await stick.phone.ask("GET", address))[1]["code"] == 2102
    clock.advance(0.1)
    status, body = await stick.phone.ask("GET", address)
    assert status == 200
    assert set(body) == {"version", "manifest_id", "clips"}
    assert [clip["id"] for clip in body["clips"]] == [str(clip.number) for clip in module.stick.clips]
    times = [clip["created_at"] for clip in body["clips"]]
    assert times == sorted(times, reverse=True)
    assert all(type(value) is str for clip in body["clips"] for value in clip.values())


async def test_a_manifest_strips_names_and_tells_sizes_in_kib(stick: Stick, module: SyncModule) -> None:
    module.network.cameras[0].name = "Garden"  # renamed afterwards: its clips are not
    listed = (await stick.manifest())["clips"]
    assert {clip["camera_name"] for clip in listed} == {"BackDoor", "SideDoor", "Kitchen", "Küche1"}
    for found, clip in zip(listed, module.stick.clips, strict=True):
        assert abs(int(found["size"]) * 1024 - len(clip.film())) <= 1024


@pytest.mark.parametrize("form", ["created_at", "millis"])
async def test_the_newer_form_has_numbers_whole_names_and_addresses(
    stick: Stick, module: SyncModule, world: World, form: Any
) -> None:
    world.rules.manifest_times = form
    command = await stick.command("/manifest/request")
    _, body = await stick.phone.ask("GET", f"{stick.path}/media/{command['id']}")
    newest, clip = body["media"][0], module.stick.clips[0]
    assert (type(body["manifest_id"]), newest["id"]) == (int, clip.number)
    assert {item["device_name"] for item in body["media"]} == {"Back Door", "Side Door", "Kitchen", "Küche 1"}
    at = clip.created_at.timestamp()
    assert newest.get("created_at", clip.created_at.isoformat()) == clip.created_at.isoformat()
    assert newest.get("clip_start_millis", at * 1000) == at * 1000
    assert ("created_at" in newest) is (form == "created_at")
    await stick.command(newest["media"].removeprefix(stick.path))
    assert await stick.phone.fetch(newest["media"]) == (200, clip.film())


async def test_a_clip_is_fetched_after_its_upload_and_as_long_as_it_lasts(
    stick: Stick, module: SyncModule, clock: ManualClock
) -> None:
    manifest, clip = await stick.manifest(), module.stick.clips[2]
    assert (await stick.phone.ask("GET", stick.path + stick.clip(manifest, clip))) == (404, NOT_FOUND)
    assert (await stick.upload(manifest, clip))["status"] == 0
    assert await stick.film(manifest, clip) == (200, clip.film())
    assert (await stick.film(manifest, module.stick.clips[1]))[0] == 404
    clock.advance(101)
    assert (await stick.film(manifest, clip))[0] == 404


async def test_an_upload_takes_as_long_as_the_uplink_needs(stick: Stick, module: SyncModule, clock: ManualClock) -> None:
    manifest, clip = await stick.manifest(), module.stick.clips[0]
    seconds = 0.5 + clip.take.size / 50_000
    _, asked = await stick.phone.ask("POST", stick.path + stick.clip(manifest, clip))
    for wait, complete in ((seconds - 0.01, False), (0.02, True)):
        clock.advance(wait)
        _, said = await stick.phone.ask("GET", f"/network/{stick.network}/command/{asked['id']}")
        assert said["complete"] is complete
        assert (await stick.film(manifest, clip))[0] == (200 if complete else 404)


async def test_a_module_that_uploads_does_nothing_else(stick: Stick, module: SyncModule) -> None:
    manifest, clip = await stick.manifest(), module.stick.clips[0]
    await stick.phone.ask("POST", stick.path + stick.clip(manifest, clip))
    for path in (stick.clip(manifest, clip), "/manifest/request", stick.clip(manifest, clip, "delete")):
        status, body = await stick.phone.ask("POST", stick.path + path)
        assert (status, body["code"]) == (409, 307)
    assert (await stick.phone.ask("GET", f"{stick.path}/status"))[0] == 200, "the state needs no module"


async def test_a_manifest_keeps_its_id_until_something_changes(stick: Stick, module: SyncModule, world: World) -> None:
    first = await stick.manifest()
    assert await stick.manifest() == first
    added = world.account.add_local_clip(module)
    second = await stick.manifest()
    assert int(second["manifest_id"]) > int(first["manifest_id"])
    assert str(added.number) in [clip["id"] for clip in second["clips"]]
    assert {clip["id"] for clip in first["clips"]} < {clip["id"] for clip in second["clips"]}


async def test_a_restart_gives_clips_the_numbers_of_others(stick: Stick, module: SyncModule) -> None:
    before = {clip["created_at"]: clip["id"] for clip in (await stick.manifest())["clips"]}
    module.stick.renumber()
    after = {clip["created_at"]: clip["id"] for clip in (await stick.manifest())["clips"]}
    assert set(before) == set(after)
    assert all(before[at] != after[at] for at in before)
    assert set(before.values()) == set(after.values()), "numbers are used again, for other clips"


@pytest.mark.parametrize("rule", ["refused", "misleading"])
async def test_an_old_manifest_is_worth_nothing_or_means_another_clip(
    stick: Stick, module: SyncModule, world: World, rule: Any
) -> None:
    world.rules.old_manifest = rule
    manifest, clip = await stick.manifest(), module.stick.clips[0]
    address = stick.clip(manifest, clip)
    module.stick.renumber()
    said = await stick.command(address)
    status, film = await stick.phone.fetch(stick.path + address)
    if rule == "refused":
        assert (said["complete"], said["status"], status) == (True, 1, 404)
    else:
        assert (said["complete"], said["status"], status) == (True, 0, 200)
        assert film != clip.film()
        assert film in [other.film() for other in module.stick.clips]


async def test_a_deletion_is_accepted_and_happens_later(stick: Stick, module: SyncModule, clock: ManualClock) -> None:
    manifest, clip = await stick.manifest(), module.stick.clips[0]
    assert (await stick.phone.ask("POST", stick.path + stick.clip(manifest, clip, "delete")))[0] == 200
    assert clip in module.stick.clips
    clock.advance(1)
    assert str(clip.number) not in [found["id"] for found in (await stick.manifest())["clips"]]
    assert clip not in module.stick.clips
    assert (await stick.command(stick.clip(manifest, clip, "delete")))["status"] == 1, "it is gone already"


async def test_what_is_gone_from_the_stick_is_gone_from_the_manifest_that_names_it(stick: Stick, module: SyncModule) -> None:
    manifest, clip = await stick.manifest(), module.stick.clips[0]
    module.stick.remove(clip)
    assert (await stick.upload(manifest, clip))["status"] == 1
    assert (await stick.film(manifest, clip))[0] == 404


async def test_a_fault_can_be_meant_for_one_module(stick: Stick, world: World) -> None:
    world.faults.add("manifest.busy", module="another one")
    await stick.manifest()
    world.faults.add("manifest.busy", module="Module")
    assert (await stick.phone.ask("POST", f"{stick.path}/manifest/request"))[0] == 409


async def test_a_deletion_that_fails_or_lies_or_stalls_deletes_nothing(
    stick: Stick, module: SyncModule, world: World, clock: ManualClock
) -> None:
    manifest, clip = await stick.manifest(), module.stick.clips[0]
    for name, complete, status in (("fail", True, 1), ("lie", True, 0), ("stall", False, 0)):
        world.faults.add(f"local-delete.{name}", clip=clip.number, module="Module")
        said = await stick.command(stick.clip(manifest, clip, "delete"))
        assert (said["complete"], said["status"]) == (complete, status)
    clock.advance(60)
    assert len((await stick.manifest())["clips"]) == 6
    assert clip in module.stick.clips


@pytest.mark.parametrize("state", ["unavailable", "unmounted", "format_required", "incompatible"])
async def test_a_stick_that_cannot_be_read_ends_every_command_badly(stick: Stick, module: SyncModule, state: str) -> None:
    manifest, clip = await stick.manifest(), module.stick.clips[0]
    module.local_storage = state
    _, said = await stick.phone.ask("GET", f"{stick.path}/status")
    assert (said["usb_state"], said["enabled"]) == (state, False)
    asked = await stick.command("/manifest/request")
    assert (asked["complete"], asked["status"]) == (True, 1)
    status, body = await stick.phone.ask("GET", f"{stick.path}/manifest/request/{asked['id']}")
    assert (status, body["code"]) == (409, 1700)
    assert (await stick.upload(manifest, clip))["status"] == 1


async def test_a_full_stick_can_be_read(stick: Stick, module: SyncModule) -> None:
    module.local_storage = "memory_full"
    _, said = await stick.phone.ask("GET", f"{stick.path}/status")
    assert (said["usb_storage_full"], said["usb_storage_used"], said["storage_warning"]) == (True, 100, 3)
    assert len((await stick.manifest())["clips"]) == 6


async def test_a_stick_is_ejected_mounted_formatted_and_emptied(stick: Stick, module: SyncModule, world: World) -> None:
    await stick.command("/eject")
    assert module.local_storage == "unmounted"
    await stick.command("/mount")
    assert (module.local_storage, len(module.stick.clips)) == ("active", 6)
    await stick.command("", method="DELETE")
    assert not (await stick.manifest())["clips"]
    world.account.add_local_clip(module)
    await stick.command("/format")
    assert not module.stick.clips


async def test_the_stick_changes_under_the_hands_of_its_reader(stick: Stick, module: SyncModule, world: World) -> None:
    world.faults.add("manifest.insert")
    world.faults.add("manifest.delete", skip=1)
    assert len((await stick.manifest())["clips"]) == 7
    manifest = await stick.manifest()
    assert len(manifest["clips"]) == 6
    clip = module.stick.clips[0]
    world.faults.add("upload.renumber", clip=clip.number)
    assert (await stick.upload(manifest, clip))["status"] == 1
    world.faults.add("upload.unplug", to="unmounted")
    assert (await stick.upload(await stick.manifest(), clip))["status"] == 1
    assert module.local_storage == "unmounted"
    assert [fired.name for fired in world.faults.fired] == [
        "manifest.insert",
        "manifest.delete",
        "upload.renumber",
        "upload.unplug",
    ]


@pytest.mark.parametrize("name", ["not-ready", "status", "garbage", "html"])
async def test_a_manifest_that_is_there_is_not_always_given(stick: Stick, world: World, name: str) -> None:
    command = await stick.command("/manifest/request")
    fault = world.faults.add(f"manifest-read.{name}", status=400 if name in ("not-ready", "status") else None)
    async with stick.phone.http.get(
        f"{stick.phone.url}{stick.path}/manifest/request/{command['id']}", headers=stick.phone.bearer
    ) as response:
        assert (response.status == 400) is (fault.status == 400)
        assert b"clips" not in await response.read()
    assert (await stick.phone.ask("GET", f"{stick.path}/manifest/request/{command['id']}"))[0] == 200


async def test_films_of_a_stick_are_spoilt_like_others(stick: Stick, module: SyncModule, world: World) -> None:
    manifest, clip = await stick.manifest(), module.stick.clips[0]
    await stick.upload(manifest, clip)
    world.faults.add("local-media.cut-unmarked", module="Module")
    world.faults.add("local-media.json-error", camera=clip.camera)
    assert (await stick.film(manifest, clip))[1] == clip.film()[: clip.take.size // 2]
    assert (await stick.film(manifest, clip))[1] != clip.film()
    assert await stick.film(manifest, clip) == (200, clip.film())


async def test_a_stick_is_its_owners_alone(stick: Stick, module: SyncModule, world: World) -> None:
    wrong = f"/api/v1/accounts/{world.account.id}/networks/{module.network.id}/sync_modules/1/local_storage/status"
    assert (await stick.phone.ask("GET", wrong))[0] == 404
    world.signins.revoke_access_tokens()
    film = "/manifest/1/clip/request/1"
    for method, path in (("GET", "/status"), ("POST", "/manifest/request"), ("GET", film), ("DELETE", "")):
        assert (await stick.phone.ask(method, stick.path + path))[0] == 401
