"""Keeps clips in a bucket: Amazon's S3, and what others offer that speaks like it."""

from collections.abc import Iterable

from blinkarchive import SinkType, hookimpl
from blinkarchive_s3.options import S3Options
from blinkarchive_s3.sink import open_s3, open_s3_to_read

__all__ = ["S3", "S3Options", "open_s3", "open_s3_to_read"]

S3 = SinkType(
    kind="s3",
    options=S3Options,
    open=open_s3,
    open_to_read=open_s3_to_read,
    help="A bucket of S3, or of a store that speaks like it.",
)


@hookimpl
def blinkarchive_sink_types() -> Iterable[SinkType[S3Options]]:
    """Offer the one kind there is here."""
    return (S3,)
