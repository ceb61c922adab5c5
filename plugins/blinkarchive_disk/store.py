"""How objects are kept in a folder: whole, durable and never overwritten. All of it blocks; the sink calls it from threads."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, local

from blinkarchive import AlreadyThere, Content, Key, NotFound, SinkError, SinkFull, SinkUnavailable, Stored
from blinkarchive.contents import opened, reading
from blinkarchive.files import Files
from blinkarchive.keys import parts_of, why_not
from blinkarchive_disk.drafts import draft_in, sweep
from blinkarchive_disk.folder import Folder, OpenFolders, entered
from blinkarchive_disk.modes import PRIVATE, default_mode, folder_mode, is_as_created, set_mode
from blinkarchive_disk.renaming import rename_new
from blinkarchive_disk.telling import told, where_folders_can_be_synced

CHUNK = 256 * 1024
"""Bytes copied at a time."""

READ = 128 * 1024
"""Bytes read back, or handed over, at a time."""

PAGE = 256
"""Objects that a listing hands over at a time."""

FOLDERS_REMEMBERED = 4096

MOST_SKIPPED = 100
"""So many skipped paths are named."""

_CANNOT_LINK = (errno.EPERM, errno.EACCES, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS)
_CANNOT_RENAME_NEW = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


class Abandoned(Exception):
    """Nobody waits for this work any more: it was cancelled. Never seen outside the worker thread."""


class Store:
    """Objects in a folder.

    Writing goes by path through a `Files`, looking up through folders that are held open; after every change both must agree
    on where it was made, so that nothing counts as stored that went elsewhere (an unmounted disk, a replaced folder).

    `mode` is that of new files; without one, the folder decides.
    """

    def __init__(
        self,
        path: Path,
        *,
        files: Files,
        min_free: int | None,
        mode: int | None = None,
        rename: Callable[[Path, Path], None] = rename_new,
    ) -> None:
        self._path = path
        self._files = files
        self._min_free = min_free
        self._wanted_mode = mode
        self._mode = PRIVATE if mode is None else mode
        self._rename_new = rename
        self._open: OpenFolders | None = None
        self._own = local()
        #: Folders whose own names are durable and which hold no leftovers of a killed run: looked at once, then remembered.
        self._settled: set[tuple[str, ...]] = set()
        #: What listings skipped, and why: each path once.
        self._skipped: dict[Path, str] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What listings have skipped so far, and why."""
        return tuple(f"{path} was skipped: {why}" for path, why in self._skipped.items())

    # -- opening ------------------------------------------------------------------------------------------------------

    def open(self, *, make: bool = True) -> None:
        """Hold the folder. With `make` it is made when only its last part is missing. Raises `SinkUnavailable`."""
        with told(self._path):
            try:
                self._open = OpenFolders(Folder.hold(self._path))
            except FileNotFoundError:
                if not self._path.parent.is_dir():
                    raise SinkUnavailable(f"{self._path.parent} does not exist: is the disk mounted?") from None
                if not make:
                    raise SinkUnavailable(f"{self._path} does not exist: is the disk mounted?") from None
                with where_folders_can_be_synced():
                    self._files.make_folders(self._path, folder_mode(self._mode))
                self._open = OpenFolders(Folder.hold(self._path))
            except NotADirectoryError as error:
                raise SinkUnavailable(f"{self._path} is a file, not a folder") from error
            if self._wanted_mode is None:
                self._mode = default_mode(self._open.root.fd)

    def close(self) -> None:
        """Let go of the folder. Closing twice, or what never was open, is no fault."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _held(self) -> OpenFolders:
        """The folders, the topmost once more found to be the one that was opened."""
        if self._open is None:
            raise SinkUnavailable(f"{self._path} is closed")
        self._open.root.check()
        return self._open

    # -- put ----------------------------------------------------------------------------------------------------------

    def put(self, key: Key, content: Content, stop: Event) -> None:
        """Store a content under a key: whole or not at all, durable on return, nothing overwritten."""
        *folders, name = parts_of(key)
        with told(self._path / key), opened(content) as (source, file):
            held = self._held()
            if (short := self._short_of_room(held.root, content.size)) and not self._is_taken(held, folders, name):
                raise SinkFull(short)
            with self._made(held, folders) as folder:
                try:
                    self._store(content, source, file, folder, name, stop)
                except FileExistsError as error:
                    self._secure(folder, name)
                    raise AlreadyThere(f"{self._path / key} is there already") from error
                self._sync_folder(folder.path)
                folder.check()

    def _is_taken(self, held: OpenFolders, folders: list[str], name: str) -> bool:
        try:
            with held.entered(folders) as folder:
                return folder.look(name) is not None
        except FileNotFoundError:
            return False

    def _short_of_room(self, root: Folder, size: int) -> str:
        """What there is to say when so many bytes have no room; "" when they have.

        The floor keeps the disk usable for its other users: 1 % or 200 MB, whichever is more, when the owner names none.
        """
        room = os.fstatvfs(root.fd)
        if room.f_blocks == 0:
            return ""  # some network file systems do not say
        floor = self._min_free
        if floor is None:
            floor = max(room.f_blocks * room.f_frsize // 100, 200_000_000)
        free = room.f_bavail * room.f_frsize
        return f"{self._path}: {free:,} bytes are free, and {floor:,} are to stay free (min_free)" if free - size < floor else ""

    @contextmanager
    def _made(self, held: OpenFolders, names: list[str]) -> Iterator[Folder]:
        """Hold a folder for writing: made where missing, its name durable, swept of what a killed run left."""
        place = tuple(names)
        with ExitStack() as stack:
            try:
                if place not in self._settled:
                    self._make(held.root, names)
                folder = stack.enter_context(held.entered(names))
            except FileNotFoundError:  # somebody removed it since
                self._make(held.root, names)
                folder = stack.enter_context(held.entered(names))
            try:
                yield folder
            except BaseException:
                self._settled.discard(place)
                raise

    def _make(self, root: Folder, names: list[str]) -> None:
        folder = root
        try:
            for depth, name in enumerate(names):
                try:
                    inner = folder.enter(name)
                except FileNotFoundError:
                    with where_folders_can_be_synced():
                        self._files.make_folders(folder.path / name, folder_mode(self._mode))
                    inner = folder.enter(name)
                else:
                    # Another put, or a run that was killed, may have made it and not yet secured its name.
                    if tuple(names[: depth + 1]) not in self._settled:
                        self._sync_folder(folder.path)
                if folder is not root:
                    folder.close()
                folder = inner
            self._settle(folder, tuple(names))
        finally:
            if folder is not root:
                folder.close()

    def _settle(self, folder: Folder, names: tuple[str, ...]) -> None:
        if names in self._settled:
            return
        sweep(folder, self._files)
        if len(self._settled) >= FOLDERS_REMEMBERED:
            self._settled.clear()
        self._settled.update(names[:depth] for depth in range(1, len(names)))
        self._settled.add(names)

    def _store(self, content: Content, source: int, file: os.stat_result, folder: Folder, name: str, stop: Event) -> None:
        """Bring a content under its final name. Raises `FileExistsError` when that is taken."""
        _go_on(stop)
        if self._link(content, file, folder, name):
            return
        _refuse_if_taken(folder, name)
        with draft_in(folder, self._files) as (fd, draft):
            self._copy(source, content, fd, stop)
            set_mode(fd, self._mode)
            self._files.sync(fd)
            _go_on(stop)
            self._publish(fd, draft, folder, name)

    def _link(self, content: Content, file: os.stat_result, folder: Folder, name: str) -> bool:
        """Give the content's own file a second name: it is whole and durable already.

        Only where both are on one file system, and nobody could tell it from a file that was created here.
        """
        if file.st_dev != folder.identity.st_dev or not is_as_created(file, os.fstat(folder.fd), self._mode):
            return False
        final = folder.path / name
        try:
            self._files.link(content.path, final)
        except OSError as error:
            if error.errno in _CANNOT_LINK:
                return False
            raise
        if not folder.holds(name, file):
            with suppress(OSError):
                if os.path.samestat(os.lstat(final), file):
                    self._files.unlink(final)
            raise SinkUnavailable(f"{folder.path} was replaced while {name} was stored")
        return True

    def _copy(self, source: int, content: Content, fd: int, stop: Event) -> None:
        while chunk := _read(source, content):
            _go_on(stop)
            self._files.write(fd, chunk)
        written = os.fstat(fd).st_size
        if written != content.size:
            raise SinkError(f"{content.path}: {written:,} bytes were stored, and {content.size:,} should have been")

    def _publish(self, fd: int, draft: Path, folder: Folder, name: str) -> None:
        """Give a durable file its final name, by the best way the file system has; none of them replaces anything."""
        final = folder.path / name
        try:
            self._files.link(draft, final)
        except FileExistsError:
            # Over a network the answer to a first, successful request may have been lost and the request repeated.
            if not folder.holds(name, os.fstat(fd)):
                raise
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
            self._publish_by_renaming(draft, final, folder)

    def _publish_by_renaming(self, draft: Path, final: Path, folder: Folder) -> None:
        try:
            self._rename_new(draft, final)
        except OSError as error:
            if error.errno not in _CANNOT_RENAME_NEW:
                raise
        else:
            return
        # Neither hard links nor a rename that refuses to replace: those who store here take turns instead.
        with folder.alone():
            _refuse_if_taken(folder, final.name)
            self._files.rename(draft, final)

    def _secure(self, folder: Folder, name: str) -> None:
        """Make durable what is there: whoever put it may have died before that, and the caller will now rely on it."""
        with suppress(FileNotFoundError, SinkError):
            fd = folder.open_file(name)
            try:
                self._files.sync(fd)
            finally:
                os.close(fd)
        self._sync_folder(folder.path)

    def _sync_folder(self, path: Path) -> None:
        with where_folders_can_be_synced():
            self._files.sync_folder(path)

    # -- the rest -----------------------------------------------------------------------------------------------------

    def stat(self, key: Key, stop: Event) -> Stored | None:
        """Read what is stored, to say its size and hash; None when nothing is."""
        try:
            with told(self._path / key), self._object(key) as fd:
                size, digest, buffer = 0, hashlib.sha256(), self._buffer()
                while read := os.readv(fd, [buffer]):
                    _go_on(stop)
                    digest.update(buffer[:read])
                    size += read
                return Stored(key=key, size=size, sha256=digest.hexdigest())
        except NotFound:
            return None

    def _buffer(self) -> memoryview:
        """Where this thread reads to: one buffer for all its life, so that memory stays what it is."""
        if not hasattr(self._own, "buffer"):
            self._own.buffer = memoryview(bytearray(READ))
        buffer: memoryview = self._own.buffer
        return buffer

    def read(self, key: Key, start: int) -> Generator[bytes, None, None]:
        """The stored bytes from an offset on. Raises `NotFound` with the first chunk."""
        with told(self._path / key), self._object(key) as fd:
            os.lseek(fd, start, os.SEEK_SET)
            yield from _chunks(fd)

    @contextmanager
    def _object(self, key: Key) -> Iterator[int]:
        *folders, name = parts_of(key)
        try:
            with self._held().entered(folders) as folder:
                fd = folder.open_file(name)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(f"{self._path / key} is not there") from error
        try:
            yield fd
        finally:
            os.close(fd)

    def walk(self, prefix: str) -> Generator[list[Stored], None, None]:
        """What is stored under keys with a prefix, page by page. Remembers folders still to be visited, never objects."""
        with told(self._path):
            base = tuple(prefix.split("/")[:-1])
            waiting = [] if any(why_not(part) for part in base) else [base]
            page: list[Stored] = []
            while waiting:
                folder = waiting.pop()
                with self._skipping(folder, asked=folder == base):
                    for stored in self._visit(folder, prefix, waiting):
                        page.append(stored)
                        if len(page) == PAGE:
                            yield page
                            page = []
            self._held()  # a disk that went away in the meantime must not look like a short listing
            yield page

    @contextmanager
    def _skipping(self, names: tuple[str, ...], *, asked: bool) -> Iterator[None]:
        """Skip a folder that may not be read, such as one of the system's; unless it is the one that was asked for."""
        try:
            yield
        except PermissionError as error:
            if asked:
                raise
            self._skip(self._path.joinpath(*names), error.strerror or str(error))

    def _skip(self, path: Path, why: str) -> None:
        if len(self._skipped) < MOST_SKIPPED:
            self._skipped[path] = why

    def _visit(self, names: tuple[str, ...], prefix: str, waiting: list[tuple[str, ...]]) -> Iterator[Stored]:
        """The objects in one folder; its folders are put on the waiting list."""
        # A folder may go while we walk, and a prefix need not be the name of one: no objects there.
        with (
            suppress(FileNotFoundError, NotADirectoryError),
            entered(self._held().root, names) as folder,
            os.scandir(folder.fd) as entries,
        ):
            for entry in entries:
                if why_not(entry.name) or (not names and entry.name == "lost+found"):
                    continue
                found = folder.look(entry.name)
                if found is None:
                    continue
                inner = (*names, entry.name)
                key = "/".join(inner)
                if stat.S_ISDIR(found.st_mode):
                    if prefix.startswith(f"{key}/") or f"{key}/".startswith(prefix):
                        waiting.append(inner)
                elif key.startswith(prefix):
                    if stat.S_ISREG(found.st_mode):
                        yield Stored(key=Key(key), size=found.st_size)
                    elif stat.S_ISLNK(found.st_mode) and folder.links_to_a_folder(entry.name):
                        self._skip(folder.path / entry.name, "a symbolic link to a folder: this sink follows none")

    def delete(self, key: Key) -> None:
        """Remove an object, durably. Its folder stays, even when empty."""
        *folders, name = parts_of(key)
        with told(self._path / key):
            try:
                with self._held().entered(folders) as folder:
                    os.close(folder.open_file(name))
                    folder.check()
                    self._files.unlink(folder.path / name)
                    self._sync_folder(folder.path)
            except (FileNotFoundError, NotADirectoryError) as error:
                raise NotFound(f"{self._path / key} is not there") from error


def _chunks(fd: int) -> Iterator[bytes]:
    while chunk := os.read(fd, READ):
        yield chunk


def _refuse_if_taken(folder: Folder, name: str) -> None:
    if folder.look(name) is not None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder.path / name))


def _go_on(stop: Event) -> None:
    if stop.is_set():
        raise Abandoned


def _read(source: int, content: Content) -> bytes:
    with reading(content):
        piece = os.read(source, CHUNK)
    content.progress(len(piece))
    return piece
