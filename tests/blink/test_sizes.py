"""A size tells clips apart in whatever unit a module states it, and no clip is refused for its unit for ever."""

from __future__ import annotations

import math

import pytest

from blinkarchive.blink.sizes import Sizes

CLIPS = [400_123, 1_500_000, 22_528, 3_999_999, 7, 65_536]
UNITS = {
    "KiB": lambda size: round(size / 1024),
    "KiB up": lambda size: math.ceil(size / 1024),
    "kB": lambda size: round(size / 1000),
    "bytes": lambda size: size,
    "clusters of 4 KiB": lambda size: math.ceil(size / 4096) * 4,
    "clusters of 32 KiB": lambda size: math.ceil(size / 32768) * 32,
}


@pytest.mark.parametrize("unit", UNITS)
def test_each_unit_fits_from_the_first_clip_to_the_last(unit: str) -> None:
    sizes = Sizes()
    for size in CLIPS:
        assert sizes.fit(UNITS[unit](size), size)
        sizes.learn(UNITS[unit](size), size)


def test_what_was_learned_tells_clips_apart_more_sharply() -> None:
    sizes = Sizes()
    assert sizes.fit(400, 400_000)
    sizes.learn(400, 409_700)
    assert not sizes.fit(400, 400_000)
    assert sizes.fit(400, 410_000)


def test_a_clip_that_fits_no_unit_left_begins_anew() -> None:
    sizes = Sizes()
    sizes.learn(400, 409_700)
    sizes.learn(400, 400_000)
    assert sizes.fit(500, 500_000)
    sizes.learn(400, 123)
    assert sizes.fit(500, 500_000), "what fits nothing teaches nothing"


@pytest.mark.parametrize("stated", [None, 0, -5])
def test_a_size_that_states_nothing_fits_all_and_confirms_none(stated: int | None) -> None:
    sizes = Sizes()
    sizes.learn(stated, 409_600)
    assert sizes.fit(stated, 409_600)
    assert not sizes.confirm(stated, 409_600)
