"""Is every copy where the index says that it is, and what it was: asked of the sinks, at any time."""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from blinkarchive.encryption import Identities
from blinkarchive.errors import BlinkArchiveError, CopyDiffers
from blinkarchive.model import Copy, Standing
from blinkarchive.pipeline.lane import Lane
from blinkarchive.pipeline.proof import Check, Depth
from blinkarchive.pipeline.way_back import clip_of, side_by_side

if TYPE_CHECKING:
    from blinkarchive.index import Index

log = logging.getLogger(__name__)

AT_ONCE = 8


@dataclass(slots=True)
class Verified:
    """How the copies of one sink are, of those looked at so far. `sound + lost + damaged + unknown` is the number of
    `copies`."""

    copies: int = 0
    sound: int = 0
    #: Of the sound ones: only the size was compared; the sink reported the right hash; every byte was read back.
    sized: int = 0
    hashed: int = 0
    read: int = 0
    #: Of those that were read, how many were decrypted.
    decrypted: int = 0
    #: Keys that are not there. The index knows it from now on: the next run puts the clips there again.
    lost: list[str] = field(default_factory=list)
    #: Keys that hold other bytes than were stored. The index knows it too; the next run moves them aside.
    damaged: list[str] = field(default_factory=list)
    #: Copies that could not be looked at.
    unknown: int = 0
    #: Copies that its catalogues list and the index does not know, and such catalogues that could not be read: not looked at.
    beyond: int = 0
    #: Why the sink could not be opened, so that none was looked at; "" when it could.
    closed: str = ""
    #: Why, and what else is wrong, each thing once.
    troubles: list[str] = field(default_factory=list)

    def trouble(self, what: str) -> None:
        """Keep something to tell a person."""
        if what not in self.troubles:
            self.troubles.append(what)


class Verifying:
    """One sink whose copies are looked at."""

    def __init__(
        self,
        lane: Lane,
        index: Index,
        *,
        found: Verified | None = None,
        share: float,
        identities: Identities | None = None,
        folder: Path,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`found` is told of each copy. `share` is how many of the copies are read back to the last byte, of 1; which, `chance`
        says. With `identities`, those that are encrypted are decrypted, in `folder`, and compared with the clip.
        """
        self.found = found or Verified()
        self._lane = lane
        self._index = index
        self._share = share
        self._identities = identities
        self._folder = folder
        self._chance = chance

    async def look(self, standings: AsyncIterator[Standing]) -> None:
        """Look at every copy that the sink should hold. What `standings` and the index raise goes through."""
        copies = (copy async for standing in standings for copy in standing.held)
        await side_by_side(self._one, copies, AT_ONCE)

    async def _one(self, copy: Copy) -> None:
        self.found.copies += 1
        read = self._chance() < self._share
        decrypt = read and copy.plain is not None and self._identities is not None
        try:
            held = await self._lane.verify(copy, self._index, Depth.READ if read and not decrypt else Depth.LOOK)
            if held and decrypt:
                held = Check.READ if await self._opens(copy) else Check.DAMAGED
        except BlinkArchiveError as error:
            self.found.unknown += 1
            self.found.trouble(str(error))
            return
        log.info("checked", extra={"clip": copy.clip, "sink": copy.sink, "key": copy.key, "result": held.value})
        if held:
            self.found.sound += 1
            self.found.sized += held is Check.SIZE
            self.found.hashed += held is Check.HASH
            self.found.read += held is Check.READ
            return
        absent = held is Check.ABSENT
        (self.found.lost if absent else self.found.damaged).append(copy.key)
        what = f"{copy.key} {'is not there' if absent else 'holds other bytes than were stored'}, verify reported"
        await self._index.lost(copy.clip, copy.sink, what, damaged=None if absent else copy.key)

    async def _opens(self, copy: Copy) -> bool:
        """Whether a copy can be decrypted, and is the clip. False means that the sink does not hold what it was given. That it
        holds it, and that it does not open, is raised: to put it there again would mend nothing.
        """
        try:
            async with clip_of(self._lane, copy, self._identities, self._folder):
                self.found.decrypted += 1
        except CopyDiffers:
            if await self._lane.verify(copy, self._index, Depth.READ):
                raise
            return False
        return True
