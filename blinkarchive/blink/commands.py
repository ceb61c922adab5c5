"""How a device is asked to do something: one thing at a time, waited for to its end, and its end believed."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from blinkarchive.blink import endpoints, wire
from blinkarchive.blink.session import Session
from blinkarchive.clock import Clock
from blinkarchive.errors import Busy, CommandFailed, CommandUnfinished, Transient
from blinkarchive.retry import retry

log = logging.getLogger(__name__)

BUSY_PAUSES = (3.0, 8.0, 15.0, 25.0)
"""How long a module that is busy with something else is left alone, in seconds: the owner's phone goes first."""

LONGEST = 120.0
"""For so many seconds a command is waited for."""

POLL = 1.0
"""Seconds between two looks at a command, as the app does."""

Polls = Callable[[int], float]
"""How many seconds to wait before the look of this number, the first being 0."""


class Commands:
    """The commands of one account. One sync module, one command at a time: whoever comes second waits for the first here,
    and not with the module.
    """

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._turns: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def turn(self, network: int) -> AsyncIterator[None]:
        """Hold the module of a network."""
        async with self._turns[network]:
            yield

    async def run(
        self, target: str, *, network: int, what: str, json: object | None = None, pauses: Sequence[float] = BUSY_PAUSES
    ) -> wire.Command:
        """Ask, and wait until it is done. `pauses` are between attempts while the module is busy.

        Raises `Busy` when the module stays busy with what others asked, `CommandFailed`, `CommandUnfinished`, or another
        `SourceError`.
        """
        async with self.turn(network):
            command = await self.ask(target, what=what, json=json, pauses=pauses)
            await self.wait(command, network=network, what=what)
            return command

    async def ask(
        self,
        target: str,
        *,
        what: str,
        json: object | None = None,
        pauses: Sequence[float] = BUSY_PAUSES,
        harmless: bool = False,
    ) -> wire.Command:
        """Ask, patiently while the module is busy, and wait no longer than that: what is given back was accepted.

        Only a module that is busy has certainly not accepted it, and is asked again. After any other failure, such as an answer
        that was lost, what was asked for may be under way, and to ask for it twice may be to do it twice: that is raised, unless
        it is `harmless` to do it twice.
        """
        return await retry(
            lambda: self._session.post(target, wire.command, what=what, json=json),
            clock=self._clock,
            pauses=pauses,
            only=Transient if harmless else Busy,
        )

    async def wait(
        self,
        command: wire.Command,
        *,
        network: int,
        what: str,
        longest: float = LONGEST,
        polls: Polls = lambda _: POLL,
    ) -> wire.CommandStatus:
        """Wait until a command is complete. Raises `CommandFailed`, `CommandUnfinished`."""
        target = endpoints.command(command.network_id or network, command.id)
        deadline = self._clock.monotonic() + longest
        look = 0
        while True:
            await self._clock.sleep(polls(look))
            look += 1
            status = await retry(lambda: self._session.get(target, wire.command_status, what=what), clock=self._clock)
            if status.complete or status.status_code != 908:
                break
            if self._clock.monotonic() >= deadline:
                raise CommandUnfinished(f"{what}: accepted, and not done within {longest:g} s (command {command.id})")
        log.debug("a command has ended", extra={"command": command.id, "for": what, "looks": look})
        if not status.succeeded:
            raise CommandFailed(
                f"{what}: accepted, and not done ({status.status_msg or 'no reason given'}, status {status.status})",
                code=status.status_code,
            )
        return status
