"""What counts as good: one account, one clip or one killed run makes nothing else look bad, and every command says the same."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from blinkarchive.clock import Clock
from blinkarchive.index import Index
from blinkarchive.model import ClipId, SinkName
from blinkarchive.simulator import World
from tests.acceptance.conftest import House, Houses


def world(clips: int = 3, **facts: Any) -> World:
    return World.from_seed(5, clips=clips, second_factor="none", clip_bytes=(8_000, 20_000), modules=0, **facts)


async def late(house: House) -> tuple[int, dict[str, str]]:
    checked = await house("status", "--check", "--json")
    return checked.code, checked.report["late"]


async def failed_before(house: House, clip: ClipId, times: int) -> None:
    """As if so many earlier runs had failed to fetch a clip."""
    async with Index.open(house.folder / "state" / "index.sqlite3", clock=Clock()) as index:
        for _ in range(times):
            await index.failed(clip, SinkName("nas"), "no film", counts=True)


async def test_an_account_that_is_not_signed_in_makes_no_other_look_bad(house_of: Houses) -> None:
    async with house_of(world(accounts=2)) as house:
        house.environment["PASSWORD_1"] = "wrong"
        ran = await house("run", "--json")
        assert (ran.code, ran.report["login_needed"]) == (4, ["a1"])
        results = {(one.get("account") or one["sink"]): one["result"] for one in ran.report["outcomes"]}
        assert results == {"a0": "good", "a1": "sign-in needed", "nas": "good"}
        code, wrong = await late(house)
        assert (code, set(wrong)) == (3, {"account a1", "account a1, cloud, overdue"})
        told = (await house("status", "--json")).report
        assert told["accounts"]["a0"]["last_good"] is not None
        assert (told["accounts"]["a1"]["last_good"], told["sinks"]["nas"]["last_good"] is not None) == (None, True)
        seen = json.loads((await house("doctor", "--json")).out)["checks"]
        bad = [check["what"] for check in seen if check["verdict"] == "fail"]
        assert "account a1" in bad
        assert not any("a0" in check["found"] for check in seen if check["verdict"] == "fail")


async def test_a_clip_that_can_never_be_fetched_is_reported_once_then_runs_are_good_and_dismiss_ends_it(house_of: Houses) -> None:
    async with house_of(world()) as house:
        lost = house.account.clips[0]
        clip = ClipId(f"cloud:a0:{lost.id}")
        house.cloud.world.faults.add("media.status", clip=lost.id, status=404, times=0)
        first = await house("run", "--json")
        assert (first.code, first.report["ended"], first.counts[3]) == (3, "some failed", 1)
        assert await late(house) == (0, {}), "its account and its sink did all they should"
        await failed_before(house, clip, 8)
        tenth = await house("run", "--json")
        assert (tenth.code, tenth.report["gave_up_now"], tenth.counts[4]) == (3, 1, 1)
        for _ in range(2):
            after = await house("run", "--json")
            assert (after.code, after.report["ended"], after.report["gave_up_now"]) == (0, "all done", 0)
        checked = await house("status", "--check")
        assert (checked.code, str(clip) in checked.err, "but for this" in checked.err) == (0, True, True)
        told = await house("status")
        assert f"blinkarchive dismiss {clip}" in told.out
        assert "): all done; " in told.out
        checks = json.loads((await house("doctor", "--json")).out)["checks"]
        assert [one["verdict"] for one in checks if one["what"] in ("runs", "clips")] == ["ok", "warn"]

        done = await house("dismiss", str(clip), "--json")
        assert (done.code, done.report) == (0, {"dismissed": {clip: ["nas"]}})
        (house.folder / "late").mkdir()
        house.configure(more=f'[sink.late]\ntype = "disk"\npath = "{house.folder}/late"\n')
        asked = house.asked(str(lost.id))
        ran = await house("run", "--json")
        assert (ran.code, ran.report["ended"]) == (0, "all done")
        assert house.asked(str(lost.id)) == asked, "nobody asked for it"
        checked = await house("status", "--check")
        assert (checked.code, "1 clip dismissed; `blinkarchive dismiss` lists" in checked.err) == (0, True)
        assert (await house("dismiss")).out == f"{clip}: not in late, nas\n"

        house.cloud.world.faults.clear()
        undone = await house("dismiss", "--undo", str(clip))
        assert (undone.code, "the next run tries to store it in nas, late" in undone.err) == (0, True)
        assert (await house("run", "--json")).code == 0
        assert len(list((house.folder / "late").rglob("*.mp4"))) == len(list(house.nas.rglob("*.mp4"))) == 3


async def test_dismiss_says_what_is_wrong_with_what_it_was_given(house_of: Houses) -> None:
    async with house_of(world()) as house:
        assert (await house("dismiss", "x")).code == 1
        assert (await house("run")).code == 0
        unknown = await house("dismiss", "cloud:a0:7")
        assert (unknown.code, unknown.err.strip()) == (1, "Error: the index does not know cloud:a0:7; nothing was changed")
        held = await house("dismiss", f"cloud:a0:{house.account.clips[0].id}")
        assert (held.code, "nothing to do" in held.err) == (0, True)
        assert (await house("dismiss", "--failed")).err.strip() == "No clip failed permanently."
        assert (await house("dismiss", "--undo")).code == 2
        assert (await house("dismiss")).err.strip() == "0 clips dismissed."


async def test_a_run_that_was_killed_is_a_crash_until_a_good_one(house_of: Houses) -> None:
    async with house_of(world(clips=30)) as house:
        house.cloud.world.rules.bandwidth = 20_000
        process = await house.start("run")
        while not house.clips():
            await asyncio.sleep(0.02)
        assert "crashed" not in (await house("status")).out, "it goes on"
        process.kill()
        await process.communicate()
        told = await house("status")
        assert "crashed: the process ended during the run" in told.out
        code, wrong = await late(house)
        assert (code, "killed" in wrong["account a0, cloud"]) == (3, True)
        house.cloud.world.rules.bandwidth = 10**9
        assert (await house("run")).code == 0
        assert await late(house) == (0, {})
        runs = (await house("status", "--json")).report["last_runs"]
        assert [run["ended"] for run in runs] == ["all done", "crashed"]


async def test_status_does_not_say_signed_in_when_blink_refuses_the_sign_in(house_of: Houses) -> None:
    async with house_of(world()) as house:
        assert (await house("run")).code == 0
        house.cloud.world.signins.revoke_refresh_tokens()
        house.cloud.world.signins.revoke_access_tokens()
        house.configure(password=False)
        assert (await house("run")).code == 4
        account = (await house("status", "--json")).report["accounts"]["a0"]
        assert (account["sign_in"], account["last_good"] is not None) == ("refused", True)
        assert (await late(house))[0] == 3
        seen = {one["what"]: one for one in json.loads((await house("doctor", "--json")).out)["checks"]}
        assert (seen["account a0"]["verdict"], "refused" in seen["account a0"]["found"]) == ("fail", True)
        house.configure()
        assert (await house("login")).code == 0
        assert (await house("status", "--json")).report["accounts"]["a0"]["sign_in"] == "signed in"
        assert await late(house) == (0, {})


async def test_a_module_without_usb_storage_is_no_problem(house_of: Houses) -> None:
    cloud = World.from_seed(5, clips=2, second_factor="none", clip_bytes=(8_000, 20_000), modules=1)
    cloud.account.sync_modules[0].local_storage = "unavailable"
    async with house_of(cloud) as house:
        house.configure(more="[source.sync-module]\n")
        ran = await house("run", "--json")
        assert ran.code == 0, ran.err
        [part] = [one for one in (await house("status", "--json")).report["parts"] if one["source"] == "sync-module"]
        assert (part["absent"], part["listed_at"]) == (True, None)
        [line] = [line for line in (await house("status")).out.splitlines() if "sync module" in line]
        assert ("no USB storage" in line, "since" in line, "never" in line) == (True, False, False)
        assert (await house("status", "--check")).code == 0
