"""A clip that Blink itself has only damaged is not a clip, and what there is of it is not lost either."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest

from blinkarchive.simulator import World
from tests.acceptance.conftest import House, Houses


def world() -> World:
    return World.from_seed(7, clips=3, clip_bytes=(8_000, 20_000), until=datetime.now(UTC))


def kept(house: House) -> list[Path]:
    return sorted(path for path in (house.nas / "damaged").rglob("*") if path.is_file())


@pytest.mark.parametrize("fault", ["too-short", "trailing"])
async def test_what_is_damaged_at_blink_is_kept_as_that_and_reported_once(house_of: Houses, fault: str) -> None:
    async with house_of(world()) as house:
        broken, *_ = house.account.clips
        house.cloud.world.faults.add(f"media.{fault}", clip=broken.id, times=0, after=1000)
        first = await house("run", "--json")
        assert first.code == 3
        assert first.counts == (3, 0, 2, 1, 0, 0)
        [copy] = kept(house)
        assert copy.read_bytes() == {"too-short": broken.film()[:-1000], "trailing": broken.film() + b"\xff" * 1000}[fault]
        assert copy.suffix == ".mp4"
        said = [one["what"] for one in first.report["troubles"] if one["where"] == f"clip cloud:a0:{broken.id}"]
        assert any("the same bytes came twice" in what for what in said)
        assert any(f"is kept in sink nas as {copy.relative_to(house.nas)}" in what for what in said)

        second = await house("run", "--json")
        assert (second.code, second.report["gave_up"]) == (3, 1), "the same bytes on another occasion are all there is"
        assert not any("is kept in sink" in one["what"] for one in second.report["troubles"])

        fetched = house.asked(".mp4")
        third = await house("run", "--json")
        assert third.code == 0, "it was reported"
        assert not third.report["troubles"]
        assert house.asked(".mp4") == fetched, "it is not fetched in every run"
        assert kept(house) == [copy]


async def test_a_damaged_copy_is_no_copy(house_of: Houses) -> None:
    """It is not listed as one, and not restored as the clip."""
    async with house_of(world()) as house:
        broken, *_ = house.account.clips
        house.cloud.world.faults.add("media.too-short", clip=broken.id, times=0, after=1000)
        await house("run")
        listed = [json.loads(line) for line in (await house("list", "--json")).out.splitlines()]
        assert {clip["id"]: len(clip["copies"]) for clip in listed}[f"cloud:a0:{broken.id}"] == 0
        [damaged] = [json.loads(line) for line in (await house("list", "--damaged", "--json")).out.splitlines()]
        assert (damaged["id"], damaged["sink"]) == (f"cloud:a0:{broken.id}", "nas")
        assert house.nas / damaged["key"] in kept(house)
        restored = await house("restore", "--to", str(house.folder / "back"), "--json")
        assert restored.report["restored"] == 2
        assert (await house("verify", "--json")).report["sinks"]["nas"]["copies"] == 2


async def test_what_is_damaged_goes_encrypted_into_an_encrypted_sink(house_of: Houses) -> None:
    async with house_of(world()) as house:
        keys = [pyrage.x25519.Identity.generate() for _ in range(2)]
        recipients = json.dumps([str(key.to_public()) for key in keys])
        house.configure(more=f"encrypt = {{ recipients = {recipients} }}\n")
        broken, *_ = house.account.clips
        house.cloud.world.faults.add("media.too-short", clip=broken.id, times=0, after=1000)
        await house("run")
        [copy] = kept(house)
        assert pyrage.decrypt(copy.read_bytes(), [keys[0]]) == broken.film()[:-1000]


async def test_a_clip_that_is_whole_in_the_next_run_is_archived(house_of: Houses) -> None:
    async with house_of(world()) as house:
        broken, *_ = house.account.clips
        house.cloud.world.faults.add("media.too-short", clip=broken.id, times=2, after=1000)
        assert (await house("run")).code == 3
        assert len(kept(house)) == 1
        assert (await house("run")).code == 0
        assert len(house.clips()) == 3


async def test_a_clip_that_is_whole_later_is_archived_as_if_nothing_had_been(house_of: Houses) -> None:
    """Blink was still writing it, perhaps: one damaged body proves nothing, and neither do two different ones."""
    async with house_of(world()) as house:
        broken, *_ = house.account.clips
        house.cloud.world.faults.add("media.too-short", clip=broken.id, times=1, after=1000)
        house.cloud.world.faults.add("media.too-short", clip=broken.id, times=1, after=500)
        assert (await house("run")).code == 0
        assert len(house.clips()) == 3
        assert not (house.nas / "damaged").exists()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_clip_that_comes_compressed_is_archived(house_of: Houses, encoding: str) -> None:
    async with house_of(world()) as house:
        house.cloud.world.faults.add("media.compressed", times=0, to=encoding)
        assert (await house("run")).code == 0
        assert len(house.clips()) == 3
