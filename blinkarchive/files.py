"""The few file operations that durability rests on: what crash tests replace.

Everything that must survive a power cut goes through a `Files`; reading and listing do not.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Files:
    """The real file system."""

    def create(self, path: Path, mode: int = 0o600) -> int:
        """Open a file that must not exist yet, to write and to read; never through a symbolic link. Returns a descriptor."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)

    def write(self, fd: int, data: bytes | memoryview) -> None:
        """Write all of it, however many calls that takes."""
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    def sync(self, fd: int) -> None:
        """Make the file's bytes durable. After a failure the file must be thrown away: a second sync would lie."""
        os.fsync(fd)

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder durable."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def link(self, existing: Path, new: Path) -> None:
        """Give a file a second name. Raises `FileExistsError`: it never replaces."""
        os.link(existing, new, follow_symlinks=False)

    def rename(self, old: Path, new: Path) -> None:
        """Rename within one file system, replacing what is there."""
        os.rename(old, new)

    def unlink(self, path: Path) -> None:
        """Remove a name."""
        os.unlink(path)

    def make_folders(self, path: Path, mode: int | None = None) -> None:
        """Make a folder and its missing parents, each durable in the one above it, and each of this mode; without one, the umask
        decides.
        """
        missing: list[Path] = []
        while not path.is_dir():
            missing.append(path)
            path = path.parent
        for folder in reversed(missing):
            try:
                os.mkdir(folder, 0o777 if mode is None else mode)
                if mode is not None:
                    _set_mode(folder, mode)
            except FileExistsError:
                if not folder.is_dir():
                    raise
            self.sync_folder(folder.parent)

    @contextmanager
    def writing(self, path: Path, mode: int = 0o600) -> Iterator[int]:
        """A new file that is durable when the block ends well, and gone when it does not. Gives its descriptor."""
        fd = self.create(path, mode)
        try:
            try:
                yield fd
                self.sync(fd)
            finally:
                os.close(fd)
        except BaseException:
            with _ignoring_missing():
                self.unlink(path)
            raise

    def replace(self, path: Path, data: bytes, mode: int = 0o600) -> None:
        """Put `data` in the place of a small file: the old or the new content is there at any moment, never a mixture."""
        temp = path.with_name(f"{path.name}.next")
        with _ignoring_missing():
            self.unlink(temp)
        with self.writing(temp, mode) as fd:
            self.write(fd, data)
        self.rename(temp, path)
        self.sync_folder(path.parent)


def _set_mode(folder: Path, mode: int) -> None:
    """Give a new folder its mode, whatever the umask, and keep that it passes its group on. Some file systems have no modes."""
    found = folder.stat().st_mode
    if stat.S_IMODE(found) & 0o777 != mode:
        with suppress(PermissionError):
            folder.chmod(mode | found & stat.S_ISGID)


@contextmanager
def _ignoring_missing() -> Iterator[None]:
    with suppress(FileNotFoundError):
        yield


def is_full(error: OSError) -> bool:
    """Whether an error says that there is no room left (space, quota or file nodes)."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
