"""The cases of good manners: errors, outages, cancellation, the event loop, and nothing left open."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from blinkarchive.conformance.basis import (
    Basis,
    OpenSink,
    Untestable,
    broken,
    only_sink_errors,
    raising,
    require,
    require_whole,
    side_by_side,
    telling,
    unless_untestable,
)
from blinkarchive.conformance.content import MakeContent
from blinkarchive.errors import NotFound, SinkError, SinkUnavailable
from blinkarchive.interfaces import Sink
from blinkarchive.model import Content, Key

Calls = dict[str, Callable[[], Awaitable[object]]]

KEY = Key("hall/2026/clip.mp4")
CUTS = 12
ROUNDS = 20
SESSIONS = 10
CUT_SHORT = "raising what the store says when it is away, also between two pages or chunks; an empty answer is not an end"
FEW = 4
"""What libraries may open once and keep, beside what the test counts."""


class Behaving(Basis):
    """What holds for every call."""

    async def test_it_is_a_sink(self, open_sink: OpenSink) -> None:
        async with self.opened(open_sink) as sink:
            missing = [name for name in ("put", "stat", "open", "list", "delete") if not callable(getattr(sink, name, None))]
            require(
                not missing,
                "a sink has the methods put, stat, open, list and delete",
                f"{type(sink).__name__} lacks {', '.join(missing)}",
                "looking at blinkarchive.Sink, which says what each of them does",
            )

    # -- errors -------------------------------------------------------------------------------------------------------

    async def test_only_sink_errors_are_raised(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        content = make_content(1000)
        gone = Content(path=Path(f"{content.path}-gone"), size=1000, sha256=content.sha256)
        folder = Content(path=content.path.parent, size=1000, sha256=content.sha256)
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, content)
            calls: Calls = {
                "a put of a file that is gone": lambda: sink.put(Key("a"), gone),
                "a put of a folder": lambda: sink.put(Key("b"), folder),
                "a put under a key that exists": lambda: sink.put(KEY, content),
                "a put below an object": lambda: sink.put(Key(f"{KEY}/below"), content),
                "stat below an object": lambda: sink.stat(Key(f"{KEY}/below")),
                "opening below an object": lambda: self.read(sink, Key(f"{KEY}/below")),
                "opening what is not there": lambda: self.read(sink, Key("nothing")),
                "deleting what is not there": lambda: sink.delete(Key("nothing")),
                "stat of a part longer than 255 bytes": lambda: sink.stat(Key("x" * 300)),
            }
            for what, call in calls.items():
                with only_sink_errors(what):
                    await call()
            await self.require_holds(sink, KEY, content, content.path.read_bytes())

    async def test_an_outage_is_an_error_and_never_an_answer(
        self, request: pytest.FixtureRequest, open_sink: OpenSink, make_content: MakeContent
    ) -> None:
        content = make_content(1000)
        mended = "translating what the store says when it is away, and answering `not there` only when the store said so"
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, content)
            async with self.taken_away(request):
                calls: Calls = {
                    "stat of an object": lambda: sink.stat(KEY),
                    "stat of what is not there": lambda: sink.stat(Key("nothing")),
                    "open": lambda: self.read(sink, KEY),
                    "list": lambda: self.names(sink),
                    "put": lambda: sink.put(Key("new"), content),
                    "delete": lambda: sink.delete(KEY),
                }
                for what, call in calls.items():
                    with raising(SinkUnavailable, f"{what}, while the place cannot be reached,", mended):
                        await call()

    async def test_an_outage_cuts_no_listing_short(
        self, request: pytest.FixtureRequest, open_sink: OpenSink, make_content: MakeContent
    ) -> None:
        content = make_content(10)
        keys = [Key(f"camera/{n % 3}/{n}.mp4") for n in range(self.MANY)]
        async with self.opened(open_sink) as sink:
            await self.put_all(sink, keys, content)
            listing = aiter(sink.list())
            listed = {(await anext(listing)).key}
            async with self.taken_away(request):
                try:
                    with telling(SinkUnavailable, "a listing that an outage interrupts", CUT_SHORT):
                        async for stored in listing:
                            listed.add(stored.key)
                except SinkUnavailable:
                    return
            require(
                listed == {*keys},
                "a listing that an outage interrupts raises SinkUnavailable, or gives every object: it never just ends",
                f"it ended after {len(listed):,} of {len(keys):,} objects, as if there were no more",
                CUT_SHORT,
            )

    async def test_an_outage_cuts_no_object_short(
        self, request: pytest.FixtureRequest, open_sink: OpenSink, make_content: MakeContent
    ) -> None:
        content = make_content(self.BIG // 4)
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, content)
            async with sink.open(KEY) as chunks:
                reading = aiter(chunks)
                pieces = [await anext(reading)]
                async with self.taken_away(request):
                    try:
                        with telling(SinkUnavailable, "reading an object, interrupted by an outage,", CUT_SHORT):
                            pieces += [chunk async for chunk in reading]
                    except SinkUnavailable:
                        return
            found, right = b"".join(pieces), content.path.read_bytes()
            require(
                found == right,
                "reading that an outage interrupts raises SinkUnavailable, or gives all bytes: it never just ends",
                f"it ended after {len(found):,} of {len(right):,} bytes, as if there were no more",
                CUT_SHORT,
            )

    async def test_a_sink_that_stays_open_works_again_after_an_outage(
        self, request: pytest.FixtureRequest, open_sink: OpenSink, make_content: MakeContent
    ) -> None:
        content = make_content(1000)
        data = content.path.read_bytes()
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, content)
            async with self.taken_away(request):
                calls: tuple[Callable[[], Awaitable[object]], ...] = (
                    lambda: sink.stat(KEY),
                    lambda: self.names(sink),
                    lambda: sink.put(Key("new"), content),
                    lambda: self.read(sink, KEY),
                )
                for call in calls:
                    with suppress(SinkUnavailable):
                        await call()
            try:
                await self.require_holds(sink, KEY, content, data)
                await self.put_again(sink, Key("new"), content)
                await self.require_holds(sink, Key("new"), content, data)
            except SinkError as error:
                raise broken(
                    "SinkUnavailable says that the same call may succeed later: it does, once the place can be reached again",
                    f"the place could be reached again, and the sink that had stayed open raised {type(error).__name__}: {error}",
                    "connecting anew when a connection was lost, instead of keeping the dead one until the sink is closed",
                ) from error

    async def test_after_an_outage_everything_is_there_again(
        self, request: pytest.FixtureRequest, open_sink: OpenSink, make_content: MakeContent
    ) -> None:
        content = make_content(1000)
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, content)
            async with self.taken_away(request):
                with suppress(SinkUnavailable):
                    await sink.put(Key("new"), content)
        async with self.opened(open_sink) as sink:
            await self.require_holds(sink, KEY, content, content.path.read_bytes())
            await self.put_again(sink, Key("new"), content)
            await self.require_holds(sink, Key("new"), content, content.path.read_bytes())

    # -- cancellation -------------------------------------------------------------------------------------------------

    async def test_a_cancelled_put_stores_all_or_nothing(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        content = make_content(self.BIG // 4)
        data = content.path.read_bytes()
        async with self.opened(open_sink) as sink:
            began = time.perf_counter()
            await sink.put(Key("whole"), content)
            took = time.perf_counter() - began
            for cut in range(CUTS):
                key = Key(f"cut/{cut}.mp4")
                await self._cancelled(sink.put(key, content), took * cut / CUTS, "put")
                require_whole(await self.sizes(sink, key), content, "a put that is cancelled stores all or nothing")
                if await sink.stat(key) is not None:
                    await self.require_holds(sink, key, content, data)
                await self.put_again(sink, key, content)
                await self.require_holds(sink, key, content, data)
            listed = await self.names(sink)
            require(
                listed == sorted([Key("whole"), *(Key(f"cut/{cut}.mp4") for cut in range(CUTS))]),
                "puts that were cancelled leave nothing behind that a listing shows",
                f"it shows {listed}",
                "leaving temporary names out of listings",
            )

    async def test_every_call_lets_a_cancellation_through(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        content = make_content(self.BIG // 4)
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, content)
            for pause in (0.0, 0.001):
                await self._cancelled(sink.put(Key(f"new {pause}"), content), pause, "put")
                await self._cancelled(sink.stat(KEY), pause, "stat")
                await self._cancelled(self.read(sink, KEY), pause, "open")
                await self._cancelled(self.names(sink), pause, "list")
                await self._cancelled(sink.delete(Key("nothing")), pause, "delete", NotFound)
            await self.require_holds(sink, KEY, content, content.path.read_bytes())

    async def test_whoever_is_cancelled_while_reading_or_listing_leaves_nothing_behind(
        self, open_sink: OpenSink, make_content: MakeContent
    ) -> None:
        content = make_content(self.BIG // 4)
        data = content.path.read_bytes()
        keys = [KEY, *(Key(f"camera/{n}.mp4") for n in range(30))]
        small = make_content(10)
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, content)
            await self.put_all(sink, keys[1:], small)
            for steps in range(ROUNDS):
                await self._cancelled_at(_steps_of(lambda: self._chunks(sink)), steps % 4, "reading")
                await self._cancelled_at(_steps_of(sink.list), steps % 4, "listing")
            await self.require_holds(sink, KEY, content, data)
            listed = await self.names(sink)
            require(
                listed == sorted(keys),
                "listings that were cancelled disturb no later one",
                f"after them, a listing has {len(listed)} of {len(keys)} objects",
                "keeping a listing's state in the listing, not in the sink",
            )
            await sink.delete(KEY)

    async def _chunks(self, sink: Sink) -> AsyncIterator[object]:
        async with sink.open(KEY) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _cancelled_at(
        self, call: Callable[[asyncio.Event, int], Coroutine[object, object, None]], at: int, what: str
    ) -> None:
        """Cancel a walk while it waits for the item after the first so many. It must end at once, and as cancelled."""
        arrived = asyncio.Event()
        async with side_by_side() as group:
            task = group.create_task(call(arrived, at))
            await arrived.wait()
            await self._end(task, what)

    async def _cancelled(
        self, call: Coroutine[object, object, object], pause: float, what: str, *may_raise: type[Exception]
    ) -> None:
        """Cancel a call after a pause. It must end at once, and as cancelled; unless it had ended before."""
        async with side_by_side() as group:
            task = group.create_task(_caught(call, may_raise))
            await asyncio.sleep(pause)
            await self._end(task, what)

    async def _end(self, task: asyncio.Task[None], what: str) -> None:
        """Cancel a call. It must end at once, and as cancelled; unless it had ended before."""
        if not task.cancel():
            return
        await asyncio.wait({task}, timeout=self.PROMPT)
        if not task.done():
            raise broken(
                f"{what} lets a cancellation through at once",
                f"it had not ended {self.PROMPT:g} s after it was cancelled",
                "not waiting for a thread or a reply on the way out; what must be tidied up can be tidied up there",
            )
        require(
            task.cancelled(),
            f"{what} lets a cancellation through",
            "it was cancelled, and ended as if it had not been",
            "raising asyncio.CancelledError again wherever it is caught, and never catching BaseException without that",
        )

    # -- the event loop, and what is left open ------------------------------------------------------------------------

    async def test_the_event_loop_goes_on(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        content = make_content(self.BIG)
        async with self.opened(open_sink) as sink:
            calls: Calls = {
                "put": lambda: sink.put(KEY, content),
                "stat": lambda: sink.stat(KEY),
                "open": lambda: self._drain(sink, KEY),
                "list": lambda: self.names(sink),
                "delete": lambda: sink.delete(KEY),
            }
            for what, call in calls.items():
                longest = await _longest_pause(call)
                require(
                    longest <= self.LONGEST_PAUSE,
                    f"{what} does not hold up the event loop",
                    f"for {longest:.1f} s nothing else could run; {self.LONGEST_PAUSE:g} s are allowed here, and less is better",
                    "calling what blocks in a thread (asyncio.to_thread), or using an asynchronous library",
                )

    async def _drain(self, sink: Sink, key: Key) -> None:
        async with sink.open(key) as chunks:
            async for _chunk in chunks:
                pass

    async def test_no_file_is_left_open(
        self, request: pytest.FixtureRequest, open_sink: OpenSink, make_content: MakeContent
    ) -> None:
        content = make_content(300_000)
        with unless_untestable(request):
            _open_files()
        await self._use(open_sink, content, "warm", 1)
        before = _open_files()
        await self._use(open_sink, content, "used", ROUNDS)
        left = await self._settled(_open_files, before + FEW) - before
        require(
            left <= FEW,
            "a sink that was closed leaves no file or connection open",
            f"after {ROUNDS} rounds of put, stat, open, list and delete {left} more are open than before",
            "closing in `finally` or `with`, also when a reader or a listing is left early",
        )

    async def test_no_task_and_no_thread_is_left(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        content = make_content(1000)
        for session in range(2):
            await self._use(open_sink, content, f"warm {session}", 1)
        tasks, threads = asyncio.all_tasks(), threading.active_count()
        for session in range(SESSIONS):
            await self._use(open_sink, content, f"used {session}", 1)
        left = await self._settled(lambda: len(asyncio.all_tasks() - tasks), 0)
        require(
            left == 0,
            "a sink that was closed leaves no task running",
            f"{left} are left: {asyncio.all_tasks() - tasks}",
            "starting tasks in a TaskGroup that ends with the sink",
        )
        left = await self._settled(threading.active_count, threads + FEW) - threads
        require(
            left <= FEW,
            "a sink that was closed leaves no thread running",
            f"after it was opened and closed {SESSIONS} times, {left} threads are left",
            "shutting down its own executor when it is closed",
        )

    async def _settled(self, count: Callable[[], int], enough: int) -> int:
        """Count again for a while, as closing may take a moment. Garbage is not collected: that is no way to close."""
        until = time.monotonic() + self.PROMPT
        while count() > enough and time.monotonic() < until:  # noqa: ASYNC110  # nothing tells when a file is closed
            await asyncio.sleep(0.02)
        return count()

    async def _use(self, open_sink: OpenSink, content: Content, name: str, rounds: int) -> None:
        async with self.opened(open_sink) as sink:
            for turn in range(rounds):
                key = Key(f"{name}/{turn}.mp4")
                await sink.put(key, content)
                await self.put_again(sink, key, content)
                await sink.stat(key)
                await sink.stat(Key("nothing"))
                async with sink.open(key) as chunks:
                    async for _chunk in chunks:
                        break
                await self.read(sink, key)
                async for _stored in sink.list():
                    break
                await self.names(sink)
                with suppress(NotFound):
                    await self.read(sink, Key("nothing"))
                await sink.delete(key)


async def _caught(call: Coroutine[object, object, object], kinds: Sequence[type[Exception]]) -> None:
    with suppress(*kinds):
        await call


def _steps_of(walk: Callable[[], AsyncIterator[object]]) -> Callable[[asyncio.Event, int], Coroutine[object, object, None]]:
    """A walk that says when it is about to ask for the item after the first so many, or has come to its end before."""

    async def steps(arrived: asyncio.Event, at: int) -> None:
        try:
            if not at:
                arrived.set()
            passed = 0
            async for _item in walk():
                passed += 1
                if passed == at:
                    arrived.set()
        finally:
            arrived.set()

    return steps


async def _longest_pause(call: Callable[[], Awaitable[object]]) -> float:
    """Run a call beside a task that asks for the loop again and again: the longest time it had to wait, in seconds."""
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.005)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now

    async with side_by_side() as group:
        heart = group.create_task(beat())
        await asyncio.sleep(0.01)
        await call()
        await asyncio.sleep(0.01)
        heart.cancel()
    return longest


def _open_files() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        if Path(folder).is_dir():
            return len(os.listdir(folder))
    raise Untestable("this system does not tell which files are open")
