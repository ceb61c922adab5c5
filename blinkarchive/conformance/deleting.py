"""The cases of `delete`: the object goes, and nothing else."""

from __future__ import annotations

from blinkarchive.conformance.basis import Basis, OpenSink, broken, raising, require
from blinkarchive.conformance.content import MakeContent
from blinkarchive.errors import AlreadyThere, NotFound
from blinkarchive.model import Key

KEY = Key("attic/2026/clip.mp4")
ASKING = "asking whether the object exists: many stores call a delete of nothing a success"


class Deleting(Basis):
    """`delete`."""

    async def test_a_deleted_object_is_gone(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, make_content(1000))
            await sink.delete(KEY)
            await self.require_absent(sink, KEY, "it was deleted")
            with raising(NotFound, "opening what was deleted", "forgetting it in every cache"):
                await self.read(sink, KEY)
        async with self.opened(open_sink) as sink:
            await self.require_absent(sink, KEY, "it was deleted before the sink was opened anew")

    async def test_deleting_twice_says_not_found(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, make_content(1000))
            await sink.delete(KEY)
            with raising(NotFound, "deleting what was deleted already", ASKING):
                await sink.delete(KEY)

    async def test_deleting_what_never_was_says_not_found(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        async with self.opened(open_sink) as sink:
            for neighbour in (None, Key("attic/2026/clip.mp4.old"), Key("attic/2025/clip.mp4")):
                if neighbour is not None:
                    await sink.put(neighbour, make_content(10))
                with raising(NotFound, "deleting a key that does not exist", ASKING):
                    await sink.delete(KEY)

    async def test_deleting_touches_no_other_object(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        others = [
            Key(key) for key in ("attic/2026/clip.mp4.old", "attic/2026/clip", "attic/clip.mp4", "attic/2026/clip.mp4 2/x.mp4")
        ]
        content = make_content(1000)
        async with self.opened(open_sink) as sink:
            for key in (*others, KEY):
                await sink.put(key, content)
            await sink.delete(KEY)
            require(
                await self.names(sink) == sorted(others),
                "delete removes one object, and nothing else",
                f"of {sorted(others)} there is left {await self.names(sink)}",
                "comparing whole keys, not their beginnings",
            )

    async def test_a_deleted_key_can_be_put_again(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        async with self.opened(open_sink) as sink:
            await sink.put(KEY, make_content(1000))
            await sink.delete(KEY)
            content = make_content(2000)
            try:
                await sink.put(KEY, content)
            except AlreadyThere as error:
                raise broken(
                    "a key whose object was deleted is free again",
                    f"a put under {KEY!r}, which was deleted, raised AlreadyThere",
                    "looking for what is stored, not for what is remembered or marked as deleted",
                ) from error
            await self.require_holds(sink, KEY, content, content.path.read_bytes())
