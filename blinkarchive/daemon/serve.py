"""The scheduler: it lives for months, sees to it that each source is looked at when it is due, and says what is wrong."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from blinkarchive import wiring
from blinkarchive.clock import Clock
from blinkarchive.config import Config
from blinkarchive.daemon import health, systemd, word
from blinkarchive.daemon.alarms import Alarms
from blinkarchive.daemon.health import Finding
from blinkarchive.daemon.notify import Notifier
from blinkarchive.daemon.ping import Ping
from blinkarchive.daemon.schedule import Schedule
from blinkarchive.errors import ArchiveBusy, BlinkArchiveError, ConfigError, NothingArchived, is_ours
from blinkarchive.faults import fault, in_words
from blinkarchive.model import RunReport, SourceName
from blinkarchive.pipeline.archive import Ask
from blinkarchive.pipeline.lock import held
from blinkarchive.pipeline.progress import Progress
from blinkarchive.when import format_duration
from blinkarchive.wiring import State, Workshop

log = logging.getLogger(__name__)

FEED = "feed"
"""The run that collects nothing: it brings sinks what others of them hold."""

LOOK = 30.0
"""How often it is looked whether all goes on, in seconds. No tick is later than that after a clock was set or a machine slept."""
AGAIN = 30.0
"""How soon a source is due again when another run held the archive, in seconds."""
CHECK = 300.0
"""How often the index is asked what is overdue, in seconds."""
ENDING = 60.0
"""How long a run that was ended may take to end, in seconds; after that the scheduler no longer calls itself alive."""
SILENCE = 60.0
"""How long the word that is left for others may be the same, in seconds: then it is said again, since it is still true."""
LONGEST_HOLD = 3600.0
"""For how long Blink may ask to be left alone, in seconds."""

_ARCHIVE = "the archive"
_INDEX = "the index"
_CONFIG = "the config"


async def serve(load: Callable[[], Config], *, reloads: asyncio.Event, clock: Clock | None = None) -> None:
    """Look after an archive until cancelled; then what is on its way is finished or left, and the next start goes on from there.

    `load` gives the config; whenever `reloads` is set it is asked anew. One that cannot be used is refused then, and the old one
    stays. Raises `ConfigError` for the first one, and `ArchiveBusy` when another scheduler looks after the archive.
    """
    clock = clock or Clock()
    daemon = Daemon(load(), clock=clock, started_at=clock.now())
    state = daemon.state
    state.make()
    with held(state.serving, busy="another `blinkarchive serve` looks after this archive"):
        last = word.read(state.folder)
        told: object = last.alarms if last else None
        while True:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(daemon.run(told))
                try:
                    following = await _next(load, daemon, reloads)
                except asyncio.CancelledError:
                    systemd.stopping()
                    raise
                running.cancel()
            told, daemon = daemon.told, following
            log.info("the config was read anew", extra={"file": str(daemon.config.file)})


async def _next(load: Callable[[], Config], old: Daemon, reloads: asyncio.Event) -> Daemon:
    """Wait for a config that can be used in place of the old one, and give the scheduler under it."""
    while True:
        await reloads.wait()
        reloads.clear()
        systemd.reloading()
        try:
            daemon = Daemon(load(), clock=old.clock, started_at=old.started_at)
            if daemon.state != old.state:
                raise ConfigError("[archive] state: it cannot change while the archive is served; stop, and start anew")
        except BlinkArchiveError as error:
            log.error("the new config is refused, the old one stays", extra={"because": str(error)})  # noqa: TRY400
            old.keep_on(f"the new one was refused, the old one stays: {error}")
            systemd.ready()
        else:
            return daemon


@dataclass(slots=True, kw_only=True)
class _Doing:
    """A run that goes on."""

    what: str
    since: datetime
    progress: Progress = field(default_factory=Progress)
    task: asyncio.Task[None] | None = None
    #: What its progress was when it last moved, and when that was, on the clock that never jumps.
    mark: object = None
    moved_at: float = 0.0
    #: When it was ended because nothing moved, on the same clock.
    ended_at: float | None = None

    @property
    def word(self) -> word.Doing:
        total = self.progress.total
        failed = total.failed + total.gave_up
        return word.Doing(
            what=self.what, since=self.since, listed=total.listed, stored=total.stored, failed=failed, bytes=total.bytes
        )


class Daemon:
    """The scheduler under one config.

    A source that is due gets a run of its own; nothing that goes on keeps another source waiting. What sinks lack that others
    hold is fed to them by one more run. Trouble is a state with a name, and never an end.
    """

    def __init__(self, config: Config, *, clock: Clock, started_at: datetime) -> None:
        """Nothing is begun, and nothing made. Raises `ConfigError` for a config that cannot be used."""
        registry = wiring.check(config)
        self.config = config
        self.clock = clock
        self.started_at = started_at
        self.state = State(folder=config.archive.state)
        self.wrongs = health.Wrongs()
        #: What people have been told. A stop in the middle of telling them leaves it as it was: they are told again.
        self.told: object = None
        self._alarms = Alarms()
        self._schedule = Schedule(config, clock)
        self._shared = _Shared(lambda: Workshop.opened(config, clock=clock))
        self._notifier = Notifier(config.alarm, hook=registry.alarm)
        self._ping = Ping(config.alarm.ping, clock=clock, proxy=config.alarm.proxy) if config.alarm.ping else None
        self._doing: dict[str, _Doing] = {}
        #: The sources that were looked at since the start. Before all were, what was wrong then may be so still.
        self._looked_at: set[SourceName] = set()
        self._feed_due = False
        self._stopping = False
        self._wake = asyncio.Event()
        self._news = asyncio.Event()
        self._left: word.Word | None = None

    async def run(self, told: object) -> None:
        """Look after the archive until cancelled. `told` is what people have been told before."""
        self._alarms = Alarms.from_record(told)
        self.told = self._alarms.as_record()
        optional = [name for name, sink in self.config.sinks.items() if not sink.required]
        self.wrongs.inherit(self._alarms.still_found, optional=optional)
        systemd.ready()
        try:
            async with asyncio.TaskGroup() as group:
                try:
                    group.create_task(self._judge())
                    while True:
                        self._begin(group)
                        self._look()
                        await self._rest()
                finally:
                    self._stopping = True
        finally:
            self._leave_word()

    def keep_on(self, because: str) -> None:
        """Another config was not to be had, and why: that is told."""
        self.wrongs.take(_CONFIG, [Finding(where=_CONFIG, what=because)], self.clock.now())
        self._wake.set()
        self._news.set()

    async def _rest(self) -> None:
        """Until something is due, or was done; never for long: the clock on the wall may jump."""
        now = self.clock.now()
        waits = [(tick - now).total_seconds() for tick in self._schedule.next.values()]
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, min([*waits, LOOK, systemd.watchdog_interval() or LOOK]))):
                await self._wake.wait()
        self._wake.clear()

    # --- runs

    def _begin(self, group: asyncio.TaskGroup) -> None:
        """Begin what is due. A source that is still being looked at has had its tick."""
        due = self._schedule.due()
        for name in due:
            if self.config.sources[name].skip_twins and SourceName.CLOUD in {*due, *self._doing}:
                self._schedule.soon(name, AGAIN)  # its twins in the cloud come first
            elif name not in self._doing:
                self._start(group, name, Ask(sources=(name,), feed=False))
        if self._feed_due and FEED not in self._doing:
            self._feed_due = False
            self._start(group, FEED, Ask(collect=False))

    def _start(self, group: asyncio.TaskGroup, what: str, ask: Ask) -> None:
        doing = _Doing(what=what, since=self.clock.now(), moved_at=self.clock.monotonic())
        self._doing[what] = doing
        doing.task = group.create_task(self._run(doing, ask), name=f"run {what}")

    async def _run(self, doing: _Doing, ask: Ask) -> None:
        """One run from its beginning to its end; whatever goes wrong with it is a state. From one that could not be made nothing
        is learned: what was wrong before is so still.
        """
        found: list[Finding] = []
        try:
            async with self._shared.entered() as workshop:
                found = self._outcome(doing, await workshop.run(ask, doing.progress))
                if ask.collect and not self._stopping:
                    await self._see_what_is_left(workshop)
                self._looked_at |= set(ask.sources)
        except ArchiveBusy as error:
            found = [*self.wrongs.of(doing.what), Finding(where=_ARCHIVE, what=str(error))]
            for source in ask.sources:
                self._schedule.soon(source, AGAIN)
        except Exception as error:  # noqa: BLE001  # also a fault of our own: it ends this run, and nothing else
            found = [*self.wrongs.of(doing.what), self._failure(doing, error)]
        finally:
            del self._doing[doing.what]
            self._wake.set()
        if self._stopping:
            return
        self.wrongs.take(doing.what, found, self.clock.now())
        if self._looked_at >= self.config.sources.keys():
            self.wrongs.take(health.BEFORE, (), self.clock.now())
        self._news.set()
        if ask.collect and self._ping and not self.wrongs.spoiling:
            await self._ping.send()

    async def _see_what_is_left(self, workshop: Workshop) -> None:
        """Whether there is something to feed. When there is not, what was wrong with feeding is so no more."""
        if await workshop.backlog():
            self._feed_due = True
        elif FEED not in self._doing:
            self.wrongs.take(FEED, (), self.clock.now())

    def _failure(self, doing: _Doing, error: Exception) -> Finding:
        """What an error means that a run did not survive."""
        if is_ours(error):
            log.error("a run could not go on", extra={"run": doing.what, "because": in_words(error)})
            return Finding(where=_ARCHIVE, what=in_words(error))
        log.error("a fault of our own ended a run", extra={"run": doing.what}, exc_info=error)
        return Finding(where="blinkarchive", what=f"a run of {doing.what} ended: {fault(error)}")

    def _outcome(self, doing: _Doing, report: RunReport) -> list[Finding]:
        """What was wrong with a run that came to its end; it is told in a line, and Blink's wish to be left alone is heeded."""
        if report.stopped and doing.ended_at is None:
            log.info("a run was stopped; the next one goes on from there", extra={"run": doing.what})
            return []
        found = health.problems(report)
        if doing.ended_at is not None:
            still = format_duration(self.config.serve.stalled_after)
            what = f"nothing moved for {still}, so it was ended; the next tick begins anew"
            found.append(Finding(where=f"run {doing.what}", what=what))
        if report.wait and len(self.config.accounts) == 1:  # the pause of one account is none of another's
            self._schedule.hold(SourceName(doing.what), min(report.wait, LONGEST_HOLD))
        total = report.total
        facts: dict[str, object] = {"run": doing.what, "listed": total.listed, "stored": total.stored, "bytes": total.bytes}
        facts |= {"failed": total.failed + total.gave_up, "seconds": round(report.seconds, 1)}
        level = logging.WARNING if found else logging.INFO if total.stored else logging.DEBUG
        if found:
            facts["wrong"] = "; ".join(f"{one.where}: {one.what}" for one in found)
        log.log(level, "a run has ended", extra=facts)
        return found

    # --- looks

    def _look(self) -> None:
        """See whether all goes on, and say so: to systemd, and to who asks for the status."""
        stuck = [doing.what for doing in self._doing.values() if not self._goes_on(doing)]
        if not stuck:
            systemd.watchdog()
        self._leave_word()

    def _goes_on(self, doing: _Doing) -> bool:
        """End a run in which nothing has moved for too long. False when it does not end, so that only a restart helps."""
        now, mark = self.clock.monotonic(), doing.progress.mark
        if doing.ended_at is not None:
            return now - doing.ended_at < ENDING
        if mark != doing.mark:
            doing.mark, doing.moved_at = mark, now
        elif now - doing.moved_at >= self.config.serve.stalled_after.total_seconds() and doing.task is not None:
            log.error("nothing moves in a run; it is ended", extra={"run": doing.what})
            doing.ended_at = now
            doing.task.cancel()
        return True

    async def _judge(self) -> None:
        """Look what is overdue, and tell people what they should know."""
        asked_at = -CHECK
        while True:
            if self.clock.monotonic() - asked_at >= CHECK:
                asked_at = self.clock.monotonic()
                await self._ask_the_index()
            now = self.clock.now()
            findings = self.wrongs.worth_an_alarm(now, self.config.alarm.after)
            remind = self.config.alarm.remind_every
            told = self._alarms.update(
                {one.where: one.what for one in findings},
                now=now,
                remind_every=remind,
                once={one.where for one in findings if one.once},
            )
            await self._notifier.send(told)
            self.told = self._alarms.as_record()
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK):
                    await self._news.wait()
            self._news.clear()

    async def _ask_the_index(self) -> None:
        """What is overdue, what was given up, what the cloud will soon delete."""
        now, sinks = self.clock.now(), tuple(self.config.sinks)
        found: list[Finding] = []
        try:
            async with wiring.reading(self.config, clock=self.clock) as index:
                late = list(health.overdue(self.config, await index.outcomes(), now=now, since=self.started_at))
                found += health.given_up(await index.given_up(sinks))
                found += health.expiring(await health.oldest(index, self.config), now)
                found += health.forgotten(await index.sink_ids(), self.config)
        except NothingArchived:
            late = list(health.overdue(self.config, health.NEVER, now=now, since=self.started_at))
        except BlinkArchiveError as error:
            late = [Finding(where=_ARCHIVE, what=str(error))]
        self.wrongs.take(_INDEX, found, now)
        self.wrongs.take("overdue", late, now)

    def _leave_word(self) -> None:
        now = self.clock.now()
        found = self.wrongs.found()
        doing = tuple(doing.word for doing in self._doing.values())
        said = word.Word(
            pid=os.getpid(),
            started_at=self.started_at,
            written_at=now,
            config=str(self.config.file or ""),
            doing=doing,
            next={str(name): tick for name, tick in self._schedule.next.items()},
            wrong=tuple(word.Wrong(where=where, what=one.what, since=self.wrongs.since(where)) for where, one in found.items()),
            alarms=self.told,
        )
        if self._left is not None and replace(self._left, written_at=now) == said:
            if (now - self._left.written_at).total_seconds() < SILENCE:
                return
        else:
            systemd.status(_in_a_line(said))
        self._left = said
        try:
            word.leave(self.state.folder, said)
        except OSError as error:
            log.warning("the status cannot be written", extra={"because": error.strerror})


def _in_a_line(said: word.Word) -> str:
    doing = ", ".join(f"{one.what} ({one.stored} of {one.listed} stored)" for one in said.doing)
    ticks = sorted((tick, name) for name, tick in said.next.items())
    now = f"now {doing}" if doing else f"next {ticks[0][1]} at {ticks[0][0]:%H:%M} UTC" if ticks else "nothing to do"
    return f"{len(said.wrong)} wrong ({said.wrong[0].where}); {now}" if said.wrong else f"all well; {now}"


class _Shared:
    """The workshop, open while anybody works in it, so that in between others may have the archive."""

    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[Workshop]]) -> None:
        self._opening = opening
        self._turn = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._workshop: Workshop | None = None
        self._users = 0

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[Workshop]:
        """Work in it. Raises what opening it raises."""
        async with self._turn:
            if self._workshop is None:
                self._workshop = await self._stack.enter_async_context(self._opening())
            workshop = self._workshop
            self._users += 1
        try:
            yield workshop
        finally:
            await asyncio.shield(self._leave())

    async def _leave(self) -> None:
        async with self._turn:
            self._users -= 1
            if not self._users:
                self._workshop = None
                await self._stack.aclose()
