"""A few connections to one server: made when they are needed, made anew when they died."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from blinkarchive import ConfigError, SinkUnavailable
from blinkarchive_sftp.chores import Chores
from blinkarchive_sftp.session import Session
from blinkarchive_sftp.telling import TurnedAway

REST = 30.0
"""Seconds for which no further connection is tried after one was refused, while others work."""


class _Place:
    """Where one connection goes."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.users = 0
        #: Under way; whoever needs it waits for the same attempt.
        self.connecting: asyncio.Task[Session] | None = None
        self.rests_until = 0.0

    @property
    def alive(self) -> bool:
        return self.session is not None and self.session.alive


class Pool:
    """Hands out connections, each to many users at a time.

    A connection that died fails what was under way on it, and nothing else: the next to come gets a fresh one. When the server
    turned us away no further attempt is made.
    """

    def __init__(self, connect: Callable[[], Awaitable[Session]], most: int, chores: Chores) -> None:
        self._connect = connect
        self._places = [_Place() for _ in range(most)]
        self._chores = chores
        self._turned_away: TurnedAway | None = None
        self._worked = False
        self._closed = False

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """A connection, the one with the fewest users. Raises `SinkUnavailable`."""
        place, session = await self._taken()
        try:
            yield session
        finally:
            place.users -= 1

    async def _taken(self) -> tuple[_Place, Session]:
        while True:
            place = self._least_busy()
            place.users += 1
            try:
                return place, await self._in(place)
            except TurnedAway:
                place.users -= 1
                raise
            except SinkUnavailable:
                place.users -= 1
                place.rests_until = asyncio.get_running_loop().time() + REST
                if not any(other.alive for other in self._places):
                    raise
            except BaseException:
                place.users -= 1
                raise

    def _least_busy(self) -> _Place:
        """Another connection is worth its login as soon as there are two users for each that stands."""
        if self._closed:
            raise SinkUnavailable("the sink is closed")
        if self._turned_away is not None:
            raise TurnedAway(str(self._turned_away)) from self._turned_away
        standing = [place for place in self._places if place.alive]
        now = asyncio.get_running_loop().time()
        fit = [place for place in self._places if place.alive or not standing or place.rests_until <= now]
        return min(fit, key=lambda place: place.users if place.alive else place.users + 1)

    async def _in(self, place: _Place) -> Session:
        if place.session is not None and place.session.alive:
            return place.session
        if place.connecting is None:
            if place.session is not None:
                self._chores.later(place.session.close())
                place.session = None
            place.connecting = self._chores.begin(self._connected(place))
        return await asyncio.shield(place.connecting)

    async def _connected(self, place: _Place) -> Session:
        try:
            place.session = await self._connect()
        except TurnedAway as error:
            self._turned_away = error
            raise
        except ConfigError as error:  # the file of known hosts, read anew: once the sink is open that is an outage
            if self._worked:
                raise SinkUnavailable(str(error)) from error
            raise
        finally:
            place.connecting = None
        self._worked = True
        return place.session

    async def close(self) -> None:
        """Close all of them. What is under way on them fails."""
        self._closed = True
        sessions = [place.session for place in self._places if place.session is not None]
        await asyncio.gather(*(session.close() for session in sessions))
