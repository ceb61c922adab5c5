"""What scripts have suffered from their library before, each by the name of what went wrong: none of it happens here."""

from __future__ import annotations

import asyncio
import json
import logging
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

import blinkarchive.blink
from blinkarchive import mp4
from blinkarchive.blink import Auth, Blink, BlinkCamera, LocalStorageMediaItem, LoginError
from blinkarchive.clock import ManualClock
from blinkarchive.errors import (
    BadClip,
    Busy,
    ClientRefused,
    CommandFailed,
    CommandUnfinished,
    ServerTrouble,
    SourceError,
    Throttled,
    TokenRevoked,
    UpdateRequired,
)
from blinkarchive.simulator import CloudClip, Running, Simulator, World
from blinkarchive.simulator.bodies import homescreen
from blinkarchive.simulator.plan import AccountPlan, CameraPlan, NetworkPlan, SyncModulePlan, WorldPlan
from tests.library.conftest import Signing, camera, module

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


def whole_films(folder: Path) -> list[bytes]:
    """Everything in a folder; each file is proven to be a whole film."""
    files = sorted(folder.iterdir()) if folder.exists() else []
    for path in files:
        with path.open("rb") as file:
            mp4.check(mp4.reader(file.fileno()), path.stat().st_size)
    return sorted(path.read_bytes() for path in files)


def truth(clips: list[CloudClip]) -> list[bytes]:
    return sorted(clip.film() for clip in clips)


# Downloads


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        ("status", 401, None),
        ("status", 404, None),
        ("status", 500, None),
        ("json-error", None, '{"message": "Media not found", "code": 700}'),
        ("html", None, None),
        ("short", None, None),
        ("empty", None, None),
    ],
)
async def test_an_error_is_never_saved_as_a_clip(
    blink: Blink, world: World, tmp_path: Path, fault: str, status: int | None, body: str | None
) -> None:
    """A server's error message under a clip's name is a clip lost: whoever asks again sees a file, and does not fetch it."""
    bad = world.account.clips[3]
    world.faults.add(f"media.{fault}", times=0, clip=bad.id, status=status, body=body)
    done = await blink.download_videos(tmp_path / "clips", delay=0)
    assert list(done.failed) == [bad.id]
    assert whole_films(tmp_path / "clips") == truth([clip for clip in world.account.clips if clip is not bad])

    world.faults.clear()
    done = await blink.download_videos(tmp_path / "clips", delay=0)
    assert (len(done.files), len(done.skipped), done.failed) == (1, 19, {})
    assert whole_films(tmp_path / "clips") == truth(world.account.clips)


@pytest.mark.parametrize("fault", ["drop", "cut", "cut-chunked", "cut-unmarked", "too-long"])
async def test_a_connection_that_ends_leaves_no_torn_file_and_stops_no_other_clip(
    blink: Blink, world: World, tmp_path: Path, fault: str
) -> None:
    """A file that is opened before its bytes are there stays behind empty, counts as fetched, and takes the batch with it."""
    torn = world.account.clips[5]
    world.faults.add(f"media.{fault}", times=0, clip=torn.id)
    done = await blink.download_videos(tmp_path / "clips", delay=0)
    assert list(done.failed) == [torn.id]
    assert len(whole_films(tmp_path / "clips")) == 19
    world.faults.clear()
    assert len((await blink.download_videos(tmp_path / "clips", delay=0)).files) == 1


async def test_a_torn_file_of_another_program_is_fetched_anew(blink: Blink, world: World, tmp_path: Path) -> None:
    """Nothing is skipped because of a name alone: a beginning without an end is no clip."""
    done = await blink.download_videos(tmp_path / "clips", delay=0)
    done.files[0].write_bytes(done.files[0].read_bytes()[:5000])
    done.files[1].write_bytes(b"")
    again = await blink.download_videos(tmp_path / "clips", delay=0)
    assert again.files == done.files[:2]
    assert whole_films(tmp_path / "clips") == truth(world.account.clips)


class Watched:
    """A session that notes how long each request may take."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.longest: dict[str, float | None] = {}

    def request(self, method: str, url: Any, *, timeout: aiohttp.ClientTimeout, **more: Any) -> Any:
        self.longest[url.path] = timeout.total
        return self._session.request(method, url, timeout=timeout, **more)


async def test_a_slow_clip_has_ten_minutes_and_not_ten_seconds(signing: Signing, world: World, tmp_path: Path) -> None:
    """A time-out for lists, applied to films, ends every download over a slow line after ten seconds."""
    world.account.second_factor = "none"
    async with aiohttp.ClientSession() as session:
        watched = Watched(session)
        blink = Blink(auth=signing(session=cast(aiohttp.ClientSession, watched)))
        await blink.start()
        await blink.download_videos(tmp_path, delay=0)
    films = {longest for path, longest in watched.longest.items() if path.endswith(".mp4")}
    lists = {longest for path, longest in watched.longest.items() if path.endswith("/changed")}
    assert (films, lists) == ({600.0}, {30.0})


async def test_as_many_pages_are_read_as_were_asked_for_and_a_limit_is_said_aloud(
    blink: Blink, world: World, cloud: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """One page fewer than asked, and silence about the rest, leaves the oldest clips in the cloud until they are deleted."""
    world.rules.page_size = 2
    cloud.log.clear()
    with caplog.at_level(logging.WARNING):
        done = await blink.download_videos("nowhere", stop=3, debug=True)
    assert (len(done.files), done.cut_off) == (6, True)
    assert "there are more clips" in caplog.text
    caplog.clear()
    done = await blink.download_videos("nowhere", stop=10, debug=True)
    assert (len(done.files), done.cut_off, caplog.text) == (20, False, "")
    assert len((await blink.download_videos("nowhere", stop=None, debug=True)).files) == 20
    assert len(await blink.get_videos_metadata()) == 20


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("status", 429, Throttled),
        ("status", 426, UpdateRequired),
        ("status", 500, ServerTrouble),
        ("garbage", None, ServerTrouble),
        ("json-error", None, SourceError),
    ],
)
async def test_an_error_of_the_list_is_not_taken_for_its_end(
    blink: Blink, world: World, tmp_path: Path, clock: ManualClock, fault: str, status: int | None, kind: type[SourceError]
) -> None:
    """A list that ends at its first error looks complete, and nobody looks for what was behind it."""
    world.rules.page_size = 4
    world.faults.add(f"list.{fault}", times=0, page=3, status=status)
    with pytest.raises(kind):
        await blink.download_videos(tmp_path, delay=0)
    assert list(tmp_path.iterdir()) == []
    world.faults.clear()
    clock.advance(3600)  # after several refusals Blink is left alone for minutes
    world.faults.add("list.status", status=502, page=3)
    assert len((await blink.download_videos(tmp_path, delay=0)).files) == 20


async def test_names_that_look_alike_are_files_of_their_own(blink: Blink, world: World, tmp_path: Path) -> None:
    """Three cameras whose names differ in signs alone, and a photo in the same second, are four clips and not one."""
    for clip in world.account.clips:
        world.account.remove_clip(clip)
    camera(world, "Kitchen").name = "front-door"
    camera(world, "Front Door", "Barn").name = "Front Door!"
    for name, network in (("Front Door", "Home"), ("front-door", "Home"), ("Front Door!", "Barn")):
        world.account.add_clip(camera(world, name, network), created_at=NOON, size=9000)
    world.account.add_clip(camera(world, "Front Door"), created_at=NOON, size=9000, source="snapshot")
    done = await blink.download_videos(tmp_path, delay=0)
    assert len(set(done.files)) == 4
    assert whole_films(tmp_path) == truth(world.account.clips)


async def test_a_pause_between_downloads_lets_everything_else_go_on(blink: Blink, clock: ManualClock, tmp_path: Path) -> None:
    """A pause that blocks the event loop stops whatever else a program does: a web page, an alarm, another camera."""
    began, before = time.monotonic(), len(clock.sleeps)
    await blink.download_videos(tmp_path, delay=30)
    assert clock.sleeps[before:].count(30) == 19
    assert time.monotonic() - began < 30


# What devices are asked for


async def test_what_a_device_has_not_done_is_no_success(blink: Blink, world: World) -> None:
    """A command is accepted long before it is done: a house that is believed to be armed, and is not, is the worst of all."""
    front, home = blink.cameras["Front Door (Home)"], blink.sync["Home"]
    world.faults.add("control.fail", times=0)
    world.faults.add("arm.fail", times=0)
    for ask in (
        home.async_arm(False),
        front.async_arm(False),
        front.snap_picture(),
        front.record(),
        front.async_set_night_vision("off"),
        blink.cameras["Drive"].async_set_floodlight(True),
    ):
        with pytest.raises(CommandFailed):
            await ask
    assert (home.arm, world.account.networks[0].armed, front.arm) == (True, True, True)
    assert blink.cameras["Drive"].floodlight_enabled is None


async def test_tokens_are_renewed_as_the_client_that_they_were_given_to(
    blink: Blink, world: World, clock: ManualClock, cloud: Running
) -> None:
    """Renewed as another client they are refused, four hours after every start; and a refusal has a name of its own."""
    clock.advance(5 * 3600)
    cloud.log.clear()
    assert await blink.refresh()
    assert [exchange.status for exchange in cloud.seen("POST", "/oauth/token")] == [200]
    assert cloud.seen("POST", "/oauth/v2/signin") == []

    world.faults.add("token.status", status=503, times=0)
    clock.advance(4 * 3600 - 200)
    assert await blink.refresh()  # Blink could not be asked, and the token is good still

    world.faults.clear()
    world.signins.revoke_refresh_tokens()
    clock.advance(3600)
    with pytest.raises(TokenRevoked) as refused:
        await blink.refresh()
    assert isinstance(refused.value, LoginError)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, Throttled), (406, ClientRefused), (409, Busy), (426, UpdateRequired), (429, Throttled), (500, ServerTrouble)],
)
async def test_every_status_is_looked_at(blink: Blink, world: World, status: int, kind: type[SourceError]) -> None:
    """An error that is stored as if it were the house empties it: no cameras, no arm state, and no word of why."""
    before, seen = dict(blink.cameras), blink.homescreen
    world.faults.add("homescreen.status", status=status, times=0)
    with pytest.raises(kind) as failure:
        await blink.refresh(force=True)
    assert failure.value.status == status
    assert (dict(blink.cameras), blink.homescreen) == (before, seen)


# Sticks


def facts(items: tuple[LocalStorageMediaItem, ...]) -> list[tuple[int | str, datetime]]:
    return [(item.id, item.created_at) for item in items]


async def test_a_manifest_is_what_is_on_the_stick_now(blink: Blink, world: World, tmp_path: Path) -> None:
    """A manifest that is only ever added to shows clips that are gone, and renumbered ones twice, by numbers of others."""
    home, stick = blink.sync["Home"], module(world).stick
    await home.update_local_storage_manifest()
    stick.remove(stick.clips[0])
    stick.renumber()
    items = await home.update_local_storage_manifest()
    assert facts(items) == [(clip.number, clip.created_at) for clip in stick.clips]
    assert home.local_storage_manifest == items
    for item, clip in zip(items, stick.clips, strict=True):
        await item.prepare_download()
        await item.download_video(None, tmp_path / "clip.mp4")
        assert (tmp_path / "clip.mp4").read_bytes() == clip.film()


async def test_clips_of_cameras_that_are_renamed_or_called_alike_are_listed(blink: Blink, world: World, tmp_path: Path) -> None:
    """A stick knows cameras by names without blanks and signs: who looks clips up by those loses some, or mistakes them."""
    camera(world, "Kitchen").name = "Front-Door"
    camera(world, "Bell").name = "Doorbell"
    await blink.refresh(force=True)
    stick = module(world).stick
    stick.clear()
    for name in ("Front Door", "Bell", "Drive"):
        world.account.add_local_clip(module(world), camera(world, "Drive"), name=name, created_at=NOON, size=9000)
    items = await blink.sync["Home"].update_local_storage_manifest()
    found = {item.name: item.camera and item.camera.name for item in items}
    assert found == {"FrontDoor": None, "Bell": None, "Drive": "Drive"}


# Clips that come in


async def test_a_clip_that_is_published_late_is_seen(blink: Blink, world: World, clock: ManualClock) -> None:
    """What was recorded before the last look, and listed after it, is not older than what is known: it is new."""
    world.rules.page_size = 2
    clock.advance(1000)
    await blink.refresh()
    clock.advance(60)
    began = clock.now()
    for minutes in (9, 7, 5, 3, 1):
        recorded = began - timedelta(minutes=minutes)
        world.account.add_clip(camera(world, "Bell"), created_at=recorded, updated_at=began, size=9000)
    assert await blink.refresh()
    bell = blink.cameras["Bell"]
    assert [datetime.fromisoformat(clip["time"]) for clip in bell.recent_clips] == [
        began - timedelta(minutes=minutes) for minutes in (9, 7, 5, 3, 1)
    ]
    assert bell.motion_detected
    assert bell.last_record == (began - timedelta(minutes=1)).isoformat()


async def test_a_clip_that_is_watched_again_is_no_motion(blink: Blink, world: World, clock: ManualClock) -> None:
    """The list shows what has changed, and being watched is a change: nothing moved at the door."""
    for _ in range(3):
        clock.advance(3600)
        await blink.refresh()
    old = next(clip for clip in reversed(world.account.clips))
    world.account.change(old, watched=True)
    clock.advance(60)
    await blink.refresh()
    assert not any(each.motion_detected for each in blink.cameras.values())


async def test_recent_clips_stay_until_they_are_saved_and_sticks_are_left_alone(
    blink: Blink, world: World, clock: ManualClock, cloud: Running, tmp_path: Path
) -> None:
    """Clips that are forgotten an hour later are lost on whoever saves them once a day; and a refresh is no upload."""
    clip = world.account.add_clip(camera(world, "Bell"), size=9000)
    for _ in range(30):
        clock.advance(600)
        await blink.refresh()
    [saved] = await blink.cameras["Bell"].save_recent_clips(tmp_path)
    assert saved.read_bytes() == clip.film()
    assert blink.cameras["Bell"].recent_clips == []
    assert cloud.seen("POST", "/local_storage/") == []


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine in a zone where the clock is set back in October."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize("pattern", ["${created}_${name}.mp4", "${name}.mp4"])
async def test_two_clips_of_one_second_or_of_the_hour_that_comes_twice_are_two_files(
    blink: Blink, world: World, clock: ManualClock, tmp_path: Path, pattern: str
) -> None:
    """A name of local time to the second is given twice, in one second and every autumn, and the first clip is overwritten."""
    autumn = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    clock.advance((autumn - clock.now()).total_seconds())
    await blink.refresh(force=True)
    for at in (autumn, autumn, autumn + timedelta(hours=1)):
        world.account.add_clip(camera(world, "Bell"), created_at=at, updated_at=autumn + timedelta(hours=1), size=9000)
    clock.advance(2 * 3600)
    await blink.refresh()
    saved = await blink.cameras["Bell"].save_recent_clips(tmp_path, pattern)
    assert len(set(saved)) == 3
    assert whole_films(tmp_path) == truth(world.account.clips[:3])


@pytest.mark.parametrize(("fault", "kind"), [("fail", CommandFailed), ("lie", CommandFailed), ("stall", CommandUnfinished)])
async def test_a_deletion_that_was_accepted_is_not_one_that_was_done(
    blink: Blink, world: World, fault: str, kind: type[SourceError]
) -> None:
    """Who believes a deletion at its acceptance deletes nothing, and is told that the stick has room."""
    [item, *_] = await blink.sync["Home"].update_local_storage_manifest()
    world.faults.add(f"local-delete.{fault}")
    with pytest.raises(kind):
        await item.delete_video()
    assert len(module(world).stick.clips) == 6


async def test_only_a_whole_file_lets_the_clip_on_the_stick_be_deleted(blink: Blink, world: World, tmp_path: Path) -> None:
    """A clip that is fetched badly and deleted well is lost for good."""
    [item, *_] = await blink.sync["Home"].update_local_storage_manifest()
    for fault in ("cut-unmarked", "cut", "short", "too-short"):
        world.faults.add(f"local-media.{fault}", after=1500)
        with pytest.raises(BadClip):
            await item.download_video_delete(None, tmp_path / "clip.mp4")
    assert (len(module(world).stick.clips), list(tmp_path.iterdir())) == (6, [])
    assert await item.download_video_delete(None, tmp_path / "clip.mp4")
    assert len(module(world).stick.clips) == 5
    whole_films(tmp_path)


async def test_times_are_moments_whatever_zone_they_are_told_in(blink: Blink, world: World, clock: ManualClock) -> None:
    """An offset that is cut off moves a clip by hours: it is sorted wrongly, and taken for old or for new."""
    bell = camera(world, "Bell")
    clock.advance(600)
    first = world.account.add_clip(bell, extra={"created_at": "2026-07-01T14:05:00+02:00"}, size=9000)  # 12:05 in UTC
    last = world.account.add_clip(bell, extra={"created_at": "2026-07-01T03:07:00-09:00"}, size=9000)  # 12:07
    await blink.refresh()
    shown = blink.cameras["Bell"]
    assert shown.clip == last.path
    assert [clip["clip"] for clip in shown.recent_clips] == [first.path, last.path]
    assert shown.last_record is not None
    assert datetime.fromisoformat(shown.last_record) == datetime(2026, 7, 1, 12, 7, tzinfo=UTC)


# Accounts and houses


async def test_two_accounts_do_not_wait_for_each_other_and_one_asks_once(clock: ManualClock, tmp_path: Path) -> None:
    """A throttle that all accounts share refreshes one of them; one that four callers get past asks four times."""
    world = World.from_seed(3, accounts=2, clips=2, clock=clock, until=NOON - timedelta(hours=1))
    async with Simulator(world).serving() as cloud:
        houses = []
        for person in world.accounts:
            auth = Auth(
                {"username": person.username, "password": person.password},
                no_prompt=True,
                clock=clock,
                api_url=cloud.url,
                oauth_url=cloud.url,
            )
            houses.append(Blink(auth=auth))
            await houses[-1].start()
        cloud.log.clear()
        clock.advance(40)
        answers = await asyncio.gather(*(house.refresh() for house in houses for _ in range(4)))
        assert answers == [True] * 8
        asked = [exchange.account for exchange in cloud.seen("GET", "/homescreen")]
        assert sorted(asked, key=str) == [person.username for person in world.accounts]


async def test_networks_and_cameras_of_one_name_are_all_there(clock: ManualClock) -> None:
    """Whatever is kept by its name alone is lost when two have it: a second "Home", a second "Front Door"."""
    world = World.from_seed(3, networks=3, same_names=True, clips=0, clock=clock, until=NOON)
    async with Simulator(world).serving() as cloud:
        person = world.account
        auth = Auth(
            {"username": person.username, "password": person.password}, api_url=cloud.url, oauth_url=cloud.url, clock=clock
        )
        blink = Blink(auth=auth)
        await blink.start()
    assert sorted(int(each.camera_id) for each in blink.cameras.values()) == [each.id for each in person.cameras]
    assert [each.network_id for each in blink.sync.values()] == [each.id for each in person.networks]
    for each in person.cameras:
        assert blink.cameras[each.id].network_id == str(each.network.id)
    with pytest.raises(KeyError, match="several are called 'Front Door'"):
        blink.cameras["Front Door"]


async def test_saved_credentials_are_for_their_owner_alone_and_never_half_written(blink: Blink, tmp_path: Path) -> None:
    """A file that all may read gives the house away, with a password the account; half a file costs a new sign-in."""
    file = tmp_path / "blink.json"
    file.write_text("what was there before")
    file.chmod(0o644)
    with file.open() as old:
        await blink.save(file)
        assert old.read() == "what was there before"  # the old file was not touched: another has its name now
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "open-sesame-42" not in file.read_text()
    assert json.loads(file.read_text())["refresh_token"] == blink.auth.refresh_token
    assert list(tmp_path.iterdir()) == [file]


async def test_there_is_no_player_of_live_views_that_could_end_early(blink: Blink) -> None:
    """A stream that is read in pieces and taken for ended at a short one is none. Here only its address is told."""
    assert (await blink.cameras["Front Door (Home)"].get_liveview()).startswith("immis://")
    assert not hasattr(BlinkCamera, "init_livestream")
    assert not hasattr(blinkarchive.blink, "BlinkLiveStream")


@pytest.mark.parametrize("listed", [True, False])
async def test_a_doorbell_and_a_mini_without_a_module_are_both_there(clock: ManualClock, listed: bool) -> None:
    """In a network of theirs they are taken for another's, and the doorbell is lost; more so when it is not listed."""
    shed = NetworkPlan(name="Shed", cameras=(CameraPlan(name="Bench", type="owl"), CameraPlan(name="Gate", type="lotus")))
    home = NetworkPlan(name="Home", sync_modules=(SyncModulePlan(),), cameras=(CameraPlan(name="Hall"),))
    person = AccountPlan(username="owner@example.org", password="x-x-x", second_factor="none", networks=(home, shed), clips=0)
    world = World(WorldPlan(until=NOON, accounts=(person,)), clock)
    async with Simulator(world).serving() as cloud:
        auth = Auth(
            {"username": person.username, "password": person.password}, api_url=cloud.url, oauth_url=cloud.url, clock=clock
        )
        if not listed:
            networks = world.account.networks
            body = homescreen(world.account, clock.now())
            body["networks"] = [each for each in body["networks"] if each["id"] == networks[0].id]
            world.faults.add("homescreen.json-error", times=0, body=json.dumps(body))
        blink = Blink(auth=auth)
        await blink.start()
        assert set(blink.cameras) == {"Hall", "Bench", "Gate"}
        bench, gate = blink.cameras["Bench"], blink.cameras["Gate"]
        assert bench.sync is gate.sync is blink.sync["Gate"] is blink.sync["bench"]
        assert (bench.sync.module, gate.camera_type) == (None, "doorbell")
        assert await gate.async_arm(False)
