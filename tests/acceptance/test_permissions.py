"""What others on the machine could have changed is refused before it is used, with the command that puts it right."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blinkarchive.simulator import World
from tests.acceptance.conftest import House, Houses, films


def world() -> World:
    return World.from_seed(7, clips=4, clip_bytes=(8_000, 20_000), until=datetime.now(UTC))


def elsewhere(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}.moved"))
    path.symlink_to(f"{path.name}.moved")


@pytest.mark.parametrize(
    ("what", "change", "said"),
    [
        (
            "state",
            lambda path: path.chmod(0o777),
            "the state folder {} may be changed by others (mode 0777). Run: chmod 700 '{}'",
        ),
        (
            "state",
            lambda path: path.chmod(0o770),
            "the state folder {} may be changed by others (mode 0770). Run: chmod 700 '{}'",
        ),
        (
            "state/index.sqlite3",
            lambda path: path.chmod(0o666),
            "the index {} may be changed by others (mode 0666). Run: chmod 600 '{}'",
        ),
        ("state/index.sqlite3", elsewhere, "the index {} is a symbolic link"),
        ("state/spool", lambda path: path.chmod(0o777), "the spool {} may be changed by others (mode 0777). Run: chmod 700 '{}'"),
        ("state/spool", elsewhere, "the spool {} is a symbolic link"),
        ("state/lock", elsewhere, "the lock {} cannot be opened"),
    ],
    ids=["state 0777", "state 0770", "index 0666", "index elsewhere", "spool 0777", "spool elsewhere", "lock elsewhere"],
)
async def test_a_run_refuses_state_that_others_can_change(
    house_of: Houses, what: str, change: Callable[[Path], None], said: str
) -> None:
    async with house_of(world()) as house:
        assert (await house("run")).code == 0
        asked = len(house.cloud.log)
        change(house.folder / what)
        refused = await house("run")
        assert refused.code in (1, 2)
        assert said.format(*[house.folder / what] * 2) in refused.err
        assert "Traceback" not in refused.err
        assert len(house.cloud.log) == asked, "nothing is asked of Blink first"


async def test_a_state_folder_behind_a_link_is_the_owners_choice(house_of: Houses) -> None:
    async with house_of(world()) as house:
        await house("run")
        elsewhere(house.folder / "state")
        assert (await house("run")).code == 0


async def test_state_that_others_can_only_list_is_used(house_of: Houses) -> None:
    async with house_of(world()) as house:
        (house.folder / "state").mkdir(0o755)
        assert (await house("run")).code == 0


async def test_a_file_that_somebody_has_put_into_the_spool_is_not_taken_for_a_clip(house_of: Houses) -> None:
    async with house_of(world()) as house:
        await house("run")
        [first, *_] = house.account.clips
        forged = b"".join((house.nas / clip).read_bytes() for clip in sorted(house.clips())[:1])
        await _forget(house)
        (house.folder / "state" / "spool").mkdir(0o700)
        name = f"cloud:a0:{first.id}~{hashlib.sha256(forged).hexdigest()[:32]}"
        for copy in (name, f"cloud:a0:{first.id}~{'0' * 32}"):
            (house.folder / "state" / "spool" / copy).write_bytes(forged)
        assert (await house("run")).code == 0
        assert set(house.clips().values()) == films(house.cloud.world), "each clip is its own film, the first one too"
        assert len(house.clips()) == 4


async def _forget(house: House) -> None:
    """A machine that has archived nothing yet."""
    for file in (*(house.folder / "state").rglob("*"), *house.nas.rglob("*")):
        if file.is_file() and "accounts" not in file.parts:
            file.unlink()
    (house.folder / "state" / "spool").rmdir()
