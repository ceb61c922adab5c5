"""Keeps clips in a folder: a kind of sink for blinkarchive."""

from collections.abc import Iterable

from blinkarchive import SinkType, hookimpl

from blinkarchive_new_kind.sink import (
    NewKindOptions,
    open_new_kind,
)

__all__ = [
    "NEW_KIND",
    "NewKindOptions",
    "open_new_kind",
]

NEW_KIND = SinkType(
    kind="new-kind",  # as in pyproject.toml
    options=NewKindOptions,
    open=open_new_kind,
    help="A folder.",  # one sentence, for `blinkarchive plugins`
)


@hookimpl
def blinkarchive_sink_types() -> Iterable[SinkType[NewKindOptions]]:
    """Offer the one kind there is here."""
    return (NEW_KIND,)
