"""A sink in a run: the right one, a proven copy, and an end to asking."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from blinkarchive import (
    AlreadyThere,
    BlinkArchiveError,
    ClipId,
    Content,
    Copy,
    CopyDiffers,
    Key,
    SinkError,
    SinkFull,
    SinkName,
    SinkUnavailable,
    Stored,
)
from blinkarchive.clock import ManualClock
from blinkarchive.errors import ArchiveError, PluginError, SinkClosed
from blinkarchive.pipeline.lane import MARKER, Lane, Places
from blinkarchive.pipeline.naming import second_name
from blinkarchive.pipeline.proof import Depth
from blinkarchive.pipeline.spool import Spool
from tests.pipeline.fakes import MemorySink, film

NAS = SinkName("nas")
KEY = Key("porch/2026/x_0123456789abcdef.mp4")


class Memory:
    """What the index remembers of sinks."""

    def __init__(self) -> None:
        self.ids: dict[SinkName, str] = {}
        self.encrypted_for: dict[SinkName, tuple[str, ...]] = {}

    async def sink_ids(self) -> dict[SinkName, str | None]:
        return dict(self.ids)

    async def keep_sink_id(self, name: SinkName, id: str) -> None:
        self.ids[name] = id

    async def rename_sink(self, old: SinkName, new: SinkName) -> None:
        self.ids[new] = self.ids.pop(old)

    async def recipients(self) -> dict[SinkName, tuple[str, ...]]:
        return self.encrypted_for

    async def keep_recipients(self, name: SinkName, recipients: Sequence[str]) -> None:
        self.encrypted_for[name] = tuple(recipients)


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    async with Spool(tmp_path / "spool").opened() as spool:
        yield spool


@pytest.fixture
def content(tmp_path: Path) -> Content:
    path = tmp_path / "content"
    path.write_bytes(film(1))
    return Content(path=path, size=len(film(1)), sha256=hashlib.sha256(film(1)).hexdigest())


def lane(sink: MemorySink, **how: float) -> Lane:
    return Lane(NAS, sink, clock=ManualClock(), **how)  # type: ignore[arg-type]  # figures of a test


# --- whether a copy is there now


def copy_of(data: bytes) -> Copy:
    sha256 = hashlib.sha256(data).hexdigest()
    return Copy(clip=ClipId("cloud:home:1"), sink=NAS, key=KEY, size=len(data), sha256=sha256, stored_at=ManualClock().now())


async def test_a_copy_is_verified_by_what_the_sink_holds_now(spool: Spool, content: Content) -> None:
    sink, memory = MemorySink(), Memory()
    way = lane(sink)
    await way.prove(memory, spool)
    copy = copy_of(film(1))
    assert not await way.verify(copy, memory)
    await way.store(KEY, content)
    assert await way.verify(copy, memory)
    sink.objects[KEY] = film(2)
    assert not await way.verify(copy, memory)


async def test_in_another_place_than_before_nothing_is_known_of_a_copy(spool: Spool) -> None:
    sink, memory = MemorySink(), Memory()
    await lane(sink).prove(memory, spool)
    for place, known in ((MemorySink(), memory.ids[NAS]), (sink, "another")):
        memory.ids[NAS] = known
        way = lane(place)
        with pytest.raises(SinkUnavailable, match="lost its marker"):
            await way.verify(copy_of(film(1)), memory)
        assert way.closed, "nothing more is asked of it"


async def test_a_sink_that_is_closed_verifies_nothing(spool: Spool, content: Content) -> None:
    sink, memory = MemorySink(), Memory()
    way = lane(sink)
    await way.prove(memory, spool)
    await way.store(KEY, content)
    way.close("full")
    with pytest.raises(SinkClosed):
        await way.verify(copy_of(film(1)), memory)


async def test_a_sink_that_does_not_answer_in_time_verifies_nothing(spool: Spool) -> None:
    class Silent(MemorySink):
        async def stat(self, key: Key) -> Stored | None:
            await asyncio.Event().wait()
            raise AssertionError

    memory = Memory()
    with pytest.raises(SinkUnavailable, match="no answer in time"):
        await lane(Silent(), deadline=0.05).verify(copy_of(film(1)), memory)


# --- which sink it is


async def test_the_first_run_marks_the_sink_and_later_runs_know_it(spool: Spool) -> None:
    sink, memory = MemorySink(), Memory()
    await lane(sink).prove(memory, spool)
    assert memory.ids[NAS].encode() in sink.objects[MARKER]
    await lane(sink).prove(memory, spool)
    assert list(sink.objects) == [MARKER]


async def test_a_sink_that_lost_its_marker_is_offline_and_nothing_is_written(spool: Spool) -> None:
    sink, memory = MemorySink(), Memory()
    await lane(sink).prove(memory, spool)
    unmounted = MemorySink()
    with pytest.raises(SinkUnavailable, match="Is the disk mounted"):
        await lane(unmounted).prove(memory, spool)
    assert unmounted.objects == {}


async def test_another_disk_in_the_same_place_is_refused(spool: Spool) -> None:
    memory, other = Memory(), MemorySink()
    await lane(MemorySink()).prove(memory, spool)
    await lane(other).prove(Memory(), spool)
    with pytest.raises(SinkUnavailable, match="another place than before"):
        await lane(other).prove(memory, spool)


async def test_a_sink_that_an_older_index_had_marked_is_taken_over(spool: Spool) -> None:
    sink, first, second = MemorySink(), Memory(), Memory()
    await lane(sink).prove(first, spool)
    await lane(sink).prove(second, spool)
    assert first.ids == second.ids


async def test_a_damaged_marker_is_not_replaced(spool: Spool) -> None:
    sink = MemorySink()
    sink.objects[MARKER] = b"\0\0\0\0"
    with pytest.raises(SinkUnavailable, match="cannot be read"):
        await lane(sink).prove(Memory(), spool)
    assert sink.objects[MARKER] == b"\0\0\0\0"


# --- a proven copy


async def test_a_copy_is_put_and_proven(content: Content) -> None:
    sink = MemorySink()
    assert await lane(sink).store(KEY, content) == KEY
    assert sink.objects[KEY] == film(1)


async def test_a_put_whose_answer_was_lost_is_seen_to_have_worked(content: Content) -> None:
    class LosesTheAnswer(MemorySink):
        async def put(self, key: Key, content: Content) -> None:
            await super().put(key, content)
            if len(self.puts) == 1:
                raise SinkUnavailable("the line broke")

    sink = LosesTheAnswer()
    assert await lane(sink).store(KEY, content) == KEY
    assert list(sink.objects) == [KEY]


async def test_other_bytes_under_the_name_are_kept_beside_ours(content: Content) -> None:
    sink = MemorySink()
    sink.objects[KEY] = b"somebody else's"
    for _ in range(2):
        assert await lane(sink).store(KEY, content) == f"porch/2026/x_0123456789abcdef.conflict-{content.sha256[:8]}.mp4"
    assert sink.objects[KEY] == b"somebody else's"
    assert len(sink.objects) == 2


class SaysOk(MemorySink):
    async def put(self, key: Key, content: Content) -> None:
        self.puts.append(key)


class LosesAByte(MemorySink):
    async def put(self, key: Key, content: Content) -> None:
        await super().put(key, content)
        self.objects[key] = self.objects[key][:-1]


class FlipsAByte(MemorySink):
    async def put(self, key: Key, content: Content) -> None:
        await super().put(key, content)
        self.objects[key] = bytes([self.objects[key][0] ^ 1]) + self.objects[key][1:]


class FlipsAByteAndTellsNoHash(FlipsAByte):
    async def stat(self, key: Key) -> Stored | None:
        stored = await super().stat(key)
        return stored and Stored(key=key, size=stored.size)


@pytest.mark.parametrize("liar", [SaysOk, LosesAByte, FlipsAByte, FlipsAByteAndTellsNoHash])
async def test_a_sink_that_says_ok_is_not_believed(liar: type[MemorySink], content: Content) -> None:
    with pytest.raises(CopyDiffers):
        await lane(liar()).store(KEY, content)


# --- proof by bytes


class Echo(MemorySink):
    """Keeps the marker only. Of all else it repeats what it was given, and sends nothing, or zeros."""

    sends = b""

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[Key, Stored] = {}

    async def put(self, key: Key, content: Content) -> None:
        await super().put(key, content)
        if key != MARKER:
            self.given[key] = Stored(key=key, size=content.size, sha256=content.sha256)
            self.objects[key] = self.sends * content.size

    async def stat(self, key: Key) -> Stored | None:
        return self.given.get(key) or await super().stat(key)


class EchoOfZeros(Echo):
    sends = b"\0"


@pytest.mark.parametrize("kind", [Echo, EchoOfZeros])
async def test_a_hash_that_only_repeats_ours_proves_nothing_and_closes_the_sink(kind: type[Echo], content: Content) -> None:
    sink = kind()
    way = lane(sink)
    with pytest.raises(SinkClosed, match=r"reports the right hash of .*, but the bytes that it sends are others"):
        await way.store(KEY, content)
    assert way.closed
    assert len(sink.puts) == 1


class WrongHash(MemorySink):
    async def stat(self, key: Key) -> Stored | None:
        stored = await super().stat(key)
        return stored and Stored(key=key, size=stored.size, sha256="0" * 64)


class WrongSize(MemorySink):
    async def stat(self, key: Key) -> Stored | None:
        stored = await super().stat(key)
        return stored and Stored(key=key, size=stored.size + 1, sha256=stored.sha256)


@pytest.mark.parametrize("kind", [WrongHash, WrongSize])
async def test_a_sink_with_a_wrong_report_of_right_bytes_is_closed_and_does_not_grow(
    kind: type[MemorySink], content: Content
) -> None:
    sink = kind()
    for _ in range(2):
        way = lane(sink)
        with pytest.raises(SinkClosed, match="the bytes that it holds are right"):
            await way.store(KEY, content)
        assert way.closed
    assert list(sink.objects) == [KEY]


async def test_a_sink_that_damages_all_is_closed_and_what_it_damaged_gives_up_its_name(content: Content) -> None:
    sink = FlipsAByte()
    way = lane(sink)
    for number in range(5):
        assert way.is_open
        with pytest.raises(CopyDiffers):
            await way.store(Key(f"{number}.mp4"), content)
    assert not way.is_open
    assert len(sink.puts) < 100


async def test_a_put_that_damages_once_leaves_the_good_copy_under_the_name(content: Content) -> None:
    class Once(MemorySink):
        async def put(self, key: Key, content: Content) -> None:
            await super().put(key, content)
            if len(self.puts) == 1:
                self.objects[key] = bytes([self.objects[key][0] ^ 1]) + self.objects[key][1:]

    sink = Once()
    assert await lane(sink).store(KEY, content) == KEY
    assert sink.objects.pop(KEY) == film(1)
    [aside] = sink.objects
    assert aside.startswith("quarantine/porch/2026/")


async def test_a_copy_known_as_damaged_moves_aside_and_the_good_one_gets_the_name(content: Content) -> None:
    sink = MemorySink()
    sink.objects[KEY] = film(2)
    assert await lane(sink).store(KEY, content, damaged=KEY) == KEY
    assert sink.objects.pop(KEY) == film(1)
    assert list(sink.objects.values()) == [film(2)], "nothing is destroyed"


async def test_a_damaged_copy_that_cannot_be_moved_stays_and_the_good_one_gets_another_name(content: Content) -> None:
    class Locked(MemorySink):
        async def delete(self, key: Key) -> None:
            raise SinkError("objects are locked for a year")

    sink = Locked()
    sink.objects[KEY] = film(2)
    assert await lane(sink).store(KEY, content, damaged=KEY) == second_name(KEY, content.sha256)
    assert sink.objects[KEY] == film(2)


class Endless(MemorySink):
    """Sends without end, whatever it holds."""

    def __init__(self, *, hashes: bool) -> None:
        super().__init__()
        self.hashes = hashes
        self.sent = 0

    async def stat(self, key: Key) -> Stored | None:
        stored = await super().stat(key)
        return stored and Stored(key=key, size=stored.size, sha256=stored.sha256 if self.hashes else None)

    @asynccontextmanager
    async def open(self, key: Key, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        async def chunks() -> AsyncIterator[bytes]:
            yield self.objects[key][start:]
            while True:
                self.sent += 64
                assert self.sent < 10_000, "nobody stops reading"
                await asyncio.sleep(0)
                yield bytes(64)

        yield chunks()


@pytest.mark.parametrize("hashes", [True, False])
async def test_a_sink_that_sends_without_end_is_read_to_one_byte_more_than_the_size(hashes: bool, content: Content) -> None:
    sink = Endless(hashes=hashes)
    way = lane(sink)
    if hashes:  # the range that is compared has an end
        assert await way.store(KEY, content) == KEY
    else:
        sink.objects[KEY] = film(1)
    sink.sent = 0
    async with way.read(KEY, len(film(1))) as body:
        assert len(b"".join([chunk async for chunk in body.chunks])) == len(film(1)) + 1
    memory = Memory()
    memory.ids[NAS] = "one"
    sink.objects[MARKER] = b'{"blinkarchive sink": "one"}'
    with pytest.raises(SinkUnavailable):  # its marker has no end either
        await way.verify(copy_of(film(1)), memory, Depth.READ)
    assert sink.sent < 5_000


# --- plugins that misbehave


@pytest.mark.parametrize(
    "fault", [ValueError("no"), KeyError("x"), SystemExit(3), asyncio.CancelledError(), RecursionError(), AssertionError()]
)
async def test_whatever_a_plugin_raises_is_contained_and_names_the_sink(fault: BaseException, content: Content) -> None:
    class Raises(MemorySink):
        async def put(self, key: Key, content: Content) -> None:
            raise fault

    with pytest.raises(PluginError, match="sink nas"):
        await lane(Raises()).store(KEY, content)


async def test_a_plugin_that_answers_nonsense_is_contained(content: Content) -> None:
    class Nonsense(MemorySink):
        async def stat(self, key: Key) -> Stored | None:
            return True  # type: ignore[return-value]  # the fault

    with pytest.raises(PluginError, match="bool in place of Stored"):
        await lane(Nonsense()).store(KEY, content)


async def test_a_put_that_hangs_is_ended(content: Content) -> None:
    class Hangs(MemorySink):
        async def put(self, key: Key, content: Content) -> None:
            await asyncio.Event().wait()

    with pytest.raises(SinkUnavailable, match="no answer in time"):
        await lane(Hangs(), deadline=0.01).store(KEY, content)


async def test_a_plugin_that_does_not_let_go_is_left_behind_and_asked_nothing_more(content: Content) -> None:
    free = asyncio.Event()

    class Clings(MemorySink):
        async def put(self, key: Key, content: Content) -> None:
            self.puts.append(key)
            while not free.is_set():
                with suppress(asyncio.CancelledError):
                    await free.wait()

    sink = Clings()
    way = Lane(NAS, sink, clock=ManualClock(), deadline=0.01, letting_go=0.01)
    with pytest.raises(SinkClosed, match="does not stop when it is told to"):
        await way.store(KEY, content)
    with pytest.raises(SinkClosed):
        await way.store(KEY, content)
    assert len(sink.puts) == 1
    free.set()
    await asyncio.sleep(0.01)


class Stubborn(MemorySink):
    """Stops for nothing, until it is set free."""

    def __init__(self, *where: str) -> None:
        super().__init__()
        self.where = where
        self.free = asyncio.Event()
        self.tasks: list[asyncio.Task[object] | None] = []

    async def work(self, where: str) -> None:
        self.tasks.append(asyncio.current_task())
        while where in self.where and not self.free.is_set():
            with suppress(asyncio.CancelledError):
                await self.free.wait()

    async def put(self, key: Key, content: Content) -> None:
        await self.work("put")
        await super().put(key, content)

    @asynccontextmanager
    async def open(self, key: Key, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        await self.work("marker" if key == MARKER else "open")
        async with super().open(key, start) as chunks:
            yield self.chunks(chunks)
        await self.work("left")

    async def chunks(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async for chunk in chunks:
                await self.work("chunk")
                yield chunk
        finally:
            await self.work("generator")

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[MemorySink]:
        await self.work("opened")
        yield self
        await self.work("closed")

    async def set_free(self) -> None:
        self.free.set()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("where", ["opened", "marker"])
async def test_a_plugin_that_does_not_let_go_while_it_is_opened_holds_up_nothing(spool: Spool, where: str) -> None:
    sink = Stubborn(where)
    way = Lane(NAS, None, clock=ManualClock(), opening=0.01, letting_go=0.01)
    async with asyncio.timeout(3), way.opened(sink.opened, Memory(), spool):
        assert "does not stop when it is told to" in way.closed
    await sink.set_free()


@pytest.mark.parametrize("where", ["open", "chunk", "generator", "left"])
async def test_a_stop_goes_through_a_read_though_the_plugin_does_not_let_go(where: str) -> None:
    sink = Stubborn(where)
    sink.objects[KEY] = film(1)
    way = lane(sink, letting_go=0.01)

    async def read() -> None:
        async with way.read(KEY, len(film(1))) as body:
            async for _ in body.chunks:
                pass

    reading = asyncio.ensure_future(read())
    await asyncio.sleep(0.01)
    reading.cancel()
    async with asyncio.timeout(3):
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert "does not stop when it is told to" in way.closed
    await sink.set_free()


async def test_a_plugin_that_does_not_let_go_at_a_stop_is_asked_nothing_more(content: Content) -> None:
    sink = Stubborn("put")
    way = lane(sink, letting_go=0.01)
    storing = asyncio.ensure_future(way.store(KEY, content))
    await asyncio.sleep(0.01)
    storing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await storing
    assert "does not stop when it is told to" in way.closed
    await sink.set_free()


async def test_what_a_plugin_opens_is_closed_in_the_task_that_has_opened_it(spool: Spool) -> None:
    """As libraries demand that keep a scope or a group of tasks open."""
    sink = Stubborn()
    sink.objects[KEY] = film(1)
    way = Lane(NAS, None, clock=ManualClock())
    async with way.opened(sink.opened, Memory(), spool):
        sink.tasks, [opened] = [], sink.tasks[:1]
        async with way.read(KEY, len(film(1))) as body:
            assert b"".join([chunk async for chunk in body.chunks]) == film(1)
        assert len(sink.tasks) >= 4
        assert len(set(sink.tasks)) == 1
    assert sink.tasks[-1] is opened is not asyncio.current_task()


async def test_whatever_has_taken_the_first_names_the_clip_gets_one_of_its_own(content: Content) -> None:
    sink = MemorySink()
    for name in (KEY, second_name(KEY, content.sha256), second_name(KEY, content.sha256, 2)):
        sink.objects[name] = b"something else"
    key = await lane(sink).store(KEY, content)
    assert sink.objects[key] == content.path.read_bytes()
    assert len(sink.objects) == 4


@pytest.mark.parametrize("notices", [False, True], ids=["the sink takes it", "the sink notices"])
async def test_a_file_that_somebody_changed_on_its_way_is_told_as_that_and_put_once_only(content: Content, notices: bool) -> None:
    class Spoils(MemorySink):
        async def put(self, key: Key, content: Content) -> None:
            content.path.write_bytes(bytes(content.size))
            await super().put(key, content)
            if notices:
                raise CopyDiffers("these are other bytes")

    sink = Spoils()
    with pytest.raises(ArchiveError, match="was changed by somebody"):
        await lane(sink).store(KEY, content)
    assert len(sink.puts) == 1


async def test_a_stop_goes_through_a_put(content: Content) -> None:
    class Hangs(MemorySink):
        async def put(self, key: Key, content: Content) -> None:
            await asyncio.Event().wait()

    storing = asyncio.ensure_future(lane(Hangs()).store(KEY, content))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    storing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await storing


# --- an end to asking


@pytest.mark.parametrize("fault", [SinkUnavailable("away"), ValueError("bug")])
async def test_a_sink_that_fails_five_times_in_a_row_is_left_alone(fault: Exception, content: Content) -> None:
    class Fails(MemorySink):
        async def put(self, key: Key, content: Content) -> None:
            self.puts.append(key)
            raise fault

    sink = Fails()
    way = lane(sink)
    for _ in range(8):
        with pytest.raises(BlinkArchiveError):
            await way.store(KEY, content)
    assert way.closed
    calls = len(sink.puts)
    with pytest.raises(SinkClosed):
        await way.store(KEY, content)
    assert len(sink.puts) == calls


async def test_a_full_sink_is_left_alone_at_once_and_not_asked_again(content: Content) -> None:
    class Full(MemorySink):
        async def put(self, key: Key, content: Content) -> None:
            self.puts.append(key)
            raise SinkFull("no room")

    sink = Full()
    way = lane(sink)
    with pytest.raises(SinkFull):
        await way.store(KEY, content)
    assert way.closed == "no room"
    assert len(sink.puts) == 1


async def test_one_success_forgives_what_was_before(content: Content) -> None:
    class Flaky(MemorySink):
        async def put(self, key: Key, content: Content) -> None:
            self.puts.append(key)
            if len(self.puts) % 13:
                raise SinkUnavailable("away")
            self.objects[key] = content.path.read_bytes()

    way = lane(Flaky())
    for _ in range(4):
        with pytest.raises(SinkUnavailable):
            await way.store(KEY, content)
    await way.store(KEY, content)
    assert not way.closed


# --- places


async def test_places_are_given_in_the_order_of_asking_and_who_waits_can_be_sent_away() -> None:
    places = Places(1)
    assert await places.take([])
    tickets: list[list[asyncio.Future[bool]]] = [[], [], []]
    waiting = [asyncio.ensure_future(places.take(ticket)) for ticket in tickets]
    await asyncio.sleep(0)
    tickets[0][0].set_result(False)
    places.leave()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (waiting[0].result(), waiting[1].result(), waiting[2].done()) == (False, True, False)
    places.leave()
    assert await waiting[2]
    places.leave()
    assert await places.take([])


async def test_a_place_given_to_somebody_who_is_stopped_is_not_lost() -> None:
    places = Places(1)
    assert await places.take([])
    waiting = asyncio.ensure_future(places.take([]))
    await asyncio.sleep(0)
    places.leave()  # the place is given,
    waiting.cancel()  # and its taker stopped before it could know
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await asyncio.wait_for(places.take([]), 1)


async def test_taken_twice_under_the_second_name_is_one_object(content: Content) -> None:
    sink = MemorySink()
    sink.objects[KEY] = b"other"
    await asyncio.gather(*(lane(sink).store(KEY, content) for _ in range(3)))
    assert len(sink.objects) == 2
    with pytest.raises(AlreadyThere):
        await sink.put(KEY, content)


async def test_what_goes_wrong_with_whoever_reads_is_no_fault_of_the_plugin() -> None:
    sink = MemorySink()
    sink.objects[KEY] = film(1)
    with pytest.raises(OSError, match="no room"):
        async with lane(sink).read(KEY, len(film(1))) as body:
            async for _ in body.chunks:
                raise OSError(28, "no room")


async def test_a_plugin_that_fails_while_it_is_read_is_named() -> None:
    class Breaks(MemorySink):
        @asynccontextmanager
        async def open(self, key: Key, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
            async def chunks() -> AsyncIterator[bytes]:
                yield b"some"
                raise RuntimeError("boom")

            yield chunks()

    with pytest.raises(PluginError, match="boom"):
        async with lane(Breaks()).read(KEY, 8) as body:
            [_ async for _ in body.chunks]


async def test_a_listing_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blinkarchive.pipeline.lane.MOST_LISTED", 5000)
    given = turns = 0

    class Endless(MemorySink):
        async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
            nonlocal given
            while True:
                given += 1
                yield Stored(key=Key(f"catalog/{given}.jsonl"), size=1)

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    work = asyncio.create_task(others())
    with pytest.raises(SinkError, match="lists more than 5,000 objects"):
        await lane(Endless()).list("catalog/")
    work.cancel()
    assert given == 5001
    assert turns >= 5, "others had their turns"


async def test_what_cannot_be_ours_is_left_out_of_a_listing() -> None:
    class Odd(MemorySink):
        async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
            for key in ("b", "x" * 2_000_000, "a", "b", "elsewhere/a"):
                yield Stored(key=Key(f"catalog/{key}" if "/" not in key else key), size=1)

    assert [stored.key for stored in await lane(Odd()).list("catalog/")] == ["catalog/a", "catalog/b"]
