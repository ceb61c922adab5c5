"""The catalogue: what a sink holds, written into the sink itself, so that any one sink is enough to rebuild and restore.

One object of JSON lines for the copies of a run, each line a clip and its copy. A line's keys: `id account network_id network
camera_id camera source trigger recorded_at key size sha256 stored_at`, and `description detections` where the source has
analysed the video; times are ISO 8601 in UTC. Where the copy is encrypted `size` and `sha256` are of what is stored, and
`plain_size plain_sha256` of the clip. The catalogue of a sink that encrypts is encrypted itself, for the same recipients.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec

from blinkarchive.encryption import Identities
from blinkarchive.errors import ArchiveError, BadKey, CopyDiffers, NoIdentity
from blinkarchive.keys import parts_of
from blinkarchive.model import Clip, ClipId, Copy, Key, Plain, SinkName, SourceName, Stored
from blinkarchive.pipeline.lane import Lane
from blinkarchive.pipeline.naming import CATALOG, SEALED
from blinkarchive.pipeline.spool import Spool

if TYPE_CHECKING:
    from blinkarchive.index import Index

CATALOGUED = 500
"""The most copies of one object. With 5,000 a first run's peak of memory was here, 14 MB above all else."""

LARGEST = 256 * 1024 * 1024
"""A catalogue larger than this, in bytes, is not read: ours are below one megabyte."""

LONGEST_LINE = 64 * 1024
"""A longer line of a catalogue, in bytes, is not decoded."""

MOST_BAD_LINES = 100_000
"""Reading stops after this many bad lines in one object: it is not a catalogue."""

_PIECE = 64 * 1024
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)

Page = Sequence[tuple[Clip, Copy]]
"""Some lines of a catalogue, decoded."""

_Name = Annotated[str, msgspec.Meta(max_length=2000)]
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
_Size = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_When = Annotated[datetime, msgspec.Meta(tz=True)]


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a catalogue, with a limit for every field."""

    id: _Id
    account: _Name
    network_id: _Name
    network: _Name
    camera_id: _Name | None
    camera: _Name
    source: SourceName
    trigger: _Name
    recorded_at: _When
    key: str
    size: _Size
    sha256: _Sha256
    stored_at: _When
    description: Annotated[str, msgspec.Meta(max_length=4000)] = ""
    detections: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=100)] = ()
    plain_size: _Size | None = None
    plain_sha256: _Sha256 | None = None


_decoder = msgspec.json.Decoder(_Line)


def decoded(sink: SinkName, text: bytes) -> tuple[Clip, Copy]:
    """A line of a catalogue. It came from outside: nothing of it is trusted but what the bytes of the clip prove.

    Raises `ArchiveError` for every kind of bad line.
    """
    if len(text) > LONGEST_LINE:
        raise ArchiveError(f"it is longer than {LONGEST_LINE:,} bytes")
    try:
        facts = _decoder.decode(text)
        key = Key("/".join(parts_of(facts.key)))
        recorded_at, stored_at = _moment(facts.recorded_at), _moment(facts.stored_at)
    except RecursionError as error:
        raise ArchiveError("it is nested too deeply") from error
    except (msgspec.MsgspecError, ValueError, OverflowError, BadKey) as error:
        raise ArchiveError(str(error)[:300]) from error
    if (facts.plain_size is None) != (facts.plain_sha256 is None):
        raise ArchiveError("it has only one of plain_size and plain_sha256")
    plain = None
    if facts.plain_size is not None and facts.plain_sha256 is not None:
        plain = Plain(size=facts.plain_size, sha256=facts.plain_sha256)
    clip = Clip(
        id=ClipId(facts.id),
        account=facts.account,
        network_id=facts.network_id,
        network=facts.network,
        camera_id=facts.camera_id,
        camera=facts.camera,
        source=facts.source,
        trigger=facts.trigger,
        recorded_at=recorded_at,
        description=facts.description,
        detections=facts.detections,
    )
    copy = Copy(
        clip=clip.id, sink=sink, key=key, size=facts.size, sha256=facts.sha256, stored_at=stored_at, plain=plain
    )  # fmt: skip
    return clip, copy


def _moment(when: datetime) -> datetime:
    """The moment in UTC. Raises `ValueError` for one that cannot be a clip's."""
    moment = when.astimezone(UTC)
    if not _EARLIEST <= moment < _LATEST:
        raise ValueError(f"{moment.isoformat()} cannot be a time of a clip")
    return moment


async def read(lane: Lane, stored: Stored, identities: Identities | None, take: Callable[[Page], Awaitable[None]]) -> str:
    """Read a catalogue in a sink, and hand over what it lists, page by page: memory does not grow with its size.

    A bad line costs itself only. Returns which lines are bad and why, "" if none is. Raises `SinkError`, `PluginError`,
    `CannotDecrypt`, and what `take` raises.
    """
    if stored.size > LARGEST:
        return f"the catalogue {stored.key} has {stored.size:,} bytes, and one of blinkarchive has far less: it is not read"
    lines = _Lines(lane.name)
    async with aclosing(_pieces(lane, stored, identities)) as pieces:
        async for piece in pieces:
            if page := await asyncio.to_thread(lines.feed, piece):
                await take(page)
            if lines.bad > MOST_BAD_LINES:
                break
    if page := lines.end():
        await take(page)
    return lines.trouble(stored.key)


async def _pieces(lane: Lane, stored: Stored, identities: Identities | None) -> AsyncGenerator[bytes, None]:
    """The text of a catalogue, in small pieces."""
    if not stored.key.endswith(SEALED):
        async for piece in _stored_pieces(lane, stored):
            yield piece
        return
    if identities is None:
        raise NoIdentity
    try:
        with tempfile.TemporaryFile() as sealed, tempfile.TemporaryFile() as plain:
            async for piece in _stored_pieces(lane, stored):
                await asyncio.to_thread(sealed.write, piece)
            sealed.seek(0)
            await asyncio.to_thread(identities.decrypt, sealed, plain.write)
            plain.seek(0)
            while piece := await asyncio.to_thread(plain.read, _PIECE):
                yield piece
    except OSError as error:
        raise ArchiveError(f"{stored.key} cannot be decrypted in {tempfile.gettempdir()}: {error.strerror}") from error


async def _stored_pieces(lane: Lane, stored: Stored) -> AsyncIterator[bytes]:
    left = stored.size
    async with lane.read(stored.key, stored.size) as body:
        async for chunk in body.chunks:
            left -= len(chunk)
            if left < 0:
                raise CopyDiffers(f"sink {lane.name}: {stored.key} is longer than the {stored.size:,} bytes that it listed")
            for start in range(0, len(chunk), _PIECE):
                yield chunk[start : start + _PIECE]
    if left:
        raise CopyDiffers(f"sink {lane.name}: {stored.key} ended {left:,} bytes early")


class _Lines:
    """Decodes lines whose bytes arrive in pieces. It keeps at most one unfinished line."""

    def __init__(self, sink: SinkName) -> None:
        self._sink = sink
        self._rest = b""
        self._number = 0
        self._first = ""
        self.bad = 0

    def feed(self, piece: bytes) -> Page:
        """The lines that end in this piece. Blocks."""
        *whole, rest = piece.split(b"\n")
        if not whole:
            self._rest = (self._rest + rest)[: LONGEST_LINE + 1]
            return []
        whole[0] = self._rest + whole[0]
        self._rest = rest
        return list(self._decoded(whole))

    def end(self) -> Page:
        """The last line, where no newline ends it."""
        return list(self._decoded([self._rest] if self._rest else []))

    def trouble(self, key: Key) -> str:
        """Which lines are bad, and why; "" if none is."""
        if not self.bad:
            return ""
        others = f"; nor can {self.bad - 1:,} other lines" if self.bad > 1 else ""
        stop = "; the rest of it was not read" if self.bad > MOST_BAD_LINES else ""
        number, _, reason = self._first.partition(" ")
        return f"line {number} of the catalogue {key} cannot be understood: {reason}{others}{stop}"

    def _decoded(self, lines: Sequence[bytes]) -> Iterator[tuple[Clip, Copy]]:
        for text in lines:
            self._number += 1
            if not text.strip():
                continue
            try:
                yield decoded(self._sink, text)
            except ArchiveError as error:
                self.bad += 1
                self._first = self._first or f"{self._number} {error}"


async def catalogue(index: Index, spool: Spool, lane: Lane, run: str, now: datetime) -> int:
    """Write down the copies in a sink that no catalogue lists yet: those of this run, and of runs that were killed.

    Returns how many. Raises `SinkError` or `PluginError`; what was not written is left to the next run.
    """
    number = part = 0
    while copies := await index.uncatalogued(lane.name, limit=CATALOGUED):
        suffix = f"-{part}" if part else ""
        name = f"{CATALOG}{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{run.rpartition('-')[2]}{suffix}.jsonl"
        key = Key(name + SEALED if lane.seal else name)
        text = "".join(line(clip, copy) for clip, copy in copies)
        async with spool.written(text.encode(), lane.seal.recipients if lane.seal else None) as content:
            key = await lane.store(key, content)
        await index.catalogued(lane.name, [clip.id for clip, _ in copies], key)
        number += len(copies)
        part += 1
    return number


def line(clip: Clip, copy: Copy) -> str:
    """A clip and its copy as one line of a catalogue."""
    facts: dict[str, object] = {
        "id": clip.id,
        "account": clip.account,
        "network_id": clip.network_id,
        "network": clip.network,
        "camera_id": clip.camera_id,
        "camera": clip.camera,
        "source": clip.source.value,
        "trigger": clip.trigger,
        "recorded_at": _iso(clip.recorded_at),
        "key": copy.key,
        "size": copy.size,
        "sha256": copy.sha256,
        "stored_at": _iso(copy.stored_at),
    }
    if clip.description or clip.detections:
        facts |= {"description": clip.description, "detections": clip.detections}
    if copy.plain is not None:
        facts |= {"plain_size": copy.plain.size, "plain_sha256": copy.plain.sha256}
    return json.dumps(facts, ensure_ascii=False) + "\n"


def _iso(when: datetime) -> str:
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")
