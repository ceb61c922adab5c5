"""What proves a clip, and what is known of the runs that were to keep it."""

from __future__ import annotations

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    pass
