"""The way of a clip, whole: with a real index and spool, sources and sinks in memory."""

import asyncio
import functools
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from blinkarchive import BadKey, Clip, ClipId, Content, Copy, Key, SinkError, SinkFull, SinkName, SinkUnavailable, SourceName
from blinkarchive.clock import ManualClock
from blinkarchive.encryption import Recipients
from blinkarchive.errors import (
    ArchiveError,
    BadClip,
    ClipGone,
    CommandFailed,
    Forbidden,
    ListingIncomplete,
    Throttled,
    TokenRevoked,
    Unreachable,
)
from blinkarchive.index import Index
from blinkarchive.interfaces import Batch, Body, ClipRef, LeftOut, Part, Unreadable
from blinkarchive.model import RunReport, Standing, State, Trouble
from blinkarchive.pipeline.archive import Archive, Ask
from blinkarchive.pipeline.catalog import CATALOGUED, catalogue
from blinkarchive.pipeline.deletion import Deletions, Rule
from blinkarchive.pipeline.joining import all_settled, opened_together
from blinkarchive.pipeline.lane import Lane, Seal
from blinkarchive.pipeline.naming import Namer
from blinkarchive.pipeline.progress import Progress
from blinkarchive.pipeline.spool import Spool
from tests.pipeline.fakes import START, MemorySink, clip, film, found

NOW = START + timedelta(days=1)


class Listing:
    """A source that gives what it is told to."""

    def __init__(
        self,
        *refs: ClipRef,
        account: str = "home",
        error: Exception | None = None,
        size: int = 25,
        name: SourceName = SourceName.CLOUD,
    ) -> None:
        self.refs = list(refs)
        self.account = account
        self.name = name
        self.error = error
        self.size = size
        self.left_out: tuple[LeftOut, ...] = ()
        self.unreadable: tuple[Unreadable, ...] = ()
        self.asked: list[datetime] = []
        self.parts: tuple[Part, ...] = (Part(scope=f"cloud:{account}:", name="the cloud"),)

    async def discover(self, since: datetime) -> AsyncIterator[Batch]:
        self.asked.append(since)
        if self.left_out or self.unreadable:
            yield Batch(left_out=self.left_out, unreadable=self.unreadable)
        shown = [ref for ref in self.refs if ref.clip.recorded_at >= since]
        for at in range(0, len(shown), self.size):
            yield Batch(found=tuple(shown[at : at + self.size]))
        if self.error:
            raise self.error
        for part in self.parts:
            yield Batch(part=part)


@dataclass
class House:
    """All that stays between two runs."""

    folder: Path
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    sinks: dict[str, MemorySink] = field(default_factory=lambda: {"nas": MemorySink()})
    told: list[tuple[Clip, Copy]] = field(default_factory=list)
    opening: float = 60.0
    #: How long some of the sinks take to be opened, in seconds.
    slow: dict[MemorySink, float] = field(default_factory=dict)
    deadline: float = 600.0
    planned: list[Standing] = field(default_factory=list)
    skip_twins: bool = False
    in_hand: set[ClipId] = field(default_factory=set)
    rules: dict[SourceName, Rule] = field(default_factory=dict)
    skew: timedelta | None = timedelta(0)
    would_delete: list[Standing] = field(default_factory=list)
    #: For whom a sink's clips are encrypted; False where the owner said that they are not to be.
    encrypt: dict[str, Sequence[str] | Literal[False]] = field(default_factory=dict)

    @asynccontextmanager
    async def index(self, *, read_only: bool = False) -> AsyncIterator[Index]:
        async with Index.open(self.folder / "index.sqlite3", clock=self.clock, read_only=read_only) as index:
            yield index

    async def run(
        self, *sources: Listing, ask: Ask | None = None, wrap: Callable[[Index], Index] = lambda index: index, in_flight: int = 8
    ) -> RunReport:
        """One run. When it is cancelled it still gives its report."""

        async def told(clip: Clip, copy: Copy) -> None:
            self.told.append((clip, copy))

        progress = Progress()
        stopped = False
        async with AsyncExitStack() as stack:
            index = await stack.enter_async_context(self.index(read_only=bool(ask and ask.dry_run)))
            spool = await stack.enter_async_context(Spool(self.folder / "spool").opened())
            asked = (ask and ask.sinks) or tuple(map(SinkName, self.sinks))
            naming = asyncio.Lock()
            lanes = [
                Lane(
                    name,
                    None,
                    clock=self.clock,
                    seal=Seal(Recipients(recipients), index.secret) if (recipients := self.encrypt.get(name)) else None,
                    in_clear=self.encrypt.get(name) is False,
                    parallel=2,
                    opening=self.opening,
                    deadline=self.deadline,
                    naming=naming,
                )
                for name in asked
            ]
            openings = {
                lane: functools.partial(
                    lane.opened,
                    functools.partial(self.enter, self.sinks[lane.name]),
                    index,
                    spool,
                    list(map(SinkName, self.sinks)),
                )
                for lane in lanes
            }
            if not (ask and ask.dry_run):
                await stack.enter_async_context(opened_together(openings))
            deletions = Deletions(
                index=wrap(index),
                lanes=lanes,
                trusted=tuple(map(SinkName, self.sinks)),
                clock=self.clock,
                progress=progress,
                rules=self.rules,
                skew=defaultdict(lambda: lambda: self.skew),
                in_hand=self.in_hand,
                dry_run=bool(ask and ask.dry_run),
                would=self.would_delete.append,
            )
            archive = Archive(
                index=wrap(index),
                spool=spool,
                lanes=lanes,
                namer=Namer(),
                clock=self.clock,
                progress=progress,
                ask=ask,
                stored=told,
                planned=self.planned.append,
                in_flight=in_flight,
                skip_twins=self.skip_twins,
                in_hand=self.in_hand,
                trusted=tuple(map(SinkName, self.sinks)),
                beside=[name for name in map(SinkName, self.sinks) if name not in asked],
                deletions=deletions,
            )
            try:
                await archive.collect(sources)
                if ask is None or ask.feed:
                    await archive.feed()
                await all_settled(lanes)
                for lane in lanes:
                    if not lane.closed:
                        await catalogue(index, spool, lane, "20260502T120000Z-abcd", self.clock.now())
                await deletions.run()
            except asyncio.CancelledError:
                stopped = True
            archive.settle()
        return progress.report("20260502T120000Z-abcd", NOW, 1.0, stopped=stopped)

    @asynccontextmanager
    async def enter(self, sink: MemorySink) -> AsyncIterator[MemorySink]:
        """Open a sink: it takes as long as `slow` says."""
        await asyncio.sleep(self.slow.get(sink, 0.0))
        yield sink

    async def state(self, id: ClipId, sink: str = "nas") -> tuple[State, int, str]:
        async with self.index() as index:
            [standing] = await index.standings([id], [SinkName(sink)])
            return next(((need.state, need.tries, need.reason) for need in standing.lacking), (State.STORED, 0, ""))

    @property
    def spooled(self) -> list[Path]:
        folder = self.folder / "spool"
        return [path for path in folder.iterdir() if not path.name.endswith(".part")] if folder.exists() else []


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def failing(number: int, *errors: Exception) -> ClipRef:
    """A clip whose first fetches fail."""
    left = list(errors)
    good = found(number)

    @asynccontextmanager
    async def open_body() -> AsyncIterator[Body]:
        if left:
            raise left.pop(0) if len(left) > 1 or not getattr(left[0], "stays", False) else left[0]
        async with good.open() as body:
            yield body

    return ClipRef(clip=good.clip, open=open_body)


def always(error: Exception) -> Exception:
    error.stays = True  # type: ignore[attr-defined]  # a mark for `failing`
    return error


def tally(report: RunReport) -> tuple[int, int, int, int, int, int]:
    total = report.total
    assert total.adds_up, total
    assert all(each.adds_up for each in (*report.sinks.values(), *report.sources.values(), *report.accounts.values())), report
    return (total.listed, total.known, total.stored, total.failed, total.gave_up, total.excluded)


# --- the way of a clip


async def test_what_is_new_comes_into_the_sink_whole_and_is_recorded(house: House) -> None:
    report = await house.run(Listing(*(found(n) for n in range(60))))
    assert tally(report) == (60, 0, 60, 0, 0, 0)
    assert house.sinks["nas"].clips == {film(n) for n in range(60)}
    assert report.total.bytes == report.sinks[SinkName("nas")].bytes == sum(len(film(n)) for n in range(60))
    assert len(house.told) == 60
    assert house.spooled == []


async def test_a_second_run_fetches_and_puts_nothing(house: House) -> None:
    opened: list[int] = []
    await house.run(Listing(*(found(n, opened=opened) for n in range(30))))
    puts = len(house.sinks["nas"].puts)
    report = await house.run(Listing(*(found(n, opened=opened) for n in range(30))))
    assert tally(report) == (30, 30, 0, 0, 0, 0)
    assert len(opened) == 30
    assert len(house.sinks["nas"].puts) == puts


async def test_a_clip_is_fetched_once_for_all_sinks(house: House) -> None:
    house.sinks["offsite"] = MemorySink()
    opened: list[int] = []
    report = await house.run(Listing(*(found(n, opened=opened) for n in range(5))))
    assert tally(report)[2] == 5
    assert sorted(opened) == list(range(5))
    assert house.sinks["offsite"].clips == house.sinks["nas"].clips == {film(n) for n in range(5)}


async def test_clips_of_several_accounts_do_not_mix(house: House) -> None:
    report = await house.run(
        Listing(*(found(n) for n in range(3))),
        Listing(*(found(n, film(100 + n), account="cabin") for n in range(4)), account="cabin"),
    )
    assert tally(report)[2] == 7
    assert {name: each.stored for name, each in report.accounts.items()} == {"home": 3, "cabin": 4}
    assert len(house.sinks["nas"].clips) == 7


async def test_what_is_excluded_is_counted_with_its_reason_and_looked_at_again(house: House) -> None:
    source = Listing(found(1))
    source.left_out = (LeftOut(item="7", reason="partial"), LeftOut(item="8", reason="deleted"))
    report = await house.run(source)
    assert tally(report) == (3, 0, 1, 0, 0, 2)
    assert report.excluded == {"partial": 1, "deleted": 1}
    report = await house.run(Listing(found(1), found(7)))
    assert tally(report) == (2, 1, 1, 0, 0, 0)


async def test_an_unreadable_item_is_kept_and_counted_as_failed_and_the_page_goes_on(house: House) -> None:
    source = Listing(found(1), found(2))
    source.unreadable = (Unreadable(item="9", reason="no time", raw='{"id":9}'),)
    report = await house.run(source)
    assert tally(report) == (3, 0, 2, 1, 0, 0)
    assert any("no time" in trouble.what for trouble in report.troubles)
    async with house.index() as index:
        [kept] = await index.unreadables()
    assert kept.unreadable.raw == '{"id":9}'


async def test_a_lost_clip_breaks_the_sum(house: House) -> None:
    """Every number is counted where it happens: a pipeline that forgets a clip cannot hide it."""

    class Forgets:
        def __init__(self, index: Index) -> None:
            self._index = index

        def __getattr__(self, name: str) -> object:
            return getattr(self._index, name)

        async def lacking(self, *args: object, **kwargs: object) -> list[Standing | None]:
            return (await self._index.lacking(*args, **kwargs))[:-1]  # type: ignore[arg-type]  # handed on

    report = await house.run(Listing(*(found(n) for n in range(5))), wrap=Forgets)  # type: ignore[arg-type]  # a fault
    assert not report.total.adds_up
    assert report.total.listed == 5
    assert report.total.stored == 4


# --- clips that fail


@pytest.mark.parametrize("error", [BadClip("cut"), Forbidden("no"), ClipGone("404"), CommandFailed("not uploaded")])
async def test_one_bad_clip_is_a_failed_try_and_the_others_are_stored(house: House, error: Exception) -> None:
    report = await house.run(Listing(failing(1, always(error)), *(found(n) for n in range(2, 9))))
    assert tally(report) == (8, 0, 7, 1, 0, 0)
    state, tries, reason = await house.state(clip(1).id)
    assert (state, tries) == (State.FAILED, 1)
    assert str(error) in reason
    assert house.spooled == []


async def test_three_attempts_are_one_try(house: House) -> None:
    report = await house.run(Listing(failing(1, BadClip("a"), BadClip("b"))))
    assert tally(report)[2] == 1
    report = await house.run(Listing(failing(2, BadClip("a"), BadClip("b"), BadClip("c"))))
    assert tally(report)[3] == 1
    assert (await house.state(clip(2).id))[1] == 1


async def test_after_ten_tries_a_clip_is_given_up_visibly_and_tried_again_after_a_week(house: House) -> None:
    bad = failing(1, always(BadClip("cut")))
    for _ in range(9):
        assert tally(await house.run(Listing(bad))) == (1, 0, 0, 1, 0, 0)
    assert tally(await house.run(Listing(bad))) == (1, 0, 0, 0, 1, 0)
    assert (await house.state(clip(1).id))[0] is State.GAVE_UP
    opened: list[int] = []
    healed = found(1, opened=opened)
    assert tally(await house.run(Listing(healed))) == (1, 0, 0, 0, 1, 0)
    assert opened == [], "within the week it is left alone"
    house.clock.advance(7 * 86400)
    assert tally(await house.run(Listing(healed))) == (1, 0, 1, 0, 0, 0)


@pytest.mark.parametrize("error", [TokenRevoked(), Throttled("slow", retry_after=600), Unreachable("no route")])
async def test_when_blink_is_away_no_clip_is_blamed_and_the_run_ends_soon(house: House, error: Exception) -> None:
    report = await house.run(Listing(*(failing(n, always(error)) for n in range(200)), size=20), in_flight=2)
    listed, _, stored, failed, *_ = tally(report)
    assert stored == 0
    assert failed == listed < 200, "the listing is broken off"
    assert not report.complete
    assert (await house.state(clip(0).id))[:2] == (State.PENDING, 0)
    assert sum(house.clock.sleeps) < 120
    assert tally(await house.run(Listing(*(found(n) for n in range(200)))))[2] == 200


async def test_a_listing_that_breaks_off_keeps_what_came_and_concludes_nothing(house: House) -> None:
    source = Listing(*(found(n) for n in range(30)), error=ListingIncomplete("page 2: 500"))
    report = await house.run(source)
    assert tally(report)[2] == 30
    assert not report.complete
    await house.run(source)
    assert source.asked == [datetime(1970, 1, 1, tzinfo=UTC)] * 2, "the next listing is whole again"


async def test_one_account_that_needs_a_sign_in_does_not_stop_the_other(house: House) -> None:
    report = await house.run(Listing(error=TokenRevoked()), Listing(found(1, account="cabin"), account="cabin"))
    assert report.login_needed == ("home",)
    assert report.accounts["cabin"].stored == 1


# --- how much is listed


async def test_listings_overlap_and_once_a_day_all_is_listed(house: House) -> None:
    source = Listing(found(1))
    for _ in range(2):
        await house.run(source)
    house.clock.advance(3600)
    await house.run(source)
    house.clock.advance(86400)
    await house.run(source)
    everything = datetime(1970, 1, 1, tzinfo=UTC)
    assert source.asked == [everything, NOW - timedelta(hours=48), NOW - timedelta(hours=48), everything]


async def test_a_pending_clip_that_is_older_than_the_overlap_is_listed_again(house: House) -> None:
    house.clock.advance(5 * 86400)
    bad = Listing(failing(1, BadClip("a"), BadClip("b"), BadClip("c")), found(2))
    assert tally(await house.run(bad))[3] == 1
    assert tally(await house.run(bad)) == (2, 1, 1, 0, 0, 0)


async def test_a_clock_that_went_back_lists_everything(house: House) -> None:
    source = Listing(found(1))
    house.clock.advance(86400 * 30)
    await house.run(source)
    house.clock = ManualClock(NOW)
    await house.run(source)
    assert source.asked[1] == datetime(1970, 1, 1, tzinfo=UTC)


async def test_a_narrow_run_proves_nothing_about_the_rest(house: House) -> None:
    source = Listing(*(found(n) for n in range(10)))
    await house.run(source, ask=Ask(since=START + timedelta(minutes=5)))
    assert tally(await house.run(source)) == (10, 5, 5, 0, 0, 0)


async def test_what_another_run_is_bringing_just_now_is_left_to_it(house: House) -> None:
    opened: list[int] = []
    source = Listing(found(1, opened=opened), found(2, opened=opened))
    house.in_hand = {clip(1).id}
    report = await house.run(source)
    assert (opened, report.excluded) == ([2], {"on its way in another run": 1})
    assert tally(report) == (2, 0, 1, 0, 0, 1)
    assert await house.state(clip(1).id) == (State.PENDING, 0, "")
    assert house.in_hand == {clip(1).id}, "what the run itself brought it has put down"
    house.in_hand.clear()
    assert tally(await house.run(source)) == (2, 1, 1, 0, 0, 0)


async def test_a_clip_that_another_run_brings_to_one_sink_is_not_fed_to_it_by_this_one(house: House) -> None:
    await house.run(Listing(found(1)))
    house.sinks["later"] = MemorySink()
    house.in_hand = {clip(1).id}
    await house.run()
    assert (await house.state(clip(1).id, "later"))[0] is State.PENDING
    house.in_hand.clear()
    await house.run()
    assert (await house.state(clip(1).id, "later"))[0] is State.STORED


async def test_since_until_and_camera_are_exact(house: House) -> None:
    refs = [found(n, camera=name) for n, name in enumerate(["Porch", "Back Yard", "Porch", "porch!", "Garage", "Porch"])]
    ask = Ask(since=START + timedelta(minutes=1), until=START + timedelta(minutes=5), cameras=("back yard", "Porch"))
    report = await house.run(Listing(*refs), ask=ask)
    assert {each.camera for each, _ in house.told} == {"Back Yard", "Porch", "porch!"}
    assert {each.id for each, _ in house.told} == {clip(n).id for n in (1, 2, 3)}
    assert report.excluded == {"after until": 1, "other camera": 1}
    assert tally(report)[0] == 5, "what was recorded before since is not even listed"


async def test_a_clip_that_the_source_lists_no_longer_is_given_up_in_the_end(house: House) -> None:
    await house.run(Listing(failing(1, always(BadClip("cut")))))
    for _ in range(12):
        await house.run(Listing(found(2)))
    state, _, reason = await house.state(clip(1).id)
    assert state is State.GAVE_UP
    assert "no longer lists" in reason


async def test_what_a_part_that_could_not_be_listed_does_not_show_may_still_be_there(house: House) -> None:
    source = Listing(failing(1, always(BadClip("cut"))), failing(22, always(BadClip("cut"))))
    await house.run(source)
    source.refs = []
    source.parts = (Part(scope="cloud:home:1", name="one stick"), Part(scope="cloud:home:2", name="another", trouble="taken out"))
    await house.run(source)
    assert (await house.state(clip(1).id))[2] == "the source no longer lists it"
    assert (await house.state(clip(22).id))[1:] == (1, "cut"), "nothing has been learned about it"


async def test_a_part_that_was_listed_once_and_cannot_be_now_makes_the_run_incomplete(house: House) -> None:
    source = Listing(found(1))
    away = Part(scope="cloud:home:9", name="the stick", trouble="taken out")
    source.parts = (*source.parts, away)
    report = await house.run(source)
    assert report.complete, "nobody ever had clips from it"
    assert report.troubles == ()
    source.parts = (source.parts[0], replace(away, trouble=""))
    assert (await house.run(source)).complete
    house.clock.advance(60)
    source.parts = (source.parts[0], away)
    report = await house.run(source)
    assert not report.complete
    assert report.troubles == (Trouble(where="account home, cloud", what="the stick: taken out"),)
    async with house.index() as index:
        cloud, stick = await index.parts()
    assert (cloud.part.trouble, cloud.trouble_since, cloud.listed_at) == ("", None, NOW + timedelta(seconds=60))
    assert (stick.part, stick.trouble_since, stick.listed_at) == (away, NOW + timedelta(seconds=60), NOW)


async def test_a_dry_run_changes_nothing_and_tells_what_it_would_fetch(house: House) -> None:
    opened: list[int] = []
    await house.run(Listing(found(0)))
    source = Listing(*(found(n, opened=opened) for n in range(4)))
    report = await house.run(source, ask=Ask(dry_run=True))
    assert tally(report) == (4, 1, 0, 0, 0, 3)
    assert {standing.clip.id for standing in house.planned} == {clip(n).id for n in (1, 2, 3)}
    assert opened == []
    async with house.index() as index:
        assert (await index.standings([clip(2).id], [SinkName("nas")])) == []


# --- sinks that fail


class Down(MemorySink):
    """A sink that can be taken down."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error: Exception | None = error

    async def put(self, key: Key, content: Content) -> None:
        if self.error and key.endswith(".mp4"):
            raise self.error
        await super().put(key, content)


@pytest.mark.parametrize("error", [SinkUnavailable("away"), SinkFull("no room"), RuntimeError("bug")])
async def test_one_sink_in_trouble_never_holds_another(house: House, error: Exception) -> None:
    down = Down(error)
    house.sinks["offsite"] = down
    report = await house.run(Listing(*(found(n) for n in range(40))))
    assert house.sinks["nas"].clips == {film(n) for n in range(40)}
    assert tally(report) == (40, 0, 0, 40, 0, 0)
    assert report.sinks[SinkName("nas")].stored == 40
    assert report.sinks[SinkName("offsite")].failed == 40
    assert house.spooled == []


async def test_a_sink_that_comes_back_is_fed_from_the_one_that_has_the_clips_and_blink_is_not_asked(house: House) -> None:
    down = Down(SinkUnavailable("away"))
    house.sinks["offsite"] = down
    opened: list[int] = []
    await house.run(Listing(*(found(n, opened=opened) for n in range(40))))
    down.error = None
    report = await house.run(Listing())
    assert down.clips == {film(n) for n in range(40)}
    assert len(opened) == 40
    assert tally(report) == (40, 0, 40, 0, 0, 0)
    assert report.sinks[SinkName("nas")].known == 40


async def test_a_sink_that_was_away_blames_no_clip(house: House) -> None:
    down = Down(SinkUnavailable("away"))
    house.sinks["offsite"] = down
    for _ in range(12):
        await house.run(Listing(found(1)))
    assert (await house.state(clip(1).id, "offsite"))[:2] == (State.PENDING, 0)


async def test_a_sink_added_later_is_filled_from_the_others(house: House) -> None:
    await house.run(Listing(*(found(n) for n in range(10))))
    house.sinks["offsite"] = MemorySink()
    await house.run(Listing())
    assert house.sinks["offsite"].clips == {film(n) for n in range(10)}


async def test_a_damaged_copy_is_not_handed_on(house: House) -> None:
    await house.run(Listing(found(1)))
    nas = house.sinks["nas"]
    [key] = [key for key in nas.objects if key.endswith(".mp4")]
    nas.objects[key] = film(2)
    house.sinks["offsite"] = MemorySink()
    report = await house.run(Listing())
    assert house.sinks["offsite"].clips == set()
    assert tally(report)[3] == 1
    assert any("is not what was stored there" in trouble.what for trouble in report.troubles)
    assert tally(await house.run(Listing(found(1))))[2] == 1
    assert house.sinks["offsite"].clips == {film(1)}


class Slow(MemorySink):
    """A sink that takes nothing until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()

    async def put(self, key: Key, content: Content) -> None:
        if key.endswith(".mp4"):
            await self.let.wait()
        await super().put(key, content)


async def test_a_slow_sink_delays_no_other_however_much_there_is(house: House) -> None:
    slow = Slow()
    house.sinks["offsite"] = slow
    running = asyncio.ensure_future(house.run(Listing(*(found(n) for n in range(400)))))
    while len(house.sinks["nas"].clips) < 400:
        assert not running.done()
        await asyncio.sleep(0.01)
    assert slow.clips == set()
    assert len(house.spooled) <= 260
    slow.let.set()
    report = await running
    assert slow.clips == {film(n) for n in range(400)}, "what would not wait was fed from the other sink, at last"
    assert tally(report) == (400, 0, 400, 0, 0, 0)
    assert report.sinks[SinkName("offsite")].stored == 400
    assert tally(await house.run(Listing(*(found(n) for n in range(400)))))[1] == 400


async def test_what_was_sent_away_from_a_slow_sink_and_is_fed_by_another_run_counts_as_failed(house: House) -> None:
    slow = Slow()
    house.sinks["offsite"] = slow
    running = asyncio.ensure_future(house.run(Listing(*(found(n) for n in range(400))), ask=Ask(feed=False)))
    while len(house.sinks["nas"].clips) < 400:
        assert not running.done()
        await asyncio.sleep(0.01)
    slow.let.set()
    first = await running
    assert first.sinks[SinkName("offsite")].failed == 400 - len(slow.clips) > 0
    assert tally(first)[3] == 400 - len(slow.clips)
    tally(await house.run(Listing()))
    assert slow.clips == {film(n) for n in range(400)}


async def test_a_stop_before_a_clip_that_was_sent_away_is_fed_is_told_truly(house: House) -> None:
    slow = Slow()
    house.sinks["offsite"] = slow
    running = asyncio.ensure_future(house.run(Listing(*(found(n) for n in range(400)))))
    while len(house.sinks["nas"].clips) < 400:
        await asyncio.sleep(0.01)
    running.cancel()
    report = await running
    assert (report.stopped, tally(report)) == (True, (400, 0, 0, 400, 0, 0))
    slow.let.set()
    tally(await house.run(Listing()))
    assert slow.clips == {film(n) for n in range(400)}


# --- stops


async def test_a_stop_ends_the_run_soon_with_a_true_report_and_the_next_run_finishes_it(house: House) -> None:
    slow = Slow()
    house.sinks = {"nas": slow}
    running = asyncio.ensure_future(house.run(Listing(*(found(n) for n in range(100)))))
    while not house.spooled:
        await asyncio.sleep(0.01)
    running.cancel()
    report = await running
    assert report.stopped
    listed, _, stored, failed, *_ = tally(report)
    assert (stored, failed) == (0, listed)
    slow.let.set()
    assert tally(await house.run(Listing(*(found(n) for n in range(100)))))[2] == 100


async def test_what_a_killed_run_left_in_the_spool_is_not_fetched_again(house: House) -> None:
    slow = Slow()
    house.sinks = {"nas": slow}
    opened: list[int] = []
    running = asyncio.ensure_future(house.run(Listing(*(found(n, opened=opened) for n in range(6)))))
    while len(house.spooled) < 6:
        await asyncio.sleep(0.01)
    running.cancel()
    await running
    slow.let.set()
    report = await house.run(Listing())  # the source has dropped them meanwhile
    assert slow.clips == {film(n) for n in range(6)}
    assert sorted(opened) == list(range(6))
    assert tally(report)[2] == 6
    assert house.spooled == []


# --- catalogues


async def test_a_sink_carries_its_own_catalogue_of_every_copy(house: House) -> None:
    await house.run(Listing(*(found(n) for n in range(3))))
    nas = house.sinks["nas"]
    [key] = [key for key in nas.objects if key.startswith("catalog/")]
    assert key == f"catalog/{NOW:%Y%m%dT%H%M%SZ}-abcd.jsonl"
    lines = [json.loads(line) for line in nas.objects[key].splitlines()]
    assert {line["id"] for line in lines} == {clip(n).id for n in range(3)}
    for line in lines:
        assert len(nas.objects[Key(line["key"])]) == line["size"]
    await house.run(Listing(*(found(n) for n in range(3))))
    assert len([key for key in nas.objects if key.startswith("catalog/")]) == 1, "nothing new, no catalogue"


async def test_a_run_that_stores_many_writes_several_catalogues_of_a_bounded_size(house: House) -> None:
    await house.run(Listing(*(found(n) for n in range(CATALOGUED + 1))))
    nas = house.sinks["nas"]
    catalogues = {key: data.splitlines() for key, data in nas.objects.items() if key.startswith("catalog/")}
    assert sorted(map(len, catalogues.values())) == [1, CATALOGUED]
    assert {json.loads(line)["id"] for lines in catalogues.values() for line in lines} == {
        clip(n).id for n in range(CATALOGUED + 1)
    }


async def test_copies_of_a_killed_run_are_catalogued_by_the_next(house: House) -> None:
    async def stop(*_: object) -> None:
        running.cancel()

    class StopsAtTheCatalogue(MemorySink):
        async def put(self, key: Key, content: Content) -> None:
            if key.startswith("catalog/") and not self.stopped:
                self.stopped = True
                raise SinkUnavailable("killed")
            await super().put(key, content)

        stopped = False

    house.sinks = {"nas": StopsAtTheCatalogue()}
    running = asyncio.ensure_future(house.run(Listing(found(1))))
    await running
    await house.run(Listing(found(2)))
    catalogues = b"".join(data for key, data in house.sinks["nas"].objects.items() if key.startswith("catalog/"))
    assert all(clip(n).id.encode() in catalogues for n in (1, 2))


async def test_a_sign_in_that_ends_after_the_listing_is_told_too(house: House) -> None:
    report = await house.run(Listing(*(failing(n, always(TokenRevoked())) for n in range(3))))
    assert report.login_needed == ("home",)
    assert not report.complete
    assert tally(report) == (3, 0, 0, 3, 0, 0)


# --- what a whole, durable copy is worth


async def test_a_clip_that_no_sink_could_take_stays_in_the_spool_and_outlives_its_source(house: House) -> None:
    down = Down(SinkUnavailable("away"))
    house.sinks = {"nas": down}
    opened: list[int] = []
    source = Listing(*(found(n, opened=opened) for n in range(3)))
    for _ in range(3):
        assert tally(await house.run(source))[3] == 3
    assert sorted(opened) == [0, 1, 2], "what was fetched whole is not fetched again"
    down.error = None
    assert tally(await house.run(Listing()))[2] == 3
    assert down.clips == {film(n) for n in range(3)}
    assert house.spooled == []


async def test_a_holder_that_is_offline_makes_nobody_give_up(house: House) -> None:
    await house.run(Listing(*(found(n) for n in range(3))))
    nas, house.sinks = house.sinks["nas"], {"nas": MemorySink(), "offsite": MemorySink()}  # another, empty place
    for _ in range(12):
        report = await house.run(Listing())
        assert report.total.failed == 3
    assert (await house.state(clip(1).id, "offsite"))[:2] == (State.PENDING, 0)
    house.sinks["nas"] = nas
    await house.run(Listing())
    assert house.sinks["offsite"].clips == {film(n) for n in range(3)}


async def test_a_clip_that_one_sink_refuses_is_a_failed_try_and_the_others_are_stored(house: House) -> None:
    class NoLargeOnes(MemorySink):
        async def put(self, key: Key, content: Content) -> None:
            if content.path.read_bytes() == film(1):
                raise SinkError("too large for a proxy in front of the store")
            await super().put(key, content)

    house.sinks["offsite"] = NoLargeOnes()
    for tries in range(1, 4):
        report = await house.run(Listing(*(found(n) for n in range(4))))
        assert report.sinks[SinkName("offsite")].failed == 1
        assert await house.state(clip(1).id, "offsite") == (State.FAILED, tries, "too large for a proxy in front of the store")
    assert house.sinks["offsite"].clips == {film(n) for n in (0, 2, 3)}


async def test_a_clip_that_one_sink_gave_up_is_counted_once(house: House) -> None:
    class NoNumberOne(MemorySink):
        async def put(self, key: Key, content: Content) -> None:
            if content.path.read_bytes() == film(1):
                raise BadKey("not this one")
            await super().put(key, content)

    house.sinks["offsite"] = NoNumberOne()
    for _ in range(10):
        await house.run(Listing(found(1)))
    assert tally(await house.run(Listing(found(1)))) == (1, 0, 0, 0, 1, 0)


async def test_one_place_is_not_two_sinks(house: House) -> None:
    house.sinks = {"nas": MemorySink()}
    house.sinks["again"] = house.sinks["nas"]
    report = await house.run(Listing(found(1)))
    stored = [report.sinks[SinkName(name)].stored for name in ("nas", "again")]
    assert sorted(stored) == [0, 1], "whichever of them is proven first"
    assert tally(report)[3] == 1


async def test_a_damaged_leftover_that_is_fetched_again_is_not_swept_away_with_the_old_one(house: House) -> None:
    slow = Slow()
    house.sinks = {"nas": slow}
    running = asyncio.ensure_future(house.run(Listing(*(found(n) for n in range(8)))))
    while len(house.spooled) < 8:
        await asyncio.sleep(0.01)
    running.cancel()
    await running
    for path in house.spooled:
        path.write_bytes(path.read_bytes()[:-1])
    slow.let.set()
    assert tally(await house.run(Listing(*(found(n) for n in range(8)))))[2] == 8
    assert slow.clips == {film(n) for n in range(8)}


async def test_throttling_is_waited_for_as_long_as_the_run_is_patient(house: House) -> None:
    slow_down = Throttled("slow down", retry_after=1)
    report = await house.run(Listing(failing(0, *[slow_down] * 8), *(found(n) for n in range(1, 30))))
    assert tally(report) == (30, 0, 30, 0, 0, 0)


async def test_a_fault_of_this_machine_is_no_try_of_the_clip_and_does_not_stop_the_other_account(house: House) -> None:
    broken = failing(1, always(ArchiveError("the token file cannot be saved")))
    cabin = Listing(*(found(n, film(100 + n), account="cabin") for n in range(4)), account="cabin")
    report = await house.run(Listing(broken), Listing(error=ArchiveError("disk"), account="third"), cabin)
    assert report.accounts["cabin"].stored == 4
    assert not report.complete
    assert (await house.state(clip(1).id))[:2] == (State.PENDING, 0)


async def test_a_sink_that_hangs_in_opening_holds_up_no_other(house: House) -> None:
    class Hangs(MemorySink):
        @asynccontextmanager
        async def open(self, key: Key, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
            await asyncio.Event().wait()
            yield self.nothing()

        async def nothing(self) -> AsyncIterator[bytes]:
            yield b""

    house.opening = 0.5
    house.sinks["offsite"] = Hangs()
    report = await house.run(Listing(found(1)))
    assert report.sinks[SinkName("nas")].stored == 1
    assert report.sinks[SinkName("offsite")].failed == 1
