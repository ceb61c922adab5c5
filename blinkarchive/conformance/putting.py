"""The cases of `put`: whole or not at all, durable, never overwriting."""

from __future__ import annotations

import hashlib

import pytest

from blinkarchive.conformance.basis import (
    Basis,
    OpenSink,
    broken,
    only_sink_errors,
    raising,
    require,
    require_told,
    require_whole,
    side_by_side,
    unless_left_out,
    unless_untestable,
)
from blinkarchive.conformance.content import MakeContent
from blinkarchive.errors import AlreadyThere, NotFound, SinkError
from blinkarchive.interfaces import Sink
from blinkarchive.model import Content, Key

KEY = Key("porch/2026/05/01/porch_20260501T120000Z_0123456789abcdef.mp4")
NO_OVERWRITING = (
    "asking the store to create and never to replace (an exclusive create, a link, a conditional request), in one step"
)

SIZES = (1, 4095, 4096, 4097, 65_536, 262_143, 262_144, 262_145, 1_048_575, 1_048_576, 1_048_577, 3_000_000)
"""In bytes: around those of the usual blocks and buffers."""

ODD_KEYS = {
    "hidden": ".blinkarchive-sink",
    "catalogue": "catalog/20260501T120000Z-ab12.jsonl",
    "hidden folder": ".hidden/.also/.file",
    "spaces": "front door/clip of may.mp4",
    "letters of other scripts": "überwachung/駐車場/γάτα/клип.mp4",
    "emoji": "📹/🐈.mp4",
    "not composed": "cafe\u0301.mp4",
    "signs": "a+b&c=d/e#f%g@h!i'j(k)[l]{m}~n,o;p^q$r.mp4",
    "percent escape": "a%2Fb/%00/%2e%2e.mp4",
    "dash": "-rf/--help.mp4",
    "dots": "a..b/...c/d...mp4",
    "no suffix": "clip",
    "deep": "/".join("abcdefghijklmnop") + "/clip.mp4",
    "a part of 255 bytes": f"long/{'x' * 251}.mp4",
    "255 bytes of another script": f"{'車' * 85}/{'γ' * 125}x.mp4",
    "dots and signs at both ends": "..a/-b-/_c_/...d/~e~",
    "1,024 bytes": "/".join(["y" * 200] * 4) + "/" + "z" * 220,
}
"""Keys as the archive may make them: relative, printable, without any of \\ : * ? " < > |, no part longer than 255 bytes."""

HOSTILE_KEYS = [
    "",
    "/",
    "/abs",
    "../up",
    "a/../../up",
    "a/..",
    ".",
    "./a",
    "a/./b",
    "a//b",
    "a/",
    "nul\0byte",
    "new\nline",
    "\ud800",
]


class Putting(Basis):
    """`put`, and what is there after it."""

    async def test_what_was_put_can_be_read(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        async with self.opened(open_sink) as sink:
            for size in SIZES:
                content = make_content(size)
                await sink.put(Key(f"size/{size}.mp4"), content)
                await self.require_holds(sink, Key(f"size/{size}.mp4"), content, content.path.read_bytes())

    async def test_an_empty_content_can_be_put(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        content = make_content(0)
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, content)
            await self.require_holds(sink, KEY, content, b"")

    async def test_a_big_content_is_stored_whole(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        content = make_content(self.BIG)
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, content)
            await self.require_holds(sink, KEY, content, content.path.read_bytes())

    async def test_a_huge_content_is_stored_whole(
        self, request: pytest.FixtureRequest, open_sink: OpenSink, make_content: MakeContent
    ) -> None:
        with unless_untestable(request):
            unless_left_out("HUGE", self.HUGE)
        content = make_content(self.HUGE)
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, content)
            require_told(await sink.stat(KEY), KEY, content)
            digest, size = hashlib.sha256(), 0
            async with sink.open(KEY) as chunks:
                async for chunk in chunks:
                    digest.update(chunk)
                    size += len(chunk)
            require(
                (size, digest.hexdigest()) == (content.size, content.sha256),
                "a content of any size is stored whole",
                f"of {content.size:,} bytes, open gave {size:,}" + (", and not the same ones" if size == content.size else ""),
                "sending what is too large for one request in parts, all of them, in their order",
            )

    async def test_what_was_put_is_there_when_the_sink_is_opened_anew(
        self, open_sink: OpenSink, make_content: MakeContent
    ) -> None:
        contents = {Key(f"camera/{n}.mp4"): make_content(1000 + n) for n in range(5)}
        async with self.opened(open_sink) as sink:
            for key, content in contents.items():
                await sink.put(key, content)
        async with self.opened(open_sink) as sink:
            require(
                await self.names(sink) == sorted(contents),
                "what was put is durable when put returns: it is there when the sink is opened again",
                f"of {len(contents)} objects, {len(await self.names(sink))} are listed after the sink was closed and opened",
                "writing through to the store before put returns: nothing may wait in a buffer, or for a commit at the end",
            )
            for key, content in contents.items():
                await self.require_holds(sink, key, content, content.path.read_bytes())

    @pytest.mark.parametrize("size", [10, 1000, 5000], ids=["shorter", "equal", "longer"])
    async def test_a_second_put_is_refused_and_changes_nothing(
        self, open_sink: OpenSink, make_content: MakeContent, size: int
    ) -> None:
        first, second = make_content(1000), make_content(size)
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, first)
            with raising(AlreadyThere, "a put under a key that exists", NO_OVERWRITING):
                await sink.put(KEY, second)
            await self.require_holds(sink, KEY, first, first.path.read_bytes())

    async def test_a_second_put_of_the_same_content_is_refused_too(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        content = make_content(1000)
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, content)
            with raising(AlreadyThere, "a put under a key that exists, even of equal bytes,", NO_OVERWRITING):
                await sink.put(KEY, content)
            await self.require_holds(sink, KEY, content, content.path.read_bytes())

    async def test_of_many_puts_of_one_key_exactly_one_wins(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        async with self.opened(open_sink) as sink:
            for turn in range(5):
                await self._race(sink, [sink] * 8, Key(f"race/{turn}.mp4"), make_content)

    async def test_of_puts_by_two_open_sinks_exactly_one_wins(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        async with self.opened(open_sink) as sink, self.opened(open_sink) as other:
            for turn in range(5):
                await self._race(sink, [sink, other] * 3, Key(f"race/{turn}.mp4"), make_content)

    async def _race(self, sink: Sink, sinks: list[Sink], key: Key, make_content: MakeContent) -> None:
        contents = [make_content(100_000 + n) for n in range(len(sinks))]
        won: list[Content] = []

        async def put(into: Sink, content: Content) -> None:
            try:
                await into.put(key, content)
            except AlreadyThere:
                return
            won.append(content)

        async with side_by_side() as group:
            for into, content in zip(sinks, contents, strict=True):
                group.create_task(put(into, content))
        require(
            len(won) == 1,
            "of several puts of one key at the same time exactly one stores its content, and the others raise AlreadyThere",
            f"{len(won)} of {len(contents)} said that they stored it",
            NO_OVERWRITING + ": first looking and then writing leaves a gap",
        )
        await self.require_holds(sink, key, won[0], won[0].path.read_bytes())

    async def test_puts_of_many_keys_at_once_are_all_stored(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        contents = {Key(f"camera {n % 3}/{n}.mp4"): make_content(50_000 + n) for n in range(32)}
        async with self.opened(open_sink) as sink:
            async with side_by_side() as group:
                for key, content in contents.items():
                    group.create_task(sink.put(key, content))
            for key, content in contents.items():
                await self.require_holds(sink, key, content, content.path.read_bytes())

    @pytest.mark.parametrize("said", [99_999, 100_001, 0, 500_000], ids=["one less", "one more", "nothing", "much more"])
    async def test_a_content_of_another_size_than_said_is_refused(
        self, open_sink: OpenSink, make_content: MakeContent, said: int
    ) -> None:
        true = make_content(100_000)
        lying = Content(path=true.path, size=said, sha256=true.sha256)
        async with self.opened(open_sink) as sink:
            with raising(
                SinkError,
                f"a put of {true.size:,} bytes that are said to be {said:,}",
                "counting what was stored, and failing before the object becomes visible",
            ):
                await sink.put(KEY, lying)
            await self.require_absent(sink, KEY, "its put failed")
            await sink.put(KEY, true)
            await self.require_holds(sink, KEY, true, true.path.read_bytes())

    async def test_one_content_under_two_keys_is_two_objects(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        content = make_content(70_000)
        other = Key(f"{KEY}.twin")
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, content)
            try:
                await sink.put(other, content)
            except AlreadyThere as error:
                raise broken(
                    "the same bytes under two keys are two objects",
                    f"{KEY!r} was put, and the same content under {other!r} is taken for there already",
                    "telling objects apart by their keys alone, whatever they hold",
                ) from error
            listed = await self.names(sink)
            require(
                listed == sorted([KEY, other]),
                "the same bytes under two keys are two objects",
                f"{KEY!r} and {other!r} were put, and {listed} is listed",
                "telling objects apart by their keys alone, whatever they hold",
            )
            await sink.delete(KEY)
            await self.require_absent(sink, KEY, "it was deleted")
            require(
                await sink.stat(other) is not None,
                "the same bytes under two keys are two objects: to delete one leaves the other",
                f"{KEY!r} was deleted, and {other!r} went with it",
                "keeping shared bytes until the last key that needs them is gone, or not sharing any",
            )
            await self.require_holds(sink, other, content, content.path.read_bytes())

    async def test_what_another_open_sink_does_is_seen_at_once(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        content = make_content(1000)
        mended = "asking the store each time: another process may put and delete too, and what is remembered may be wrong by now"
        async with self.opened(open_sink) as sink, self.opened(open_sink) as other:
            await self.require_absent(sink, KEY, "nothing was put yet")
            await other.put(KEY, content)
            require(
                await sink.stat(KEY) is not None and await self.names(sink) == [KEY],
                "None means that an object is certainly not there, whoever put it",
                "another open sink of the same place put an object, and stat or list did not show it",
                mended,
            )
            await self.require_holds(sink, KEY, content, content.path.read_bytes())
            await other.delete(KEY)
            require(
                await sink.stat(KEY) is None and await self.names(sink) == [],
                "what stat and list tell comes from what is stored now",
                "another open sink of the same place deleted an object, and stat or list still showed it",
                mended,
            )
            with raising(NotFound, "opening what another open sink has deleted", mended):
                await self.read(sink, KEY)

    async def test_a_content_that_is_gone_is_refused(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        content = make_content(1000)
        content.path.unlink()
        async with self.opened(open_sink) as sink:
            with raising(SinkError, "a put of a content whose file is gone", "translating the OSError of opening `content.path`"):
                await sink.put(KEY, content)
            await self.require_absent(sink, KEY, "its put failed")

    async def test_the_content_is_left_alone(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        content = make_content(100_000)
        data, before = content.path.read_bytes(), content.path.stat()
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, content)
            same = content.path.exists() and content.path.read_bytes() == data
            same = same and (content.path.stat().st_ino, content.path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
            require(
                same,
                "a sink reads the content's file, and never changes, moves or removes it: other sinks need it too",
                "the file was changed" if content.path.exists() else "the file is gone",
                "copying or linking the file instead of moving it, and opening it for reading only",
            )

    async def test_nobody_sees_a_half_written_object(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        content = make_content(self.BIG)
        async with self.opened(open_sink) as sink:

            async def watch() -> None:
                while not put.done():
                    require_whole(await self.sizes(sink, KEY), content, "stat and list never show what is half-written")

            async with side_by_side() as group:
                put = group.create_task(sink.put(KEY, content))
                group.create_task(watch())
            await self.require_holds(sink, KEY, content, content.path.read_bytes())
            require(
                await self.names(sink) == [KEY],
                "a put leaves one object, and nothing beside it",
                f"the listing has {await self.names(sink)}",
                "leaving temporary names out of listings, and removing them",
            )

    # -- keys ---------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("key", ODD_KEYS.values(), ids=ODD_KEYS)
    async def test_odd_keys_are_kept_exactly(self, open_sink: OpenSink, make_content: MakeContent, key: str) -> None:
        content = make_content(key.encode())
        async with self.opened(open_sink) as sink:
            await sink.put(Key(key), content)
            await self.require_holds(sink, Key(key), content, key.encode())
            listed = await self.names(sink)
            require(
                listed == [key],
                "a listing gives every key exactly as it was put",
                f"{key!r} was put, and {listed} is listed",
                "escaping and unescaping by rules that are each other's inverse; not normalising letters",
            )
            await sink.delete(Key(key))
            await self.require_absent(sink, Key(key), "it was deleted")

    async def test_keys_that_look_alike_are_different_objects(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        alike = ["a/b/c", "a-b-c", "a_b_c", "a b c", "a%2Fb%2Fc", "a.b.c", "ab/c", "a/bc", "a+b+c", "a/b-c", "a-b/c"]
        contents = {Key(key): make_content(key.encode() * 100) for key in alike}
        async with self.opened(open_sink) as sink:
            for key, content in contents.items():
                try:
                    await sink.put(key, content)
                except AlreadyThere as error:
                    raise broken(
                        "different keys are different objects",
                        f"{key!r} is taken for there already, among {alike}",
                        "a mapping of keys to the store's names that gives no two keys the same name",
                    ) from error
            for key, content in contents.items():
                await self.require_holds(sink, key, content, content.path.read_bytes())

    async def test_what_is_above_a_key_is_no_object(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        async with self.opened(open_sink) as sink:
            await sink.put(Key("camera/2026/clip.mp4"), make_content(10))
            for above in (Key("camera"), Key("camera/2026")):
                require(
                    await sink.stat(above) is None,
                    "only what was put is there",
                    f"stat({above!r}) found something, though only camera/2026/clip.mp4 was put",
                    "telling folders of the store from objects",
                )

    @pytest.mark.parametrize("key", HOSTILE_KEYS, ids=ascii)
    async def test_a_hostile_key_is_refused_or_kept_exactly(
        self, open_sink: OpenSink, make_content: MakeContent, key: str
    ) -> None:
        content = make_content(1000)
        async with self.opened(open_sink) as sink:
            with only_sink_errors(f"a put under {key!r}"):
                await sink.put(Key(key), content)
                await self.require_holds(sink, Key(key), content, content.path.read_bytes())
                listed = await self.names(sink)
                require(
                    listed == [key],
                    "a key is a name and nothing else: it is refused (BadKey), or kept exactly as it is",
                    f"{key!r} was accepted, and {listed} is listed",
                    "refusing keys that are empty, absolute, have control characters, or empty, `.` or `..` parts",
                )
            await sink.put(KEY, content)
            await self.require_holds(sink, KEY, content, content.path.read_bytes())
