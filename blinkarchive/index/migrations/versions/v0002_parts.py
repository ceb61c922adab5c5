"""Parts of sources, and how their listings ended; clips that are deleted at their source."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.BigInteger
OPEN = sa.text("confirmed_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "part",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("listed_at", MOMENT),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("trouble", sa.Text, nullable=False, server_default=""),
        sa.Column("trouble_since", MOMENT),
        sa.Column("keeps", sa.BigInteger),
    )
    op.create_table(
        "deletion",
        sa.Column("clip", NUMBER, sa.ForeignKey("clip.n"), primary_key=True, autoincrement=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("accepted", sa.Integer, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("confirmed_at", MOMENT),
        sa.Column("copies", sa.Text, nullable=False),
    )
    op.create_index("deletion_open", "deletion", ["clip"], sqlite_where=OPEN, postgresql_where=OPEN)
