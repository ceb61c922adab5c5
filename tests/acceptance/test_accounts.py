"""One account name, one Blink account: another user or another account under the name is refused, and nothing is lost."""

from __future__ import annotations

import json
import shutil
import sqlite3

import pytest

from blinkarchive.simulator import CloudClip, World
from blinkarchive.simulator.plan import SecondFactor
from blinkarchive.simulator.stick import LocalClip
from tests.acceptance.conftest import House, Houses, films

DELETE = "delete_after_archive = true\ndelete_grace = 0\n"


def two_owners() -> World:
    world = World.from_seed(3, accounts=2, clips=4, clip_bytes=(8_000, 9_000))
    for account in world.accounts:
        account.second_factor = "none"
    return world


def point_at(house: House, number: int) -> None:
    """One account in the config, which is the cloud's account of this number."""
    account = house.cloud.world.accounts[number]
    house.configure()
    sections = house.config.read_text().split("[account.a1]")
    rest = sections[1].partition("[source.cloud]\n")[2]
    text = f"{sections[0]}[source.cloud]\n{DELETE}{rest}"
    text = text.replace(house.cloud.world.accounts[0].username, account.username)
    house.config.write_text(text)
    house.environment["PASSWORD_0"] = account.password


def refuse_deletions(world: World) -> list[CloudClip | LocalClip]:
    deleted: list[CloudClip | LocalClip] = []
    world.deleting = deleted.append
    return deleted


async def test_a_changed_username_is_refused_with_what_to_do(house_of: Houses) -> None:
    world = two_owners()
    anna = world.account.username
    async with house_of(world) as house:
        point_at(house, 0)
        assert (await house("run", "--since", "1h")).code == 0  # signed in, nothing archived, nothing deleted
        deleted = refuse_deletions(world)
        point_at(house, 1)
        house.cloud.log.clear()
        for command in (("run", "--json"), ("run", "--dry-run", "--json")):
            ended = await house(*command)
            assert ended.code == 4
            assert ended.report["listed"] == 0
            [trouble] = ended.report["troubles"]
            assert trouble["where"] == "account a0"
            assert "is of another user than `username` in the config" in trouble["what"]
            assert "blinkarchive login" in trouble["what"]
        assert len(house.cloud.log) == 0, "nothing was asked, and no password was sent"
        status = await house("status")
        assert "the saved sign-in is of another user" in status.out
        assert (await house("cameras")).code == 4
        assert deleted == []

        point_at(house, 0)
        house.config.write_text(house.config.read_text().replace(anna, anna.upper()))
        assert (await house("run")).code == 0, "e-mail addresses have no case"


async def test_another_account_under_the_same_name_is_refused_and_deletes_nothing(house_of: Houses) -> None:
    world = two_owners()
    anna, berta = world.accounts
    async with house_of(world) as house:
        point_at(house, 0)
        first = await house("run", "--json", "--since", "2020-01-01")
        assert (first.code, first.report["stored"]) == (0, 4)
        kept = house.clips()

        deleted = refuse_deletions(world)
        point_at(house, 1)
        shutil.rmtree(house.folder / "state" / "accounts")
        for _ in range(2):
            ended = await house("run", "--json")
            assert ended.code == 4
            assert ended.report["listed"] == 0
            [trouble] = ended.report["troubles"]
            assert f"Blink account {berta.id}" in trouble["what"]
            assert f"account {anna.id}" in trouble["what"]
        signing_in = await house("login")
        assert signing_in.code == 4
        assert "a table [account.NAME] of its own" in signing_in.err
        checked = await house("doctor", "--json")
        assert any(f"Blink account {berta.id}" in check["found"] for check in json.loads(checked.out)["checks"])
        assert house.asked("/media/changed") == 2, "of the first account, and of no other"
        assert deleted == []
        assert house.clips() == kept

        point_at(house, 0)
        shutil.rmtree(house.folder / "state" / "accounts")
        assert (await house("run")).code == 0
        assert {clip.id for clip in deleted if isinstance(clip, CloudClip)} == {clip.id for clip in anna.clips}


@pytest.mark.parametrize("second_factor", ["none", "202"])
async def test_a_login_as_somebody_else_leaves_the_good_sign_in_as_it_is(house_of: Houses, second_factor: SecondFactor) -> None:
    world = two_owners()
    world.accounts[1].second_factor = second_factor
    async with house_of(world) as house:
        point_at(house, 0)
        assert (await house("run", "--since", "2020-01-01")).code == 0
        folder = house.folder / "state" / "accounts" / "a0"
        before = (folder / "tokens.json").read_bytes()
        point_at(house, 1)
        signing_in = await house("login")
        if second_factor == "202":
            assert signing_in.code == 4
            signing_in = await house("login", "--code", world.accounts[1].code)
        assert (signing_in.code, f"Blink account {world.accounts[1].id}" in signing_in.err) == (4, True)
        assert (folder / "tokens.json").read_bytes() == before
        assert not (folder / "tokens.pending.json").exists(), "its code was used"
        assert list(folder.parent.rglob(".trial-*")) == []
        point_at(house, 0)
        posted = house.asked("/oauth/")
        assert (await house("run")).code == 0
        assert house.asked("/oauth/") == posted


async def test_an_archive_of_before_adopts_the_account_that_it_meets_first(house_of: Houses) -> None:
    world = two_owners()
    async with house_of(world) as house:
        point_at(house, 0)
        assert (await house("run", "--since", "2020-01-01")).code == 0
        as_before(house)
        assert (await house("run", "--json", "--since", "2020-01-01")).report["known"] == 4
        with sqlite3.connect(house.folder / "state" / "index.sqlite3") as connection:
            rows = connection.execute("SELECT name, blink_id FROM account").fetchall()
        connection.close()
        assert rows == [("a0", str(world.accounts[0].id))]
        tokens = json.loads((house.folder / "state" / "accounts" / "a0" / "tokens.json").read_text())
        assert tokens["username"] == world.accounts[0].username


async def test_an_archive_of_before_that_meets_another_account_keeps_both_and_deletes_nothing(house_of: Houses) -> None:
    """Nobody can tell any more which account it was of: the clips themselves tell."""
    world = two_owners()
    anna, berta = world.accounts
    async with house_of(world) as house:
        point_at(house, 0)
        assert (await house("run", "--since", "2020-01-01")).code == 0
        as_before(house, of_nobody=True)
        world.deleting = lambda clip: pytest.fail(f"{clip} was deleted")
        point_at(house, 1)
        with sqlite3.connect(house.folder / "state" / "index.sqlite3") as connection:  # the numbers of Berta's clips
            for ours, theirs in zip(anna.clips, berta.clips, strict=True):
                connection.execute("UPDATE clip SET id = ? WHERE id = ?", (f"cloud:a0:{theirs.id}", f"cloud:a0:{ours.id}"))
        connection.close()
        ended = await house("run", "--json")
        assert (ended.code, ended.report["stored"], ended.report["known"], ended.report["deleted"]) == (0, 4, 0, 0)
        assert len([trouble for trouble in ended.report["troubles"] if "Both are kept" in trouble["what"]]) == 4
        assert set(house.clips().values()) == films(world)
        ended = await house("run", "--json")
        assert (ended.code, ended.report["stored"], ended.report["deleted"]) == (0, 0, 0)


def as_before(house: House, *, of_nobody: bool = False) -> None:
    """Let the state be one of before accounts were bound; `of_nobody`: without a sign-in."""
    with sqlite3.connect(house.folder / "state" / "index.sqlite3") as connection:
        connection.execute("DELETE FROM account")
        connection.execute("UPDATE listing SET full_at = NULL")
    connection.close()
    folder = house.folder / "state" / "accounts"
    if of_nobody:
        shutil.rmtree(folder)
