"""The spool: only a whole clip becomes a file, and a file stays what it was."""

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from blinkarchive.errors import ArchiveError, BadClip, SpoolFull, Unavailable
from blinkarchive.files import Files
from blinkarchive.interfaces import Body, ClipRef
from blinkarchive.pipeline.spool import Spool, _Writing
from tests.unit.test_mp4 import FTYP, INDEX_LAST, MDAT, MOOV
from tests.unit.test_naming import clip

REF = clip()


def ref(*bodies: bytes, length: int | None = -1, chunk: int = 100, fails: Exception | None = None) -> ClipRef:
    """A clip whose fetches give these bodies, one after the other; `length` is what is announced (-1: the truth)."""
    left = list(bodies)

    @asynccontextmanager
    async def open_body() -> AsyncIterator[Body]:
        data = left.pop(0) if len(left) > 1 else left[0]

        async def chunks() -> AsyncIterator[bytes]:
            for at in range(0, len(data), chunk):
                yield data[at : at + chunk]
            if fails:
                raise fails

        yield Body(length=len(data) if length == -1 else length, type="video/mp4", chunks=chunks())

    return ClipRef(clip=REF, open=open_body)


def whole_files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.endswith(".part")]


async def test_a_whole_clip_becomes_a_file_with_its_size_and_hash(tmp_path: Path) -> None:
    async with Spool(tmp_path / "spool").opened() as spool:
        content = await spool.fill(ref(INDEX_LAST))
        assert content.path.read_bytes() == INDEX_LAST
        assert (content.size, content.sha256) == (len(INDEX_LAST), hashlib.sha256(INDEX_LAST).hexdigest())
        assert content.path.stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
        await spool.release(REF.id)
        assert spool.leftovers == []
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.parametrize(
    "bad",
    [
        ref(INDEX_LAST[:-1]),
        ref(INDEX_LAST[:-1], length=len(INDEX_LAST)),
        ref(INDEX_LAST, length=len(INDEX_LAST) - 1),
        ref(INDEX_LAST, length=10**12),
        ref(b""),
        ref(b"", length=None),
        ref(b'{"message":"Media not found","code":700}'),
        ref(b"<html>" * 1000),
        ref(b"x" * 3, chunk=1),
        ref(INDEX_LAST, fails=BadClip("the connection broke")),
        ref(INDEX_LAST, FTYP + MOOV + MDAT, length=None),
        ref(FTYP + MDAT * 900 + MOOV),
    ],
    ids=[
        "cut",
        "short",
        "long",
        "absurd",
        "empty",
        "empty, no length",
        "json",
        "html",
        "tiny",
        "broken off",
        "two differ",
        "large",
    ],
)
async def test_what_is_not_a_whole_clip_leaves_nothing(tmp_path: Path, bad: ClipRef) -> None:
    async with Spool(tmp_path, largest=500_000).opened() as spool:
        with pytest.raises(BadClip):
            await spool.fill(bad)
        assert spool.leftovers == []
    assert list(tmp_path.iterdir()) == []


async def test_a_clip_without_a_length_is_fetched_twice_and_kept_when_both_agree(tmp_path: Path) -> None:
    async with Spool(tmp_path).opened() as spool:
        content = await spool.fill(ref(INDEX_LAST, length=None))
        assert content.path.read_bytes() == INDEX_LAST


async def test_a_clip_without_a_length_whose_second_fetch_fails_is_not_trusted_later(tmp_path: Path) -> None:
    whole, broken = ref(INDEX_LAST, length=None), ref(INDEX_LAST, length=None, fails=BadClip("the connection broke"))
    opens = iter((whole.open, broken.open))
    async with Spool(tmp_path).opened() as spool:
        with pytest.raises(BadClip, match="broke"):
            await spool.fill(ClipRef(clip=REF, open=lambda: next(opens)()))
        assert spool.leftovers == []
        assert await spool.leftover(REF.id) is None
    assert list(tmp_path.iterdir()) == []


async def test_what_a_killed_run_had_whole_is_found_again_and_the_rest_is_swept(tmp_path: Path) -> None:
    async with Spool(tmp_path).opened() as spool:
        await spool.fill(ref(INDEX_LAST))
    (tmp_path / ".0123456789abcdef.part").write_bytes(b"half")
    async with Spool(tmp_path).opened() as spool:
        assert spool.leftovers == [REF.id]
        content = await spool.leftover(REF.id)
        assert content is not None
        assert content.sha256 == hashlib.sha256(INDEX_LAST).hexdigest()
        assert [path.name for path in tmp_path.iterdir()] == [content.path.name]


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-1], lambda d: d[:-5] + b"xxxxx", lambda d: b""], ids=["cut", "changed", "emptied"]
)
async def test_a_leftover_that_is_no_longer_whole_is_thrown_away(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    async with Spool(tmp_path).opened() as spool:
        content = await spool.fill(ref(INDEX_LAST))
    content.path.write_bytes(damage(INDEX_LAST))
    async with Spool(tmp_path).opened() as spool:
        assert await spool.leftover(REF.id) is None
    assert list(tmp_path.iterdir()) == []


class FailingFiles(Files):
    """Fails the n-th of the calls that change something."""

    def __init__(self, at: int, error: int) -> None:
        self.at = at
        self.error = error

    def _count(self) -> None:
        self.at -= 1
        if self.at == 0:
            raise OSError(self.error, os.strerror(self.error))

    def create(self, path: Path, mode: int = 0o600) -> int:
        self._count()
        return super().create(path, mode)

    def write(self, fd: int, data: bytes | memoryview) -> None:
        self._count()
        super().write(fd, data)

    def sync(self, fd: int) -> None:
        self._count()
        super().sync(fd)

    def rename(self, old: Path, new: Path) -> None:
        self._count()
        super().rename(old, new)


@pytest.mark.parametrize("at", range(1, 12))
async def test_a_disk_that_fails_at_any_step_leaves_no_half_and_heals(tmp_path: Path, at: int) -> None:
    files = FailingFiles(at, errno.ENOSPC)
    async with Spool(tmp_path, files=files).opened() as spool:
        for _ in range(2):
            try:
                content = await spool.fill(ref(INDEX_LAST))
            except SpoolFull:
                assert all(path.read_bytes() == INDEX_LAST for path in tmp_path.iterdir())
        assert content.path.read_bytes() == INDEX_LAST


class NotingFiles(Files):
    """Notes in which order bytes and names are made durable."""

    def __init__(self) -> None:
        self.did: list[str] = []

    def write(self, fd: int, data: bytes | memoryview) -> None:
        self.did.append("write")
        super().write(fd, data)

    def sync(self, fd: int) -> None:
        self.did.append("sync")
        super().sync(fd)

    def rename(self, old: Path, new: Path) -> None:
        self.did.append("rename")
        super().rename(old, new)

    def sync_folder(self, path: Path) -> None:
        self.did.append("sync folder")
        super().sync_folder(path)


async def test_a_clip_is_on_the_disk_before_it_has_its_name_and_its_name_before_it_counts(tmp_path: Path) -> None:
    files = NotingFiles()
    film = FTYP + MDAT * 900 + MOOV
    async with Spool(tmp_path, files=files).opened() as spool:
        content = await spool.fill(ref(film, chunk=100_000))
        assert content.path.read_bytes() == film
        assert files.did[-4:] == ["write", "sync", "rename", "sync folder"]
        assert files.did[:-3] == ["write"] * (len(files.did) - 3)


def test_a_full_spool_is_no_fault_of_the_clip() -> None:
    assert issubclass(SpoolFull, Unavailable)


async def test_an_io_error_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    async with Spool(tmp_path, files=FailingFiles(3, errno.EIO)).opened() as spool:
        with pytest.raises(ArchiveError, match="Input/output error"):
            await spool.fill(ref(INDEX_LAST))
        assert list(tmp_path.iterdir()) == []


async def test_nothing_is_written_when_the_disk_is_nearly_full(tmp_path: Path) -> None:
    async with Spool(tmp_path, reserve=2**62).opened() as spool:
        with pytest.raises(SpoolFull, match="MB are free"):
            await spool.fill(ref(INDEX_LAST))


async def test_a_stop_in_mid_fetch_leaves_nothing(tmp_path: Path) -> None:
    waiting = asyncio.Event()

    def endless() -> AbstractAsyncContextManager[Body]:
        @asynccontextmanager
        async def open_body() -> AsyncIterator[Body]:
            async def chunks() -> AsyncIterator[bytes]:
                yield INDEX_LAST[:100] + b"\0" * 600_000
                waiting.set()
                await asyncio.Event().wait()

            yield Body(length=10**6, type="", chunks=chunks())

        return open_body()

    async with Spool(tmp_path).opened() as spool:
        filling = asyncio.ensure_future(spool.fill(ClipRef(clip=REF, open=endless)))
        await waiting.wait()
        filling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await filling
        assert list(tmp_path.iterdir()) == []


async def test_ids_of_any_length_and_letters_have_a_file_of_their_own(tmp_path: Path) -> None:
    async with Spool(tmp_path).opened() as spool:
        for id in ("local:home:1:2:Käse~/..\\x:2026", "local:" + "x" * 4000):
            one = ref(INDEX_LAST)
            content = await spool.fill(ClipRef(clip=clip(id), open=one.open))
            assert content.path.parent == tmp_path
            assert await spool.leftover(clip(id).id) == content
        assert len(whole_files(tmp_path)) == 2


def test_a_stop_right_after_the_last_step_closes_nobody_elses_file(tmp_path: Path) -> None:
    """A descriptor's number is given to the next file that is opened: closing it twice would close that one."""
    writing = _Writing(tmp_path / ".0.part", Files())
    writing.hold(INDEX_LAST)
    content = writing.finish(lambda _: "name", len(INDEX_LAST))
    others = [os.open(content.path, os.O_RDONLY) for _ in range(20)]
    writing.abandon()
    for fd in others:
        assert os.fstat(fd).st_size == len(INDEX_LAST)
        os.close(fd)
    assert content.path.read_bytes() == INDEX_LAST
