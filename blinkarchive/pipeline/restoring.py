"""Clips back into a folder: each from the first sink that can give it, under its own name, never over a file that is there."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from blinkarchive.blink.saving import save
from blinkarchive.encryption import Identities
from blinkarchive.errors import ArchiveError, BlinkArchiveError, NoIdentity, SinkClosed, Unavailable
from blinkarchive.keys import parts_of
from blinkarchive.model import Copy, SinkName, Standing, Trouble
from blinkarchive.pipeline.lane import Lane
from blinkarchive.pipeline.progress import keep_trouble
from blinkarchive.pipeline.way_back import clip_of, side_by_side

AT_ONCE = 4


@dataclass(slots=True)
class Restored:
    """What has been restored so far. `restored + there + failed` is the number of clips that were wanted and are held."""

    restored: int = 0
    #: In bytes.
    size: int = 0
    #: Were in the folder before, with the same bytes.
    there: int = 0
    failed: int = 0
    #: Are held by no sink that was asked.
    not_held: int = 0
    #: Whether the catalogues in the sinks alone said what they hold.
    by_catalogues: bool = False
    #: Of all these, clips that only catalogues list, though there is an index.
    unknown: int = 0
    #: Clips that are listed with different contents, times or cameras; each of those counts as a clip above.
    contradictory: int = 0
    troubles: list[Trouble] = field(default_factory=list)
    #: What is worth knowing, and is no failure.
    notes: list[Trouble] = field(default_factory=list)

    def trouble(self, where: str, what: str) -> None:
        """Keep something to tell a person; the same thing once only."""
        keep_trouble(self.troubles, where, what)

    def note(self, where: str, what: str) -> None:
        """Keep something to tell a person that is no failure."""
        keep_trouble(self.notes, where, what)


class Restoring:
    """Clips that are brought from sinks to a folder."""

    def __init__(self, lanes: Mapping[SinkName, Lane], folder: Path, identities: Identities | None, done: Restored) -> None:
        """`folder` is there; `done` is told of each clip. What goes wrong with one harms no other."""
        self.done = done
        self._lanes = lanes
        self._folder = folder
        self._identities = identities

    async def bring(self, wanted: AsyncIterator[Standing]) -> None:
        """Bring them all, some at once. What `wanted` raises goes through."""
        await side_by_side(self._one, wanted, AT_ONCE)

    async def _one(self, standing: Standing) -> None:
        copies = [copy for copy in standing.held if copy.sink in self._lanes]
        if not copies:
            self.done.not_held += 1
            return
        troubles: dict[str, str] = {}
        for copy in sorted(copies, key=lambda copy: copy.plain is not None):  # what needs no decryption first
            try:
                parts = parts_of(standing.key)
                file = self._folder.joinpath(*parts)
                await asyncio.to_thread(_refuse_links, self._folder, parts)
                if await asyncio.to_thread(_is_there, file, copy):
                    self.done.there += 1
                    return
                if (lane := self._lanes[copy.sink]).closed:
                    raise SinkClosed(lane.closed)
                async with clip_of(lane, copy, self._identities, self._folder) as body:
                    size = await save(body, file, film=True, replace=False)
            except FileExistsError:
                troubles[f"clip {standing.clip.id}"] = f"{file} is there already, with other bytes, and stays as it is"
            except (NoIdentity, Unavailable) as error:
                troubles[f"sink {copy.sink}"] = str(error)
            except BlinkArchiveError as error:
                troubles[f"clip {standing.clip.id}"] = str(error)
            else:
                self.done.restored += 1
                self.done.size += size
                return
        self.done.failed += 1
        for where, what in troubles.items():
            self.done.trouble(where, what)


def _refuse_links(folder: Path, parts: Sequence[str]) -> None:
    """Raise `ArchiveError` when a part of the way below the folder is a symbolic link: nothing is written outside of it."""
    path = folder
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise ArchiveError(f"{path} is a symbolic link, and restore follows none: remove it, or choose another folder")


def _is_there(file: Path, copy: Copy) -> bool:
    """Whether a file is the clip already."""
    with suppress(FileNotFoundError):
        try:
            if file.stat().st_size != copy.clip_size:
                return False
            with file.open("rb") as opened:
                return hashlib.file_digest(opened, "sha256").hexdigest() == copy.clip_sha256
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ArchiveError(f"{file} cannot be looked at: {error.strerror}") from error
    return False
