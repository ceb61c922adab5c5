"""The main job, as its owner meets it: `run`, again and again, whatever happens in between."""

import asyncio
import json
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from blinkarchive.simulator import World, bodies
from blinkarchive.simulator.plan import Rules
from tests.acceptance.conftest import Houses, ended, films


def world(**figures: object) -> World:
    return World.from_seed(7, **({"clips": 30, "clip_bytes": (8_000, 60_000), "until": datetime.now(UTC)} | figures))  # type: ignore[arg-type]


async def test_all_that_the_cloud_holds_comes_into_the_folder_and_a_second_run_stores_nothing(house_of: Houses) -> None:
    async with house_of(world(clips=60, networks=2)) as house:
        first = await house("run", "--json")
        assert (first.code, first.counts) == (0, (60, 0, 60, 0, 0, 0)), first.err
        stored = house.clips()
        assert set(stored.values()) == films(house.cloud.world)
        assert len(stored) == 60
        assert first.report["bytes"] == first.report["sinks"]["nas"]["bytes"] == sum(path.stat().st_size for path in stored)
        fetched = house.asked(".mp4")

        second = await house("run", "--json")
        listed, known, *rest = second.counts
        assert (second.code, listed, rest) == (0, known, [0, 0, 0, 0])
        assert known > 0
        assert house.asked(".mp4") == fetched
        assert house.clips() == stored


async def test_an_archive_folder_holds_clips_catalogues_and_a_marker_and_nothing_else(house_of: Houses) -> None:
    async with house_of(world()) as house:
        await house("run")
        others = {str(path.relative_to(house.nas)) for path in house.nas.rglob("*") if path.is_file() and path.suffix != ".mp4"}
        [catalogue] = [name for name in others if name.startswith("catalog/")]
        assert others == {catalogue, ".blinkarchive-sink"}
        lines = [json.loads(line) for line in (house.nas / catalogue).read_text().splitlines()]
        assert {(house.nas / line["key"], line["sha256"]) for line in lines} == set(house.clips().items())


@pytest.mark.parametrize("status", [404, 426])
async def test_a_cloud_that_has_retired_the_older_endpoints_is_archived_by_the_newer(
    house_of: Houses, status: Literal[404, 426]
) -> None:
    cloud = world(clips=30)
    cloud.rules.older_endpoints, cloud.rules.page_size = status, 7
    cloud.account.clips[0].analysis = {"ai_vd": {"full_description": "A fox.\nIt sits."}, "cv_detection": ["animal"]}
    async with house_of(cloud) as house:
        assert (await house("run", "--json")).counts == (30, 0, 30, 0, 0, 0)
        assert len(house.clips()) == 30
        [catalogue] = house.nas.glob("catalog/*")
        found = [json.loads(line) for line in catalogue.read_text().splitlines()]
        assert [one["description"] for one in found if "description" in one] == ["A fox. It sits."]
        [listed] = [one for one in map(json.loads, (await house("list", "--json")).out.splitlines()) if one["description"]]
        assert (listed["description"], listed["detections"]) == ("A fox. It sits.", ["animal"])
        listed, known, *rest = (await house("run", "--json")).counts
        assert (listed - known, rest) == (0, [0, 0, 0, 0]), "nothing is new to the newer list"


async def test_list_tells_of_each_clip_what_its_file_is(house_of: Houses) -> None:
    async with house_of(world(clips=5)) as house:
        await house("run")
        listed = [json.loads(line) for line in (await house("list", "--json")).out.splitlines()]
        assert {(house.nas / clip["key"], clip["sha256"]) for clip in listed} == set(house.clips().items())
        for clip in listed:
            assert clip["size"] == (house.nas / clip["key"]).stat().st_size
            assert clip["source"] == "cloud"
            assert datetime.fromisoformat(clip["recorded_at"]).tzinfo
            [copy] = clip["copies"]
            assert (copy["sink"], copy["sha256"]) == ("nas", clip["sha256"])


@pytest.mark.parametrize("page_size", [1, 25])
async def test_every_page_is_read(house_of: Houses, page_size: int) -> None:
    cloud = world(clips=51)
    cloud.rules.page_size = page_size
    async with house_of(cloud) as house:
        assert (await house("run", "--json")).counts == (51, 0, 51, 0, 0, 0)


async def test_since_and_until_are_exact_to_the_second(house_of: Houses) -> None:
    async with house_of(world(clips=20)) as house:
        times = sorted(clip.created_at for clip in house.account.clips)
        since = times[5].astimezone().isoformat()
        until = times[9].strftime("%Y-%m-%dT%H:%M:%SZ")
        ran = await house("run", "--json", "--since", since, "--until", until)
        assert ran.report["stored"] == sum(times[5] <= when < times[9] for when in times)
        assert all(times[5] <= when < times[9] for when in (await _times(house)))
        queries = [exchange.query["since"] for exchange in house.cloud.log if "since" in exchange.query]
        assert queries
        assert all(query.endswith("+0000") for query in queries), "the + has to come through"


async def _times(house: object) -> list[datetime]:
    listed = await house("list", "--json")  # type: ignore[operator]
    return [datetime.fromisoformat(json.loads(line)["recorded_at"]) for line in listed.out.splitlines()]


async def test_cameras_of_one_name_and_clips_of_one_second_do_not_meet(house_of: Houses) -> None:
    cloud = world(clips=0, networks=2, cameras=2, same_names=True)
    when = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    for camera in cloud.account.cameras:
        for _ in range(3):
            cloud.account.add_clip(camera, created_at=when)
    async with house_of(cloud) as house:
        assert (await house("run", "--json")).counts == (12, 0, 12, 0, 0, 0)
        assert set(house.clips().values()) == films(cloud)


async def test_several_accounts_share_one_archive(house_of: Houses) -> None:
    async with house_of(world(accounts=3, clips=10)) as house:
        ran = await house("run", "--json")
        assert ran.counts == (30, 0, 30, 0, 0, 0)
        assert {name: each["stored"] for name, each in ran.report["accounts"].items()} == {"a0": 10, "a1": 10, "a2": 10}
        assert set(house.clips().values()) == films(house.cloud.world)


async def test_an_account_whose_sign_in_cannot_be_kept_does_not_stop_the_others(house_of: Houses) -> None:
    async with house_of(world(accounts=2, clips=5)) as house:
        (house.folder / "state/accounts").mkdir(parents=True, mode=0o700)
        (house.folder / "state/accounts/a0").write_text("in the way of a folder")
        ran = await house("run", "--json")
        assert ran.code in (3, 4)
        assert ran.report["accounts"]["a1"]["stored"] == 5
        assert any(trouble["where"] == "account a0" for trouble in ran.report["troubles"])


async def test_a_dry_run_changes_nothing(house_of: Houses) -> None:
    async with house_of(world()) as house:
        ran = await house("run", "--dry-run", "--json")
        assert ran.code == 0
        assert ran.counts == (30, 0, 0, 0, 0, 30)
        assert list(house.nas.iterdir()) == []
        assert house.asked(".mp4") == 0
        assert (await house("run", "--json")).counts == (30, 0, 30, 0, 0, 0)


# --- bodies that are no clips

BODIES = [
    "media.status",
    "media.json-error",
    "media.html",
    "media.empty",
    "media.short",
    "media.cut",
    "media.cut-unmarked",
    "media.cut-chunked",
    "media.too-long",
    "media.too-short",
    "media.drop",
    "media.redirect",
]


async def test_no_bad_body_becomes_a_clip_and_all_heal_in_the_next_run(house_of: Houses) -> None:
    async with house_of(world(clips=len(BODIES) + 8)) as house:
        clips = sorted(house.account.clips, key=lambda clip: clip.id)
        for clip, fault in zip(clips, BODIES, strict=False):
            house.cloud.world.faults.add(fault, clip=clip.id, times=0, to="http://127.0.0.1:9/elsewhere.mp4")
        ran = await house("run", "--json")
        assert (ran.code, ran.counts) == (3, (len(clips), 0, 8, len(BODIES), 0, 0))
        good = films(house.cloud.world)
        assert set(house.clips().values()) < good
        assert len(house.clips()) == 8
        assert {fired.name for fired in house.cloud.world.faults.fired} == set(BODIES)
        house.cloud.world.faults.clear()
        assert (await house("run", "--json")).counts == (len(clips), 8, len(BODIES), 0, 0, 0)
        assert set(house.clips().values()) == good


@pytest.mark.parametrize("status", [403, 404, 500, 503])
async def test_one_clip_that_is_refused_stops_nobody_else(house_of: Houses, status: int) -> None:
    async with house_of(world()) as house:
        house.cloud.world.faults.add("media.status", clip=house.account.clips[3].id, status=status, times=0)
        sign_ins = house.asked("/oauth/token")
        ran = await house("run", "--json")
        assert (ran.code, ran.counts) == (3, (30, 0, 29, 1, 0, 0))
        assert house.asked("/oauth/token") <= sign_ins + 1, "a refused clip is no reason to sign in again"


async def test_an_error_on_a_page_ends_the_listing_and_is_told(house_of: Houses) -> None:
    cloud = world(clips=40)
    cloud.rules.page_size = 10
    async with house_of(cloud) as house:
        cloud.faults.add("list.status", page=3, status=500, times=3)
        ran = await house("run", "--json")
        assert ran.code == 3
        assert ran.report["complete"] is False
        assert ran.counts[2] == 20
        assert (await house("run", "--json")).counts[1:3] == (20, 20)


async def test_items_that_are_no_clips_now_and_one_that_nobody_understands(house_of: Houses) -> None:
    async with house_of(world(clips=6)) as house:
        deleted, partial, empty, strange, *_ = house.account.clips
        house.account.change(deleted, deleted=True)
        house.account.change(partial, partial=True)
        empty.video = False
        strange.extra = {"created_at": "the day before yesterday"}
        ran = await house("run", "--json")
        assert (ran.code, ran.counts) == (3, (6, 0, 2, 1, 0, 3))
        assert ran.report["excluded_reasons"] == {"deleted": 1, "partial": 1, "no video": 1}
        status = await house("status", "--json")
        assert str(strange.id) in status.out
        house.account.change(partial, partial=False)
        strange.extra = {}
        assert (await house("run", "--json")).counts[2:4] == (2, 0)


# --- stops and kills


async def test_kills_at_any_moment_lose_nothing_and_double_nothing(house_of: Houses) -> None:
    async with house_of(world(clips=60)) as house:
        house.cloud.world.rules.latency = 0.1
        assert (await house("login", "--account", "a0")).code in (0, 4)
        for number in (1, 9, 20, 33, 47):
            process = await house.start("run", "--json")
            while len(house.clips()) < number:
                assert process.returncode is None
                await asyncio.sleep(0.01)
            process.kill()
            await process.communicate()
            assert process.returncode == -signal.SIGKILL, "it was killed in the middle"
            assert set(house.clips().values()) <= films(house.cloud.world), "what is visible is whole"
        last = await house("run", "--json")
        assert last.code == 0, last.err
        assert sorted(house.clips().values()) == sorted(films(house.cloud.world))
        assert list(house.nas.rglob("*.part")) == []
        assert list((house.folder / "state" / "spool").iterdir()) == []
        catalogued = [line for path in house.nas.glob("catalog/*.jsonl") for line in path.read_text().splitlines()]
        assert len({json.loads(line)["id"] for line in catalogued}) == 60


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_a_stop_ends_within_ten_seconds_with_a_true_report(house_of: Houses, how: signal.Signals) -> None:
    async with house_of(world(clips=200)) as house:
        house.cloud.world.rules.latency = 0.1
        process = await house.start("run", "--json")
        while len(house.clips()) < 5:
            await asyncio.sleep(0.05)
            assert process.returncode is None
        began = time.monotonic()
        process.send_signal(how)
        stopped = await ended(process)
        assert time.monotonic() - began < 10
        assert stopped.code == 130
        assert stopped.report["stopped"] is True
        assert stopped.counts[2] <= len(house.clips()) < 200, "a copy may be there that was not recorded yet"
        house.cloud.world.rules.latency = 0
        assert (await house("run", "--json")).code == 0
        assert set(house.clips().values()) == films(house.cloud.world)


async def test_a_second_run_at_the_same_time_is_turned_away_at_once(house_of: Houses) -> None:
    async with house_of(world()) as house:
        house.cloud.world.rules.latency = 0.5
        process = await house.start("run", "--json")
        while house.asked("media/changed") == 0:
            await asyncio.sleep(0.05)
        second = await house("run", "--json")
        assert second.code == 5
        assert "another run holds this archive" in second.err
        assert (await house("status", "--json")).code == 0, "looking is always possible"
        assert (await ended(process)).code == 0


# --- sign-in in mid-run


@pytest.mark.parametrize("refresh", ["strict", "lenient"])
async def test_a_token_that_ends_in_mid_run_is_renewed_once_and_the_run_goes_on(house_of: Houses, refresh: str) -> None:
    cloud = world(clips=40)
    cloud.rules.refresh = refresh  # type: ignore[assignment]
    async with house_of(cloud) as house:
        cloud.rules.latency = 0.05
        process = await house.start("run", "--json")
        while len(house.clips()) < 5:
            await asyncio.sleep(0.02)
        before = house.asked("/oauth/token")
        house.cloud.world.signins.revoke_access_tokens()
        ran = await ended(process)
        assert (ran.code, ran.counts) == (0, (40, 0, 40, 0, 0, 0)), ran.err
        assert house.asked("/oauth/token") == before + 1


async def test_without_a_person_a_wanted_code_is_exit_4_and_is_not_asked_for_again(house_of: Houses) -> None:
    async with house_of(world(second_factor="202")) as house:
        first = await house("run", "--json")
        assert first.code == 4
        assert first.report["login_needed"] == ["a0"]
        asked = house.asked("/oauth/v2/signin")
        assert (await house("run", "--json")).code == 4
        assert house.asked("/oauth/v2/signin") == asked
        assert (await house("login", "--code", house.account.code)).code == 0
        assert house.asked("/oauth/v2/signin") == asked, "the sign-in that waited was gone on with"
        assert (await house("run", "--json")).counts[2] == 30


async def test_a_wrong_password_is_tried_once_and_no_more(house_of: Houses) -> None:
    async with house_of(world()) as house:
        house.environment["PASSWORD_0"] = "not the password"
        for _ in range(3):
            ran = await house("run", "--json")
            assert ran.code == 4, ran.err
        posts = [e for e in house.cloud.log if e.method == "POST" and "signin" in e.path]
        assert len(posts) == 1


async def test_a_sign_in_is_taken_over_from_blinkpy_and_one_that_proves_bad_replaces_nothing(house_of: Houses) -> None:
    async with house_of(world(clips=3)) as house:
        house.configure(password=False)
        state = house.folder / "state/accounts/a0"
        file = house.folder / "blinkpy.json"
        tokens = house.cloud.world.signins.sign_in(house.account)
        good = {
            "username": house.account.username,
            "token": tokens["access_token"],
            "refresh_token": tokens["refresh_token"],
            "region_id": "u011",
        }
        file.write_text(json.dumps(good | {"hardware_id": "no uuid", "expiration_date": 4e9, "client_id": None}))
        taken = await house("login", "--import", str(file))
        assert taken.code == 0, taken.err
        assert (await house("run", "--json")).counts[2] == 3
        device, kept = (state / "tokens.device.json").read_bytes(), (state / "tokens.json").read_bytes()
        file.write_text(json.dumps(good | {"token": "dead", "refresh_token": "dead as well"}))
        refused = await house("login", "--import", str(file))
        assert refused.code == 4
        assert (state / "tokens.json").read_bytes() == kept
        assert (state / "tokens.device.json").read_bytes() == device
        assert (await house("run", "--json")).code == 0


async def test_no_secret_is_ever_shown(house_of: Houses) -> None:
    async with house_of(world(second_factor="412", clips=3)) as house:
        shown = ""
        for arguments in (
            ["login", "-vv", "--code", house.account.code],
            ["run", "-vv", "--json"],
            ["status", "-vv"],
            ["doctor", "-vv"],
        ):
            ran = await house(*arguments)
            shown += ran.out + ran.err
        tokens = json.loads((house.folder / "state/accounts/a0/tokens.json").read_text())
        secrets = [house.account.password, tokens["access_token"], tokens["refresh_token"]]
        assert all(len(secret) > 8 for secret in secrets)
        held = b"".join(path.read_bytes() for path in (*house.nas.rglob("*.jsonl"), house.folder / "state/index.sqlite3"))
        for secret in secrets:
            assert secret not in shown
            assert secret.encode() not in held
        for path in (house.folder / "state").rglob("*"):
            assert path.stat().st_mode & 0o077 == 0, path


# --- sinks


async def test_an_unmounted_disk_is_offline_and_is_never_written_to(house_of: Houses) -> None:
    async with house_of(world()) as house:
        await house("run")
        mounted = house.nas.rename(house.folder / "unmounted")
        house.nas.mkdir()
        house.account.add_clip(house.account.cameras[0])
        ran = await house("run", "--json")
        assert ran.code == 3
        assert ran.report["failed"] == 1
        assert "Is the disk mounted" in ran.out
        assert list(house.nas.iterdir()) == []
        again = await house("run", "--json", "--until", "2020-01-01")
        assert (again.code, again.report["sinks_failed"]) == (3, ["nas"]), "also when nothing waits for it"
        house.nas.rmdir()
        Path(mounted).rename(house.nas)
        assert (await house("run", "--json")).code == 0
        assert set(house.clips().values()) == films(house.cloud.world)


async def test_a_disk_that_is_away_holds_up_no_other(house_of: Houses) -> None:
    async with house_of(world()) as house:
        (house.folder / "file").write_text("")
        house.configure(more=f'[sink.usb]\ntype = "disk"\npath = "{house.folder / "missing" / "deep"}"\n')
        ran = await house("run", "--json")
        assert ran.code == 3
        assert ran.report["sinks"]["nas"]["stored"] == 30
        assert ran.report["sinks"]["usb"]["failed"] == 30
        (house.folder / "missing").mkdir()
        fetched = house.asked(".mp4")
        assert (await house("run", "--json")).code == 0
        assert house.asked(".mp4") == fetched, "the clips came from the other sink"


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
async def test_a_camera_that_nothing_knows_is_reported(house_of: Houses, options: list[str]) -> None:
    cloud = world(clips=12)
    known = cloud.account.cameras[0]
    async with house_of(cloud) as house:
        typo = await house("run", "--camera", f"{known.name}s", "--camera", known.name, *options)
        assert typo.code == 0
        assert f'camera "{known.name}s": neither Blink nor the archive has' in typo.err
        assert f'did you mean "{known.name}"?' in typo.err
        assert f'camera "{known.name}":' not in typo.err

        reported = (await house("run", "--camera", "Nobody", "--json", *options)).report["troubles"]
        assert [trouble["where"] for trouble in reported] == ['camera "Nobody"']

        for name in (known.name.lower(), str(known.id), cloud.account.cameras[-1].name):
            assert "neither" not in (await house("run", "--camera", name, *options)).err


async def test_a_camera_that_may_be_on_a_homescreen_is_not_reported(house_of: Houses) -> None:
    cloud = world(clips=5)
    async with house_of(cloud) as house:
        cloud.faults.add("homescreen.status", status=500, times=0)
        assert "neither" not in (await house("run", "--camera", "Nobody", "--source", "cloud")).err


async def test_a_camera_that_is_gone_from_blink_and_still_in_the_archive_is_not_reported(house_of: Houses) -> None:
    cloud = world(clips=8)
    async with house_of(cloud) as house:
        await house("run")
        gone = cloud.account.clips[0].camera
        was, gone.name = gone.name, "Another"
        assert "neither" not in (await house("run", "--camera", was)).err
        assert "Warning" not in (await house("list", "--camera", was)).err
        listed = await house("list", "--camera", f"{was}s")
        assert (listed.code, listed.out) == (0, "")
        assert f'Warning: the archive has no clip of a camera "{was}s"; did you mean "{was}"?' in listed.err


# --- what the wire may do


def _texts(value: Any) -> Any:
    """The same answer with each id as a text."""
    if isinstance(value, list):
        return [_texts(one) for one in value]
    if isinstance(value, dict):
        return {key: str(one) if key == "id" or key.endswith("_id") else _texts(one) for key, one in value.items()}
    return value


async def test_ids_may_be_texts_wherever_they_are(house_of: Houses) -> None:
    async with house_of(world(clips=6)) as house:
        account = house.account
        now = house.cloud.world.clock.now()
        for clip in account.clips:
            clip.extra = {"id": str(clip.id), "network_id": str(clip.camera.network.id)}
        house.cloud.world.faults.add("homescreen.json-error", body=json.dumps(_texts(bodies.homescreen(account, now))), times=0)
        ran = await house("run", "--json")
        assert (ran.code, ran.counts[2]) == (0, 6), ran.err
        for clip in account.clips:
            clip.extra = {}
        assert (await house("run", "--json")).counts[:3] == (6, 6, 0), "they are the same clips when they are numbers again"


@pytest.mark.parametrize("missing", ["networks", "sync_modules", "cameras", "owls", "doorbells"])
async def test_a_list_of_the_homescreen_that_is_null_costs_no_clip(house_of: Houses, missing: str) -> None:
    made = World.from_seed(
        5, clips=4, local_clips=2, clip_bytes=(8_000, 40_000), rules=Rules(manifest_time=0.1, upload_start=0.01)
    )
    async with house_of(made) as house:
        house.configure(more="[source.sync-module]\n")
        now = made.clock.now()
        home = bodies.homescreen(house.account, now) | {missing: None}
        made.faults.add("homescreen.json-error", body=json.dumps(home), times=0)
        ran = await house("run", "--json")
        assert (ran.code, ran.counts[2]) == (0, 4 if missing == "sync_modules" else 6), ran.err
        assert (await house("cameras", "--json")).code == 0
        assert (await house("networks", "--json")).code == 0
