"""The dedup index as everybody uses it: one thread that owns the database, and changes that are committed in groups."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from blinkarchive.clock import Clock
from blinkarchive.files import Files
from blinkarchive.index.facts import (
    Deletion,
    GivenUp,
    Holding,
    KnownSink,
    Lack,
    LastOutcome,
    Listing,
    SeenPart,
    SeenUnreadable,
    Summary,
    Unknown,
)
from blinkarchive.interfaces import Part, Unreadable
from blinkarchive.model import Clip, ClipId, Copy, DamagedCopy, Key, RunReport, SinkName, SourceName, Standing, State, Subject
from blinkarchive.secret import Secret

if TYPE_CHECKING:
    from blinkarchive.index.sql import Sql, Work

T = TypeVar("T")

GROUP = 256
"""How many changes may wait to be committed together; who comes later waits for a place."""

MOST_UNSTORED = 10_000
"""How many clips that no sink holds are told at once."""

PAGE = 500
"""How many clips are read at once where all of them are wanted."""


class _Change:
    """A change that waits for its commit, and what came of it."""

    __slots__ = ("alone", "outcome", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        #: The group that it was in failed: it is made by itself. Such changes are always the first ones of the queue.
        self.alone = False
        self.outcome: Future[Any] = Future()


class Index:
    """What was found, and which sinks hold it.

    Every method raises `ArchiveError` when the database fails: `IndexUnusable` when it turns out to be damaged,
    `ArchiveBusy` when another program holds it too long. A change is durable when its method returns; a caller that is
    cancelled meanwhile may find its change made or not made, never half made, and harms nobody else's.
    """

    def __init__(self, sql: Sql, thread: ThreadPoolExecutor, archive_id: str, secret: Secret) -> None:
        #: A UUID, made with the index.
        self.archive_id = archive_id
        #: Made with the index, and told to nobody: the names of encrypted copies are made with it.
        self.secret = secret
        self._sql = sql
        self._thread = thread
        self._waiting: deque[_Change] = deque()
        self._places = asyncio.Semaphore(GROUP)
        #: The commit that was asked for last.
        self._commit: asyncio.Future[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls, where: str | Path, *, clock: Clock, read_only: bool = False, files: Files | None = None
    ) -> AsyncIterator[Index]:
        """Open the index at a path, or at a database's URL; make it, or bring it up to date, where that is needed.

        The writer is alone: it holds the archive's lock. With `read_only` nothing is made or changed, and a writer may be at
        work elsewhere; `lacking` then tells how new clips would stand, and does not take them in.

        Raises `NothingArchived` (read only, and there is no index), `IndexUnusable` (damaged, or of another version; nothing
        was changed), `ConfigError` (an address that makes no sense).
        """
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="index")
        opened = thread.submit(_open, where, clock=clock, read_only=read_only, files=files or Files())
        try:
            sql, archive_id, secret = await asyncio.wrap_future(opened)
            yield cls(sql, thread, archive_id, secret)
        finally:
            thread.submit(_close, opened)  # in its turn: after every change that was asked for
            await asyncio.to_thread(thread.shutdown)

    async def _ask(self, question: Callable[..., T], *arguments: object, **options: object) -> T:
        """Have something done in the one thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(question, *arguments, **options))

    async def _change(self, change: Callable[..., T], *arguments: object, **options: object) -> T:
        """Have a change made together with all others that wait."""
        result: T = await self._make(lambda connection: change(connection, *arguments, **options))
        return result

    async def _make(self, work: Work) -> Any:
        async with self._places:
            change = _Change(work)
            self._waiting.append(change)
            try:
                while not change.outcome.done():
                    await self._next_commit()
            finally:
                if not change.outcome.done():  # who leaves takes along what nobody has begun, or the queue had no bound
                    with suppress(ValueError):
                        self._waiting.remove(change)
        return change.outcome.result()

    async def _next_commit(self) -> None:
        """Wait for the commit under way, or begin the next one: all who wait share it, and none can call it off."""
        if self._commit is None or self._commit.done():
            self._commit = asyncio.get_running_loop().run_in_executor(self._thread, self._commit_waiting)
        await asyncio.shield(self._commit)

    def _commit_waiting(self) -> None:
        """In the thread: commit all that waits. A group that fails goes back, to be made one by one: only the guilty fails."""
        if not (group := self._next_group()):
            return
        try:
            results = self._sql.together([change.work for change in group])
        except Exception as error:  # noqa: BLE001  # whatever it is, it is for the one who asked
            if len(group) == 1:
                group[0].outcome.set_exception(error)
                return
            for change in group:
                change.alone = True
            self._waiting.extendleft(reversed(group))
        else:
            for change, result in zip(group, results, strict=True):
                change.outcome.set_result(result)

    def _next_group(self) -> list[_Change]:
        """All that waits, or the first of it where that is to be made alone; empty when all of them have left."""
        group: list[_Change] = []
        with suppress(IndexError):  # the queue's end: its length may change meanwhile
            while not (group and group[-1].alone):
                group.append(self._waiting.popleft())
        return group

    # How clips stand -------------------------------------------------------------------------------------------------

    async def lacking(
        self, clips: Sequence[Clip], sinks: Sequence[SinkName], name: Callable[[Clip], Key]
    ) -> list[Standing | None]:
        """How each clip that any of the sinks lacks stands with them, and None for one that none lacks, in the order given.

        It is one look-up, whatever the number of clips. A clip that was not seen before is taken in, under the key that `name`
        gives it (called in another thread) and that it has for ever; its facts too stay as they were then.

        Raises `ArchiveError` when two different clips would have the same key; then none of them is taken in.
        """
        return await self._ask(self._sql.lacking, clips, sinks, name)

    async def standings(self, clips: Sequence[ClipId], sinks: Sequence[SinkName]) -> list[Standing]:
        """How these clips stand with the sinks, oldest recording first; those the index does not know are left out."""
        return await self._ask(self._sql.standings, clips, sinks)

    async def unstored(
        self, account: str, source: SourceName, sinks: Sequence[SinkName], *, given_up: bool = False, limit: int = MOST_UNSTORED
    ) -> list[tuple[ClipId, datetime]]:
        """Clips that some of the sinks lacks and none holds, with when they were recorded: the oldest, oldest first. Only
        their source has them. Those that were given up are among them when they are asked for.
        """
        return await self._ask(self._sql.unstored, account, source, sinks, given_up=given_up, limit=limit)

    async def backlog(
        self, sinks: Sequence[SinkName], *, sealed: bool = False, after: ClipId | None = None, limit: int = PAGE
    ) -> list[Standing]:
        """Clips that some of the sinks lacks though another of them holds it, oldest recording first, in pages. One that is held
        only encrypted is not among them: nobody can be given it; unless with `sealed`.
        """
        holding = Holding.ANY if sealed else Holding.READABLE
        return await self._ask(self._sql.lacking_page, sinks, holding, after=after, limit=limit)

    async def sealed_away(self, sinks: Sequence[SinkName], *, but: Collection[ClipId] = ()) -> dict[SinkName, int]:
        """How many clips each of the sinks lacks that some sink holds encrypted, and none as it is; only sinks that lack any, and
        clips that are not among those in `but`.
        """
        return await self._ask(self._sql.sealed_away, sinks, but)

    async def pending(self, sinks: Sequence[SinkName], *, after: ClipId | None = None, limit: int = PAGE) -> list[Standing]:
        """Clips that any of the sinks lacks, oldest recording first, in pages."""
        return await self._ask(self._sql.lacking_page, sinks, None, after=after, limit=limit)

    async def clips(
        self,
        sinks: Sequence[SinkName] = (),
        *,
        accounts: Collection[str] = (),
        sources: Collection[SourceName] = (),
        cameras: Collection[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[Standing]:
        """All clips that were recorded from `since` until before `until`, oldest first, and how they stand with the sinks.

        An empty collection is no restriction. What is recorded meanwhile may or may not be among them.
        """
        after: ClipId | None = None
        while True:
            page = await self._ask(
                self._sql.clips,
                sinks,
                accounts=accounts,
                sources=sources,
                cameras=cameras,
                since=since,
                until=until,
                after=after,
                limit=PAGE,
            )
            for standing in page:
                yield standing
            if len(page) < PAGE:
                return
            after = page[-1].clip.id

    async def cameras(self) -> set[tuple[str, str | None]]:
        """The name and the id of each camera that a clip is of."""
        return await self._ask(self._sql.cameras)

    async def summary(self, sinks: Sequence[SinkName]) -> Summary:
        """Clips in all, and by sink and state."""
        return await self._ask(self._sql.summary, sinks)

    async def given_up(self, sinks: Sequence[SinkName]) -> dict[SinkName, int]:
        """How many clips each of the sinks has given up, of those that have. What is stored is not read for it."""
        return await self._ask(self._sql.given_up, sinks)

    async def reasons(self, sinks: Sequence[SinkName]) -> list[Lack]:
        """Why the sinks lack what they lack: the hundred most frequent reasons, most frequent first."""
        return await self._ask(self._sql.reasons, sinks)

    # Twins -----------------------------------------------------------------------------------------------------------

    async def twins(self, clips: Sequence[ClipId]) -> dict[ClipId, ClipId]:
        """Which of these clips have a twin, and which clip that is: the same recording, kept by the cloud and on a stick.

        Twins are a clip of the cloud and one of a sync module, of one account, network and camera (that is known for both),
        recorded within two seconds of each other. Where either could be the twin of another clip too, there are none.
        It is answered from the clips that the index holds now, and kept nowhere: a clip that is found later may give a twin,
        or take one away, and no link can say what was true once.
        """
        return await self._ask(self._sql.twins, clips)

    async def leave_to_twins(
        self, clips: Sequence[ClipId], sinks: Sequence[SinkName], *, skip: bool
    ) -> dict[ClipId, frozenset[SinkName]]:
        """Leave clips of sticks to their twins in the cloud, in one transaction, and give those that now are left out, each with
        the sinks that lack it for that.

        With `skip`, a clip whose twin is stored in every one of the sinks becomes EXCLUDED where it is lacking; a copy that is
        stored stays so. A clip that was left out in this way, and has no such twin any more, is PENDING again; without `skip`,
        each of them. Of the cloud's clips, and of those the index does not know, none is touched. Read only, nothing is changed,
        and what is left out now counts as such.
        """
        return await self._change(self._sql.leave_to_twins, clips, sinks, skip=skip)

    # Deletions -------------------------------------------------------------------------------------------------------

    async def ripe(self, clips: Sequence[ClipId], sinks: Sequence[SinkName], *, stored_before: datetime) -> list[Standing]:
        """Those of the clips that may be deleted at their source as far as the index knows, oldest recording first: every one of
        the sinks holds them, has held them since that time at the latest, and says so in a catalogue. A copy that seems to be
        older than its clip was stored by a wrong clock, and is never old enough.

        Not a clip that is still listed although its deletion was accepted three times, for a day after the last time; and not
        one of a stick that had an equal one beside it: what is listed under its id now may be the other.
        """
        return await self._ask(self._sql.ripe, clips, sinks, stored_before=stored_before)

    async def intend(self, clip: ClipId, copies: Sequence[Copy]) -> bool:
        """A clip is to be deleted at its source now: these copies were verified just before. What became of it is not known yet.

        False, and nothing is kept, when they are not the copies that the index knows: then nothing may be deleted.
        """
        intended: bool = await self._change(self._sql.intend, clip, copies)
        return intended

    async def answered(self, clip: ClipId, outcome: str, *, accepted: bool) -> None:
        """What the source said to the deletion that was intended last, in words. `accepted`: it is to be gone now."""
        await self._change(self._sql.answered, clip, outcome, accepted=accepted)

    async def open_deletions(self, account: str, source: SourceName) -> list[Deletion]:
        """The deletions of a source's clips of which nobody knows yet whether they are gone."""
        return await self._ask(self._sql.open_deletions, account, source)

    async def confirm(self, clips: Sequence[ClipId]) -> int:
        """These clips are gone from their source: a listing that was whole did not show them. Returns how many were open."""
        confirmed: int = await self._change(self._sql.confirm, clips)
        return confirmed

    async def deletions(self) -> AsyncIterator[Deletion]:
        """All deletions that were ever intended, oldest recording first."""
        after: ClipId | None = None
        while page := await self._ask(self._sql.deletions, after, PAGE):
            for deletion in page:
                yield deletion
            after = page[-1].clip.id

    # What becomes of a copy ------------------------------------------------------------------------------------------

    async def known(self, clips: Sequence[ClipId]) -> dict[ClipId, Clip]:
        """Those of the clips that the index knows, with their facts as they were when each was found."""
        return await self._ask(self._sql.known, clips)

    async def record(self, copy: Copy) -> None:
        """The sink holds the clip: that was proved. Doing it again changes nothing, unless the copy is another one now."""
        await self._make(copy)

    async def failed(self, clip: ClipId, sink: SinkName, reason: str, *, counts: bool, final: bool = False) -> State:
        """A try failed. The tenth that counts (was the clip's own fault), or a `final` one, makes the sink give it up.

        Returns the state.
        A copy that is stored or excluded stays so. `tried_at` is the time of the last try that counted.
        """
        return await self._change(self._sql.failed, clip, sink, reason, counts=counts, final=final)

    async def keep_damaged(self, copy: DamagedCopy) -> None:
        """A sink holds what came of a clip that Blink has only damaged. It does not count as the clip."""
        await self._change(self._sql.keep_damaged, copy)

    async def damaged(self, clip: ClipId | None = None) -> list[DamagedCopy]:
        """What the sinks hold of a clip that Blink has only damaged; without one, of all such clips, oldest recording first."""
        return await self._ask(self._sql.damaged, clip)

    async def lost(self, clip: ClipId, sink: SinkName, reason: str, *, damaged: Key | None = None) -> None:
        """The sink does not hold the clip any more (or it should be put there after all): it lacks it as one never tried.
        `damaged` is the key of a damaged copy of it there: it is moved aside before the clip is put again.
        """
        await self._change(self._sql.lost, clip, sink, reason, damaged)

    async def exclude(self, clip: ClipId, sink: SinkName, reason: str) -> State:
        """The owner does not want the clip in this sink. Returns the state: a copy that is stored stays so."""
        return await self._change(self._sql.exclude, clip, sink, reason)

    async def sink_id(self, sink: SinkName) -> str | None:
        """What the sink's identity marker said when it was last kept; None when it never was."""
        return (await self.sink_ids()).get(sink)

    async def keep_sink_id(self, sink: SinkName, id_: str) -> None:
        """Keep what the sink's identity marker says."""
        await self._change(self._sql.keep_sink_id, sink, id_)

    async def recipients(self) -> dict[SinkName, tuple[str, ...]]:
        """Whom clips are encrypted for, in the sinks where they are; nobody, where they were once and are not any more."""
        return await self._ask(self._sql.recipients)

    async def keep_recipients(self, sink: SinkName, recipients: Sequence[str]) -> None:
        """Clips are encrypted for these from now on; for nobody: they are not encrypted."""
        await self._change(self._sql.keep_recipients, sink, recipients)

    async def in_clear(self, sink: SinkName) -> int:
        """How many clips the sink holds as they are."""
        return await self._ask(self._sql.in_clear, sink)

    async def sinks(self) -> list[KnownSink]:
        """Every sink that the archive has, in the order in which they came, and what it holds."""
        return await self._ask(self._sql.sinks)

    async def sink_ids(self) -> dict[SinkName, str | None]:
        """Every sink that the archive has, and what its marker says; None before it was read."""
        return await self._ask(self._sql.sink_ids)

    async def forget_sink(self, sink: SinkName) -> bool:
        """What the sink holds no longer counts. Nothing in it is touched. False when the archive has no such sink."""
        return await self._change(self._sql.forget_sink, sink)

    async def rename_sink(self, old: SinkName, new: SinkName) -> None:
        """The sink has another name from now on; what was known under that name (nothing that was proved) is forgotten."""
        await self._change(self._sql.rename_sink, old, new)

    async def uncatalogued(self, sink: SinkName, *, limit: int = PAGE) -> list[tuple[Clip, Copy]]:
        """Copies in the sink that no catalogue lists yet."""
        return await self._ask(self._sql.uncatalogued, sink, limit)

    async def catalogued(self, sink: SinkName, clips: Sequence[ClipId], key: Key) -> None:
        """The catalogue under `key` in the sink lists its copies of these clips."""
        await self._change(self._sql.catalogued, sink, clips, key)

    async def unknown(self) -> dict[SinkName, Unknown]:
        """What the sinks' catalogues list and the index does not know, as it was counted last; only sinks where it ever was."""
        return await self._ask(self._sql.unknown)

    async def keep_unknown(self, sink: SinkName, unknown: Unknown) -> None:
        """Keep what was counted now."""
        await self._change(self._sql.keep_unknown, sink, unknown)

    async def catalogues(self, sink: SinkName) -> frozenset[Key]:
        """The keys of the catalogues that list copies of the sink which the index knows."""
        return await self._ask(self._sql.catalogues, sink)

    # Listings and runs -----------------------------------------------------------------------------------------------

    async def bind_account(self, name: str, blink_id: str) -> str:
        """Blink's id of the account of this name, which the ids of its clips begin with: the one that came first, and stays.

        This id is kept when there is none yet (an archive of before ids were kept adopts it); read only, it is not.
        """
        bound: str = await self._change(self._sql.bind_account, name, blink_id)
        return bound

    async def accounts(self) -> dict[str, str]:
        """Blink's id of each account that has one in the archive, by the account's name."""
        return await self._ask(self._sql.accounts)

    async def listing(self, account: str, source: SourceName) -> Listing | None:
        """How far a source has been listed; None when it never was, to its end."""
        all_ = await self.listings()
        return next((one for one in all_ if (one.account, one.source) == (account, source)), None)

    async def listings(self) -> list[Listing]:
        """How far each source has been listed."""
        return await self._ask(self._sql.listings)

    async def listed(self, account: str, source: SourceName, *, started_at: datetime, full: bool) -> None:
        """A listing that began then was complete; `full`: it was of all that the source keeps."""
        await self._change(self._sql.listed, account, source, started_at=started_at, full=full)

    async def heard_of(self, account: str, source: SourceName, part: Part, *, started_at: datetime) -> SeenPart:
        """A part of a source was listed to its end, by a listing that began then, or could not be. Returns all that is known
        of it now. Parts are kept for 90 days after they were last heard of.
        """
        return await self._change(self._sql.heard_of, account, source, part, started_at=started_at)

    async def parts(self) -> list[SeenPart]:
        """The parts of all sources, and how their listings went."""
        return await self._ask(self._sql.parts)

    async def unreadable(self, account: str, source: SourceName, items: Sequence[Unreadable]) -> list[int]:
        """Keep items that could not be understood; one that was kept before is counted again. Returns how often each was met."""
        return await self._change(self._sql.unreadable, account, source, items)

    async def unreadables(self, *, limit: int = PAGE) -> list[SeenUnreadable]:
        """Items that could not be understood, last seen first. They are kept for 90 days after they were last seen."""
        return await self._ask(self._sql.unreadables, limit)

    async def began(self, run: str, subjects: Sequence[Subject], *, started_at: datetime) -> None:
        """A run goes on that will report on these subjects. It was killed if it never ends (`finished`, `dropped`)."""
        await self._change(self._sql.began, run, subjects, started_at=started_at)

    async def finished(self, report: RunReport) -> None:
        """Keep how a run ended, and how it ended for each subject. The last thousand reports are kept."""
        await self._change(self._sql.finished, report)

    async def dropped(self, run: str) -> None:
        """A run ended of which nothing is to be kept."""
        await self._change(self._sql.dropped, run)

    async def left_over(self) -> list[RunReport]:
        """The runs that began and did not end, each as a report of a crash. They crashed if no process holds the archive."""
        return await self._ask(self._sql.left_over)

    async def last_runs(self, limit: int) -> list[RunReport]:
        """How the last runs ended, newest first."""
        return await self._ask(self._sql.last_runs, limit)

    async def outcomes(self) -> dict[Subject, LastOutcome]:
        """How the last run ended for each source of an account and each sink, and when one was last good."""
        return await self._ask(self._sql.outcomes)

    # Dismissals ------------------------------------------------------------------------------------------------------

    async def dismiss(self, clips: Sequence[str], *, undo: bool = False) -> dict[ClipId, list[SinkName]]:
        """No sink that is missing these clips (ids or keys) has to hold them any more, nor one that joins the archive later; with
        `undo` they have to again. Returns each clip, and the sinks for which that is new.

        Raises `ArchiveError`, and changes nothing, when one of them is not known.
        """
        return await self._change(self._sql.dismiss, clips, undo=undo)

    async def dismissed(self) -> dict[ClipId, frozenset[SinkName]]:
        """The clips that are dismissed, oldest recording first, and the sinks that do not hold them for that."""
        return await self._ask(self._sql.dismissed)

    async def given_up_clips(self, sinks: Sequence[SinkName], *, limit: int = PAGE) -> list[GivenUp]:
        """The clips that some of the sinks gave up, oldest recording first, at most so many."""
        return await self._ask(self._sql.given_up_clips, sinks, limit)

    async def check(self) -> list[str]:
        """What the database finds wrong with itself; it reads all of it."""
        return await self._ask(self._sql.check)


def _open(where: str | Path, *, clock: Clock, read_only: bool, files: Files) -> tuple[Sql, str, Secret]:
    # Half of a small program's start: only what opens an index pays for it, and not in the event loop's thread.
    from blinkarchive.index.opening import open_engine
    from blinkarchive.index.sql import Sql

    sql = Sql(open_engine(where, clock=clock, read_only=read_only, files=files), clock, read_only=read_only)
    return sql, *sql.identity()


def _close(opened: Future[tuple[Sql, str, Secret]]) -> None:
    if not opened.cancelled() and opened.exception() is None:
        opened.result()[0].close()
