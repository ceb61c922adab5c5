"""A folder that is held open: entered without following links, and known again by its identity, not by its path."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from blinkarchive import SinkError, SinkUnavailable

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
#: Without O_NONBLOCK the opening of a named pipe would wait for a writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Folder:
    """One folder, held open.

    What is looked up here is looked up in this very folder, even when its path leads elsewhere by now: because a disk was
    unmounted, a folder moved, a symbolic link put in its place.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd
        #: Which folder it is; that never changes while it is held.
        self.identity = os.fstat(fd)

    @classmethod
    def hold(cls, path: Path) -> Folder:
        """Open the topmost folder. Links on the way to it are the owner's business."""
        return cls(path, os.open(path, _FOLDER))

    def close(self) -> None:
        """Let go of it."""
        os.close(self.fd)

    def check(self) -> None:
        """Raise `SinkUnavailable` when the path no longer leads here: what is done by path would be done elsewhere."""
        try:
            same = os.path.samestat(os.stat(self.path), self.identity)
        except OSError as error:
            raise SinkUnavailable(f"{self.path} is gone: {error.strerror}") from error
        if not same:
            raise SinkUnavailable(f"{self.path} is another folder than when it was opened: unmounted, or replaced")

    def look(self, name: str) -> os.stat_result | None:
        """What stands here under a name, links not followed; None when nothing does."""
        try:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def holds(self, name: str, file: os.stat_result) -> bool:
        """Whether that file is the one that stands here under that name."""
        found = self.look(name)
        return found is not None and os.path.samestat(found, file)

    def enter(self, name: str) -> Folder:
        """Hold a folder in this one. Raises `FileNotFoundError`, `NotADirectoryError`, and `SinkError` for a symbolic link."""
        try:
            return Folder(self.path / name, os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=self.fd))
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                self._refuse_link(name)
            raise

    def open_file(self, name: str) -> int:
        """Open a file in this folder for reading. Raises `FileNotFoundError`, and `SinkError` when it is no plain file."""
        try:
            fd = os.open(name, _FILE, dir_fd=self.fd)
        except OSError as error:
            if error.errno == errno.ELOOP:
                self._refuse_link(name)
            raise
        kind = os.fstat(fd).st_mode
        if stat.S_ISREG(kind):
            return fd
        os.close(fd)
        if stat.S_ISDIR(kind):
            raise FileNotFoundError(errno.ENOENT, "a folder, not a file", str(self.path / name))
        raise SinkError(f"{self.path / name} is neither a file nor a folder")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep out others who ask for the same, in this process and in others on this machine. Waits for its turn."""
        fd = os.open(".", _FOLDER, dir_fd=self.fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def links_to_a_folder(self, name: str) -> bool:
        """Whether a symbolic link leads to a folder, or to where nobody can see."""
        try:
            return stat.S_ISDIR(os.stat(name, dir_fd=self.fd).st_mode)
        except FileNotFoundError:
            return False
        except OSError:
            return True

    def _refuse_link(self, name: str) -> None:
        found = self.look(name)
        if found is not None and stat.S_ISLNK(found.st_mode):
            raise SinkError(f"{self.path / name} is a symbolic link: this sink follows none, so that nothing leads out of it")


class OpenFolders:
    """Folders below a topmost one that stay open between uses: the clips of a day go to a few, and each step costs a call."""

    def __init__(self, root: Folder, most: int = 64) -> None:
        self.root = root
        self._most = most
        self._lock = Lock()
        #: Least recently used first; with how many use each just now.
        self._open: OrderedDict[tuple[str, ...], _Entry] = OrderedDict()

    @contextmanager
    def entered(self, names: Sequence[str]) -> Iterator[Folder]:
        """Hold a folder for a while. One that fails a use is not used again: its path may lead elsewhere by now.

        Raises what `Folder.enter` raises.
        """
        if not names:
            yield self.root
            return
        entry = self._take(tuple(names))
        try:
            yield entry.folder
        except BaseException:
            self._drop(tuple(names), entry)
            raise
        finally:
            self._give_back(entry)

    def _take(self, names: tuple[str, ...]) -> _Entry:
        with self._lock:
            if entry := self._open.get(names):
                self._open.move_to_end(names)
                entry.users += 1
                return entry
        with entered(self.root, names) as folder:
            fresh = _Entry(Folder(folder.path, os.dup(folder.fd)))
        with self._lock:
            if names not in self._open:
                self._open[names] = fresh
                while len(self._open) > self._most:
                    self._let_go(self._open.popitem(last=False)[1])
            else:
                fresh.kept = False
            return fresh

    def _drop(self, names: tuple[str, ...], entry: _Entry) -> None:
        with self._lock:
            if self._open.get(names) is entry:
                self._let_go(self._open.pop(names))

    def _give_back(self, entry: _Entry) -> None:
        with self._lock:
            entry.users -= 1
            if not entry.users and not entry.kept:
                entry.folder.close()

    def _let_go(self, entry: _Entry) -> None:
        entry.kept = False
        if not entry.users:
            entry.folder.close()

    def close(self) -> None:
        """Let go of all of them, and of the topmost one."""
        with self._lock:
            while self._open:
                self._let_go(self._open.popitem()[1])
        self.root.close()


class _Entry:
    """An open folder, and who uses it."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.users = 1
        #: Whether it stays open when nobody uses it.
        self.kept = True


@contextmanager
def entered(root: Folder, names: Sequence[str]) -> Iterator[Folder]:
    """Hold a folder below another for a while, entering one part after the other."""
    folder = root
    try:
        for name in names:
            inner = folder.enter(name)
            if folder is not root:
                folder.close()
            folder = inner
        yield folder
    finally:
        if folder is not root:
            folder.close()
