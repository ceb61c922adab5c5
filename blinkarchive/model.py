"""The words: frozen facts about clips, copies, runs and alarms. No behaviour beyond saying what they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import NewType

ClipId = NewType("ClipId", str)
"""The same recording has the same id, for ever. Only sources make one."""

Key = NewType("Key", str)
"""A name in a sink: relative, separated by "/", safe on every file system and object store."""

SinkName = NewType("SinkName", str)
"""The name of a sink in the owner's config: `[sink.NAME]`."""


class SourceName(StrEnum):
    """Where a clip is found."""

    CLOUD = "cloud"
    SYNC_MODULE = "sync-module"


TRIES = 10
"""After so many failed tries a clip is given up."""


class State(StrEnum):
    """How a clip stands with one sink. Five states, and "done" is only one of them."""

    PENDING = "pending"
    """The sink lacks it; nothing has gone wrong yet, or what went wrong was not this clip's fault."""
    FAILED = "failed"
    """The sink lacks it, and the last try for it failed. It is tried again."""
    GAVE_UP = "gave up"
    """The sink lacks it after ten failed tries. It is tried again once a week."""
    EXCLUDED = "excluded"
    """The sink lacks it because the owner wants it so."""
    STORED = "stored"
    """The sink holds it: put, read back, and equal."""


def _aware(when: datetime) -> None:
    if when.tzinfo is None:
        raise ValueError(f"a time without a zone: {when!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One recording, as its source tells of it."""

    id: ClipId
    #: The name of the account in the config: `[account.NAME]`.
    account: str
    network_id: str
    #: The network's name when the clip was found. Not unique.
    network: str
    #: None where the source does not say which camera it was (sync-module storage).
    camera_id: str | None
    #: The camera's name when the clip was found. Not unique.
    camera: str
    source: SourceName
    #: What made the camera record: `pir`, `button_press`, `liveview`, … An open set; "" when unknown.
    trigger: str
    #: When it was recorded: aware, UTC, whole seconds.
    recorded_at: datetime
    #: A description of the video that the source has generated; "" without one.
    description: str = ""
    #: What the source has recognised in the video: `person`, `vehicle`, … An open set.
    detections: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _aware(self.recorded_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A whole, checked, durable file that can be read as often as one likes.

    `path` belongs to the spool: a sink reads it, and never changes, moves or removes it.
    """

    path: Path
    #: In bytes.
    size: int
    #: 64 lower-case hex digits.
    sha256: str
    #: What `progress` calls; the core's.
    watch: Callable[[int], None] | None = field(default=None, repr=False, compare=False)

    def progress(self, size: int) -> None:
        """Report that a sink has read so many bytes to store them, piece by piece (some 64 KiB).

        A put that does so may take as long as its line needs. The call may wait, to keep the sink's `upload_limit`: make it in
        the thread that reads, never in the event loop. With 0 it never waits, and only says that the put goes on.
        """
        if self.watch is not None:
            self.watch(size)


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedCopy:
    """What a sink holds of a clip that Blink itself has only damaged. It never counts as a copy of the clip."""

    clip: ClipId
    sink: SinkName
    key: Key
    #: Of the bytes that came, in bytes and as 64 lower-case hex digits; what the sink holds may be encrypted.
    size: int
    sha256: str
    #: What is wrong with it.
    reason: str
    stored_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a sink says of one object it holds."""

    key: Key
    #: In bytes, of the stored object.
    size: int
    #: 64 lower-case hex digits, computed from the stored bytes; None where the sink cannot tell without sending them.
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """What was encrypted: the clip itself."""

    #: In bytes.
    size: int
    #: 64 lower-case hex digits.
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A clip in a sink: proof that it is held there."""

    clip: ClipId
    sink: SinkName
    key: Key
    #: Of what the sink holds, in bytes.
    size: int
    #: Of what the sink holds: 64 lower-case hex digits.
    sha256: str
    stored_at: datetime
    #: What the sink holds is the encryption of this; None when it holds the clip as it is, which anybody can read back.
    plain: Plain | None = None

    def __post_init__(self) -> None:
        _aware(self.stored_at)

    @property
    def clip_size(self) -> int:
        """Of the clip itself, in bytes."""
        return self.plain.size if self.plain else self.size

    @property
    def clip_sha256(self) -> str:
        """Of the clip itself."""
        return self.plain.sha256 if self.plain else self.sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A sink that lacks a clip."""

    sink: SinkName
    #: Never STORED.
    state: State = State.PENDING
    #: Failed tries that were the clip's own fault.
    tries: int = 0
    tried_at: datetime | None = None
    #: What went wrong last, in words.
    reason: str = ""
    #: The key under which the sink holds a damaged copy of it; None when it holds none.
    damaged: Key | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a clip stands with the sinks that were asked about."""

    clip: Clip
    #: Its name in every sink, frozen when the clip was first seen.
    key: Key
    lacking: tuple[Need, ...] = ()
    held: tuple[Copy, ...] = ()

    @property
    def readable(self) -> bool:
        """Whether some sink holds it as it is, and can give it to the others."""
        return any(copy.plain is None for copy in self.held)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many clips ended in which way. Each is counted where it happens, none by subtraction."""

    listed: int = 0
    #: Nothing lacked it before the run.
    known: int = 0
    #: Something lacked it; now nothing does.
    stored: int = 0
    #: Something still lacks it.
    failed: int = 0
    #: Something still lacks it, and ten tries have failed.
    gave_up: int = 0
    #: Left out for this run: deleted, still being written, without video, or not asked for.
    excluded: int = 0
    #: Fetched from the source for a clip's report; written to the sink for a sink's.
    bytes: int = 0

    @property
    def adds_up(self) -> bool:
        """Whether every clip that was listed is accounted for."""
        return self.listed == self.known + self.stored + self.failed + self.gave_up + self.excluded

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(Tally)})


class SubjectKind(StrEnum):
    """Which kind of part of an archive a run reports on by itself."""

    ACCOUNT = "account"
    SINK = "sink"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A part of an archive that can be good while others are not: an account, one source of an account, a sink."""

    kind: SubjectKind
    #: The name in the config: `[account.NAME]`, `[sink.NAME]`.
    name: str
    #: Of an account: which of its sources. None for the account as a whole.
    source: SourceName | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}{f', {self.source}' if self.source else ''}"

    @classmethod
    def account(cls, name: str, source: SourceName | None = None) -> Subject:
        """An account, or one of its sources."""
        return cls(kind=SubjectKind.ACCOUNT, name=name, source=source)

    @classmethod
    def sink(cls, name: SinkName) -> Subject:
        """A sink."""
        return cls(kind=SubjectKind.SINK, name=name)


class Result(StrEnum):
    """How a run ended for one subject."""

    GOOD = "good"
    """It did what it should. A clip that failed for a reason of its own does not change that: it has a state of its own."""
    FAILED = "failed"
    """It did not, and the next run tries again."""
    HELD = "held back"
    """It did not, since Blink asked for a pause; a later run tries again."""
    SIGN_IN = "sign-in needed"
    """It did not, and a person has to sign in first."""
    CRASHED = "crashed"
    """The run ended in a fault of blinkarchive or of the machine before the subject was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended for one subject, independently of all others."""

    subject: Subject
    result: Result = Result.GOOD
    #: What was wrong, in words; "" when it was good.
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that went wrong in a run, said once for a person to read."""

    #: An account, a sink, or a clip: "account home", "sink nas", "clip cloud:home:77".
    where: str
    what: str


class RunEnd(StrEnum):
    """How a run ended as a whole."""

    DONE = "all done"
    """Also when it met clips that an earlier run had given up: those were reported."""
    INCOMPLETE = "listing incomplete"
    SOME_FAILED = "some failed"
    SIGN_IN = "sign-in needed"
    CRASHED = "crashed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """How one run of the pipeline ended."""

    #: Short and sortable: its start in UTC and four random hex digits.
    run: str
    started_at: datetime
    total: Tally
    #: By account name, by source, by sink. A sink's tally counts clips as that one sink saw them.
    accounts: Mapping[str, Tally] = field(default_factory=dict)
    sources: Mapping[SourceName, Tally] = field(default_factory=dict)
    sinks: Mapping[SinkName, Tally] = field(default_factory=dict)
    #: Why clips were excluded, and how many for each reason.
    excluded: Mapping[str, int] = field(default_factory=dict)
    troubles: tuple[Trouble, ...] = ()
    #: What is worth knowing, and is no failure.
    notes: tuple[Trouble, ...] = ()
    seconds: float = 0.0
    #: False when a listing ended early: there may be clips that this run never saw.
    complete: bool = True
    #: True when the run was told to stop before its end.
    stopped: bool = False
    #: For how many seconds Blink asked to be left alone when the run ended; 0 when it did not.
    wait: float = 0.0
    #: Clips whose deletion at their source was asked for, and accepted.
    deleted: int = 0
    #: Clips that were to be deleted, and were not, for a reason that is among the troubles.
    deletions_failed: int = 0
    #: Clips whose deletion an earlier run had asked for, and that are gone from their source, as a whole listing has shown.
    deletions_confirmed: int = 0
    #: What would have been deleted, if it had not been a dry run.
    would_delete: tuple[ClipId, ...] = ()
    #: Accounts that need a person to sign in.
    login_needed: tuple[str, ...] = ()
    #: Sinks that were away, full or broken when the run ended, whether a clip was waiting for them or not.
    sinks_failed: tuple[SinkName, ...] = ()
    #: Sinks that a clip need not be in to count as archived: what they lack is told, and fails no run.
    optional: tuple[SinkName, ...] = ()
    #: How it ended for each source of each account, and each sink. What a stop left unfinished is not among them.
    outcomes: tuple[Outcome, ...] = ()
    #: Of `total.gave_up`, the clips that this run gave up. Those that an earlier run gave up were reported then.
    gave_up_now: int = 0
    #: The fault that ended the run, or a part of it, before its end; "" when there was none.
    crashed: str = ""

    @property
    def required_failed(self) -> tuple[SinkName, ...]:
        """Of `sinks_failed`, those that a clip has to be in."""
        return tuple(sink for sink in self.sinks_failed if sink not in self.optional)

    @property
    def ended(self) -> RunEnd:
        """How it ended, in one word: the worst that was met."""
        lacking = self.total.failed + self.gave_up_now + self.deletions_failed
        ends = [
            (RunEnd.STOPPED, self.stopped),
            (RunEnd.CRASHED, self.crashed),
            (RunEnd.SIGN_IN, self.login_needed),
            (RunEnd.SOME_FAILED, lacking or self.required_failed),
            (RunEnd.INCOMPLETE, not self.complete),
        ]
        return next((end for end, so in ends if so), RunEnd.DONE)


class AlarmChange(StrEnum):
    """Why an alarm is told."""

    RAISED = "raised"
    """Something is wrong that was not wrong before."""
    REMINDER = "still there"
    """It is wrong still, and a day, or what the owner chose, has passed since the last word about it."""
    CLEARED = "over"
    """It is wrong no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that a person should know of: it keeps clips from being archived, or did until now."""

    #: An account, a source, a sink: "account home", "source cloud", "sink nas". It stays the same while the trouble lasts.
    where: str
    #: What is wrong, in words; of an alarm that is over, what was.
    what: str
    change: AlarmChange
    #: When it was first found: aware, UTC.
    since: datetime
    #: When this was told: aware, UTC.
    at: datetime

    def __post_init__(self) -> None:
        _aware(self.since)
        _aware(self.at)
