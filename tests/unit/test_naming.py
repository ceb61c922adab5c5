"""Names of clips: safe everywhere, and never the same for two clips."""

import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blinkarchive.errors import ConfigError
from blinkarchive.model import Clip, ClipId, SourceName
from blinkarchive.pipeline.naming import Namer, mark, second_name, slug


def clip(
    id: str = "cloud:home:7", *, camera: str = "Front Door", at: datetime = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
) -> Clip:
    return Clip(
        id=ClipId(id),
        account="home",
        network_id="1",
        network="House",
        camera_id="2",
        camera=camera,
        source=SourceName.CLOUD,
        trigger="pir",
        recorded_at=at,
    )


def test_the_name_tells_camera_day_and_time_in_utc() -> None:
    five_east = timezone(timedelta(hours=5))
    name = Namer()(clip(at=datetime(2026, 2, 3, 1, 5, 6, tzinfo=five_east)))
    assert name == f"front-door/2026/02/02/front-door_20260202T200506Z_{mark(ClipId('cloud:home:7'))}.mp4"


def test_the_mark_is_the_beginning_of_the_hash_of_the_id() -> None:
    assert mark(ClipId("cloud:home:7")) == "be51e0c894a4cc1c"

    assert mark(ClipId("cloud:home:7")) != mark(ClipId("cloud:home:8"))


@pytest.mark.parametrize(
    "camera",
    [
        "",
        ".",
        "..",
        "../../etc/passwd",
        "/",
        "a/b",
        "a\\b",
        "CON",
        "nul",
        "COM1",
        "🎥",
        "\0",
        "x" * 500,
        "ünï\ncode",
        "a.mp4",
        "catalog",
    ],
)
def test_hostile_names_make_harmless_ones(camera: str) -> None:
    name = Namer()(clip(camera=camera))
    parts = name.split("/")
    assert len(parts) == 5
    assert all(part not in ("", ".", "..") and len(part.encode()) <= 255 for part in parts)
    assert not name.startswith(("catalog/", "."))
    assert name.isprintable()
    assert "\\" not in name
    assert parts[0].lower() not in ("con", "nul", "com1")


@given(st.text(max_size=120))
@settings(max_examples=500, derandomize=True, deadline=None)
def test_any_text_makes_one_safe_part_and_says_the_same_twice(name: str) -> None:
    part = slug(name)
    assert part
    assert len(part.encode()) <= 48
    assert part == unicodedata.normalize("NFC", part)
    assert all(c.isalnum() or c == "-" for c in part)
    assert slug(name) == part


def test_cameras_with_equal_names_and_clips_of_one_second_get_different_names() -> None:
    names = {Namer()(clip(f"cloud:home:{n}", camera=camera)) for n, camera in enumerate(["A b", "a-b", "A/B", "Ａ b"])}
    assert len(names) == 4
    assert len({name.casefold() for name in names}) == 4


def test_the_owner_may_choose_another_order() -> None:
    name = Namer("{network}/{date:%Y-%m}/{camera}-{key}.mp4")(clip())
    assert name == f"house/2026-02/front-door-{mark(ClipId('cloud:home:7'))}.mp4"


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{camera}.mp4", "must hold {key}"),
        ("{key}/{camera}.mp4", "must hold {key}"),
        ("{key}.avi", "must end in .mp4"),
        ("/{key}.mp4", "relative"),
        ("../{key}.mp4", "relative"),
        ("a//{key}.mp4", "relative"),
        (".hidden/{key}.mp4", "relative"),
        ("catalog/{key}.mp4", "relative"),
        ("{nonsense}_{key}.mp4", "not a field"),
        ("{camera.__class__}_{key}.mp4", "not a field"),
        ("{camera!r}_{key}.mp4", "not a field"),
        ("{camera:>900}_{key}.mp4", "only {date"),
        ("{key", "not a template"),
        ("{date:%H:%M}_{key}.mp4", "must not hold"),
        ("{date:%Y|%m}_{key}.mp4", "must not hold"),
        ("{camera}{camera}{camera}{camera}{camera}_{key}.mp4", "longer than"),
    ],
)
def test_a_template_that_could_give_a_bad_name_is_refused(template: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Namer(template)


def test_a_taken_name_has_a_second_one() -> None:
    name = Namer()(clip())
    second = second_name(name, "c0ffee00" + "0" * 56)
    assert second == name.removesuffix(".mp4") + ".conflict-c0ffee00.mp4"
