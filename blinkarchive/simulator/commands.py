"""What devices are asked to do: one thing at a time, and each takes its time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from blinkarchive.clock import Clock
from blinkarchive.simulator.answers import SYSTEM_BUSY, Refusal, not_found
from blinkarchive.simulator.devices import Camera, Network, SyncModule
from blinkarchive.simulator.faults import Fault, Kind
from blinkarchive.simulator.plan import Rules
from blinkarchive.simulator.timeline import Timeline

STAGES = ("rest", "cs_db", "cs_sent", "sm", "dev", "vs")
"""The stations of a command, the last one when it is done."""

_HELD_UP = 60.0
"""For so many seconds a command that will never end keeps others waiting."""


@dataclass(slots=True, kw_only=True, eq=False)
class Command:
    """Something a device was asked to do."""

    id: int
    name: str
    network: Network
    module: SyncModule | None
    camera: Camera | None
    asked_at: datetime
    #: On the world's monotonic clock; a command that never ends has an infinite end.
    asked_moment: float
    begins: float
    ends: float
    #: What its end says: 0 is success.
    status: int = 0
    status_code: int = 908
    #: The ids of what it asks single cameras to do.
    parts: list[int] = field(default_factory=list)

    def complete(self, now: float) -> bool:
        """Whether it has come to its end, well or not."""
        return now >= self.ends

    def stage(self, now: float) -> str:
        """At which of the `STAGES` it is."""
        if self.complete(now):
            return STAGES[-1]
        if now <= self.begins:
            return STAGES[0]
        if self.ends == math.inf:
            return "cs_sent"
        return STAGES[1 + int((len(STAGES) - 2) * (now - self.begins) / (self.ends - self.begins))]


class Commands:
    """All commands of the world, and which device is busy with which."""

    def __init__(self, *, rules: Rules, clock: Clock, timeline: Timeline, ids: Iterator[int]) -> None:
        self._rules = rules
        self._clock = clock
        self._timeline = timeline
        self._ids = ids
        self._commands: dict[int, Command] = {}
        self._queues: dict[int, list[tuple[float, Command]]] = {}  # by device: until when each keeps others waiting

    def start(
        self,
        name: str,
        *,
        network: Network,
        module: SyncModule | None = None,
        camera: Camera | None = None,
        parts: int = 0,
        seconds: float,
        fault: Fault | None = None,
        done: Callable[[datetime], None] | None,
    ) -> Command:
        """Ask a device to do something that takes so many seconds; `done` is what has then happened. Without it, it cannot
        be done, and the command ends badly.

        It is asked by the network's module, where there is one. Raises `Refusal` (409, code 307) when that is busy.
        """
        module = module or next(iter(network.sync_modules), None)
        device = (module or camera or network).id
        now = self._clock.monotonic()
        queue = [(until, command) for until, command in self._queues.get(device, ()) if until > now]
        if len(queue) >= self._rules.module_queue:
            raise Refusal(409, SYSTEM_BUSY)
        begins = max([now, *(until for until, _ in queue)])
        offline = module is not None and not module.online
        kind = None if fault is None else fault.kind
        ends = math.inf if offline or kind is Kind.STALL else begins + seconds
        command = Command(
            id=next(self._ids),
            name=name,
            network=network,
            module=module,
            camera=camera,
            asked_at=self._clock.now(),
            asked_moment=now,
            begins=begins,
            ends=ends,
            parts=[next(self._ids) for _ in range(parts)],
        )
        if done is None or kind is Kind.FAIL:
            command.status, command.status_code = 1, (fault and fault.status) or 908
        elif ends < math.inf and kind is not Kind.LIE:
            self._timeline.at(ends, done)
        self._commands[command.id] = command
        self._queues[device] = [*queue, (begins + _HELD_UP if ends == math.inf else ends, command)]
        return command

    def get(self, network: Network, id: int) -> Command:
        """A command of a network. Raises `Refusal` (404)."""
        command = self._commands.get(id)
        if command is None or command.network is not network:
            raise not_found()
        return command

    def finish(self, command: Command) -> None:
        """Say that nobody waits for it any more: the device is free."""
        command.ends = min(command.ends, self._clock.monotonic())
        for device, queue in self._queues.items():
            self._queues[device] = [(until, other) for until, other in queue if other is not command]
