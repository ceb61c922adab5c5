"""From a config to a run: what runs work with, and how one is put together."""

from __future__ import annotations

import asyncio
import functools
import logging
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from blinkarchive.clock import Clock
from blinkarchive.config import Config, require
from blinkarchive.errors import ArchiveError, BlinkArchiveError
from blinkarchive.faults import in_words
from blinkarchive.index import Index
from blinkarchive.interfaces import Source
from blinkarchive.model import ClipId, RunReport, SinkName, SourceName, Standing, Subject
from blinkarchive.pace import Pace
from blinkarchive.pipeline.archive import Archive, Ask
from blinkarchive.pipeline.catalog import catalogue
from blinkarchive.pipeline.deletion import Deletions, Rule
from blinkarchive.pipeline.joining import all_settled, opened_together
from blinkarchive.pipeline.lane import Lane, Seal
from blinkarchive.pipeline.lock import held
from blinkarchive.pipeline.naming import Namer
from blinkarchive.pipeline.progress import Progress
from blinkarchive.pipeline.spool import Spool
from blinkarchive.pipeline.unknown import recounted
from blinkarchive.registry import Registry
from blinkarchive.retry import Patience
from blinkarchive.sources.media_list import MediaList
from blinkarchive.sources.sync_module import SyncModules
from blinkarchive.wiring.cameras import unknown_cameras
from blinkarchive.wiring.identity import check_account
from blinkarchive.wiring.signing_in import signed_in
from blinkarchive.wiring.sinks import Opening, Openings, openings_of, plugins_of, wanted
from blinkarchive.wiring.state import State

if TYPE_CHECKING:
    from blinkarchive.blink import Client

log = logging.getLogger(__name__)

_HOOKS_AT_A_STOP = 3.0
_COUNTING = 120.0
"""How long a run reads catalogues that the index does not know, in seconds: nothing waits for it but the run's end."""


async def run(
    config: Config,
    ask: Ask,
    progress: Progress,
    *,
    clock: Clock | None = None,
    planned: Callable[[Standing], None] = lambda _: None,
    would_delete: Callable[[Standing], None] = lambda _: None,
) -> RunReport:
    """One pass of the pipeline: what is new comes into every sink, and what the owner wants deleted at its source is.

    In a dry run `planned` is told of each clip that would be fetched, and `would_delete` of each that would be deleted.

    A stop (cancellation) ends it early with a report of what was done. Raises `ArchiveBusy`, `ConfigError`, `IndexUnusable`.
    """
    async with Workshop.opened(config, clock=clock or Clock(), dry_run=ask.dry_run, sinks=ask.sinks) as workshop:
        return await workshop.run(ask, progress, planned=planned, would_delete=would_delete)


def check(config: Config) -> Registry:
    """Look at a config as a run does before it begins, and give its plugins. Raises `ConfigError`."""
    require(config)
    registry = plugins_of(config)
    openings_of(config, registry, ())
    return registry


class Workshop:
    """What runs work with while any of them goes on: the archive's lock, its index, its spool, the plugins."""

    def __init__(self, config: Config, clock: Clock, registry: Registry, openings: Openings, index: Index, spool: Spool) -> None:
        self.config = config
        self.clock = clock
        self.registry = registry
        self.openings = openings
        self.index = index
        self.spool = spool
        #: The clips that some run is bringing.
        self.in_hand: set[ClipId] = set()
        #: How fast each account may be asked, whoever asks.
        self.paces = {account.name: Pace(account.pace, clock) for account in config.accounts.values()}
        #: Held by the run that signs an account in: what one of them has done, the others need not try again.
        self.signing_in: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        #: Held by the run that writes catalogues: what no catalogue lists yet is listed once.
        self.cataloguing = asyncio.Lock()
        #: Held while a sink takes its name in the index: two sinks may turn out to be the same place.
        self.naming = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, config: Config, *, clock: Clock, dry_run: bool = False, sinks: Sequence[SinkName] = ()
    ) -> AsyncIterator[Workshop]:
        """Take the lock and open what is needed. In a dry run the index is only looked at.

        Before anything is changed the options of the sinks that runs may ask for (by default all) are looked at.
        Raises `ArchiveBusy`, `ConfigError`, `IndexUnusable`.
        """
        require(config)
        state = State(folder=config.archive.state)
        state.make()
        with held(state.lock):
            registry = plugins_of(config)
            openings = openings_of(config, registry, sinks)
            async with _index(state, clock, dry_run=dry_run) as index:
                if not dry_run:
                    for killed in await index.left_over():  # we hold the archive, so nobody works on them any more
                        await index.finished(killed)
                spool = Spool(
                    state.spool, secret=index.secret, largest=config.archive.largest_clip, reserve=config.archive.reserve
                )
                async with spool.opened():
                    yield cls(config, clock, registry, openings, index, spool)

    async def backlog(self) -> bool:
        """Whether there is something to feed, or to tell: clips that one sink holds and another lacks, or the spool holds."""
        sinks = tuple(self.config.sinks)
        if set(self.spool.leftovers) - self.in_hand:
            return True
        page = await self.index.backlog(sinks) if len(sinks) > 1 else []
        if any(standing.clip.id not in self.in_hand for standing in page):
            return True
        return bool(await self.index.sealed_away(sinks, but=self.in_hand))  # it reads all that is lacking: last

    async def run(
        self,
        ask: Ask,
        progress: Progress,
        *,
        planned: Callable[[Standing], None] = lambda _: None,
        would_delete: Callable[[Standing], None] = lambda _: None,
    ) -> RunReport:
        """One pass of the pipeline; several may go on at once, each with sources of its own.

        A stop (cancellation) ends it early with a report of what was done. Raises `ConfigError`.
        """
        return await _Run(self, ask, progress, planned, would_delete).through()


@asynccontextmanager
async def _index(state: State, clock: Clock, *, dry_run: bool) -> AsyncIterator[Index]:
    """The index; a dry run only looks at it (and makes an empty one where there is none)."""
    async with Index.open(state.index, clock=clock) as index:
        if not dry_run:
            yield index
            return
    async with Index.open(state.index, clock=clock, read_only=True) as index:
        yield index


class _Run:
    """One run, put together from the config."""

    def __init__(
        self,
        workshop: Workshop,
        ask: Ask,
        progress: Progress,
        planned: Callable[[Standing], None],
        would_delete: Callable[[Standing], None],
    ) -> None:
        self._workshop = workshop
        self._config = workshop.config
        self._clock = workshop.clock
        self._index = workshop.index
        self._spool = workshop.spool
        self._registry = workshop.registry
        self._ask = ask
        self._progress = progress
        self._planned = planned
        self._would_delete = would_delete
        #: How far Blink's clock is ahead of ours, for each account that is signed in.
        self._skew: dict[str, Callable[[], timedelta | None]] = {}
        #: The accounts that are signed in.
        self._clients: dict[str, Client] = {}
        self._began = self._clock.now()
        self._patience: defaultdict[str, Patience] = defaultdict(Patience)
        self._name = f"{self._began:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"

    async def through(self) -> RunReport:
        began = self._clock.monotonic()
        self._progress.begins(self._subjects())
        if not self._ask.dry_run:
            await self._index.began(self._name, self._progress.subjects, started_at=self._began)
        async with AsyncExitStack() as stack:
            stopped, fatal = False, None
            try:
                await self._pass(stack)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or not task.cancelling():
                    raise
                task.uncancel()
                stopped = True
            except Exception as error:  # noqa: BLE001  # it is raised again, when it is kept that the run crashed
                fatal = error
            for trouble in self._registry.troubles:
                self._progress.trouble(trouble.where, trouble.what)
            for name in self._config.plugins.load:
                if name in self._registry.failures:
                    self._progress.trouble(f"plugin {name}", str(self._registry.failures[name]))
            crashed = in_words(fatal) if fatal is not None else ""
            seconds = self._clock.monotonic() - began
            report = self._progress.report(self._name, self._began, seconds, stopped=stopped, crashed=crashed)
            if fatal is not None:
                await self._keep_crash(report)
                raise fatal
            if not self._ask.dry_run:
                await self._keep(report)
            return report

    def _subjects(self) -> list[Subject]:
        """What the run reports on: each source of each account it collects from, and each sink."""
        sources = wanted(self._ask.sources, self._config.sources, "source") if self._ask.collect else ()
        sinks = wanted(self._ask.sinks, self._workshop.openings, "sink")
        collected = [Subject.account(account, source) for account in self._config.accounts for source in sources]
        return [*collected, *map(Subject.sink, sinks)]

    async def _keep(self, report: RunReport) -> None:
        """Keep the report, and tell plugins; of a run that fed nothing, nothing is kept."""
        if not (self._ask.collect or report.total.listed):
            await self._index.dropped(report.run)
            return
        await self._index.finished(report)
        with suppress(TimeoutError):
            async with asyncio.timeout(_HOOKS_AT_A_STOP if report.stopped else None):
                await self._registry.run_finished(report)

    async def _keep_crash(self, report: RunReport) -> None:
        """Keep that the run crashed, where the index still takes it."""
        if not self._ask.dry_run:
            with suppress(ArchiveError):
                await self._index.finished(report)

    async def _pass(self, stack: AsyncExitStack) -> None:
        lanes = self._lanes()
        if not self._ask.dry_run:
            await stack.enter_async_context(self._opened(lanes))
        self._progress.optional = frozenset(self._config.sinks) - set(self._config.required)
        self._progress.min_copies = self._config.archive.min_copies
        await self._names_known(lanes)
        forgotten = await self._forgotten()
        deletions = Deletions(
            index=self._index,
            lanes=lanes,
            trusted=self._config.trusted,
            clock=self._clock,
            progress=self._progress,
            rules={
                name: Rule(grace=source.delete_grace, limit=source.delete_limit, cameras=source.delete_cameras)
                for name, source in self._config.sources.items()
                if source.delete_after_archive and not forgotten
            },
            skew=self._skew,
            in_hand=self._workshop.in_hand,
            dry_run=self._ask.dry_run,
            would=self._would_delete,
        )
        archive = Archive(
            index=self._index,
            spool=self._spool,
            lanes=lanes,
            namer=Namer(self._config.archive.name),
            clock=self._clock,
            progress=self._progress,
            ask=self._ask,
            patience=self._patience,
            stored=self._registry.clip_stored,
            planned=self._planned,
            in_flight=self._config.archive.in_flight,
            trusted=self._config.trusted,
            beside=[name for name in self._config.sinks if name not in {lane.name for lane in lanes}],
            skip_twins=any(source.skip_twins for source in self._config.sources.values()),
            deletions=deletions,
            in_hand=self._workshop.in_hand,
        )
        try:
            if self._ask.collect:
                await archive.collect(await self._sources(stack))
                await self._check_cameras()
            if self._ask.feed:
                await archive.feed()
            await all_settled(lanes)
            async with self._workshop.cataloguing:
                for lane in lanes:
                    if not lane.closed:
                        await self._catalogue(lane)
            async with asyncio.TaskGroup() as counting:
                for lane in lanes:
                    if not lane.closed:
                        counting.create_task(self._note_unknown(lane))
            await deletions.run()
            await archive.judge_sinks()
        finally:
            archive.settle()
            for lane in lanes:
                if lane.closed and not (self._ask.dry_run or lane.opening):
                    self._progress.sink_failed(lane.name, lane.closed)

    async def _forgotten(self) -> list[SinkName]:
        """The sinks that the archive has and the config has not. Until they are put back or retired, they count, and nothing
        may be deleted that they should hold.
        """
        forgotten = self._config.forgotten(await self._index.sink_ids())
        for name in forgotten:
            self._progress.trouble(
                f"sink {name}",
                "it belongs to the archive and is not in the config, so nothing is deleted at any source: "
                f"put it back, or `blinkarchive sinks retire {name}`",
            )
        return forgotten

    async def _catalogue(self, lane: Lane) -> None:
        try:
            await catalogue(self._index, self._spool, lane, self._name, self._clock.now())
        except BlinkArchiveError as error:
            self._progress.sink_failed(lane.name, f"its catalogue could not be written: {error}")

    async def _note_unknown(self, lane: Lane) -> None:
        """Note copies that the sink's catalogues list and the index does not know."""
        try:
            async with asyncio.timeout(_COUNTING):
                unknown = await recounted(lane, self._index, self._clock, encrypted=lane.encrypted or lane.seal is not None)
        except (BlinkArchiveError, TimeoutError) as error:
            self._progress.note(
                f"sink {lane.name}", f"its catalogues could not be compared with the index: {str(error) or 'no answer in time'}"
            )
            return
        if unknown:
            self._progress.note(f"sink {lane.name}", str(unknown))

    # --- sinks

    def _lanes(self) -> list[Lane]:
        """The sinks of this run, none of them open yet. One that cannot be opened is closed, with the reason."""
        lanes = []
        for name in wanted(self._ask.sinks, self._workshop.openings, "sink"):
            opening = self._workshop.openings[name]
            recipients = opening.recipients if isinstance(opening, Opening) else None
            seal = Seal(recipients, self._index.secret) if recipients else None
            sink = self._config.sinks[name]
            lane = Lane(
                name,
                None,
                clock=self._clock,
                seal=seal,
                in_clear=sink.encrypt is False,
                parallel=sink.parallel,
                upload_limit=sink.upload_limit,
                naming=self._workshop.naming,
            )
            if not isinstance(opening, Opening):
                lane.close(str(opening))
            lanes.append(lane)
        return lanes

    def _opened(self, lanes: Sequence[Lane]) -> AbstractAsyncContextManager[None]:
        """Open the sinks, each of which joins the run when it is proven."""
        openings = {lane: self._workshop.openings[lane.name] for lane in lanes}
        return opened_together(
            {
                lane: functools.partial(lane.opened, opening.open, self._index, self._spool, self._config.sinks)
                for lane, opening in openings.items()
                if isinstance(opening, Opening)
            }
        )

    async def _names_known(self, lanes: Sequence[Lane]) -> None:
        """Wait for sinks of which only the marker tells whether the index knows them, under a name that the config no longer has:
        before that nobody knows what they hold.
        """
        known = await self._index.sink_ids()
        if self._config.forgotten(known):
            await all_settled([lane for lane in lanes if known.get(lane.name) is None])

    # --- sources

    async def _check_cameras(self) -> None:
        """Report the cameras that the run was limited to and that nothing knows. Without all accounts that is not known."""
        if not self._ask.cameras or self._clients.keys() < self._config.accounts.keys():
            return
        for name, hint in (await unknown_cameras(self._ask.cameras, self._index, self._clients.values())).items():
            self._progress.trouble(f'camera "{name}"', f"neither Blink nor the archive has a camera of this name or id{hint}")

    async def _sources(self, stack: AsyncExitStack) -> list[Source]:
        """The sources of every account that is signed in; what keeps the others out is in the report."""
        names = wanted(self._ask.sources, self._config.sources, "source")
        sources: list[Source] = []
        for account in self._config.accounts.values():
            pace, patience = self._workshop.paces[account.name], self._patience[account.name]
            opening = signed_in(self._config, account.name, clock=self._clock, pace=pace, patience=patience)
            try:
                async with self._workshop.signing_in[account.name]:
                    blink = await stack.enter_async_context(opening)
                await check_account(self._index, account.name, blink)
            except BlinkArchiveError as error:  # also a token file that cannot be written: the other accounts go on
                self._progress.trouble(str(Subject.account(account.name)), str(error))
                for source in names:
                    self._progress.source_failed(account.name, source, error, signing_in=True)
                continue
            except Exception as error:
                log.exception("a fault ended the sign-in of an account", extra={"account": account.name})
                for source in names:
                    self._progress.crash(Subject.account(account.name, source), error)
                continue
            self._skew[account.name] = _skew_of(blink)
            self._clients[account.name] = blink
            if SourceName.CLOUD in names:
                sources.append(MediaList(account.name, blink, pace=pace, patience=patience, clock=self._clock))
            if SourceName.SYNC_MODULE in names:
                sources.append(SyncModules(account.name, blink, pace=pace, patience=patience, clock=self._clock))
        return sources


def _skew_of(blink: Client) -> Callable[[], timedelta | None]:
    return lambda: blink.skew
