"""The way of a clip: a source discovers it, the index says which sinks lack it, it is fetched once, put into each, checked
there, and only then recorded.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from blinkarchive.clock import Clock
from blinkarchive.errors import (
    BlinkArchiveError,
    ClipGone,
    CopyDiffers,
    ListingIncomplete,
    LoginNeeded,
    SourceError,
    Unavailable,
    Unreachable,
)
from blinkarchive.interfaces import Batch, Body, ClipRef, Source
from blinkarchive.model import Clip, ClipId, Content, Copy, Need, SinkName, SourceName, Standing, State
from blinkarchive.pipeline.lane import Lane
from blinkarchive.pipeline.naming import Namer, slug
from blinkarchive.pipeline.progress import Progress
from blinkarchive.pipeline.spool import Spool
from blinkarchive.retry import Patience, retry

if TYPE_CHECKING:
    from blinkarchive.index import Index

log = logging.getLogger(__name__)

EVERYTHING = datetime(1970, 1, 1, tzinfo=UTC)
OVERLAP = timedelta(hours=48)
"""How far before the last complete listing the next one begins: clips may appear late."""
FULL_EVERY = timedelta(days=1)
"""How often all that the source still has is listed again."""
GIVEN_UP_FOR = timedelta(days=7)
"""How long a clip that was given up is left alone."""

_MOST_SPOOLED = 256
_MOST_UNREACHABLE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a run is asked to do; without anything, all that is new."""

    since: datetime | None = None
    until: datetime | None = None
    #: Names or ids of cameras; none means all.
    cameras: tuple[str, ...] = ()
    sources: tuple[SourceName, ...] = ()
    sinks: tuple[SinkName, ...] = ()
    dry_run: bool = False

    @property
    def narrow(self) -> bool:
        """Whether some clips are left out on purpose, so that the run's listing proves nothing about the others."""
        return bool(self.since or self.until or self.cameras or self.dry_run)

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
        stored: Callable[[Clip, Copy], Awaitable[None]],
        planned: Callable[[Standing], None] = lambda _: None,
        in_flight: int = 64,
    ) -> None:
        """`stored` is told of each copy; `planned`, in a dry run, of each clip that a run would fetch.
        `in_flight` bounds the clips that no sink holds yet.
        """
        self._index = index
        self._spool = spool
        self._lanes = {lane.name: lane for lane in lanes}
        self._sinks = tuple(self._lanes)
        self._namer = namer
        self._clock = clock
        self._progress = progress
        self._ask = ask or Ask()
        self._stored = stored
        self._planned = planned
        self._began = clock.now()
        self._slots = asyncio.Semaphore(in_flight)
        self._room = asyncio.Semaphore(_MOST_SPOOLED)
        #: Clips that some sink holds while others are slow to take them, oldest first: the futures that wait for a place.
        self._waiting: OrderedDict[ClipId, list[asyncio.Future[bool]]] = OrderedDict()
        self._unfinished: set[ClipId] = set()
        self._patience: dict[str, Patience] = {}
        self._unreachable: dict[str, int] = {}
        self._down: dict[str, BlinkArchiveError] = {}

    async def run(self, sources: Sequence[Source]) -> None:
        """Collect from every source at once; then feed what some sinks lack from those that have it."""
        self._progress.listing = len(sources)
        try:
            async with asyncio.TaskGroup() as collecting:
                for source in sources:
                    collecting.create_task(self._collect(source))
        finally:
            self._progress.listing = 0
        if not self._ask.dry_run:
            await self._feed()

    # --- discover

    async def _collect(self, source: Source) -> None:
        since, full = await self._window(source)
        began = self._clock.now()
        async with asyncio.TaskGroup() as clips:
            try:
                async with aclosing(source.discover(since)) as batches:  # type: ignore[type-var]  # sources are generators
                    async for batch in batches:
                        await self._take(source, batch, clips)
                        if source.account in self._down:
                            raise ListingIncomplete("the listing was broken off")
            except SourceError as error:
                self._source_failed(source, error)
                return
            finally:
                self._progress.listing -= 1
        if not self._ask.narrow:
            await self._listed(source, since, began, full=full)

    async def _window(self, source: Source) -> tuple[datetime, bool]:
        """Where the listing begins, and whether that is everything. It bounds the work; what is new, the index decides."""
        if self._ask.since is not None:
            return self._ask.since, False
        last = await self._index.listing(source.account, source.name)
        if last is None or last.full_at is None or not timedelta(0) <= self._clock.now() - last.full_at < FULL_EVERY:
            return EVERYTHING, True
        unstored = await self._index.unstored(source.account, source.name, self._sinks)
        return min([last.complete_at - OVERLAP, *(recorded_at for _, recorded_at in unstored)]), False

    def _source_failed(self, source: Source, error: SourceError) -> None:
        self._progress.complete = False
        cause = self._down.get(source.account, error)
        if isinstance(cause, LoginNeeded) and source.account not in self._progress.login_needed:
            self._progress.login_needed.append(source.account)
        self._progress.trouble(f"account {source.account}, {source.name}", str(cause))

    async def _listed(self, source: Source, since: datetime, began: datetime, *, full: bool) -> None:
        """A listing went to its end: the next may begin there. What it should have shown and did not is a failed try."""
        for clip, recorded_at in await self._index.unstored(source.account, source.name, self._sinks):
            if recorded_at >= since and clip not in self._unfinished:
                for sink in self._sinks:
                    await self._index.failed(clip, sink, "the source no longer lists it", counts=True)
        await self._index.listed(source.account, source.name, started_at=began, full=full)

    # --- lacking

    async def _take(self, source: Source, batch: Batch, clips: asyncio.TaskGroup) -> None:
        """Count what a page holds, ask the index once, and start what is lacking."""
        waiting = deque(batch.found)

        def ended(end: str) -> None:
            self._progress.ended(source.account, source.name, dict.fromkeys(self._sinks, end))

        number = len(batch.found) + len(batch.left_out) + len(batch.unreadable)
        self._progress.listed(source.account, source.name, number, self._sinks)
        try:
            for left in batch.left_out:
                self._progress.excluded[left.reason] += 1
                ended("excluded")
            for item in batch.unreadable:
                self._progress.trouble(f"account {source.account}, {source.name}, item {item.item}", item.reason)
                ended("failed")
            if batch.unreadable and not self._ask.dry_run:
                await self._index.unreadable(source.account, source.name, batch.unreadable)
            wanted = []
            for _ in range(len(waiting)):
                ref = waiting.popleft()
                if reason := self._ask.leaves_out(ref.clip):
                    self._progress.excluded[reason] += 1
                    ended("excluded")
                else:
                    wanted.append(ref)
            waiting.extend(wanted)
            standings = await self._index.lacking([ref.clip for ref in wanted], self._sinks, self._namer)
            for standing in standings:
                if not standing.lacking:
                    ended("known")
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

    async def _start(self, clips: asyncio.TaskGroup, ref: ClipRef, standing: Standing, source: SourceName) -> None:
        """Put a clip on its way, as soon as there is room for it."""
        await self._slots.acquire()
        if self._room.locked():
            self._make_room()
        try:
            await self._room.acquire()
        except BaseException:
            self._slots.release()
            raise
        way = _Way(ref, standing)
        task = clips.create_task(self._bring(way))
        task.add_done_callback(functools.partial(self._arrived, way, source))

    def _arrived(self, way: _Way, source: SourceName, task: asyncio.Task[None]) -> None:
        """A clip's way has ended, well or not, or was cut short: count it."""
        self._room.release()
        self._release_slot(way)
        self._waiting.pop(way.clip.id, None)
        ends = {sink: way.ends.get(sink, "failed") for sink in self._sinks}
        if "failed" in ends.values():
            self._unfinished.add(way.clip.id)
        self._progress.ended(way.clip.account, source, ends)

    def _release_slot(self, way: _Way) -> None:
        if way.in_slot:
            way.in_slot = False
            self._slots.release()

    def _make_room(self) -> None:
        """The spool is full of clips that wait for slow sinks: send the oldest away; a later run feeds it from the sink
        that holds it.
        """
        while self._waiting:
            _, ticket = self._waiting.popitem(last=False)
            if waits := [turn for turn in ticket if not turn.done()]:
                for turn in waits:
                    turn.set_result(False)
                return

    # --- fetch, put, check, record

    async def _bring(self, way: _Way) -> None:
        """Fetch one clip once, and deliver it to every sink that lacks it. What goes wrong becomes how it ended."""
        for copy in way.standing.held:
            way.ends[copy.sink] = "known"
        needs = [need for need in way.standing.lacking if self._due(need, way)]
        if not needs:
            return
        try:
            content = await self._content(way)
        except BlinkArchiveError as error:
            self._progress.trouble(f"clip {way.clip.id}", str(error))
            for need in needs:
                await self._failed(way, need.sink, error)
            return
        async with asyncio.TaskGroup() as deliveries:
            for need in needs:
                deliveries.create_task(self._deliver(way, self._lanes[need.sink], content))
        await self._spool.release(way.clip.id)

    def _due(self, need: Need, way: _Way) -> bool:
        """Whether to try now: not what was given up within the week, nor a sink that is closed."""
        if need.state is State.EXCLUDED:
            way.ends[need.sink] = "excluded"
            return False
        if need.state is State.GAVE_UP and need.tried_at and self._clock.now() - need.tried_at < GIVEN_UP_FOR:
            way.ends[need.sink] = "gave_up"
            return False
        return not self._lanes[need.sink].closed

    async def _content(self, way: _Way) -> Content:
        """The clip's bytes: from the spool of a killed run, else from a sink that has them, else from the source."""
        leftover = await self._spool.leftover(way.clip.id)
        if leftover is not None:
            return leftover
        for copy in way.standing.held:
            try:
                return await self._reread(way.clip, self._lanes[copy.sink], copy)
            except BlinkArchiveError as error:
                self._progress.trouble(f"sink {copy.sink}", f"{copy.key} could not be read back: {error}")
        account = way.clip.account
        if account in self._down:
            raise Unreachable(str(self._down[account]))
        try:
            content = await retry(
                lambda: self._spool.fill(way.ref),
                clock=self._clock,
                patience=self._patience.setdefault(account, Patience()),
            )
        except Unavailable as error:
            self._judge(account, error)
            raise
        self._unreachable[account] = 0
        self._progress.fetched(account, way.clip.source, content.size)
        return content

    async def _reread(self, clip: Clip, lane: Lane, copy: Copy) -> Content:
        content = await self._spool.fill(ClipRef(clip=clip, open=lambda: lane.read(copy.key, copy.size)))
        if content.sha256 != copy.sha256:
            await self._spool.release(clip.id)
            raise CopyDiffers("its bytes are not those that were stored")
        return content

    def _judge(self, account: str, error: Unavailable) -> None:
        """Decide whether Blink as a whole is away, so that the account's other clips need not find out one by one."""
        if isinstance(error, Unreachable):
            self._unreachable[account] = self._unreachable.get(account, 0) + 1
            if self._unreachable[account] < _MOST_UNREACHABLE:
                return
        self._down.setdefault(account, error)

    async def _deliver(self, way: _Way, lane: Lane, content: Content) -> None:
        if not await lane.places.take(way.ticket):
            way.ends[lane.name] = "failed"
            return
        try:
            key = await lane.store(way.standing.key, content)
        except BlinkArchiveError as error:
            self._progress.trouble(f"sink {lane.name}", str(error))
            await self._failed(way, lane.name, error)
            return
        finally:
            lane.places.leave()
        copy = Copy(
            clip=way.clip.id,
            sink=lane.name,
            key=key,
            size=content.size,
            sha256=content.sha256,
            stored_at=self._clock.now(),
        )
        await self._index.record(copy)
        way.ends[lane.name] = "stored"
        self._progress.sinks[lane.name].bytes += content.size
        # One sink holds it: from here on a slow one delays nobody.
        self._release_slot(way)
        self._waiting[way.clip.id] = way.ticket
        await self._stored(way.clip, copy)

    async def _failed(self, way: _Way, sink: SinkName, error: BlinkArchiveError) -> None:
        """Record a failed try. When the other side as a whole is away it is none of the clip's."""
        state = await self._index.failed(way.clip.id, sink, str(error), counts=not isinstance(error, Unavailable))
        way.ends[sink] = "gave_up" if state is State.GAVE_UP else "failed"

    # --- feed

    async def _feed(self) -> None:
        """Bring what no source listed now: clips left in the spool by a killed run, and clips that one sink holds and another
        lacks.
        """
        async with asyncio.TaskGroup() as clips:
            spooled = await self._index.standings(self._spool.leftovers, self._sinks)
            for standing in spooled:
                if standing.lacking:
                    await self._feed_one(clips, standing)
                else:
                    await self._spool.release(standing.clip.id)
            if len(self._sinks) > 1:
                after: ClipId | None = None
                while page := await self._index.backlog(self._sinks, after=after):
                    for standing in page:
                        await self._feed_one(clips, standing)
                    after = page[-1].clip.id

    async def _feed_one(self, clips: asyncio.TaskGroup, standing: Standing) -> None:
        clip = standing.clip
        open_lanes = any(not self._lanes[need.sink].closed for need in standing.lacking)
        if clip.id in self._unfinished or self._ask.leaves_out(clip) or not open_lanes:
            return
        self._unfinished.add(clip.id)
        self._progress.listed(clip.account, clip.source, 1, self._sinks)
        await self._start(clips, ClipRef(clip=clip, open=_no_source), standing, clip.source)


class _Way:
    """One clip on its way through one run, and how it ended for each sink."""

    def __init__(self, ref: ClipRef, standing: Standing) -> None:
        self.ref = ref
        self.standing = standing
        self.clip = standing.clip
        self.ends: dict[SinkName, str] = {}
        self.ticket: list[asyncio.Future[bool]] = []
        self.in_slot = True


@asynccontextmanager
async def _no_source() -> AsyncIterator[Body]:
    """Nobody but a sink has this clip now."""
    raise ClipGone("no sink could give it back, and no source lists it now")
    yield  # pragma: no cover  # makes this a generator
