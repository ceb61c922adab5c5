"""The dedup index: which clips were found, and which sinks lack each one."""

from blinkarchive.index.facts import Deletion, Lack, LastGood, Listing, SeenUnreadable, SinkSummary, Summary
from blinkarchive.index.index import Index

__all__ = ["Deletion", "Index", "Lack", "LastGood", "Listing", "SeenUnreadable", "SinkSummary", "Summary"]
