"""What the index answers, beyond the words that everybody uses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from blinkarchive.interfaces import Part, Unreadable
from blinkarchive.model import Clip, Copy, Outcome, SinkName, SourceName, State

STUBBORN = 3
"""So many deletions of a clip were accepted, and it is listed all the same: then it is tried no more than once a day."""

CLOCKS_APART = timedelta(hours=1)
"""How far our clock and Blink's may be apart: a grace that is reckoned by a clock that is wrong is none."""


class Holding(Enum):
    """How a sink holds a clip that it could give to others."""

    READABLE = "readable"
    """As it is."""
    ANY = "any"
    """As it is, or encrypted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """How far an account's source has been listed without a gap."""

    account: str
    source: SourceName
    #: When the last complete listing began.
    complete_at: datetime
    #: When the last complete listing of all that the source keeps began; None when there was none.
    full_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPart:
    """A part of a source, and how its listings went."""

    account: str
    source: SourceName
    #: With what is wrong with it now.
    part: Part
    #: When a listing of it last began that went to its end; None when none ever did.
    listed_at: datetime | None
    #: When it was last heard of.
    seen_at: datetime
    #: Since when it cannot be listed; None when it can.
    trouble_since: datetime | None

    @property
    def never_there(self) -> bool:
        """Whether there is nothing to list, and never was: that is no problem."""
        return self.part.absent and self.listed_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """A clip that is deleted at its source, or is to be. It stays in the archive, and this stays in the index."""

    clip: Clip
    #: When it was decided last, before it was asked for.
    asked_at: datetime
    #: How often it was decided, and how often what was asked for was accepted.
    tries: int
    accepted: int
    #: What became of the last try, in words; "" when that is not known.
    outcome: str
    #: When a whole listing had shown that it is gone; None when none has.
    confirmed_at: datetime | None
    #: The copies that were verified right before the last try, one in every sink that must hold it.
    copies: tuple[Copy, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSummary:
    """How one sink stands. `stored + pending + failed + gave_up + excluded` is the number of clips."""

    sink: SinkName
    stored: int = 0
    pending: int = 0
    failed: int = 0
    gave_up: int = 0
    excluded: int = 0
    #: Of the stored copies, in all.
    bytes: int = 0
    #: When the oldest clip that it lacks was recorded.
    oldest_lacking: datetime | None = None

    @property
    def lacking(self) -> int:
        return self.pending + self.failed + self.gave_up


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSink:
    """A sink that the archive has, whether the config has it or not."""

    sink: SinkName
    #: What its marker says; None before it was read.
    id: str | None
    first_seen: datetime
    #: Clips that it holds, and those of them that no other sink holds.
    stored: int = 0
    only_there: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """What the catalogues of a sink list, and the index does not know: after the index was lost, or is of an older backup."""

    copies: int
    #: Catalogues that could not be read to count them: encrypted, or damaged.
    catalogues: int = 0
    #: When it was counted; None when that is now.
    at: datetime | None = None

    def __bool__(self) -> bool:
        return bool(self.copies or self.catalogues)

    def __str__(self) -> str:
        found = [f"list {self.copies:,} copies"] if self.copies else []
        found += [f"are {self.catalogues:,} that cannot be read without a key"] if self.catalogues else []
        return (
            f"its catalogues {' and '.join(found)} that this index does not know (was it lost, or is it an older one?). "
            "`blinkarchive restore` restores them; `verify` does not check them"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How the archive stands."""

    clips: int
    #: When the oldest and the newest clip were recorded; None when there is none.
    oldest: datetime | None
    newest: datetime | None
    sinks: tuple[SinkSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """How many clips a sink lacks for one reason."""

    sink: SinkName
    state: State
    #: "" when nothing has gone wrong.
    reason: str
    clips: int
    #: When the oldest of them was recorded.
    oldest: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenUnreadable:
    """A listed item that could not be understood, and how often it was met."""

    account: str
    source: SourceName
    #: Its `item` is "#" and a hash when the source gave it no id.
    unreadable: Unreadable
    first_seen: datetime
    last_seen: datetime
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LastOutcome:
    """How the last run ended for a subject, and when one last was good for it."""

    outcome: Outcome
    #: When that run ended.
    ended_at: datetime
    #: When the last good one ended; None when none ever was.
    good_at: datetime | None
    #: Since when runs are not good for it; None when the last one was.
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """A clip that failed so often that it is tried once a week only, and that some sinks are missing."""

    clip: Clip
    sinks: tuple[SinkName, ...]
    #: What went wrong last, in words.
    reason: str
