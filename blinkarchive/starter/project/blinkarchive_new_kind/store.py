"""The place where objects are kept. It blocks; the sink calls it from threads, several at a time.

REPLACE THIS FILE, one function after the other, while `pytest` stays green. What it shows holds
for any place:

- `put` makes an object whole and durable under another name, and then gives it its own name in one
  step which refuses to replace anything. Stores that are reached over a network have a request for
  that: "only if there is none".
- "Not there" is an answer, and "cannot know" is an error.
- What the library underneath raises is translated in one place: `_told`.

Here an object is one file: its key in the first line, then its bytes. The file's name is the hash
of the key, so every key can be kept exactly. A place with rules of its own refuses a key that it
cannot keep exactly: `raise BadKey("why")`.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import BinaryIO

from blinkarchive import (
    AlreadyThere,
    Content,
    Key,
    NotFound,
    SinkError,
    SinkFull,
    SinkUnavailable,
    Stored,
)
from blinkarchive.files import Files, is_full

CHUNK = 256 * 1024
"""Bytes at a time. A clip need not fit into memory, and a chunk of `open` is at most 1 MiB."""

ABANDONED_AFTER = 24 * 3600
"""Seconds after which a draft is one that a killed program left behind."""


class Abandoned(Exception):
    """The call was cancelled: nobody waits for its end. Seen by nobody outside the thread."""


class Store:
    """Objects in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._objects = folder / "objects"
        self._drafts = folder / "drafts"
        self._files = Files()  # the operations that must survive a power cut

    def open(self) -> None:
        """Find the place, and make it ready. Raises `SinkUnavailable`."""
        if not self._folder.is_dir():
            # Never make it: it may be the mount point of a disk that is away just now.
            raise SinkUnavailable(f"there is no folder {self._folder}: is its disk mounted?")
        with self._told():
            self._files.make_folders(self._objects)
            self._files.make_folders(self._drafts)
            for draft in self._drafts.iterdir():
                if time.time() - draft.stat().st_mtime > ABANDONED_AFTER:
                    draft.unlink(missing_ok=True)

    def put(self, key: Key, content: Content, stop: Event) -> None:
        """Store it whole or not at all, durably, and never in the place of another."""
        draft = self._drafts / secrets.token_hex(8)
        with self._told():
            with self._files.writing(draft) as fd:  # durable at its end, or gone
                self._files.write(fd, _head(key))
                copied = 0
                for piece in _pieces(content):
                    copied += len(piece)
                    if stop.is_set():
                        raise Abandoned
                    if copied > content.size:
                        break
                    self._files.write(fd, piece)
                if copied != content.size:
                    raise SinkError(f"{content.path} is not {content.size:,} bytes long")
            try:
                if stop.is_set():
                    raise Abandoned
                self._files.link(draft, self._path(key))  # looks and writes in one step
            except FileExistsError as error:
                raise AlreadyThere(f"{key} is there already") from error
            finally:
                # Also for what was there already: whoever put it may have died before this line.
                self._files.sync_folder(self._objects)
                self._files.unlink(draft)

    def stat(self, key: Key, stop: Event) -> Stored | None:
        """Size and hash of what is stored; None when certainly nothing is.

        They come from the stored bytes. A place that cannot tell the SHA-256 without sending the
        bytes gives `sha256=None`: the archive then reads the object back itself.
        """
        size, digest = 0, hashlib.sha256()
        try:
            with self._told(), self._opened(key) as file:
                while chunk := file.read(CHUNK):
                    if stop.is_set():
                        raise Abandoned
                    digest.update(chunk)
                    size += len(chunk)
        except NotFound:
            return None
        return Stored(key=key, size=size, sha256=digest.hexdigest())

    def read(self, key: Key, start: int, stop: Event) -> bytes:
        """The next bytes from an offset on; none at the end, and none beyond it."""
        with self._told(), self._opened(key) as file:
            file.seek(start, 1)
            return file.read(CHUNK)

    def names(self, stop: Event) -> Sequence[str]:
        """What there is to list. A place that gives pages: follow them to the last one."""
        with self._told():
            return [path.name for path in self._objects.iterdir()]

    def look(self, names: Sequence[str], stop: Event) -> Sequence[Stored]:
        """What these files hold. One that was deleted meanwhile is skipped, and only that."""
        found = []
        with self._told():
            for name in names:
                try:
                    with (self._objects / name).open("rb") as file:
                        head = file.readline()
                        size = file.seek(0, 2) - len(head)
                except FileNotFoundError:
                    self._require_here()
                    continue
                found.append(Stored(key=_key(head, name), size=size))
        return found

    def delete(self, key: Key, stop: Event) -> None:
        """Remove it, durably. Raises `NotFound`: many places call it a success to delete nothing."""
        with self._told():
            try:
                self._files.unlink(self._path(key))
            except FileNotFoundError as error:
                self._require_here()
                raise NotFound(f"{key} is not there") from error
            self._files.sync_folder(self._objects)

    def _path(self, key: Key) -> Path:
        return self._objects / hashlib.sha256(_head(key)).hexdigest()

    @contextmanager
    def _opened(self, key: Key) -> Iterator[BinaryIO]:
        """The file of an object, at the first of its bytes. Raises `NotFound`."""
        try:
            file = self._path(key).open("rb")
        except FileNotFoundError as error:
            self._require_here()
            raise NotFound(f"{key} is not there") from error
        with file:
            file.seek(len(_head(key)))
            yield file

    def _require_here(self) -> None:
        """A file is missing: is it, or is the whole place away? Raises `SinkUnavailable`."""
        if not self._objects.is_dir():
            raise SinkUnavailable(f"{self._objects} is gone: is its disk mounted?")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Translate what goes wrong: the one place that knows what errors of the library mean."""
        try:
            yield
        except OSError as error:
            words = f"{self._folder}: {error.strerror or error}"
            if is_full(error):
                raise SinkFull(words) from error
            raise SinkUnavailable(words) from error


def _head(key: Key) -> bytes:
    return json.dumps(key).encode() + b"\n"


def _key(head: bytes, name: str) -> Key:
    try:
        return Key(json.loads(head))
    except ValueError as error:
        raise SinkError(f"{name} is damaged: it does not begin with a key") from error


def _pieces(content: Content) -> Iterator[bytes]:
    """The bytes of a content. What is wrong with its file is no fault of the place."""
    try:
        with content.path.open("rb") as file:
            while piece := file.read(CHUNK):
                content.progress(len(piece))  # in a thread: it may wait, for `upload_limit`
                yield piece
    except OSError as error:
        raise SinkError(f"{content.path} cannot be read: {error}") from error
