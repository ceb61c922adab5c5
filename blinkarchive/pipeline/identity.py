"""Whether a clip that is listed is the one that is stored under its id: Blink's numbers alone do not prove it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, timedelta

from blinkarchive.interfaces import Batch, ClipRef
from blinkarchive.model import Clip, ClipId, SourceName

APART = timedelta(seconds=2)
"""How far apart two listings may report the time of one clip: not all of them report fractions of a second."""

_OWN = re.compile(r"@[0-9a-f]{12}\Z")
"""The end of the id of a clip that was listed under the id of another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A clip that was listed under the id of another one."""

    #: The id that it has in the archive.
    id: ClipId
    #: What the difference is, in words.
    what: str


def difference(listed: Clip, stored: Clip) -> str:
    """The difference between a clip that is listed and the stored one of the same id, in words; "" when it is the same clip."""
    if abs(listed.recorded_at - stored.recorded_at) > APART:
        return f"it is listed as recorded at {_time(listed)}, and the stored clip was recorded at {_time(stored)}"
    if listed.source is SourceName.CLOUD and not _of_one_camera(listed, stored):
        return f"it is listed as of camera {_camera(listed)}, and the stored clip is of camera {_camera(stored)}"
    return ""


def listed_id(id_: ClipId) -> ClipId:
    """The id under which the source lists a clip, whether it is the first one with that id or not."""
    return ClipId(_OWN.sub("", id_))


def set_apart(batch: Batch, known: Mapping[ClipId, Clip]) -> tuple[Batch, Sequence[Conflict]]:
    """The batch with an id of its own for each clip that is not the known one of its id. Such a clip is never deleted.

    The id is the same in each listing, so that the clip is archived once.
    """
    found, conflicts = [], []
    for ref in batch.found:
        stored = known.get(ref.clip.id)
        what = difference(ref.clip, stored) if stored is not None else ""
        if what:
            ref = _under_its_own_id(ref)
            conflicts.append(Conflict(id=ref.clip.id, what=what))
        found.append(ref)
    return (replace(batch, found=tuple(found)), conflicts) if conflicts else (batch, ())


def _under_its_own_id(ref: ClipRef) -> ClipRef:
    facts = f"{_time(ref.clip)} {ref.clip.camera_id or ref.clip.camera}"
    id_ = f"{ref.clip.id}@{hashlib.sha256(facts.encode()).hexdigest()[:12]}"
    return replace(ref, clip=replace(ref.clip, id=ClipId(id_)), delete=None)


def _of_one_camera(one: Clip, other: Clip) -> bool:
    if one.camera_id is not None and other.camera_id is not None:
        return one.camera_id == other.camera_id
    return one.camera.casefold() == other.camera.casefold()


def _time(clip: Clip) -> str:
    return f"{clip.recorded_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _camera(clip: Clip) -> str:
    return f"{clip.camera!r}" + (f" ({clip.camera_id})" if clip.camera_id else "")
