"""Where alembic's migrations meet a connection: the one that the index opened, inside its transaction."""

from __future__ import annotations

from alembic import context

from blinkarchive.index.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
