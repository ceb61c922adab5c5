"""The cameras themselves from the command line: what they show, what they do, and what is said when they do not."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blinkarchive.simulator import Camera, World
from blinkarchive.simulator.plan import AccountPlan, CameraPlan, NetworkPlan, Rules, SyncModulePlan, WorldPlan
from blinkarchive.simulator.stick import LocalClip
from blinkarchive.simulator.world import CloudClip
from tests.acceptance.conftest import COMMAND, Ended, House, Houses, ended
from tests.acceptance.test_first_steps import at_a_terminal

UNTIL = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
JPEG = b"\xff\xd8\xff"


def world(accounts: int = 1) -> World:
    """A house of every family, in which two cameras are called alike; and others with a network and a camera of those names."""
    home = NetworkPlan(
        name="Home",
        sync_modules=(SyncModulePlan(name="Home Module", clips=2),),
        cameras=(CameraPlan(name="Front Door", type="lotus"), CameraPlan(name="Garage", type="xt2", enabled=False)),
    )
    cabin = NetworkPlan(
        name="Cabin", armed=False, cameras=(CameraPlan(name="Front Door", type="hawk"), CameraPlan(name="Kitchen", type="owl"))
    )
    second = NetworkPlan(name="Home", cameras=(CameraPlan(name="Kitchen"), CameraPlan(name="Shed")))

    def person(number: int, *networks: NetworkPlan) -> AccountPlan:
        name, word = f"owner{number}@example.org", f"open-sesame-{number}"
        return AccountPlan(username=name, password=word, second_factor="none", networks=networks, clips=6)

    people = (person(1, home, cabin), person(2, second))[:accounts]
    rules = Rules(command_time=0.0, manifest_time=0.0, upload_start=0.0)
    return World(WorldPlan(seed=5, until=UNTIL, clip_bytes=(8_000, 20_000), accounts=people, rules=rules))


def camera(world: World, name: str, network: str = "Home", account: int = 0) -> Camera:
    found = world.accounts[account].cameras
    return next(one for one in found if (one.name, one.network.name) == (name, network))


def rows(done: Ended) -> list[list[str]]:
    """The cells of a table, whose columns are two blanks apart."""
    assert done.code == 0, done.err
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in done.out.splitlines()]


def refused(done: Ended, code: int, *words: str) -> None:
    """It has ended with this code, has said these words and no traceback, and has given no data."""
    assert (done.code, done.out) == (code, ""), done
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err


async def in_folder(house: House, folder: Path, *arguments: str) -> Ended:
    """Run the command with a working folder of its own."""
    folder.mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env=os.environ | house.environment | {"BLINKARCHIVE_CONFIG": str(house.config)},
    )
    house.processes.append(process)
    return await ended(process)


class TestCameras:
    async def test_a_row_for_each_tells_how_it_is(self, house_of: Houses) -> None:
        here = world()
        here.account.add_clip(camera(here, "Garage"), created_at=datetime.now(UTC) - timedelta(hours=3, minutes=1))
        async with house_of(here) as house:
            house.environment |= {"TZ": "UTC"}
            head, *found = rows(await house("cameras"))
        assert head == [
            "CAMERA", "NETWORK", "TYPE", "ARMED", "STATUS", "BATTERY", "SIGNAL", "TEMP", "LAST CLIP", "PICTURE", "ID",
        ]  # fmt: skip
        assert [row[0] for row in found] == ["Front Door (Cabin)", "Kitchen", "Front Door (Home)", "Garage"]
        garage = dict(zip(head, found[-1], strict=True))
        last = garage.pop("LAST CLIP")
        assert garage == {
            "CAMERA": "Garage",
            "NETWORK": "Home",
            "TYPE": "xt2 (battery)",
            "ARMED": "no (camera)",
            "STATUS": "online",
            "BATTERY": "ok",
            "SIGNAL": "4/5",
            "TEMP": "68 °F",
            "PICTURE": "3 h ago",
            "ID": str(camera(here, "Garage").id),
        }
        assert last.endswith(" +00:00, 3 h ago")
        kitchen = dict(zip(head, found[1], strict=True))
        assert (kitchen["ARMED"], kitchen["BATTERY"], kitchen["SIGNAL"], kitchen["TEMP"]) == ("no (network)", "-", "-", "-")

    async def test_one_object_tells_programs_everything(self, house_of: Houses) -> None:
        here = world(2)
        door = camera(here, "Front Door")
        newest = here.account.add_clip(door, created_at=UNTIL + timedelta(hours=1))
        here.account.add_clip(door, created_at=UNTIL + timedelta(hours=2), deleted=True)
        here.account.add_clip(door, created_at=UNTIL + timedelta(hours=3), video=False)
        async with house_of(here) as house:
            told = (await house("cameras", "--json")).report
            one = (await house("cameras", "--json", "--account", "a1")).report
        assert told["troubles"] == []
        assert {(each["account"], each["name"]) for each in told["cameras"]} == {
            ("a0", "Front Door (Home)"), ("a0", "Front Door (Cabin)"), ("a0", "Garage"), ("a0", "Kitchen"),
            ("a1", "Kitchen"), ("a1", "Shed"),
        }  # fmt: skip
        [shown] = [each for each in told["cameras"] if each["id"] == door.id]
        assert shown["last_clip_at"] == newest.created_at.isoformat().replace("+00:00", "Z")
        assert shown["thumbnail_at"] == door.pictured_at.isoformat().replace("+00:00", "Z")
        for name, value in {
            "camera": "Front Door", "network": "Home", "network_id": door.network.id, "family": "doorbells", "type": "lotus",
            "armed": True, "network_armed": True, "motion_enabled": True, "status": "done", "online": True, "battery": "ok",
            "battery_level": 3, "wifi": 4, "sync_signal": 5, "temperature": None, "temperature_unit": None,
        }.items():  # fmt: skip
            assert shown[name] == value, name
        assert [each["account"] for each in one["cameras"]] == ["a1", "a1"]

    async def test_a_terminal_gets_whole_words_however_narrow_and_colours_if_it_wants_them(
        self, house_of: Houses, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.delenv("NO_COLOR", raising=False)
        shown = {}
        async with house_of(world()) as house:
            for name, value in house.environment.items():
                monkeypatch.setenv(name, value)
            for columns in ("80", "200", "200 NO_COLOR"):
                monkeypatch.setenv("COLUMNS", columns.split()[0])
                if columns.endswith("NO_COLOR"):
                    monkeypatch.setenv("NO_COLOR", "1")
                code, shown[columns] = await at_a_terminal("--config", house.config, "cameras", answers=[])
                assert code == 0, shown
        lines = shown["80"].splitlines()
        assert max(map(len, lines)) <= 80
        assert "Front Door (Home)" in lines
        assert "  network Home, type lotus (doorbell), armed yes, status online, battery ok," in lines
        assert len(shown["200"].splitlines()) == 5
        green = "\x1b[32m"
        assert [green in shown[columns] for columns in shown] == [False, True, False]

    async def test_an_account_that_cannot_be_read_hides_no_other(self, house_of: Houses) -> None:
        async with house_of(world(2)) as house:
            text = house.config.read_text()
            house.config.write_text(text.replace('password = { env = "PASSWORD_1" }\n', ""))
            done = await house("cameras", "--json")
            assert done.code == 4
            assert {each["account"] for each in done.report["cameras"]} == {"a0"}
            assert [each["where"] for each in done.report["troubles"]] == ["account a1"]
            assert "blinkarchive login --account a1" in done.err

            house.cloud.world.faults.add("homescreen.status", status=500, times=0)
            refused(await house("cameras", "--account", "a0"), 1, "Error: account a0: ", "HTTP 500")

    async def test_a_unit_and_clips_that_are_not_told_leave_what_is_known(self, house_of: Houses) -> None:
        here = world()
        async with house_of(here) as house:
            here.faults.add("owner.status", status=500, times=0)
            assert "68 °?" in (await house("cameras")).out
            here.faults.add("list.status", status=500, times=0)
            done = await house("cameras", "--json")
        assert (done.code, done.err.count("the last clips are not known")) == (0, 1)
        [garage] = [each for each in done.report["cameras"] if each["name"] == "Garage"]
        assert (garage["temperature"], garage["temperature_unit"], garage["last_clip_at"]) == (68, None, None)

    async def test_of_the_list_no_more_than_four_pages_are_read(self, house_of: Houses) -> None:
        here = world()
        here.rules.page_size = 1
        async with house_of(here) as house:
            told = (await house("cameras", "--json")).report["cameras"]
            assert house.asked("/media/changed") == 4
        newest = {clip.camera.id for clip in here.account.clips[:4]}
        assert {each["id"] for each in told if each["last_clip_at"]} == newest

    async def test_a_reader_that_has_gone_is_no_failure(self, house_of: Houses) -> None:
        async with house_of(world()) as house:
            for line in (["cameras"], ["cameras", "--json"], ["networks"], ["snap", "Kitchen", "-o", "-"]):
                reader, writer = os.pipe()
                os.close(reader)
                process = await asyncio.create_subprocess_exec(
                    COMMAND,
                    *line,
                    stdout=writer,
                    stderr=asyncio.subprocess.PIPE,
                    env=os.environ | house.environment | {"BLINKARCHIVE_CONFIG": str(house.config)},
                )
                os.close(writer)
                _, err = await process.communicate()
                assert process.returncode == 0, err
                assert b"Traceback" not in err
                assert b"Exception ignored" not in err


class TestNetworks:
    async def test_a_row_for_each_module_tells_how_it_and_its_stick_are(self, house_of: Houses) -> None:
        here = world(2)
        async with house_of(here) as house:
            head, *found = rows(await house("networks"))
            told = (await house("networks", "--json")).report
        ids = [str(network.id) for account in here.accounts for network in account.networks]
        assert head == ["NETWORK", "ARMED", "CAMERAS", "SYNC MODULE", "STATUS", "FIRMWARE", "WIFI", "STICK", "ID", "ACCOUNT"]
        assert found == [
            ["Cabin", "no", "2", "-", "-", "-", "-", "-", ids[1], "a0"],
            ["Home", "yes", "2", "Home Module", "online", "4.5.20", "4/5", "active, 12% used", ids[0], "a0"],
            ["Home", "yes", "2", "-", "-", "-", "-", "-", ids[2], "a1"],
        ]
        assert told["troubles"] == []
        [home] = [one for one in told["networks"] if str(one["id"]) == ids[0]]
        [module] = home.pop("sync_modules")
        assert (home["name"], home["armed"], home["cameras"], home["account"]) == ("Home", True, 2, "a0")
        assert (module["online"], module["stick"], module["stick_readable"], module["stick_used_percent"]) == (
            True, "active", True, 12,
        )  # fmt: skip

    async def test_a_stick_that_says_nothing_of_itself_keeps_the_state_that_is_known(self, house_of: Houses) -> None:
        here = world()
        here.faults.add("storage.status", status=500, times=0)
        async with house_of(here) as house:
            [_, _, home] = rows(await house("networks"))
        assert home[-2] == "active"


class TestSnap:
    async def test_the_new_picture_becomes_a_new_file_and_its_name_is_given(self, house_of: Houses, tmp_path: Path) -> None:
        async with house_of(world()) as house:
            done = await in_folder(house, tmp_path / "here", "snap", "front door (home)")
            [file] = (tmp_path / "here").iterdir()
            at = camera(house.cloud.world, "Front Door").pictured_at
        assert (done.code, done.out) == (0, f"{file.name}\n")
        assert file.name == f"front-door-home_{at:%Y%m%dT%H%M%SZ}.jpg"
        assert file.read_bytes().startswith(JPEG)
        assert done.err == f"Front Door (Home): a new picture, {file.stat().st_size} B.\n", "no progress is shown to a file"

    async def test_a_file_that_is_named_is_replaced_and_nothing_else_is(self, house_of: Houses, tmp_path: Path) -> None:
        here = world()
        file = tmp_path / "door.jpg"
        file.write_text("old")
        async with house_of(here) as house:
            done = await house("snap", "Kitchen", "-o", str(file), "--json")
            assert done.report == {
                "account": "a0",
                "name": "Kitchen",
                "id": camera(here, "Kitchen", "Cabin").id,
                "file": str(file),
                "size": file.stat().st_size,
                "taken_at": done.report["taken_at"],
            }
            assert file.read_bytes().startswith(JPEG)

            before = file.read_bytes()
            here.faults.add("control.fail")
            refused(await house("snap", "Kitchen", "-o", str(file)), 1, "a picture by camera 'Kitchen': accepted, and not done")
            here.faults.add("thumbnail.drop", times=0)
            refused(await house("snap", "Kitchen", "-o", str(file)), 1, "Error: ")
        assert file.read_bytes() == before
        assert not list(tmp_path.glob(".*.part"))

    async def test_a_dash_is_stdout(self, house_of: Houses) -> None:
        async with house_of(world()) as house:
            process = await house.start("snap", "Kitchen", "-o", "-")
            out, err = await process.communicate()
            assert (process.returncode, out[:3]) == (0, JPEG)
            assert err.startswith(b"Kitchen: a new picture")
            refused(await house("snap", "Kitchen", "-o", "-", "--json"), 2, "both want stdout")

    async def test_a_place_that_cannot_be_written_is_told_before_anyone_is_asked(self, house_of: Houses, tmp_path: Path) -> None:
        async with house_of(world()) as house:
            refused(await house("snap", "Kitchen", "-o", str(tmp_path / "no" / "x.jpg")), 2, "there is no folder")
            refused(await house("snap", "Kitchen", "-o", str(tmp_path)), 2, "is a directory")
            assert house.asked("/thumbnail") == 0

    async def test_a_terminal_sees_what_is_waited_for_and_is_spared_bytes(
        self, house_of: Houses, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        async with house_of(world()) as house:
            for name, value in house.environment.items():
                monkeypatch.setenv(name, value)
            file = tmp_path / "x.jpg"
            code, shown = await at_a_terminal("--config", house.config, "snap", "Kitchen", "-o", file, answers=[])
            assert code == 0, shown
            assert shown.startswith("Kitchen takes a picture …\n")
            code, shown = await at_a_terminal("--config", house.config, "snap", "Kitchen", "-o", "-", answers=[])
            assert (code, "a terminal cannot show it" in shown) == (2, True)


class TestRecord:
    async def test_a_clip_is_recorded_and_the_next_run_archives_it(self, house_of: Houses) -> None:
        async with house_of(world()) as house:
            known = {clip.id for clip in house.account.clips}
            done = await house("record", "Garage")
            assert (done.code, done.out) == (0, "")
            assert done.err == "Garage has recorded a clip.\nNext: blinkarchive run\n"
            [new] = [clip for clip in house.account.clips if clip.id not in known]
            assert new.camera.name == "Garage"
            assert (await house("run", "--json")).report["stored"] == 7

    @pytest.mark.parametrize("subscription", [True, False], ids=["cloud", "stick"])
    async def test_with_a_file_the_clip_itself_is_fetched(self, house_of: Houses, tmp_path: Path, subscription: bool) -> None:
        here = world()
        here.account.subscription = subscription
        module = here.account.sync_modules[0]

        def kept() -> list[CloudClip | LocalClip]:
            return [*here.account.clips, *module.stick.clips]

        known = set(map(id, kept()))
        async with house_of(here) as house:
            done = await house("record", "Garage", "-o", str(tmp_path / "now.mp4"), "--json")
        [new] = [clip for clip in kept() if id(clip) not in known]
        assert (done.code, done.report["name"], done.report["file"]) == (0, "Garage", str(tmp_path / "now.mp4"))
        assert (tmp_path / "now.mp4").read_bytes() == new.film()
        assert done.report["size"] == len(new.film())
        assert done.report["taken_at"] == new.created_at.isoformat().replace("+00:00", "Z")

    async def test_a_clip_that_comes_cut_is_fetched_again_and_never_half(self, house_of: Houses, tmp_path: Path) -> None:
        here = world()
        here.faults.add("media.cut", times=1)
        async with house_of(here) as house:
            done = await house("record", "Kitchen", "-o", str(tmp_path / "now.mp4"))
            assert done.code == 0, done.err
            assert here.faults.count("media.cut") == 1
        assert (tmp_path / "now.mp4").read_bytes() == here.account.clips[0].film()


class TestArming:
    async def test_a_network_is_armed_and_disarmed_when_the_command_returns(self, house_of: Houses) -> None:
        here = world()
        home, cabin = here.account.networks
        async with house_of(here) as house:
            done = await house("disarm", "home")
            assert (done.code, done.out, done.err) == (0, "", "Network Home is disarmed.\n")
            assert not home.armed
            done = await house("arm", str(cabin.id), "--json")
            assert done.report == {"account": "a0", "kind": "network", "name": "Cabin", "id": cabin.id, "armed": True}
            assert cabin.armed

    async def test_a_camera_is_switched_alone(self, house_of: Houses) -> None:
        here = world()
        door, other = camera(here, "Front Door"), camera(here, "Front Door", "Cabin")
        async with house_of(here) as house:
            done = await house("disarm", "Front Door (Home)", "--json")
            assert done.report == {"account": "a0", "kind": "camera", "name": "Front Door (Home)", "id": door.id, "armed": False}
            assert (door.enabled, other.enabled, door.network.armed) == (False, True, True)
            done = await house("arm", "Kitchen")
            assert done.err.splitlines() == [
                "Camera Kitchen is armed.",
                "It records nothing yet: its network is disarmed. Next: blinkarchive arm Cabin",
            ]

    async def test_a_busy_module_is_asked_again(self, house_of: Houses) -> None:
        here = world()
        here.faults.add("arm.busy")
        async with house_of(here) as house:
            assert (await house("disarm", "Home")).code == 0
        assert here.faults.count("arm.busy") == 1
        assert not here.account.networks[0].armed

    async def test_what_was_not_done_ends_with_1_and_the_reason(self, house_of: Houses) -> None:
        here = world()
        async with house_of(here) as house:
            here.faults.add("arm.fail")
            refused(await house("disarm", "Home"), 1, "disarming network", "accepted, and not done (Command failed", "online?")
            here.faults.add("arm.lie")
            refused(await house("disarm", "Home"), 1, "network Home: reported disarmed, and Blink does not show it so")
            assert here.account.networks[0].armed
            for one in here.account.networks[1].cameras:
                one.enabled = False
            refused(await house("arm", "Cabin"), 1, "code 304")


class TestNames:
    @pytest.mark.parametrize("line", [["snap"], ["record"], ["arm"], ["disarm"]])
    async def test_a_name_of_several_is_refused_with_those_to_choose_from(self, house_of: Houses, line: list[str]) -> None:
        here = world(2)
        async with house_of(here) as house:
            refused(
                await house(*line, "Front Door"),
                2,
                'several are called "Front Door"; name one of: "Front Door (Cabin)", "Front Door (Home)"',
            )
            two = '"Kitchen" (--account a0), "Kitchen" (--account a1)'
            refused(await house(*line, "kitchen"), 2, f"name one of: {two}")
            refused(await house(*line, "Shedd"), 2, '"Shedd"; did you mean "Shed"?')
            assert not [one for one in house.cloud.log if one.method == "POST" and "/networks/" in one.path]

    async def test_the_account_decides_between_two_of_one_name(self, house_of: Houses) -> None:
        here = world(2)
        async with house_of(here) as house:
            refused(await house("disarm", "Home"), 2, '"Home" (--account a0), "Home" (--account a1)')
            assert (await house("disarm", "Home", "--account", "a1")).code == 0
            assert [account.networks[0].armed for account in here.accounts] == [True, False]
            refused(await house("disarm", "Home", "--account", "a2"), 2, "the config has no such account")

    async def test_while_one_account_cannot_be_asked_a_name_is_not_guessed(self, house_of: Houses) -> None:
        here = world(2)
        async with house_of(here) as house:
            text = house.config.read_text()
            house.config.write_text(text.replace('password = { env = "PASSWORD_1" }\n', ""))
            refused(await house("arm", "Cabin"), 4, "blinkarchive login --account a1", "--account NAME")
            assert (await house("arm", "Cabin", "--account", "a0")).code == 0


async def test_without_a_sign_in_every_verb_ends_with_4(house_of: Houses) -> None:
    async with house_of(world()) as house:
        house.configure(password=False)
        for line in ("cameras", "networks", "snap Kitchen", "record Kitchen", "arm Home", "disarm Home"):
            refused(await house(*line.split()), 4, "blinkarchive login --account a0")
        assert not house.cloud.log


async def test_a_run_that_goes_on_is_not_disturbed(house_of: Houses) -> None:
    here = world()
    here.faults.add("media.delay", seconds=20.0, times=0)
    async with house_of(here) as house:
        run = await house.start("run", "--json")
        while not house.asked("/media/clip") + house.asked(".mp4"):
            assert run.returncode is None
            await asyncio.sleep(0.05)
        assert (await house("cameras")).code == 0
        assert (await house("disarm", "Home")).code == 0
        assert run.returncode is None
        here.faults.clear()
        run.send_signal(signal.SIGTERM)
        assert (await ended(run)).code == 130
        assert len(house.cloud.seen("POST", "/oauth/v2/signin")) == 1, "all use one sign-in"


async def test_no_archive_no_sink_and_no_index_are_needed(house_of: Houses) -> None:
    async with house_of(world()) as house:
        text = house.config.read_text()
        house.config.write_text(text[: text.index("[source.cloud]")])
        assert (await house("networks")).code == 0
        assert (await house("arm", "Cabin")).code == 0
        assert sorted(path.name for path in (house.folder / "state").iterdir()) == ["accounts"]


async def test_doctor_tells_of_modules_and_sticks(house_of: Houses) -> None:
    here = world()
    here.account.sync_modules[0].local_storage = "memory_full"
    async with house_of(here) as house:
        await house("cameras")
        done = await house("doctor", "--json")
    assert done.code == 0, done.out
    [check] = [check for check in done.report["checks"] if check["what"].startswith("module")]
    assert check == {
        "what": "module Home Module of Home",
        "verdict": "warn",
        "found": "online; stick memory_full, 100% used",
        "advice": "make room on the stick",
    }


async def test_doctor_never_signs_in_anew(house_of: Houses) -> None:
    here = world()
    here.rules.access_token_life = 60.0
    async with house_of(here) as house:
        await house("login")
        here.faults.add("token.invalid-grant", times=0)
        done = await house("doctor", "--json")
        assert len(house.cloud.seen("POST", "/oauth/v2/signin")) == 1
    assert done.code == 1, done.out
    [check] = [check for check in done.report["checks"] if check["what"] == "modules of a0"]
    assert (check["verdict"], check["advice"]) == ("fail", "blinkarchive login --account a0")
