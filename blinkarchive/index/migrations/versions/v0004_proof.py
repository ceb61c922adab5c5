"""What proves a clip, and what is known of the runs that were to keep it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("clip", sa.Column("description", sa.Text, nullable=False, server_default=""))
    op.add_column("clip", sa.Column("detections", sa.Text, nullable=False, server_default=""))
