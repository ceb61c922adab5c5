"""How the SFTP sink stores: whole or not at all, whenever the connection, the server or its disk fails."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import asyncssh
import pytest

from blinkarchive import AlreadyThere, Content, Key, Sink, SinkError, SinkFull, SinkUnavailable
from blinkarchive.keys import draft_name
from blinkarchive_sftp import open_sftp
from blinkarchive_sftp.drafts import ABANDONED_AFTER, CLOCK
from blinkarchive_sftp.sink import SftpSink
from tests.sinks.odd_server import OddServer, Proxy
from tests.sshd import Sshd

KEY = Key("porch/2026/05/01/porch_20260501T120000Z_0123456789abcdef.mp4")
MB = 1_000_000
STEPS = ["open", "write", "fsync", "fstat", "close", "rename"]


@pytest.fixture
def content(tmp_path: Path) -> Content:
    return contents(tmp_path, MB)


def contents(folder: Path, size: int) -> Content:
    data = os.urandom(size)
    path = folder / f"content-{size}"
    path.write_bytes(data)
    return Content(path=path, size=size, sha256=hashlib.sha256(data).hexdigest())


@pytest.fixture
async def odd(tmp_path: Path) -> AsyncIterator[OddServer]:
    (tmp_path / "there").mkdir()
    async with OddServer(tmp_path / "there").serving() as server:
        yield server


@pytest.fixture
def renamed_over(monkeypatch: pytest.MonkeyPatch, odd: OddServer) -> OddServer:
    """A server whose rename replaces what is there, as some do."""
    odd.instead["rename"] = lambda _files, old, new: os.replace(old, new)
    return odd


def files(folder: Path) -> dict[str, bytes]:
    """All that is in a folder, drafts too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def drafts(folder: Path) -> list[str]:
    return [name for name in files(folder) if ".part" in name]


async def settled(folder: Path) -> None:
    """Wait a moment for what is tidied up beside."""
    until = time.monotonic() + 3
    while drafts(folder) and time.monotonic() < until:
        await asyncio.sleep(0.01)


async def put_to_the_end(sink: Sink, content: Content, key: Key = KEY) -> None:
    """What the archive does: again, until it is stored or there."""
    for _ in range(3):
        try:
            await sink.put(key, content)
        except AlreadyThere:
            return
        except SinkUnavailable:
            continue
        return
    raise AssertionError("three attempts, and not stored")


def only_it(folder: Path, content: Content) -> bool:
    return files(folder) == {KEY: content.path.read_bytes()}


# -- the connection is cut


@pytest.mark.parametrize("answered", [True, False], ids=["before it is done", "before it is answered"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_connection_cut_at_any_step_leaves_nothing_half_visible_and_a_retry_stores_one_copy(
    odd: OddServer, content: Content, step: str, answered: bool
) -> None:
    async with open_sftp(odd.options()) as sink:
        await sink.put(Key("first.mp4"), content)
        await sink.delete(Key("first.mp4"))
        odd.cuts(step, odd.asked[step] + (2 if step == "write" else 1), answered=answered)
        with pytest.raises(SinkUnavailable, match="the connection was lost"):
            await sink.put(KEY, content)
        visible = {name: data for name, data in files(odd.folder).items() if name.endswith(".mp4")}
        assert visible in ({}, {KEY: content.path.read_bytes()})
        await put_to_the_end(sink, content)
        await settled(odd.folder)
    assert only_it(odd.folder, content)


@pytest.mark.parametrize("way", ["to", "back"])
async def test_a_wire_cut_after_any_number_of_bytes_leaves_nothing_half_visible_on_openssh(
    sshd: Sshd, tmp_path: Path, way: str
) -> None:
    folder, small = tmp_path / "clips", contents(tmp_path, 300_000)
    async with Proxy(sshd.port).serving() as proxy:
        known = tmp_path / "known"
        known.write_text(sshd.known_hosts.read_text().replace(str(sshd.port), str(proxy.port)))
        async with open_sftp(sshd.options(folder, port=proxy.port, known_hosts=known, connections=1)) as sink:
            await sink.put(Key("first.mp4"), small)
            proxy.reset()
            await sink.put(Key("second.mp4"), small)
            whole = proxy.sent if way == "to" else proxy.received
            for name in ("first.mp4", "second.mp4"):
                await sink.delete(Key(name))
            cuts = [whole * part // 12 for part in range(12)] + [whole - few for few in (1, 40, 90, 150, 250, 400) if few < whole]
            for number, cut in enumerate(cuts):
                key = Key(f"clip-{number}.mp4")
                proxy.reset(**{way: cut + 1})
                with suppress(AlreadyThere, SinkUnavailable):
                    await sink.put(key, small)
                proxy.reset()
                seen = folder / key
                assert not seen.exists() or seen.read_bytes() == small.path.read_bytes()
                await put_to_the_end(sink, small, key)
                assert seen.read_bytes() == small.path.read_bytes()
            await settled(folder)
    assert sorted(files(folder)) == sorted(f"clip-{number}.mp4" for number in range(len(cuts)))


async def test_a_dead_connection_fails_what_is_on_it_and_the_next_call_connects_anew(sshd: Sshd, tmp_path: Path) -> None:
    small = contents(tmp_path, 1000)
    async with open_sftp(sshd.options(tmp_path / "clips")) as sink:
        await sink.put(KEY, small)
        sshd.cut()
        await asyncio.sleep(0.2)
        assert await sink.stat(KEY) is not None
        sshd.stop()
        await asyncio.sleep(0.2)
        with pytest.raises(SinkUnavailable, match="cannot be reached"):
            await sink.stat(KEY)
        sshd.start()
        assert await sink.stat(KEY) is not None


async def test_of_two_connections_one_that_dies_takes_only_its_own_calls_with_it(odd: OddServer, tmp_path: Path) -> None:
    content = contents(tmp_path, 50_000)

    async def slowly(_files: object) -> None:
        await asyncio.sleep(0.3)

    async with open_sftp(odd.options(connections=2)) as sink:
        await sink.put(Key("first.mp4"), content)
        odd.before["fsync", 0] = slowly
        puts = [asyncio.create_task(sink.put(Key(f"{n}.mp4"), content)) for n in range(4)]
        await asyncio.sleep(0.15)
        assert len(odd.connections) == 2
        next(iter(odd.connections)).abort()
        outcomes = await asyncio.gather(*puts, return_exceptions=True)
        lost = [outcome for outcome in outcomes if isinstance(outcome, SinkUnavailable)]
        assert 0 < len(lost) < 4
        assert all(outcome is None for outcome in outcomes if outcome not in lost)


async def test_a_put_that_is_cancelled_at_any_step_leaves_nothing_behind(odd: OddServer, content: Content) -> None:
    async with open_sftp(odd.options()) as sink:
        await sink.put(Key("first.mp4"), content)
        await sink.delete(Key("first.mp4"))
        for step in STEPS:
            reached = asyncio.Event()

            async def hold(_files: object, reached: asyncio.Event = reached) -> None:
                reached.set()
                await asyncio.sleep(0.1)

            odd.before[step, 0] = hold
            put = asyncio.create_task(sink.put(KEY, content))
            await reached.wait()
            put.cancel()
            began = time.monotonic()
            with pytest.raises(asyncio.CancelledError):
                await put
            assert time.monotonic() - began < 0.09
            del odd.before[step, 0]
            await settled(odd.folder)
            assert drafts(odd.folder) == []
            if step == "rename":
                await asyncio.sleep(0.2)
            (odd.folder / KEY).unlink(missing_ok=True)
        await sink.put(KEY, content)
    assert only_it(odd.folder, content)


async def test_no_handle_stays_open_at_the_server(odd: OddServer, content: Content) -> None:
    async with open_sftp(odd.options()) as sink:
        for number in range(5):
            await sink.put(Key(f"{number}.mp4"), content)
            odd.fails("write", odd.asked["write"] + 2, asyncssh.SFTPFailure("no"))
            with pytest.raises(SinkError):
                await sink.put(Key("bad.mp4"), content)
            async with sink.open(Key(f"{number}.mp4")) as chunks:
                await anext(aiter(chunks))
        await asyncio.sleep(0.1)
        assert odd.asked["open"] == odd.asked["close"]


# -- the server fails


@pytest.mark.parametrize("number", [1, 2, 4])
async def test_a_write_that_fails_fails_the_put_even_when_others_after_it_went_well(
    odd: OddServer, content: Content, number: int
) -> None:
    async with open_sftp(odd.options()) as sink:
        odd.fails("write", number, asyncssh.SFTPFailure("Failure"))
        with pytest.raises(SinkUnavailable, match="the server says only: Failure"):
            await sink.put(KEY, content)
        assert files(odd.folder) == {}
        assert await sink.stat(KEY) is None
        await sink.put(KEY, content)
    assert only_it(odd.folder, content)


async def test_a_write_that_fails_early_in_a_long_clip_is_noticed_though_many_follow(odd: OddServer, tmp_path: Path) -> None:
    """The file has its full length all the same, with a hole in it."""
    long = contents(tmp_path, 8 * MB)
    async with open_sftp(odd.options()) as sink:
        odd.fails("write", 2, asyncssh.SFTPFailure("Failure"))
        with pytest.raises(SinkUnavailable, match="the server says only: Failure"):
            await sink.put(KEY, long)
        assert files(odd.folder) == {}


@pytest.mark.parametrize("step", ["fsync", "fstat", "close"])
async def test_a_file_that_could_not_be_made_safe_is_not_stored(odd: OddServer, content: Content, step: str) -> None:
    async with open_sftp(odd.options()) as sink:
        await sink.put(Key("first.mp4"), content)
        odd.fails(step, odd.asked[step] + 1, asyncssh.SFTPFailure("Input/output error"))
        with pytest.raises(SinkUnavailable):
            await sink.put(KEY, content)
        await settled(odd.folder)
        assert list(files(odd.folder)) == ["first.mp4"]


async def test_every_put_is_flushed_at_the_server_before_it_has_its_name(odd: OddServer, content: Content) -> None:
    names: list[bool] = []
    odd.before["fsync", 0] = lambda _files: names.append((odd.folder / KEY).exists())
    async with open_sftp(odd.options()) as sink:
        await sink.put(KEY, content)
    assert names == [False]


async def test_a_server_without_flushing_is_taken_at_its_word(odd: OddServer, content: Content) -> None:
    odd.fails("fsync", 0, asyncssh.SFTPOpUnsupported("no fsync here"))
    async with open_sftp(odd.options()) as sink:
        await sink.put(KEY, content)
    assert only_it(odd.folder, content)


async def test_a_server_that_stores_fewer_bytes_than_it_says_is_found_out(odd: OddServer, content: Content) -> None:
    odd.instead["write"] = lambda _files, file, offset, data: file.seek(offset) or file.write(data[:-1]) or len(data)
    async with open_sftp(odd.options()) as sink:
        with pytest.raises(SinkError, match="should have been"):
            await sink.put(KEY, content)
        assert files(odd.folder) == {}


@pytest.mark.parametrize("words", ["No space left on device", "Disk quota exceeded", "filesystem full"])
async def test_a_server_that_says_it_is_full_is_full(odd: OddServer, content: Content, words: str) -> None:
    async with open_sftp(odd.options()) as sink:
        odd.fails("write", 2, asyncssh.SFTPFailure(words))
        with pytest.raises(SinkFull):
            await sink.put(KEY, content)
        assert files(odd.folder) == {}


async def test_a_failure_without_words_on_a_disk_without_room_is_a_full_disk(odd: OddServer, content: Content) -> None:
    def crowded(_files: object, _path: bytes) -> object:
        return asyncssh.SFTPVFSAttrs(bsize=4096, frsize=4096, blocks=1000, bfree=0, bavail=0, files=1000, ffree=10, favail=10)

    odd.instead["statvfs"] = crowded
    async with open_sftp(odd.options()) as sink:
        odd.fails("open", 1, asyncssh.SFTPFailure("Failure"))
        odd.fails("write", 2, asyncssh.SFTPFailure("Failure"))
        for _ in range(2):
            with pytest.raises(SinkFull, match="no room is left"):
                await sink.put(KEY, content)


async def test_a_full_disk_behind_openssh_is_a_full_sink_and_heals(sshd: Sshd, tmp_path: Path, small_disk: Path) -> None:
    big = contents(tmp_path, 3 * MB)
    async with open_sftp(sshd.options(small_disk)) as sink:
        with pytest.raises(SinkFull, match="no room"):
            await sink.put(KEY, big)
        assert files(small_disk) == {}
        small = contents(tmp_path, 100_000)
        await sink.put(KEY, small)
    assert only_it(small_disk, small)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB, where whoever runs the tests may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.xfail("no file system can be mounted here; a server that is made to say so is tested above")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


async def test_what_may_not_be_written_is_told_as_permission_and_not_as_absence(odd: OddServer, content: Content) -> None:
    async with open_sftp(odd.options()) as sink:
        await sink.put(KEY, content)
        denied = asyncssh.SFTPPermissionDenied("Permission denied")
        for operation in ("lstat", "open", "remove"):
            odd.fails(operation, 0, denied)
        with pytest.raises(SinkUnavailable, match="permission denied"):
            await sink.stat(KEY)
        with pytest.raises(SinkUnavailable, match="permission denied"):
            async with sink.open(KEY):
                pass
        with pytest.raises(SinkUnavailable, match="permission denied"):
            await sink.delete(KEY)
        with pytest.raises(SinkUnavailable, match="permission denied"):
            await sink.put(Key("other.mp4"), content)


# -- nothing is overwritten


async def test_a_name_that_is_taken_in_the_last_moment_is_not_overwritten(odd: OddServer, content: Content) -> None:
    def steal(_files: object) -> None:
        (odd.folder / KEY).write_bytes(b"somebody else's")

    async with open_sftp(odd.options()) as sink:
        await sink.put(Key("first.mp4"), content)
        odd.before["rename", odd.asked["rename"] + 1] = steal
        with pytest.raises(AlreadyThere):
            await sink.put(KEY, content)
        await settled(odd.folder)
    assert files(odd.folder) == {"first.mp4": content.path.read_bytes(), KEY: b"somebody else's"}


async def test_openssh_is_never_asked_to_rename_over(odd: OddServer, content: Content) -> None:
    odd.instead["posix_rename"] = lambda *_arguments: pytest.fail("posix-rename replaces what is there")
    async with open_sftp(odd.options()) as sink:
        await sink.put(KEY, content)
    assert odd.asked["rename"] == 2, "one to find out how this server renames, one for the clip"


async def test_where_renaming_replaces_a_hard_link_gives_the_name(renamed_over: OddServer, content: Content) -> None:
    odd = renamed_over

    def steal(_files: object) -> None:
        (odd.folder / KEY).write_bytes(b"somebody else's")

    async with open_sftp(odd.options()) as sink:
        await sink.put(KEY, content)
        assert only_it(odd.folder, content)
        await sink.delete(KEY)
        odd.before["link", odd.asked["link"] + 1] = steal
        with pytest.raises(AlreadyThere):
            await sink.put(KEY, content)
        await settled(odd.folder)
    assert files(odd.folder) == {KEY: b"somebody else's"}
    assert odd.asked["rename"] == 1


async def test_where_neither_refuses_nothing_is_stored(renamed_over: OddServer, content: Content) -> None:
    renamed_over.fails("link", 0, asyncssh.SFTPOpUnsupported("no links"))
    async with open_sftp(renamed_over.options()) as sink:
        with pytest.raises(SinkUnavailable, match="lets a rename replace what is there"):
            await sink.put(KEY, content)
    assert files(renamed_over.folder) == {}


# -- leftovers


@pytest.fixture
def nothing_is_deleted(odd: OddServer) -> OddServer:
    odd.fails("remove", 0, asyncssh.SFTPPermissionDenied("Permission denied"))
    return odd


def an_hour_passes(folder: Path) -> None:
    for file in folder.glob(".blinkarchive-*.part"):
        os.utime(file, (time.time() - 3600,) * 2)


async def test_where_nothing_may_be_deleted_runs_leave_no_more_files_than_the_first(
    nothing_is_deleted: OddServer, content: Content
) -> None:
    folder = nothing_is_deleted.folder
    counts = []
    for number in range(5):
        async with open_sftp(nothing_is_deleted.options()) as sink:
            await sink.put(Key(f"{number}.mp4"), content)
            await sink.put(Key(f"{number}-2.mp4"), content)
        counts.append(len(drafts(folder)))
        assert sum(file.stat().st_size for file in folder.glob("*.part")) <= 1
        an_hour_passes(folder)
    assert max(counts) == counts[-1] <= 3, counts
    async with open_sftp(nothing_is_deleted.options()) as sink:
        assert len([stored.key async for stored in sink.list()]) == 10
        for number in range(5):
            async with sink.open(Key(f"{number}.mp4")) as chunks:
                assert b"".join([chunk async for chunk in chunks]) == content.path.read_bytes()


async def test_where_nothing_may_be_deleted_failed_puts_use_empty_files_again(
    nothing_is_deleted: OddServer, content: Content
) -> None:
    odd = nothing_is_deleted
    async with open_sftp(odd.options()) as sink:
        for number in range(5):
            odd.fails("write", odd.asked["write"] + 2, asyncssh.SFTPFailure("no"))
            with pytest.raises(SinkError):
                await sink.put(Key(f"{number}.mp4"), content)
        assert len(drafts(odd.folder)) <= 2
        assert sum(file.stat().st_size for file in odd.folder.glob("*.part")) == 0
        await sink.put(KEY, content)
    assert (odd.folder / KEY).read_bytes() == content.path.read_bytes()


async def test_of_what_an_earlier_run_left_only_what_is_empty_and_old_is_used_again(
    nothing_is_deleted: OddServer, content: Content
) -> None:
    odd = nothing_is_deleted
    empty, young, clip = (odd.folder / f".blinkarchive-{letter * 16}.part" for letter in "abc")
    for file, text in ((empty, b""), (young, b""), (clip, b"a clip has this as its second name")):
        file.write_bytes(text)
    for file in (empty, clip):
        os.utime(file, (time.time() - ABANDONED_AFTER - 60,) * 2)
    async with open_sftp(odd.options()) as sink:
        await sink.put(KEY, content)
    assert not empty.exists()
    assert young.exists()
    assert clip.read_bytes() == b"a clip has this as its second name"
    assert (odd.folder / KEY).read_bytes() == content.path.read_bytes()


async def test_a_server_that_is_refused_keeps_no_more_files_than_after_the_first_run(
    renamed_over: OddServer, content: Content
) -> None:
    odd = renamed_over
    odd.fails("link", 0, asyncssh.SFTPOpUnsupported("no links"))
    odd.fails("remove", 0, asyncssh.SFTPPermissionDenied("Permission denied"))
    for _ in range(4):
        async with open_sftp(odd.options()) as sink:
            with pytest.raises(SinkUnavailable, match="lets a rename replace what is there"):
                await sink.put(KEY, content)
        assert len(files(odd.folder)) <= 4
        an_hour_passes(odd.folder)


async def test_hard_links_are_not_used_where_the_first_name_could_not_be_removed(
    renamed_over: OddServer, content: Content
) -> None:
    renamed_over.fails("remove", 0, asyncssh.SFTPPermissionDenied("Permission denied"))
    async with open_sftp(renamed_over.options()) as sink:
        with pytest.raises(SinkUnavailable, match="removes no file"):
            await sink.put(KEY, content)


async def test_a_link_under_the_name_of_the_clock_file_is_not_followed(nothing_is_deleted: OddServer, content: Content) -> None:
    other = nothing_is_deleted.folder.parent / "other"
    other.write_bytes(b"not ours")
    (nothing_is_deleted.folder / CLOCK).symlink_to(other)
    (nothing_is_deleted.folder / draft_name()).touch()
    async with open_sftp(nothing_is_deleted.options()) as sink:
        await sink.put(KEY, content)
    assert other.read_bytes() == b"not ours"


async def test_leftovers_of_killed_runs_go_when_they_are_a_day_old_by_the_servers_clock(sshd: Sshd, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    old, young, other = (folder / f".blinkarchive-{letter * 16}.part" for letter in "abc")
    strange = folder / "old.part"
    for file in (old, young, other, strange):
        file.write_bytes(b"half a clip")
        os.utime(file, (time.time() - ABANDONED_AFTER - 60,) * 2)
    os.utime(young, (time.time() - ABANDONED_AFTER + 600,) * 2)
    async with open_sftp(sshd.options(folder)) as sink:
        assert [stored.key async for stored in sink.list()] == ["old.part"]
    assert sorted(files(folder)) == [young.name, strange.name]


async def test_leftovers_that_cannot_be_removed_do_not_matter(odd: OddServer, content: Content) -> None:
    old = odd.folder / f".blinkarchive-{'a' * 16}.part"
    old.write_bytes(b"half a clip")
    os.utime(old, (0, 0))
    odd.fails("remove", 2, asyncssh.SFTPPermissionDenied("no"))
    async with open_sftp(odd.options()) as sink:
        await sink.put(KEY, content)
    assert (odd.folder / KEY).exists()


async def test_what_is_written_must_not_have_existed_and_is_never_opened_again(odd: OddServer, content: Content) -> None:
    written: list[int] = []

    def opened(files: asyncssh.SFTPServer, path: bytes, flags: int, attributes: asyncssh.SFTPAttrs) -> object:
        if flags & asyncssh.FXF_WRITE:
            written.append(flags)
        return asyncssh.SFTPServer.open(files, path, flags, attributes)

    odd.instead["open"] = opened
    async with open_sftp(odd.options()) as sink:
        await sink.put(KEY, content)
    assert written
    assert all(flags & asyncssh.FXF_EXCL and flags & asyncssh.FXF_CREAT and not flags & asyncssh.FXF_TRUNC for flags in written)


async def test_a_draft_is_not_called_like_a_clip(odd: OddServer, content: Content) -> None:
    seen: list[str] = []
    odd.before["fsync", 0] = lambda _files: seen.extend(drafts(odd.folder))
    async with open_sftp(odd.options()) as sink:
        await sink.put(KEY, content)
    assert len(seen) == 1
    assert not seen[0].endswith(".mp4")


async def test_a_killed_sink_leaves_a_draft_that_listings_do_not_show(odd: OddServer, content: Content) -> None:
    (odd.folder / f".blinkarchive-{'a' * 16}.part").write_bytes(b"half a clip")
    async with open_sftp(odd.options()) as sink:
        assert [stored.key async for stored in sink.list()] == []


# -- memory and speed


async def test_only_so_many_bytes_are_on_their_way(odd: OddServer, tmp_path: Path) -> None:
    """A server that takes nothing is sent no more than the window of one connection, however many puts wait."""
    big = contents(tmp_path, 8 * MB)
    async with open_sftp(odd.options()) as sink:
        assert isinstance(sink, SftpSink)
        await sink.put(Key("first.mp4"), contents(tmp_path, 10))
        never = asyncio.Event()

        async def hold(_files: object) -> None:
            await never.wait()

        odd.before["write", 0] = hold
        puts = [asyncio.create_task(sink.put(Key(f"{n}.mp4"), big)) for n in range(4)]
        await asyncio.sleep(0.5)
        async with sink._pool.session() as session:
            assert session.places.locked()
            assert session.write_block * len(sending(session)) <= 2 * 1024 * 1024
        for put in puts:
            put.cancel()
        await asyncio.gather(*puts, return_exceptions=True)
        never.set()


def sending(session: object) -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if "SFTPClientFile.write" in repr(task.get_coro())]


async def test_a_slow_server_holds_up_nobody_else(odd: OddServer, content: Content) -> None:
    async def slowly(_files: object) -> None:
        await asyncio.sleep(0.05)

    async with open_sftp(odd.options()) as sink:
        odd.before["write", 0] = slowly
        put = asyncio.create_task(sink.put(KEY, content))
        longest, last = 0.0, time.monotonic()
        while not put.done():
            await asyncio.sleep(0.005)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        await put
    assert longest < 0.5
