"""The cameras themselves on the command line: what names mean, and how what is known and what is not is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from blinkarchive.blink import wire
from blinkarchive.blink.wire import Camera, Family, Homescreen, Network, Signals, StorageStatus, SyncModule
from blinkarchive.cli import arming, cameras, doctor, house, networks, output, words
from blinkarchive.cli.house import House
from blinkarchive.cli.session import Session
from blinkarchive.errors import Busy, CommandFailed, CommandUnfinished, ConfigError, SourceError

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def home(account: str = "home", *things: Network | Camera | SyncModule) -> House:
    return house.named(
        account,
        Homescreen(
            networks=tuple(one for one in things if isinstance(one, Network)),
            sync_modules=tuple(one for one in things if isinstance(one, SyncModule)),
            cameras=tuple(one for one in things if isinstance(one, Camera)),
            malformed=(),
        ),
    )


HOME = Network(id=1, name="Home", armed=True)
CABIN = Network(id=2, name="Cabin")
DOOR = Camera(id=11, network_id=1, name="Front Door")
OTHER_DOOR = Camera(id=12, network_id=2, name="front door")
GARAGE = Camera(id=13, network_id=1, name="GARAGE")
HOUSE = home("home", HOME, CABIN, DOOR, OTHER_DOOR, GARAGE)


class TestNames:
    @pytest.mark.parametrize(
        ("name", "camera"),
        [
            ("garage", GARAGE),
            ("13", GARAGE),
            ("11", DOOR),
            ("FRONT DOOR (home)", DOOR),
            ("front door (Cabin)", OTHER_DOOR),
        ],
    )
    def test_a_camera_is_found_by_its_unique_name_in_any_case_or_by_its_id(self, name: str, camera: Camera) -> None:
        found = house.camera(name, [HOUSE])
        assert found.thing is camera
        assert HOUSE.cameras[found.name] is camera

    def test_a_name_of_two_cameras_is_refused_with_both(self) -> None:
        with pytest.raises(ConfigError, match=r'called "Front Door"; name one of: "Front Door \(Home\)", "front door'):
            house.camera("Front Door", [HOUSE])

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("garrage", 'there is no camera "garrage"; did you mean "GARAGE"?'),
            ("xyzzy", 'there is no camera "xyzzy"; known: Front Door (Home), GARAGE, front door (Cabin)'),
            ("1", 'there is no camera "1"; known: '),
            ("\x1b[31m", r'there is no camera "\x1b[31m"; known: '),
        ],
    )
    def test_an_unknown_name_is_told_with_the_nearest_or_all(self, name: str, told: str) -> None:
        with pytest.raises(ConfigError) as error:
            house.camera(name, [HOUSE])
        assert str(error.value).startswith(told)

    def test_a_house_without_cameras_knows_none(self) -> None:
        with pytest.raises(ConfigError, match=r'^there is no camera "x"$'):
            house.camera("x", [home("home", HOME)])

    def test_a_name_of_a_network_and_a_camera_means_the_network(self) -> None:
        shed = Network(id=3, name="Shed")
        mixed = home("home", shed, Camera(id=31, network_id=3, name="Shed"))
        assert house.network_or_camera("shed", [mixed]).thing is shed
        assert isinstance(house.network_or_camera("31", [mixed]).thing, Camera)

    def test_two_networks_of_one_name_are_told_apart_by_their_ids_and_no_camera_is_guessed(self) -> None:
        twice = home("home", HOME, Network(id=4, name="HOME"), Camera(id=41, network_id=4, name="Home"))
        with pytest.raises(ConfigError, match="several are called"):
            house.network_or_camera("home", [twice])
        assert house.network_or_camera("4", [twice]).thing.id == 4

    def test_a_name_that_several_accounts_have_needs_the_account(self) -> None:
        other = home("cabin", Network(id=5, name="Home"), Camera(id=51, network_id=5, name="Garage"))
        with pytest.raises(ConfigError, match=r'"GARAGE" \(--account home\), "Garage" \(--account cabin\)'):
            house.camera("garage", [HOUSE, other])
        assert house.camera("51", [HOUSE, other]).house is other

    def test_things_without_a_name_are_called_by_their_ids(self) -> None:
        bare = home("home", Network(id=6), Camera(id=61, network_id=7))
        assert [*bare.networks, *bare.cameras] == ["6", "61"]
        assert bare.network(7) == ("7", None)


class TestTables:
    def row(
        self, camera: Camera, network: Network | None = HOME, unit: str | None = "C", at: datetime | None = None
    ) -> cameras.Row:
        newest = None if at is None else wire.MediaItem(id=1, created_at=at)
        return cameras.Row(
            account="home", name=camera.name, camera=camera, network_name="Home", network=network, unit=unit, newest=newest
        )

    def cells(self, row: cameras.Row) -> tuple[str, ...]:
        return cameras._cells(row, NOW)

    def test_what_is_not_known_stays_unknown(self) -> None:
        assert self.cells(self.row(Camera(id=1, network_id=1, name="x"), network=None)) == (
            "x", "Home", "battery", "-", "-", "-", "-", "-", "-", "-", "1",
        )  # fmt: skip
        told = cameras.as_record(self.row(Camera(id=1, network_id=1), network=None))
        assert {name for name, value in told.items() if value is not None} == {
            "account", "name", "camera", "id", "network_id", "family", "motion_enabled",
        }  # fmt: skip

    def test_what_is_known_is_told_with_its_unit(self) -> None:
        seen = Camera(
            id=1,
            network_id=1,
            name="x",
            family=Family.OWL,
            type="owl",
            status="offline",
            enabled=True,
            battery="low",
            signals=Signals(wifi=0, temp=0),
            thumbnail=int((NOW - timedelta(days=3)).timestamp()),
        )
        assert self.cells(self.row(seen))[2:8] == ("owl (wired)", "yes", "offline", "low", "0/5", "0 °C")
        assert self.cells(self.row(seen))[9] == "3 days ago"
        assert self.cells(self.row(seen, unit=None))[7] == "0 °?"
        assert self.cells(self.row(seen, at=NOW - timedelta(hours=2)))[8].endswith(", 2 h ago")

    def test_a_camera_that_is_not_armed_says_which_of_the_two_is_off(self) -> None:
        on, off = Camera(id=1, network_id=1, enabled=True), Camera(id=1, network_id=1)
        assert [self.cells(self.row(one, network))[3] for one in (on, off) for network in (HOME, CABIN)] == [
            "yes", "no (network)", "no (camera)", "no (network)",
        ]  # fmt: skip
        assert [self.row(one, network).armed for one in (on, off) for network in (HOME, CABIN)] == [True, False, False, False]

    @pytest.mark.parametrize(
        ("passed", "told"),
        [
            (-5, "just now"),
            (0.9, "just now"),
            (1, "1 s ago"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (3599, "59 min ago"),
            (3600, "1 h ago"),
            (172_799, "47 h ago"),
            (172_800, "2 days ago"),
            (86_400_000, "1,000 days ago"),
        ],
    )
    def test_how_long_ago_is_told_in_one_unit(self, passed: float, told: str) -> None:
        assert words.ago(NOW - timedelta(seconds=passed), NOW) == told

    def test_a_row_without_room_becomes_a_paragraph_that_breaks_between_its_cells(self) -> None:
        columns = ("CAMERA", "NETWORK", "ARMED", "LAST CLIP", "ID")
        assert list(words.paragraph(columns, ("Door", "Summer House", "yes", "-", "1234567"), 34)) == [
            "Door",
            "  network Summer House, armed yes,",
            "  id 1234567",
        ]
        assert list(words.paragraph(columns[:2], ("Door", "-"), 34)) == ["Door"]
        assert list(words.paragraph(columns[:2], ("Door", "x" * 50), 34)) == ["Door", f"  network {'x' * 50}"]

    @pytest.mark.parametrize(
        ("state", "used", "told"), [("active", 12, "active, 12% used"), ("active", None, "active"), ("", None, "-")]
    )
    def test_a_stick_is_told_with_what_its_module_says(self, state: str, used: int | None, told: str) -> None:
        stick = StorageStatus(usb_state=state, usb_storage_used=used) if used is not None else None
        module = SyncModule(id=1, network_id=1, local_storage_status=state)
        assert networks.stick(networks.Module(module=module, stick=stick)) == told

    @pytest.mark.parametrize(
        ("status", "stick", "verdict"),
        [
            ("online", "active", "ok"),
            ("online", "unavailable", "ok"),
            ("offline", "active", "warn"),
            ("online", "memory_full", "warn"),
            ("online", "format_required", "warn"),
        ],
    )
    def test_a_doctor_says_what_to_do_for_a_module(self, status: str, stick: str, verdict: str) -> None:
        module = SyncModule(id=1, network_id=1, name="Module", status=status, local_storage_status=stick)
        check = doctor.module("Home", networks.Module(module=module, stick=None))
        assert (check.verdict, bool(check.advice)) == (verdict, verdict == "warn")


class TestAdvice:
    @pytest.mark.parametrize(
        ("error", "told"),
        [(Busy("x"), "try again in a minute"), (CommandFailed("x"), "online?"), (CommandUnfinished("x"), "online?")],
    )
    def test_what_a_device_met_comes_with_what_to_do(self, error: SourceError, told: str) -> None:
        with pytest.raises(SourceError) as met, house.advised():
            raise error
        assert told in "\n".join(met.value.__notes__)

    @pytest.mark.parametrize("name", ["Home", "Front Door (Home)"])
    def test_a_module_that_is_offline_is_told_before_it_is_waited_for(
        self, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for status, times in (("online", 0), ("offline", 1)):
            module = SyncModule(id=9, network_id=1, name="Mine", status=status)
            there = home("home", HOME, CABIN, DOOR, OTHER_DOOR, module)
            house.waiting(Session(), house.network_or_camera(name, [there]), "Arming …")
            house.waiting(Session(), house.network_or_camera("Cabin", [there]), "Arming …")
            assert capsys.readouterr().err.count("Its sync module Mine is offline, so this may take two minutes") == times

    def test_a_camera_that_is_armed_in_vain_names_its_network(self) -> None:
        assert arming._disarmed_network(house.network_or_camera("12", [HOUSE])) == "Cabin"
        assert arming._disarmed_network(house.network_or_camera("11", [HOUSE])) == ""
        assert arming._disarmed_network(house.network_or_camera("Cabin", [HOUSE])) == ""


class TestFiles:
    def test_a_file_of_its_own_name_is_always_a_new_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        names = []
        for _ in range(3):
            file = output._new("Süd/Tür (Home)", NOW, ".jpg")
            file.symlink_to("nowhere")
            names.append(str(file))
        assert names == [
            "sud-tur-home_20260301T120000Z.jpg",
            "sud-tur-home_20260301T120000Z-2.jpg",
            "sud-tur-home_20260301T120000Z-3.jpg",
        ]


def test_every_name_that_programs_are_told_is_documented() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    camera = cameras.Row(account="home", name="x", camera=DOOR, network_name="Home", network=HOME, unit=None, newest=None)
    module = networks.Module(module=SyncModule(id=1, network_id=1), stick=None)
    network = networks.as_record(networks.Row(account="home", name="x", network=HOME, cameras=1, modules=(module,)))
    [inner] = cast("list[dict[str, object]]", network["sync_modules"])
    told = {*cameras.as_record(camera), *network, *inner, *output.as_record(house.camera("garage", [HOUSE]), None)}
    assert {name for name in told if f"`{name}`" not in page} == set()
