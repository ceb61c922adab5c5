"""What a person sees whose clips are on the stick of a sync module."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from blinkarchive.simulator import World, bodies
from blinkarchive.simulator.plan import ManifestPlace, Rules
from tests.acceptance.conftest import Houses

QUICK = Rules(command_time=0.1, manifest_time=0.1, upload_start=0.01)


def world(**figures: Any) -> World:
    made = World.from_seed(5, clip_bytes=(8_000, 40_000), rules=QUICK, **figures)
    for account in made.accounts:
        for module in account.sync_modules:
            module.uplink = 0
    return made


def films(of: World) -> set[str]:
    """The hashes of all clips of all sticks."""
    clips = [clip for account in of.accounts for module in account.sync_modules for clip in module.stick.clips]
    return {hashlib.sha256(clip.film()).hexdigest() for clip in clips}


async def test_sticks_are_archived_whole_and_once(house_of: Houses) -> None:
    made = world(accounts=2, networks=2, clips=0, local_clips=6)
    async with house_of(made) as house:
        house.configure(more="[source.sync-module]\n")
        first = await house("run", "--json", "--source", "sync-module")
        assert (first.code, first.counts) == (0, (24, 0, 24, 0, 0, 0)), first.err
        assert set(house.clips().values()) == films(made)
        for account in made.accounts:
            for module in account.sync_modules:
                module.stick.renumber()
        asked = house.asked("/clip/request/")
        second = await house("run", "--json", "--source", "sync-module")
        assert (second.code, second.counts) == (0, (24, 24, 0, 0, 0, 0)), second.err
        assert house.asked("/clip/request/") == asked, "nothing was uploaded again"


async def test_a_module_that_is_away_keeps_nothing_else_from_the_archive(house_of: Houses) -> None:
    made = world(networks=2, clips=5, local_clips=4)
    made.account.sync_modules[0].local_storage = "unmounted"
    made.faults.add("manifest.fail", module=made.account.sync_modules[1].name)
    async with house_of(made) as house:
        house.configure(more="[source.sync-module]\n")
        run = await house("run", "--json")
        assert run.report["stored"] == 5
        assert run.code == 3
        assert made.account.sync_modules[1].name in run.err
        again = await house("run", "--json")
        assert (again.code, again.report["stored"], len(house.clips())) == (0, 4, 9), again.err


async def test_clips_that_come_damaged_are_fetched_again_and_others_are_not_held_up(house_of: Houses) -> None:
    made = world(clips=0, local_clips=6)
    numbers = [clip.number for clip in made.account.sync_modules[0].stick.clips]
    made.faults.add("local-media.cut-unmarked", clip=numbers[0])
    made.faults.add("local-media.json-error", clip=numbers[1])
    made.faults.add("local-media.cut", clip=numbers[2])
    made.faults.add("upload.fail", clip=numbers[3])
    async with house_of(made) as house:
        house.configure(more="[source.sync-module]\n")
        run = await house("run", "--json", "--source", "sync-module")
        assert set(house.clips().values()) <= films(made)
        assert run.report["stored"] >= 5, run.err
        again = await house("run", "--json", "--source", "sync-module")
        assert again.code == 0, again.err
        assert set(house.clips().values()) == films(made)
    assert len(made.faults.fired) == 4


async def test_a_recording_that_cloud_and_stick_both_keep_is_told_as_twins_and_fetched_once_where_that_is_wanted(
    house_of: Houses,
) -> None:
    made = world(clips=3, local_clips=0)
    for clip in made.account.clips:
        made.account.add_local_clip(camera=clip.camera, created_at=clip.created_at + timedelta(seconds=1), size=9_000)
    async with house_of(made) as house:
        house.configure(more="[source.sync-module]\nskip_twins = true\n")
        run = await house("run", "--json")
        assert (run.code, run.counts) == (0, (6, 0, 3, 0, 0, 3)), run.err
        assert (run.report["excluded_reasons"], house.asked("/clip/request/")) == ({"twin": 3}, 0)
        lines = [json.loads(line) for line in (await house("list", "--json")).out.splitlines()]
        assert {line["id"]: line["twin"] for line in lines} == {line["twin"]: line["id"] for line in lines}
        assert len(lines) == 6
        assert [line.endswith("twin") for line in (await house("list")).out.splitlines()] == [True] * 6
        house.configure(more="[source.sync-module]\n")
        run = await house("run", "--json")
        assert (run.code, run.report["sources"]["sync-module"]["stored"]) == (0, 3), run.err
        assert len(house.clips()) == 6


async def test_a_module_that_is_offline_is_skipped_without_a_command(house_of: Houses) -> None:
    made = world(networks=2, clips=0, local_clips=4)
    made.account.sync_modules[0].online = False
    async with house_of(made) as house:
        house.configure(more="[source.sync-module]\n")
        run = await house("run", "--json", "--source", "sync-module")
        assert run.report["stored"] == 4, run.err
        posts = [e.path for e in house.cloud.log if e.method == "POST" and "/manifest/request" in e.path]
        assert len(posts) == 1, "the module that is online, and no other"
        assert "offline" in (await house("status")).out


UNITS: dict[str, Callable[[int], int]] = {
    "1000 bytes": lambda size: round(size / 1000),
    "clusters": lambda size: -(-size // 4096) * 4,
    "bytes": lambda size: size,
    "unknown": lambda size: size // 77,
    "none at all": lambda _: 0,
}


@pytest.mark.parametrize("unit", UNITS)
async def test_clips_are_archived_in_whatever_unit_their_sizes_are_stated(house_of: Houses, unit: str) -> None:
    made = world(clips=0, local_clips=6)
    for clip in made.account.sync_modules[0].stick.clips:
        clip.stated = str(UNITS[unit](clip.take.size))
    async with house_of(made) as house:
        house.configure(more="[source.sync-module]\n")
        run = await house("run", "--json")
        assert (run.code, run.report["stored"]) == (0, 6), run.err
        assert set(house.clips().values()) == films(made)


@pytest.mark.parametrize("stated", ["0", "-1", "4000000", "99999999999999999999999999", "", "many", "1e3"])
async def test_a_strange_size_of_one_clip_delays_and_stops_no_clip(house_of: Houses, stated: str) -> None:
    made = world(clips=0, local_clips=4)
    for clip in made.account.sync_modules[0].stick.clips[1:3]:
        clip.stated = stated
    async with house_of(made) as house:
        house.configure(more="[source.sync-module]\n")
        run = await house("run", "--json")
        assert (run.code, run.report["stored"]) == (0, 4), run.err
        assert set(house.clips().values()) == films(made)


@pytest.mark.parametrize("place", ["part", "newer"])
async def test_a_manifest_is_found_wherever_it_is_kept(house_of: Houses, place: ManifestPlace) -> None:
    made = world(networks=2, clips=0, local_clips=3)
    made.rules.manifest_place = place
    async with house_of(made) as house:
        house.configure(more="[source.sync-module]\n")
        run = await house("run", "--json")
        assert (run.code, run.report["stored"]) == (0, 6), run.err
        assert set(house.clips().values()) == films(made)


async def test_the_ids_of_a_module_need_not_be_numbers(house_of: Houses) -> None:
    made = world(clips=0, local_clips=3)
    made.rules.local_ids = "letters"
    async with house_of(made) as house:
        house.configure(more="[source.sync-module]\n")
        run = await house("run", "--json")
        assert (run.code, run.report["stored"]) == (0, 3), run.err
        assert set(house.clips().values()) == films(made)


@pytest.mark.parametrize(
    "manifest",
    [
        {"version": "1.0", "manifest_id": "8977"},
        {"version": "1.0", "manifest_id": "8977", "clips": None},
        {"version": "1.0", "manifest_id": None, "clips": []},
        {"version": "1.0", "clips": []},
        {"manifest_id": 8977, "media": None},
    ],
)
async def test_an_empty_stick_is_empty_however_its_module_states_it(house_of: Houses, manifest: dict[str, Any]) -> None:
    made = world(networks=2, clips=0, local_clips=2)
    made.faults.add("manifest-read.json-error", module=made.account.sync_modules[0].name, body=json.dumps(manifest), times=0)
    async with house_of(made) as house:
        house.configure(more="[source.sync-module]\n")
        run = await house("run", "--json")
        assert (run.code, run.report["listed"], run.report["stored"]) == (0, 2, 2), run.err
        assert house.asked("/manifest/request/") == 2, "each manifest was read once"


@pytest.mark.parametrize(
    "odd", [{"id": "../../x"}, {"id": None}, {"id": ""}, {"created_at": None}, {"created_at": "soon"}, 7, None]
)
async def test_an_odd_item_of_a_manifest_is_reported_once_and_keeps_no_other_from_the_archive(house_of: Houses, odd: Any) -> None:
    made = world(clips=0, local_clips=3)
    async with house_of(made) as house:
        house.configure(more="[source.sync-module]\n")
        stick = made.account.sync_modules[0].stick
        manifest = bodies.manifest(stick.manifest())
        manifest["clips"].insert(0, {**manifest["clips"][0], **odd} if isinstance(odd, dict) else odd)
        made.faults.add("manifest-read.json-error", body=json.dumps(manifest), times=0)
        run = await house("run", "--json")
        assert (run.code, run.report["stored"]) == (3, 3), run.err
        assert set(house.clips().values()) == films(made)
        for _ in range(10):
            run = await house("run", "--json")
        assert run.code == 0, run.err
        assert (await house("status", "--check")).code == 0


@pytest.mark.parametrize("listed", ["", "ACTIVE", "ready", "Memory_Full"])
async def test_a_stick_that_the_homescreen_does_not_state_well_is_archived_all_the_same(house_of: Houses, listed: str) -> None:
    made = world(clips=0, local_clips=3)
    made.account.sync_modules[0].listed_storage = listed
    async with house_of(made) as house:
        house.configure(more="[source.sync-module]\n")
        run = await house("run", "--json")
        assert (run.code, run.report["stored"]) == (0, 3), run.err
        networks = json.loads((await house("networks", "--json")).out)
        assert networks["networks"][0]["sync_modules"][0]["stick_readable"] is True


@pytest.mark.parametrize("status", [404, 406, 500])
async def test_a_module_whose_storage_nobody_knows_keeps_no_other_from_the_archive(house_of: Houses, status: int) -> None:
    made = world(networks=2, clips=2, local_clips=3)
    made.account.sync_modules[0].listed_storage = ""
    made.faults.add("storage.status", module=made.account.sync_modules[0].name, status=status, times=0)
    async with house_of(made) as house:
        house.configure(more="[source.sync-module]\n")
        run = await house("run", "--json")
        assert (run.code, run.report["stored"]) == (3 if status == 500 else 0, 5), run.err


@pytest.mark.parametrize(("state", "codes"), [("unavailable", [3, 0, 0]), ("unmounted", [3, 3, 3])])
async def test_a_stick_that_was_removed_is_reported_once_and_one_that_was_ejected_each_time(
    house_of: Houses, state: str, codes: list[int]
) -> None:
    made = world(clips=1, local_clips=2)
    module = made.account.sync_modules[0]
    async with house_of(made) as house:
        house.configure(more="[source.sync-module]\n")
        assert (await house("run", "--json")).code == 0
        module.local_storage = state
        runs = [await house("run", "--json") for _ in range(3)]
        assert [run.code for run in runs] == codes
        assert [module.name in run.err for run in runs] == [code == 3 for code in codes]
        status = json.loads((await house("status", "--json")).out)
        assert [part["trouble"] for part in status["parts"] if module.name in part["name"]] == [
            "it has no stick" if state == "unavailable" else "its stick was ejected"
        ]
        module.local_storage = "active"
        assert (await house("run", "--json")).code == 0
