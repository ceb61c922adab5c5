"""The plugins and the sinks of a config, before anything is opened."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeVar

from blinkarchive.config import Config, EncryptConfig, SinkConfig
from blinkarchive.convert import Problems, build
from blinkarchive.encryption import Recipients
from blinkarchive.errors import BlinkArchiveError, ConfigError, PluginError
from blinkarchive.interfaces import Sink
from blinkarchive.model import SinkName
from blinkarchive.registry import Registry
from blinkarchive.secret import redact

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Opening:
    """How a sink is opened, and for whom what goes into it is encrypted."""

    open: Callable[[], AbstractAsyncContextManager[Sink]]
    #: The same with read access only.
    open_to_read: Callable[[], AbstractAsyncContextManager[Sink]]
    recipients: Recipients | None


Openings = Mapping[SinkName, Opening | BlinkArchiveError]
"""How each sink is opened, or why it cannot be: its plugin cannot, or what goes into it could not be encrypted."""


def plugins_of(config: Config) -> Registry:
    """Load the plugins that a config needs."""
    return Registry.load(kinds={sink.type for sink in config.sinks.values()}, also=config.plugins.load)


def openings_of(config: Config, registry: Registry, asked: Sequence[SinkName]) -> Openings:
    """How each sink of a run is opened, or why it cannot be: the trouble of one of them is its own. Nothing is opened yet.

    Raises one `ConfigError` that tells everything that is wrong with what the config says of any of them.
    """
    problems = Problems()
    openings: dict[SinkName, Opening | BlinkArchiveError] = {}
    for sink in (config.sinks[name] for name in wanted(asked, config.sinks, "sink")):
        try:
            opening = _opening(sink, registry, problems)
        except BlinkArchiveError as error:
            openings[sink.name] = error
        else:
            if opening is not None:
                openings[sink.name] = opening
    problems.check()
    return openings


def _opening(sink: SinkConfig, registry: Registry, problems: Problems) -> Opening | None:
    """How a sink is opened; None when its table in the config cannot be used, and then `problems` says why.

    Raises `PluginError` when its plugin cannot be loaded, or fails.
    """
    try:
        kind = registry.sink_type(sink.type)
    except ConfigError as error:
        problems.add(sink.place.say("type", str(error)))
        return None
    try:
        recipients = _recipients(sink)
        options = build(kind.options, sink.raw, sink.place, problems)
    except ConfigError as error:
        problems.add(str(error))
        return None
    except PluginError:
        raise
    except Exception as error:  # code of the plugin
        raise PluginError(
            f"plugin {sink.type!r} failed to read its options: {type(error).__name__}: {redact(str(error))}"
        ) from error
    if options is None:
        return None
    to_read = functools.partial(kind.open_to_read or kind.open, options)
    return Opening(functools.partial(kind.open, options), to_read, recipients)


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
