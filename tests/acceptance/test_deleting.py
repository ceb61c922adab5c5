"""What a person sees who wants what is archived to be deleted at Blink."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from typing import Any

from blinkarchive.simulator import CloudClip, World
from blinkarchive.simulator.plan import Rules
from blinkarchive.simulator.stick import LocalClip
from tests.acceptance.conftest import House, Houses

DELETE = "delete_after_archive = true\ndelete_grace = 0\n"


def world() -> World:
    rules = Rules(command_time=0.05, manifest_time=0.05, upload_start=0.01)
    made = World.from_seed(5, clips=4, local_clips=3, clip_bytes=(8_000, 20_000), rules=rules)
    for module in made.account.sync_modules:
        module.uplink = 0
    return made


def configure(house: House, cloud: str = "", stick: str = "") -> None:
    house.configure(more=f"[source.sync-module]\n{stick}")
    house.config.write_text(house.config.read_text().replace("[source.cloud]\n", f"[source.cloud]\n{cloud}"))


def lists_all_again(house: House) -> None:
    """Once a day everything is listed again. Here the next run is to be of another day: the index forgets that it was today."""
    with sqlite3.connect(house.folder / "state" / "index.sqlite3") as connection:
        connection.execute("UPDATE listing SET full_at = NULL")
    connection.close()


def objects(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


async def test_what_is_archived_is_deleted_only_where_that_is_asked_for_and_told_in_full(house_of: Houses) -> None:
    made = world()
    account, [module] = made.account, made.account.sync_modules
    unjustified: list[object] = []
    async with house_of(made) as house:

        def look(clip: CloudClip | LocalClip) -> None:
            if hashlib.sha256(clip.film()).hexdigest() not in set(house.clips().values()):
                unjustified.append(clip)

        made.deleting = look
        configure(house)
        assert (await house("run", "--json")).report["stored"] == 7
        assert (await house("list", "--deleted")).out == ""

        configure(house, cloud=DELETE, stick=DELETE)
        lists_all_again(house)
        dry = await house("run", "--dry-run")
        assert dry.code == 0, dry.err
        assert len([line for line in dry.out.splitlines() if line.endswith("  would be deleted")]) == 7
        assert "7 would be deleted at the source" in dry.err
        told = (await house("run", "--dry-run", "--json")).report
        assert len(told["would_delete"]) == 7
        assert (told["deleted"], house.asked("delete")) == (0, 0)
        assert objects((await house("list", "--deleted", "--json")).out) == []

        run = await house("run", "--json")
        assert (run.code, run.report["deleted"], run.report["deletions_confirmed"]) == (0, 7, 0), run.err
        assert "7 deleted at the source" in run.err
        assert all(clip.deleted for clip in account.clips)
        assert module.stick.clips == []
        lines = objects((await house("list", "--deleted", "--json")).out)
        assert {line["id"] for line in lines} == set(told["would_delete"])
        for line in lines:
            assert (line["tries"], line["accepted"], line["outcome"], line["confirmed_at"]) == (1, 1, "accepted", None)
            assert [copy["sink"] for copy in line["copies"]] == ["nas"]
            assert line["asked_at"]
        plain = (await house("list", "--deleted")).out.splitlines()
        assert len(plain) == 7
        assert all("accepted; not known to be gone; verified in nas" in line for line in plain)

        lists_all_again(house)
        run = await house("run", "--json")
        assert (run.code, run.report["deleted"], run.report["deletions_confirmed"], run.report["failed"]) == (0, 0, 7, 0), run.err
        assert "7 deleted before and gone now" in run.err
        assert all("accepted; gone, seen " in line for line in (await house("list", "--deleted")).out.splitlines())
        assert len((await house("list", "--deleted", "--camera", "Nobody")).out) == 0
        kept = objects((await house("list", "--json")).out)
        assert [len(line["copies"]) for line in kept] == [1] * 7, "the archive keeps them"
        assert len(house.clips()) == 7
        assert (await house("status", "--json")).report["sinks"]["nas"]["pending"] == 0
    assert unjustified == []


async def test_a_copy_that_was_lost_keeps_its_clip_at_blink_and_the_run_says_so(house_of: Houses) -> None:
    made = world()
    async with house_of(made) as house:
        configure(house)
        await house("run")
        victim = next(clip for clip in made.account.clips)
        truth = hashlib.sha256(victim.film()).hexdigest()
        next(path for path, found in house.clips().items() if found == truth).unlink()
        configure(house, cloud=DELETE)
        lists_all_again(house)
        run = await house("run", "--json")
        assert (run.code, run.report["deleted"], run.report["deletions_failed"]) == (3, 3, 1)
        assert f"clip cloud:a0:{victim.id}: it was not deleted at its source: sink nas has lost it" in run.err
        assert not victim.deleted
        run = await house("run", "--json")
        assert (run.code, run.report["stored"], run.report["deleted"]) == (0, 1, 0), run.err
        assert truth in house.clips().values()


async def test_a_key_that_deletes_nothing_is_refused_before_anything_starts(house_of: Houses) -> None:
    async with house_of(world()) as house:
        configure(house, cloud='delete_cameras = ["Porch"]\n')
        run = await house("run")
        assert run.code == 2
        assert "delete_cameras without delete_after_archive = true" in run.err
        assert house.asked("/") == 0
