"""Errors that nobody expected: in words, and whether anything can go on after them."""

from __future__ import annotations

from blinkarchive.errors import ArchiveError, is_ours, leaves
from blinkarchive.secret import redact

LONGEST_FAULT = 300
"""No more of the text of a fault is shown."""


def concerns_all(error: BaseException) -> bool:
    """Whether nothing can go on after this error: the index or the state fails, or the program is to end."""
    return any(isinstance(one, ArchiveError) or not isinstance(one, Exception) for one in leaves(error))


def fault(error: BaseException) -> str:
    """An error that nobody expected, in a line for people: a fault of blinkarchive's own, or of a library or plugin."""
    [first, *_] = leaves(error)
    said = " ".join(str(first).split())[:LONGEST_FAULT]
    return redact(f"a fault of its own: {type(first).__name__}{f': {said}' if said else ''}")


def in_words(error: BaseException) -> str:
    """An error, or all errors of a group, in a line for people."""
    return "; ".join(str(one) for one in leaves(error)) if is_ours(error) else fault(error)
