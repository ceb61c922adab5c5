"""The scheduler over hours and days of virtual time: it looks when it should, goes on in trouble, and says what is wrong."""

from __future__ import annotations

import asyncio
import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blinkarchive.daemon.serve import serve
from blinkarchive.errors import ArchiveBusy, ConfigError
from blinkarchive.model import RunReport, SourceName
from blinkarchive.pipeline.lock import held
from tests.daemon.house import HOUR, SOURCES, START, House, house
from tests.virtually import virtually


async def runs(at: House) -> list[RunReport]:
    async with at.index() as index:
        return (await index.last_runs(1000))[::-1]


def minutes(reports: list[RunReport], source: SourceName) -> list[int]:
    """When a source was looked at, in minutes after the start."""
    return [round((report.started_at - START) / timedelta(minutes=1)) for report in reports if source in report.sources]


@virtually
async def test_each_source_is_looked_at_at_once_and_then_at_its_own_ticks(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        async with at.served():
            await at.clock.sleep(2.01 * HOUR)
            assert at.word.next == {
                "cloud": START + timedelta(hours=2, minutes=15),
                "sync-module": START + timedelta(hours=3),
            }
            assert (at.word.wrong, at.word.doing) == ((), ())
        reports = await runs(at)
        assert minutes(reports, SourceName.CLOUD) == list(range(0, 121, 15))
        assert minutes(reports, SourceName.SYNC_MODULE) == [0, 60, 120]
        assert at.kept() == at.truth()


@virtually
async def test_a_stick_that_takes_hours_keeps_the_cloud_waiting_for_nothing(tmp_path: Path) -> None:
    async with house(tmp_path, local_clips=40) as at:
        at.world.rules.upload_start = 120.0
        async with at.served():
            await at.clock.sleep(1.1 * HOUR)
            [doing] = at.word.doing
            assert (doing.what, doing.since) == ("sync-module", START)
            assert doing.stored < doing.listed == 80
            new = at.account.add_clip(at.account.cameras[0], size=9_000, index_first=True)
            await at.until(lambda: len([clip for clip in at.catalogued() if clip.startswith("cloud:")]) == 4, longest=0.3 * HOUR)
            assert new.id
            await at.until(lambda: not at.word.doing)
        reports = await runs(at)
        assert minutes(reports, SourceName.SYNC_MODULE)[:1] == [0], "its ticks that came meanwhile began no second run"
        assert minutes(reports, SourceName.CLOUD)[:5] == [0, 15, 30, 45, 60]
        assert at.kept() == at.truth()
        assert len(at.catalogued()) == len(set(at.catalogued())) == len(at.truth())


@virtually
async def test_a_sink_that_was_away_for_hours_catches_up_without_asking_blink_again(tmp_path: Path) -> None:
    async with house(tmp_path, sinks=("nas", "cabin")) as at, at.served():
        await at.until(lambda: at.kept("cabin") == at.truth())
        (tmp_path / "cabin").rename(tmp_path / "elsewhere")
        for _ in range(5):
            at.account.add_clip(at.account.cameras[0], size=9_000, index_first=True)
        took = await at.until(lambda: "sink cabin" in at.wrong)
        assert took <= 0.3 * HOUR
        await at.clock.sleep(8 * HOUR)
        assert at.kept() == at.truth()
        films = len(at.cloud.seen("GET", ".mp4"))
        (tmp_path / "elsewhere").rename(tmp_path / "cabin")
        await at.until(lambda: at.kept("cabin") == at.truth(), longest=0.4 * HOUR)
        await at.until(lambda: "sink cabin" not in at.wrong, longest=1.2 * HOUR)
        assert len(at.cloud.seen("GET", ".mp4")) == films


@virtually
async def test_with_skip_twins_the_cloud_comes_first_and_what_it_has_is_not_uploaded(tmp_path: Path) -> None:
    async with house(tmp_path, local_clips=0) as at:
        camera = at.account.cameras[0]
        at.world.rules.latency = 20.0  # the cloud is slow; a stick is listed within seconds
        at.account.add_clip(camera)
        at.account.add_local_clip(camera=camera)
        only_there = at.account.add_local_clip(camera=camera, created_at=START - timedelta(hours=5))
        at.configure(sources=SOURCES + "skip_twins = true\n")
        async with at.served():
            await at.clock.sleep(0.5 * HOUR)
        cloud = [hashlib.sha256(clip.film()).hexdigest() for clip in at.account.clips]
        assert at.kept() == sorted([*cloud, hashlib.sha256(only_there.film()).hexdigest()])
        assert len(at.cloud.seen("POST", "/clip/request/")) == 1


@virtually
async def test_a_sink_added_later_is_filled_from_another_though_blink_is_away(tmp_path: Path) -> None:
    async with house(tmp_path) as at, at.served():
        await at.until(lambda: at.kept() == at.truth())
        at.world.faults.add("list.status", status=500, times=0)
        at.world.faults.add("homescreen.status", status=500, times=0)
        (tmp_path / "cabin").mkdir()
        at.configure(sinks=("nas", "cabin"))
        at.reloads.set()
        await at.until(lambda: at.kept("cabin") == at.truth(), longest=0.3 * HOUR)
        assert at.catalogued("cabin") == at.catalogued("nas")


@virtually
async def test_a_lost_sign_in_is_a_state_with_a_way_back_and_no_storm(tmp_path: Path) -> None:
    async with house(tmp_path) as at, at.served():
        await at.until(lambda: at.kept() == at.truth())
        at.world.signins.revoke_access_tokens()
        at.world.signins.revoke_refresh_tokens()
        good, at.account.password = at.account.password, "another one"
        at.cloud.log.clear()
        await at.until(lambda: "account a0" in at.wrong)
        await at.clock.sleep(24 * HOUR)
        assert "account a0" in at.wrong
        assert len(at.cloud.seen("POST", "/oauth/v2/signin")) <= 25, "one attempt an hour"
        at.account.password = good
        at.account.add_clip(at.account.cameras[0], size=9_000, index_first=True)
        await at.until(lambda: at.kept() == at.truth(), longest=1.5 * HOUR)
        await at.until(lambda: not at.wrong, longest=1.5 * HOUR)


@virtually
async def test_blinks_wish_to_be_left_alone_is_heeded(tmp_path: Path) -> None:
    async with house(tmp_path) as at, at.served():
        await at.clock.sleep(60)
        at.world.faults.add("list.status", status=429, retry_after=5400, times=0)
        at.cloud.log.clear()
        await at.clock.sleep(1.2 * HOUR)
        asked = len(at.cloud.seen("GET", "/media/changed"))
        assert 1 <= asked <= 2, "once, and then for an hour not again"
        assert at.word.next["cloud"] > START + timedelta(hours=1, minutes=14)


@virtually
async def test_a_clock_that_jumps_neither_stops_it_nor_makes_it_storm(tmp_path: Path) -> None:
    async with house(tmp_path) as at, at.served():
        for days in (-1, 400, -3, 0.5, -0.02):
            await at.clock.sleep(0.6 * HOUR)
            at.cloud.log.clear()
            at.clock.jump(timedelta(days=days))
            at.account.add_clip(at.account.cameras[0], size=9_000, index_first=True)
            await at.until(lambda: at.kept() == at.truth(), longest=0.3 * HOUR)
            await at.clock.sleep(0.5 * HOUR)
            assert len(at.cloud.seen("GET", "/media/changed")) <= 12


@virtually
async def test_a_run_in_which_nothing_moves_is_ended_told_and_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(tmp_path) as at:
        stuck = asyncio.Event()

        async def listing_that_hangs(self: object, since: datetime) -> object:
            stuck.set()
            await asyncio.sleep(10**9)
            yield

        from blinkarchive.sources.media_list import MediaList

        monkeypatch.setattr(MediaList, "discover", listing_that_hangs)
        async with at.served():
            await stuck.wait()
            monkeypatch.undo()
            took = await at.until(lambda: "run cloud" in at.wrong)
            assert 0.5 * HOUR <= took <= 0.55 * HOUR
            assert at.wrong["run cloud"] == "nothing moved for 30m, so it was ended; the next tick begins anew"
            await at.until(lambda: at.kept() == at.truth(), longest=0.3 * HOUR)
            await at.until(lambda: "run cloud" not in at.wrong, longest=60)


@virtually
async def test_a_fault_of_our_own_ends_a_run_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(tmp_path) as at:
        from blinkarchive.pipeline.archive import Archive

        async def broken(self: object, sources: object) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(Archive, "collect", broken)
        async with at.served():
            await at.until(lambda: "blinkarchive" in at.wrong, longest=60)
            monkeypatch.undo()
            await at.until(lambda: at.kept() == at.truth(), longest=1.1 * HOUR)
            await at.until(lambda: not at.wrong, longest=60)


@virtually
async def test_while_another_run_holds_the_archive_it_waits_and_then_goes_on_soon(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        (tmp_path / "state").mkdir(mode=0o700)
        with held(tmp_path / "state" / "lock"):
            task = asyncio.create_task(serve(at.load, reloads=at.reloads, clock=at.clock))
            await at.clock.sleep(300)
            assert list(at.wrong) == ["the archive"]
        await at.until(lambda: at.kept() == at.truth(), longest=120)
        task.cancel()
        await asyncio.wait([task])


@virtually
async def test_only_one_scheduler_looks_after_an_archive(tmp_path: Path) -> None:
    async with house(tmp_path) as at, at.served():
        await at.clock.sleep(1)
        with pytest.raises(ArchiveBusy, match="another `blinkarchive serve` looks after this archive"):
            await serve(at.load, reloads=asyncio.Event(), clock=at.clock)


@virtually
async def test_between_its_runs_others_may_have_the_archive(tmp_path: Path) -> None:
    async with house(tmp_path) as at, at.served():
        await at.until(lambda: at.kept() == at.truth() and not at.word.doing)
        with held(tmp_path / "state" / "lock"):
            pass


@virtually
async def test_a_new_config_is_taken_at_once_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as at, at.served():
        await at.until(lambda: at.kept() == at.truth())
        at.file.write_text(at.file.read_text() + "[source.clowd]\n")
        at.reloads.set()
        await at.clock.sleep(60)
        assert "the new one was refused, the old one stays" in at.wrong["the config"]
        at.configure(more='[sink.x]\ntype = "disc"\n')
        at.reloads.set()
        await at.clock.sleep(60)
        assert "disc" in at.wrong["the config"]
        at.configure(more="")
        at.account.add_clip(at.account.cameras[0], size=9_000, index_first=True)
        await at.until(lambda: at.kept() == at.truth(), longest=0.3 * HOUR)
        (tmp_path / "cabin").mkdir()
        at.configure(sinks=("nas", "cabin"))
        at.reloads.set()
        await at.until(lambda: at.kept("cabin") == at.truth(), longest=60)
        assert at.wrong == {}


@virtually
async def test_the_folder_of_the_state_cannot_change_while_it_is_served(tmp_path: Path) -> None:
    async with house(tmp_path) as at, at.served():
        await at.clock.sleep(1)
        at.file.write_text(at.file.read_text().replace("/state", "/other"))
        at.reloads.set()
        await at.clock.sleep(60)
        assert "it cannot change while the archive is served" in at.wrong["the config"]


@virtually
async def test_a_first_config_that_cannot_be_used_is_no_start(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        at.configure(more='[sink.x]\ntype = "disc"\n')
        with pytest.raises(ConfigError, match="disc"):
            await serve(at.load, reloads=asyncio.Event(), clock=at.clock)


FICKLE = """
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from blinkarchive import ConfigError, SinkType, hookimpl
from blinkarchive_disk import DISK

@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    path: str

@asynccontextmanager
async def opened(options):
    if Path(options.path, "broken").exists():
        raise ConfigError("its helper program is too old")
    async with DISK.open(DISK.options(path=options.path)) as disk:
        yield disk

@hookimpl
def blinkarchive_sink_types():
    return [SinkType(kind="fickle", options=Options, open=opened)]
"""


def test_a_sink_that_cannot_be_opened_is_reported_and_filled_when_it_is_fixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "site" / "fickle-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fickle\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[blinkarchive]\nfickle = fickle_module\n")
    (info.parent / "fickle_module.py").write_text(FICKLE)
    monkeypatch.syspath_prepend(info.parent)

    @virtually
    async def served(folder: Path) -> None:
        async with house(folder) as at:
            cabin = folder / "cabin"
            cabin.mkdir()
            (cabin / "broken").touch()
            at.configure(more=f'[sink.cabin]\ntype = "fickle"\npath = "{cabin}"\n')
            async with at.served():
                await at.until(lambda: at.kept() == at.truth())
                await at.until(lambda: "sink cabin" in at.wrong)
                assert at.wrong["sink cabin"] == "its helper program is too old"
                (cabin / "broken").unlink()
                await at.until(lambda: len(list(cabin.rglob("*.mp4"))) == len(at.truth()))
                await at.until(lambda: "sink cabin" not in at.wrong)

    served(tmp_path)


@virtually
async def test_a_stop_leaves_what_was_on_its_way_to_the_next_start(tmp_path: Path) -> None:
    async with house(tmp_path, clips=60) as at:
        at.world.rules.bandwidth = 20_000
        async with at.served():
            await at.until(lambda: 5 < len(at.kept()) < 40)
        stopped = at.clock.monotonic()
        assert at.clock.monotonic() - stopped < 10
        assert len(at.kept()) < len(at.truth())
        async with at.served():
            await at.until(lambda: at.kept() == at.truth())


@virtually
async def test_months_leave_no_descriptor_and_no_task_behind(tmp_path: Path) -> None:
    async with house(tmp_path) as at, at.served():
        await at.clock.sleep(1.1 * HOUR)
        descriptors, tasks = len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())
        at.world.faults.add("list.status", status=500, times=40)
        await at.clock.sleep(12 * HOUR)
        assert len(os.listdir("/proc/self/fd")) <= descriptors
        assert len(asyncio.all_tasks()) <= tasks


@virtually
async def test_what_is_overdue_is_found_though_no_run_fails(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        at.configure(sources='[source.cloud]\nevery = "15m"\n')
        async with at.served():
            await at.until(lambda: at.kept() != [])
            at.world.faults.add("list.status", status=500, times=0)
            took = await at.until(lambda: "account a0, cloud, overdue" in at.wrong)
            assert 5.8 * HOUR <= took <= 6.5 * HOUR


@virtually
async def test_a_clip_that_the_cloud_will_soon_delete_is_told_though_it_was_given_up(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        at.configure(sources='[source.cloud]\nevery = "30m"\n')  # three days pass
        at.account.auto_delete_days = 7
        at.world.faults.add("media.status", status=500, times=0)
        async with at.served():
            await at.until(lambda: "sink nas, given up" in at.wrong, longest=6 * HOUR)
            assert "account a0, cloud, expiring" not in at.wrong
            await at.until(lambda: "account a0, cloud, expiring" in at.wrong, longest=80 * HOUR)
            assert "the cloud keeps clips for 7 days" in at.wrong["account a0, cloud, expiring"]


@virtually
async def test_cron_is_meant_in_the_owners_zone_on_the_night_that_summer_begins(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        at.configure(sources='[source.cloud]\ncron = "30 2 * * *"\njitter = "0s"\n', more='[serve]\nzone = "Europe/Berlin"\n')
        async with at.served():
            await at.clock.sleep(40 * HOUR)
        looked = [report.started_at for report in await runs(at)]
        assert [moment.replace(second=0, microsecond=0) for moment in looked] == [
            START,
            datetime(2026, 3, 28, 1, 30, tzinfo=UTC),
            datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
        ]


def standing(at: House) -> dict[str, str]:
    """The alarms that people were told of and that are not over, and since when each stands."""
    alarms = at.word.alarms or {"standing": []}
    return {one["where"]: one["since"] for one in alarms["standing"]}


@virtually
async def test_neither_a_restart_nor_a_new_config_says_that_a_trouble_is_over_that_goes_on(tmp_path: Path) -> None:
    async with house(tmp_path, sinks=("nas", "cabin"), more='[alarm]\nafter = "0s"\n') as at:
        async with at.served():
            await at.until(lambda: at.kept("cabin") == at.truth() and not at.word.doing)
            (tmp_path / "cabin").rename(tmp_path / "elsewhere")
            await at.until(lambda: "sink cabin" in standing(at))
            told = standing(at)
            at.reloads.set()
            for _ in range(60):
                await at.clock.sleep(5)
                assert standing(at) == told
        async with at.served():
            for _ in range(60):
                await at.clock.sleep(5)
                assert standing(at) == told
            (tmp_path / "elsewhere").rename(tmp_path / "cabin")
            await at.until(lambda: standing(at) == {}, longest=1.3 * HOUR)


@virtually
async def test_from_a_run_that_could_not_be_made_nothing_is_learned(tmp_path: Path) -> None:
    async with house(tmp_path) as at, at.served():
        await at.until(lambda: at.kept() == at.truth() and not at.word.doing)
        at.world.signins.revoke_access_tokens()
        at.world.signins.revoke_refresh_tokens()
        at.account.password = "another one"
        await at.until(lambda: {"account a0"} == set(at.wrong))
        with held(tmp_path / "state" / "lock"):
            await at.clock.sleep(1.2 * HOUR)
            assert set(at.wrong) == {"account a0", "the archive"}
