"""What every case stands on: how the sink is opened, what its author can do behind its back, how a broken promise is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress

import pytest

from blinkarchive.errors import AlreadyThere, SinkError
from blinkarchive.interfaces import Sink
from blinkarchive.model import Content, Key, Stored

OpenSink = Callable[[], AbstractAsyncContextManager[Sink]]
"""Opens a sink. All that are opened by it within one test are the same place."""


UNTESTED = "blinkarchive untested"
"""The property of a test's report that says which promise was not tested, and why."""


class Untestable(Exception):
    """Why a promise is not tested: raised by an author's `flip_a_stored_byte` or `take_away`, and for what was left out."""


class Basis:
    """The part of `SinkContract` that an author fills in, and what its cases share."""

    BIG = 20 * 1024 * 1024
    """Bytes of a big clip."""

    HUGE = 100 * 1024 * 1024
    """Bytes of a huge clip. 0 leaves its case out, for a place that is slow to reach; the report then says so."""

    MANY = 300
    """Objects of a listing."""

    LONG = 1100
    """Objects of a long listing: more than one page of the store's own listing, if it has pages; stores like 1,000 to a page.
    0 leaves its case out, for a place that is slow to reach; the report then says so."""

    PATIENCE = 30.0
    """Seconds that one case may take."""

    PROMPT = 2.0
    """Seconds in which a cancellation must have come through, and in which what was closed must be gone."""

    LONGEST_PAUSE = 1.0
    """Seconds for which a sink may hold up the event loop."""

    @pytest.fixture
    def open_sink(self) -> OpenSink:
        """Override this: a function that opens the sink. An empty place for every test, and always the same one within a test."""
        pytest.fail(
            "The class has no fixture `open_sink`. Write one that returns a function which opens your sink,\n"
            "for example `return lambda: MY_SINK_TYPE.open(MyOptions(path=str(tmp_path)))`.",
            pytrace=False,
        )

    async def flip_a_stored_byte(self, key: Key) -> None:
        """Override this: change one bit of what is stored under `key`, behind the sink's back. Or raise `Untestable("why")`."""
        pytest.fail(
            "The class does not say how to damage a stored object. Override `flip_a_stored_byte`,\n"
            'or let it raise `Untestable("why this cannot be done")`: the reason is shown in the report.',
            pytrace=False,
        )

    def take_away(self) -> AbstractAsyncContextManager[None]:
        """Override this: make the place unreachable, and reachable again on leaving. Or raise `Untestable("why")`."""
        pytest.fail(
            "The class does not say how to make the place unreachable. Override `take_away` (an async context manager),\n"
            'or let it raise `Untestable("why this cannot be done")`: the reason is shown in the report.',
            pytrace=False,
        )

    @asynccontextmanager
    async def taken_away(self, request: pytest.FixtureRequest) -> AsyncIterator[None]:
        """The place is unreachable for as long as the block lasts, where the author can do that."""
        with unless_untestable(request):
            away = self.take_away()
            await away.__aenter__()
        try:
            yield
        finally:
            await away.__aexit__(None, None, None)

    # -- what the cases share -----------------------------------------------------------------------------------------

    @asynccontextmanager
    async def opened(self, open_sink: OpenSink) -> AsyncIterator[Sink]:
        """The sink, for as long as a case may take."""
        try:
            async with asyncio.timeout(self.PATIENCE) as patience, open_sink() as sink:
                yield sink
        except TimeoutError as error:
            if not patience.expired():
                raise
            raise broken(
                f"every call ends: here within {self.PATIENCE:g} s",
                "it did not",
                "looking for a lock that is never released; or, for a slow place, setting `PATIENCE` in the class",
            ) from error

    async def read(self, sink: Sink, key: Key, start: int = 0) -> bytes:
        """What is stored, from an offset on."""
        async with sink.open(key, start) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def names(self, sink: Sink, prefix: str = "") -> list[str]:
        """The keys that are listed, sorted."""
        return sorted([stored.key async for stored in sink.list(prefix)])

    async def sizes(self, sink: Sink, key: Key) -> set[int]:
        """The sizes that stat and list tell of an object; none when both say that it is not there."""
        stored = await sink.stat(key)
        listed = {found.size async for found in sink.list(key) if found.key == key}
        return listed if stored is None else listed | {stored.size}

    async def require_holds(self, sink: Sink, key: Key, content: Content, data: bytes) -> None:
        """The sink holds exactly these bytes under the key: by what it says of them, and by what it gives."""
        stored = await sink.stat(key)
        require(
            stored is not None,
            "what was put is there at once, and stays",
            f"stat({key!r}) gave None",
            "putting before returning, and raising when that fails; a cache of what is not there must be told of a put",
        )
        require_told(stored, key, content)
        found = await self.read(sink, key)
        require_same(found, data, f"open({key!r})")

    async def require_absent(self, sink: Sink, key: Key, why: str) -> None:
        """The sink shows nothing under the key."""
        stored, listed = await sink.stat(key), key in await self.names(sink)
        require(
            stored is None and not listed,
            f"nothing is visible under {key!r}: {why}",
            f"stat gave {stored}, and the listing {'has' if listed else 'does not have'} it",
            "writing under a temporary name that listings leave out, and giving the final name when all bytes are there",
        )

    async def put_all(self, sink: Sink, keys: Iterable[Key], content: Content) -> None:
        """Put the same content under many keys, some at a time."""
        places = asyncio.Semaphore(16)

        async def put(key: Key) -> None:
            async with places:
                await sink.put(key, content)

        async with side_by_side() as group:
            for key in keys:
                group.create_task(put(key))

    async def put_again(self, sink: Sink, key: Key, content: Content) -> None:
        """Put what may be there already."""
        with suppress(AlreadyThere):
            await sink.put(key, content)


@asynccontextmanager
async def side_by_side() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group whose first failure is raised as itself: a case has one story to tell."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


def unless_left_out(figure: str, value: int) -> None:
    """Raise `Untestable` where the author has set a figure of the class to 0."""
    if not value:
        raise Untestable(f"left out by {figure} = 0")


def broken(promised: str, happened: str, mended: str) -> BaseException:
    """The failure of a case, in words that teach."""
    words = f"A promise of the contract is broken.\n  promised: {promised}\n  happened: {happened}\n  usually mended by: {mended}"
    return pytest.fail.Exception(words, pytrace=False)


def require(kept: bool, promised: str, happened: str, mended: str) -> None:
    """Fail the case when the promise was not kept."""
    if not kept:
        raise broken(promised, happened, mended)


def require_told(stored: Stored | None, key: Key, content: Content) -> None:
    """What the sink says of an object is what was put."""
    right = stored is not None and (stored.key, stored.size) == (key, content.size) and stored.sha256 in (None, content.sha256)
    require(
        right,
        "stat tells the key, the size and (where it can) the SHA-256 of the stored bytes",
        f"it told {stored}; right would be size={content.size}, sha256={content.sha256!r}",
        "asking the store for them; give sha256=None if it cannot tell without sending the bytes",
    )


def require_whole(sizes: set[int], content: Content, promised: str) -> None:
    """Whatever was shown of an object had the size of the whole."""
    require(
        sizes <= {content.size},
        promised,
        f"it was shown with {', '.join(f'{size:,}' for size in sorted(sizes))} bytes; whole it has {content.size:,}",
        "writing under a temporary name that listings leave out, and giving the final name when all bytes are there",
    )


def require_same(found: bytes, right: bytes, what: str) -> None:
    """The bytes that were read are those that were put."""
    if found == right:
        return
    shorter = min(len(found), len(right))
    at = next((n for n in range(shorter) if found[n] != right[n]), shorter)
    raise broken(
        "the bytes that are read are those that were put",
        f"{what} gave {len(found):,} bytes where {len(right):,} are right; they differ from byte {at:,} on",
        "writing every chunk in full (a write may take fewer bytes than it was given), in order, in binary mode",
    )


@contextmanager
def raising(kind: type[SinkError], what: str, mended: str) -> Iterator[None]:
    """The block must raise this error."""
    try:
        yield
    except kind:
        return
    except Exception as error:
        raise broken(f"{what} raises {kind.__name__}", f"it raised {type(error).__name__}: {error}", mended) from error
    raise broken(f"{what} raises {kind.__name__}", "nothing was raised", mended)


@contextmanager
def telling(kind: type[SinkError], what: str, mended: str) -> Iterator[None]:
    """The block may raise this error, and no other."""
    try:
        yield
    except kind:
        raise
    except Exception as error:
        raise broken(
            f"{what} raises {kind.__name__} if anything", f"it raised {type(error).__name__}: {error}", mended
        ) from error


@contextmanager
def only_sink_errors(what: str) -> Iterator[None]:
    """The block may raise `SinkError`s, and nothing else."""
    try:
        yield
    except SinkError:
        return
    except Exception as error:
        raise broken(
            f"{what} raises nothing but errors from the tree below SinkError",
            f"it raised {type(error).__module__}.{type(error).__name__}: {error}",
            "catching the errors of the library underneath in one place, and raising a SinkError `from` them",
        ) from error


@contextmanager
def unless_untestable(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where the author says that a promise cannot be tested, the report says so too: not a skip, not a success."""
    try:
        yield
    except Untestable as error:
        request.node.user_properties.append((UNTESTED, str(error) or "no reason given"))
        pytest.xfail(f"not tested: {error}")
