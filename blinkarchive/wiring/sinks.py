"""The plugins and the sinks of a config, before anything is opened."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeVar

from blinkarchive.config import Config, EncryptConfig, SinkConfig, sink_options
from blinkarchive.encryption import Recipients
from blinkarchive.errors import ConfigError, PluginError
from blinkarchive.interfaces import Sink
from blinkarchive.model import SinkName
from blinkarchive.registry import Registry

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Opening:
    """How a sink is opened, and for whom what goes into it is encrypted."""

    open: Callable[[], AbstractAsyncContextManager[Sink]]
    #: The same with read access only.
    open_to_read: Callable[[], AbstractAsyncContextManager[Sink]]
    recipients: Recipients | None


Openings = Mapping[SinkName, Opening | PluginError]
"""How each sink is opened, or why it cannot be: its plugin cannot, or what goes into it could not be encrypted."""


def plugins_of(config: Config) -> Registry:
    """Load the plugins that a config needs."""
    return Registry.load(kinds={sink.type for sink in config.sinks.values()}, also=config.plugins.load)


def openings_of(config: Config, registry: Registry, asked: Sequence[SinkName]) -> Openings:
    """How each sink of a run is opened, or why its plugin cannot. Nothing is opened yet.

    Raises one `ConfigError` that tells everything that is wrong with any of them.
    """
    sinks = [config.sinks[name] for name in wanted(asked, config.sinks, "sink")]
    broken: dict[SinkName, PluginError] = {}
    recipients: dict[SinkName, Recipients | None] = {}
    for sink in sinks:
        try:
            recipients[sink.name] = _recipients(sink)
        except PluginError as error:
            broken[sink.name] = error
        try:
            registry.sink_type(sink.type)
        except PluginError as error:
            broken[sink.name] = error
        except ConfigError:
            continue  # told below, with all else that is wrong
    whole = [sink for sink in sinks if sink.name not in broken]
    made = sink_options(whole, lambda name: registry.sink_type(name).options)
    openings = {}
    for sink in whole:
        kind, given = registry.sink_type(sink.type), made[sink.name]
        to_read = functools.partial(kind.open_to_read or kind.open, given)
        openings[sink.name] = Opening(functools.partial(kind.open, given), to_read, recipients[sink.name])
    return {sink.name: broken.get(sink.name) or openings[sink.name] for sink in sinks}


def _recipients(sink: SinkConfig) -> Recipients | None:
    """For whom what goes into a sink is encrypted; None when it is not to be. Raises `ConfigError` and `PluginError`."""
    if not isinstance(sink.encrypt, EncryptConfig):
        return None
    try:
        return Recipients(sink.encrypt.recipients)
    except ConfigError as error:
        raise ConfigError(sink.place.say("encrypt", str(error))) from error


def wanted(asked: Sequence[T], there: Iterable[T], what: str) -> list[T]:
    """Those that were asked for, else all. Raises `ConfigError` for one that is not there."""
    known = list(there)
    for name in asked:
        if name not in known:
            there_is = ", ".join(map(str, known)) or "none"
            raise ConfigError(f'there is no {what} "{name}" in the config; there is {there_is}')
    return [name for name in known if name in asked or not asked]
