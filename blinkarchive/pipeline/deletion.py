"""When a clip is deleted at its source: the sinks that count hold it, and have just proved it; and how that becomes known."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from blinkarchive.clock import Clock
from blinkarchive.errors import (
    BlinkArchiveError,
    Busy,
    ClipGone,
    CommandUnfinished,
    LoginNeeded,
    ModuleAway,
    SourceError,
    Unavailable,
)
from blinkarchive.index.facts import CLOCKS_APART, STUBBORN
from blinkarchive.interfaces import Batch, ClipRef, Source
from blinkarchive.model import Clip, ClipId, Copy, SinkName, SourceName, Standing
from blinkarchive.pipeline.identity import difference, listed_id
from blinkarchive.pipeline.lane import Lane
from blinkarchive.pipeline.progress import Progress
from blinkarchive.pipeline.proof import Check, Depth

if TYPE_CHECKING:
    from blinkarchive.index import Deletion, Index

log = logging.getLogger(__name__)

_MOST_FAILURES = 3
_AWAY = (Unavailable, Busy, CommandUnfinished, ModuleAway)

Place = tuple[str, SourceName]
"""An account, and one of its sources."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What the owner wants deleted at a source."""

    #: How long the last of a clip's copies must have been stored.
    grace: timedelta = timedelta(days=7)
    #: The most that one run deletes there, for each account.
    limit: int = 100
    #: Names or ids of cameras, letter for letter; none means all.
    cameras: tuple[str, ...] = ()

    def wants(self, clip: Clip) -> bool:
        """Whether a clip is of such a camera."""
        return not self.cameras or clip.camera in self.cameras or clip.camera_id in self.cameras


@dataclass(slots=True)
class _Listing:
    """What a listing that goes on has shown so far."""

    #: The deletions that were open when it began, and those of them whose clip it has shown.
    open: Mapping[ClipId, Deletion]
    shown: set[ClipId] = field(default_factory=set)
    #: The scopes of the parts that were listed to their end, and in which everything could be understood.
    whole: list[str] = field(default_factory=list)
    #: Whether something in the part that is being listed could not be understood: it may be any clip.
    doubtful: bool = False
    #: The clips to delete, should the listing go to its end: no more than the limit, the oldest.
    ripe: list[ClipRef] = field(default_factory=list)
    ended: bool = False

    def order(self, ref: ClipRef) -> tuple[bool, datetime]:
        """The oldest first; but what was tried before comes last, so that what fails again and again holds up no other."""
        return ref.clip.id in self.open, ref.clip.recorded_at


class Deletions:
    """What one run deletes at the sources, and what it finds out about deletions of earlier runs."""

    def __init__(
        self,
        *,
        index: Index,
        lanes: Sequence[Lane],
        trusted: Collection[SinkName],
        clock: Clock,
        progress: Progress,
        rules: Mapping[SourceName, Rule],
        skew: Mapping[str, Callable[[], timedelta | None]],
        in_hand: Collection[ClipId] = (),
        dry_run: bool = False,
        would: Callable[[Standing], None] = lambda _: None,
    ) -> None:
        """`trusted` are the sinks that must hold a clip: a run for some of them deletes nothing. `skew` says for each account how
        far Blink's clock is ahead of ours. `in_hand` are the clips that some run is bringing. A dry run changes nothing, and
        `would` is told of each clip that it would delete.
        """
        self._index = index
        self._lanes = {lane.name: lane for lane in lanes}
        self._trusted = tuple(trusted)
        self._clock = clock
        self._progress = progress
        self._rules = rules
        self._skew = skew
        self._in_hand = in_hand
        self._dry_run = dry_run
        self._would = would
        self._listings: dict[Place, _Listing] = {}
        #: What was to be deleted and was not, each once.
        self._not_deleted: set[str] = set()

    # --- while sources are listed

    async def begin(self, source: Source) -> None:
        """A listing begins that leaves nothing out: what it will not show is gone."""
        found = await self._index.open_deletions(source.account, source.name)
        self._listings[source.account, source.name] = _Listing({deletion.clip.id: deletion for deletion in found})

    async def look(self, source: Source, batch: Batch) -> None:
        """Look at what a page of the listing shows: what was to be gone and is not, and what may be deleted."""
        listing = self._listings[source.account, source.name]
        ids = {id_ for ref in batch.found for id_ in (ref.clip.id, listed_id(ref.clip.id))}
        # An item that is still there without a film to fetch is not gone; the source's own id is the end of the clip's.
        still = {left.item for left in batch.left_out if left.reason != "deleted"}
        listing.shown |= {id_ for id_ in listing.open if id_ in ids or id_.rpartition(":")[2] in still}
        listing.doubtful = listing.doubtful or bool(batch.unreadable)
        if batch.part is not None:
            if not batch.part.trouble and not listing.doubtful:
                listing.whole.append(batch.part.scope)
            listing.doubtful = False
        rule = self._rules.get(source.name)
        if rule is not None:
            refs = {ref.clip.id: ref for ref in batch.found if ref.delete is not None and rule.wants(ref.clip)}
            ripe = [refs[standing.clip.id] for standing in await self._ripe(list(refs), rule)] if refs else []
            listing.ripe = heapq.nsmallest(rule.limit, [*listing.ripe, *ripe], key=listing.order)

    async def end(self, source: Source, since: datetime, *, whole: bool) -> None:
        """A listing from that time on has ended, and all it showed is on its way or was; `whole`: it went to its end.

        What was to be gone, should have been shown, and was not, is gone.
        """
        listing = self._listings[source.account, source.name]
        listing.ended = whole
        gone = [
            deletion.clip.id
            for deletion in listing.open.values()
            if deletion.clip.id not in listing.shown
            and deletion.clip.recorded_at >= since
            and deletion.clip.id.startswith(tuple(listing.whole))
        ]
        if gone and not self._dry_run:
            self._progress.deletions_confirmed += await self._index.confirm(gone)
            for id_ in gone:
                log.info("is gone from its source", extra={"clip": id_})
        for deletion in listing.open.values():
            if deletion.accepted >= STUBBORN and deletion.clip.id not in gone:
                self._failed(
                    deletion.clip.id, f"its deletion was accepted {deletion.accepted} times, and it was still listed after that"
                )

    async def _ripe(self, clips: Sequence[ClipId], rule: Rule) -> list[Standing]:
        try:
            stored_before = self._clock.now() - rule.grace
        except OverflowError:  # before all calendars
            return []
        return await self._index.ripe(clips, self._trusted, stored_before=stored_before)

    # --- after all has been archived and catalogued

    async def run(self) -> None:
        """Delete what is ripe at each source whose listing went to its end. A stop ends it at once: the next run finds out
        what became of the clip in hand.
        """
        for (account, source), listing in self._listings.items():
            rule = self._rules.get(source)
            wanted = rule is not None and listing.ended and listing.ripe
            if rule is not None and wanted and self._all_sinks_open() and self._clocks_agree(account, source):
                await self._of_source(account, source, rule, listing)

    def _all_sinks_open(self) -> bool:
        """Whether every sink that must hold a clip is in this run, and open; a dry run opens none."""
        return all(name in self._lanes and (self._dry_run or not self._lanes[name].closed) for name in self._trusted)

    def _clocks_agree(self, account: str, source: SourceName) -> bool:
        skew = self._skew[account]()
        if skew is not None and abs(skew) <= CLOCKS_APART:
            return True
        because = (
            "Blink did not say what time it is" if skew is None else f"this machine's clock and Blink's are {abs(skew)} apart"
        )
        self._not_deleted.add(f"{account}, {source}")
        self._progress.deletions_failed = len(self._not_deleted)
        self._progress.trouble(f"account {account}, {source}", f"nothing is deleted there: {because}")
        return False

    async def _of_source(self, account: str, source: SourceName, rule: Rule, listing: _Listing) -> None:
        failures = 0
        ripe = {standing.clip.id: standing for standing in await self._ripe([ref.clip.id for ref in listing.ripe], rule)}
        for ref in listing.ripe:
            standing = ripe.get(ref.clip.id)
            if standing is None or ref.clip.id in self._in_hand:
                continue
            if what := difference(ref.clip, standing.clip):
                self._failed(ref.clip.id, f"it was not deleted at its source, since it may be another clip: {what}")
                continue
            if self._dry_run:
                self._progress.would_delete.append(ref.clip.id)
                self._would(standing)
                continue
            if not (self._all_sinks_open() and self._clocks_agree(account, source)):
                return
            error = await self._one(ref, standing)
            if error is None:
                continue
            failures += 1
            self._failed(ref.clip.id, f"it was not deleted at its source: {error}")
            if isinstance(error, SourceError) and error.retry_after is not None:
                self._progress.wait = max(self._progress.wait, error.retry_after)
            if isinstance(error, LoginNeeded) and account not in self._progress.login_needed:
                self._progress.login_needed.append(account)
            if isinstance(error, _AWAY) or failures >= _MOST_FAILURES:
                log.info("no more deletions there in this run", extra={"account": account, "source": source.value})
                return

    async def _one(self, ref: ClipRef, standing: Standing) -> BlinkArchiveError | None:
        """Verify every copy now, commit the intent, ask for the deletion, keep the answer: in this order.

        Gives what the source had against it; what the index raises goes through.
        """
        copies = await self._verified(ref, standing)
        if not copies or ref.delete is None or not await self._index.intend(ref.clip.id, copies):
            return None
        try:
            await ref.delete()
        except ClipGone as error:
            await self._index.answered(ref.clip.id, f"it was gone before: {error}", accepted=False)
            return None
        except BlinkArchiveError as error:
            await self._index.answered(ref.clip.id, str(error), accepted=False)
            return error
        await self._index.answered(ref.clip.id, "accepted", accepted=True)
        self._progress.deleted += 1
        log.info("deleted at its source", extra={"clip": ref.clip.id, "verified": ", ".join(copy.sink for copy in copies)})
        return None

    async def _verified(self, ref: ClipRef, standing: Standing) -> tuple[Copy, ...]:
        """The clip's copies, one in every sink that must hold it, when each was proved at this moment to be what was stored; else
        none.

        A copy that certainly is not there, or is something else, is lost: the index says so from now on.
        """
        id_ = standing.clip.id
        sound = {copy.sink for copy in standing.held} == set(self._trusted)
        for copy in standing.held:
            try:
                self._progress.verified += 1
                held = await self._lanes[copy.sink].verify(copy, self._index, Depth.READ)
            except BlinkArchiveError as error:
                sound = False
                self._failed(id_, f"it was not deleted at its source: its copy in sink {copy.sink} cannot be verified: {error}")
                continue
            if not held:
                sound = False
                damaged = copy.key if held is Check.DAMAGED else None
                what = "has lost it" if damaged is None else f"holds a damaged copy, {copy.key}"
                reason = (
                    f"{copy.key} {'was not there' if damaged is None else 'held other bytes'} when its original was to be deleted"
                )
                await self._index.lost(id_, copy.sink, reason, damaged=damaged)
                self._failed(id_, f"it was not deleted at its source: sink {copy.sink} {what}; a later run puts it there again")
            elif not ref.fits(copy.clip_size):
                sound = False
                self._failed(id_, "it was not deleted at its source: what is listed there is of another size than what is stored")
        return standing.held if sound else ()

    def _failed(self, clip: ClipId, what: str) -> None:
        self._not_deleted.add(clip)
        self._progress.deletions_failed = len(self._not_deleted)
        self._progress.trouble(f"clip {clip}", what)
