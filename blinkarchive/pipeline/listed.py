"""What the catalogues of sinks list, all of them together: kept in a scratch database, so that memory does not grow with it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import datetime
from itertools import chain, count
from typing import TypeVar

from blinkarchive.encryption import Identities
from blinkarchive.errors import ArchiveError, BlinkArchiveError
from blinkarchive.model import Clip, ClipId, Copy, Key, SinkName, Standing
from blinkarchive.pipeline import catalog
from blinkarchive.pipeline.lane import MARKER, Lane
from blinkarchive.pipeline.naming import CATALOG, DAMAGED, SEALED, second_name

T = TypeVar("T")

MOST_OF_ONE = 8
"""So many different copies of one clip are taken from one sink: one that lists more has no honest reason to."""

_PAGE = 500

_TABLES = """
create table listed (
    n integer primary key, id text not null, sink text not null, key text not null, sha256 text not null,
    recorded_at text not null, line blob not null, unique (sink, key, id, sha256)
);
create index listed_of on listed (id, sink);
pragma cache_size = -4000;
"""


class Listed:
    """Clips and copies as catalogues list them. Nothing of it is proven."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._alone = asyncio.Lock()
        self._any = False

    @classmethod
    @asynccontextmanager
    async def opened(cls) -> AsyncIterator[Listed]:
        """An empty one, in the system's folder for temporary files. Its methods raise `ArchiveError` when there is no room."""
        # An empty name means a file without a name, which is gone when it is closed.
        with closing(sqlite3.connect("", isolation_level=None, check_same_thread=False)) as database:
            database.executescript(_TABLES)
            yield cls(database)

    async def add(self, page: catalog.Page) -> None:
        """Add what a catalogue lists."""
        self._any = True
        await self._do(lambda: self._add(page))

    def _add(self, page: catalog.Page) -> None:
        rows = [
            (clip.id, copy.sink, copy.key, copy.sha256, clip.recorded_at.isoformat(), catalog.line(clip, copy).encode())
            for clip, copy in page
        ]
        self._database.execute("begin")
        self._database.executemany(
            "insert or ignore into listed (id, sink, key, sha256, recorded_at, line) values (?, ?, ?, ?, ?, ?)", rows
        )
        self._database.execute("commit")

    async def take(self, clip: ClipId) -> list[tuple[Clip, Copy]]:
        """What is listed of a clip, at most `MOST_OF_ONE` copies of each sink. It is not given again."""
        return await self._do(lambda: self._take(clip)) if self._any else []

    def _take(self, clip: ClipId) -> list[tuple[Clip, Copy]]:
        ranked = (
            "select sink, line from (select n, sink, line, row_number() over (partition by sink order by n) as rank "
            "from listed where id = ?) where rank <= ? order by n"
        )
        found = [catalog.decoded(SinkName(sink), line) for sink, line in self._database.execute(ranked, (clip, MOST_OF_ONE))]
        if found:
            self._database.execute("delete from listed where id = ?", (clip,))
        return found

    async def rest(self) -> AsyncIterator[list[tuple[Clip, Copy]]]:
        """What is listed of each clip that was not taken, oldest recording first."""
        oldest = "select id from listed group by id order by min(recorded_at), id"
        ids = await self._do(lambda: self._database.execute(oldest))
        while page := await self._do(lambda: [self._take(ClipId(id_)) for (id_,) in ids.fetchmany(_PAGE)]):
            for found in page:
                yield found

    async def keys(self) -> int:
        """How many objects are listed."""
        count = "select count(*) from (select distinct sink, key from listed)"
        return int(await self._do(lambda: self._database.execute(count).fetchone()[0]))

    async def unlisted(self, sink: SinkName, keys: Sequence[Key]) -> int:
        """How many of these keys no catalogue of the sink lists."""
        return len(keys) - await self._do(lambda: self._number(sink, keys))

    def _number(self, sink: SinkName, keys: Sequence[Key]) -> int:
        one = "select exists (select 1 from listed where sink = ? and key = ?)"
        return sum(self._database.execute(one, (sink, key)).fetchone()[0] for key in keys)

    async def _do(self, work: Callable[[], T]) -> T:
        async with self._alone:
            with _translated():
                return await asyncio.to_thread(work)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise ArchiveError(f"the folder for temporary files cannot hold what the catalogues list: {error}") from error


async def gather(
    lane: Lane,
    listed: Listed,
    identities: Identities | None,
    report: Callable[[str, str], None],
    *,
    known: Collection[Key] = (),
    encrypted: bool = False,
) -> None:
    """Add what the catalogues of a sink list. The catalogues in `known` are not read: the index has what they list.

    With `encrypted` nothing that is not encrypted is believed: whoever controls the place could have put it there. What cannot be
    read is reported, and the rest is read.
    """
    where, unencrypted, clear = f"sink {lane.name}", 0, 0

    async def take(page: catalog.Page) -> None:
        nonlocal clear
        believed = [one for one in page if one[1].plain is not None or not encrypted]
        clear += len(page) - len(believed)
        await listed.add(believed)

    try:
        objects = await lane.list(CATALOG)
    except BlinkArchiveError as error:
        report(where, f"its catalogues cannot be listed: {error}")
        return
    for stored in objects:
        if stored.key in known:
            continue
        if encrypted and not stored.key.endswith(SEALED):
            unencrypted += 1
            continue
        try:
            if trouble := await catalog.read(lane, stored, identities, take):
                report(where, trouble)
        except BlinkArchiveError as error:
            report(where, str(error))
    if unencrypted or clear:
        found = " and ".join(
            f"{number:,} {what}"
            for number, what in ((unencrypted, "unencrypted catalogues"), (clear, "copies that are listed as unencrypted"))
            if number
        )
        report(
            where,
            f"it is known as encrypted, and holds {found}: they are not used, since anybody who controls that place could have "
            "put them there. If you stored clips there before you turned encryption on, --allow-unencrypted uses them",
        )


async def count_strangers(
    lane: Lane, listed: Listed, report: Callable[[str, str], None], note: Callable[[str, str], None]
) -> None:
    """Report how many objects of a sink no catalogue lists, and note what its listing skipped."""
    where, before = f"sink {lane.name}", lane.notes
    try:
        objects = await lane.list("")
    except BlinkArchiveError as error:
        report(where, f"objects that no catalogue lists cannot be counted: {error}")
        return
    for said in lane.notes:
        if said not in before:
            note(where, said)
    keys = [stored.key for stored in objects if stored.key != MARKER and not stored.key.startswith((CATALOG, DAMAGED))]
    if others := await listed.unlisted(lane.name, keys):
        report(where, f"it holds {others:,} objects that no catalogue which could be read lists; they stay there")


def versions(
    found: Sequence[tuple[Clip, Copy]], name: Callable[[Clip], Key], known: Standing | None = None
) -> tuple[list[Standing], str]:
    """One clip as the index and the catalogues know it: each different content, time or camera under a key of its own.

    The index comes first, then whatever most sinks list, then whatever was found first. Returns also what is contradictory, ""
    if nothing is.
    """
    held = known.held if known else ()
    groups: dict[tuple[object, ...], list[tuple[Clip, Copy]]] = {}
    for clip, copy in [*((known.clip, copy) for copy in held if known), *found]:
        group = groups.setdefault((copy.clip_size, copy.clip_sha256, *_facts(clip)), [])
        if not any(_place(copy) == _place(other) for _, other in group):
            group.append((clip, copy))
    ordered = sorted(groups.values(), key=lambda group: (group[0][1] not in held, -len({copy.sink for _, copy in group})))
    standings: dict[Key, Standing] = {}
    for group in ordered:
        clip, copy = group[0]
        key = known.key if known and _facts(clip) == _facts(known.clip) else name(clip)
        keys = chain([key], (second_name(key, copy.clip_sha256, nth) for nth in count(1)))
        free = next(key for key in keys if key not in standings or standings[key].held[0].clip_sha256 == copy.clip_sha256)
        standings.setdefault(free, Standing(clip=clip, key=free, held=tuple(copy for _, copy in group)))
    if known and not groups:
        return [known], ""
    return list(standings.values()), _contradiction(ordered) if len(ordered) > 1 else ""


def _facts(clip: Clip) -> tuple[datetime, str | None]:
    return clip.recorded_at, clip.camera_id


def _place(copy: Copy) -> tuple[SinkName, Key, str]:
    return copy.sink, copy.key, copy.sha256


def _contradiction(groups: Sequence[Sequence[tuple[Clip, Copy]]]) -> str:
    places = " / ".join(", ".join(sorted({str(copy.sink) for _, copy in group})) for group in groups)
    return (
        f"{len(groups)} different contents, times or cameras are listed under this id (sinks: {places}). Each is restored under "
        "a name of its own; compare them, and find out which sink was changed"
    )
