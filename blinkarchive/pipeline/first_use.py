"""Whether a place that has no marker is empty, so that a sink may begin there without a question to the owner."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from blinkarchive.interfaces import Sink
from blinkarchive.model import Key, SinkName, Stored

MARKER = Key(".blinkarchive-sink")
"""The object that says which sink this is."""

_MOST_LOOKED_AT = 1000
_PROBE = ".blinkarchive-probe-"
_OF_THE_SYSTEM = frozenset(
    name.casefold()
    for name in (
        "lost+found", ".Trash", ".Trashes", "$RECYCLE.BIN", "System Volume Information", "desktop.ini", "Thumbs.db",
        ".DS_Store", ".Spotlight-V100", ".fseventsd", ".TemporaryItems", ".DocumentRevisions-V100", ".apdisk",
        "@eaDir", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", ".stfolder", ".stversions", ".snapshots", ".zfs",
        ".directory", ".keep", ".gitkeep", ".nomedia",
    )
)  # fmt: skip
"""What systems put into folders by themselves."""


async def what_is_there(sink: Sink) -> str:
    """Describe what a place without a marker holds, for people; "" when it is empty. Raises what the sink's `list` raises."""
    listing = sink.list("")
    try:
        return await _described(listing)
    finally:
        if isinstance(listing, AsyncGenerator):  # it may not have been read to its end
            await listing.aclose()


async def _described(listing: AsyncIterator[Stored]) -> str:
    example: Key | None = None
    looked_at = 0
    async for stored in listing:
        if stored.key.endswith(f"/{MARKER}"):
            return f"an archive in {stored.key.removesuffix(MARKER)}"
        if not _is_of_the_system(stored.key) and stored.key != MARKER:
            example = example or stored.key
        looked_at += 1
        if looked_at >= _MOST_LOOKED_AT:
            break
    return f'files such as "{example}"' if example else ""


def refusal(found: str, name: SinkName) -> str:
    """Why nothing is stored in such a place yet, and the next step."""
    return (
        f"the place is new to this archive and not empty: it holds {found}, and no marker {MARKER}. Nothing is stored there yet. "
        "Check that path, bucket, prefix and password are right. To store clips next to what is there: "
        f"blinkarchive sinks adopt {name}"
    )


def _is_of_the_system(key: Key) -> bool:
    first, *_ = key.split("/")
    last = key.rpartition("/")[2]
    return first.startswith((_PROBE, ".Trash-")) or bool({first.casefold(), last.casefold()} & _OF_THE_SYSTEM)
