"""The cases of `stat` and `open`: what they tell comes from the stored bytes."""

from __future__ import annotations

import pytest

from blinkarchive.conformance.basis import (
    Basis,
    OpenSink,
    broken,
    raising,
    require,
    require_same,
    side_by_side,
    unless_untestable,
)
from blinkarchive.conformance.content import MakeContent
from blinkarchive.errors import NotFound, SinkError
from blinkarchive.model import Key

KEY = Key("garden/2026/05/02/clip.mp4")
SIZE = 2_500_000
BEYOND = "an offset at the end of an object, or beyond it, is one from which there are no bytes"
BEYOND_MENDED = "knowing the size before asking for a range, or taking the store's answer (HTTP 416) for an end"


class Reading(Basis):
    """`stat` and `open`."""

    async def test_stat_of_what_is_not_there_is_none(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        async with self.opened(open_sink) as sink:
            for neighbour in (None, Key("garden/clip.mp4.bak"), Key("garden/clip")):
                if neighbour is not None:
                    await sink.put(neighbour, make_content(10))
                found = await sink.stat(Key("garden/clip.mp4"))
                require(
                    found is None,
                    "stat of a key that does not exist gives None",
                    f"it gave {found}",
                    "comparing whole keys, not their beginnings",
                )

    async def test_opening_what_is_not_there_says_so(self, open_sink: OpenSink) -> None:
        async with self.opened(open_sink) as sink:
            with raising(NotFound, "opening a key that does not exist", "translating the store's own answer"):
                await self.read(sink, KEY)

    async def test_reading_begins_where_asked(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        content = make_content(SIZE)
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, content)
            for start in (0, 1, 1000, 262_144, 1_048_577, SIZE - 1, SIZE):
                require_same(await self.read(sink, KEY, start), content.path.read_bytes()[start:], f"open(start={start:,})")

    async def test_beyond_the_end_there_is_nothing_to_read(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        async with self.opened(open_sink) as sink:
            for size in (0, 1000):
                key = Key(f"size/{size}.mp4")
                await sink.put(key, make_content(size))
                for start in (size, size + 1, size + 5_000_000):
                    try:
                        found = await self.read(sink, key, start)
                    except Exception as error:
                        raise broken(
                            BEYOND, f"open(start={start:,}) raised {type(error).__name__}: {error}", BEYOND_MENDED
                        ) from error
                    require(not found, BEYOND, f"open(start={start:,}) gave {len(found):,} bytes", BEYOND_MENDED)
            with raising(NotFound, "opening a key that does not exist, wherever to begin,", "looking for the object first"):
                await self.read(sink, KEY, 1000)

    async def test_chunks_are_bytes_of_at_most_one_mebibyte(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, make_content(SIZE))
            async with sink.open(KEY) as chunks:
                async for chunk in chunks:
                    kind, length = type(chunk).__name__, len(chunk)
                    require(
                        kind == "bytes" and length <= 1_048_576,
                        "the bytes come in chunks of at most 1 MiB",
                        f"a chunk is a {kind} of {length:,}",
                        "reading piece by piece: a clip need not fit into memory",
                    )

    async def test_a_reader_may_leave_early(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        content = make_content(SIZE)
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, content)
            for _ in range(20):
                async with sink.open(KEY) as chunks:
                    async for _chunk in chunks:
                        break
                async with sink.open(KEY):
                    pass
            await self.require_holds(sink, KEY, content, content.path.read_bytes())

    async def test_many_may_read_at_once(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        contents = {Key(f"camera/{n}.mp4"): make_content(400_000 + n) for n in range(4)}
        async with self.opened(open_sink) as sink:
            for key, content in contents.items():
                await sink.put(key, content)
            async with side_by_side() as group:
                for key, content in [*contents.items()] * 5:
                    group.create_task(self.require_holds(sink, key, content, content.path.read_bytes()))

    async def test_a_damaged_object_shows(
        self, request: pytest.FixtureRequest, open_sink: OpenSink, make_content: MakeContent
    ) -> None:
        content = make_content(100_000)
        data = content.path.read_bytes()
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, content)
            with unless_untestable(request):
                await self.flip_a_stored_byte(KEY)
            try:
                stored, found = await sink.stat(KEY), await self.read(sink, KEY)
            except SinkError:
                return  # a store that checks what it holds says so itself
            if stored is not None and stored.sha256 == content.sha256:
                raise broken(
                    "size and sha256 of stat come from the stored object, never from memory of what was put",
                    "a bit of the stored object was changed, and stat still told the SHA-256 of what was put",
                    "computing it from the stored bytes, or giving None; a hash kept beside the object proves nothing",
                )
            require(
                found != data,
                "the bytes that are read are the stored ones",
                "a bit of the stored object was changed, and open still gave what was put",
                "reading from the store, not from a cache (or check what `flip_a_stored_byte` of the test class changes)",
            )
