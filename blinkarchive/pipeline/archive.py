"""A run: a source discovers clips, the index says which sinks lack each, and a courier brings it there."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import OrderedDict, defaultdict, deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from blinkarchive.clock import Clock
from blinkarchive.encryption import Identities
from blinkarchive.errors import BlinkArchiveError
from blinkarchive.faults import concerns_all
from blinkarchive.interfaces import Batch, ClipRef, Source, Unreadable
from blinkarchive.model import TRIES, Clip, ClipId, Copy, SinkName, SourceName, Standing, State, Subject
from blinkarchive.pipeline.courier import Courier, Way, no_source
from blinkarchive.pipeline.deletion import Deletions
from blinkarchive.pipeline.identity import listed_id, set_apart
from blinkarchive.pipeline.joining import next_settled
from blinkarchive.pipeline.lane import Lane
from blinkarchive.pipeline.naming import Namer, slug
from blinkarchive.pipeline.progress import Progress
from blinkarchive.pipeline.spool import Spool
from blinkarchive.retry import Patience

if TYPE_CHECKING:
    from blinkarchive.index import Index
    from blinkarchive.index.facts import SeenPart

log = logging.getLogger(__name__)

EVERYTHING = datetime(1970, 1, 1, tzinfo=UTC)
OVERLAP = timedelta(hours=48)
"""How far before the last complete listing the next one begins: clips may appear late."""
FULL_EVERY = timedelta(days=1)
"""How often all that the source still has is listed again."""

NOT_LISTED = "the source no longer lists it"
"""Why a clip failed that its source should have listed."""

TWIN = "twin"
"""Why a clip of a stick was left out whose twin in the cloud is stored."""

DISMISSED = "dismissed"
"""Why a clip was left out that its owner dismissed."""

_MOST_SPOOLED = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a run is asked to do; without anything, all that is new."""

    since: datetime | None = None
    until: datetime | None = None
    #: Names or ids of cameras; none means all.
    cameras: tuple[str, ...] = ()
    sources: tuple[SourceName, ...] = ()
    sinks: tuple[SinkName, ...] = ()
    #: Whether to collect what the sources have.
    collect: bool = True
    #: Whether to bring sinks what others of them, or the spool, hold.
    feed: bool = True
    #: What opens the encrypted copies of sinks, so that others can be fed from them.
    identities: Identities | None = None
    dry_run: bool = False

    @property
    def partial(self) -> bool:
        """Whether some clips are left out on purpose, so that the run's listing proves nothing about the others."""
        return bool(self.since or self.until or self.cameras)

    @property
    def narrow(self) -> bool:
        """Whether nothing is concluded from the run's listing."""
        return self.partial or self.dry_run

    def leaves_out(self, clip: Clip) -> str:
        """Why the clip is not wanted; "" when it is."""
        if self.since is not None and clip.recorded_at < self.since:
            return "before since"
        if self.until is not None and clip.recorded_at >= self.until:
            return "after until"
        wanted = {slug(name) for name in self.cameras} | set(self.cameras)
        if wanted and not wanted & {clip.camera, slug(clip.camera), clip.camera_id}:
            return "other camera"
        return ""


class Archive:
    """One run of the pipeline. Its sinks are open and proven (or closed, with a reason); its counters are in `progress`."""

    def __init__(
        self,
        *,
        index: Index,
        spool: Spool,
        lanes: Sequence[Lane],
        namer: Namer,
        clock: Clock,
        progress: Progress,
        ask: Ask | None = None,
        patience: Mapping[str, Patience] | None = None,
        stored: Callable[[Clip, Copy], Awaitable[None]],
        planned: Callable[[Standing], None] = lambda _: None,
        in_flight: int = 16,
        in_hand: set[ClipId] | None = None,
        trusted: Sequence[SinkName] | None = None,
        beside: Sequence[SinkName] = (),
        skip_twins: bool = False,
        deletions: Deletions | None = None,
    ) -> None:
        """`stored` is told of each copy; `planned`, in a dry run, of each clip that a run would fetch.
        `in_flight` bounds the clips that no sink holds yet. `in_hand` is what all runs that go on at once share: the clips
        that one of them is bringing, which the others leave alone. `trusted` are the sinks that must hold a clip before
        anybody else lets go of it, by default those of this run. With `skip_twins` a clip on a stick whose twin in the cloud
        is stored in each of them is left out. `beside` are the archive's sinks that are not in this run.
        `deletions` looks at what is listed, where the listing is of everything.
        """
        self._ask = ask or Ask()
        self._index = index
        self._spool = spool
        self._lanes = {lane.name: lane for lane in lanes}
        self._sinks = tuple(self._lanes)
        self._trusted = self._sinks if trusted is None else tuple(trusted)
        self._skip_twins = skip_twins
        self._deletions = None if self._ask.partial else deletions
        self._namer = namer
        self._clock = clock
        self._progress = progress
        self._planned = planned
        self._slots = asyncio.Semaphore(in_flight)
        self._in_hand = set() if in_hand is None else in_hand
        self._in_slot: set[ClipId] = set()
        self._room = asyncio.Semaphore(_MOST_SPOOLED)
        #: Clips that some sink holds while others are slow to take them, oldest first: the futures that wait for a place.
        self._waiting: OrderedDict[ClipId, list[asyncio.Future[bool]]] = OrderedDict()
        self._unfinished: set[ClipId] = set()
        #: Clips that were sent away from slow sinks and wait to be fed, and how they stand.
        self._postponed: dict[ClipId, tuple[Clip, dict[SinkName, str]]] = {}
        self._courier = Courier(
            index=index,
            spool=spool,
            lanes=self._lanes,
            clock=clock,
            progress=progress,
            patience=defaultdict(Patience) if patience is None else patience,
            stored=stored,
            held=self._held,
            identities=self._ask.identities,
            make_room=self._make_room_in_spool,
            beside=beside,
        )
        self._dismissed: Mapping[ClipId, Collection[SinkName]] = {}
        self._making_room = asyncio.Lock()
        self._times_made_room = 0

    async def collect(self, sources: Sequence[Source]) -> None:
        """Collect from every source at once.

        Where clips of sticks are left to their twins, the cloud comes first, to its end, and into every sink.
        """
        self._progress.listing = len(sources)
        self._dismissed = await self._index.dismissed()
        later = [source for source in sources if self._skip_twins and source.name is SourceName.SYNC_MODULE]
        first = [source for source in sources if source not in later]
        try:
            await self._collect_from(first)
            if later:
                if self._ask.feed:
                    await self.feed()
                await self._collect_from(later)
        finally:
            self._progress.listing = 0

    # --- discover

    async def _collect_from(self, sources: Sequence[Source]) -> None:
        async with asyncio.TaskGroup() as collecting:
            for source in sources:
                collecting.create_task(self._collect(source))

    async def _collect(self, source: Source) -> None:
        """Collect from one source; it ends by itself, well or not. Raises `ArchiveError`: without the index nothing goes on."""
        subject = Subject.account(source.account, source.name)
        try:
            await self._collect_all(source)
        except Exception as error:
            if concerns_all(error):
                raise
            log.exception("a fault ended the work on a source", extra={"account": source.account, "source": source.name})
            self._progress.crash(subject, error)
        if not self._ask.partial:  # of what it was not asked for, the run knows nothing
            await self._courier.judge(subject)
            self._progress.succeeded(subject)

    async def _collect_all(self, source: Source) -> None:
        since, full = await self._window(source)
        began = self._clock.now()
        parts: list[SeenPart] = []
        if self._deletions is not None:
            await self._deletions.begin(source)
        async with asyncio.TaskGroup() as clips:
            try:
                failure = await self._list(source, since, began, clips, parts)
            finally:
                self._progress.listing -= 1
        failure = self._courier.down.get(source.account, failure)
        if failure is not None:
            self._source_failed(source, failure)
        if not self._ask.narrow:
            for seen in parts:
                self._tell_of(source, seen, failure)
            await self._missed(source, since, tuple(seen.part.scope for seen in parts if not seen.part.trouble))
            if failure is None:
                await self._index.listed(source.account, source.name, started_at=began, full=full)
        if self._deletions is not None:
            await self._deletions.end(source, since, whole=failure is None)

    async def _list(
        self, source: Source, since: datetime, began: datetime, clips: asyncio.TaskGroup, parts: list[SeenPart]
    ) -> BlinkArchiveError | None:
        """Take every batch there is, and keep the words on parts. Gives what ended the listing early; what the index raises goes
        through.
        """
        async with aclosing(source.discover(since)) as batches:  # type: ignore[type-var]  # sources are generators
            while source.account not in self._courier.down:
                try:
                    batch = await anext(batches)
                except StopAsyncIteration:
                    break
                except BlinkArchiveError as error:
                    return error
                batch = await self._set_apart(batch)
                if batch.part is not None and not self._ask.narrow:  # now: what it holds may take hours to bring
                    parts.append(await self._index.heard_of(source.account, source.name, batch.part, started_at=began))
                await self._take(source, batch, clips)
                if self._deletions is not None:
                    await self._deletions.look(source, batch)
        return None

    async def _set_apart(self, batch: Batch) -> Batch:
        """The batch with ids of their own for the clips that are other ones than those stored under their ids: all are kept."""
        batch, conflicts = set_apart(batch, await self._index.known([ref.clip.id for ref in batch.found]))
        if conflicts:
            before = await self._index.known([conflict.id for conflict in conflicts])
            for conflict in conflicts:
                if conflict.id not in before:
                    what = f"{conflict.what}. Both are kept, this one as {conflict.id}, and neither is deleted at Blink"
                    self._progress.trouble(f"clip {listed_id(conflict.id)}", what)
        return batch

    async def _window(self, source: Source) -> tuple[datetime, bool]:
        """Where the listing begins, and whether that is everything. It bounds the work; what is new, the index decides."""
        if self._ask.since is not None:
            return max(self._ask.since, EVERYTHING), False
        last = await self._index.listing(source.account, source.name)
        if last is None or last.full_at is None or not timedelta(0) <= self._clock.now() - last.full_at < FULL_EVERY:
            return EVERYTHING, True
        unstored = await self._index.unstored(source.account, source.name, self._sinks)
        return min([last.complete_at - OVERLAP, *(recorded_at for _, recorded_at in unstored)]), False

    def _source_failed(self, source: Source, error: BlinkArchiveError) -> None:
        self._progress.source_failed(source.account, source.name, error)
        self._progress.trouble(f"account {source.account}, {source.name}", str(error))

    def _tell_of(self, source: Source, seen: SeenPart, failure: BlinkArchiveError | None) -> None:
        """Report a part that was listed before and cannot be now, fault or not; one that is no longer there, only once."""
        part = seen.part
        reported = part.absent and seen.trouble_since != seen.seen_at
        if part.trouble and not reported and seen.listed_at is not None and part.trouble not in str(failure):
            subject, what = Subject.account(source.account, source.name), f"{part.name}: {part.trouble}"
            self._progress.complete = False
            self._progress.failed(subject, what)
            self._progress.trouble(str(subject), what)

    async def _missed(self, source: Source, since: datetime, whole: tuple[str, ...]) -> None:
        """What the parts that were listed to their end should have shown and did not is a failed try."""
        for clip, recorded_at in await self._index.unstored(source.account, source.name, self._sinks):
            if recorded_at >= since and clip.startswith(whole) and clip not in self._unfinished:
                states = [await self._index.failed(clip, sink, NOT_LISTED, counts=True) for sink in self._sinks]
                if State.GAVE_UP in states:  # it was not given up before: this is reported once
                    self._progress.gave_up_now += 1
                    self._progress.trouble(f"clip {clip}", f"{NOT_LISTED}, and no sink holds it")

    # --- lacking

    async def _take(self, source: Source, batch: Batch, clips: asyncio.TaskGroup) -> None:
        """Count what a page holds, ask the index once, and start what is lacking."""
        waiting = deque(batch.found)

        def ended(end: str, left_out: Collection[SinkName] = ()) -> None:
            ends = {sink: "excluded" if sink in left_out else end for sink in self._sinks}
            self._progress.ended(source.account, source.name, ends)

        number = len(batch.found) + len(batch.left_out) + len(batch.unreadable)
        self._progress.listed(source.account, source.name, number, self._sinks)
        try:
            for left in batch.left_out:
                self._progress.excluded[left.reason] += 1
                ended("excluded")
            await self._take_unreadable(source, batch.unreadable, ended)
            wanted = []
            for _ in range(len(waiting)):
                ref = waiting.popleft()
                if reason := self._ask.leaves_out(ref.clip):
                    self._progress.excluded[reason] += 1
                    ended("excluded")
                else:
                    wanted.append(ref)
            waiting.extend(wanted)
            with_twins = await self._left_to_twins(source, wanted)
            standings = await self._index.lacking([ref.clip for ref in wanted], self._sinks, self._namer)
            for standing in standings:
                twin, dismissed = with_twins.get(waiting[0].clip.id, ()), self._dismissed.get(waiting[0].clip.id, ())
                left_out = {*twin, *dismissed}.intersection(self._sinks)
                if standing is None or (twin and self._ask.dry_run):
                    self._progress.excluded.update([TWIN] if twin else [DISMISSED] if left_out else [])
                    ended("known", left_out)
                elif standing.clip.id in self._in_hand:
                    self._unfinished.add(standing.clip.id)
                    self._progress.excluded["on its way in another run"] += 1
                    ended("excluded")
                elif self._ask.dry_run:
                    self._planned(standing)
                    self._progress.excluded["dry run"] += 1
                    ended("excluded")
                else:
                    await self._start(clips, waiting[0], standing, source.name)
                waiting.popleft()
        except BaseException:
            for _ in waiting:  # a stop came before their turn
                ended("failed")
            raise

    async def _take_unreadable(self, source: Source, items: Sequence[Unreadable], ended: Callable[[str], None]) -> None:
        """Keep what could not be understood. After the tries that make a clip given up, an item is reported by `status` alone."""
        times = [1] * len(items)
        if items and not self._ask.dry_run:
            times = await self._index.unreadable(source.account, source.name, items)
        for item, met in zip(items, times, strict=True):
            if met <= TRIES:
                self._progress.trouble(f"account {source.account}, {source.name}, item {item.item}", item.reason)
            self._progress.gave_up_now += met == TRIES
            ended("failed" if met < TRIES else "gave_up")

    async def _left_to_twins(self, source: Source, refs: Sequence[ClipRef]) -> Mapping[ClipId, Collection[SinkName]]:
        """The clips of a stick that are left to their twins now, and the sinks of this run that lack them for that."""
        if source.name is not SourceName.SYNC_MODULE:
            return {}
        clips = [ref.clip for ref in refs]
        if self._skip_twins:
            await self._index.lacking(clips, self._sinks, self._namer)  # whoever has a twin must be known
        left = await self._index.leave_to_twins([clip.id for clip in clips], self._trusted, skip=self._skip_twins)
        return {id_: sinks.intersection(self._sinks) for id_, sinks in left.items()}

    async def _start(self, clips: asyncio.TaskGroup, ref: ClipRef, standing: Standing, source: SourceName) -> None:
        """Put a clip on its way, as soon as there is room for it."""
        way = Way(ref, standing)
        self._in_hand.add(way.clip.id)
        try:
            await self._slots.acquire()
            if self._room.locked():
                self._make_room()
            try:
                await self._room.acquire()
            except BaseException:
                self._slots.release()
                raise
        except BaseException:
            self._in_hand.discard(way.clip.id)
            raise
        self._in_slot.add(way.clip.id)
        task = clips.create_task(self._courier.bring(way))
        task.add_done_callback(functools.partial(self._arrived, way, source))

    def _arrived(self, way: Way, source: SourceName, task: asyncio.Task[None]) -> None:
        """A clip's way has ended, well or not, or was cut short: count it, unless its turn comes once more."""
        self._room.release()
        self._in_hand.discard(way.clip.id)
        self._release_slot(way)
        self._waiting.pop(way.clip.id, None)
        ends = {sink: way.ends.get(sink, "failed") for sink in self._sinks}
        if way.sent_away:
            self._postponed[way.clip.id] = (way.clip, ends)
            return
        if not set(ends.values()) <= {"stored", "known"}:
            self._unfinished.add(way.clip.id)
        self._progress.gave_up_now += way.given_up_now
        self._progress.ended(way.clip.account, source, ends)

    def _held(self, way: Way) -> None:
        """One sink has the clip: from here on, others that are slow to take it delay nobody."""
        self._release_slot(way)
        self._waiting[way.clip.id] = way.ticket

    def _release_slot(self, way: Way) -> None:
        if way.clip.id in self._in_slot:
            self._in_slot.remove(way.clip.id)
            self._slots.release()

    def _make_room(self) -> None:
        """The spool is full of clips that wait for slow sinks: send the oldest away; it is fed from the sink that holds it."""
        while self._waiting:
            _, ticket = self._waiting.popitem(last=False)
            if waits := [turn for turn in ticket if not turn.done()]:
                for turn in waits:
                    turn.set_result(False)
                return

    async def _make_room_in_spool(self) -> bool:
        """Let go of clips in the spool that some sink holds: they are there for others that were away, and that would have to get
        them from nowhere but the source. Gives whether there is room that was not there when it was asked for.
        """
        asked = self._times_made_room
        async with self._making_room:
            if self._times_made_room == asked:
                spooled = await self._index.standings(self._spool.leftovers, self._sinks)
                let_go = False
                for standing in spooled:
                    if standing.held and standing.clip.id not in self._in_hand:
                        await self._spool.release(standing.clip.id)
                        let_go = True
                await self._spool.tidy()
                self._times_made_room += let_go
            return self._times_made_room != asked

    # --- feed

    async def feed(self) -> None:
        """Bring what no source listed now: clips left in the spool by a killed run, and clips that one sink holds and another
        lacks. A dry run leaves that be.
        """
        if self._ask.dry_run:
            return
        async with asyncio.TaskGroup() as clips:
            lanes = self._lanes.values()
            while True:
                opening = [lane for lane in lanes if lane.opening]
                if not opening or any(lane.is_open for lane in lanes):
                    await self._feed_what_is_there(clips)
                if not opening:
                    break
                await next_settled(opening)
        if self._ask.identities is None:
            await self._tell_of_sealed()

    async def _feed_what_is_there(self, clips: asyncio.TaskGroup) -> None:
        """Start what the spool and the sinks that are open can give, each clip once."""
        leftovers = self._spool.leftovers
        spooled = await self._index.standings(leftovers, self._sinks)
        if strangers := len(leftovers) - len(spooled):
            self._progress.trouble("spool", f"it holds {strangers} clips that this index does not know; they are kept")
        for standing in spooled:
            if standing.lacking and (standing.readable or self._spool.holds(standing.clip.id)):
                await self._feed_one(clips, standing)
            elif standing.clip.id not in self._in_hand:
                await self._courier.let_go(standing.clip.id)
        if len(self._sinks) > 1:
            after: ClipId | None = None
            while page := await self._index.backlog(self._sinks, sealed=self._ask.identities is not None, after=after):
                for standing in page:
                    await self._feed_one(clips, standing)
                after = page[-1].clip.id

    async def _tell_of_sealed(self) -> None:
        """What a sink lacks that no other can give it, though the archive holds it, takes the owner's key."""
        on_their_way = {*self._unfinished, *self._in_hand, *self._spool.leftovers}
        there = [name for name, lane in self._lanes.items() if not lane.closed]
        for sink, number in (await self._index.sealed_away(there, but=on_their_way)).items():
            self._progress.sink_failed(
                sink,
                f"it lacks {number:,} clips that the archive holds only encrypted. What Blink still keeps comes there when "
                "all is listed, once a day; `blinkarchive run --identity FILE` brings the rest",
            )

    async def _feed_one(self, clips: asyncio.TaskGroup, standing: Standing) -> None:
        clip = standing.clip
        if clip.id in self._unfinished or clip.id in self._in_hand or self._ask.leaves_out(clip) or not self._can_feed(standing):
            return
        self._unfinished.add(clip.id)
        if self._postponed.pop(clip.id, None) is None:
            self._progress.listed(clip.account, clip.source, 1, self._sinks)
        await self._start(clips, ClipRef(clip=clip, open=no_source), standing, clip.source)

    def _can_feed(self, standing: Standing) -> bool:
        """Whether a sink that lacks the clip is open, and something that holds it need not be waited for."""
        held = [copy for copy in standing.held if copy.plain is None or self._ask.identities is not None]
        givers = [self._lanes[copy.sink] for copy in held]
        waits = any(lane.opening for lane in givers) and not any(lane.is_open for lane in givers)
        there = any(self._lanes[need.sink].is_open for need in standing.lacking)
        return there and (not waits or self._spool.holds(standing.clip.id))

    def settle(self) -> None:
        """Count what was sent away, and was not fed after all: another run has to bring it."""
        for clip, ends in self._postponed.values():
            self._progress.ended(clip.account, clip.source, ends)
        self._postponed.clear()

    async def judge_sinks(self) -> None:
        """The run came to its end: the sinks that are open, and took what they were given, did what they should."""
        for lane in self._lanes.values():
            await self._courier.judge(Subject.sink(lane.name))
            if not (lane.closed or self._ask.partial):
                self._progress.succeeded(Subject.sink(lane.name))
