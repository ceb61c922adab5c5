"""The cloud's JSON as records: one bad item spoils nothing but itself, and no field that is odd loses a clip."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blinkarchive.blink import wire
from blinkarchive.blink.wire import Camera, Family, MediaItem, NotAsPromised
from tests.growth import growth

CLIP = {
    "id": 2139143346,
    "created_at": "2025-10-02T00:28:38+00:00",
    "updated_at": "2025-10-02T00:28:57+00:00",
    "deleted": False,
    "device": "catalina",
    "device_id": 13812,
    "device_name": "Porch",
    "network_id": 2000001,
    "network_name": "Home",
    "type": "video",
    "source": "pir",
    "watched": False,
    "partial": False,
    "thumbnail": "/api/v2/accounts/1/media/thumb/2139143346",
    "media": "/api/v2/accounts/1/media/clip/2139143346.mp4",
    "metadata": None,
    "additional_devices": [],
    "time_zone": "America/Tortola",
}


def page(*items: object, **facts: object) -> wire.MediaPage:
    body = {"limit": 25, "purge_id": 1, "refresh_count": 0, **facts, "media": list(items)}
    return wire.media_page(json.dumps(body).encode())


def only(item: object) -> MediaItem:
    (found,) = page(item).items
    return found


def reason(item: object) -> str:
    got = page(item)
    assert got.items == ()
    (bad,) = got.malformed
    return bad.reason


def test_a_clip_is_read_with_all_that_is_known_of_it() -> None:
    item = only(CLIP)

    assert item == MediaItem(
        id=2139143346,
        created_at=datetime(2025, 10, 2, 0, 28, 38, tzinfo=UTC),
        updated_at=datetime(2025, 10, 2, 0, 28, 57, tzinfo=UTC),
        device="catalina",
        device_id=13812,
        device_name="Porch",
        network_id=2000001,
        network_name="Home",
        type="video",
        source="pir",
        thumbnail="/api/v2/accounts/1/media/thumb/2139143346",
        media="/api/v2/accounts/1/media/clip/2139143346.mp4",
        time_zone="America/Tortola",
    )


def test_an_empty_page_is_the_end_and_says_how_long_a_page_is() -> None:
    assert page() == wire.MediaPage(limit=25, items=(), malformed=())


@pytest.mark.parametrize("limit", [None, "25", -1, 0, 2.5, [], True])
def test_a_limit_that_is_no_number_is_not_said(limit: object) -> None:
    assert page(CLIP, limit=limit).limit in (0, 1)
    assert len(page(CLIP, limit=limit).items) == 1


@pytest.mark.parametrize("key", sorted(set(CLIP) - {"id", "created_at"}))
def test_all_but_the_id_and_the_time_may_be_missing_or_null_or_odd(key: str) -> None:
    odd_values: list[object] = [None, [], {}, {"x": [1]}, 1e300, -5, 2**70, "x" * 5000]
    for item in ({k: v for k, v in CLIP.items() if k != key}, *({**CLIP, key: odd} for odd in odd_values)):
        got = only(item)
        assert (got.id, got.created_at.year) == (2139143346, 2025)
        for other in ("device_name", "network_name", "media"):
            assert other == key or getattr(got, other) == CLIP[other]


def test_two_odd_fields_are_two_defaults() -> None:
    got = only({**CLIP, "device_name": 5, "partial": "no", "network_id": "x"})
    assert (got.device_name, got.partial, got.network_id, got.network_name) == ("", False, None, "Home")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T00:00:00+00:00", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T00:00:00+0000", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T02:00:00+02:00", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2025-12-31T19:00:00-0500", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T00:00:00.5Z", datetime(2026, 1, 1, 0, 0, 0, 500000, tzinfo=UTC)),
        ("2026-01-01T00:00:00.123456+00:00", datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)),
        ("2024-02-29T23:59:59Z", datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_in_any_of_its_forms(text: str, moment: datetime) -> None:
    got = only({**CLIP, "created_at": text}).created_at
    assert got == moment
    assert got.utcoffset() is not None


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00",
        "2026-01-01",
        "1970-01-01T00:00:00Z",
        "2106-02-07T06:28:16Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-12:00",
        "2026-13-01T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "2026-01-01T25:00:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00+99:00",
        "yesterday",
        "",
        "2026-01-01T00:00:00Z; rm -rf /",
        1767225600_000,
        None,
        [],
        {},
        True,
    ],
)
def test_a_time_that_cannot_be_is_told_and_kept(text: object) -> None:
    got = page({**CLIP, "created_at": text}, {**CLIP, "id": 5})

    assert [item.id for item in got.items] == [5]
    (bad,) = got.malformed
    assert bad.item == "2139143346"
    assert bad.reason
    assert json.loads(bad.raw)["created_at"] == text


@pytest.mark.parametrize("number", [None, "x77", "", "7.5", 7.5, True, 0, -1, 2**63, 2**200, [], {}])
def test_an_id_that_is_none_is_told(number: object) -> None:
    assert "id" in reason({**CLIP, "id": number}) or "range" in reason({**CLIP, "id": number})


@pytest.mark.parametrize("item", [None, 5, "x", [], [CLIP], True, {}, {"id": 1}])
def test_what_is_no_clip_is_told(item: object) -> None:
    assert reason(item)


@pytest.mark.parametrize("field", ["id", "device_id", "network_id"])
def test_an_id_may_be_a_text(field: str) -> None:
    assert getattr(only({**CLIP, field: "77"}), field) == 77


def test_an_id_may_be_above_32_bits() -> None:
    assert only({**CLIP, "id": 2**62, "device_id": 2**40}).id == 2**62


def test_bytes_that_are_no_text_spoil_only_their_item() -> None:
    body = json.dumps({"media": [CLIP, {**CLIP, "id": 6, "device_name": "BROKEN"}, {**CLIP, "id": 7}]}).encode()
    got = wire.media_page(body.replace(b"BROKEN", b"\xff\xfe"))

    assert [item.id for item in got.items] == [2139143346, 7]
    assert [(bad.item, bad.reason) for bad in got.malformed] == [("6", "not UTF-8")]


def test_what_is_kept_of_a_malformed_item_is_short_and_without_secrets() -> None:
    (bad,) = page({"id": 9, "owner": "owner@example.org", "media": "/x?token=abc123", "long": "é" * 10_000}).malformed

    assert len(bad.raw) <= 4000
    assert "owner@" not in bad.raw
    assert "abc123" not in bad.raw
    assert bad.item == "9"


def test_of_many_malformed_items_the_first_are_kept_and_the_others_counted() -> None:
    got = page(*({"id": n, "created_at": "never"} for n in range(30_000)), CLIP)

    assert len(got.items) == 1
    assert len(got.malformed) == 101
    assert [bad.item for bad in got.malformed[:2]] == ["0", "1"]
    assert got.malformed[-1].reason == "29,900 more items of the same answer cannot be read"


def test_the_work_on_malformed_items_grows_with_their_number_and_no_faster() -> None:
    assert growth(lambda number: page(*({"id": n} for n in range(number))), 8000) < 8


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"5", b'{"media": 5}', b'{"media": {"a": 1}}', b'{"media": [}', b"\xff", b"[" * 9999]
)
def test_what_is_no_page_is_not_as_promised(body: bytes) -> None:
    with pytest.raises(NotAsPromised, match="without media"):
        wire.media_page(body)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*CLIP, "x"]), inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from([*CLIP]), junk) | junk | st.just(CLIP), max_size=6))
def test_whatever_comes_is_counted_as_a_clip_or_as_malformed(items: list[object]) -> None:
    got = page(*items)
    assert len(got.items) + len(got.malformed) == len(items)
    assert sum(item == CLIP for item in items) <= len(got.items)


def test_a_damaged_page_never_crashes() -> None:
    whole = json.dumps({"limit": 2, "media": [CLIP, CLIP]}).encode()
    chance = random.Random(7)
    for _ in range(3000):
        body = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        try:
            got = wire.media_page(bytes(body))
        except NotAsPromised:
            continue
        assert len(got.items) + len(got.malformed) in (0, 1, 2, 3)


# The system

HOME = {
    "account": {"id": 1000001},
    "networks": [
        {"id": 1, "name": "Home", "armed": True, "time_zone": "America/Toronto", "dst": True},
        {"id": 2, "name": "Home", "armed": False},
    ],
    "sync_modules": [
        {
            "id": 3,
            "network_id": 1,
            "name": "SM",
            "type": "sm2",
            "subtype": "vinnie",
            "status": "online",
            "serial": "A1",
            "fw_version": "4.4.8",
            "last_hb": "2025-03-13T20:09:20+00:00",
            "wifi_strength": 3,
            "local_storage_enabled": False,
            "local_storage_compatible": True,
            "local_storage_status": "active",
            "onboarded": True,
        }
    ],
    "cameras": [
        {
            "id": 4,
            "network_id": 1,
            "name": "Alpha",
            "type": "white",
            "enabled": True,
            "status": "done",
            "battery": "low",
            "thumbnail": "/media/x",
            "fw_version": 2.151,
            "signals": {"lfr": 5, "wifi": 1, "temp": 62, "battery": 2},
            "snooze_time_remaining": None,
        }
    ],
    "owls": [{"id": 5, "network_id": 2, "name": "Gamma", "type": "owl", "enabled": True, "status": "online"}],
    "doorbells": [{"id": 6, "network_id": 2, "name": "Door", "type": "lotus"}],
    "accessories": {"storm": [], "rosie": []},
}


def test_the_devices_of_an_account_are_of_three_families() -> None:
    home = wire.homescreen(json.dumps(HOME).encode())

    assert [(network.id, network.name, network.armed) for network in home.networks] == [(1, "Home", True), (2, "Home", False)]
    assert [(camera.id, camera.family, camera.name) for camera in home.cameras] == [
        (4, Family.CAMERA, "Alpha"),
        (5, Family.OWL, "Gamma"),
        (6, Family.DOORBELL, "Door"),
    ]
    alpha, gamma, _ = home.cameras
    assert (alpha.battery, alpha.signals.temp, alpha.signals.battery, alpha.fw_version) == ("low", 62, 2, "")
    assert gamma == Camera(id=5, network_id=2, family=Family.OWL, name="Gamma", type="owl", enabled=True, status="online")
    (module,) = home.sync_modules
    assert (module.local_storage_status, module.local_storage_enabled) == ("active", False)
    assert module.last_hb == datetime(2025, 3, 13, 20, 9, 20, tzinfo=UTC)
    assert home.malformed == ()


@pytest.mark.parametrize("odd", [None, {}, "x", 5, [None, {"name": "no id"}]])
@pytest.mark.parametrize("key", ["sync_modules", "cameras", "owls", "doorbells"])
def test_a_list_that_is_none_loses_no_other(key: str, odd: object) -> None:
    home = wire.homescreen(json.dumps({**HOME, key: odd}).encode())

    assert len(home.networks) == 2
    assert len(home.sync_modules) == (0 if key == "sync_modules" else 1)
    assert len(home.cameras) == (3 if key == "sync_modules" else 2)
    assert len(home.malformed) == (2 if isinstance(odd, list) else 0)


def test_devices_without_networks_are_not_as_promised() -> None:
    with pytest.raises(NotAsPromised, match="without networks"):
        wire.homescreen(b'{"message": "An app update is required"}')


# Complaints


@pytest.mark.parametrize(
    ("body", "text", "code"),
    [
        (b'{"message":"Unauthorized Access","error":null,"code":101}', "Unauthorized Access", 101),
        (b'{"message":"Unauthorized Access","code":101}', "Unauthorized Access", 101),
        (b'{"error":"invalid_grant","error_description":"It is over"}', "It is over", None),
        (b'{"error":"invalid_client"}', "invalid_client", None),
        (b'{"message":null,"code":"101"}', "", 101),
        (b'{"message":{"a":1},"code":7}', "", 7),
        (b'{"message":"for owner@example.org"}', "for ***", None),
        (b"[]", "", None),
        (b"", "", None),
        (b"<html>", "", None),
    ],
)
def test_a_complaint_is_read_as_far_as_it_can_be(body: bytes, text: str, code: int | None) -> None:
    complaint = wire.complaint(body)
    assert (complaint.text, complaint.code) == (text, code)


def test_zones_that_no_clock_has_are_still_moments() -> None:
    got = only({**CLIP, "created_at": "2026-01-01T00:00:00+05:45"}).created_at
    assert got == datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=45)))


@pytest.mark.parametrize(
    ("stats", "days"),
    [({"auto_delete_days": 30}, 30), ({"auto_delete_days": "x"}, None), ({"auto_delete_days": 0}, None), (None, None)],
)
def test_how_long_clips_are_kept_is_read_where_it_makes_sense(stats: object, days: int | None) -> None:
    assert wire.homescreen(json.dumps({**HOME, "video_stats": stats}).encode()).auto_delete_days == days
