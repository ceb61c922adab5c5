"""What proves a clip, and what is known of the runs that were to keep it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

MOMENT = sa.BigInteger
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("clip", sa.Column("description", sa.Text, nullable=False, server_default=""))
    op.add_column("clip", sa.Column("detections", sa.Text, nullable=False, server_default=""))
    _accounts()
    _outcomes()
    _dismissals()
    op.add_column("part", sa.Column("absent", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("copy", sa.Column("damaged", sa.Text))
    op.add_column("sink", sa.Column("unknown_copies", sa.Integer))
    op.add_column("sink", sa.Column("unknown_catalogues", sa.Integer))
    op.add_column("sink", sa.Column("unknown_at", MOMENT))
    _damaged()


def _outcomes() -> None:
    """How the last run ended, for each source of each account and for each sink; and the runs that go on."""
    op.create_table(
        "outcome",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=False),
        sa.Column("good_at", MOMENT),
        sa.Column("since", MOMENT),
    )
    op.create_table(
        "running",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("subjects", sa.Text, nullable=False),
    )
    # An account's run was good when all of it was, so each of its sources was as good as the older of the two.
    op.execute(
        "INSERT INTO outcome (kind, name, source, result, reason, ended_at, good_at) "
        "SELECT 'account', a.name, s.name, 'good', '', "
        "CASE WHEN a.ended_at < s.ended_at THEN a.ended_at ELSE s.ended_at END, "
        "CASE WHEN a.ended_at < s.ended_at THEN a.ended_at ELSE s.ended_at END "
        "FROM good_run a CROSS JOIN good_run s WHERE a.kind = 'account' AND s.kind = 'source'"
    )
    op.execute(
        "INSERT INTO outcome (kind, name, source, result, reason, ended_at, good_at) "
        "SELECT 'sink', name, '', 'good', '', ended_at, ended_at FROM good_run WHERE kind = 'sink'"
    )
    op.drop_table("good_run")


def _dismissals() -> None:
    """Clips that no sink has to hold any more."""
    op.add_column("clip", sa.Column("dismissed_at", MOMENT))
    dismissed = sa.text("dismissed_at IS NOT NULL")
    op.create_index("clip_dismissed", "clip", ["n"], sqlite_where=dismissed, postgresql_where=dismissed)


def _accounts() -> None:
    """Which Blink account the clips of an account's name are of."""
    op.create_table(
        "account",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("blink_id", sa.Text, nullable=False),
        sa.Column("bound_at", sa.BigInteger, nullable=False),
    )


def _damaged() -> None:
    """What is kept of clips that Blink itself has only damaged."""
    op.create_table(
        "damaged",
        sa.Column("clip", NUMBER, sa.ForeignKey("clip.n"), primary_key=True, autoincrement=False),
        sa.Column("sink", NUMBER, sa.ForeignKey("sink.n"), primary_key=True, autoincrement=False),
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("stored_at", MOMENT, nullable=False),
    )
