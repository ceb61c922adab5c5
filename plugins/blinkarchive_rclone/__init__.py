"""Keeps clips wherever rclone reaches: Google Drive, Dropbox, OneDrive, WebDAV, SMB, and some seventy more."""

from collections.abc import Iterable

from blinkarchive import SinkType, hookimpl
from blinkarchive_rclone.sink import RcloneOptions, open_rclone, open_rclone_to_read

__all__ = ["RCLONE", "RcloneOptions", "open_rclone", "open_rclone_to_read"]

RCLONE = SinkType(
    kind="rclone",
    options=RcloneOptions,
    open=open_rclone,
    open_to_read=open_rclone_to_read,
    help="Whatever rclone reaches: some seventy services.",
)


@hookimpl
def blinkarchive_sink_types() -> Iterable[SinkType[RcloneOptions]]:
    """Offer the one kind there is here."""
    return (RCLONE,)
