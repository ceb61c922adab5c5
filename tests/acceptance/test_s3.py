"""Clips in a bucket, as their owner gets them there: the installed command, a real S3 server, and another tool to look at it."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blinkarchive.simulator import World
from tests.acceptance.conftest import House, Houses, films
from tests.seaweed import ACCESS_KEY_ID, READER_KEY_ID, SECRET_ACCESS_KEY, Seaweed
from tests.sinks.fake_s3 import ACCESS_KEY_ID as FAKE_ID
from tests.sinks.fake_s3 import SECRET_ACCESS_KEY as FAKE_SECRET
from tests.sinks.fake_s3 import Fault, fake_s3

RCLONE = Path(sys.executable).with_name("rclone")


def world(clips: int) -> World:
    return World.from_seed(7, clips=clips, clip_bytes=(8_000, 60_000), until=datetime.now(UTC))


def offsite(house: House, url: str, bucket: str, key: str, secret: str) -> None:
    """Give the house a bucket beside its folder."""
    house.environment |= {"CLIPS_KEY": key}
    (house.folder / "clips-secret").write_text(f"{secret}\n")
    house.configure(
        more=f'\n[sink.offsite]\ntype = "s3"\nbucket = "{bucket}"\nprefix = "blink"\nendpoint_url = "{url}"\n'
        'access_key_id = { env = "CLIPS_KEY" }\nsecret_access_key = { file = "clips-secret" }\n'
    )


async def rclone(seaweed: Seaweed, *arguments: str) -> str:
    """What another program sees there."""
    settings = {
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_S3_PROVIDER": "Other",
        "RCLONE_S3_ENDPOINT": seaweed.url,
        "RCLONE_S3_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "RCLONE_S3_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
    }
    process = await asyncio.create_subprocess_exec(
        RCLONE, *arguments, env=settings, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_all_that_the_cloud_holds_comes_into_the_bucket_and_a_second_run_puts_nothing(
    house_of: Houses, seaweed: Seaweed
) -> None:
    bucket = seaweed.bucket()
    async with house_of(world(40)) as house:
        offsite(house, seaweed.url, bucket, ACCESS_KEY_ID, SECRET_ACCESS_KEY)
        first = await house("-vv", "run", "--json")
        assert first.code == 0, first.err
        assert json.loads(first.out)["sinks"]["offsite"]["stored"] == 40

        hashes = await rclone(seaweed, "hashsum", "sha256", "--download", f":s3:{bucket}/blink")
        held = {name: sha256 for sha256, name in (line.split("  ", 1) for line in hashes.splitlines())}
        clips = {name: sha256 for name, sha256 in held.items() if name.endswith(".mp4")}
        assert set(clips.values()) == films(house.cloud.world)
        assert clips == {str(path.relative_to(house.nas)): sha256 for path, sha256 in house.clips().items()}
        others = [name for name in held if name not in clips and not name.startswith("catalog/")]
        assert others == [".blinkarchive-sink"], "no probe is left"

        second = await house("-vv", "run", "--json")
        assert (second.code, json.loads(second.out)["sinks"]["offsite"]["stored"]) == (0, 0)
        again = await rclone(seaweed, "hashsum", "sha256", "--download", f":s3:{bucket}/blink")
        assert sorted(again.splitlines()) == sorted(hashes.splitlines())

        doctor = await house("-vv", "doctor", "--json")
        [sink] = [check for check in json.loads(doctor.out)["checks"] if check["what"] == "sink offsite"]
        assert (sink["verdict"], sink["found"]) == ("ok", "stores, reads and deletes")
        for ran in (first, second, doctor):
            for canary in (SECRET_ACCESS_KEY, ACCESS_KEY_ID):
                assert canary not in ran.out + ran.err


async def test_a_store_that_loses_answers_holds_every_clip_once_in_the_end(house_of: Houses) -> None:
    async with fake_s3() as s3, house_of(world(12)) as house:
        offsite(house, s3.url, s3.bucket, FAKE_ID, FAKE_SECRET)
        s3.faults["PutObject"] = [Fault()] * 4 + [Fault(kind="lost"), Fault(), Fault(503, "SlowDown")] * 4
        ran = await house("run", "--json")
        assert ran.code == 0, ran.err
        clips = [name for name in s3.objects if name.endswith(".mp4")]
        assert len(clips) == 12
        assert {name.removeprefix("blink/") for name in clips} == {str(path.relative_to(house.nas)) for path in house.clips()}


async def test_a_store_that_lies_never_counts_as_holding_a_clip(house_of: Houses) -> None:
    async with fake_s3() as s3, house_of(world(3)) as house:
        offsite(house, s3.url, s3.bucket, FAKE_ID, FAKE_SECRET)
        assert (await house("run", "--json", "--until", "2001-01-01")).code == 0
        s3.always["PutObject"] = Fault(kind="lie")
        ran = await house("run", "--json", "--sink", "offsite")
        assert (ran.code, json.loads(ran.out)["sinks"]["offsite"]["stored"]) == (3, 0)


async def test_wrong_credentials_are_told_without_being_shown_and_hold_up_no_other_sink(
    house_of: Houses, seaweed: Seaweed
) -> None:
    bucket = seaweed.bucket()
    async with house_of(world(3)) as house:
        offsite(house, seaweed.url, bucket, ACCESS_KEY_ID, "canary-wrong-secret-0817-do-not-show")
        ran = await house("-vv", "run", "--json")
        report = json.loads(ran.out)
        assert (ran.code, report["sinks"]["nas"]["stored"]) == (3, 3)
        assert "Either secret_access_key is wrong, or a proxy" in ran.out
        assert "canary" not in ran.out + ran.err


async def test_doctor_warns_of_what_a_store_cannot(house_of: Houses) -> None:
    async with fake_s3(conditions="ignored", checksums="echoed", deletes=False) as s3, house_of(world(1)) as house:
        offsite(house, s3.url, s3.bucket, FAKE_ID, FAKE_SECRET)
        doctor = await house("doctor", "--json")
        told = [
            (check["verdict"], check["found"]) for check in json.loads(doctor.out)["checks"] if check["what"] == "sink offsite"
        ]
        assert [verdict for verdict, _ in told] == ["warn"] * 3
        assert "does not delete" in told[0][1]
        assert "no conditional puts" in told[1][1]
        assert "read back" in told[2][1]


async def test_a_key_that_can_only_read_is_enough_to_verify(house_of: Houses, seaweed: Seaweed) -> None:
    bucket = seaweed.bucket()
    async with house_of(world(4)) as house:
        offsite(house, seaweed.url, bucket, ACCESS_KEY_ID, SECRET_ACCESS_KEY)
        assert (await house("run")).code == 0
        house.environment["CLIPS_KEY"] = READER_KEY_ID
        for more in ((), ("--full",)):
            ended = await house("verify", "--sink", "offsite", "--json", *more)
            assert (ended.code, ended.report["sinks"]["offsite"]["sound"]) == (0, 4), ended.err
        assert (await house("run")).code == 3


@pytest.mark.parametrize("drops", [".mp4", ""], ids=["clips", "everything"])
async def test_a_store_that_repeats_our_checksum_of_bytes_that_it_dropped_holds_nothing(house_of: Houses, drops: str) -> None:
    async with house_of(world(8)) as house, fake_s3() as fake:
        fake.drops = drops
        offsite(house, fake.url, fake.bucket, FAKE_ID, FAKE_SECRET)
        delete = "[source.cloud]\ndelete_after_archive = true\ndelete_grace = 0\n"
        house.config.write_text(house.config.read_text().replace("[source.cloud]\n", delete))
        for _ in range(2):
            ran = await house("run", "--json")
            offsite_tally = ran.report["sinks"]["offsite"]
            assert (ran.code, offsite_tally["stored"], offsite_tally["known"]) == (3, 0, 0), ran.err
            assert "offsite" in ran.report["sinks_failed"]
            assert ran.report["deleted"] == 0
        assert set(house.clips().values()) == films(house.cloud.world), "the healthy sink has them all"
        assert len(house.account.clips) == 8, "nothing is gone at its source"
        listed = [json.loads(line) for line in (await house("list", "--json")).out.splitlines()]
        assert [sorted(copy["sink"] for copy in one["copies"]) for one in listed] == [["nas"]] * 8
        verified = await house("verify", "--json")
        assert verified.report["sinks"]["offsite"]["sound"] == 0
        checks = {check["what"]: check for check in (await house("doctor", "--json")).report["checks"]}
        assert drops == ".mp4" or checks["sink offsite"]["verdict"] == "fail"


async def test_copies_that_a_store_loses_behind_our_checksum_delete_nothing(house_of: Houses) -> None:
    """It holds the right bytes when they are proven, and zeros when a clip is to be deleted."""
    async with house_of(world(4)) as house, fake_s3() as fake:
        offsite(house, fake.url, fake.bucket, FAKE_ID, FAKE_SECRET)
        assert (await house("run", "--json")).report["sinks"]["offsite"]["stored"] == 4
        for name, stored in fake.objects.items():
            if name.endswith(".mp4"):
                stored.data = bytes(len(stored.data))
        delete = "[source.cloud]\ndelete_after_archive = true\ndelete_grace = 0\n"
        house.config.write_text(house.config.read_text().replace("[source.cloud]\n", delete))
        ran = await house("run", "--json")
        assert (ran.code, ran.report["deleted"], ran.report["deletions_failed"]) == (3, 0, 4), ran.err
        assert len(house.account.clips) == 4
