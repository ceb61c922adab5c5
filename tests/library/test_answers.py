"""Answers of the forms that Blink's servers have been seen to give are read without loss, or mean the error they stand for.

`answers/` has one file for each form, with the keys and types of a real answer and other values.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import msgspec
import pytest
from aioresponses import aioresponses

from blinkarchive.blink import Auth, Blink, Family, wire
from blinkarchive.blink.answers import read
from blinkarchive.blink.exchange import Answer
from blinkarchive.clock import ManualClock
from blinkarchive.errors import Busy, ClipGone, ServerTrouble, SourceError, Unauthorized, UpdateRequired

ANSWERS = Path(__file__).with_name("answers")
NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


def body(name: str) -> bytes:
    return (ANSWERS / f"{name}.json").read_bytes()


def source(name: str) -> Any:
    return json.loads(body(name))


def lost(record: msgspec.Struct, told: dict[str, Any], *, but: tuple[str, ...] = ()) -> Iterator[tuple[str, Any, Any]]:
    """The fields of a record that say something else than the object that it was made of."""
    for each in msgspec.structs.fields(record):
        if each.encode_name in told and each.name not in but:
            found, said = getattr(record, each.name), told[each.encode_name]
            if isinstance(found, datetime):
                said = datetime.fromisoformat(said)
            elif isinstance(found, msgspec.Struct):
                assert not list(lost(found, said))
                continue
            elif isinstance(found, tuple):
                said = tuple(said)
            if found != said and not (said is None and found in ("", None)):
                yield each.name, found, said


@pytest.mark.parametrize("name", ["homescreen_v3_2020", "homescreen_v3_2022"])
def test_a_homescreen(name: str) -> None:
    told, home = source(name), wire.homescreen(body(name))
    assert home.malformed == ()
    cameras = [*told["cameras"], *told.get("owls", []), *told.get("doorbells", [])]
    for found, said in ((home.networks, told["networks"]), (home.sync_modules, told["sync_modules"]), (home.cameras, cameras)):
        assert len(found) == len(said) > 0
        assert [list(lost(one, of)) for one, of in zip(found, said, strict=True)] == [[]] * len(said)
    assert [camera.family for camera in home.cameras].count(Family.OWL) == len(told["owls"])
    for camera in home.cameras:
        assert re.search(r"\.jpg(\?ts=\d+&ext=)?$", camera.picture(7))


def test_what_a_module_says_of_its_stick_is_kept_apart_from_what_was_enabled() -> None:
    states = {module.local_storage_status: module.readable for module in wire.homescreen(body("homescreen_v3_2022")).sync_modules}
    assert states == {"unavailable": False, "active": True}


@pytest.mark.parametrize("name", ["media_changed_limit25_pir", "media_changed_limit500_snapshot", "media_changed_2020"])
def test_a_page_of_the_list_of_clips(name: str) -> None:
    told, page = source(name), wire.media_page(body(name))
    assert (page.limit, page.malformed) == (told["limit"], ())
    assert [list(lost(item, said)) for item, said in zip(page.items, told["media"], strict=True)] == [[]]


def test_settings_of_a_battery_camera_and_of_a_mini() -> None:
    battery, mini = wire.camera_config(body("camera_config")), wire.camera_config(body("owl_config"))
    assert battery.values == source("camera_config")["camera"][0]
    assert list(lost(battery.signals, source("camera_config")["signals"])) == []
    assert (battery.values["battery_voltage"], battery.signals.temp) == (133, 63)
    assert mini.values == source("owl_config")


@pytest.mark.parametrize(
    ("name", "decode"),
    [
        ("camera_signals", wire.signals),
        ("camera_signals_2025", wire.signals),
        ("user", wire.user),
        ("user_2025", wire.user),
        ("tier_info", wire.tier_info),
        ("oauth_signin_202_tsv", wire.code_sent),
        *((f"liveview_{form}", wire.live_view) for form in ("v5_2020", "v5_rtsps", "v5_rtsps_extended", "v6_immis")),
        *((f"command_status_{stage}", wire.command_status) for stage in ("cs_sent", "running", "complete")),
        *((f"command_status_liveview_{stage}", wire.command_status) for stage in ("running", "done")),
        *((f"camera_{asked}_command", wire.command) for asked in ("thumbnail", "clip", "enable", "disable", "update_config_set")),
        *((name, wire.command) for name in ("owl_thumbnail_command", "network_arm", "network_disarm")),
        *((f"local_storage_{asked}_request", wire.command) for asked in ("manifest", "clip")),
    ],
)
def test_one_record(name: str, decode: Callable[[bytes], msgspec.Struct]) -> None:
    assert list(lost(decode(body(name)), source(name))) == []


def test_a_command_has_succeeded_when_it_is_complete_and_not_before() -> None:
    ends = {name: wire.command_status(body(f"command_status_{name}")).succeeded for name in ("cs_sent", "running", "complete")}
    assert ends == {"cs_sent": False, "running": False, "complete": True}


@pytest.mark.parametrize("name", ["network_get", "network_update", "network_update_2025"])
def test_a_network(name: str) -> None:
    assert list(lost(wire.network(body(name)), source(name)["network"])) == []


def test_tokens() -> None:
    grant = wire.grant(body("oauth_token"))
    assert grant.refresh_token is not None
    assert (grant.access_token.reveal(), grant.refresh_token.reveal()) == ("access_token", "refresh_token")
    assert grant.expires_in == 14400


@pytest.mark.parametrize("name", ["local_storage_manifest", "local_storage_manifest_2022"])
def test_a_manifest(name: str) -> None:
    told, manifest = source(name), wire.manifest(body(name))
    assert (manifest.id, manifest.malformed) == (int(told["manifest_id"]), ())
    numbers = [{**clip, "id": int(clip["id"]), "size": int(clip["size"])} for clip in told["clips"]]
    assert [list(lost(clip, said)) for clip, said in zip(manifest.clips, numbers, strict=True)] == [[]] * len(numbers)


@pytest.mark.parametrize("name", ["notifications_configuration", "notifications_configuration_2025"])
def test_what_the_owner_is_told_of(name: str) -> None:
    assert wire.notifications(body(name)) == source(name)["notifications"]


def test_answers_that_are_words() -> None:
    wire.deleted(body("media_delete"))
    assert wire.message(body("logout")) == "logout"
    assert "Update Successful" in wire.message(body("notifications_configuration_set"))


@pytest.mark.parametrize(
    ("name", "status", "kind", "code"),
    [
        ("error_101_unauthorized", 401, Unauthorized, 101),
        ("error_101_unauthorized_2025", 401, Unauthorized, 101),
        ("error_101_unauthorized_2025", 200, Unauthorized, 101),
        ("error_213_invalid_auto_purge_days", 200, SourceError, 213),
        ("error_304_no_cameras_enabled", 200, SourceError, 304),
        ("error_307_system_busy", 409, Busy, 307),
        ("error_700_media_not_found", 404, ClipGone, 700),
        ("error_706_invalid_media_list", 400, SourceError, 706),
        ("error_1630_invalid_device_type", 400, SourceError, 1630),
        ("error_2805_motion_not_enabled", 400, SourceError, 2805),
        ("error_app_update_required", 426, UpdateRequired, None),
        ("error_app_update_required", 200, ServerTrouble, None),
        ("oauth_error_empty_cookies", 400, SourceError, None),
    ],
)
@pytest.mark.parametrize(
    "decode", [wire.homescreen, wire.media_page, wire.command, wire.command_status, wire.user, wire.manifest]
)
def test_an_error_is_an_error_where_anything_was_promised(
    name: str, status: int, kind: type[SourceError], code: int | None, decode: Callable[[bytes], object]
) -> None:
    with pytest.raises(SourceError) as failure:
        read(Answer(status=status, body=body(name)), decode, what="it", now=NOW)
    assert (type(failure.value), failure.value.status, failure.value.code) == (kind, status, code)


def test_every_answer_here_is_read_by_a_test() -> None:
    told = Path(__file__).read_text()
    names = {path.stem for path in ANSWERS.glob("*.json")}
    spelt = set(re.findall(r'"(\w+)"', told))
    forms = {
        *(f"liveview_{form}" for form in spelt),
        *(f"command_status_{form}" for form in spelt),
        *(f"command_status_liveview_{form}" for form in spelt),
        *(f"camera_{form}_command" for form in spelt),
        *(f"local_storage_{form}_request" for form in spelt),
    }
    assert names - spelt - forms == set()


# The whole way, one answer at a time: at the addresses of Blink's own servers, of which nothing is reached.


class Answered(aiohttp.ClientResponse):
    """An answer as aioresponses makes them, with what aiohttp has asked for since."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **{"stream_writer": SimpleNamespace(output_size=0), **more})


class Answering:
    """Says what is answered to what: `get` and `post` as aioresponses has them."""

    def __init__(self, answers: aioresponses) -> None:
        self.get = partial(answers.get, response_class=Answered)
        self.post = partial(answers.post, response_class=Answered)


@pytest.fixture
async def house() -> AsyncIterator[tuple[Blink, Answering]]:
    """A house at Blink's own addresses, with a sign-in that lasts, and every address answered from here."""
    clock = ManualClock(NOW)
    login = {
        "username": "owner@example.org",
        "token": "t",
        "refresh_token": "r",
        "expiration_date": NOW.timestamp() + 9000,
        "region_id": "e123",
        "account_id": 2234568,
    }
    with aioresponses() as answers:
        async with aiohttp.ClientSession() as session:
            yield Blink(auth=Auth(login, no_prompt=True, session=session, clock=clock)), Answering(answers)


HOST = "https://rest-e123.immedia-semi.com"


async def test_a_house_of_real_answers_is_shown_whole(house: tuple[Blink, Answering]) -> None:
    blink, answering = house
    answering.get(f"{HOST}/user", body=body("user"))
    answering.get(f"{HOST}/api/v3/accounts/2234568/homescreen", body=body("homescreen_v3_2022"), headers={"Client-Id": "77"})
    answering.get(re.compile(f"{HOST}/network/.*/config"), body=body("camera_config"), repeat=True)
    answering.get(re.compile(f"{HOST}/api/v1/accounts/2234568/media/changed"), body=body("media_changed_limit500_snapshot"))
    answering.get(re.compile(rf"{HOST}/.*\.jpg"), body=b"\xff\xd8\xff", content_type="image/jpeg", repeat=True)
    assert await blink.start()
    assert (blink.client_id, blink.temperature_unit) == ("77", "F")
    assert list(blink.cameras) == ["Hallway", "Garden", "Nook"]
    hall, garden, nook = blink.cameras.values()
    assert (hall.battery, hall.temperature_c, hall.battery_voltage, nook.battery) == ("low", 16.7, 133, None)
    assert hall.clip == source("media_changed_limit500_snapshot")["media"][0]["media"]
    assert {each.image_from_cache for each in (hall, garden, nook)} == {b"\xff\xd8\xff"}
    cabins = [name for name in blink.sync if name.startswith("Cabin")]
    assert len(cabins) == 2
    assert blink.sync["Cellar"].local_storage


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"status": 401, "body": '{"message": "Unauthorized Access", "code": 101}'}, Unauthorized),
        ({"status": 426, "body": '{"message": "An app update is required"}'}, UpdateRequired),
        ({"status": 200, "body": "<html>maintenance</html>", "content_type": "text/html"}, ServerTrouble),
        ({"status": 200, "body": ""}, ServerTrouble),
        ({"status": 200, "body": "null"}, ServerTrouble),
        ({"status": 204}, ServerTrouble),
        ({"exception": TimeoutError()}, SourceError),
        ({"exception": aiohttp.ServerDisconnectedError()}, SourceError),
    ],
)
async def test_a_single_bad_answer_is_an_error_that_says_what_was_asked(
    house: tuple[Blink, Answering], answer: dict[str, Any], kind: type[SourceError]
) -> None:
    blink, answering = house
    answering.get(f"{HOST}/user", body=body("user"), repeat=True)
    for version in ("v3", "v4"):  # the newer one is read when the older one is retired
        answering.get(f"{HOST}/api/{version}/accounts/2234568/homescreen", **answer)
    answering.post("https://api.oauth.blink.com/oauth/token", status=503)
    with pytest.raises(SourceError) as failure:
        await blink.start()
    if kind is Unauthorized:
        assert "refresh" in str(failure.value) or failure.value.status == 503
    else:
        assert isinstance(failure.value, kind)
        assert str(failure.value).startswith("the list of devices: ")
