"""Trusting a place that says who it is: the host key of a sink's server, shown to a person, and accepted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from blinkarchive.cli import running
from blinkarchive.cli.words import length
from blinkarchive.config import Config, SinkConfig, options
from blinkarchive.convert import nearest
from blinkarchive.errors import ConfigError, SinkUnavailable
from blinkarchive.interfaces import AnySinkType, Introduction
from blinkarchive.model import SinkName
from blinkarchive.pipeline.hands import Hands
from blinkarchive.pipeline.sending import Silence
from blinkarchive.registry import Registry

DEADLINE = 20.0
"""How long a place may take to say who it is, in seconds."""


def accept(config: Config, name: str, agrees: Callable[[str], bool]) -> str:
    """Ask a sink's place who it is, have that agreed to, and trust it from here on. Says in words what was done.

    Raises `ConfigError`, `PluginError`, and `SinkUnavailable` when the place cannot be reached.
    """
    sink = config.sinks.get(SinkName(name))
    if sink is None:
        raise ConfigError(f"no sink is called {name!r}{nearest(name, config.sinks)}")
    introduction = running.run(lambda: _introduced(sink, Registry.load(kinds={sink.type}).sink_type(sink.type)))
    if introduction.shows in introduction.trusted:
        return f"{introduction.shows} is trusted already"
    instead = f"; until now that was {' or '.join(introduction.trusted)}" if introduction.trusted else ""
    if not agrees(f"Sink {name} shows the host key {introduction.shows}{instead}. Trust it?"):
        raise ConfigError(f"the host key of {name} was not accepted: nothing was changed")
    return f"{introduction.shows} is trusted from here on, by {introduction.accept()}{instead}"


async def _introduced(sink: SinkConfig, kind: AnySinkType) -> Introduction:
    if kind.introduce is None:
        raise ConfigError(f"sinks of type {sink.type!r} have no host key")
    async with Hands() as hands:
        try:
            return await hands.do(partial(kind.introduce, options(kind.options, sink)), Silence(DEADLINE))
        except TimeoutError as error:
            raise SinkUnavailable(f"sink {sink.name}: no answer within {length(DEADLINE)}") from error
