"""Encrypted copies: what they are of, whom a sink's are for, and the secret that their names are made with."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("archive", sa.Column("secret", sa.Text))
    archive = sa.table("archive", sa.column("secret", sa.Text))
    op.execute(archive.update().values(secret=secrets.token_hex(32)))
    op.add_column("sink", sa.Column("recipients", sa.Text))
    op.add_column("copy", sa.Column("plain_size", sa.BigInteger))
    op.add_column("copy", sa.Column("plain_sha256", sa.Text))
