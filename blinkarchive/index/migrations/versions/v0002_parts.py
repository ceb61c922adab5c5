"""Parts of sources, and how their listings ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

MOMENT = sa.BigInteger


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
