"""Names of cameras that a run was limited to, and that nothing knows: a typing error looks like a run with nothing to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from blinkarchive.convert import nearest
from blinkarchive.errors import BlinkArchiveError
from blinkarchive.pipeline.naming import slug

if TYPE_CHECKING:
    from blinkarchive.blink import Client
    from blinkarchive.index import Index


async def unknown_cameras(wanted: Iterable[str], index: Index, clients: Iterable[Client]) -> Mapping[str, str]:
    """The names and ids that neither a clip of the index nor a homescreen has, each with a hint at the nearest known name.

    None when a homescreen cannot be read: the camera may be there.
    """
    names, ids = set[str](), set[str]()
    for name, id_ in await index.cameras():
        names.add(name)
        ids.add(id_ or "")
    wrong = _unknown(wanted, names | ids)
    try:
        for client in clients if wrong else ():
            cameras = (await client.homescreen()).cameras
            names |= {camera.name for camera in cameras if camera.name}
            ids |= {str(camera.id) for camera in cameras}
    except BlinkArchiveError:
        return {}
    return {name: nearest(name, names) for name in _unknown(wrong, names | ids)}


def _unknown(wanted: Iterable[str], known: set[str]) -> list[str]:
    """As `Ask` compares: by the name as it is, by its slug, by the id."""
    known = known | {slug(name) for name in known}
    return [name for name in wanted if name not in known and slug(name) not in known]
