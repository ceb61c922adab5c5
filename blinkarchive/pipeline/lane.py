"""A sink in a run: is it the right one, how many puts at once, is a copy really there, and when to stop asking it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
import uuid
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, TypeVar

from blinkarchive.clock import Clock
from blinkarchive.encryption import Recipients
from blinkarchive.errors import (
    AlreadyThere,
    ArchiveError,
    BlinkArchiveError,
    CopyDiffers,
    NotFound,
    PluginError,
    SinkClosed,
    SinkError,
    SinkFull,
    SinkUnavailable,
    Unavailable,
)
from blinkarchive.interfaces import Body, Sink
from blinkarchive.keys import LONGEST_KEY
from blinkarchive.model import Content, Copy, Key, SinkName, Stored
from blinkarchive.pipeline import proof
from blinkarchive.pipeline.first_use import MARKER as MARKER
from blinkarchive.pipeline.first_use import refusal, what_is_there
from blinkarchive.pipeline.hands import LETTING_GO, Hands
from blinkarchive.pipeline.naming import opaque_name, second_name
from blinkarchive.pipeline.proof import Check, Depth
from blinkarchive.pipeline.sending import Silence, UploadLimit
from blinkarchive.pipeline.spool import Spool
from blinkarchive.retry import retry
from blinkarchive.secret import Secret, redact

T = TypeVar("T")

log = logging.getLogger(__name__)

PARALLEL = 16
"""How many clips are put at the same time into a sink that does not say how many it takes."""

MOST_PARALLEL = 64

_OTHER_NAMES = 4
_STRIKES = 5
_FIRST = 3
_SHARE = 1 / 16
_SILENCE = 120.0
_CLOSING = 5.0
MOST_LISTED = 2_000_000
"""So many objects of a listing are held in memory: some hundred bytes for each."""
_LONGEST_MARKER = 4096
_NOT_OPENED = "not opened"
_DEAF = "its plugin does not answer, and does not stop when it is told to"


class Places:
    """A fixed number of places, taken in the order of asking; who waits may be told to go."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[asyncio.Future[bool]] = deque()

    async def take(self, ticket: list[asyncio.Future[bool]]) -> bool:
        """Take a place, or wait for one with a future added to `ticket`. Whoever sets that future to False sends us away."""
        if self._free:
            self._free -= 1
            return True
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        ticket.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.leave()
            raise

    def leave(self) -> None:
        """Give a place back: to the next who waits."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(True)
                return
        self._free += 1


class _Marker(NamedTuple):
    """What the marker of a sink says."""

    id: str
    #: Whether nothing was ever to be put there in clear.
    encrypted: bool


class SinkMemory(Protocol):
    """What the index remembers of sinks."""

    async def sink_ids(self) -> Mapping[SinkName, str | None]: ...

    async def keep_sink_id(self, sink: SinkName, id_: str, /) -> None: ...

    async def rename_sink(self, old: SinkName, new: SinkName, /) -> None: ...

    async def recipients(self) -> Mapping[SinkName, tuple[str, ...]]: ...

    async def keep_recipients(self, sink: SinkName, recipients: Sequence[str], /) -> None: ...


@dataclass(frozen=True, slots=True)
class Seal:
    """How what goes into a sink is encrypted: for whom, and with which secret its names are made."""

    recipients: Recipients
    secret: Secret

    def name(self, key: Key) -> Key:
        """What a clip that is called `key` is called when it is encrypted."""
        return opaque_name(key, self.secret)


class Lane:
    """The way into one sink.

    A lane closes for the rest of the run when its sink is full, or has failed as a whole several times in a row:
    what it lacks stays pending, and the other lanes go on.
    """

    def __init__(
        self,
        name: SinkName,
        sink: Sink | None,
        *,
        clock: Clock,
        seal: Seal | None = None,
        in_clear: bool = False,
        parallel: int | None = None,
        upload_limit: int | None = None,
        deadline: float = 600.0,
        opening: float = 60.0,
        letting_go: float = LETTING_GO,
        naming: asyncio.Lock | None = None,
        adopted: bool = False,
    ) -> None:
        """With a `seal` nothing but what is encrypted goes in, save the marker. `in_clear`: the owner said that nothing is to be.
        `parallel` is how many clips may be put at the same time, at most; the sink itself may take fewer. `upload_limit` is in
        bytes a second. In seconds: `deadline` is how long a call may show no progress, `opening` what the sink may take to be
        opened and proven, `letting_go` what it may take to stop when it is told to. `naming` is shared by sinks that are opened
        together: it is held while one of them takes its name in the index. `adopted`: the owner confirmed that clips may be
        stored next to what the place holds already.
        """
        self.name = name
        #: Its name in the config: `name` is the one that the index knows.
        self.configured = name
        #: Whether its marker says that nothing was ever to be put there unencrypted.
        self.encrypted = False
        self.seal = seal
        self._in_clear = in_clear
        self._adopted = adopted
        self._opened = sink
        self._clock = clock
        self._parallel = parallel
        self.places = Places(parallel or PARALLEL)
        self._limit = UploadLimit(upload_limit) if upload_limit else None
        self._upload_limit = upload_limit
        self._deadline = deadline
        self._opening = opening
        self._letting_go = letting_go
        self._strikes = 0
        #: How many copies were compared with bytes that the sink sent, in this run.
        self._compared = 0
        #: How many contents it held before they were put.
        self.found = 0
        #: Whether its plugin did not stop when it was told to.
        self._deaf = False
        self._naming = naming or asyncio.Lock()
        #: Why it is closed; "" while it is open.
        self.closed = "" if sink else _NOT_OPENED
        #: Whether it is being opened, in a task of its own (see `joining`); it is closed until it is proven.
        self.opening = False
        #: Futures that are set to True when its opening has ended.
        self.awaited_by: set[asyncio.Future[bool]] = set()

    @property
    def is_open(self) -> bool:
        """Whether it was opened and proven, and was not closed since."""
        return not self.closed

    def settle(self) -> None:
        """Its opening has ended, well or not: wake all that waits for that."""
        self.opening = False
        for waiting in self.awaited_by:
            if not waiting.done():
                waiting.set_result(True)
        self.awaited_by.clear()

    @property
    def _sink(self) -> Sink:
        if self._opened is None:
            raise SinkClosed(self.closed)
        return self._opened

    @asynccontextmanager
    async def opened(
        self,
        opening: Callable[[], AbstractAsyncContextManager[Sink]],
        memory: SinkMemory,
        spool: Spool,
        others: Iterable[SinkName] = (),
    ) -> AsyncIterator[Lane]:
        """Open the sink and prove it. When that fails, the lane is closed, with the reason; nothing is raised."""
        async with self._entered(opening, lambda: self.prove(memory, spool, others)):
            yield self

    @asynccontextmanager
    async def opened_to_read(
        self, opening: Callable[[], AbstractAsyncContextManager[Sink]], memory: Mapping[SinkName, str | None]
    ) -> AsyncIterator[Lane]:
        """Open the sink, to read from it alone, and recognise it. `memory` is what the index knows of the markers of sinks. A
        sink that has another name in the config now goes by the one that the index knows. For failures see `opened`.
        """
        async with self._entered(opening, lambda: self._recognise(memory)):
            yield self

    @asynccontextmanager
    async def _entered(
        self, opening: Callable[[], AbstractAsyncContextManager[Sink]], proving: Callable[[], Awaitable[None]]
    ) -> AsyncIterator[None]:
        async with Hands(letting_go=self._letting_go) as hands:
            try:
                self._opened = await self._ask(hands, lambda: hands.enter(opening()), Silence(self._opening))
                async with self._guarded(), asyncio.timeout(self._opening):
                    await self._agree_on_speed()
                    await proving()
                if self.closed == _NOT_OPENED:
                    self.closed = ""
            except BlinkArchiveError as error:
                self.close(str(error))
            yield
            self.close("the run is over")
            if self._opened is not None and not self._deaf:  # a deaf one gets no more time than a word to stop
                try:
                    await self._ask(hands, hands.leave, Silence(_CLOSING))
                except BlinkArchiveError as error:  # all that counts was proven before
                    log.warning("the sink could not be closed well", extra={"sink": self.name, "because": str(error)})

    async def _agree_on_speed(self) -> None:
        """How many puts at once, as the owner and the sink have it; and the upload limit, for a sink that keeps it by itself."""
        its = getattr(self._sink, "parallel", PARALLEL)
        if not isinstance(its, int) or its < 1:
            raise PluginError(f"sink {self.name}: `parallel` is {its!r}, and not a number of at least 1")
        self.places = Places(min(self._parallel or its, its, MOST_PARALLEL))
        if self._upload_limit and (limit := getattr(self._sink, "limit_upload", None)) is not None:
            await limit(self._upload_limit)
            self._limit = None

    async def prove(self, memory: SinkMemory, spool: Spool, others: Iterable[SinkName] = ()) -> None:
        """Make sure that this is the sink the index knows, before anything is written.

        The first run leaves a marker in the sink. A sink that had one and has none now is no empty archive: its disk is
        not mounted. One place cannot be two sinks: `others` are the names of those beside it. Raises `SinkUnavailable`.
        """
        known = (await memory.sink_ids()).get(self.name)
        found = await self._in_time(lambda _: self._marker())
        if found is None and known is None:
            found = await self._begin(spool)
        marker = self._require(found, known)
        self.encrypted = marker.encrypted
        if known is None:
            async with self._naming:
                await self._take_name(memory, marker.id, set(others))
        await self._agree_on_encryption(memory, marker)

    async def _begin(self, spool: Spool) -> _Marker | None:
        """Mark a new sink. One that is not empty may be this archive's, seen with a wrong prefix or password: everything would be
        stored there a second time, so its owner has to confirm it. Raises `SinkUnavailable`.
        """
        if not self._adopted and (there := await self._in_time(lambda _: what_is_there(self._sink))):
            raise SinkUnavailable(f"sink {self.name}: {refusal(there, self.name)}")
        facts: dict[str, object] = {"blinkarchive sink": str(uuid.uuid4())}
        facts |= {"encrypted": True} if self.seal else {}
        facts |= {"note": "Leave this file here: it tells that this is the right place."}
        async with spool.written(json.dumps(facts).encode() + b"\n") as content:
            with suppress(AlreadyThere):  # another machine was quicker: then it is its marker that counts
                await self._in_time(lambda _: self._sink.put(MARKER, content))
        return await self._in_time(lambda _: self._marker())

    async def _recognise(self, memory: Mapping[SinkName, str | None]) -> None:
        marker = self._require(await self._in_time(lambda _: self._marker()), memory.get(self.name))
        self.name = next((name for name, id_ in memory.items() if id_ == marker.id), self.name)
        self.encrypted = marker.encrypted

    def _require(self, found: _Marker | None, known: str | None) -> _Marker:
        """The marker that was found, if it is the known one. Raises `SinkUnavailable`."""
        if found is None:
            raise SinkUnavailable(
                f"sink {self.name}: its marker {MARKER} is missing. Is the disk mounted? "
                "If you emptied it on purpose, put it under another name in the config"
            )
        if known is not None and found.id != known:
            raise SinkUnavailable(
                f"sink {self.name}: this is another place than before (its marker is {found.id}, expected {known}). "
                "Is the right disk mounted? A new place needs a new name in the config"
            )
        return found

    async def _agree_on_encryption(self, memory: SinkMemory, marker: _Marker) -> None:
        """What was to be encrypted once is never put in clear because a line of a config got lost, or an index as well."""
        before = (await memory.recipients()).get(self.name)
        encrypted = marker.encrypted if before is None else bool(before)
        if encrypted and self.seal is None and not self._in_clear:
            raise SinkUnavailable(
                f"sink {self.name}: what is in it is encrypted, and the config does not say for whom any more. "
                "Put its `encrypt` back, or say `encrypt = false`"
            )
        now = self.seal.recipients.texts if self.seal else ()
        if now != (before or ()) or (encrypted and before is None):
            await memory.keep_recipients(self.name, now)

    async def _take_name(self, memory: SinkMemory, id_: str, others: Collection[SinkName]) -> None:
        """A place that the index does not know under this name: it may know it under another, which nobody uses any more."""
        owner = next((name for name, its in (await memory.sink_ids()).items() if its == id_ and name != self.name), None)
        if owner in others:
            raise SinkUnavailable(f"sink {self.name}: this is the same place as sink {owner}; one copy is not two")
        if owner is None:
            await memory.keep_sink_id(self.name, id_)
        else:
            log.info("the sink has a new name", extra={"sink": self.name, "before": owner})
            await memory.rename_sink(owner, self.name)

    async def _marker(self) -> _Marker | None:
        text = b""
        try:
            async with proof.opened(self._sink, MARKER, _LONGEST_MARKER) as chunks:
                async for chunk in chunks:
                    text += chunk
        except NotFound:
            return None
        try:
            facts = json.loads(text)
            return _Marker(str(facts["blinkarchive sink"]), facts.get("encrypted") is True)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SinkUnavailable(f"sink {self.name}: its marker {MARKER} cannot be read") from error

    async def store(
        self, key: Key, content: Content, *, found: Callable[[], None] = lambda: None, damaged: Key | None = None
    ) -> Key:
        """Put the content and prove that it is there. Returns the key it has, which differs from `key` only if that name was
        taken by other bytes. `found` is called if the sink held it before. A copy known as `damaged` is moved aside first.
        Raises `SinkError` or `PluginError`.
        """
        first = True

        async def once() -> Key:
            nonlocal first
            was_first, first = first, False  # what a later attempt finds, an earlier one may have put there
            if damaged is not None and self.is_open:
                await self._in_time(lambda silence: self._make_way(damaged, content, silence), content.size)
            return await self._once(key, content, found if was_first else lambda: None)

        try:
            stored = await retry(once, clock=self._clock)
        except (Unavailable, PluginError, CopyDiffers) as error:
            self._strike(error)
            raise
        self._strikes = 0
        return stored

    async def _once(self, key: Key, content: Content, found: Callable[[], None]) -> Key:
        if self.closed:
            raise SinkClosed(self.closed)
        return await self._in_time(lambda silence: self._put(key, self._watched(content, silence), found, silence), content.size)

    async def _make_way(self, damaged: Key, content: Content, silence: Silence) -> None:
        """Move a damaged copy aside, so that the good one gets the name; where that is impossible, the good one gets another."""
        if await self._check(damaged, content.size, content.sha256, silence) is Check.DAMAGED:
            await proof.set_aside(self._sink, damaged, content.path.parent, silence.progress)

    def _watched(self, content: Content, silence: Silence) -> Content:
        """The content, so that what the sink reads of it counts as progress and keeps the upload limit."""

        def progress(size: int) -> None:
            silence.progress()
            if size and self._limit is not None:
                self._limit.wait(size)
                silence.progress()

        return replace(content, watch=progress)

    async def _put(self, key: Key, content: Content, found: Callable[[], None], silence: Silence) -> Key:
        """Put the content under its name, or, where that is taken by other bytes, under another; and prove that it is there."""
        for name in (key, *(second_name(key, content.sha256, nth) for nth in range(1, _OTHER_NAMES + 1))):
            try:
                await self._sink.put(name, content)
            except AlreadyThere:
                # An earlier attempt got through, or something else has this name: the bytes tell.
                if not await self._proven(name, content, silence):
                    log.warning("the name is taken by other bytes; both are kept", extra={"sink": self.name, "key": name})
                    continue
                found()
                self.found += 1
                return name
            except CopyDiffers:  # it has seen that itself
                await self._require_intact(content)
                raise
            if result := await self._proven(name, content, silence):
                return name
            await self._require_intact(content)
            if result is Check.DAMAGED:
                await proof.set_aside(self._sink, name, content.path.parent, silence.progress)
            raise CopyDiffers(f"sink {self.name}: it took {name}, but what it holds there is not what it was given")
        raise CopyDiffers(f"sink {self.name}: {key} and {_OTHER_NAMES} other names for it are taken by other bytes")

    async def _proven(self, key: Key, content: Content, silence: Silence) -> Check:
        """Check what the sink holds. The first copies of a run, and some at random after them, are compared with bytes that the
        sink sends: a hash that it reports may be an echo of ours.
        """
        found = await self._check(key, content.size, content.sha256, silence)
        if found is Check.HASH and (self._compared < _FIRST or random.random() < _SHARE):  # noqa: S311  # no secret
            if not await proof.gives_a_part(self._sink, key, content):
                await self._require_intact(content)
                raise self._distrusted(f"it reports the right hash of {key}, but the bytes that it sends are others")
            self._compared += 1
        return found

    async def _check(self, key: Key, size: int, sha256: str, silence: Silence, depth: Depth = Depth.PROVE) -> Check:
        """Compare what the sink holds with a size and a hash."""
        try:
            return await proof.check(self._sink, self.name, key, size, sha256, depth, silence.progress)
        except proof.WrongReport as error:
            raise self._distrusted(str(error)) from error

    def _distrusted(self, why: str) -> SinkClosed:
        """Close the sink, because its reports are worth nothing."""
        self.close(f"sink {self.name}: {why}. Nothing more is stored there in this run; check the storage or its plugin")
        return SinkClosed(self.closed)

    async def _require_intact(self, content: Content) -> None:
        """Raise `ArchiveError` when a copy differs because the file does."""
        if not await asyncio.to_thread(_is_intact, content):
            raise ArchiveError(
                f"{content.path} was changed by somebody while it was put into sink {self.name}: it is fetched anew"
            )

    async def _in_time(self, work: Callable[[Silence], Awaitable[T]], size: int = 0) -> T:
        """Have a plugin do something with so many bytes, and wait as long as it shows progress."""
        silence = Silence(self._deadline, size=size)
        async with Hands(letting_go=self._letting_go) as hands:
            return await self._ask(hands, lambda: work(silence), silence)

    async def _ask(self, hands: Hands, work: Callable[[], Awaitable[T]], silence: Silence) -> T:
        """Have these hands of a plugin do something. One that does not even let go when it is told to stop is left behind, and
        asked nothing more.
        """

        async def guarded() -> T:
            async with self._guarded():
                return await work()

        try:
            return await hands.do(guarded, silence)
        except TimeoutError as error:
            if hands.left_behind:
                raise SinkClosed(f"sink {self.name}: {_DEAF}") from error
            raise SinkUnavailable(f"sink {self.name}: no answer in time") from error
        finally:
            if hands.left_behind and not self._deaf:
                self._deaf = True
                self.close(f"sink {self.name}: {_DEAF}")

    async def verify(self, copy: Copy, memory: SinkMemory, depth: Depth = Depth.PROVE) -> Check:
        """Whether the sink holds the copy at this moment, as far as `depth` goes, and how that was checked.

        A false result is certain: what is there is of other bytes, or nothing is, and the marker says that this is still the
        right place. Whatever else there is to say is raised, and means "unknown": `SinkError` or `PluginError`.
        """
        if self.closed:
            raise SinkClosed(self.closed)
        try:
            held = await self._in_time(lambda silence: self._check(copy.key, copy.size, copy.sha256, silence, depth), copy.size)
            known = None if held else (await memory.sink_ids()).get(self.name)
            found = None if held else await self._in_time(lambda _: self._marker())
        except (Unavailable, PluginError) as error:
            self._strike(error)
            raise
        if not held and (known is None or found is None or known != found.id):
            self.close(f"it has lost its marker {MARKER} in the middle of the run. Is the disk still mounted?")
            raise SinkUnavailable(f"sink {self.name}: {self.closed}")
        self._strikes = 0
        return held

    @property
    def notes(self) -> tuple[str, ...]:
        """What the sink has to say to its owner, in sentences: what it cannot do, and what its listings skipped."""
        try:
            return tuple(str(note) for note in getattr(self._opened, "notes", ()))
        except Exception:  # noqa: BLE001  # plugin code
            return ()

    async def list(self, prefix: str) -> list[Stored]:
        """Every object whose key begins with `prefix`, in the order of their keys. What cannot be a key is left out.

        Raises `SinkError` or `PluginError`; also for a listing that holds more than `MOST_LISTED`, which may have no end.
        """

        async def listed(silence: Silence) -> list[Stored]:
            found: dict[Key, Stored] = {}
            number = 0
            listing = self._sink.list(prefix)
            try:
                async for stored in listing:
                    silence.progress()
                    number += 1
                    if number % 1000 == 0:
                        await asyncio.sleep(0)  # a listing that never waits holds up nothing else
                    if number > MOST_LISTED:
                        raise SinkError(f"sink {self.name} lists more than {MOST_LISTED:,} objects; none of them was used")
                    if not isinstance(stored, Stored):
                        raise PluginError(f"sink {self.name}: list gave {type(stored).__name__} in place of Stored")
                    if len(stored.key) <= LONGEST_KEY and stored.key.startswith(prefix):
                        found[stored.key] = stored
            finally:
                if isinstance(listing, AsyncGenerator):  # it may not have been read to its end
                    await listing.aclose()
            return sorted(found.values(), key=lambda stored: stored.key)

        return await self._in_time(listed)

    @asynccontextmanager
    async def read(self, key: Key, size: int) -> AsyncIterator[Body]:
        """The bytes the sink holds, at most `size` and one more. The sink is not blamed for faults of the reader."""
        async with Hands(letting_go=self._letting_go) as hands:
            opening = proof.opened(self._sink, key, size + 1)
            chunks = await self._ask(hands, lambda: hands.enter(opening), Silence(_SILENCE))
            async with aclosing(self._pieces(hands, chunks)) as pieces:
                yield Body(length=size, type="video/mp4", chunks=pieces)
            await self._ask(hands, hands.leave, Silence(_CLOSING))

    async def _pieces(self, hands: Hands, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """The chunks, as long as none of them is waited for too long."""
        while (chunk := await self._ask(hands, lambda: anext(chunks, None), Silence(_SILENCE))) is not None:
            yield chunk

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[None]:
        """The one place where a plugin may raise anything: what is no `SinkError` becomes a `PluginError`."""
        try:
            yield
        except BlinkArchiveError:
            raise
        except TimeoutError as error:
            raise SinkUnavailable(f"sink {self.name}: no answer in time") from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise PluginError(f"sink {self.name}: its plugin cancelled itself") from error
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # plugin code: its faults must not stop the other sinks
            what = redact(f"{type(error).__name__}: {error}")
            raise PluginError(f"sink {self.name}: its plugin failed: {what}") from error

    def _strike(self, error: SinkError | PluginError | Unavailable) -> None:
        self._strikes += 1
        if isinstance(error, SinkFull) or self._strikes >= _STRIKES:
            self.close(str(error))

    def close(self, why: str) -> None:
        """Ask nothing more of this sink in this run."""
        if not self.closed or self._opened is None or self.closed == _NOT_OPENED:
            self.closed = why
            log.info("the sink is closed for this run", extra={"sink": self.name, "because": why})


def _is_intact(content: Content) -> bool:
    """Whether the file is still what it was: nobody but us should write it, and plugins run with our rights."""
    try:
        with content.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == content.sha256
    except OSError:
        return False
