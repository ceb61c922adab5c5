"""What is asked of the index's tables: each question and each change, as statements in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec
import sqlalchemy as sa

from blinkarchive.clock import Clock
from blinkarchive.errors import ArchiveError, IndexUnusable
from blinkarchive.index import damaged, dismissals, history
from blinkarchive.index.facts import (
    CLOCKS_APART,
    STUBBORN,
    Deletion,
    GivenUp,
    Holding,
    KnownSink,
    Lack,
    LastOutcome,
    Listing,
    SeenPart,
    SeenUnreadable,
    SinkSummary,
    Summary,
    Unknown,
)
from blinkarchive.index.opening import translated
from blinkarchive.index.schema import (
    LACKING,
    OPEN,
    READABLE,
    UNCATALOGUED,
    account,
    archive,
    clip,
    copy,
    deletion,
    is_state,
    listing,
    part,
    sink,
    unreadable,
)
from blinkarchive.interfaces import Part, Unreadable
from blinkarchive.model import (
    TRIES,
    Clip,
    ClipId,
    Copy,
    DamagedCopy,
    Key,
    Need,
    Plain,
    RunReport,
    SinkName,
    SourceName,
    Standing,
    State,
    Subject,
)
from blinkarchive.secret import Secret

UNREADABLE_KEPT = timedelta(days=90)
"""How long an unreadable item is kept after it was last seen: longer than a source keeps a clip."""

PARTS_KEPT = timedelta(days=90)
"""How long a part is kept after it was last heard of."""

REASONS_COUNTED = 100
"""How many different reasons are told apart: the most frequent ones."""

TWINS_APART = timedelta(seconds=2)
"""How far apart the cloud and a module may say that a camera recorded the same."""

STUBBORN_WAIT = timedelta(days=1)
"""How long a clip is left alone that is stubborn in being listed."""

LEFT_TO_TWIN = "twin of "
"""What the reason begins with why a clip of a stick is left out: its twin is stored. The twin's id follows."""

Work = Copy | Callable[[sa.Connection], Any]
"""A change: a copy that is to be recorded, or whatever else is to be done."""

Numbers = Mapping[SinkName, int | None]
"""The sinks that were asked about, in that order, and their numbers; None for one that the archive has never had."""

_CLIP = (
    clip.c.id,
    clip.c.account,
    clip.c.network_id,
    clip.c.network,
    clip.c.camera_id,
    clip.c.camera,
    clip.c.source,
    clip.c.trigger,
    clip.c.recorded_at,
    clip.c.description,
    clip.c.detections,
    clip.c.key,
)
_COPY = (copy.c.key, copy.c.size, copy.c.sha256, copy.c.stored_at, copy.c.plain_size, copy.c.plain_sha256)
_NEED = (copy.c.state, copy.c.tries, copy.c.tried_at, copy.c.reason, copy.c.damaged)
_PENDING: sa.ColumnElement[str] = sa.literal_column(f"'{State.PENDING.value}'")
_SINKS: sa.BindParameter[Sequence[int]] = sa.bindparam("sinks", expanding=True)


def after_failure(state: State, tries: int, *, counts: bool, final: bool = False) -> tuple[State, int]:
    """What a failure makes of a copy's state and number of tries."""
    if not counts or state in (State.STORED, State.EXCLUDED):
        return state, tries
    return State.GAVE_UP if final or tries + 1 >= TRIES else State.FAILED, tries + 1


def beside_a_twin(state: State, reason: str, twin: ClipId | None) -> tuple[State, str]:
    """What becomes of a copy that is not stored, and of its reason: it is left out while there is a twin that stands for it.

    What the owner left out for another reason stays so.
    """
    for_a_twin = state is State.EXCLUDED and reason.startswith(LEFT_TO_TWIN)
    if twin is not None and (for_a_twin or state is not State.EXCLUDED):
        return State.EXCLUDED, f"{LEFT_TO_TWIN}{twin}"
    return (State.PENDING, "") if for_a_twin else (state, reason)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A row of `copy` as it is before a change, in the order of the columns that `_FIND` asks for."""

    clip: int
    sink: int
    state: State
    tries: int
    tried_at: datetime | None


class Sql:
    """The tables behind an engine. It belongs to one thread."""

    def __init__(self, engine: sa.Engine, clock: Clock, *, read_only: bool) -> None:
        self._engine = engine
        self._clock = clock
        self._read_only = read_only
        #: The numbers of sinks, as the last transactions left them.
        self._numbered: dict[SinkName, int] = {}
        self._given = _given(engine.dialect.name)
        self._these = sa.select(clip.c.n).where(clip.c.id.in_(self._given)).subquery()
        #: Of given clips, those that are known, and whether any of some sinks lacks them. Two indexes alone answer it.
        self._is_given = _ONE.c.id.in_(self._given)
        lacked = sa.exists().where(copy.c.clip == clip.c.n, copy.c.sink.in_(_SINKS), LACKING)
        self._known = sa.select(clip.c.id, lacked).where(clip.c.id.in_(self._given))

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            with translated(self._engine.url), self._engine.begin() as connection:
                yield connection
        except BaseException:
            self._numbered.clear()  # what was learned in this transaction never came to be
            raise

    def together(self, works: Sequence[Work]) -> list[Any]:
        """Do all of it in the order given, in one transaction, or none of it; durable on return.

        Copies that follow each other are recorded at once.
        """
        results: list[Any] = []
        copies: list[Copy] = []
        with self._transaction() as connection:
            for work in works:
                if isinstance(work, Copy):
                    copies.append(work)
                    results.append(None)
                else:
                    self._record(connection, copies)
                    copies = []
                    results.append(work(connection))
            self._record(connection, copies)
        return results

    def close(self) -> None:
        self._engine.dispose()

    def identity(self) -> tuple[str, Secret]:
        """The archive's id, and the secret that only it knows."""
        with self._transaction() as connection:
            id_, secret = connection.execute(sa.select(archive.c.id, archive.c.secret)).one()
        return id_, Secret(secret)

    def check(self) -> list[str]:
        """What the engine itself finds wrong with the file, in its words. It reads all of it."""
        if self._engine.dialect.name != "sqlite":
            return []
        try:
            with self._transaction() as connection:
                return [line for line in connection.exec_driver_sql("PRAGMA quick_check").scalars() if line != "ok"]
        except IndexUnusable as error:
            return [str(error)]

    # How clips stand -------------------------------------------------------------------------------------------------

    def lacking(self, clips: Sequence[Clip], sinks: Sequence[SinkName], name: Callable[[Clip], Key]) -> list[Standing | None]:
        with self._transaction() as connection:
            numbers = self._numbers(connection, sinks)
            # Sorted: in the order of the tree that they are looked up in.
            asked = {"given": sorted([c.id for c in clips]), "sinks": _numbers_of(numbers)}
            known: dict[ClipId, bool] = dict(connection.execute(self._known, asked).all())
            standings = {}
            self._describe(connection, [c for c in clips if c.id in known and (c.description or c.detections)])
            if rest := list(known) if None in numbers.values() else [id_ for id_, lacking in known.items() if lacking]:
                standings = {s.clip.id: s for s in self._standings(connection, self._these, numbers, given=rest)}
            if new := {c.id: c for c in clips if c.id not in known}:
                standings |= {s.clip.id: s for s in self._discover(connection, list(new.values()), numbers, name)}
        return [standings.get(c.id) for c in clips]

    def _describe(self, connection: sa.Connection, clips: Sequence[Clip]) -> None:
        """Keep descriptions that the source has given after the clip was found: its copies are catalogued again, with them."""
        if not clips or self._read_only:
            return
        without = sa.select(clip.c.id, clip.c.n).where(
            clip.c.id.in_(self._given), clip.c.description == "", clip.c.detections == ""
        )
        numbers = dict(connection.execute(without, {"given": [c.id for c in clips]}).all())
        for number, described in ((numbers[c.id], _described(c)) for c in clips if c.id in numbers):
            connection.execute(sa.update(clip).where(clip.c.n == number).values(described))
            again = sa.update(copy).where(copy.c.clip == number, is_state(State.STORED))
            connection.execute(again.values(catalogue=None))

    def _discover(
        self, connection: sa.Connection, clips: Sequence[Clip], numbers: Numbers, name: Callable[[Clip], Key]
    ) -> list[Standing]:
        """Take new clips in: from now on they are pending for every sink, under a key that never changes."""
        keys = {c.id: name(c) for c in clips}
        if not self._read_only:
            self._refuse_shared_keys(connection, keys)
            now = self._clock.now()
            connection.execute(clip.insert(), [_clip_row(c) | {"key": keys[c.id], "found_at": now} for c in clips])
            pending = (
                sa.select(clip.c.n, sink.c.n, clip.c.recorded_at, _PENDING)
                .join_from(clip, sink, sa.true())
                .where(clip.c.id.in_(self._given))
            )
            connection.execute(
                copy.insert().from_select(["clip", "sink", "recorded_at", "state"], pending), {"given": list(keys)}
            )
        needs = tuple(Need(sink=s) for s in numbers)
        return [Standing(clip=c, key=keys[c.id], lacking=needs) for c in clips if needs]

    def _refuse_shared_keys(self, connection: sa.Connection, keys: Mapping[ClipId, Key]) -> None:
        """Two clips under one name would be taken for each other: better no archive run than that."""
        owners = {key: id_ for id_, key in keys.items()}
        clashes = [(id_, owners[key]) for id_, key in keys.items() if owners[key] != id_]
        taken = sa.select(clip.c.id, clip.c.key).where(clip.c.key.in_(self._given))
        clashes += [(id_, owners[key]) for id_, key in connection.execute(taken, {"given": list(owners)})]
        for one, other in clashes:
            raise ArchiveError(f"the clips {one} and {other} would have the same name in the sinks: {keys[other]}")

    def _standings(self, connection: sa.Connection, page: sa.Subquery, numbers: Numbers, **parameters: object) -> list[Standing]:
        """The clips whose numbers are in column `n` of `page`, oldest recording first, with their copies in the asked sinks."""
        statement = (
            sa.select(clip.c.n, copy.c.sink, *_CLIP, *_NEED, *_COPY)
            .join_from(page, clip, clip.c.n == page.c.n)
            .outerjoin(copy, sa.and_(copy.c.clip == clip.c.n, copy.c.sink.in_(_SINKS)))
            .order_by(clip.c.recorded_at, clip.c.n)
        )
        rows = connection.execute(statement, parameters | {"sinks": _numbers_of(numbers)})
        return [_standing(list(group), numbers) for _, group in groupby(rows, key=itemgetter(0))]

    def standings(self, ids: Sequence[ClipId], sinks: Sequence[SinkName]) -> list[Standing]:
        with self._transaction() as connection:
            return self._standings(connection, self._these, self._numbers(connection, sinks), given=list(ids))

    def known(self, ids: Sequence[ClipId]) -> dict[ClipId, Clip]:
        with self._transaction() as connection:
            rows = connection.execute(sa.select(*_CLIP).where(clip.c.id.in_(self._given)), {"given": sorted(ids)})
            return {ClipId(row[0]): _clip(row) for row in rows}

    def unstored(
        self, account: str, source: SourceName, sinks: Sequence[SinkName], *, given_up: bool, limit: int
    ) -> list[tuple[ClipId, datetime]]:
        holder = copy.alias("holder")
        with self._transaction() as connection:
            rows = connection.execute(
                sa.select(clip.c.id, clip.c.recorded_at)
                .distinct()
                .join_from(copy, clip, clip.c.n == copy.c.clip)
                .where(copy.c.sink.in_(_SINKS), LACKING)
                .where(sa.true() if given_up else copy.c.state != State.GAVE_UP.value)
                .where(clip.c.account == account, clip.c.source == source.value)
                .where(~sa.exists().where(holder.c.clip == clip.c.n, holder.c.state == State.STORED.value))
                .order_by(clip.c.recorded_at)
                .limit(limit),
                {"sinks": _numbers_of(self._numbers(connection, sinks))},
            )
            return [(ClipId(id_), recorded_at) for id_, recorded_at in rows]

    def cameras(self) -> set[tuple[str, str | None]]:
        with self._transaction() as connection:
            return set(map(tuple, connection.execute(sa.select(clip.c.camera, clip.c.camera_id).distinct())))

    def lacking_page(
        self, sinks: Sequence[SinkName], holding: Holding | None, *, after: ClipId | None, limit: int
    ) -> list[Standing]:
        """Clips that any of the sinks lacks (and, with `holding`, another of them holds in that way), oldest recording first."""
        with self._transaction() as connection:
            numbers = self._numbers(connection, sinks)
            start = self._position(connection, after)
            parts = [self._lacked_by(number, start, _numbers_of(numbers), holding) for number in numbers.values()]
            if not parts:
                return []
            each = [sa.select(part.order_by(*part.selected_columns).limit(limit).subquery()) for part in parts]
            first = sa.union(*each).subquery()
            page = sa.select(first.c.n).order_by(first.c.recorded_at, first.c.n).limit(limit).subquery()
            return self._standings(connection, page, numbers)

    def _lacked_by(
        self, number: int | None, start: tuple[datetime, int] | None, holders: Sequence[int], holding: Holding | None
    ) -> sa.Select[Any]:
        """When recorded, and the number, of each clip that one sink lacks: all of them when the archive never had that sink."""
        if number is None:
            columns: tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]] = (clip.c.recorded_at, clip.c.n)
            chosen = sa.select(*columns)
        else:
            columns = (copy.c.recorded_at, copy.c.clip)
            chosen = sa.select(copy.c.recorded_at, copy.c.clip.label("n")).where(copy.c.sink == number, LACKING)
        if start is not None:
            chosen = chosen.where(_later(columns, start))
        if holding is not None:
            holder = copy.alias("holder")
            held = sa.exists().where(
                holder.c.clip == columns[1], holder.c.sink.in_(holders), holder.c.state == State.STORED.value
            )
            chosen = chosen.where(held.where(holder.c.plain_sha256.is_(None)) if holding is Holding.READABLE else held)
        return chosen

    def sealed_away(self, sinks: Sequence[SinkName], but: Collection[ClipId]) -> dict[SinkName, int]:
        holder = copy.alias("holder")
        held = sa.exists().where(holder.c.clip == copy.c.clip, holder.c.state == State.STORED.value)
        with self._transaction() as connection:
            numbers = self._numbers(connection, sinks)
            rows = connection.execute(
                sa.select(copy.c.sink, sa.func.count())
                .where(copy.c.sink.in_(_SINKS), LACKING, held, ~held.where(holder.c.plain_sha256.is_(None)))
                .where(copy.c.clip.not_in(sa.select(clip.c.n).where(clip.c.id.in_(self._given))))
                .group_by(copy.c.sink),
                {"sinks": _numbers_of(numbers), "given": sorted(but)},
            )
            counts: dict[int, int] = dict(rows.all())
        return {name: counts[number] for name, number in numbers.items() if number in counts}

    def clips(
        self,
        sinks: Sequence[SinkName],
        *,
        accounts: Collection[str],
        sources: Collection[SourceName],
        cameras: Collection[str],
        since: datetime | None,
        until: datetime | None,
        after: ClipId | None,
        limit: int,
    ) -> list[Standing]:
        page = sa.select(clip.c.n).order_by(clip.c.recorded_at, clip.c.n).limit(limit)
        for column, wanted in ((clip.c.account, accounts), (clip.c.source, sources), (clip.c.camera, cameras)):
            if wanted:
                page = page.where(column.in_([str(value) for value in wanted]))
        if since is not None:
            page = page.where(clip.c.recorded_at >= since)
        if until is not None:
            page = page.where(clip.c.recorded_at < until)
        with self._transaction() as connection:
            if (start := self._position(connection, after)) is not None:
                page = page.where(_later((clip.c.recorded_at, clip.c.n), start))
            return self._standings(connection, page.subquery(), self._numbers(connection, sinks))

    def _position(self, connection: sa.Connection, after: ClipId | None) -> tuple[datetime, int] | None:
        if after is None:
            return None
        row = connection.execute(sa.select(clip.c.recorded_at, clip.c.n).where(clip.c.id == after)).one_or_none()
        if row is None:
            raise _unknown(after)
        return row[0], row[1]

    # Twins -----------------------------------------------------------------------------------------------------------

    def twins(self, ids: Sequence[ClipId]) -> dict[ClipId, ClipId]:
        with self._transaction() as connection:
            rows = connection.execute(sa.select(_ONE.c.id, _OTHER.c.id).where(_ARE_TWINS, self._is_given), {"given": sorted(ids)})
            return {ClipId(one): ClipId(other) for one, other in rows}

    def leave_to_twins(
        self, connection: sa.Connection, ids: Sequence[ClipId], sinks: Sequence[SinkName], *, skip: bool
    ) -> dict[ClipId, frozenset[SinkName]]:
        numbers = self._numbers(connection, sinks)
        given = {"given": sorted(ids)}
        twin_of: dict[int, ClipId] = {}
        if skip and sinks and None not in numbers.values():
            holders = sa.select(sa.func.count()).where(copy.c.clip == _OTHER.c.n, copy.c.sink.in_(_SINKS), is_state(State.STORED))
            justified = (
                sa.select(_ONE.c.n, _OTHER.c.id)
                .where(_ARE_TWINS, self._is_given, _ONE.c.source == SourceName.SYNC_MODULE.value)
                .where(holders.scalar_subquery() == len(numbers))
            )
            twin_of = dict(connection.execute(justified, given | {"sinks": _numbers_of(numbers)}).all())
        names = {number: name for name, number in numbers.items()}
        left: dict[ClipId, set[SinkName]] = {}
        changes = []
        rows = connection.execute(
            sa.select(clip.c.id, copy.c.clip, copy.c.sink, copy.c.state, copy.c.tries, copy.c.tried_at, copy.c.reason)
            .join_from(self._these, clip, clip.c.n == self._these.c.n)
            .join(copy, copy.c.clip == clip.c.n)
            .where(clip.c.source == SourceName.SYNC_MODULE.value, copy.c.sink.in_(_SINKS), copy.c.state != State.STORED.value),
            given | {"sinks": _numbers_of(numbers)},
        ).all()
        for id_, *facts, reason in rows:
            entry = _Entry(*facts)
            state, because = beside_a_twin(State(entry.state), reason, twin_of.get(entry.clip))
            if (state, because) != (entry.state, reason):
                changes.append(_change(entry, state, because))
            left_now = self._read_only and reason.startswith(LEFT_TO_TWIN)
            if left_now or (state is State.EXCLUDED and because.startswith(LEFT_TO_TWIN)):
                left.setdefault(id_, set()).add(names[entry.sink])
        if changes and not self._read_only:
            connection.execute(_CHANGE, changes)
        return {id_: frozenset(of) for id_, of in left.items()}

    # Deletions -------------------------------------------------------------------------------------------------------

    def ripe(self, ids: Sequence[ClipId], sinks: Sequence[SinkName], *, stored_before: datetime) -> list[Standing]:
        with self._transaction() as connection:
            numbers = self._numbers(connection, sinks)
            if not sinks or None in numbers.values():
                return []
            recorded = sa.type_coerce(copy.c.recorded_at, sa.BigInteger)
            proven = sa.select(sa.func.count()).where(
                copy.c.clip == clip.c.n,
                copy.c.sink.in_(_SINKS),
                is_state(State.STORED),
                copy.c.catalogue.is_not(None),
                copy.c.stored_at <= stored_before,
                # Stored before it was recorded: our clock was wrong then, and nobody knows how long ago that is.
                sa.type_coerce(copy.c.stored_at, sa.BigInteger) >= recorded - CLOCKS_APART // timedelta(microseconds=1),
            )
            stubborn = sa.exists().where(
                deletion.c.clip == clip.c.n,
                deletion.c.accepted >= STUBBORN,
                OPEN,
                deletion.c.asked_at > self._clock.now() - STUBBORN_WAIT,
            )
            sibling = sa.exists().where(clip.c.source == SourceName.SYNC_MODULE.value, _OTHER.c.id == clip.c.id + ":2")
            page = (
                sa.select(clip.c.n)
                .where(clip.c.id.in_(self._given), proven.scalar_subquery() == len(numbers), ~stubborn, ~sibling)
                .subquery()
            )
            return self._standings(connection, page, numbers, given=sorted(ids))

    def intend(self, connection: sa.Connection, id_: ClipId, copies: Sequence[Copy]) -> bool:
        number = connection.execute(sa.select(clip.c.n).where(clip.c.id == id_)).scalar_one_or_none()
        if number is None:
            raise _unknown(id_)
        numbers = self._numbers(connection, [one.sink for one in copies])
        page = sa.select(clip.c.n).where(clip.c.n == number).subquery()
        (standing,) = self._standings(connection, page, numbers)
        if not copies or set(standing.held) != set(copies):
            return False
        facts = {
            "asked_at": self._clock.now(),
            "outcome": "",
            "confirmed_at": None,
            "copies": msgspec.json.encode(list(copies)).decode(),
        }
        again = sa.update(deletion).where(deletion.c.clip == number).values(tries=deletion.c.tries + 1, **facts)
        if not connection.execute(again).rowcount:
            connection.execute(deletion.insert(), {"clip": number, "tries": 1, "accepted": 0} | facts)
        return True

    def answered(self, connection: sa.Connection, id_: ClipId, outcome: str, *, accepted: bool) -> None:
        number = sa.select(clip.c.n).where(clip.c.id == id_).scalar_subquery()
        values = {"outcome": outcome, "accepted": deletion.c.accepted + int(accepted)}
        connection.execute(sa.update(deletion).where(deletion.c.clip == number).values(values))

    def open_deletions(self, account: str, source: SourceName) -> list[Deletion]:
        with self._transaction() as connection:
            return self._deletions(connection, OPEN, clip.c.account == account, clip.c.source == source.value)

    def confirm(self, connection: sa.Connection, ids: Sequence[ClipId]) -> int:
        numbers = sa.select(clip.c.n).where(clip.c.id.in_(self._given))
        gone = sa.update(deletion).where(deletion.c.clip.in_(numbers), OPEN).values(confirmed_at=self._clock.now())
        return connection.execute(gone, {"given": list(ids)}).rowcount

    def deletions(self, after: ClipId | None, limit: int) -> list[Deletion]:
        with self._transaction() as connection:
            wanted: list[sa.ColumnElement[bool]] = []
            if (start := self._position(connection, after)) is not None:
                wanted.append(_later((clip.c.recorded_at, clip.c.n), start))
            return self._deletions(connection, *wanted, limit=limit)

    def _deletions(self, connection: sa.Connection, *wanted: sa.ColumnElement[bool], limit: int | None = None) -> list[Deletion]:
        facts = (
            deletion.c.asked_at,
            deletion.c.tries,
            deletion.c.accepted,
            deletion.c.outcome,
            deletion.c.confirmed_at,
            deletion.c.copies,
        )
        rows = connection.execute(
            sa.select(*_CLIP, *facts)
            .join_from(deletion, clip, clip.c.n == deletion.c.clip)
            .where(*wanted)
            .order_by(clip.c.recorded_at, clip.c.n)
            .limit(limit)
        )
        return [_deletion(row) for row in rows]

    # What becomes of a copy ------------------------------------------------------------------------------------------

    def _record(self, connection: sa.Connection, copies: Sequence[Copy]) -> None:
        if not copies:
            return
        numbers = self._numbers(connection, list(dict.fromkeys(c.sink for c in copies)))
        changed = connection.execute(_RECORD, [_copy_row(c) | {"of_sink": numbers[c.sink]} for c in copies]).rowcount
        if changed < len(copies):  # some were recorded before, or are of a clip that nobody found
            self._refuse_unknown(connection, copies, numbers)

    def _refuse_unknown(self, connection: sa.Connection, copies: Sequence[Copy], numbers: Numbers) -> None:
        entries = (
            sa.select(clip.c.id, copy.c.sink)
            .join_from(clip, copy, copy.c.clip == clip.c.n)
            .where(clip.c.id.in_(self._given), copy.c.sink.in_(_SINKS))
        )
        asked = {"given": [c.clip for c in copies], "sinks": _numbers_of(numbers)}
        known = {(id_, number) for id_, number in connection.execute(entries, asked)}
        for c in copies:
            if (c.clip, numbers[c.sink]) not in known:
                raise _unknown(c.clip)

    def keep_damaged(self, connection: sa.Connection, copy: DamagedCopy) -> None:
        damaged.keep(connection, copy)

    def damaged(self, id_: ClipId | None) -> list[DamagedCopy]:
        with self._transaction() as connection:
            return damaged.kept(connection, id_)

    def failed(
        self, connection: sa.Connection, id_: ClipId, name: SinkName, reason: str, *, counts: bool, final: bool = False
    ) -> State:
        entry = self._entry(connection, id_, name)
        state, tries = after_failure(State(entry.state), entry.tries, counts=counts, final=final)
        if state not in (State.STORED, State.EXCLUDED):
            tried_at = self._clock.now() if counts else entry.tried_at
            connection.execute(_CHANGE, _change(entry, state, reason) | {"tries": tries, "tried_at": tried_at})
        return state

    def lost(self, connection: sa.Connection, id_: ClipId, name: SinkName, reason: str, damaged: Key | None) -> None:
        entry = self._entry(connection, id_, name)
        connection.execute(_CHANGE, _change(entry, State.PENDING, reason))
        where = (copy.c.clip == entry.clip, copy.c.sink == entry.sink)
        connection.execute(sa.update(copy).where(*where).values(damaged=damaged))

    def exclude(self, connection: sa.Connection, id_: ClipId, name: SinkName, reason: str) -> State:
        entry = self._entry(connection, id_, name)
        if entry.state == State.STORED:
            return State.STORED
        connection.execute(_CHANGE, _change(entry, State.EXCLUDED, reason))
        return State.EXCLUDED

    def _entry(self, connection: sa.Connection, id_: ClipId, name: SinkName) -> _Entry:
        number = self._numbers(connection, [name])[name]
        row = connection.execute(_FIND, {"id": id_, "sink": number}).one_or_none()
        if row is None:
            raise _unknown(id_)
        return _Entry(*row)

    def _numbers(self, connection: sa.Connection, sinks: Sequence[SinkName]) -> Numbers:
        """The sinks' numbers. One that is new to the archive joins it, and lacks every clip there is."""
        if any(s not in self._numbered for s in sinks):
            rows = connection.execute(sa.select(sink.c.name, sink.c.n))
            self._numbered = {SinkName(name): number for name, number in rows}
            if not self._read_only:
                for s in sinks:
                    if s not in self._numbered:
                        self._numbered[s] = self._join(connection, s)
        return {s: self._numbered.get(s) for s in sinks}

    def _join(self, connection: sa.Connection, name: SinkName) -> int:
        values = {"name": name, "first_seen": self._clock.now()}
        connection.execute(sink.insert(), values)
        number = connection.execute(sa.select(sink.c.n).where(sink.c.name == name)).scalar_one()
        every = sa.select(clip.c.n, sa.literal(number), clip.c.recorded_at, *dismissals.state_for_new_sink())
        connection.execute(copy.insert().from_select(["clip", "sink", "recorded_at", "state", "reason"], every))
        return int(number)

    def keep_sink_id(self, connection: sa.Connection, name: SinkName, id_: str) -> None:
        self._numbers(connection, [name])
        connection.execute(sa.update(sink).where(sink.c.name == name).values(id=id_))

    def recipients(self) -> dict[SinkName, tuple[str, ...]]:
        with self._transaction() as connection:
            rows = connection.execute(sa.select(sink.c.name, sink.c.recipients).where(sink.c.recipients.is_not(None)))
            return {SinkName(name): msgspec.json.decode(text, type=tuple[str, ...]) for name, text in rows}

    def keep_recipients(self, connection: sa.Connection, name: SinkName, recipients: Sequence[str]) -> None:
        self._numbers(connection, [name])
        kept = msgspec.json.encode(list(recipients)).decode()
        connection.execute(sa.update(sink).where(sink.c.name == name).values(recipients=kept))

    def in_clear(self, name: SinkName) -> int:
        with self._transaction() as connection:
            number = self._numbers(connection, [name])[name]
            return connection.execute(sa.select(sa.func.count()).where(copy.c.sink == number, READABLE)).scalar_one()

    def sinks(self) -> list[KnownSink]:
        held = copy.alias("held")
        other = copy.alias("other")
        of_sink = sa.select(sa.func.count()).where(held.c.sink == sink.c.n, held.c.state == State.STORED.value)
        elsewhere = sa.exists().where(
            other.c.clip == held.c.clip, other.c.sink != held.c.sink, other.c.state == State.STORED.value
        )
        columns = (of_sink.scalar_subquery(), of_sink.where(~elsewhere).scalar_subquery())
        with self._transaction() as connection:
            rows = connection.execute(sa.select(sink.c.name, sink.c.id, sink.c.first_seen, *columns).order_by(sink.c.n))
            return [
                KnownSink(sink=SinkName(name), id=id_, first_seen=first_seen, stored=stored, only_there=only)
                for name, id_, first_seen, stored, only in rows
            ]

    def sink_ids(self) -> dict[SinkName, str | None]:
        with self._transaction() as connection:
            return {SinkName(name): id_ for name, id_ in connection.execute(sa.select(sink.c.name, sink.c.id))}

    def forget_sink(self, connection: sa.Connection, name: SinkName) -> bool:
        number = connection.execute(sa.select(sink.c.n).where(sink.c.name == name)).scalar()
        if number is None:
            return False
        connection.execute(sa.delete(copy).where(copy.c.sink == number))
        connection.execute(sa.delete(sink).where(sink.c.n == number))
        history.forget(connection, Subject.sink(name))
        self._numbered.pop(name, None)
        return True

    def rename_sink(self, connection: sa.Connection, old: SinkName, new: SinkName) -> None:
        self.forget_sink(connection, new)
        connection.execute(sa.update(sink).where(sink.c.name == old).values(name=new))
        history.rename(connection, Subject.sink(old), Subject.sink(new))
        self._numbered.pop(old, None)

    # Catalogues ------------------------------------------------------------------------------------------------------

    def uncatalogued(self, name: SinkName, limit: int) -> list[tuple[Clip, Copy]]:
        with self._transaction() as connection:
            number = self._numbers(connection, [name])[name]
            rows = connection.execute(
                sa.select(*_CLIP, *_COPY)
                .join_from(copy, clip, clip.c.n == copy.c.clip)
                .where(copy.c.sink == number, UNCATALOGUED)
                .order_by(copy.c.clip)
                .limit(limit)
            )
            width = len(_CLIP)
            return [(_clip(row[:width]), _stored(row[:width], name, row[width:])) for row in rows]

    def catalogued(self, connection: sa.Connection, name: SinkName, clips: Sequence[ClipId], key: Key) -> None:
        number = self._numbers(connection, [name])[name]
        numbers = sa.select(clip.c.n).where(clip.c.id.in_(self._given))
        connection.execute(
            sa.update(copy).where(copy.c.sink == number, is_state(State.STORED), copy.c.clip.in_(numbers)).values(catalogue=key),
            {"given": list(clips)},
        )

    def unknown(self) -> dict[SinkName, Unknown]:
        columns = (sink.c.name, sink.c.unknown_copies, sink.c.unknown_catalogues, sink.c.unknown_at)
        with self._transaction() as connection:
            rows = connection.execute(sa.select(*columns).where(sink.c.unknown_at.is_not(None)))
            return {SinkName(name): Unknown(copies=copies, catalogues=more, at=at) for name, copies, more, at in rows}

    def keep_unknown(self, connection: sa.Connection, name: SinkName, unknown: Unknown) -> None:
        self._numbers(connection, [name])
        values = {"unknown_copies": unknown.copies, "unknown_catalogues": unknown.catalogues, "unknown_at": self._clock.now()}
        connection.execute(sa.update(sink).where(sink.c.name == name).values(values))

    def catalogues(self, name: SinkName) -> frozenset[Key]:
        with self._transaction() as connection:
            number = self._numbers(connection, [name])[name]
            known = sa.select(copy.c.catalogue).distinct().where(copy.c.sink == number, copy.c.catalogue.is_not(None))
            return frozenset(Key(key) for key in connection.execute(known).scalars())

    # Accounts --------------------------------------------------------------------------------------------------------

    def bind_account(self, connection: sa.Connection, name: str, blink_id: str) -> str:
        bound: str | None = connection.execute(sa.select(account.c.blink_id).where(account.c.name == name)).scalar()
        if bound is None:
            if not self._read_only:
                connection.execute(account.insert(), {"name": name, "blink_id": blink_id, "bound_at": self._clock.now()})
            return blink_id
        return bound

    def accounts(self) -> dict[str, str]:
        with self._transaction() as connection:
            return dict(connection.execute(sa.select(account.c.name, account.c.blink_id)).all())

    # Listings --------------------------------------------------------------------------------------------------------

    def listings(self) -> list[Listing]:
        with self._transaction() as connection:
            rows = connection.execute(sa.select(listing).order_by(listing.c.account, listing.c.source))
            return [
                Listing(account=r.account, source=SourceName(r.source), complete_at=r.complete_at, full_at=r.full_at)
                for r in rows
            ]

    def listed(self, connection: sa.Connection, account: str, source: SourceName, *, started_at: datetime, full: bool) -> None:
        facts = {"complete_at": started_at} | ({"full_at": started_at} if full else {})
        _put(connection, listing, {"account": account, "source": source.value}, facts)

    def heard_of(
        self, connection: sa.Connection, account: str, source: SourceName, heard: Part, *, started_at: datetime
    ) -> SeenPart:
        now = self._clock.now()
        before = connection.execute(sa.select(part).where(part.c.scope == heard.scope)).one_or_none()
        keeps = int(heard.keeps.total_seconds()) if heard.keeps else before.keeps if before else None
        if heard.trouble:
            listed_at = before.listed_at if before else None
            since = before.trouble_since if before and before.trouble_since else now
        else:
            listed_at, since = started_at, None
        facts = {"account": account, "source": source.value, "name": heard.name, "keeps": keeps}
        facts |= {
            "listed_at": listed_at,
            "seen_at": now,
            "trouble": heard.trouble,
            "trouble_since": since,
            "absent": heard.absent,
        }
        _put(connection, part, {"scope": heard.scope}, facts)
        connection.execute(sa.delete(part).where(part.c.seen_at < now - PARTS_KEPT))
        return _part(connection.execute(sa.select(part).where(part.c.scope == heard.scope)).one())

    def parts(self) -> list[SeenPart]:
        with self._transaction() as connection:
            rows = connection.execute(sa.select(part).order_by(part.c.account, part.c.source, part.c.scope))
            return [_part(row) for row in rows]

    def unreadable(self, connection: sa.Connection, account: str, source: SourceName, items: Sequence[Unreadable]) -> list[int]:
        now = self._clock.now()
        place = {"account": account, "source": source.value}
        times = []
        for item in items:
            id_ = item.item or "#" + hashlib.sha256(item.raw.encode()).hexdigest()[:16]
            facts = {"reason": item.reason, "raw": item.raw, "last_seen": now}
            again = _where(unreadable, place | {"item": id_})
            if not connection.execute(sa.update(unreadable).where(again).values(times=unreadable.c.times + 1, **facts)).rowcount:
                connection.execute(unreadable.insert(), place | {"item": id_, "first_seen": now, "times": 1} | facts)
            times.append(connection.execute(sa.select(unreadable.c.times).where(again)).scalar_one())
        connection.execute(sa.delete(unreadable).where(unreadable.c.last_seen < now - UNREADABLE_KEPT))
        return times

    def unreadables(self, limit: int) -> list[SeenUnreadable]:
        with self._transaction() as connection:
            rows = connection.execute(
                sa.select(unreadable).order_by(unreadable.c.last_seen.desc(), unreadable.c.item).limit(limit)
            )
            return [
                SeenUnreadable(
                    account=r.account,
                    source=SourceName(r.source),
                    unreadable=Unreadable(item=r.item, reason=r.reason, raw=r.raw),
                    first_seen=r.first_seen,
                    last_seen=r.last_seen,
                    times=r.times,
                )
                for r in rows
            ]

    # Runs ------------------------------------------------------------------------------------------------------------

    def began(self, connection: sa.Connection, run_id: str, subjects: Sequence[Subject], *, started_at: datetime) -> None:
        history.began(connection, run_id, started_at, subjects)

    def finished(self, connection: sa.Connection, report: RunReport) -> None:
        history.finished(connection, report)

    def dropped(self, connection: sa.Connection, run_id: str) -> None:
        history.dropped(connection, run_id)

    def left_over(self) -> list[RunReport]:
        with self._transaction() as connection:
            return history.left_over(connection)

    def last_runs(self, limit: int) -> list[RunReport]:
        with self._transaction() as connection:
            return history.last_runs(connection, limit)

    def outcomes(self) -> dict[Subject, LastOutcome]:
        with self._transaction() as connection:
            return history.outcomes(connection)

    # Dismissals ------------------------------------------------------------------------------------------------------

    def dismiss(self, connection: sa.Connection, names: Sequence[str], *, undo: bool) -> dict[ClipId, list[SinkName]]:
        known = dismissals.find(connection, names)
        if unknown := [name for name in names if name not in known]:
            raise ArchiveError(f"the index does not know {', '.join(unknown)}; nothing was changed")
        now = self._clock.now()
        return {
            id_: dismissals.undo(connection, n) if undo else dismissals.dismiss(connection, n, now)
            for n, id_ in dict.fromkeys(known[name] for name in names)
        }

    def dismissed(self) -> dict[ClipId, frozenset[SinkName]]:
        with self._transaction() as connection:
            return dismissals.dismissed(connection)

    def given_up_clips(self, sinks: Sequence[SinkName], limit: int) -> list[GivenUp]:
        with self._transaction() as connection:
            numbers = self._numbers(connection, sinks)
            given_up = sa.select(copy.c.clip.label("n"), sa.func.min(copy.c.recorded_at).label("at"))
            given_up = given_up.where(copy.c.sink.in_(_SINKS), LACKING, copy.c.state == State.GAVE_UP.value).group_by(copy.c.clip)
            page = given_up.order_by(sa.text("at"), copy.c.clip).limit(limit).subquery()
            standings = self._standings(connection, page, numbers)
        found = []
        for standing in standings:
            needs = [need for need in standing.lacking if need.state is State.GAVE_UP]
            found.append(GivenUp(clip=standing.clip, sinks=tuple(need.sink for need in needs), reason=needs[0].reason))
        return found

    # Sums ------------------------------------------------------------------------------------------------------------

    def summary(self, sinks: Sequence[SinkName]) -> Summary:
        with self._transaction() as connection:
            numbers = self._numbers(connection, sinks)
            clips = connection.execute(sa.select(sa.func.count()).select_from(clip)).scalar_one()
            oldest = connection.execute(sa.select(sa.func.min(clip.c.recorded_at))).scalar()
            newest = connection.execute(sa.select(sa.func.max(clip.c.recorded_at))).scalar()
            counts = connection.execute(
                sa.select(copy.c.sink, copy.c.state, sa.func.count(), sa.func.sum(copy.c.size))
                .where(copy.c.sink.in_(_numbers_of(numbers)))
                .group_by(copy.c.sink, copy.c.state)
            ).all()
            summaries = []
            for name, number in numbers.items():
                if number is None:
                    summaries.append(SinkSummary(sink=name, pending=clips, oldest_lacking=oldest))
                    continue
                by_state = {State(state): (count, int(size or 0)) for of, state, count, size in counts if of == number}
                lacked = sa.select(sa.func.min(copy.c.recorded_at)).where(copy.c.sink == number, LACKING)
                summaries.append(
                    SinkSummary(
                        sink=name,
                        **{state.name.lower(): by_state.get(state, (0, 0))[0] for state in State},
                        bytes=by_state.get(State.STORED, (0, 0))[1],
                        oldest_lacking=connection.execute(lacked).scalar(),
                    )
                )
        return Summary(clips=clips, oldest=oldest, newest=newest, sinks=tuple(summaries))

    def given_up(self, sinks: Sequence[SinkName]) -> dict[SinkName, int]:
        with self._transaction() as connection:
            numbers = self._numbers(connection, sinks)
            rows = connection.execute(
                sa.select(copy.c.sink, sa.func.count())
                .where(copy.c.sink.in_(_SINKS), LACKING, copy.c.state == State.GAVE_UP.value)
                .group_by(copy.c.sink),
                {"sinks": _numbers_of(numbers)},
            )
            counts: dict[int, int] = dict(rows.all())
        return {name: counts[number] for name, number in numbers.items() if number in counts}

    def reasons(self, sinks: Sequence[SinkName]) -> list[Lack]:
        with self._transaction() as connection:
            numbers = self._numbers(connection, sinks)
            names = {number: name for name, number in numbers.items() if number is not None}
            many = sa.func.count()
            rows = connection.execute(
                sa.select(copy.c.sink, copy.c.state, copy.c.reason, many, sa.func.min(copy.c.recorded_at))
                .where(copy.c.sink.in_(list(names)), LACKING)
                .group_by(copy.c.sink, copy.c.state, copy.c.reason)
                .order_by(many.desc(), copy.c.sink, copy.c.state, copy.c.reason)
                .limit(REASONS_COUNTED)
            )
            lacks = [
                Lack(sink=names[number], state=State(state), reason=reason, clips=count, oldest=oldest)
                for number, state, reason, count, oldest in rows
            ]
            all_, oldest = connection.execute(sa.select(sa.func.count(), sa.func.min(clip.c.recorded_at)).select_from(clip)).one()
        never = [name for name, number in numbers.items() if number is None and all_]
        return lacks + [Lack(sink=name, state=State.PENDING, reason="", clips=all_, oldest=oldest) for name in never]


def _may_be_twins(one: sa.FromClause, other: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether two clips may be one recording: of one camera (known for both), at one time, in the cloud and on a stick."""
    at, apart = sa.type_coerce(one.c.recorded_at, sa.BigInteger), TWINS_APART // timedelta(microseconds=1)
    return sa.and_(
        sa.type_coerce(other.c.recorded_at, sa.BigInteger).between(at - apart, at + apart),
        other.c.account == one.c.account,
        other.c.network_id == one.c.network_id,
        other.c.camera_id == one.c.camera_id,
        other.c.source != one.c.source,
    )


_ONE, _OTHER, _THIRD = clip.alias("one"), clip.alias("other"), clip.alias("third")
#: Whether `one` and `other` are twins: either may be the other's, and no third clip's.
_ARE_TWINS = sa.and_(
    _may_be_twins(_ONE, _OTHER),
    ~sa.exists().where(_may_be_twins(_ONE, _THIRD), _THIRD.c.n != _OTHER.c.n),
    ~sa.exists().where(_may_be_twins(_OTHER, _THIRD), _THIRD.c.n != _ONE.c.n),
)

_FIND = (
    sa.select(clip.c.n, copy.c.sink, copy.c.state, copy.c.tries, copy.c.tried_at)
    .join_from(clip, copy, copy.c.clip == clip.c.n)
    .where(clip.c.id == sa.bindparam("id"), copy.c.sink == sa.bindparam("sink"))
)
#: Makes a copy one that the sink lacks: of what was stored, nothing is left.
_CHANGE = (
    sa.update(copy)
    .where(copy.c.clip == sa.bindparam("of_clip"), copy.c.sink == sa.bindparam("of_sink"))
    .values({name: sa.bindparam(name) for name in ("state", "tries", "tried_at", "reason")})
    .values(dict.fromkeys(("key", "size", "sha256", "stored_at", "plain_size", "plain_sha256", "catalogue")))
)
#: What makes a copy this one and no other.
_HELD = {
    "state": sa.literal_column(f"'{State.STORED.value}'"),
    "key": sa.func.nullif(
        sa.bindparam("its_key", type_=sa.Text), sa.select(clip.c.key).where(clip.c.n == copy.c.clip).scalar_subquery()
    ),
    "size": sa.bindparam("its_size", type_=sa.BigInteger),
    "sha256": sa.bindparam("its_sha256", type_=sa.Text),
    "plain_size": sa.bindparam("its_plain_size", type_=sa.BigInteger),
    "plain_sha256": sa.bindparam("its_plain_sha256", type_=sa.Text),
}
#: Makes a copy one that the sink holds, and leaves it alone where it is so already.
_RECORD = (
    sa.update(copy)
    .where(copy.c.clip == sa.select(clip.c.n).where(clip.c.id == sa.bindparam("of_clip")).scalar_subquery())
    .where(copy.c.sink == sa.bindparam("of_sink"))
    .where(sa.or_(*(copy.c[name].is_distinct_from(value) for name, value in _HELD.items())))
    .values(_HELD | {"stored_at": sa.bindparam("at", type_=copy.c.stored_at.type)})
    .values(tries=0, tried_at=None, reason="", catalogue=None, damaged=None)
)


def _change(entry: _Entry, state: State, reason: str) -> dict[str, object]:
    """The parameters of `_CHANGE` that forget the tries that were made."""
    place = {"of_clip": entry.clip, "of_sink": entry.sink}
    return place | {"state": state.value, "tries": 0, "tried_at": None, "reason": reason}


def _copy_row(c: Copy) -> dict[str, object]:
    """The parameters of `_RECORD`, but for the sink's number."""
    plain = {"its_plain_size": c.plain and c.plain.size, "its_plain_sha256": c.plain and c.plain.sha256}
    return {"of_clip": c.clip, "its_key": c.key, "its_size": c.size, "its_sha256": c.sha256, "at": c.stored_at} | plain


def _unknown(id_: ClipId) -> ArchiveError:
    return ArchiveError(f"the index does not know the clip {id_}")


def _given(dialect: str) -> sa.Select[Any]:
    """The texts in the parameter `given`, as rows, however many: one parameter, one statement, one plan.

    The two engines spell this differently; it is the only place where that matters.
    """
    if dialect == "postgresql":
        texts = sa.func.unnest(sa.bindparam("given", type_=sa.ARRAY(sa.Text))).table_valued("value").render_derived()
    else:
        texts = sa.func.json_each(sa.bindparam("given", type_=sa.JSON)).table_valued("value")
    return sa.select(texts.c.value)


def _later(columns: tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]], start: tuple[datetime, int]) -> sa.ColumnElement[bool]:
    recorded_at, number = start
    return sa.tuple_(*columns) > sa.tuple_(sa.literal(recorded_at, columns[0].type), sa.literal(number))


def _numbers_of(numbers: Numbers) -> list[int]:
    return [number for number in numbers.values() if number is not None]


def _where(table: sa.Table, values: Mapping[str, object]) -> sa.ColumnElement[bool]:
    return sa.and_(*(table.c[name] == value for name, value in values.items()))


def _put(connection: sa.Connection, table: sa.Table, key: Mapping[str, object], facts: Mapping[str, object]) -> None:
    """Change the row with this key, or make it."""
    if not connection.execute(sa.update(table).where(_where(table, key)).values(**facts)).rowcount:
        connection.execute(table.insert(), {**key, **facts})


def _part(row: sa.Row[Any]) -> SeenPart:
    keeps = None if row.keeps is None else timedelta(seconds=row.keeps)
    return SeenPart(
        account=row.account,
        source=SourceName(row.source),
        part=Part(scope=row.scope, name=row.name, trouble=row.trouble, absent=row.absent, keeps=keeps),
        listed_at=row.listed_at,
        seen_at=row.seen_at,
        trouble_since=row.trouble_since,
    )


def _clip_row(c: Clip) -> dict[str, object]:
    return {
        "id": c.id,
        "account": c.account,
        "source": c.source.value,
        "network_id": c.network_id,
        "network": c.network,
        "camera_id": c.camera_id,
        "camera": c.camera,
        "trigger": c.trigger,
        "recorded_at": c.recorded_at,
        **_described(c),
    }


def _described(c: Clip) -> dict[str, str]:
    return {"description": c.description, "detections": msgspec.json.encode(c.detections).decode() if c.detections else ""}


def _clip(row: Sequence[Any]) -> Clip:
    """A clip from the columns `_CLIP`."""
    id_, account, network_id, network, camera_id, camera, source, trigger, recorded_at, description, detections, _ = row
    return Clip(
        id=id_,
        account=account,
        network_id=network_id,
        network=network,
        camera_id=camera_id,
        camera=camera,
        source=SourceName(source),
        trigger=trigger,
        recorded_at=recorded_at,
        description=description,
        detections=msgspec.json.decode(detections, type=tuple[str, ...]) if detections else (),
    )


def _deletion(row: Sequence[Any]) -> Deletion:
    """A deletion from the columns `_CLIP` and those of `deletion`."""
    width = len(_CLIP)
    asked_at, tries, accepted, outcome, confirmed_at, copies = row[width:]
    return Deletion(
        clip=_clip(row[:width]),
        asked_at=asked_at,
        tries=tries,
        accepted=accepted,
        outcome=outcome,
        confirmed_at=confirmed_at,
        copies=msgspec.json.decode(copies, type=tuple[Copy, ...]),
    )


def _stored(clip_row: Sequence[Any], name: SinkName, row: Sequence[Any]) -> Copy:
    """A copy from the columns `_CLIP` and `_COPY`."""
    key, size, sha256, stored_at, plain_size, plain_sha256 = row
    plain = Plain(size=plain_size, sha256=plain_sha256) if plain_sha256 else None
    return Copy(clip=clip_row[0], sink=name, key=key or clip_row[-1], size=size, sha256=sha256, stored_at=stored_at, plain=plain)


def _standing(rows: Sequence[Sequence[Any]], numbers: Numbers) -> Standing:
    """One clip from its rows of `clip.n, copy.sink, *_CLIP, *_NEED, *_COPY`."""
    need, stored = 2 + len(_CLIP), 2 + len(_CLIP) + len(_NEED)
    clip_row = rows[0][2:need]
    by_sink = {row[1]: row for row in rows}
    lacking, held = [], []
    for name, number in numbers.items():
        row = by_sink.get(number) if number is not None else None
        if row is None:
            lacking.append(Need(sink=name))
            continue
        state, tries, tried_at, reason, damaged = row[need:stored]
        if state == State.STORED:
            held.append(_stored(clip_row, name, row[stored:]))
        elif state != State.EXCLUDED:
            lacking.append(Need(sink=name, state=State(state), tries=tries, tried_at=tried_at, reason=reason, damaged=damaged))
    return Standing(clip=_clip(clip_row), key=clip_row[-1], lacking=tuple(lacking), held=tuple(held))
