"""The way of one clip through one run: fetched once, put into each sink that lacks it, checked there, and only then recorded."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from blinkarchive.clock import Clock
from blinkarchive.encryption import Identities
from blinkarchive.errors import (
    ArchiveError,
    BadClip,
    BlinkArchiveError,
    ClipGone,
    CommandFailed,
    DamagedClip,
    Forbidden,
    ForeignHost,
    ServerTrouble,
    SinkError,
    SourceError,
    SpoolFull,
    Unavailable,
    Unreachable,
)
from blinkarchive.faults import concerns_all, fault
from blinkarchive.interfaces import Body, ClipRef
from blinkarchive.model import Clip, ClipId, Content, Copy, Need, Plain, SinkName, Standing, State, Subject
from blinkarchive.pipeline.damaged import keep_damaged
from blinkarchive.pipeline.joining import one_open
from blinkarchive.pipeline.lane import Lane
from blinkarchive.pipeline.progress import Progress
from blinkarchive.pipeline.spool import Spool
from blinkarchive.pipeline.way_back import clip_of
from blinkarchive.retry import Patience, retry

if TYPE_CHECKING:
    from blinkarchive.index import Index

log = logging.getLogger(__name__)

GIVEN_UP_FOR = timedelta(days=7)
"""How long a clip that was given up is left alone."""

_MOST_UNREACHABLE = 3
_MOST_REREADS = 16
_MOST_FAILURES = 3
_OF_THE_CLIP = (BadClip, DamagedClip, ClipGone, CommandFailed, Forbidden, ForeignHost, ServerTrouble)


def _is_of_the_clip(error: BlinkArchiveError) -> bool:
    """Whether a fault is that of the clip in hand: a sink that is not away as a whole refused this clip."""
    return isinstance(error, _OF_THE_CLIP) or (isinstance(error, SinkError) and not isinstance(error, Unavailable))


class Way:
    """One clip on its way through one run, and how it ended for each sink."""

    def __init__(self, ref: ClipRef, standing: Standing) -> None:
        self.ref = ref
        self.standing = standing
        self.clip = standing.clip
        #: A bucket of the tally for each sink; a sink that is not in it still lacks the clip.
        self.ends: dict[SinkName, str] = {}
        #: Whether some sink of this run holds it as it is, and can give it to the others.
        self.readable = standing.readable
        #: What waits for a place in a sink. Whoever sets one of them to False sends the clip away from there.
        self.ticket: list[asyncio.Future[bool]] = []
        #: Whether some sink gave it up now, and had not before.
        self.given_up_now = False
        #: Whether that was done: it lacks nothing that a sink does not hold, and its turn comes later.
        self.sent_away = False
        #: Whether an earlier run began with it: its bytes were in the spool.
        self.begun = False


class Courier:
    """Brings clips. What goes wrong with one becomes how its way ended, and harms no other."""

    def __init__(
        self,
        *,
        index: Index,
        spool: Spool,
        lanes: Mapping[SinkName, Lane],
        clock: Clock,
        progress: Progress,
        patience: Mapping[str, Patience],
        stored: Callable[[Clip, Copy], Awaitable[None]],
        held: Callable[[Way], None],
        identities: Identities | None,
        make_room: Callable[[], Awaitable[bool]],
        beside: Sequence[SinkName] = (),
    ) -> None:
        """`patience` is for each account. `stored` is told of each copy; `held` when a clip is in a sink, so that others which
        are slow to take it need delay nobody. `identities` open what is encrypted. `make_room` lets go of what can be done
        without in the spool, and gives whether there was any. `beside` are the archive's sinks that are not in this run.
        """
        self._index = index
        self._spool = spool
        self._lanes = lanes
        self._clock = clock
        self._progress = progress
        self._patience = patience
        self._stored = stored
        self._held = held
        self._identities = identities
        self._make_room = make_room
        self._beside = beside
        self._rereads = asyncio.Semaphore(_MOST_REREADS)
        self._unreachable: dict[str, int] = {}
        #: By subject: clips that were fetched or stored, and why others were not, each for a reason of its own.
        self._done: Counter[Subject] = Counter()
        self._own_failures: defaultdict[Subject, list[str]] = defaultdict(list)
        #: Clips for which Blink could not be reached: their own trouble, or Blink's, as the end of the subject shows.
        self._unclear: defaultdict[Subject, list[tuple[Way, BlinkArchiveError]]] = defaultdict(list)
        #: Accounts whose server is away, or wants a person, and why: their clips are not asked for any more in this run.
        self.down: dict[str, BlinkArchiveError] = {}

    async def bring(self, way: Way) -> None:
        """Fetch one clip once, and deliver it to every sink that lacks it. What goes wrong becomes how it ended; a fault that
        nobody expected is a failed try of this clip, and no more.

        Raises `ArchiveError`: without the index nothing goes on.
        """
        try:
            await self._bring(way)
        except Exception as error:
            if concerns_all(error):
                raise
            log.exception("a fault ended the work on a clip", extra={"clip": way.clip.id})
            self._progress.trouble(f"clip {way.clip.id}", fault(error))
            for need in way.standing.lacking:
                if way.ends.get(need.sink) == "failed":
                    await self._failed(way, need.sink, SourceError(fault(error)), counts=True)

    async def _bring(self, way: Way) -> None:
        way.ends = dict.fromkeys(self._lanes, "excluded")
        way.ends |= {copy.sink: "known" for copy in way.standing.held}
        way.ends |= {need.sink: "failed" for need in way.standing.lacking}
        needs = [need for need in way.standing.lacking if self._due(need, way)]
        if not needs or not await self._one_open(needs, way):
            return
        try:
            content = await self._content(way)
        except BlinkArchiveError as error:
            self._progress.trouble(f"clip {way.clip.id}", str(error))
            kept = await self._keep_damaged(way, needs, error) if isinstance(error, DamagedClip) else frozenset()
            counts = self._is_its_own(way, error)
            self._note_fetch(way, error, counts)
            for need in needs:
                await self._failed(way, need.sink, error, counts=counts, final=need.sink in kept)
            return
        async with asyncio.TaskGroup() as deliveries:
            for need in needs:
                deliveries.create_task(self._deliver(way, need, content))
        ends = set(way.ends.values())
        if not {"stored", "known"} & ends:
            return
        lacking = {"failed", "gave_up"} & ends
        if not lacking and not self._beside:
            await self._spool.release(way.clip.id)
        elif way.readable:
            await self._spool.release(way.clip.id, with_sealed=False)
        elif not lacking:
            await self.let_go(way.clip.id)

    async def _keep_damaged(self, way: Way, needs: Sequence[Need], error: DamagedClip) -> frozenset[SinkName]:
        """Store what came of it, as what it is. Returns the sinks that had it from an earlier run: it is given up there."""
        lanes = [lane for need in needs if (lane := self._lanes[need.sink]).is_open]
        return await keep_damaged(
            way.clip,
            way.standing.key,
            str(error),
            lanes,
            index=self._index,
            spool=self._spool,
            progress=self._progress,
            clock=self._clock,
        )

    async def let_go(self, clip: ClipId) -> None:
        """Let go of what is in the spool of a clip and is of no use: some sink holds it as it is and gives it to the others, or
        all have it, those beside this run too.

        What was encrypted for a sink that lacks it stays: part of it may be there, and it is to be given the same bytes again.
        """
        [standing] = await self._index.standings([clip], (*self._lanes, *self._beside))
        if standing.readable or not standing.lacking:
            await self._spool.release(clip, with_sealed=not standing.lacking)
        elif not self._spool.holds(clip):  # nor does anybody else
            await self._spool.release(clip)

    def _due(self, need: Need, way: Way) -> bool:
        """Whether to try now: not what was given up within the week, nor a sink that is closed."""
        if need.state is State.GAVE_UP and need.tried_at and self._clock.now() - need.tried_at < GIVEN_UP_FOR:
            way.ends[need.sink] = "gave_up"
            return False
        lane = self._lanes[need.sink]
        return lane.is_open or lane.opening

    async def _one_open(self, needs: Sequence[Need], way: Way) -> bool:
        """Whether a sink that lacks the clip is open: nothing is fetched for sinks that are still being opened."""
        lanes = [self._lanes[need.sink] for need in needs]
        if way.standing.held and not any(lane.is_open for lane in lanes):
            self._held(way)  # to wait for these sinks delays no other clip
        if await one_open(lanes, way.ticket):
            return True
        way.sent_away = any(lane.opening for lane in lanes)
        return False

    async def _content(self, way: Way) -> Content:
        """The clip's bytes: from the spool of a killed run, else from a sink that has them, else from the source."""
        leftover = await self._spool.leftover(way.clip.id)
        if leftover is not None:
            way.begun = True
            return leftover
        for copy in way.standing.held:
            if copy.plain is not None and self._identities is None:
                continue  # it is encrypted, and not for us
            if self._lanes[copy.sink].opening:
                continue  # it may be silent, and the source is there
            try:
                return await self._reread(way.clip, self._lanes[copy.sink], copy)
            except SpoolFull:
                raise
            except BlinkArchiveError as error:
                what = f"{copy.key} could not be read back: {error}"
                self._progress.failed(Subject.sink(copy.sink), what)
                self._progress.trouble(f"sink {copy.sink}", what)
        account = way.clip.account
        if account in self.down:
            raise Unreachable(str(self.down[account]))
        if self._spool.crowded and not await self._make_room():
            raise self.down.setdefault(account, SpoolFull("so many clips wait in the spool for a sink that no more are fetched"))
        try:
            content = await retry(lambda: self._fill(way.ref), clock=self._clock, patience=self._patience[account])
        except (Unavailable, ArchiveError) as error:
            self._judge(account, error)
            raise
        self._unreachable[account] = 0
        self._done[Subject.account(account, way.clip.source)] += 1
        self._progress.fetched(account, way.clip.source, content.size)
        log.info("fetched", extra={"clip": way.clip.id, "bytes": content.size})
        return content

    async def _fill(self, ref: ClipRef) -> Content:
        return await self._in_room(lambda: self._spool.fill(ref, self._progress.came))

    async def _in_room(self, write: Callable[[], Awaitable[Content]]) -> Content:
        """Write something into the spool; what waits there for a sink makes room for it."""
        if self._spool.crowded:
            await self._make_room()
        try:
            return await write()
        except SpoolFull:
            if not await self._make_room():
                raise
            return await write()

    async def _reread(self, clip: Clip, lane: Lane, copy: Copy) -> Content:
        async with self._rereads:
            return await self._fill(ClipRef(clip=clip, open=lambda: clip_of(lane, copy, self._identities, self._spool.folder)))

    def _judge(self, account: str, error: BlinkArchiveError) -> None:
        """Decide whether Blink (or the spool) as a whole is away, so that other clips need not find out one by one."""
        if isinstance(error, Unreachable):
            self._unreachable[account] = self._unreachable.get(account, 0) + 1
            if self._unreachable[account] < _MOST_UNREACHABLE:
                return
        self.down.setdefault(account, error)

    async def _deliver(self, way: Way, need: Need, content: Content) -> None:
        lane = self._lanes[need.sink]
        if lane.opening and not await one_open([lane], way.ticket):
            way.ends[lane.name] = "failed"
            way.sent_away |= lane.opening
            return
        if not await lane.places.take(way.ticket):
            way.ends[lane.name] = "failed"
            way.sent_away = True
            return
        plain, wanted, before = None, way.standing.key, False

        def found() -> None:
            nonlocal before
            before = not (need.reason or way.begun)  # else it was most likely a run of ours that put it there

        try:
            if lane.seal is not None:
                plain, wanted = Plain(size=content.size, sha256=content.sha256), lane.seal.name(wanted)
                seal = functools.partial(self._spool.sealed, way.clip.id, lane.name, content, lane.seal.recipients)
                content = await self._in_room(seal)
            key = await lane.store(wanted, content, found=found, damaged=need.damaged)
        except BlinkArchiveError as error:
            self._progress.trouble(f"sink {lane.name}", str(error))
            counts = self._is_its_own(way, error)
            self._note_put(lane, error, counts)
            await self._failed(way, lane.name, error, counts=counts)
            return
        finally:
            lane.places.leave()
        if key != wanted:
            self._progress.trouble(f"sink {lane.name}", f"{wanted} is taken by other bytes; the clip is kept as {key}")
        copy = Copy(
            clip=way.clip.id,
            sink=lane.name,
            key=key,
            size=content.size,
            sha256=content.sha256,
            stored_at=self._clock.now(),
            plain=plain,
        )
        await self._index.record(copy)
        if plain is not None:
            await self._spool.release_sealed(way.clip.id, lane.name)
        way.ends[lane.name] = "known" if before else "stored"
        self._done[Subject.sink(lane.name)] += 1
        way.readable |= plain is None
        log.info("found" if before else "stored", extra={"clip": way.clip.id, "sink": lane.name, "key": key})
        self._progress.sinks[lane.name].bytes += 0 if before else content.size
        self._held(way)
        await self._stored(way.clip, copy)

    def _is_its_own(self, way: Way, error: BlinkArchiveError) -> bool:
        """Whether a failure is a try of the clip: the fault is its own, and its source was asked."""
        return _is_of_the_clip(error) and way.ref.open is not no_source

    def _note_fetch(self, way: Way, error: BlinkArchiveError, counts: bool) -> None:
        """Whose trouble it is that a clip could not be fetched: its own, or that of its account's source."""
        if way.ref.open is no_source:
            return  # a sink could not give it back, and that was noted
        subject = Subject.account(way.clip.account, way.clip.source)
        if counts:
            self._own_failures[subject].append(str(error))
        elif isinstance(error, Unreachable) and way.clip.account not in self.down:
            self._unclear[subject].append((way, error))
        else:
            self._progress.failed(subject, str(error))

    def _note_put(self, lane: Lane, error: BlinkArchiveError, counts: bool) -> None:
        """Whose trouble it is that a clip could not be put: its own, or the sink's."""
        if counts:
            self._own_failures[Subject.sink(lane.name)].append(str(error))
        else:
            self._progress.failed(Subject.sink(lane.name), str(error))

    async def judge(self, subject: Subject) -> None:
        """Decide at the end of a subject whose trouble its failures are.

        A clip for which Blink could not be reached, while it could for others, failed for a reason of its own. Several clips that
        failed, each for a reason of its own, and not one that did not: that is the subject's trouble.
        """
        for way, error in self._unclear[subject]:
            if subject.name in self.down or not self._done[subject]:
                self._progress.failed(subject, str(error))
                continue
            for sink in [need.sink for need in way.standing.lacking if way.ends.get(need.sink) == "failed"]:
                await self._failed(way, sink, error, counts=True)
            self._progress.gave_up_now += way.given_up_now
        failures = self._own_failures[subject]
        if len(failures) >= _MOST_FAILURES and not self._done[subject]:
            what = f"{len(failures):,} clips were tried, and not one succeeded; the last one: {failures[-1]}"
            self._progress.failed(subject, what)

    async def _failed(self, way: Way, sink: SinkName, error: BlinkArchiveError, *, counts: bool, final: bool = False) -> None:
        """Record what went wrong. `counts`: it is a failed try of the clip; `final`: it was the last one for a while."""
        before = next((need.state for need in way.standing.lacking if need.sink == sink), State.PENDING)
        state = await self._index.failed(way.clip.id, sink, str(error), counts=counts, final=final)
        way.given_up_now |= state is State.GAVE_UP and before is not State.GAVE_UP
        log.info("not stored", extra={"clip": way.clip.id, "sink": sink, "because": str(error)})
        way.ends[sink] = "gave_up" if state is State.GAVE_UP else "failed"


@asynccontextmanager
async def no_source() -> AsyncIterator[Body]:
    """Nobody but a sink has this clip now."""
    raise ClipGone("no sink could give it back, and no source lists it now")
    yield  # pragma: no cover  # makes this a generator
