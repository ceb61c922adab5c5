"""The hooks a plugin may implement. All are optional; names begin with `blinkarchive_`."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from blinkarchive.interfaces import AnySinkType
from blinkarchive.model import Alarm, Clip, Copy, RunReport

PROJECT = "blinkarchive"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def blinkarchive_sink_types() -> Iterable[AnySinkType]:  # type: ignore[empty-body]  # a specification has no body
    """Offer kinds of sinks. Called once, when the plugin is loaded."""


@hookspec
def blinkarchive_clip_stored(clip: Clip, copy: Copy) -> None:
    """A copy of a clip was put, checked and recorded. Called once a copy, in a worker thread, after the fact."""


@hookspec
def blinkarchive_run_finished(report: RunReport) -> None:
    """A run ended, well or not. Called once a run, in a worker thread."""


@hookspec
def blinkarchive_alarm(alarm: Alarm) -> None:
    """Something is wrong, is wrong still, or no more. Called once a change, and once a day while it lasts, in a worker thread."""
