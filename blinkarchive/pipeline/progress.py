"""How far a run is: counters that the pipeline moves, that a terminal may look at, and that become the report."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime

from blinkarchive.errors import BlinkArchiveError, LoginLimit, LoginNeeded, SourceError, Throttled
from blinkarchive.faults import fault
from blinkarchive.model import ClipId, Outcome, Result, RunReport, SinkName, SourceName, Subject, Tally, Trouble

_MOST_TROUBLES = 200
_HELD = ("stored", "known")
_MILDEST_FIRST = (Result.GOOD, Result.FAILED, Result.HELD, Result.SIGN_IN, Result.CRASHED)
_WORST_FIRST = ("failed", "gave_up", "excluded", "stored", "known")


@dataclass(slots=True)
class Count:
    """A `Tally` that grows."""

    listed: int = 0
    known: int = 0
    stored: int = 0
    failed: int = 0
    gave_up: int = 0
    excluded: int = 0
    bytes: int = 0

    def add(self, bucket: str, number: int) -> None:
        """Move one of the counters on."""
        setattr(self, bucket, getattr(self, bucket) + number)

    def tally(self) -> Tally:
        """What has been counted so far."""
        return Tally(**{f.name: getattr(self, f.name) for f in fields(self)})


def keep_trouble(troubles: list[Trouble], where: str, what: str) -> None:
    """Keep something to tell a person; the same thing once only, and no more than anybody would read."""
    trouble = Trouble(where=where, what=what.removeprefix(f"{where}: "))
    if trouble not in troubles and len(troubles) < _MOST_TROUBLES:
        troubles.append(trouble)


def _result_of(error: BlinkArchiveError, *, signing_in: bool) -> Result:
    """What an error makes of the source of an account."""
    if isinstance(error, LoginLimit) or (signing_in and isinstance(error, Throttled)):
        return Result.HELD
    return Result.SIGN_IN if isinstance(error, LoginNeeded) else Result.FAILED


class Progress:
    """All counters of one run.

    A clip is counted as listed when a source gives it, and once more when its way ends; each time for its account
    and its source, and for every sink as that sink sees it. Nothing here is computed from anything else.
    """

    def __init__(self) -> None:
        self.accounts: defaultdict[str, Count] = defaultdict(Count)
        self.sources: defaultdict[SourceName, Count] = defaultdict(Count)
        self.sinks: defaultdict[SinkName, Count] = defaultdict(Count)
        self.total = Count()
        self.excluded: Counter[str] = Counter()
        self.troubles: list[Trouble] = []
        self.notes: list[Trouble] = []
        self.login_needed: list[str] = []
        self.sinks_failed: list[SinkName] = []
        #: What the run reports on by itself; None for what it has not finished.
        self._outcomes: dict[Subject, Outcome | None] = {}
        #: Clips that this run gave up.
        self.gave_up_now = 0
        #: The first fault that nobody expected; "" when there was none.
        self.crashed = ""
        #: Whether every listing so far went to its end.
        self.complete = True
        #: Bytes that came, whether the clip is whole yet or not.
        self.received = 0
        #: For how many seconds Blink asks to be left alone.
        self.wait = 0.0
        #: Copies that were looked at before their clip was to be deleted at its source.
        self.verified = 0
        self.deleted = 0
        self.deletions_failed = 0
        self.deletions_confirmed = 0
        self.would_delete: list[ClipId] = []
        #: Sinks that a clip need not be in to count as archived, and in how many it has to be at least.
        self.optional: frozenset[SinkName] = frozenset()
        self.min_copies = 1
        #: How many sources are still being listed (at least): until it is 0 nobody knows how much there is to do.
        self.listing = 1

    def listed(self, account: str, source: SourceName, number: int, sinks: Iterable[SinkName]) -> None:
        """Count clips that a source gave."""
        self._count(account, source, "listed", number)
        for sink in sinks:
            self.sinks[sink].listed += number

    def ended(self, account: str, source: SourceName, ends: Mapping[SinkName, str]) -> None:
        """Count a clip whose way has ended: `ends` says how, for each sink. The clip as a whole ended the way of the worst; once
        it counts as archived, what it lacks elsewhere is a matter of those sinks alone.
        """
        held = {sink: end for sink, end in ends.items() if end in _HELD}
        archived = ends.keys() - self.optional <= held.keys() and len(held) >= min(self.min_copies, len(ends))
        self._count(account, source, min((held if archived else ends).values(), key=_WORST_FIRST.index), 1)
        for sink, end in ends.items():
            self.sinks[sink].add(end, 1)

    def came(self, size: int) -> None:
        """Count bytes as they come."""
        self.received += size

    @property
    def mark(self) -> tuple[object, ...]:
        """Differs from an earlier one when anything has moved since."""
        deletions = self.verified, self.deleted, self.deletions_failed
        return self.total.tally(), self.received, tuple(sink.tally() for sink in self.sinks.values()), self.listing, deletions

    def fetched(self, account: str, source: SourceName, size: int) -> None:
        """Count bytes that came in."""
        self._count(account, source, "bytes", size)

    def _count(self, account: str, source: SourceName, bucket: str, number: int) -> None:
        for count in (self.total, self.accounts[account], self.sources[source]):
            count.add(bucket, number)

    # --- subjects: each ends by itself

    def begins(self, subjects: Iterable[Subject]) -> None:
        """The run is to report on these."""
        for subject in subjects:
            self._outcomes.setdefault(subject, None)

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """What the run is to report on."""
        return tuple(self._outcomes)

    def succeeded(self, subject: Subject) -> None:
        """The subject did what it should, unless a failure of it was kept before."""
        if self._outcomes.get(subject) is None:
            self._outcomes[subject] = Outcome(subject=subject)

    def failed(self, subject: Subject, reason: str, result: Result = Result.FAILED) -> None:
        """The subject did not do what it should. The worst is kept, and of equals the first."""
        before = self._outcomes.get(subject)
        if before is None or _MILDEST_FIRST.index(result) > _MILDEST_FIRST.index(before.result):
            self._outcomes[subject] = Outcome(subject=subject, result=result, reason=reason)

    def source_failed(self, account: str, source: SourceName, error: BlinkArchiveError, *, signing_in: bool = False) -> None:
        """A source of an account could not be listed to its end, or its clips not be fetched; or not even be signed in to."""
        self.complete = False
        if isinstance(error, SourceError) and error.retry_after is not None:
            self.wait = max(self.wait, error.retry_after)
        if isinstance(error, LoginNeeded) and account not in self.login_needed:
            self.login_needed.append(account)
        self.failed(Subject.account(account, source), str(error), _result_of(error, signing_in=signing_in))

    def crash(self, subject: Subject, error: Exception) -> None:
        """A fault that nobody expected ended the work on a subject; the others go on."""
        what = fault(error)
        self.crashed = self.crashed or f"{subject}: {what}"
        self.complete = False
        self.failed(subject, what, Result.CRASHED)
        self.trouble(str(subject), what)

    def sink_failed(self, sink: SinkName, what: str) -> None:
        """Keep that a sink as a whole was in trouble, and why."""
        if sink not in self.sinks_failed:
            self.sinks_failed.append(sink)
        self.failed(Subject.sink(sink), what)
        self.trouble(f"sink {sink}", what)

    def trouble(self, where: str, what: str) -> None:
        """Keep something to tell a person; the same thing once only."""
        keep_trouble(self.troubles, where, what)

    def note(self, where: str, what: str) -> None:
        """Keep something to tell a person that is no failure."""
        keep_trouble(self.notes, where, what)

    def _ended_outcomes(self, crashed: str) -> tuple[Outcome, ...]:
        """How it ended for each subject. After a crash, the sources that had not ended crashed; else the sinks; else all."""
        ended = {subject: one for subject, one in self._outcomes.items() if one is not None}
        if crashed:
            unfinished = [subject for subject in self._outcomes if subject not in ended]
            sources = [subject for subject in unfinished if subject.source is not None]
            blamed = sources or unfinished or list(self._outcomes)
            ended |= {one: Outcome(subject=one, result=Result.CRASHED, reason=crashed) for one in blamed}
        return tuple(ended.values())

    def report(self, run: str, started_at: datetime, seconds: float, *, stopped: bool = False, crashed: str = "") -> RunReport:
        """The run's report. `crashed` is the fault that ended the run as a whole."""
        return RunReport(
            outcomes=self._ended_outcomes(crashed),
            gave_up_now=self.gave_up_now,
            crashed=crashed or self.crashed,
            run=run,
            started_at=started_at,
            total=self.total.tally(),
            accounts={name: count.tally() for name, count in self.accounts.items()},
            sources={name: count.tally() for name, count in self.sources.items()},
            sinks={name: count.tally() for name, count in self.sinks.items()},
            excluded=dict(self.excluded),
            troubles=tuple(self.troubles),
            notes=tuple(self.notes),
            seconds=seconds,
            complete=self.complete and not stopped and not crashed,
            stopped=stopped,
            wait=self.wait,
            deleted=self.deleted,
            deletions_failed=self.deletions_failed,
            deletions_confirmed=self.deletions_confirmed,
            would_delete=tuple(self.would_delete),
            login_needed=tuple(self.login_needed),
            sinks_failed=tuple(self.sinks_failed),
            optional=tuple(sorted(self.optional)),
        )
