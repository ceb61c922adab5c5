"""The first tables.

A migration says what was true when it was written: it uses nothing of the schema as it is today.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.BigInteger
LACKING = sa.text("state IN ('pending', 'failed', 'gave up')")
UNCATALOGUED = sa.text("state IN ('stored') AND catalogue IS NULL")


def upgrade() -> None:
    op.create_table(
        "archive",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("made_at", MOMENT, nullable=False),
    )
    op.create_table(
        "clip",
        sa.Column("n", NUMBER, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("network_id", sa.Text, nullable=False),
        sa.Column("network", sa.Text, nullable=False),
        sa.Column("camera_id", sa.Text),
        sa.Column("camera", sa.Text, nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("recorded_at", MOMENT, nullable=False),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.Column("found_at", MOMENT, nullable=False),
    )
    op.create_index("clip_recorded", "clip", ["recorded_at", "n"])
    op.create_table(
        "sink",
        sa.Column("n", NUMBER, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("id", sa.Text),
        sa.Column("first_seen", MOMENT, nullable=False),
    )
    op.create_table(
        "copy",
        sa.Column("clip", NUMBER, sa.ForeignKey("clip.n"), primary_key=True, autoincrement=False),
        sa.Column("sink", NUMBER, sa.ForeignKey("sink.n"), primary_key=True, autoincrement=False),
        sa.Column("recorded_at", MOMENT, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("tried_at", MOMENT),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("key", sa.Text),
        sa.Column("size", sa.BigInteger),
        sa.Column("sha256", sa.Text),
        sa.Column("stored_at", MOMENT),
        sa.Column("catalogue", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_index("copy_lacking_by_clip", "copy", ["clip", "sink"], unique=True, sqlite_where=LACKING, postgresql_where=LACKING)
    op.create_index(
        "copy_lacking_by_sink", "copy", ["sink", "recorded_at", "clip"], sqlite_where=LACKING, postgresql_where=LACKING
    )
    op.create_index("copy_uncatalogued", "copy", ["sink", "clip"], sqlite_where=UNCATALOGUED, postgresql_where=UNCATALOGUED)
    op.create_table(
        "listing",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("complete_at", MOMENT, nullable=False),
        sa.Column("full_at", MOMENT),
    )
    op.create_table(
        "unreadable",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("item", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("raw", sa.Text, nullable=False),
        sa.Column("first_seen", MOMENT, nullable=False),
        sa.Column("last_seen", MOMENT, nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
    )
    op.create_table(
        "good_run",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("ended_at", MOMENT, nullable=False),
    )
