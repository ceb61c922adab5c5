"""The cases of `list`: every object once, and the prefix is a mere beginning of a text."""

from __future__ import annotations

import pytest

from blinkarchive.conformance.basis import Basis, OpenSink, require, side_by_side, unless_left_out, unless_untestable
from blinkarchive.conformance.content import MakeContent
from blinkarchive.model import Key

SHELF = [
    "a/b/1.mp4", "a/b/2.mp4", "a/b2/1.mp4", "a/b-1.mp4", "a/c.mp4", "ab/c.mp4", "b/a/b/1.mp4", "a [1]/x*.mp4",
    ".blinkarchive-sink", ".a/b", "catalog/20260501.jsonl", "a b/c.mp4", "a%2Fb/c.mp4",
]  # fmt: skip
PREFIXES = [
    "", "a", "a/", "a/b", "a/b/", "a/b/1", "a/b/1.mp4", "a/b/1.mp4x", "a/b2/1.mp4/", "ab", "A", "A/", "b", ".", ".b", ".a/",
    "a [", "a*", "catalog/", "zzz", "/", "a//", "../", "a/../", "a%",
]  # fmt: skip


class Listing(Basis):
    """`list`."""

    async def test_an_empty_sink_lists_nothing(self, open_sink: OpenSink) -> None:
        async with self.opened(open_sink) as sink:
            listed = await self.names(sink)
            require(
                listed == [],
                "only what was put is listed",
                f"before anything was put the listing has {listed}",
                "leaving out what the store keeps for itself; and giving the tests an empty place in `open_sink`",
            )

    async def test_a_listing_has_every_object_once(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        await self._listed(self.MANY, open_sink, make_content)

    async def test_a_long_listing_has_every_object_once(
        self, request: pytest.FixtureRequest, open_sink: OpenSink, make_content: MakeContent
    ) -> None:
        with unless_untestable(request):
            unless_left_out("LONG", self.LONG)
        await self._listed(self.LONG, open_sink, make_content)

    async def _listed(self, number: int, open_sink: OpenSink, make_content: MakeContent) -> None:
        content = make_content(100)
        keys = [Key(f"camera {n % 7}/2026/{n % 12 + 1:02}/clip {n}.mp4") for n in range(number)]
        async with self.opened(open_sink) as sink:
            await self.put_all(sink, keys, content)
            listed = await self.names(sink)
            missing, twice = sorted({*keys} - {*listed}), len(listed) - len({*listed})
            require(
                listed == sorted(keys),
                "a listing has every object exactly once",
                f"of {len(keys):,} objects {len(missing):,} are missing (the first: {missing[:1]}), and {twice:,} come twice",
                "following the store's pages to the last one; a page is not the end of the list",
            )

    async def test_a_prefix_chooses_by_the_beginning_of_the_key(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        content = make_content(10)
        async with self.opened(open_sink) as sink:
            for key in SHELF:
                await sink.put(Key(key), content)
            for prefix in PREFIXES:
                listed = await self.names(sink, prefix)
                right = sorted(key for key in SHELF if key.startswith(prefix))
                require(
                    listed == right,
                    "list gives every key that begins with the prefix, as a text: the prefix may end within a name",
                    f"list({prefix!r}) gave {listed}; right would be {right}",
                    "comparing with str.startswith at the end, whatever the store can do; patterns in it mean nothing",
                )

    async def test_a_listing_tells_sizes(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        contents = {Key(f"camera/{size}.mp4"): make_content(size) for size in (0, 1, 999, 70_000)}
        async with self.opened(open_sink) as sink:
            for key, content in contents.items():
                await sink.put(key, content)
            told = {stored.key: stored async for stored in sink.list()}
            for key, content in contents.items():
                found = told.get(key)
                require(
                    found is not None and found.size == content.size and found.sha256 in (None, content.sha256),
                    "a listing tells the size (and if it can the SHA-256) of every stored object, empty ones too",
                    f"it told {found}; right would be {content.size:,} bytes of {key!r}",
                    "asking the store; sha256=None where that would cost a read of every object",
                )

    async def test_a_listing_misses_nothing_while_others_put_and_delete(
        self, open_sink: OpenSink, make_content: MakeContent
    ) -> None:
        content = make_content(100)
        staying = [Key(f"camera/{n}/stays.mp4") for n in range(40)]
        going = [Key(f"camera/{n}/goes.mp4") for n in range(40)]
        coming = [Key(f"camera/{n}/comes.mp4") for n in range(40)]
        async with self.opened(open_sink) as sink:
            await self.put_all(sink, [key for pair in zip(going, staying, strict=True) for key in pair], content)

            async def stir() -> None:
                for old, new in zip(going, coming, strict=True):
                    await sink.delete(old)
                    await sink.put(new, content)

            async with side_by_side() as group:
                stirring = group.create_task(stir())
                while True:
                    last = stirring.done()
                    listed = [stored.key async for stored in sink.list()]
                    require(
                        {*staying} <= {*listed} and len(listed) == len({*listed}),
                        "a listing has what was there all along, once, whatever is put or deleted meanwhile",
                        f"{len({*staying} - {*listed})} of {len(staying)} are missing, {len(listed) - len({*listed})} come twice",
                        "continuing a listing after the last key, not at a position; skipping what went away, and only that",
                    )
                    if last:
                        break

    async def test_a_listing_may_be_left_early(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        content = make_content(10)
        async with self.opened(open_sink) as sink:
            await self.put_all(sink, [Key(f"camera/{n}.mp4") for n in range(20)], content)
            for _ in range(20):
                async for _stored in sink.list():
                    break
            require(
                len(await self.names(sink)) == 20,
                "a listing that was left early disturbs no other",
                f"then a whole listing has {len(await self.names(sink))} of 20",
                "keeping a listing's state in the listing, not in the sink",
            )

    async def test_two_may_list_at_once(self, open_sink: OpenSink, make_content: MakeContent) -> None:
        content = make_content(10)
        keys = [Key(f"{letter}/{n}.mp4") for letter in "ab" for n in range(30)]
        async with self.opened(open_sink) as sink:
            await self.put_all(sink, keys, content)
            one, other = aiter(sink.list("a/")), aiter(sink.list("b/"))
            found = [await anext(listing, None) for _ in range(30) for listing in (one, other)]
            require(
                {stored.key for stored in found if stored is not None} == {*keys},
                "two listings at the same time do not disturb each other",
                "taken in turns, they missed objects",
                "keeping a listing's state in the listing, not in the sink",
            )
            for listing in (one, other):
                require(
                    await anext(listing, None) is None, "a listing ends after its last object", "it gave more", "ending it there"
                )
