"""What the SFTP sink says of what is stored: never "not there" when it cannot know, and nothing from behind a link."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from blinkarchive import Content, Key, NotFound, Sink, SinkError, SinkUnavailable
from blinkarchive_sftp import open_sftp
from blinkarchive_sftp.sink import SftpSink
from tests.sinks.odd_server import OddServer
from tests.sshd import Sshd


@pytest.fixture
async def odd(tmp_path: Path) -> AsyncIterator[OddServer]:
    (tmp_path / "there").mkdir()
    async with OddServer(tmp_path / "there").serving() as server:
        yield server


@pytest.fixture
async def clips(sshd: Sshd, tmp_path: Path) -> AsyncIterator[tuple[Path, Sink]]:
    """A folder behind OpenSSH, and the sink that it is."""
    async with open_sftp(sshd.options(tmp_path / "clips")) as sink:
        yield tmp_path / "clips", sink


async def read(sink: Sink, key: str, start: int = 0) -> bytes:
    async with sink.open(Key(key), start) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def names(sink: Sink, prefix: str = "") -> list[str]:
    return sorted([stored.key async for stored in sink.list(prefix)])


def content(folder: Path, data: bytes) -> Content:
    path = folder / "content"
    path.write_bytes(data)
    return Content(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())


async def test_a_folder_that_is_gone_makes_nothing_certain(clips: tuple[Path, Sink]) -> None:
    folder, sink = clips
    (folder / "porch").mkdir()
    (folder / "porch" / "clip.mp4").write_bytes(b"a clip")
    assert await sink.stat(Key("porch/clip.mp4")) is not None
    folder.rename(folder.with_name("unmounted"))
    for call in (sink.stat(Key("porch/clip.mp4")), sink.stat(Key("other.mp4")), read(sink, "porch/clip.mp4"), names(sink)):
        with pytest.raises(SinkUnavailable, match="is gone"):
            await call
    with pytest.raises(SinkUnavailable):
        await sink.delete(Key("porch/clip.mp4"))
    with pytest.raises(SinkUnavailable):
        await sink.put(Key("new.mp4"), content(folder.parent, b"new"))
    assert not folder.exists()


async def test_a_folder_below_that_was_removed_is_made_again(clips: tuple[Path, Sink]) -> None:
    folder, sink = clips
    await sink.put(Key("porch/1.mp4"), content(folder.parent, b"one"))
    (folder / "porch" / "1.mp4").unlink()
    (folder / "porch").rmdir()
    await sink.put(Key("porch/2.mp4"), content(folder.parent, b"two"))
    assert (folder / "porch" / "2.mp4").read_bytes() == b"two"


async def test_no_link_leads_out_of_the_folder(clips: tuple[Path, Sink]) -> None:
    folder, sink = clips
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "secret.mp4").write_bytes(b"not ours")
    (folder / "porch").symlink_to(outside)
    (folder / "file.mp4").symlink_to(outside / "secret.mp4")
    for call in (
        sink.stat(Key("porch/secret.mp4")),
        read(sink, "porch/secret.mp4"),
        sink.delete(Key("porch/secret.mp4")),
        sink.put(Key("porch/new.mp4"), content(folder.parent, b"new")),
        names(sink, "porch/"),
        sink.stat(Key("file.mp4")),
        read(sink, "file.mp4"),
        sink.delete(Key("file.mp4")),
    ):
        with pytest.raises(SinkError, match="symbolic link"):
            await call
    assert [path.name for path in outside.iterdir()] == ["secret.mp4"]
    assert await names(sink) == []
    assert isinstance(sink, SftpSink)
    assert ["was skipped: a symbolic link" in note for note in sink.notes] == [True]


async def test_a_link_to_a_file_is_nothing_that_was_stored(clips: tuple[Path, Sink]) -> None:
    folder, sink = clips
    (folder / "real.mp4").write_bytes(b"a clip")
    (folder / "link.mp4").symlink_to(folder / "real.mp4")
    (folder / "dangling.mp4").symlink_to(folder / "nothing")
    assert await names(sink) == ["real.mp4"]


async def test_a_pipe_is_an_error_and_holds_nobody_up(clips: tuple[Path, Sink]) -> None:
    folder, sink = clips
    os.mkfifo(folder / "pipe.mp4")
    async with asyncio.timeout(5):
        with pytest.raises(SinkError, match="neither a file nor a folder"):
            await sink.stat(Key("pipe.mp4"))
        with pytest.raises(SinkError, match="neither a file nor a folder"):
            await read(sink, "pipe.mp4")


async def test_names_that_no_key_can_have_are_left_out(clips: tuple[Path, Sink]) -> None:
    folder, sink = clips
    for name in (b"\xff\xfe.mp4", b"new\nline.mp4", b"fine.mp4"):
        (Path(os.fsdecode(os.fsencode(folder) + b"/" + name))).write_bytes(b"a clip")
    (folder / "lost+found").mkdir()
    (folder / "lost+found" / "1.mp4").write_bytes(b"a piece")
    assert await names(sink) == ["fine.mp4"]


async def test_a_folder_that_may_not_be_listed_is_named_and_is_an_error_where_it_was_asked_for(odd: OddServer) -> None:
    (odd.folder / "porch").mkdir()

    async def denied(_files: object, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        if path.endswith(b"porch"):
            raise asyncssh.SFTPPermissionDenied("Permission denied")
        yield asyncssh.SFTPName(b"porch", attrs=asyncssh.SFTPAttrs.from_local((odd.folder / "porch").stat()))

    odd.instead["scandir"] = denied
    async with open_sftp(odd.options()) as sink:
        assert await names(sink) == []
        assert isinstance(sink, SftpSink)
        assert ["porch was skipped: permission denied" in note for note in sink.notes] == [True]
        with pytest.raises(SinkUnavailable, match="permission denied"):
            await names(sink, "porch/")


async def test_a_listing_that_breaks_off_is_an_error_and_no_short_listing(odd: OddServer) -> None:
    async def broken(_files: object, _path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        (odd.folder / "clip.mp4").touch()
        for number in range(300):
            yield asyncssh.SFTPName(b"%d.mp4" % number, attrs=asyncssh.SFTPAttrs.from_local((odd.folder / "clip.mp4").stat()))
        raise asyncssh.SFTPFailure("Input/output error")

    async with open_sftp(odd.options()) as sink:
        odd.instead["scandir"] = broken
        with pytest.raises(SinkUnavailable, match="Input/output error"):
            await names(sink)


async def test_a_server_that_gives_few_bytes_at_a_time_gives_all_of_them_in_the_end(odd: OddServer) -> None:
    data = os.urandom(700_000)
    (odd.folder / "clip.mp4").write_bytes(data)

    def few(_files: object, file: object, offset: int, size: int) -> bytes:
        return data[offset : offset + min(size, 10_007)]

    odd.instead["read"] = few
    async with open_sftp(odd.options()) as sink:
        assert await read(sink, "clip.mp4") == data
        assert await read(sink, "clip.mp4", 123_457) == data[123_457:]


async def test_a_file_that_was_cut_short_since_gives_what_there_is(odd: OddServer) -> None:
    (odd.folder / "clip.mp4").write_bytes(bytes(2_000_000))
    odd.after["open", 1] = lambda _files: os.truncate(odd.folder / "clip.mp4", 300_000)
    async with open_sftp(odd.options()) as sink:
        assert await read(sink, "clip.mp4") == bytes(300_000)


async def test_a_read_that_fails_is_an_error_and_no_early_end(odd: OddServer) -> None:
    (odd.folder / "clip.mp4").write_bytes(bytes(3_000_000))
    odd.fails("read", 3, asyncssh.SFTPFailure("Input/output error"))
    async with open_sftp(odd.options()) as sink:
        with pytest.raises(SinkUnavailable, match="Input/output error"):
            await read(sink, "clip.mp4")


async def test_a_connection_that_dies_while_reading_is_an_error_and_no_early_end(odd: OddServer) -> None:
    (odd.folder / "clip.mp4").write_bytes(bytes(5_000_000))
    odd.cuts("read", 4)
    async with open_sftp(odd.options()) as sink:
        with pytest.raises(SinkUnavailable, match="connection was lost"):
            await read(sink, "clip.mp4")
        assert len(await read(sink, "clip.mp4")) == 5_000_000


async def test_an_object_that_goes_while_it_is_deleted_is_not_found(odd: OddServer) -> None:
    (odd.folder / "clip.mp4").touch()
    odd.before["remove", 1] = lambda _files: (odd.folder / "clip.mp4").unlink()
    async with open_sftp(odd.options()) as sink:
        with pytest.raises(NotFound):
            await sink.delete(Key("clip.mp4"))


async def test_a_size_that_is_not_told_is_no_size(odd: OddServer) -> None:
    odd.instead["lstat"] = lambda _files, _path: asyncssh.SFTPAttrs(permissions=0o100644)
    async with open_sftp(odd.options()) as sink:
        with pytest.raises(SinkError, match="does not tell the size"):
            await sink.stat(Key("clip.mp4"))


async def test_the_hash_is_left_to_whoever_reads_the_bytes(clips: tuple[Path, Sink]) -> None:
    folder, sink = clips
    (folder / "clip.mp4").write_bytes(b"a clip")
    stored = await sink.stat(Key("clip.mp4"))
    assert stored is not None
    assert (stored.size, stored.sha256) == (6, None)
