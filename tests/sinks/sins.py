"""A sink in memory that keeps the contract, and sinners who each break one promise of it."""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import hashlib
import os
import posixpath
import threading
import time
import unicodedata
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from blinkarchive import AlreadyThere, BadKey, Content, Key, NotFound, Sink, SinkError, SinkUnavailable, Stored
from blinkarchive.conformance import OpenSink, SinkContract

PIECE = 64 * 1024


@dataclass
class Place:
    """Where a sink in memory keeps its objects: it outlives the sink."""

    objects: dict[Key, bytearray] = field(default_factory=dict)
    reachable: bool = True


class Innocent:
    """Keeps every promise."""

    def __init__(self, place: Place) -> None:
        self.place = place

    @property
    def objects(self) -> dict[Key, bytearray]:
        if not self.place.reachable:
            raise SinkUnavailable("the place is away")
        return self.place.objects

    def named(self, key: Key) -> Key:
        """The name that a key has in the store."""
        if not key.isprintable() or any(part in ("", ".", "..") for part in key.split("/")):
            raise BadKey(f"{key!r} cannot be a key")
        return key

    async def fetched(self, content: Content) -> bytearray:
        await asyncio.sleep(0)
        try:
            data = bytearray(content.path.read_bytes())
        except OSError as error:
            raise SinkError(f"{content.path} cannot be read") from error
        if len(data) != content.size:
            raise SinkError(f"{content.path} is not as long as it should be")
        return data

    async def put(self, key: Key, content: Content) -> None:
        name, data = self.named(key), await self.fetched(content)
        if name in self.objects:
            raise AlreadyThere(key)
        self.objects[name] = data

    async def stat(self, key: Key) -> Stored | None:
        await asyncio.sleep(0)
        data = self.objects.get(self.named(key))
        return None if data is None else Stored(key=key, size=len(data), sha256=hashlib.sha256(data).hexdigest())

    @asynccontextmanager
    async def open(self, key: Key, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        name = self.named(key)
        if name not in self.objects:
            raise NotFound(key)
        yield self.pieces(self.objects[name], start)

    async def pieces(self, data: bytearray, start: int) -> AsyncIterator[bytes]:
        for at in range(start, len(data), PIECE):
            await asyncio.sleep(0)
            yield bytes(data[at : at + PIECE])

    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        for name in [name for name in self.objects if self.chosen(name, prefix)]:
            await asyncio.sleep(0)
            if name in self.objects:
                yield Stored(key=name, size=len(self.objects[name]))

    def chosen(self, name: Key, prefix: str) -> bool:
        return name.startswith(prefix)

    async def delete(self, key: Key) -> None:
        await asyncio.sleep(0)
        if self.named(key) not in self.objects:
            raise NotFound(key)
        del self.objects[self.named(key)]

    async def close(self) -> None:
        """What there is to close."""


class InnocentContract(SinkContract):
    """The contract for sinks in memory."""

    BIG = 4 * 1024 * 1024
    HUGE = 6 * 1024 * 1024
    MANY = 150
    PATIENCE = 10.0
    sink: type[Innocent] = Innocent

    @pytest.fixture
    def open_sink(self) -> OpenSink:
        self.place = Place()

        @asynccontextmanager
        async def opened() -> AsyncIterator[Sink]:
            sink = self.sink(self.place)
            try:
                yield sink
            finally:
                await sink.close()

        return opened

    async def flip_a_stored_byte(self, key: Key) -> None:
        self.place.objects[key][0] ^= 1

    @asynccontextmanager
    async def take_away(self) -> AsyncIterator[None]:
        self.place.reachable = False
        yield
        self.place.reachable = True


SINNERS: list[tuple[type[Innocent], str]] = []
"""Each with the case that catches it."""


def caught_by(case: str) -> Callable[[type[Innocent]], type[Innocent]]:
    def noted(sinner: type[Innocent]) -> type[Innocent]:
        SINNERS.append((sinner, case))
        return sinner

    return noted


def contract_of(sinner: type[Innocent], case: str) -> type[SinkContract]:
    """That one case, for that sink."""
    others = {name: None for name in dir(InnocentContract) if name.startswith("test_") and name != case}
    return type(
        f"Test{sinner.__name__}",
        (InnocentContract,),
        {"sink": sinner, "PROMPT": 0.3, "PATIENCE": 2.0, "LONGEST_PAUSE": 0.3, **others},
    )


# -- sins of put


@caught_by("test_nobody_sees_a_half_written_object")
class WritesUnderTheFinalName(Innocent):
    async def put(self, key: Key, content: Content) -> None:
        data = await self.fetched(content)
        if self.named(key) in self.objects:
            raise AlreadyThere(key)
        slowly = self.objects[key] = bytearray()
        try:
            for at in range(0, len(data), PIECE):
                slowly += data[at : at + PIECE]
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            del self.objects[key]
            raise


@caught_by("test_a_cancelled_put_stores_all_or_nothing")
class LeavesHalfWhenCancelled(Innocent):
    async def put(self, key: Key, content: Content) -> None:
        await super().put(key, content)
        whole = self.objects[key]
        self.objects[key] = whole[: len(whole) // 2]
        await asyncio.sleep(0.01)
        self.objects[key] = whole


@caught_by("test_a_second_put_is_refused_and_changes_nothing")
class Overwrites(Innocent):
    async def put(self, key: Key, content: Content) -> None:
        self.objects[self.named(key)] = await self.fetched(content)


@caught_by("test_a_second_put_is_refused_and_changes_nothing")
class OverwritesAndSaysItDidNot(Innocent):
    async def put(self, key: Key, content: Content) -> None:
        there = self.named(key) in self.objects
        self.objects[key] = await self.fetched(content)
        if there:
            raise AlreadyThere(key)


@caught_by("test_a_second_put_is_refused_and_changes_nothing")
class Appends(Innocent):
    async def put(self, key: Key, content: Content) -> None:
        try:
            await super().put(key, content)
        except AlreadyThere:
            self.objects[key] += await self.fetched(content)
            raise


@caught_by("test_a_second_put_of_the_same_content_is_refused_too")
class TakesEqualContentsForPut(Innocent):
    async def put(self, key: Key, content: Content) -> None:
        try:
            await super().put(key, content)
        except AlreadyThere:
            if self.objects[key] != await self.fetched(content):
                raise


@caught_by("test_of_many_puts_of_one_key_exactly_one_wins")
class LooksAndThenWrites(Innocent):
    async def put(self, key: Key, content: Content) -> None:
        if self.named(key) in self.objects:
            raise AlreadyThere(key)
        self.objects[key] = await self.fetched(content)


@caught_by("test_of_puts_by_two_open_sinks_exactly_one_wins")
class LooksUnderALockOfItsOwn(Innocent):
    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.alone = asyncio.Lock()

    async def put(self, key: Key, content: Content) -> None:
        async with self.alone:
            if self.named(key) in self.objects:
                raise AlreadyThere(key)
            self.objects[key] = await self.fetched(content)


@caught_by("test_what_was_put_can_be_read")
class LosesTheLastByte(Innocent):
    async def fetched(self, content: Content) -> bytearray:
        return (await super().fetched(content))[:-1]


@caught_by("test_a_big_content_is_stored_whole")
class FlipsABitOfBigOnes(Innocent):
    async def fetched(self, content: Content) -> bytearray:
        data = await super().fetched(content)
        if len(data) > 3_500_000:
            data[3_500_000] ^= 1
        return data


@caught_by("test_a_huge_content_is_stored_whole")
class SendsNoMoreThanSomeParts(Innocent):
    async def fetched(self, content: Content) -> bytearray:
        return (await super().fetched(content))[: 5 * 1024 * 1024]


@caught_by("test_a_huge_content_is_stored_whole")
class SendsTheLastPartTwice(Innocent):
    async def fetched(self, content: Content) -> bytearray:
        data = await super().fetched(content)
        part = 1024 * 1024
        if len(data) > 5 * part:
            data[-2 * part : -part] = data[-part:]
        return data


@caught_by("test_one_content_under_two_keys_is_two_objects")
class DeletesSharedBytes(Innocent):
    async def delete(self, key: Key) -> None:
        data = self.objects.get(self.named(key))
        await super().delete(key)
        for name in [name for name, other in self.objects.items() if other == data]:
            del self.objects[name]


@caught_by("test_one_content_under_two_keys_is_two_objects")
class KnowsObjectsByTheirBytes(Innocent):
    async def put(self, key: Key, content: Content) -> None:
        if await self.fetched(content) in self.objects.values():
            raise AlreadyThere(key)
        await super().put(key, content)


@caught_by("test_what_another_open_sink_does_is_seen_at_once")
class RemembersWhatIsNotThere(Innocent):
    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.absent: set[Key] = set()

    async def put(self, key: Key, content: Content) -> None:
        self.absent.discard(key)
        await super().put(key, content)

    async def stat(self, key: Key) -> Stored | None:
        if key in self.absent:
            return None
        stored = await super().stat(key)
        if stored is None:
            self.absent.add(key)
        return stored


@caught_by("test_what_another_open_sink_does_is_seen_at_once")
class RemembersWhatWasThere(Innocent):
    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.known: dict[Key, Stored] = {}

    async def stat(self, key: Key) -> Stored | None:
        stored = self.known.get(key) or await super().stat(key)
        if stored is not None:
            self.known[key] = stored
        return stored

    async def delete(self, key: Key) -> None:
        self.known.pop(key, None)
        await super().delete(key)


@caught_by("test_an_empty_content_can_be_put")
class StoresNoEmptyOnes(Innocent):
    async def put(self, key: Key, content: Content) -> None:
        if content.size:
            await super().put(key, content)


@caught_by("test_what_was_put_can_be_read")
class SaysYesAndStoresNothing(Innocent):
    async def put(self, key: Key, content: Content) -> None:
        await self.fetched(content)


@caught_by("test_what_was_put_is_there_when_the_sink_is_opened_anew")
class KeepsItInABuffer(Innocent):
    def __init__(self, place: Place) -> None:
        super().__init__(Place(objects=dict(place.objects)))


@caught_by("test_a_content_of_another_size_than_said_is_refused")
class TrustsTheSize(Innocent):
    async def fetched(self, content: Content) -> bytearray:
        return bytearray(content.path.read_bytes())


@caught_by("test_a_content_of_another_size_than_said_is_refused")
class ComplainsOfTheSizeAndKeepsIt(Innocent):
    async def put(self, key: Key, content: Content) -> None:
        self.objects[self.named(key)] = bytearray(content.path.read_bytes())
        await self.fetched(content)


@caught_by("test_the_content_is_left_alone")
class MovesTheContent(Innocent):
    async def put(self, key: Key, content: Content) -> None:
        await super().put(key, content)
        content.path.rename(content.path.with_suffix(".moved"))


@caught_by("test_a_content_that_is_gone_is_refused")
class StoresNothingForWhatIsGone(Innocent):
    async def fetched(self, content: Content) -> bytearray:
        return await super().fetched(content) if content.path.exists() else bytearray()


@caught_by("test_puts_of_many_keys_at_once_are_all_stored")
class HasOneBuffer(Innocent):
    buffer = bytearray()

    async def put(self, key: Key, content: Content) -> None:
        self.buffer = await self.fetched(content)
        await asyncio.sleep(0)
        if self.named(key) in self.objects:
            raise AlreadyThere(key)
        self.objects[key] = self.buffer


# -- sins with keys


@caught_by("test_keys_that_look_alike_are_different_objects")
class FlattensNames(Innocent):
    def named(self, key: Key) -> Key:
        return Key(super().named(key).replace("/", "-"))


@caught_by("test_odd_keys_are_kept_exactly")
class NormalisesLetters(Innocent):
    def named(self, key: Key) -> Key:
        return Key(unicodedata.normalize("NFC", super().named(key)))


@caught_by("test_odd_keys_are_kept_exactly")
class CutsLongNames(Innocent):
    def named(self, key: Key) -> Key:
        return Key("/".join(part.encode()[:200].decode(errors="ignore") for part in super().named(key).split("/")))


@caught_by("test_odd_keys_are_kept_exactly")
class StripsSigns(Innocent):
    def named(self, key: Key) -> Key:
        return Key("/".join(part.strip("-_~") or part for part in super().named(key).split("/")))


@caught_by("test_a_hostile_key_is_refused_or_kept_exactly")
class FollowsDots(Innocent):
    def named(self, key: Key) -> Key:
        return Key(posixpath.normpath(posixpath.join("/", key)).lstrip("/"))


@caught_by("test_what_is_above_a_key_is_no_object")
class TakesFoldersForObjects(Innocent):
    async def stat(self, key: Key) -> Stored | None:
        below = any(name.startswith(f"{key}/") for name in self.objects)
        return Stored(key=key, size=0) if below else await super().stat(key)


# -- sins of stat and open


@caught_by("test_a_damaged_object_shows")
class EchoesWhatWasPut(Innocent):
    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.said: dict[Key, Stored] = {}

    async def put(self, key: Key, content: Content) -> None:
        await super().put(key, content)
        self.said[key] = Stored(key=key, size=content.size, sha256=content.sha256)

    async def stat(self, key: Key) -> Stored | None:
        return self.said.get(key) if key in self.objects else None


@caught_by("test_stat_of_what_is_not_there_is_none")
class FindsWhatBeginsLikeIt(Innocent):
    async def stat(self, key: Key) -> Stored | None:
        nearest = next((name for name in self.objects if name.startswith(key)), key)
        return await super().stat(nearest)


@caught_by("test_many_may_read_at_once")
class ReadsWhereTheLastOneWas(Innocent):
    at = 0

    async def pieces(self, data: bytearray, start: int) -> AsyncIterator[bytes]:
        self.at = start
        while self.at < len(data):
            await asyncio.sleep(0)
            yield bytes(data[self.at : self.at + PIECE])
            self.at += PIECE


@caught_by("test_a_reader_may_leave_early")
class KeepsItsTurnWhenAReaderLeaves(Innocent):
    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.turn = asyncio.Lock()

    async def pieces(self, data: bytearray, start: int) -> AsyncIterator[bytes]:
        await self.turn.acquire()
        async for piece in super().pieces(data, start):
            yield piece
        self.turn.release()


@caught_by("test_opening_what_is_not_there_says_so")
class GivesNothingForWhatIsNotThere(Innocent):
    @asynccontextmanager
    async def open(self, key: Key, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        yield self.pieces(self.objects.get(self.named(key), bytearray()), start)


@caught_by("test_reading_begins_where_asked")
class IgnoresTheStart(Innocent):
    def pieces(self, data: bytearray, start: int) -> AsyncIterator[bytes]:
        return super().pieces(data, 0)


@caught_by("test_chunks_are_bytes_of_at_most_one_mebibyte")
class GivesItAllAtOnce(Innocent):
    async def pieces(self, data: bytearray, start: int) -> AsyncIterator[bytes]:
        yield bytes(data[start:])


@caught_by("test_beyond_the_end_there_is_nothing_to_read")
class ChokesBeyondTheEnd(Innocent):
    def pieces(self, data: bytearray, start: int) -> AsyncIterator[bytes]:
        if start > len(data):
            raise SinkError("HTTP 416")
        return super().pieces(data, start)


@caught_by("test_beyond_the_end_there_is_nothing_to_read")
class GivesItAllBeyondTheEnd(Innocent):
    def pieces(self, data: bytearray, start: int) -> AsyncIterator[bytes]:
        return super().pieces(data, start if start <= len(data) else 0)


@caught_by("test_beyond_the_end_there_is_nothing_to_read")
class LooksForNothingFromAnOffset(Innocent):
    @asynccontextmanager
    async def open(self, key: Key, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        if start and self.named(key) not in self.objects:
            yield self.pieces(bytearray(), 0)
            return
        async with super().open(key, start) as pieces:
            yield pieces


# -- sins of list and delete


@caught_by("test_a_long_listing_has_every_object_once")
class ListsAThousand(Innocent):
    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        listed = 0
        async for stored in super().list(prefix):
            if listed < 1000:
                yield stored
            listed += 1


@caught_by("test_a_listing_tells_sizes")
class ListsNoEmptyOnes(Innocent):
    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        async for stored in super().list(prefix):
            if stored.size:
                yield stored


@caught_by("test_a_listing_has_every_object_once")
class ListsOnePage(Innocent):
    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        listed = 0
        async for stored in super().list(prefix):
            if listed < 100:
                yield stored
            listed += 1


@caught_by("test_a_listing_has_every_object_once")
class RepeatsTheLastOfAPage(Innocent):
    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        listed = 0
        async for stored in super().list(prefix):
            yield stored
            listed += 1
            if listed % 100 == 0:
                yield stored


@caught_by("test_a_prefix_chooses_by_the_beginning_of_the_key")
class TakesThePrefixForAPattern(Innocent):
    def chosen(self, name: Key, prefix: str) -> bool:
        return fnmatch.fnmatchcase(name, f"{prefix}*")


@caught_by("test_a_prefix_chooses_by_the_beginning_of_the_key")
class TakesThePrefixForAFolder(Innocent):
    def chosen(self, name: Key, prefix: str) -> bool:
        return not prefix or name.startswith(prefix.rstrip("/") + "/")


@caught_by("test_odd_keys_are_kept_exactly")
class HidesNamesWithADot(Innocent):
    def chosen(self, name: Key, prefix: str) -> bool:
        return super().chosen(name, prefix) and not name.startswith(".")


@caught_by("test_a_listing_misses_nothing_while_others_put_and_delete")
class ListsByPosition(Innocent):
    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        at = 0
        while at < len(names := [name for name in self.objects if self.chosen(name, prefix)]):
            yield Stored(key=names[at], size=len(self.objects[names[at]]))
            at += 1
            await asyncio.sleep(0)


@caught_by("test_an_empty_sink_lists_nothing")
class ListsWhatItKeepsForItself(Innocent):
    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        yield Stored(key=Key(".lock"), size=0)
        async for stored in super().list(prefix):
            yield stored


@caught_by("test_two_may_list_at_once")
class HasOneListing(Innocent):
    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        self.rest = [name for name in self.objects if self.chosen(name, prefix)]
        while self.rest:
            name = self.rest.pop()
            await asyncio.sleep(0)
            yield Stored(key=name, size=len(self.objects[name]))


@caught_by("test_a_listing_may_be_left_early")
class KeepsItsTurnWhenAListingIsLeft(Innocent):
    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.turn = asyncio.Lock()

    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        await self.turn.acquire()
        async for stored in super().list(prefix):
            yield stored
        self.turn.release()


@caught_by("test_a_deleted_object_is_gone")
class ForgetsUntilItIsOpenedAgain(Innocent):
    def __init__(self, place: Place) -> None:
        super().__init__(Place(objects=dict(place.objects), reachable=place.reachable))
        self.beneath = place

    async def put(self, key: Key, content: Content) -> None:
        await super().put(key, content)
        self.beneath.objects[key] = self.objects[key]


@caught_by("test_a_deleted_key_can_be_put_again")
class BuriesKeys(Innocent):
    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.buried: set[Key] = set()

    async def put(self, key: Key, content: Content) -> None:
        if key in self.buried:
            raise AlreadyThere(key)
        await super().put(key, content)

    async def delete(self, key: Key) -> None:
        await super().delete(key)
        self.buried.add(key)


@caught_by("test_deleting_what_never_was_says_not_found")
class DeletesWhatNeverWas(Innocent):
    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.known: set[Key] = set()

    async def put(self, key: Key, content: Content) -> None:
        await super().put(key, content)
        self.known.add(key)

    async def delete(self, key: Key) -> None:
        if key in self.known:
            await super().delete(key)


@caught_by("test_deleting_touches_no_other_object")
class DeletesByPrefix(Innocent):
    async def delete(self, key: Key) -> None:
        await super().delete(key)
        for name in [name for name in self.objects if name.startswith(key)]:
            del self.objects[name]


@caught_by("test_deleting_twice_says_not_found")
class DeletesNothingGladly(Innocent):
    async def delete(self, key: Key) -> None:
        with contextlib.suppress(NotFound):
            await super().delete(key)


# -- sins of manners


@caught_by("test_only_sink_errors_are_raised")
class RaisesWhatItGets(Innocent):
    async def fetched(self, content: Content) -> bytearray:
        if not content.path.is_file():
            content.path.read_bytes()
        return await super().fetched(content)


@caught_by("test_an_outage_is_an_error_and_never_an_answer")
class SaysNoneInAnOutage(Innocent):
    async def stat(self, key: Key) -> Stored | None:
        return await super().stat(key) if self.place.reachable else None


@caught_by("test_an_outage_is_an_error_and_never_an_answer")
class ListsNothingInAnOutage(Innocent):
    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        if self.place.reachable:
            async for stored in super().list(prefix):
                yield stored


@caught_by("test_after_an_outage_everything_is_there_again")
class ForgetsAfterAnOutage(Innocent):
    async def put(self, key: Key, content: Content) -> None:
        if not self.place.reachable:
            self.place.objects.clear()
        await super().put(key, content)


@caught_by("test_an_outage_cuts_no_listing_short")
class EndsAListingInAnOutage(Innocent):
    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        with contextlib.suppress(SinkUnavailable):
            async for stored in super().list(prefix):
                yield stored


@caught_by("test_an_outage_cuts_no_listing_short")
class RaisesWhatItGetsWhileListing(Innocent):
    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        try:
            async for stored in super().list(prefix):
                yield stored
        except SinkUnavailable as error:
            raise ConnectionError("reset by peer") from error


@caught_by("test_an_outage_cuts_no_object_short")
class EndsAnObjectInAnOutage(Innocent):
    async def pieces(self, data: bytearray, start: int) -> AsyncIterator[bytes]:
        async for piece in super().pieces(data, start):
            if not self.place.reachable:
                return
            yield piece


@caught_by("test_a_sink_that_stays_open_works_again_after_an_outage")
class KeepsADeadConnection(Innocent):
    dead = False

    @property
    def objects(self) -> dict[Key, bytearray]:
        self.dead = self.dead or not self.place.reachable
        if self.dead:
            raise SinkUnavailable("the connection is closed")
        return self.place.objects


@caught_by("test_whoever_is_cancelled_while_reading_or_listing_leaves_nothing_behind")
class EndsAnObjectWhenCancelledHalfWay(Innocent):
    async def pieces(self, data: bytearray, start: int) -> AsyncIterator[bytes]:
        began = False
        try:
            async for piece in super().pieces(data, start):
                yield piece
                began = True
        except asyncio.CancelledError:
            if not began:
                raise


@caught_by("test_whoever_is_cancelled_while_reading_or_listing_leaves_nothing_behind")
class KeepsItsTurnWhenCancelled(Innocent):
    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.turn = asyncio.Lock()

    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        await self.turn.acquire()
        async for stored in super().list(prefix):
            yield stored
        self.turn.release()


@caught_by("test_every_call_lets_a_cancellation_through")
class SwallowsCancellation(Innocent):
    async def put(self, key: Key, content: Content) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await super().put(key, content)


@caught_by("test_every_call_lets_a_cancellation_through")
class TakesItsTimeWhenCancelled(Innocent):
    async def delete(self, key: Key) -> None:
        try:
            await super().delete(key)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
            raise


@caught_by("test_the_event_loop_goes_on")
class HoldsUpTheLoop(Innocent):
    async def put(self, key: Key, content: Content) -> None:
        time.sleep(0.4)
        await super().put(key, content)


@caught_by("test_no_file_is_left_open")
class LeavesFilesOpen(Innocent):
    def pieces(self, data: bytearray, start: int) -> AsyncIterator[bytes]:
        os.open(os.devnull, os.O_RDONLY)
        return super().pieces(data, start)


@caught_by("test_no_task_and_no_thread_is_left")
class LeavesATaskRunning(Innocent):
    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.watching = asyncio.get_running_loop().create_task(asyncio.sleep(30))


@caught_by("test_no_task_and_no_thread_is_left")
class LeavesAThreadRunning(Innocent):
    def __init__(self, place: Place) -> None:
        super().__init__(place)
        threading.Thread(target=time.sleep, args=(5,), daemon=True).start()


@caught_by("test_deleting_twice_says_not_found")
class NeverAnswersASecondTime(Innocent):
    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.turn = asyncio.Lock()

    async def delete(self, key: Key) -> None:
        await self.turn.acquire()
        await super().delete(key)


@caught_by("test_it_is_a_sink")
class HasNoDelete(Innocent):
    delete = None  # type: ignore[assignment]  # the sin
