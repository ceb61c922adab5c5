"""The USB stick of a sync module: its clips, the numbers the module gives them, and the manifests it makes of them."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from blinkarchive.simulator.footage import Take, film

OldManifest = Literal["refused", "misleading"]
"""What a clip's number is worth with a manifest that is no longer the last one: nothing, or whatever has that number now."""

_FIRST_MANIFEST = 800


@dataclass(slots=True, kw_only=True, eq=False)
class LocalClip:
    """A clip on the stick."""

    #: The name of its camera when it was recorded.
    camera: str
    created_at: datetime
    take: Take
    #: What the module calls it now. It changes, and other clips get it.
    number: int
    #: Until when its upload can be fetched, on the world's monotonic clock.
    fetchable_until: float = 0.0
    #: Its size as a manifest states it; None: in KiB.
    stated: str | None = None

    @property
    def kib(self) -> int:
        """Its size in KiB, rounded."""
        return round(self.take.size / 1024)

    def film(self) -> bytes:
        """The truth to compare an archive with: every byte of the whole film."""
        return film(self.take)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What was on the stick, by the numbers of that moment."""

    id: int
    #: The newest first.
    clips: Mapping[int, LocalClip]


class Stick:
    """The clips of one module, and how it numbers them."""

    def __init__(self, module: int) -> None:
        self._module = module
        self._numbers = itertools.count()
        self._clips: list[LocalClip] = []
        self._changed = False
        self._renumbered = False
        self._last = Manifest(id=_FIRST_MANIFEST + module % 7_000, clips={})

    @property
    def clips(self) -> list[LocalClip]:
        """All of them, the newest first."""
        return sorted(self._clips, key=lambda clip: clip.created_at, reverse=True)

    def add(self, *, camera: str, created_at: datetime, take: Take) -> LocalClip:
        """Record a clip."""
        at = created_at.astimezone(UTC).replace(microsecond=0)
        clip = LocalClip(camera=camera, created_at=at, take=take, number=self._number())
        self._clips.append(clip)
        self._changed = True
        return clip

    def remove(self, clip: LocalClip) -> None:
        """Delete a clip; one that is gone already stays gone."""
        if clip in self._clips:
            self._clips.remove(clip)
            self._changed = True

    def clear(self) -> None:
        """Delete all of them."""
        self._clips.clear()
        self._changed = True

    def renumber(self) -> None:
        """What a restart of the module does: every clip gets another number, most of them one that was another clip's."""
        clips = self.clips
        numbers = [clip.number for clip in clips]
        others = [*numbers[1:], numbers[0] if len(numbers) > 1 else self._number()] if numbers else []
        for clip, number in zip(clips, others, strict=True):
            clip.number = number
        self._changed = self._renumbered = True

    def manifest(self) -> Manifest:
        """The manifest of what is there now: the same one as before when nothing has changed."""
        if self._changed:
            self._last = Manifest(id=self._last.id + 1, clips={clip.number: clip for clip in self.clips})
            self._changed = self._renumbered = False
        return self._last

    def find(self, manifest: int, number: int, old: OldManifest) -> LocalClip | None:
        """The clip that a manifest calls by this number, if it is still there."""
        good = manifest == self._last.id and not self._renumbered
        if good:
            clip = self._last.clips.get(number)
            return clip if clip in self._clips else None
        if old == "refused":
            return None
        return next((clip for clip in self._clips if clip.number == number), None)

    def _number(self) -> int:
        """A number as modules give them: up to 32 bits, in no order."""
        return int.from_bytes(hashlib.sha256(f"{self._module} {next(self._numbers)}".encode()).digest()[:4])
