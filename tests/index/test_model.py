"""Any order of calls leaves the index as a few dictionaries would be left."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from blinkarchive.clock import ManualClock
from blinkarchive.index import Index
from blinkarchive.model import Clip, Copy, Key, Need, Plain, SinkName, Standing, State
from tests.index.facts import CLOUD, NAS, THIRD, clip, copy, name

SINKS = (NAS, CLOUD, THIRD)
PLAIN = Plain(size=7, sha256="cd" * 32)
numbers = st.integers(min_value=0, max_value=7)
sinks = st.sampled_from(SINKS)
some_sinks = st.lists(sinks, unique=True)


@dataclass
class Row:
    """What the model knows of a clip and a sink."""

    need: Need
    copy: Copy | None = None
    catalogued: bool = False


@dataclass
class Model:
    """The index as it should be."""

    clips: dict[Clip, Key] = field(default_factory=dict)
    rows: dict[tuple[Clip, SinkName], Row] = field(default_factory=dict)

    def row(self, one: Clip, sink: SinkName) -> Row:
        return self.rows.setdefault((one, sink), Row(Need(sink=sink)))

    def standing(self, one: Clip, asked: list[SinkName]) -> Standing:
        rows = [self.row(one, sink) for sink in asked]
        return Standing(
            clip=one,
            key=self.clips[one],
            lacking=tuple(row.need for row in rows if row.copy is None and row.need.state is not State.EXCLUDED),
            held=tuple(row.copy for row in rows if row.copy is not None),
        )

    def oldest_first(self) -> list[Clip]:
        return sorted(self.clips, key=lambda one: one.recorded_at)


class IndexAndModel(RuleBasedStateMachine):
    """The index and the model are told the same, and asked the same."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.model = Model()
        self.opened = AsyncExitStack()

    @initialize()
    def begin(self) -> None:
        self.runner.run(self._open())

    async def _open(self) -> None:
        path = Path(self.folder.name) / "index.sqlite3"
        self.index = await self.opened.enter_async_context(Index.open(path, clock=self.clock))

    def teardown(self) -> None:
        self.runner.run(self.opened.aclose())
        self.runner.close()
        self.folder.cleanup()

    @rule()
    def close_and_open_again(self) -> None:
        self.runner.run(self.opened.aclose())
        self.runner.run(self._open())

    @rule(seconds=st.integers(min_value=1, max_value=10**6))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(page=st.lists(numbers, max_size=6), asked=some_sinks)
    def list_a_page(self, page: list[int], asked: list[SinkName]) -> None:
        clips = [clip(number) for number in page]
        self.model.clips |= {one: name(one) for one in clips}
        answers = self.runner.run(self.index.lacking(clips, asked, name))
        for answer, one in zip(answers, clips, strict=True):
            wanted = self.model.standing(one, asked)
            assert answer == (wanted if wanted.lacking else None)

    @rule(number=numbers, sink=sinks, size=st.sampled_from([1, 2]), plain=st.sampled_from([None, PLAIN]))
    def store(self, number: int, sink: SinkName, size: int, plain: Plain | None) -> None:
        one = clip(number)
        if one not in self.model.clips:
            return
        stored = copy(one, sink, size=size, stored_at=self.clock.now(), plain=plain)
        self.runner.run(self.index.record(stored))
        row = self.model.row(one, sink)
        if row.copy is None or (row.copy.size, row.copy.plain) != (size, plain):
            self.model.rows[one, sink] = Row(Need(sink=sink), stored)

    @rule(number=numbers, sink=sinks, counts=st.booleans(), times=st.integers(min_value=1, max_value=6))
    def fail(self, number: int, sink: SinkName, counts: bool, times: int) -> None:
        one = clip(number)
        if one not in self.model.clips:
            return
        row = self.model.row(one, sink)
        for time in range(times):
            state = self.runner.run(self.index.failed(one.id, sink, f"try {time}", counts=counts))
            if row.copy is not None:
                assert state is State.STORED
            elif row.need.state is State.EXCLUDED:
                assert state is State.EXCLUDED
            else:
                tries = row.need.tries + counts
                tried_at = self.clock.now() if counts else row.need.tried_at
                expected = State.PENDING if tries == 0 else State.FAILED if tries < 10 else State.GAVE_UP
                row.need = Need(sink=sink, state=expected, tries=tries, tried_at=tried_at, reason=f"try {time}")
                assert state is expected

    @rule(number=numbers, sink=sinks)
    def lose(self, number: int, sink: SinkName) -> None:
        one = clip(number)
        if one in self.model.clips:
            self.runner.run(self.index.lost(one.id, sink, "gone"))
            self.model.rows[one, sink] = Row(Need(sink=sink, reason="gone"))

    @rule(number=numbers, sink=sinks)
    def exclude(self, number: int, sink: SinkName) -> None:
        one = clip(number)
        if one not in self.model.clips:
            return
        state = self.runner.run(self.index.exclude(one.id, sink, "not wanted"))
        row = self.model.row(one, sink)
        assert state is (State.EXCLUDED if row.copy is None else State.STORED)
        if row.copy is None:
            row.need = Need(sink=sink, state=State.EXCLUDED)

    @rule(sink=sinks, limit=st.integers(min_value=1, max_value=4))
    def catalogue(self, sink: SinkName, limit: int) -> None:
        listed = self.runner.run(self.index.uncatalogued(sink, limit=limit))
        open_ = {one: row.copy for (one, of), row in self.model.rows.items() if of == sink and row.copy and not row.catalogued}
        assert len(listed) == min(limit, len(open_))
        assert all(open_[one] == stored for one, stored in listed)
        self.runner.run(self.index.catalogued(sink, [one.id for one, _ in listed], Key("catalog/1.jsonl")))
        for one, _ in listed:
            self.model.row(one, sink).catalogued = True

    @rule(asked=some_sinks, limit=st.integers(min_value=1, max_value=3))
    def page_through_what_is_lacking(self, asked: list[SinkName], limit: int) -> None:
        standings = [self.model.standing(one, asked) for one in self.model.oldest_first()]
        for question, wanted in (
            (self.index.pending, [s for s in standings if s.lacking]),
            (self.index.backlog, [s for s in standings if s.lacking and any(held.plain is None for held in s.held)]),
        ):
            pages: list[Standing] = []
            while page := self.runner.run(question(asked, after=pages[-1].clip.id if pages else None, limit=limit)):
                pages += page
            assert pages == wanted

    @rule(asked=some_sinks, but=st.lists(numbers, max_size=3))
    def count_what_is_held_only_encrypted(self, asked: list[SinkName], but: list[int]) -> None:
        wanted: Counter[SinkName] = Counter()
        for one in self.model.clips:
            held = [row.copy for (of, _), row in self.model.rows.items() if of == one and row.copy]
            if held and all(each.plain for each in held) and one not in map(clip, but):
                wanted.update(need.sink for need in self.model.standing(one, asked).lacking)
        assert self.runner.run(self.index.sealed_away(asked, but=[clip(number).id for number in but])) == wanted

    @invariant()
    def they_agree_on_every_clip(self) -> None:
        if hasattr(self, "index"):
            asked = list(SINKS)
            listed = self.runner.run(self._all(asked))
            assert listed == [self.model.standing(one, asked) for one in self.model.oldest_first()]
            for sink in self.runner.run(self.index.summary(asked)).sinks:
                held = [row.copy for (_, of), row in self.model.rows.items() if of == sink.sink and row.copy]
                assert (sink.stored, sink.bytes) == (len(held), sum(stored.size for stored in held))
                clear = sum(stored.plain is None for stored in held)
                assert self.runner.run(self.index.in_clear(sink.sink)) == clear
                assert sink.stored + sink.lacking + sink.excluded == len(self.model.clips)

    async def _all(self, asked: list[SinkName]) -> list[Standing]:
        return [standing async for standing in self.index.clips(asked)]


TestIndexAndModel = IndexAndModel.TestCase
TestIndexAndModel.settings = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=15,
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no fault of the index
)
