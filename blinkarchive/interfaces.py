"""The seams: what a source and a sink promise. Every MUST here is tested by `blinkarchive.conformance`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from blinkarchive.model import Clip, Content, Key, SourceName, Stored

Options = TypeVar("Options")


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A clip's bytes on their way in."""

    #: What the other side says it will send, in bytes; None when it does not say.
    length: int | None
    #: The media type it gives, in lower case without parameters; "" when it gives none.
    type: str
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRef:
    """A clip that was found just now, and the way to its bytes while this run lasts.

    What passes (an address, a manifest's number) is closed over in `open` and `delete`, and is stored nowhere.
    `open()` may be called again after a failure. It raises `SourceError`, or `SinkError` when the bytes come from a sink.
    """

    clip: Clip
    open: Callable[[], AbstractAsyncContextManager[Body]]
    #: Deletes the clip at its source: it, and never another one. It returns when that was accepted, and done as far as the source
    #: tells; whether it is gone, a later listing shows. It raises `SourceError`: `ClipGone` when there is no such clip any more.
    #: None when the clip cannot be deleted, or cannot be told from others for certain.
    delete: Callable[[], Awaitable[None]] | None = None
    #: Whether so many bytes may be this clip, by what is listed now: an id that lasts may have come to mean another clip.
    fits: Callable[[int], bool] = lambda _: True


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A listed item that is no clip to fetch now."""

    #: The source's id of the item, "" when it has none.
    item: str
    #: "deleted", "partial", "no video".
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A listed item that could not be understood. It is kept for a person to look at, and counted as failed."""

    item: str
    reason: str
    #: The item as it came, as JSON text, secrets removed, at most 4,000 characters.
    raw: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a source that is listed by itself (an account's cloud, the stick of one sync module), and how that ended."""

    #: What the ids of all its clips begin with, and those of no others.
    scope: str
    #: For people: "the cloud", 'sync module "Garage"'.
    name: str
    #: Why it could not be listed to its end; "" when it was, so that a clip which it did not show is not there.
    trouble: str = ""
    #: There is nothing to list, and that is no fault: a module without USB storage.
    absent: bool = False
    #: How long a clip stays there by itself; None where nobody said.
    keeps: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one page of a listing held. Each item comes in one batch only, however often the source repeats it."""

    found: tuple[ClipRef, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    #: The part whose last batch this is; None while there is more of it.
    part: Part | None = None


class Source(Protocol):
    """A place where clips are found."""

    @property
    def account(self) -> str: ...

    @property
    def name(self) -> SourceName: ...

    def discover(self, since: datetime) -> AsyncIterator[Batch]:
        """List all that may have changed since a time (aware).

        MUST list every clip that was there all along, whatever the page size, and MUST NOT end normally unless it has:
        it raises `ListingIncomplete` after the batches it could get, or `LoginNeeded`, or another `SourceError`.
        MUST give an item once, and say of each part of it that there is how its listing ended; of one that cannot be listed
        for a reason which is no fault (a stick that was taken out), the word is all there is.
        """
        ...


@runtime_checkable
class Sink(Protocol):
    """A place that keeps clips.

    All of it may be called at the same time for different keys, and `put` for the same key too.
    A sink has no retry loop, no queue and no time-out of its own: the core has them.
    A sink MUST let `asyncio.CancelledError` through, at once, leaving no visible half-written object.
    Errors of the library underneath MUST be translated to `SinkError`s, with `from`.

    A sink MAY have more: `parallel`, how many clips it takes at the same time (16 without it); `notes`, texts for `doctor`; and,
    if another program reads the bytes, `async limit_upload(rate)`, after which that one keeps to so many bytes a second.
    """

    async def put(self, key: Key, content: Content) -> None:
        """Store the bytes of `content.path` under `key`.

        MUST be whole or not at all: no reader ever sees a part of it, whatever fails or dies.
        MUST be durable on return: a crash or a power cut after it loses nothing.
        MUST NOT overwrite: raises `AlreadyThere` when the key exists, whatever is stored there, and changes nothing.
        MUST fail if fewer or more bytes than `content.size` were stored.
        SHOULD call `content.progress` with the size of each piece it has read, in the thread that reads: then a put may take as
        long as a slow line needs, and `upload_limit` holds. A put that never does is cancelled when it takes longer than ten
        minutes and the time of its bytes at 2 KiB a second.
        Raises `SinkFull`, `SinkUnavailable`, or another `SinkError`.
        """
        ...

    async def stat(self, key: Key) -> Stored | None:
        """What is stored under `key`; None when nothing is.

        Three answers: there, not there, or an error when it cannot know (`SinkUnavailable`).
        None MUST mean "certainly not there".
        `size`, and `sha256` where given, MUST come from the stored object, never from memory of what was put.
        """
        ...

    def open(self, key: Key, start: int = 0) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The stored bytes from offset `start` to the end, in chunks of at most 1 MiB; none when it lies at the end or beyond.

        MUST raise, and not end early, when it cannot go on.
        Raises `NotFound` when nothing is stored under `key` (on entering the context, or with the first chunk).
        """
        ...

    def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        """Every object whose key begins with `prefix`, once each, in any order, including names that begin with a dot.

        MUST NOT give what is half-written. MUST raise, and not end early, when it cannot go on.
        What is not the sink's own (a folder below that it may not read, a symbolic link to a folder) MAY be skipped; then it is
        named in `notes`, a tuple of sentences that a sink may have as an attribute.
        """
        ...

    async def delete(self, key: Key) -> None:
        """Remove the object. Raises `NotFound` when there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """Who a place says it is, before anybody trusts it with anything."""

    #: What it shows now, and what is trusted there so far, each for people: a kind of key and its fingerprint.
    shows: str
    trusted: tuple[str, ...]
    #: Trusts what is shown from here on, in place of what was. Gives the file that now says so. Raises `ConfigError`.
    accept: Callable[[], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkType(Generic[Options]):
    """A kind of sink that a plugin offers.

    `options` is a frozen dataclass: its fields are the keys that `[sink.NAME]` takes beside `type`, with their types and
    defaults; a field's `metadata={"help": "…"}` is shown by `blinkarchive plugins`. `open` connects, and closes on the way out;
    it raises `SinkUnavailable` when the place cannot be reached and `ConfigError` when the options make no sense.
    """

    #: What `type = "…"` names it.
    kind: str
    options: type[Options]
    open: Callable[[Options], AbstractAsyncContextManager[Sink]]
    #: One sentence for `blinkarchive plugins`.
    help: str = ""
    #: Asks the place who it is, for `blinkarchive doctor --accept-host-key`. It sends no secret, changes nothing, and raises what
    #: `open` raises. None where there is no such question.
    introduce: Callable[[Options], Awaitable[Introduction]] | None = None
    #: Opens it with read access only, for `restore` and `verify`: it MUST NOT write, make or remove anything there. None where
    #: `open` writes nothing either.
    open_to_read: Callable[[Options], AbstractAsyncContextManager[Sink]] | None = None


AnySinkType = SinkType[Any]
