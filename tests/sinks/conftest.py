"""What tests of sinks share: real servers."""

from tests.seaweed import bucket, seaweed

__all__ = ["bucket", "seaweed"]
