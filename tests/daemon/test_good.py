"""The scheduler's judgement: one part's fault is that part's, and a clip's is the clip's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from blinkarchive.interfaces import Batch
from blinkarchive.model import Result, SourceName, Subject
from blinkarchive.sources.media_list import MediaList
from tests.daemon.house import HOUR, house
from tests.virtually import virtually

ONLY_CLOUD = '[source.cloud]\nevery = "15m"\njitter = "0s"\n'


@virtually
async def test_a_fault_at_one_account_ends_neither_the_run_nor_the_other_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path, accounts=2, modules=0, local_clips=0) as at:
        at.configure(sources=ONLY_CLOUD)
        listed = MediaList.discover

        async def broken(self: MediaList, since: datetime) -> AsyncIterator[Batch]:
            if self.account == "a0":
                raise ZeroDivisionError("a size of nothing")
            async for batch in listed(self, since):
                yield batch

        monkeypatch.setattr(MediaList, "discover", broken)
        async with at.served():
            await at.until(lambda: "account a0, cloud" in at.wrong, longest=60)
            assert at.wrong["account a0, cloud"] == "a fault of its own: ZeroDivisionError: a size of nothing"
            await at.clock.sleep(7 * HOUR)
            assert set(at.wrong) == {"account a0, cloud", "account a0, cloud, overdue"}
            async with at.index() as index:
                known = await index.outcomes()
                [crashed, *_] = await index.last_runs(1)
            assert (crashed.ended, crashed.complete) == ("crashed", False)
            assert known[Subject.account("a0", SourceName.CLOUD)].outcome.result is Result.CRASHED
            assert known[Subject.account("a1", SourceName.CLOUD)].outcome.result is Result.GOOD
            assert len(at.kept()) == 3, "all of the other account"
            monkeypatch.undo()
            await at.until(lambda: at.kept() == at.truth() and not at.wrong, longest=0.5 * HOUR)


@virtually
async def test_one_clip_that_fails_for_ten_ticks_makes_neither_source_nor_sink_overdue_and_is_told_once(tmp_path: Path) -> None:
    async with house(tmp_path, modules=0, local_clips=0) as at:
        at.configure(sources='[source.cloud]\nevery = "45m"\njitter = "0s"\n', more='[alarm]\nremind_every = "1h"\n')
        at.world.faults.add("media.status", clip=at.account.clips[0].id, status=404, times=0)
        async with at.served():
            await at.clock.sleep(6.5 * HOUR)
            assert at.wrong == {}
            await at.until(lambda: "sink nas, given up" in at.wrong, longest=1.5 * HOUR)
            await at.clock.sleep(3 * HOUR)
            assert list(at.wrong) == ["sink nas, given up"]
            [alarm] = at.word.alarms["standing"]
            assert (alarm["where"], alarm["change"]) == ("sink nas, given up", "raised"), "it was told once, and never again"


@virtually
async def test_a_source_of_which_every_clip_fails_is_not_good(tmp_path: Path) -> None:
    async with house(tmp_path, clips=4, modules=0, local_clips=0) as at:
        at.configure(sources=ONLY_CLOUD)
        at.world.faults.add("media.status", status=404, times=0)
        async with at.served():
            await at.until(lambda: "account a0, cloud" in at.wrong, longest=120)
            assert at.wrong["account a0, cloud"].startswith("4 clips were tried, and not one succeeded; the last one: ")
            assert "sink nas" not in at.wrong


@virtually
async def test_a_clip_whose_connection_always_breaks_is_given_up_as_any_other(tmp_path: Path) -> None:
    async with house(tmp_path, modules=0, local_clips=0) as at:
        at.configure(sources=ONLY_CLOUD)
        at.world.faults.add("media.drop", clip=at.account.clips[0].id, times=0)
        async with at.served():
            for _ in range(11):  # Blink is there: it gives another clip in each run
                at.account.add_clip(at.account.cameras[0], size=9_000, index_first=True)
                await at.clock.sleep(0.25 * HOUR)
            assert "account a0, cloud" not in at.wrong
            await at.until(lambda: "sink nas, given up" in at.wrong, longest=0.5 * HOUR)
            assert len(at.kept()) == len(at.truth()) - 1
