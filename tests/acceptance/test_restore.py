"""Everything is gone but a sink: its clips come back. And what a sink has lost is found, told, and put there again."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest

from blinkarchive.pipeline.lock import held
from blinkarchive.simulator import World
from tests.acceptance.conftest import Ended, House, Houses, films

CLIPS = 6


def world() -> World:
    return World.from_seed(7, clips=CLIPS, clip_bytes=(8_000, 60_000), until=datetime.now(UTC))


def hashes(folder: Path) -> dict[str, str]:
    """Names and hashes of the clips in a folder."""
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.mp4")}


def encrypted(house: House, file: Path) -> None:
    """Give the house one encrypted sink, and write its key to a file."""
    keys = [pyrage.x25519.Identity.generate() for _ in range(2)]
    file.write_text(f"{keys[1]}\n")
    text = house.config.read_text()
    house.config.write_text(f"{text}encrypt = {{ recipients = {json.dumps([str(key.to_public()) for key in keys])} }}\n")


async def test_clips_come_back_from_a_sink_alone_without_index_account_and_blink(house_of: Houses, tmp_path: Path) -> None:
    async with house_of(world()) as house:
        assert (await house("run")).code == 0
        truth = hashes(house.nas)
        new = tmp_path / "new machine"
        new.mkdir()
        (new / "c.toml").write_text(f'[archive]\nstate = "{new / "state"}"\n[sink.old]\ntype = "disk"\npath = "{house.nas}"\n')
        asked = len(house.cloud.log)
        ended = await house("--config", str(new / "c.toml"), "restore", "--to", str(new / "out"), "--json")
        assert (ended.code, ended.report["restored"], ended.report["by_catalogues"]) == (0, CLIPS, True), ended.err
        assert hashes(new / "out") == truth
        assert set(truth.values()) == films(house.cloud.world)
        assert len(house.cloud.log) == asked
        again = await house("--config", str(new / "c.toml"), "restore", "--to", str(new / "out"), "--json")
        assert (again.code, again.report["restored"], again.report["there"]) == (0, 0, CLIPS)


@pytest.mark.parametrize("index", [True, False], ids=["with its index", "without one"])
async def test_encrypted_clips_come_back_to_who_has_the_key(house_of: Houses, tmp_path: Path, index: bool) -> None:
    async with house_of(world()) as house:
        encrypted(house, tmp_path / "key")
        assert (await house("run")).code == 0
        if not index:
            shutil.rmtree(house.folder / "state")
        without = await house("restore", "--to", str(tmp_path / "out"), "--json")
        assert (without.code, without.report["restored"]) == (3, 0)
        assert "--identity FILE" in without.err
        ended = await house("restore", "--to", str(tmp_path / "out"), "--identity", str(tmp_path / "key"), "--json")
        assert (ended.code, ended.report["restored"]) == (0, CLIPS), ended.err
        assert set(hashes(tmp_path / "out").values()) == films(house.cloud.world)


async def test_only_what_is_asked_for_comes_back(house_of: Houses, tmp_path: Path) -> None:
    async with house_of(world()) as house:
        assert (await house("run")).code == 0
        listed = [json.loads(line) for line in (await house("list", "--json")).out.splitlines()]
        camera, since = listed[-1]["camera"], listed[CLIPS // 2]["recorded_at"]
        wanted = {one["sha256"] for one in listed if one["camera"] == camera and one["recorded_at"] >= since}
        ended = await house("restore", "--to", str(tmp_path / "out"), "--since", since, "--camera", camera, "--json")
        assert ended.code == 0
        assert set(hashes(tmp_path / "out").values()) == wanted


async def test_a_sink_with_a_new_name_is_known_by_its_marker(house_of: Houses, tmp_path: Path) -> None:
    async with house_of(world()) as house:
        assert (await house("run")).code == 0
        house.config.write_text(house.config.read_text().replace("[sink.nas]", "[sink.attic]"))
        ended = await house("restore", "--to", str(tmp_path / "out"), "--json")
        assert (ended.code, ended.report["restored"], ended.report["by_catalogues"]) == (0, CLIPS, False)
        assert (await house("verify", "--json")).report["sinks"]["nas"]["sound"] == CLIPS


async def test_a_sink_that_is_away_is_told_though_another_gave_everything(house_of: Houses, tmp_path: Path) -> None:
    async with house_of(world()) as house:
        (house.folder / "second").mkdir()
        house.configure(more=f'[sink.second]\ntype = "disk"\npath = "{house.folder / "second"}"\n')
        assert (await house("run")).code == 0
        house.nas.rename(house.folder / "elsewhere")
        ended = await house("restore", "--to", str(tmp_path / "out"), "--json")
        assert (ended.code, ended.report["restored"]) == (3, CLIPS)
        assert [trouble["where"] for trouble in ended.report["troubles"]] == ["sink nas"]


async def test_what_the_index_does_not_know_comes_back_by_the_catalogues(house_of: Houses, tmp_path: Path) -> None:
    async with house_of(world()) as house:
        assert (await house("run")).code == 0
        shutil.rmtree(house.folder / "state")
        until = sorted(clip.created_at for clip in house.account.clips)[2].isoformat()
        assert (await house("run", "--until", until)).code in (0, 3)
        ended = await house("restore", "--to", str(tmp_path / "out"), "--json")
        assert (ended.code, ended.report["restored"], ended.report["by_catalogues"]) == (0, CLIPS, False), ended.err
        assert 0 < ended.report["unknown_to_index"] < CLIPS
        assert set(hashes(tmp_path / "out").values()) == films(house.cloud.world)


async def test_every_command_reports_what_a_lost_index_does_not_know_and_found_files_are_not_new(house_of: Houses) -> None:
    async with house_of(world()) as house:
        assert (await house("run")).code == 0
        shutil.rmtree(house.folder / "state")
        lost = await house("doctor", "--json")
        assert f"list {CLIPS} copies" in _check(lost, "catalogues of nas")["found"]
        until = sorted(clip.created_at for clip in house.account.clips)[2].isoformat()
        partly = await house("run", "--until", until, "--json")
        assert (partly.report["sinks"]["nas"]["stored"], partly.report["sinks"]["nas"]["known"]) == (0, 2)
        words = f"list {CLIPS - 2} copies that this index does not know"
        assert [words in note["what"] for note in partly.report["notes"]] == [True]
        assert (await house("status", "--json")).report["sinks"]["nas"]["unknown_copies"] == CLIPS - 2
        assert words in (await house("status")).out
        verified = await house("verify", "--json")
        assert (verified.code, verified.report["sinks"]["nas"]["unknown_to_index"]) == (3, CLIPS - 2)
        assert words in verified.report["sinks"]["nas"]["troubles"][0]
        assert _check(await house("doctor", "--json"), "catalogues of nas")["verdict"] == "warn"

        before = house.clips()
        full = await house("run", "--json")
        assert (full.code, full.counts) == (0, (CLIPS, CLIPS, 0, 0, 0, 0)), full.err
        assert full.report["notes"] == []
        assert house.clips() == before
        assert (await house("status", "--json")).report["sinks"]["nas"]["unknown_copies"] == 0
        assert (await house("verify")).code == 0
        assert "catalogues of nas" not in (await house("doctor", "--json")).out


def _check(doctor: Ended, what: str) -> dict[str, str]:
    [found] = [check for check in doctor.report["checks"] if check["what"] == what]
    return dict(found)


async def test_an_index_of_an_older_backup_hides_nothing(house_of: Houses, tmp_path: Path) -> None:
    async with house_of(world()) as house:
        newest = house.account.clips[:2]
        for clip in newest:
            house.account.change(clip, deleted=True)
        assert (await house("run")).code == 0
        shutil.copytree(house.folder / "state", tmp_path / "backup")
        for clip in newest:
            house.account.change(clip, deleted=False)
        assert (await house("run")).code == 0
        shutil.rmtree(house.folder / "state")
        shutil.copytree(tmp_path / "backup", house.folder / "state")
        ended = await house("restore", "--to", str(tmp_path / "out"), "--json")
        assert (ended.code, ended.report["restored"], ended.report["unknown_to_index"]) == (0, CLIPS, 2), ended.err
        assert (await house("verify", "--json")).report["sinks"]["nas"]["unknown_to_index"] == 2
        again = await house("run", "--json")
        assert (again.code, again.report["sinks"]["nas"]["stored"], again.report["notes"]) == (0, 0, [])
        assert set(hashes(tmp_path / "out").values()) == films(house.cloud.world)


@pytest.mark.parametrize(
    "line", ['{"id": "cloud:a0:1"}', "no line", '{"key": 7}', "\xff"], ids=["too little", "no JSON", "no text", "no UTF-8"]
)
async def test_a_catalogue_that_cannot_be_understood_is_told_and_the_others_are_read(
    house_of: Houses, tmp_path: Path, line: str
) -> None:
    async with house_of(world()) as house:
        assert (await house("run")).code == 0
        shutil.rmtree(house.folder / "state")
        (house.nas / "catalog" / "20250101T000000Z-0000.jsonl").write_bytes(line.encode("latin-1") + b"\n")
        ended = await house("restore", "--to", str(tmp_path / "out"), "--json")
        assert (ended.code, ended.report["restored"]) == (3, CLIPS)
        assert "line 1 of the catalogue catalog/20250101T000000Z-0000.jsonl cannot be understood" in ended.err


async def test_a_catalogue_leads_nobody_out_of_the_sink(house_of: Houses, tmp_path: Path) -> None:
    async with house_of(world()) as house:
        assert (await house("run")).code == 0
        shutil.rmtree(house.folder / "state")
        [catalogue] = (house.nas / "catalog").iterdir()
        facts = json.loads(catalogue.read_text().splitlines()[0]) | {"key": "../secret.mp4"}
        (house.nas / "catalog" / "20250101T000000Z-0000.jsonl").write_text(json.dumps(facts) + "\n")
        ended = await house("restore", "--to", str(tmp_path / "out"), "--json")
        assert (ended.code, ended.report["restored"]) == (3, CLIPS)
        assert "line 1 of the catalogue" in ended.err


async def test_what_is_in_no_catalogue_is_told(house_of: Houses, tmp_path: Path) -> None:
    async with house_of(world()) as house:
        assert (await house("run")).code == 0
        shutil.rmtree(house.nas / "catalog")
        shutil.rmtree(house.folder / "state")
        ended = await house("restore", "--to", str(tmp_path / "out"), "--json")
        assert (ended.code, ended.report["restored"]) == (3, 0)
        assert f"it holds {CLIPS} objects that no catalogue" in ended.err


async def test_a_lost_copy_is_found_told_and_put_there_again(house_of: Houses) -> None:
    async with house_of(world()) as house:
        assert (await house("run")).code == 0
        good = await house("verify", "--json")
        assert (good.code, good.report["sinks"]["nas"]["sound"], good.report["sinks"]["nas"]["lost"]) == (0, CLIPS, [])
        first, second, *_ = sorted(house.clips())
        first.unlink()
        data = bytearray(second.read_bytes())
        data[len(data) // 2] ^= 1
        second.chmod(0o600)
        second.write_bytes(data)
        found = await house("verify", "--json")
        assert found.code == 6
        nas = found.report["sinks"]["nas"]
        assert (nas["lost"], nas["damaged"]) == ([str(first.relative_to(house.nas))], [str(second.relative_to(house.nas))])
        assert (await house("run")).code == 0
        assert (await house("verify", "--full")).code == 0
        assert films(house.cloud.world) <= set(house.clips().values())
        assert house.clips()[second] in films(house.cloud.world), "the good copy has the name"
        assert [path.read_bytes() for path in (house.nas / "quarantine").rglob("*.mp4")] == [data], "the damaged one is kept"


async def test_a_sink_that_is_away_proves_nothing(house_of: Houses) -> None:
    async with house_of(world()) as house:
        assert (await house("run")).code == 0
        house.nas.rename(house.folder / "elsewhere")
        found = await house("verify", "--json")
        assert (found.code, found.report["sinks"]["nas"]["lost"]) == (3, [])
        assert found.report["sinks"]["nas"]["closed"]
        (house.folder / "elsewhere").rename(house.nas)
        assert (await house("verify", "--json")).report["sinks"]["nas"]["sound"] == CLIPS


async def test_while_a_run_goes_on_nothing_is_verified_and_clips_are_brought_back_all_the_same(
    house_of: Houses, tmp_path: Path
) -> None:
    async with house_of(world()) as house:
        assert (await house("run")).code == 0
        with held(house.folder / "state" / "lock"):
            assert (await house("verify")).code == 5
            assert (await house("restore", "--to", str(tmp_path / "out"))).code == 0
        assert set(hashes(tmp_path / "out").values()) == films(house.cloud.world)


async def test_another_sink_is_filled_from_encrypted_copies_by_who_has_the_key(house_of: Houses, tmp_path: Path) -> None:
    async with house_of(world()) as house:
        encrypted(house, tmp_path / "key")
        assert (await house("run")).code == 0
        truth = films(house.cloud.world)
        for clip in house.account.clips:
            house.account.change(clip, deleted=True)
        (house.folder / "home").mkdir()
        house.config.write_text(f'{house.config.read_text()}[sink.home]\ntype = "disk"\npath = "{house.folder / "home"}"\n')
        lacking = await house("run", "--json")
        assert (lacking.code, lacking.report["sinks_failed"]) == (3, ["home"])
        assert f"it lacks {CLIPS} clips that the archive holds only encrypted" in lacking.report["troubles"][0]["what"]
        filled = await house("run", "--identity", str(tmp_path / "key"), "--json")
        assert (filled.code, filled.report["sinks"]["home"]["stored"]) == (0, CLIPS), filled.err
        assert set(hashes(house.folder / "home").values()) == truth
        assert (await house("run", "--json")).code == 0


async def test_a_command_line_that_makes_no_sense_says_what_would(house_of: Houses, tmp_path: Path) -> None:
    async with house_of(world()) as house:
        for arguments, words in (
            (("verify", "--full", "--sample", "5%"), "choose one"),
            (("verify", "--sample", "5"), "write 5%"),
            (("verify", "--identity", str(house.config)), "--full or --sample"),
            (("verify", "--full", "--identity", str(tmp_path / "none")), "cannot be read"),
            (("verify", "--full", "--identity", str(house.config)), "is no identity"),
            (("verify", "--sink", "nowhere"), "there is no sink"),
            (("restore",), "--to"),
            (("restore", "--to", str(house.config)), "is a file"),
        ):
            ended = await house(*arguments)
            assert ended.code == 2, (arguments, ended)
            assert words in ended.err, (arguments, ended.err)
            assert "Traceback" not in ended.err
