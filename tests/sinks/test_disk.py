"""What the disk sink promises beyond the contract: its folder and no other, faults at every step, leftovers, modes, and room."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from blinkarchive import (
    AlreadyThere,
    BadKey,
    ConfigError,
    Content,
    Key,
    NotFound,
    Sink,
    SinkError,
    SinkFull,
    SinkUnavailable,
)
from blinkarchive.conformance import MakeContent
from blinkarchive.files import Files
from blinkarchive.keys import draft_name
from blinkarchive_disk import DiskOptions, open_disk
from blinkarchive_disk.renaming import rename_new
from blinkarchive_disk.sink import THREADS, DiskSink
from blinkarchive_disk.sizes import size_of
from blinkarchive_disk.store import PAGE, Store
from tests.sinks.file_systems import Copying, Unlinked

KEY = Key("porch/2026/05/clip.mp4")
SIZE = 600_000
DRAFT = ".blinkarchive-0123456789abcdef.part"
NOT_KEYS = [
    "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/.", "a\0b", "a\nb", "a\x7fb", "a\x85b", "\udcff",
    "x" * 256, "y/" * 600, DRAFT, f"a/{DRAFT}",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "clips"
    path.mkdir()
    return path


def options(folder: Path, min_free: int | str = 0) -> DiskOptions:
    return DiskOptions(path=str(folder), min_free=min_free)


async def names(sink: Sink, prefix: str = "") -> list[str]:
    return sorted([stored.key async for stored in sink.list(prefix)])


async def read(sink: Sink, key: Key) -> bytes:
    async with sink.open(key) as chunks:
        return b"".join([chunk async for chunk in chunks])


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


# -- file systems to meet


class Step(Copying):
    """Does something before every operation, told its name; `Copying` makes it take the longest way."""

    def __init__(self, before: Callable[[str, Path | int], None]) -> None:
        self.before = before

    def create(self, path: Path, mode: int = 0o600) -> int:
        self.before("create", path)
        return super().create(path, mode)

    def write(self, fd: int, data: bytes | memoryview) -> None:
        self.before("write", fd)
        super().write(fd, data)

    def sync(self, fd: int) -> None:
        self.before("sync", fd)
        super().sync(fd)

    def sync_folder(self, path: Path) -> None:
        self.before("sync_folder", path)
        super().sync_folder(path)

    def link(self, existing: Path, new: Path) -> None:
        self.before("link", new)
        super().link(existing, new)

    def rename(self, old: Path, new: Path) -> None:
        self.before("rename", new)
        super().rename(old, new)

    def unlink(self, path: Path) -> None:
        self.before("unlink", path)
        super().unlink(path)


class StepThatLinks(Step):
    """The same where contents can be linked."""

    def link(self, existing: Path, new: Path) -> None:
        self.before("link", new)
        Files.link(self, existing, new)


class StepWithoutLinks(Step):
    """The same where nothing can be linked."""

    def link(self, existing: Path, new: Path) -> None:
        self.before("link", new)
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), str(new))


WAYS: list[type[Step]] = [Step, StepThatLinks, StepWithoutLinks]


class Killed(BaseException):
    """The process is gone: nothing it would do after that happens."""


def at_step(number: int, error: BaseException, *, for_good: bool = False) -> Callable[[str, Path | int], None]:
    """Raise at the n-th operation, and if wanted at all that follow."""
    count = iter(range(1, 1_000_000))

    def before(_name: str, _what: Path | int) -> None:
        step = next(count)
        if step == number or (for_good and step > number):
            raise error

    return before


async def put_with(folder: Path, files: Files, content: Content) -> BaseException | None:
    """Put into a sink over these files; what it raised."""
    try:
        async with open_disk(options(folder), files) as sink:
            await sink.put(KEY, content)
    except BaseException as error:  # noqa: BLE001  # a killed process is one, too
        return error
    return None


async def healed(folder: Path, content: Content, data: bytes) -> None:
    """Whatever happened, nothing half is visible, and the next run stores the clip and tidies up."""
    async with open_disk(options(folder)) as sink:
        for stored in [stored async for stored in sink.list()]:
            assert stored.size == content.size
        with suppress(AlreadyThere):
            await sink.put(KEY, content)
        assert await read(sink, KEY) == data
    assert everything_in(folder) == [KEY]


# -- faults


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, SinkFull),
        (errno.EDQUOT, SinkFull),
        (errno.EIO, SinkUnavailable),
        (errno.EROFS, SinkUnavailable),
        (errno.ESTALE, SinkUnavailable),
        (errno.ENOTCONN, SinkUnavailable),
    ],
    ids=errno.errorcode.get,
)
async def test_a_fault_at_any_step_stores_nothing_half_and_heals(
    folder: Path, make_content: MakeContent, way: type[Step], number: int, kind: type[SinkError]
) -> None:
    content = make_content(SIZE)
    data = content.path.read_bytes()
    raised = []
    for step in range(1, 100):
        trouble = await put_with(folder, way(at_step(step, OSError(number, os.strerror(number)))), content)
        if trouble is not None:
            assert type(trouble) is kind, f"step {step}: {trouble!r}"
            assert str(folder) in str(trouble)
            assert isinstance(trouble.__cause__, OSError)
            raised.append(step)
        await healed(folder, content, data)
        async with open_disk(options(folder)) as sink:
            await sink.delete(KEY)
        if trouble is None and step > 8:
            break
    assert len(raised) >= (3 if way is StepThatLinks else 5)


@pytest.mark.parametrize("way", WAYS)
async def test_a_run_killed_at_any_step_leaves_nothing_half_and_the_next_one_tidies_up(
    folder: Path, make_content: MakeContent, way: type[Step]
) -> None:
    content = make_content(SIZE)
    data = content.path.read_bytes()
    left_behind = 0
    for step in range(1, 100):
        trouble = await put_with(folder, way(at_step(step, Killed(), for_good=True)), content)
        left_behind += any(name.endswith(".part") for name in everything_in(folder))
        await healed(folder, content, data)
        async with open_disk(options(folder)) as sink:
            await sink.delete(KEY)
        if trouble is None:
            break
    assert step > 3
    assert left_behind > 0 or way is StepThatLinks


async def test_a_full_disk_heals_when_there_is_room_again(folder: Path, make_content: MakeContent) -> None:
    content = make_content(SIZE)
    room = 0

    def before(name: str, _what: Path | int) -> None:
        nonlocal room
        if name == "write":
            room -= 1
            if room < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with open_disk(options(folder), Step(before)) as sink:
        for room in range(4):
            if room < 3:
                with pytest.raises(SinkFull):
                    await sink.put(KEY, content)
                assert everything_in(folder) == []
            else:
                await sink.put(KEY, content)
        assert await names(sink) == [KEY]


@pytest.mark.parametrize("change", [-1, 1])
async def test_a_content_that_changes_while_it_is_copied_is_refused(folder: Path, make_content: MakeContent, change: int) -> None:
    content = make_content(SIZE)

    def before(name: str, _what: Path | int) -> None:
        if name == "create":
            os.truncate(content.path, SIZE + change)

    async with open_disk(options(folder), Step(before)) as sink:
        with pytest.raises(SinkError, match="should have been"):
            await sink.put(KEY, content)
    assert everything_in(folder) == []


# -- order and durability


async def test_bytes_are_durable_before_the_name_and_the_name_before_put_returns(folder: Path, make_content: MakeContent) -> None:
    done: list[str] = []

    def before(name: str, what: Path | int) -> None:
        done.append(f"{name} {what.relative_to(folder)}" if name in ("sync_folder", "link") and isinstance(what, Path) else name)

    async with open_disk(options(folder), Step(before)) as sink:
        await sink.put(KEY, make_content(10))
    assert done == [
        "sync_folder .",
        "sync_folder porch",
        "sync_folder porch/2026",
        f"link {KEY}",  # which is refused: the content cannot be linked
        "create",
        "write",
        "sync",
        f"link {KEY}",
        "unlink",
        "sync_folder porch/2026/05",
    ]


async def test_folders_that_another_run_made_are_secured_too(folder: Path, make_content: MakeContent) -> None:
    (folder / KEY).parent.mkdir(parents=True)
    synced: list[str] = []

    def before(name: str, what: Path | int) -> None:
        if name == "sync_folder" and isinstance(what, Path):
            synced.append(str(what.relative_to(folder)))

    async with open_disk(options(folder), Step(before)) as sink:
        await sink.put(KEY, make_content(10))
        await sink.put(Key("porch/2026/05/other.mp4"), make_content(10))
    assert synced == [".", "porch", "porch/2026", "porch/2026/05", "porch/2026/05"]


async def test_what_is_there_already_is_made_durable_before_it_is_said_to_be_there(
    folder: Path, make_content: MakeContent
) -> None:
    (folder / "clip.mp4").write_bytes(b"by a run that died before it could secure it")
    done: list[str] = []
    async with open_disk(options(folder), Step(lambda name, _: done.append(name))) as sink:
        with pytest.raises(AlreadyThere):
            await sink.put(Key("clip.mp4"), make_content(10))
    assert done == ["link", "sync", "sync_folder"], "the link was refused, and what stands there secured"


async def test_eight_flushes_run_side_by_side(folder: Path, make_content: MakeContent) -> None:
    together = threading.Barrier(8)

    def before(name: str, _what: Path | int) -> None:
        if name == "sync":
            together.wait(timeout=20)

    async with open_disk(options(folder), Step(before)) as sink, asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(sink.put(Key(f"{number}.mp4"), make_content(10)))


async def test_a_file_system_that_cannot_sync_folders_is_no_failure(folder: Path, make_content: MakeContent) -> None:
    def before(name: str, _what: Path | int) -> None:
        if name == "sync_folder":
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    async with open_disk(options(folder), Step(before)) as sink:
        await sink.put(KEY, make_content(10))
        assert await names(sink) == [KEY]


# -- linking, and what to do without


async def test_a_content_on_the_same_file_system_is_linked_and_takes_no_room(folder: Path, make_content: MakeContent) -> None:
    content = make_content(10)
    async with open_disk(options(folder)) as sink:
        await sink.put(KEY, content)
    assert (folder / KEY).samefile(content.path)


EVERY_WAY = pytest.mark.parametrize("files", [Files(), Copying(), Unlinked()], ids=lambda files: type(files).__name__)
"""By a link, by a copy, and by a copy that is renamed."""

GROUP = 54321


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@EVERY_WAY
@pytest.mark.parametrize(
    ("file_mode", "file", "inner"), [(None, 0o600, 0o700), ("0640", 0o640, 0o750), ("664", 0o664, 0o775), ("0644", 0o644, 0o755)]
)
async def test_the_config_and_not_the_umask_decides_who_may_read(
    folder: Path, make_content: MakeContent, files: Files, umask: int, file_mode: str | None, file: int, inner: int
) -> None:
    async with open_disk(replace(options(folder), file_mode=file_mode), files) as sink:
        await sink.put(Key("porch/clip.mp4"), make_content(10))
    assert (mode(folder / "porch/clip.mp4"), mode(folder / "porch")) == (file, inner)


@EVERY_WAY
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder to any group")
async def test_the_members_of_a_folders_group_can_read_its_clips(
    folder: Path, make_content: MakeContent, files: Files, umask: int
) -> None:
    folder.mkdir(exist_ok=True)
    os.chown(folder, -1, GROUP)
    folder.chmod(0o2770)
    async with open_disk(options(folder), files) as sink:
        await sink.put(Key("porch/clip.mp4"), make_content(10))
        await sink.put(Key("clip.mp4"), make_content(11))
    for clip in (folder / "porch/clip.mp4", folder / "clip.mp4"):
        assert (mode(clip), clip.stat().st_gid) == (0o640, GROUP)
    assert (mode(folder / "porch"), (folder / "porch").stat().st_gid) == (0o2750, GROUP)
    assert mode(folder) == 0o2770, "a folder that exists keeps its mode"


@EVERY_WAY
async def test_what_a_default_acl_grants_is_granted(folder: Path, make_content: MakeContent, files: Files, umask: int) -> None:
    folder.mkdir(exist_ok=True)
    reader = 4242
    entries = [(0x01, 6, -1), (0x02, 5, reader), (0x04, 5, -1), (0x10, 5, -1), (0x20, 0, -1)]
    packed = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(folder, "system.posix_acl_default", packed)
    except OSError as error:
        pytest.skip(f"this file system has no ACLs: {error}")
    async with open_disk(options(folder), files) as sink:
        await sink.put(Key("porch/clip.mp4"), make_content(10))
    acl = os.getxattr(folder / "porch/clip.mp4", "system.posix_acl_access")
    granted = [struct.unpack_from("<HHi", acl, at) for at in range(4, len(acl), 8)]
    assert (0x02, 5, reader) in granted, "the entry is inherited"
    assert [allowed for tag, allowed, _ in granted if tag == 0x10] == [4], "and its mask lets it read"


async def test_a_content_that_two_sinks_want_in_two_modes_has_both(
    folder: Path, make_content: MakeContent, tmp_path: Path
) -> None:
    content = make_content(10)
    for name, wanted in (("one", None), ("two", "0640"), ("three", "0600")):
        async with open_disk(replace(options(tmp_path / name), file_mode=wanted)) as sink:
            await sink.put(KEY, content)
    assert [mode(tmp_path / name / KEY) for name in ("one", "two", "three")] == [0o600, 0o640, 0o600]


@pytest.mark.parametrize("wrong", ["0400", "0200", "0755", "4640", "640 ", "", "rw-r-----", "0o640", "99999", "0640\n"])
async def test_a_file_mode_that_makes_no_sense_is_refused(folder: Path, wrong: str) -> None:
    with pytest.raises(ConfigError, match="file_mode"):
        async with open_disk(replace(options(folder), file_mode=wrong)):
            pass


@EVERY_WAY
async def test_a_file_system_without_modes_stores_all_the_same(
    folder: Path, make_content: MakeContent, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "no modes here")

    monkeypatch.setattr(os, "fchmod", refuse)
    monkeypatch.setattr(os, "chmod", refuse)
    async with open_disk(replace(options(folder), file_mode="0660"), files) as sink:
        await sink.put(Key("porch/clip.mp4"), make_content(10))
        assert await names(sink) == ["porch/clip.mp4"]


async def test_a_link_that_succeeded_though_its_answer_was_lost_is_a_success(folder: Path, make_content: MakeContent) -> None:
    class Forgetful(Copying):
        def link(self, existing: Path, new: Path) -> None:
            super().link(existing, new)
            raise FileExistsError(errno.EEXIST, "the request was repeated", str(new))

    async with open_disk(options(folder), Forgetful()) as sink:
        await sink.put(KEY, make_content(10))
    assert everything_in(folder) == [KEY]


def test_renaming_to_a_taken_name_is_refused_by_the_system(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).write_text(name)
    with suppress(FileExistsError):
        rename_new(tmp_path / "old", tmp_path / "new")
    assert (tmp_path / "new").read_text() == "new"
    rename_new(tmp_path / "old", tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "other"]


async def test_without_links_and_renames_that_refuse_those_who_store_take_turns(folder: Path, make_content: MakeContent) -> None:
    def rename(old: Path, new: Path) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(old), None, str(new))

    pool = ThreadPoolExecutor(THREADS)
    stores = [Store(folder, files=Unlinked(), min_free=0, mode=0o644, rename=rename) for _ in range(2)]
    try:
        for store in stores:
            store.open()
        sinks = [DiskSink(store, pool) for store in stores]
        for turn in range(10):
            contents = [make_content(20_000 + number) for number in range(8)]
            key = Key(f"{turn}.mp4")
            ended = await asyncio.gather(
                *(sinks[number % 2].put(key, content) for number, content in enumerate(contents)), return_exceptions=True
            )
            winners = [content for content, end in zip(contents, ended, strict=True) if end is None]
            assert len(winners) == 1
            assert {type(end) for end in ended} == {type(None), AlreadyThere}
            assert await read(sinks[0], key) == winners[0].path.read_bytes()
    finally:
        pool.shutdown()
        for store in stores:
            store.close()
    assert everything_in(folder) == sorted(f"{turn}.mp4" for turn in range(10))


# -- room


async def test_the_floor_is_kept_before_anything_is_written(folder: Path, make_content: MakeContent) -> None:
    async with open_disk(options(folder, "900 TB")) as sink:
        with pytest.raises(SinkFull, match="min_free"):
            await sink.put(KEY, make_content(10))
    assert list(folder.iterdir()) == []


async def test_what_is_there_already_is_there_however_full_the_disk(folder: Path, make_content: MakeContent) -> None:
    (folder / "clip.mp4").write_bytes(b"x")
    async with open_disk(options(folder, "900 TB")) as sink:
        with pytest.raises(AlreadyThere):
            await sink.put(Key("clip.mp4"), make_content(10))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (0, 0),
        (5, 5),
        ("0", 0),
        ("17", 17),
        ("200 MB", 200_000_000),
        ("1.5GiB", 1_610_612_736),
        ("3 kB", 3000),
        ("2TB", 2 * 10**12),
    ],
)
def test_sizes_are_read_as_people_write_them(text: int | str, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize("text", [-1, "", "much", "-5 MB", "5 XB", "5 MB free", "1,5 GB"])
def test_what_is_no_size_is_an_error_of_the_config(text: int | str) -> None:
    with pytest.raises(ConfigError, match="min_free"):
        size_of(text)


# -- opening


async def test_the_folder_is_made_when_only_its_last_part_is_missing(tmp_path: Path, make_content: MakeContent) -> None:
    async with open_disk(options(tmp_path / "clips")) as sink:
        await sink.put(KEY, make_content(10))
    assert (tmp_path / "clips" / KEY).is_file()


async def test_a_folder_whose_parent_is_missing_is_an_unmounted_disk(tmp_path: Path) -> None:
    with pytest.raises(SinkUnavailable, match="mounted"):
        async with open_disk(options(tmp_path / "mnt" / "clips")):
            pass
    assert list(tmp_path.iterdir()) == []


async def test_a_file_in_the_place_of_the_folder_is_an_error_of_the_config(tmp_path: Path) -> None:
    (tmp_path / "clips").write_text("")
    with pytest.raises(SinkUnavailable, match="is a file"):
        async with open_disk(options(tmp_path / "clips")):
            pass


async def test_a_relative_path_is_an_error_of_the_config() -> None:
    with pytest.raises(ConfigError, match="absolute"):
        async with open_disk(DiskOptions(path="clips")):
            pass


async def test_a_path_may_begin_at_home(clean_environment: Path) -> None:
    async with open_disk(DiskOptions(path="~/clips")):
        assert (clean_environment / "clips").is_dir()


# -- this folder, and no other


@pytest.fixture
def swapped(folder: Path) -> Callable[[], Path]:
    """Puts another folder in the place of the sink's, as an unmount or a mount would; gives where the old one went."""

    def swap() -> Path:
        old = folder.with_name("before")
        folder.rename(old)
        (folder / KEY).parent.mkdir(parents=True)
        return old

    return swap


async def test_a_folder_that_was_replaced_is_never_written_to(
    folder: Path, make_content: MakeContent, swapped: Callable[[], Path]
) -> None:
    content = make_content(10)
    async with open_disk(options(folder)) as sink:
        await sink.put(KEY, content)
        old = swapped()
        for call in (sink.put(Key("new.mp4"), content), sink.stat(KEY), sink.delete(KEY), read(sink, KEY), names(sink)):
            with pytest.raises(SinkUnavailable, match="another folder"):
                await call
    assert everything_in(folder) == []
    assert everything_in(old) == [KEY]


@pytest.mark.parametrize(
    ("way", "moment"),
    [
        *((Step, moment) for moment in ("link", "create", "write", "sync", "unlink", "sync_folder")),
        *((StepThatLinks, moment) for moment in ("link", "sync_folder")),
        *((StepWithoutLinks, moment) for moment in ("link", "create", "write", "sync", "unlink", "sync_folder")),
    ],
)
async def test_a_folder_that_is_replaced_while_a_clip_is_stored_gets_nothing(
    folder: Path, make_content: MakeContent, swapped: Callable[[], Path], way: type[Step], moment: str
) -> None:
    armed = False

    def before(name: str, _what: Path | int) -> None:
        nonlocal armed
        if name == moment and armed:
            armed = False
            swapped()

    async with open_disk(options(folder), way(before)) as sink:
        await sink.put(Key("porch/2026/05/other.mp4"), make_content(10))
        armed = True
        with pytest.raises(SinkUnavailable):
            await sink.put(KEY, make_content(20))
    assert not armed
    assert everything_in(folder) == []


async def test_a_listing_whose_disk_goes_away_fails_and_does_not_end(folder: Path, swapped: Callable[[], Path]) -> None:
    for number in range(2 * PAGE):
        (folder / f"{number}.mp4").touch()
    async with open_disk(options(folder)) as sink:
        listing = aiter(sink.list())
        await anext(listing)
        swapped()
        with pytest.raises(SinkUnavailable):
            [stored async for stored in listing]


@pytest.mark.parametrize("name", ["porch", "porch/2026"])
async def test_a_symbolic_link_to_a_folder_leads_nowhere(
    folder: Path, tmp_path: Path, make_content: MakeContent, name: str
) -> None:
    outside = tmp_path / "outside"
    (outside / "2026" / "05").mkdir(parents=True)
    (outside / "05").mkdir()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).symlink_to(outside)
    async with open_disk(options(folder)) as sink:
        for call in (sink.put(KEY, make_content(10)), sink.stat(KEY), sink.delete(KEY), read(sink, KEY), names(sink, f"{name}/")):
            with pytest.raises(SinkError, match="symbolic link"):
                await call
        await sink.put(Key("other.mp4"), make_content(10))
        assert await names(sink) == ["other.mp4"]
        assert isinstance(sink, DiskSink)
        assert [note.partition(": ")[0] for note in sink.notes] == [f"{folder / name} was skipped"]
    assert everything_in(outside) == []


async def test_a_symbolic_link_in_the_place_of_a_clip_is_neither_followed_nor_replaced(
    folder: Path, tmp_path: Path, make_content: MakeContent
) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    for name, target in (("dangling.mp4", tmp_path / "nothing"), ("other.mp4", tmp_path / "secret")):
        (folder / name).symlink_to(target)
    async with open_disk(options(folder)) as sink:
        for name in ("dangling.mp4", "other.mp4"):
            with pytest.raises(AlreadyThere):
                await sink.put(Key(name), make_content(10))
            with pytest.raises(SinkError, match="symbolic link"):
                await sink.stat(Key(name))
            with pytest.raises(SinkError, match="symbolic link"):
                await read(sink, Key(name))
        assert await names(sink) == []
    assert not (tmp_path / "nothing").exists()
    assert (tmp_path / "secret").read_bytes() == b"secret"


async def test_a_folder_in_the_place_of_a_clip_is_there_but_no_clip(folder: Path, make_content: MakeContent) -> None:
    (folder / KEY).mkdir(parents=True)
    async with open_disk(options(folder)) as sink:
        with pytest.raises(AlreadyThere):
            await sink.put(KEY, make_content(10))
        assert await sink.stat(KEY) is None
        with pytest.raises(NotFound):
            await sink.delete(KEY)


async def test_what_else_lies_in_the_folder_is_left_alone(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "lost+found").mkdir(mode=0o700)
    (folder / "lost+found" / "#123").write_text("")
    Path(os.fsdecode(os.fsencode(folder) + b"/not-utf8-\xff")).write_text("")
    (folder / "holiday.jpg").write_text("")
    async with open_disk(options(folder)) as sink:
        assert await names(sink) == ["holiday.jpg"]
        with pytest.raises(SinkError, match="neither a file nor a folder"):
            await sink.stat(Key("pipe"))
    assert len(everything_in(folder)) == 4


@pytest.mark.parametrize("key", NOT_KEYS, ids=lambda key: ascii(key)[:20])
async def test_what_cannot_be_a_key_is_refused(folder: Path, make_content: MakeContent, key: str) -> None:
    async with open_disk(options(folder)) as sink:
        for call in (sink.put(Key(key), make_content(10)), sink.stat(Key(key)), sink.delete(Key(key)), read(sink, Key(key))):
            with pytest.raises(BadKey):
                await call
    assert everything_in(folder.parent) == []


# -- leftovers


@pytest.fixture
def leftovers(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Two drafts beside the clip that will be put: of a run that is dead, and of one that lives."""
    (folder / KEY).parent.mkdir(parents=True)
    dead, alive = ((folder / KEY).with_name(draft_name()) for _ in range(2))
    dead.write_bytes(b"half")
    alive.write_bytes(b"half")
    with alive.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield dead, alive


async def test_drafts_of_dead_runs_go_and_those_of_living_ones_stay(
    folder: Path, make_content: MakeContent, leftovers: tuple[Path, Path]
) -> None:
    dead, alive = leftovers
    others = [(folder / KEY).with_name(name) for name in (".blinkarchive-notes.part", f"x{DRAFT}", f"{DRAFT}.mp4")]
    for other in others:
        other.write_bytes(b"not ours")
    async with open_disk(options(folder)) as sink:
        assert not {dead.name, alive.name} & {Path(name).name for name in await names(sink)}
        await sink.put(KEY, make_content(10))
    assert not dead.exists()
    assert alive.exists()
    assert all(other.exists() for other in others)


async def test_a_draft_that_is_being_written_is_not_swept_by_another_run(folder: Path, make_content: MakeContent) -> None:
    writing, go_on = threading.Event(), threading.Event()

    def before(name: str, _what: Path | int) -> None:
        if name == "sync":
            writing.set()
            go_on.wait(timeout=20)

    async with open_disk(options(folder), Step(before)) as sink, open_disk(options(folder)) as other:
        async with asyncio.TaskGroup() as group:
            group.create_task(sink.put(KEY, make_content(SIZE)))
            await asyncio.to_thread(writing.wait, 20)
            await other.put(Key("porch/2026/05/other.mp4"), make_content(10))
            go_on.set()
        assert await names(sink) == [KEY, "porch/2026/05/other.mp4"]


async def test_drafts_go_even_when_the_clip_is_there_already(
    folder: Path, make_content: MakeContent, leftovers: tuple[Path, Path]
) -> None:
    (folder / KEY).write_bytes(b"x")
    async with open_disk(options(folder)) as sink:
        with pytest.raises(AlreadyThere):
            await sink.put(KEY, make_content(10))
    assert not leftovers[0].exists()


async def test_a_draft_swept_before_it_was_locked_is_made_once_more(folder: Path, make_content: MakeContent) -> None:
    class Swept(Copying):
        swept = 0

        def create(self, path: Path, mode: int = 0o600) -> int:
            fd = super().create(path, mode)
            if self.swept == 0:
                self.swept += 1
                path.unlink()
            return fd

    async with open_disk(options(folder), Swept()) as sink:
        await sink.put(KEY, make_content(10))
    assert everything_in(folder) == [KEY]


@pytest.mark.parametrize("moment", ["write", "sync"])
async def test_a_cancelled_put_cleans_up_before_the_sink_is_closed(folder: Path, make_content: MakeContent, moment: str) -> None:
    writing, go_on = threading.Event(), threading.Event()

    def before(name: str, _what: Path | int) -> None:
        if name == moment:
            writing.set()
            go_on.wait(timeout=20)

    async with open_disk(options(folder), Step(before)) as sink:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(sink.put(KEY, make_content(SIZE)))
            await asyncio.to_thread(writing.wait, 20)
            task.cancel()
        assert any(name.endswith(".part") for name in everything_in(folder))
        assert await names(sink) == []
        go_on.set()
    assert everything_in(folder) == []


async def test_leaving_a_reader_early_closes_its_file_at_once(folder: Path, make_content: MakeContent) -> None:
    async with open_disk(options(folder)) as sink:
        await sink.put(KEY, make_content(SIZE))
        before = len(os.listdir("/dev/fd"))
        async with sink.open(KEY) as chunks:
            await anext(chunks)
            assert len(os.listdir("/dev/fd")) == before + 1
        assert len(os.listdir("/dev/fd")) == before
        del chunks  # it was kept until here: no collector closed it
