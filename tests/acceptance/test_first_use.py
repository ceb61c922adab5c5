"""A place that holds something already and has no marker is not used before its owner has confirmed it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from blinkarchive.simulator import World
from tests.acceptance.conftest import House, Houses
from tests.acceptance.test_sinks import configure, disk
from tests.sinks.rclone_servers import obscured

CLIPS = 3


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def crypt(house: House, password: str, more: str = "") -> str:
    (house.folder / "vault").mkdir(exist_ok=True)
    (house.folder / "rclone.conf").write_text(
        f"[vault]\ntype = crypt\nremote = {house.folder / 'vault'}\npassword = {obscured(password)}\n{more}"
    )
    return '[sink.vault]\ntype = "rclone"\nremote = "vault:"\nconfig = "rclone.conf"\n'


async def reason(house: House, sink: str) -> str:
    """Why a run stored nothing there, with the healthy sink filled all the same."""
    ran = await house("run", "--json")
    assert (ran.code, ran.report["sinks_failed"], len(house.clips())) == (3, [sink], CLIPS), ran.err
    return " ".join(trouble["what"] for trouble in ran.report["troubles"] if trouble["where"] == f"sink {sink}")


@pytest.mark.parametrize(("more", "word"), [("", "password"), ("filename_encryption = obfuscate\n", "")])
async def test_a_wrong_crypt_password_on_a_new_machine_stores_nothing(house_of: Houses, more: str, word: str) -> None:
    async with house_of(World.from_seed(5, clips=CLIPS)) as house:
        configure(house, disk("nas", house.nas), crypt(house, "the right one", more))
        assert (await house("run")).code == 0
        before = files(house.folder / "vault")
        for path in (house.folder / "state").glob("index*"):
            path.unlink()
        configure(house, disk("nas", house.nas), crypt(house, "the wrong one", more))
        assert word in await reason(house, "vault")
        assert files(house.folder / "vault") == before
        checks = {check["what"]: check for check in (await house("doctor", "--json")).report["checks"]}
        if word:  # with obfuscated names doctor sees a marker, which it does not read
            assert checks["sink vault"]["verdict"] == "fail"
        assert files(house.folder / "vault") == before
        configure(house, disk("nas", house.nas), crypt(house, "the right one", more))
        ran = await house("run", "--json")
        assert (ran.code, len(files(house.folder / "vault"))) == (0, len(before) + 1), "one more catalogue"


async def test_a_folder_above_an_archive_is_not_taken_for_an_empty_one(house_of: Houses) -> None:
    async with house_of(World.from_seed(5, clips=CLIPS)) as house:
        cabin = house.folder / "cabin"
        (cabin / "blink").mkdir(parents=True)
        configure(house, disk("nas", house.nas), disk("cabin", cabin / "blink"))
        assert (await house("run")).code == 0
        before = files(cabin)
        for path in (house.folder / "state").glob("index*"):
            path.unlink()
        configure(house, disk("nas", house.nas), disk("cabin", cabin))
        assert "an archive in blink/" in await reason(house, "cabin")
        assert files(cabin) == before


async def test_a_folder_with_other_files_is_used_when_its_owner_confirms_it(house_of: Houses) -> None:
    async with house_of(World.from_seed(5, clips=CLIPS)) as house:
        cabin = house.folder / "cabin"
        cabin.mkdir()
        (cabin / "holiday.jpg").write_bytes(b"a picture")
        configure(house, disk("nas", house.nas), disk("cabin", cabin))
        said = await reason(house, "cabin")
        assert '"holiday.jpg"' in said
        assert "blinkarchive sinks adopt cabin" in said
        assert files(cabin) == {"holiday.jpg": b"a picture"}
        checks = {check["what"]: check for check in (await house("doctor", "--json")).report["checks"]}
        assert "blinkarchive sinks adopt cabin" in checks["sink cabin"]["advice"]

        adopted = await house("sinks", "adopt", "cabin", "--json")
        assert (adopted.code, json.loads(adopted.out)) == (0, {"adopted": "cabin"}), adopted.err
        assert (await house("run")).code == 0
        assert len(list(cabin.rglob("*.mp4"))) == CLIPS
        assert files(cabin)["holiday.jpg"] == b"a picture"
        assert (await house("sinks", "adopt", "attic")).code == 2


async def test_what_systems_put_into_a_folder_by_themselves_makes_it_not_full(house_of: Houses) -> None:
    async with house_of(World.from_seed(5, clips=CLIPS)) as house:
        for name in ("@eaDir/x", "#recycle/y.mp4", "System Volume Information/z", ".DS_Store", ".Trash-1000/files/w"):
            (house.nas / name).parent.mkdir(parents=True, exist_ok=True)
            (house.nas / name).write_bytes(b"of the system")
        assert (await house("run")).code == 0
