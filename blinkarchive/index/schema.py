"""The tables of the index, and how a moment is kept in them.

Why they are as they are:

- `clip.n` counts clips in the order they were found. It is what `copy` points at: a few bytes where the clip's own id is
  some fifty, and what is new lies side by side. `clip` is an ordinary table, since its rows are too long for a tree that
  keeps whole rows in its inner pages; `clip.id` has an index of its own, in which the ids of one page of a listing, which
  rise with time, are neighbours too.
- `copy` has a row for every clip and every sink that the archive has ever had, from the moment both are known. What a
  sink lacks can then be read from indexes that hold only that: a run with nothing to do costs the same after ten thousand
  clips and after ten million, which it would not if lacking meant "there is no row".
  The rows are short, always looked up by their key, and need no second tree: hence `WITHOUT ROWID`.
- `copy.key` is null where the copy has the clip's own key, which is nearly always.
- `copy.recorded_at` repeats the clip's, which never changes, so that one of these indexes is in that order.
- States and times are what a person can read or compute with; nothing depends on the engine's own date or enum types.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from blinkarchive.model import State

VERSION = "0004"
"""The schema that this program reads and writes: the number of the newest migration."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Moment(sa.types.TypeDecorator[datetime]):
    """A point in time, kept as whole microseconds since 1970 in UTC.

    An integer loses nothing, sorts as time does, and comes back as the same aware UTC from every engine; text would depend
    on one spelling everywhere, and the engines' own time types differ (SQLite has none, and drops the zone).
    """

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value!r}")
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else _EPOCH + value * _MICROSECOND


Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""A counted key. SQLite counts by itself only what is called INTEGER."""

metadata = sa.MetaData()

archive = sa.Table(
    "archive",
    metadata,
    # A UUID, made with the index.
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("made_at", Moment, nullable=False),
    # 64 hex digits, made with the index and told to nobody: the names of encrypted copies are made with it.
    sa.Column("secret", sa.Text),
)

clip = sa.Table(
    "clip",
    metadata,
    sa.Column("n", Number, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("network_id", sa.Text, nullable=False),
    sa.Column("network", sa.Text, nullable=False),
    sa.Column("camera_id", sa.Text),
    sa.Column("camera", sa.Text, nullable=False),
    sa.Column("trigger", sa.Text, nullable=False),
    sa.Column("recorded_at", Moment, nullable=False),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("found_at", Moment, nullable=False),
    # What the source says of the video, and a JSON list of what it has recognised in it; "" without either.
    sa.Column("description", sa.Text, nullable=False, server_default=""),
    sa.Column("detections", sa.Text, nullable=False, server_default=""),
    # When the owner dismissed it: no sink has to hold it any more. Null when nobody did.
    sa.Column("dismissed_at", Moment),
    sa.Index("clip_recorded", "recorded_at", "n"),
)

DISMISSED = clip.c.dismissed_at.is_not(None)
"""The owner dismissed the clip."""

sa.Index("clip_dismissed", clip.c.n, sqlite_where=DISMISSED)

sink = sa.Table(
    "sink",
    metadata,
    sa.Column("n", Number, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    # What the sink's own marker says; null until it was read.
    sa.Column("id", sa.Text),
    sa.Column("first_seen", Moment, nullable=False),
    # Who can open what is encrypted for it now: a JSON list of public keys. Empty when nothing is encrypted any more; null when
    # nothing ever was.
    sa.Column("recipients", sa.Text),
    # How many copies its catalogues list that are not in this index, and how many catalogues could not be read for that; and when
    # that was counted. Null before it ever was.
    sa.Column("unknown_copies", sa.Integer),
    sa.Column("unknown_catalogues", sa.Integer),
    sa.Column("unknown_at", Moment),
)

copy = sa.Table(
    "copy",
    metadata,
    sa.Column("clip", sa.ForeignKey("clip.n"), primary_key=True, autoincrement=False),
    sa.Column("sink", sa.ForeignKey("sink.n"), primary_key=True, autoincrement=False),
    sa.Column("recorded_at", Moment, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    # The last failed try that counted.
    sa.Column("tried_at", Moment),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    # Null where it is the clip's own.
    sa.Column("key", sa.Text),
    sa.Column("size", sa.BigInteger),
    sa.Column("sha256", sa.Text),
    sa.Column("stored_at", Moment),
    # The key of the catalogue that lists this copy; null where none does yet.
    sa.Column("catalogue", sa.Text),
    # Of the clip itself where the sink holds it encrypted: `size` and `sha256` are of what it holds. Else null.
    sa.Column("plain_size", sa.BigInteger),
    sa.Column("plain_sha256", sa.Text),
    # The key under which the sink holds a damaged copy of a clip that it lacks for that; null where it holds none.
    sa.Column("damaged", sa.Text),
    sqlite_with_rowid=False,
)


def is_state(*states: State) -> sa.ColumnElement[bool]:
    """Whether a copy is in one of these states, as a text that never varies: the engines match it with a partial index's."""
    return copy.c.state.in_([sa.literal_column(f"'{state.value}'") for state in states])


LACKING = is_state(State.PENDING, State.FAILED, State.GAVE_UP)
"""The sink lacks the clip, and should not."""

READABLE = is_state(State.STORED) & copy.c.plain_sha256.is_(None)
"""The sink holds the clip as it is, so that another sink can be given it from there."""

UNCATALOGUED = is_state(State.STORED) & copy.c.catalogue.is_(None)
"""The sink holds the clip, and none of its catalogues says so."""

# Small, since they hold only what is left to do: one answers "is it lacking?" for a clip, one "what is lacking?" for a sink.
sa.Index("copy_lacking_by_clip", copy.c.clip, copy.c.sink, unique=True, sqlite_where=LACKING)
sa.Index("copy_lacking_by_sink", copy.c.sink, copy.c.recorded_at, copy.c.clip, sqlite_where=LACKING)
sa.Index("copy_uncatalogued", copy.c.sink, copy.c.clip, sqlite_where=UNCATALOGUED)

account = sa.Table(
    "account",
    metadata,
    # The account's name in the config, with which the ids of its clips begin.
    sa.Column("name", sa.Text, primary_key=True),
    # Blink's id of it. It never changes: another account under the same name would be taken for this one.
    sa.Column("blink_id", sa.Text, nullable=False),
    sa.Column("bound_at", Moment, nullable=False),
)

listing = sa.Table(
    "listing",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    # When the last complete listing began, and the last one of all that the source keeps.
    sa.Column("complete_at", Moment, nullable=False),
    sa.Column("full_at", Moment),
)

part = sa.Table(
    "part",
    metadata,
    # What the ids of its clips begin with.
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    # When a listing of it last began that went to its end; null when none ever did.
    sa.Column("listed_at", Moment),
    # When it was last heard of, listed or not.
    sa.Column("seen_at", Moment, nullable=False),
    # Why it cannot be listed now, and since when; "" and null when it can.
    sa.Column("trouble", sa.Text, nullable=False, server_default=""),
    sa.Column("trouble_since", Moment),
    # For how many seconds a clip stays there by itself; null when nobody said.
    sa.Column("keeps", sa.BigInteger),
    # Whether there is nothing to list, which is no fault.
    sa.Column("absent", sa.Boolean, nullable=False, server_default=sa.false()),
)

deletion = sa.Table(
    "deletion",
    metadata,
    # It is never taken out: it is what the owner can look up.
    sa.Column("clip", sa.ForeignKey("clip.n"), primary_key=True, autoincrement=False),
    # When it was decided last, before it was asked for.
    sa.Column("asked_at", Moment, nullable=False),
    # How often it was decided, and how often what was asked for was accepted.
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("accepted", sa.Integer, nullable=False),
    # What became of the last try, in words; "" when that is not known: the program ended in between.
    sa.Column("outcome", sa.Text, nullable=False),
    # When a whole listing had shown that it is gone; null until then.
    sa.Column("confirmed_at", Moment),
    # The copies that were verified before the last try: a JSON list.
    sa.Column("copies", sa.Text, nullable=False),
)

OPEN = deletion.c.confirmed_at.is_(None)
"""It is not known to be gone."""

sa.Index("deletion_open", deletion.c.clip, sqlite_where=OPEN)

damaged = sa.Table(
    "damaged",
    metadata,
    # What a sink holds of a clip that Blink itself has only damaged. It never counts as a copy.
    sa.Column("clip", sa.ForeignKey("clip.n"), primary_key=True, autoincrement=False),
    sa.Column("sink", sa.ForeignKey("sink.n"), primary_key=True, autoincrement=False),
    # Of the bytes that came, not of what the sink holds where that is encrypted.
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("stored_at", Moment, nullable=False),
)

unreadable = sa.Table(
    "unreadable",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    # The source's id; "#" and a hash of the raw text where it has none.
    sa.Column("item", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("raw", sa.Text, nullable=False),
    sa.Column("first_seen", Moment, nullable=False),
    sa.Column("last_seen", Moment, nullable=False),
    sa.Column("times", sa.Integer, nullable=False),
)

run = sa.Table(
    "run",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("started_at", Moment, nullable=False),
    sa.Column("ended_at", Moment, nullable=False),
    # A RunReport as JSON.
    sa.Column("report", sa.Text, nullable=False),
)

outcome = sa.Table(
    "outcome",
    metadata,
    # A subject: "account" and its name, and which of its sources; or "sink" and its name, and "".
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    # How the last run ended for it, and when.
    sa.Column("result", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("ended_at", Moment, nullable=False),
    # When the last good run ended; null when none ever did.
    sa.Column("good_at", Moment),
    # Since when runs are not good for it; null when the last one was.
    sa.Column("since", Moment),
)

running = sa.Table(
    "running",
    metadata,
    # A run that has begun and not ended. When no process holds the archive, the run was killed.
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("started_at", Moment, nullable=False),
    # Its subjects: a JSON list.
    sa.Column("subjects", sa.Text, nullable=False),
)


def tables_for(dialect: str) -> sa.MetaData:
    """All the tables, as they are to be made in this engine.

    SQLite is the one that they are written for. To name an option of PostgreSQL beside SQLite's would load all that is known
    of that engine, at every start.
    """
    if dialect == "sqlite":
        return metadata
    tables = sa.MetaData()
    for table in metadata.sorted_tables:
        for index in table.to_metadata(tables).indexes:
            index.dialect_kwargs[f"{dialect}_where"] = index.dialect_options["sqlite"]["where"]
    return tables
