"""The dedup index: which clips were found, and which sinks lack each one."""

from blinkarchive.index.facts import Deletion, Lack, LastOutcome, Listing, SeenUnreadable, SinkSummary, Summary
from blinkarchive.index.index import Index

__all__ = ["Deletion", "Index", "Lack", "LastOutcome", "Listing", "SeenUnreadable", "SinkSummary", "Summary"]
