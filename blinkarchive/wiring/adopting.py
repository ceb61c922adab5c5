"""A place that holds other files already, and that its owner confirms as a sink."""

from __future__ import annotations

from blinkarchive.clock import Clock
from blinkarchive.config import Config
from blinkarchive.errors import ConfigError, SinkError
from blinkarchive.index import Index
from blinkarchive.model import SinkName
from blinkarchive.pipeline.lane import Lane, Seal
from blinkarchive.pipeline.lock import held
from blinkarchive.pipeline.spool import Spool
from blinkarchive.wiring.sinks import Opening, openings_of, plugins_of
from blinkarchive.wiring.state import State


async def adopt(config: Config, name: SinkName, *, clock: Clock | None = None) -> None:
    """Mark the place of a sink as this archive's, whatever it holds already; nothing that it holds is touched.

    Raises `ConfigError` when the config has no such sink, `ArchiveBusy` while a run goes on, `SinkError` when it cannot be opened
    or is another sink already, and `PluginError`.
    """
    clock = clock or Clock()
    if name not in config.sinks:
        raise ConfigError(f"the config has no sink {name}; it has {', '.join(config.sinks) or 'none'}")
    opening = openings_of(config, plugins_of(config), [name])[name]
    if not isinstance(opening, Opening):
        raise opening
    state = State(folder=config.archive.state)
    state.make()
    with held(state.lock):
        async with Index.open(state.index, clock=clock) as index, Spool(state.spool).opened() as spool:
            seal = Seal(opening.recipients, index.secret) if opening.recipients else None
            in_clear = config.sinks[name].encrypt is False
            lane = Lane(name, None, clock=clock, seal=seal, in_clear=in_clear, adopted=True)
            async with lane.opened(opening.open, index, spool, config.sinks):
                if lane.closed:
                    raise SinkError(lane.closed)
