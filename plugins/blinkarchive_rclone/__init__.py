"""Keeps clips wherever rclone reaches: Google Drive, Dropbox, OneDrive, WebDAV, SMB, and some seventy more."""

from collections.abc import Iterable

from blinkarchive import SinkType, hookimpl
from blinkarchive_rclone.sink import RcloneOptions, open_rclone

__all__ = ["RCLONE", "RcloneOptions", "open_rclone"]

RCLONE = SinkType(kind="rclone", options=RcloneOptions, open=open_rclone, help="Whatever rclone reaches: some seventy services.")


@hookimpl
def blinkarchive_sink_types() -> Iterable[SinkType[RcloneOptions]]:
    """Offer the one kind there is here."""
    return (RCLONE,)
