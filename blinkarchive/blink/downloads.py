"""Clips of the cloud into a folder of files, for those who want no archive."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from blinkarchive.blink.listing import pages
from blinkarchive.blink.saving import is_film, save
from blinkarchive.blink.wire import MediaItem, MediaPage
from blinkarchive.clock import Clock
from blinkarchive.errors import ArchiveError, BlinkArchiveError, LoginNeeded, Refused, Throttled
from blinkarchive.retry import Patience, retry
from blinkarchive.when import parse_when
from blinkarchive.zone import local_zone

if TYPE_CHECKING:
    from blinkarchive.blink.client import Client
    from blinkarchive.blink.system import Blink

log = logging.getLogger(__name__)

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The clips that were asked for, and whether there are more."""

    items: list[MediaItem]
    #: The limit of pages ended the listing, and not the end of the list.
    cut_off: bool


@dataclass(slots=True, kw_only=True)
class Downloaded:
    """What became of a download."""

    #: The files that were written, or would be.
    files: list[Path] = field(default_factory=list)
    #: Those that were there already.
    skipped: list[Path] = field(default_factory=list)
    #: Clips that could not be had, by their ids, and why.
    failed: dict[int, BlinkArchiveError] = field(default_factory=dict)
    #: There are more clips than the pages that were read.
    cut_off: bool = False


async def wanted(
    blink: Blink, client: Client, *, since: str | datetime | None, camera: str | Sequence[str], stop: int | None
) -> Wanted:
    """List what is asked for. An error of the list is raised: it is never taken for its end."""
    begin = _since(blink, since)
    names = _meant(blink, [camera] if isinstance(camera, str) else camera)
    seen: dict[int, MediaItem] = {}
    cut_off, read = False, 0

    def ask(number: int) -> Awaitable[MediaPage]:
        return retry(lambda: client.media_page(begin, number), clock=blink.auth.clock, patience=Patience())

    async with aclosing(pages(ask)) as listed:
        async for page in listed:
            if read == stop:  # one page more tells whether something is cut off
                cut_off = bool(page.items)
                break
            for bad in page.malformed:
                log.warning("an item of the list could not be understood", extra={"item": bad.item, "because": bad.reason})
            seen |= {item.id: item for item in page.items}
            read += 1
    for name in names - {"all"} - _cameras_of(seen.values()):
        if name not in {camera.camera_id for camera in blink.cameras.values()}:
            log.warning("no camera and no clip has this name or id", extra={"camera": name})
    if cut_off:
        log.warning("there are more clips: the list was read up to page %d (stop); raise it, or give None", stop)
    return Wanted(items=_chosen(seen, names), cut_off=cut_off)


def _meant(blink: Blink, cameras: Sequence[str | int]) -> set[str]:
    """How the cameras that are asked for may be called in the list: by name or by id, and by the names `Blink.cameras` has."""
    names = {str(each).casefold() for each in cameras}
    for each in cameras:
        with suppress(KeyError):
            camera = blink.cameras[each]
            names = (names - {str(each).casefold()}) | {camera.camera_id}
    return names


def _cameras_of(items: Collection[MediaItem]) -> set[str]:
    return {item.device_name.casefold() for item in items} | {str(item.device_id) for item in items}


def _chosen(seen: dict[int, MediaItem], names: set[str]) -> list[MediaItem]:
    items = [item for item in seen.values() if not item.deleted and item.media and not item.partial]
    if "all" not in names:
        items = [item for item in items if item.device_name.casefold() in names or str(item.device_id) in names]
    return sorted(items, key=lambda item: (item.created_at, item.id), reverse=True)


def _since(blink: Blink, since: str | datetime | None) -> datetime:
    if isinstance(since, datetime):
        if since.tzinfo is None:
            raise ValueError(f"a time without a zone: {since!r}")
        return since
    return _BEGINNING if since is None else parse_when(since, blink.auth.clock.now(), local_zone())


async def download(
    client: Client,
    found: Wanted,
    folder: Path,
    *,
    delay: float,
    debug: bool,
    named: Callable[[str, str, str], str] | None,
    clock: Clock,
) -> Downloaded:
    """Fetch what was listed, one clip after the other."""
    done = Downloaded(cut_off=found.cut_off)
    for item, path in _paths(found.items, folder, named):
        if debug:
            done.files.append(path)
            continue
        if await is_film(path):
            done.skipped.append(path)
            continue
        if done.files or done.failed:
            await clock.sleep(delay)
        try:
            await retry(lambda item=item, path=path: _fetch(client, item, path), clock=clock)  # type: ignore[misc]
        except (LoginNeeded, Refused, Throttled, ArchiveError):  # it would be the same with every other clip
            raise
        except BlinkArchiveError as error:
            log.warning("a clip could not be had", extra={"clip": item.id, "because": str(error)})
            done.failed[item.id] = error
        else:
            done.files.append(path)
    return done


async def _fetch(client: Client, item: MediaItem, path: Path) -> None:
    async with client.media(item.media) as body:
        await save(body, path, film=True)


def _paths(items: list[MediaItem], folder: Path, named: Callable[[str, str, str], str] | None) -> list[tuple[MediaItem, Path]]:
    """A file of its own for each clip. Of those that the caller gives one name, all but the oldest get their ids as well:
    so they are called alike when there are more of them the next time.
    """
    found: list[tuple[MediaItem, Path]] = []
    taken: set[Path] = set()
    for item in reversed(items):
        path = _path(item, folder, named)
        if path in taken:
            path = path.with_stem(f"{path.stem}-{item.id}")
        taken.add(path)
        found.append((item, path))
    return found[::-1]


def _path(item: MediaItem, folder: Path, named: Callable[[str, str, str], str] | None) -> Path:
    if named is not None:
        path = Path(named(item.created_at.isoformat(), item.device_name, str(folder)))
        return path if path.parent != Path() else folder / path
    return folder / f"{slug(f'{item.device_name}-{item.created_at.isoformat()}')}-{item.id}.mp4"


def slug(text: str) -> str:
    """Lower-case letters and digits, everything else a hyphen; letters keep no accents where they have a plain form."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode() or text
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-") or "camera"
