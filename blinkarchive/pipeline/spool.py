"""The spool: where a clip's bytes become a whole, checked, durable file, kept until every sink has it."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import hmac
import io
import itertools
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar
from urllib.parse import quote, unquote

from blinkarchive import mp4
from blinkarchive.encryption import Recipients, most
from blinkarchive.errors import ArchiveError, BadClip, DamagedClip, SpoolFull
from blinkarchive.files import Files, is_full
from blinkarchive.interfaces import Body, ClipRef
from blinkarchive.model import ClipId, Content, SinkName
from blinkarchive.secret import Secret

P = ParamSpec("P")
T = TypeVar("T")

_PIECE = 128 * 1024
"""Bytes that are written in one go, in a thread.

A clip of any size then holds no more memory than a small one: with 16 connections 10 MB less than pieces of 512 KiB took, for
a processor time that could not be told from theirs.
"""

_MOST_USELESS = 8
_MOST_SPOOLED = 1024
_LONGEST_NAME = 170
_SPOOLED = re.compile(r"(?P<facts>(?P<clip>[^~]+))~(?P<proof>[0-9a-f]{32})")
_SEALED = re.compile(
    r"(?P<facts>(?P<clip>[^~]+)~(?P<of>[0-9a-f]{16})~(?P<sink>[A-Za-z0-9_-]{1,40}))~(?P<proof>[0-9a-f]{16})\.age"
)
_HASHED = "long-"


class Spool:
    """A folder of clips on their way (0700; its files 0600).

    A file's name is the clip's id, quoted, and a proof, so that a later run finds what a killed one had fetched. What a sink is
    given encrypted stays next to it until the sink has it: whatever happens, it is given the same bytes again. Its name holds the
    clip, what it is the encryption of and for whom, the sink, and a proof.
    The proof is an HMAC of the other facts and the file's SHA-256 with the secret of the index: a file that is damaged, or that
    somebody else has put there, has no right proof and is not used.
    All blocking work is done in threads of its own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        secret: Secret | None = None,
        files: Files | None = None,
        largest: int = 512 * 1024**2,
        reserve: int = 64 * 1024**2,
        threads: int = 8,
    ) -> None:
        """`secret` is the index's. In bytes: `largest` is the most a clip may have, `reserve` what is left free on the disk."""
        self.folder = folder
        self._secret = (secret or Secret("")).reveal().encode()
        self._files = files or Files()
        self._largest = largest
        self._reserve = reserve
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="spool")
        self._spooled: dict[str, Path] = {}
        self._sealed: dict[tuple[str, SinkName], Path] = {}
        self._useless: list[Path] = []
        #: Of clips that came and are no whole MP4: the hash of what came last, and what is kept as the best there is.
        self._unsound: dict[str, str] = {}
        self._damaged: dict[str, Content] = {}
        self._numbers = itertools.count()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Spool]:
        """Use the spool. What a killed run left half-done goes; what it had whole is found again by `leftover`."""
        try:
            await self._in_thread(self._look)
            yield self
        finally:
            await self.tidy()
            self._threads.shutdown(wait=True)

    def _look(self) -> None:
        try:
            self._files.make_folders(self.folder, 0o700)
            for path in self.folder.iterdir():
                if path.is_symlink() or not path.is_file():
                    continue
                spooled, sealed = _SPOOLED.fullmatch(path.name), _SEALED.fullmatch(path.name)
                if spooled:
                    self._spooled[spooled["clip"]] = path
                elif sealed:
                    self._sealed[sealed["clip"], SinkName(sealed["sink"])] = path
                elif path.name.endswith(".part"):
                    self._files.unlink(path)
        except OSError as error:
            raise ArchiveError(f"the spool {self.folder} cannot be used: {error.strerror}") from error

    @property
    def leftovers(self) -> list[ClipId]:
        """The clips that are in the spool now, but for those whose id is too long for a file's name."""
        return [ClipId(unquote(name)) for name in self._names() if not name.startswith(_HASHED)]

    def _names(self) -> set[str]:
        return {*self._spooled, *(name for name, _ in list(self._sealed))}  # a thread may add to it meanwhile

    def holds(self, clip: ClipId) -> bool:
        """Whether the clip's own bytes are here."""
        return _name(clip) in self._spooled

    @property
    def crowded(self) -> bool:
        """Whether so many clips wait here for a sink that no more should be fetched."""
        return len(self._names()) >= _MOST_SPOOLED

    async def leftover(self, clip: ClipId) -> Content | None:
        """The clip's bytes, if an earlier run had fetched them and they are still whole; they are read again to be sure."""
        path = self._spooled.get(_name(clip))
        if path is None:
            return None
        content = await self._in_thread(self._proven, path, _SPOOLED, mp4_too=True)
        if content is None:
            await self.release(clip)
        return content

    async def fill(self, ref: ClipRef, came: Callable[[int], None] = lambda _: None) -> Content:
        """Fetch a clip's bytes to a whole, checked, durable file. `came` is told of bytes as they come.

        Where the other side does not say how long the clip is, it is fetched twice and both must agree.
        Raises `BadClip`, `SpoolFull`, and what `ref.open()` raises; and `DamagedClip` when what came is no whole MP4 for the
        second time, and byte for byte the same: then `damaged` gives it.
        """
        writing = _Writing(self._temp(), self._files)
        name = _name(ref.clip.id)
        if any(path.name.startswith(f"{name}~") for path in self._useless):
            await self.tidy()  # the same bytes will have the same name
        try:
            with self._translated():
                async with ref.open() as body:
                    await self._receive(body, writing, came)
                # The connection and its place are free again.
                if body.length is None:
                    await self._prove(ref, writing)
                content = await self._in_thread(writing.finish, functools.partial(self._named, name, 32), body.length)
        except _Unsound as error:
            await self._keep_damaged(name, writing, error)
            raise
        except BaseException:
            await self._in_thread(writing.abandon)
            raise
        self._spooled[name] = content.path
        return content

    async def _keep_damaged(self, name: str, writing: _Writing, error: _Unsound) -> None:
        """Keep what is no whole MP4 if it came before, byte for byte. Raises `DamagedClip` then."""
        if self._unsound.get(name) != writing.sha256:
            self._unsound[name] = writing.sha256
            await self._in_thread(writing.abandon)
            return
        if (before := self._damaged.pop(name, None)) is not None:
            await self._let_go([before.path])
        self._damaged[name] = await self._in_thread(writing.keep)
        raise DamagedClip(f"Blink has it only damaged, the same bytes came twice: {error}") from error

    def damaged(self, clip: ClipId) -> Content:
        """What came of a clip that Blink has only damaged. It is here until `release`, and for this run."""
        return self._damaged[_name(clip)]

    async def _receive(self, body: Body, writing: _Writing, came: Callable[[int], None]) -> None:
        if body.length is not None and body.length > self._largest:
            raise BadClip(f"{body.length} bytes are more than a clip may have ({self._largest})")
        writing.needs(self._reserve + (body.length or 0))
        async for chunk in body.chunks:
            writing.hold(chunk)
            came(len(chunk))
            if writing.size > self._largest:
                raise BadClip(f"more than {self._largest} bytes came, which no clip has")
            # What is known to be the last waits for `finish`: a small clip is one hop to a thread.
            if writing.held >= _PIECE and writing.size != body.length:
                await self._in_thread(writing.write)

    async def _prove(self, ref: ClipRef, writing: _Writing) -> None:
        """Fetch a clip again that came without a length. Until both agree its file has no name that a later run would trust."""
        await self._in_thread(writing.write)
        again = hashlib.sha256()
        async with ref.open() as body:
            async for chunk in body.chunks:
                again.update(chunk)
        if again.hexdigest() != writing.sha256:
            raise BadClip("the clip came without a length, and two fetches of it differ")

    async def sealed(self, clip: ClipId, sink: SinkName, content: Content, recipients: Recipients) -> Content:
        """A clip's content encrypted for a sink: the same bytes each time, also after a crash, until they are let go of.

        Raises `SpoolFull` and `ArchiveError`.
        """
        name, of = _name(clip), hashlib.sha256(f"{content.sha256} {recipients.mark}".encode()).hexdigest()[:16]
        path = self._sealed.get((name, sink))
        if path is not None:
            if path.name.startswith(f"{name}~{of}~") and (leftover := await self._in_thread(self._proven, path, _SEALED)):
                return leftover
            await self.release_sealed(clip, sink)
        await self.tidy()  # what was of no use may have the name that this will have
        with self._translated():
            return await self._in_thread(self._seal, content, recipients, name, of, sink)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The disk's errors as ours."""
        try:
            yield
        except OSError as error:
            if is_full(error):
                raise SpoolFull(f"no room in the spool {self.folder}: {error.strerror}") from error
            raise ArchiveError(f"the spool {self.folder} cannot be written: {error.strerror}") from error

    def _seal(self, content: Content, recipients: Recipients, name: str, of: str, sink: SinkName) -> Content:
        """Encrypt it, and know of it from then on, whether anybody still waits for it or not."""
        named = functools.partial(self._named, f"{name}~{of}~{sink}", 16)
        sealed = _sealing(content, recipients, named, self._temp(), self._files, self._reserve)
        self._sealed[name, sink] = sealed.path
        return sealed

    async def release(self, clip: ClipId, *, with_sealed: bool = True) -> None:
        """Let go of a clip's file, and of all that was encrypted of it: every sink has it, or it is of no use."""
        path = self._spooled.pop(_name(clip), None)
        damaged = self._damaged.pop(_name(clip), None)
        await self._let_go([*([path] if path else []), *([damaged.path] if damaged else [])])
        for sink in [sink for name, sink in list(self._sealed) if name == _name(clip)] if with_sealed else []:
            await self.release_sealed(clip, sink)

    async def release_sealed(self, clip: ClipId, sink: SinkName) -> None:
        """Let go of what was encrypted for a sink: it has it, or it is of no use."""
        path = self._sealed.pop((_name(clip), sink), None)
        await self._let_go([path] if path else [])

    async def _let_go(self, paths: list[Path]) -> None:
        self._useless += paths
        if len(self._useless) >= _MOST_USELESS:
            await self.tidy()

    async def tidy(self) -> None:
        """Remove what was let go of: by itself a few files at a time, since a hop to a thread costs more than a removal."""
        useless, self._useless = self._useless, []
        await self._in_thread(self._remove, useless)

    def _remove(self, paths: list[Path]) -> None:
        for path in paths:
            with suppress(FileNotFoundError):
                self._files.unlink(path)

    @asynccontextmanager
    async def written(self, data: bytes, recipients: Recipients | None = None) -> AsyncIterator[Content]:
        """A small file of our own (a catalogue, a marker) as `Content`, while the block lasts; for recipients it is encrypted."""
        path = self._temp()
        if recipients is not None:
            sealed = io.BytesIO()
            recipients.encrypt(io.BytesIO(data), sealed.write)
            data = sealed.getvalue()
        await self._in_thread(self._write, path, data)
        try:
            yield Content(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        finally:
            self._useless.append(path)

    def _named(self, facts: str, length: int, sha256: str) -> str:
        """The name of a file with this hash: the facts, and a proof of so many hex digits."""
        proof = hmac.new(self._secret, f"{facts}~{sha256}".encode(), "sha256").hexdigest()[:length]
        return f"{facts}~{proof}"

    def _proven(self, path: Path, form: re.Pattern[str], *, mp4_too: bool = False) -> Content | None:
        """What is at a path whose name has this form, if the name's proof is right (and it is a whole MP4); else None. Blocks."""
        named = form.fullmatch(path.name)
        assert named is not None
        try:
            with open(path, "rb", opener=_not_a_link) as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
                if mp4_too:
                    mp4.check(mp4.reader(file.fileno()), size)
        except (OSError, BadClip):
            return None
        right = self._named(named["facts"], len(named["proof"]), sha256).rpartition("~")[2]
        return Content(path=path, size=size, sha256=sha256) if hmac.compare_digest(right, named["proof"]) else None

    def _temp(self) -> Path:
        """A name for what is not whole yet. The folder is ours alone, and was swept of all such names."""
        return self.folder / f".{next(self._numbers)}.part"

    def _write(self, path: Path, data: bytes) -> None:
        with self._files.writing(path) as fd:
            self._files.write(fd, data)

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do blocking work in one of our threads. A thread cannot be cancelled, so cancellation waits until it is done."""
        doing = asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*args, **kwargs))
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            await asyncio.wait([doing])
            if not doing.cancelled():
                doing.exception()
            raise


class _Unsound(BadClip):
    """All that was promised came, and it is no whole MP4."""


class _Writing:
    """A clip's file while it is written. It is opened with the first bytes that are written."""

    def __init__(self, temp: Path, files: Files) -> None:
        #: Bytes so far, written or held.
        self.size = 0
        #: Bytes that are not written yet.
        self.held = 0
        self._pieces: list[bytes] = []
        self._temp = temp
        self._files = files
        self._room = 0
        self._fd: int | None = None
        self._sha256 = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of what is written so far."""
        return self._sha256.hexdigest()

    def needs(self, room: int) -> None:
        """What must be free on the disk before the first byte is written."""
        self._room = room

    def hold(self, chunk: bytes) -> None:
        """Take bytes, to be written later."""
        self._pieces.append(chunk)
        self.held += len(chunk)
        self.size += len(chunk)

    def write(self) -> None:
        """Write what is held, piece by piece as it came: to put them together would cost as much memory again. Blocks."""
        pieces, self._pieces, self.held = self._pieces, [], 0
        if self._fd is None:
            mp4.check_first(b"".join(piece[: mp4.FIRST] for piece in pieces[: mp4.FIRST])[: mp4.FIRST])
            self._fd = self._begin()
        for piece in pieces:
            self._sha256.update(piece)
            self._files.write(self._fd, piece)

    def _begin(self) -> int:
        _require_room(self._temp.parent, self._room)
        return self._files.create(self._temp)

    def finish(self, named: Callable[[str], str], length: int | None) -> Content:
        """Write the rest, check the whole, and make it durable under the name that `named` has for its SHA-256. Blocks.

        `length` is what was announced.
        """
        if self.size == 0:
            raise BadClip("an empty body came")
        if length is not None and self.size != length:
            raise BadClip(f"cut: {self.size} of {length} bytes came")
        self.write()
        assert self._fd is not None
        if (written := os.fstat(self._fd).st_size) != self.size:
            raise ArchiveError(f"the spool wrote {written} of {self.size} bytes")
        try:
            mp4.check(mp4.reader(self._fd), self.size, size_is_proven=length is not None)
        except BadClip as error:
            raise _Unsound(str(error)) from error
        self._files.sync(self._fd)
        path = self._temp.with_name(named(self.sha256))
        self._files.rename(self._temp, path)
        self._files.sync_folder(path.parent)
        self._close()
        return Content(path=path, size=self.size, sha256=self.sha256)

    def keep(self) -> Content:
        """Keep what was written as it is, under its temporary name, which the next use of the spool removes. Blocks."""
        self._close()
        return Content(path=self._temp, size=self.size, sha256=self.sha256)

    def abandon(self) -> None:
        """Leave nothing behind. After `finish` there is nothing to leave. Blocks."""
        if self._fd is not None:
            self._close()
            with suppress(OSError):
                self._files.unlink(self._temp)

    def _close(self) -> None:
        fd, self._fd = self._fd, None  # closed once: its number may be somebody else's right after
        if fd is not None:
            os.close(fd)


def _sealing(
    content: Content, recipients: Recipients, named: Callable[[str], str], temp: Path, files: Files, reserve: int
) -> Content:
    """Encrypt a content by way of `temp`, make that durable, and give it the name that `named` has for its SHA-256. Blocks.

    Nothing stays behind when that fails. Raises `ArchiveError` also when the content is not what it was: once it is encrypted,
    nobody here can check it.
    """
    _require_room(temp.parent, reserve + most(content.size))
    written = hashlib.sha256()
    size = 0

    def write(piece: bytes) -> None:
        nonlocal size
        written.update(piece)
        size += len(piece)
        files.write(fd, piece)

    with content.path.open("rb") as file, files.writing(temp) as fd:
        plain = _Hashing(file)
        recipients.encrypt(plain, write)
        if (plain.size, plain.sha256.hexdigest()) != (content.size, content.sha256):
            raise ArchiveError(f"{content.path} was changed by somebody before it was encrypted: it is fetched anew")
    path = temp.with_name(f"{named(written.hexdigest())}.age")
    try:
        files.rename(temp, path)
        files.sync_folder(path.parent)
    except BaseException:
        for left in (temp, path):  # a later run must not find two
            with suppress(OSError):
                files.unlink(left)
        raise
    return Content(path=path, size=size, sha256=written.hexdigest())


class _Hashing:
    """A file that is read, and what has been read of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = 0
        self.sha256 = hashlib.sha256()

    def read(self, size: int) -> bytes:
        piece = self._file.read(size)
        self.size += len(piece)
        self.sha256.update(piece)
        return piece


def _not_a_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _require_room(folder: Path, room: int) -> None:
    """Raise `SpoolFull` when the disk has less than that."""
    space = os.statvfs(folder)
    free = space.f_bavail * space.f_frsize
    if free < room:
        raise SpoolFull(f"only {free // 10**6} MB are free for the spool {folder}")


def _name(clip: ClipId) -> str:
    quoted = quote(clip, safe=":").replace("~", "%7E")
    if len(quoted) > _LONGEST_NAME:
        return _HASHED + hashlib.sha256(clip.encode()).hexdigest()
    return quoted
