"""Keeps clips in a folder on this machine: a disk, a stick, or a mounted share."""

from collections.abc import Iterable

from blinkarchive import SinkType, hookimpl
from blinkarchive_disk.sink import DiskOptions, open_disk, open_disk_to_read

__all__ = ["DISK", "DiskOptions", "open_disk", "open_disk_to_read"]

DISK = SinkType(
    kind="disk",
    options=DiskOptions,
    open=open_disk,
    open_to_read=open_disk_to_read,
    help="A folder: on a disk, a stick or a mounted share.",
)


@hookimpl
def blinkarchive_sink_types() -> Iterable[SinkType[DiskOptions]]:
    """Offer the one kind there is here."""
    return (DISK,)
