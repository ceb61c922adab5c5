"""Whether a file is a whole MP4: a pure walk over its boxes (ISO/IEC 14496-12, 4.2).

A cut file keeps a right beginning, so a player's probe accepts it; the walk does not: the boxes of a whole file
tile it to the last byte, and a film needs both its index (`moov`) and its pictures (`mdat`).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import TypeAlias

from blinkarchive.errors import BadClip

FIRST = 12
"""How many bytes of a file `check_first` wants to see."""

Read: TypeAlias = Callable[[int, int], bytes]
"""Gives the bytes of a file from an offset, so many or what there is."""

_MOST_BOXES = 100_000
_MOST_IN_INDEX = 1_000
"""A film's index has a handful of boxes. (64 MiB of empty ones took 14 seconds to walk over.)"""

_LEAST_HEADER = 108
"""Bytes of the box `mvhd`, in its shorter form (8.2.2)."""


def reader(fd: int) -> Read:
    """Reads a file by its descriptor."""
    return lambda at, length: os.pread(fd, length, at)


def check_first(data: bytes) -> None:
    """Look at the first bytes of a file to come. Raises `BadClip` when no MP4 begins like this."""
    if data[4:8] not in (b"ftyp", b"styp"):
        raise BadClip(f"this is no MP4: it begins with {data[:FIRST]!r}")


def check(read: Read, size: int, *, size_is_proven: bool = True) -> None:
    """Walk over the boxes of a whole file of `size` bytes. Raises `BadClip` when it is not a whole MP4.

    A last box may say that it goes "to the end of the file"; that end is believed only when somebody else
    vouches for the size (`size_is_proven`).
    """
    at = pictures = 0
    seen: set[bytes] = set()
    for _ in range(_MOST_BOXES):
        if at == size:
            break
        head = read(at, 16)
        if at == 0:
            check_first(head)
        length, kind, start = _box(head, at, size)
        if length == 0:
            if not size_is_proven:
                raise BadClip(f"the last box, at byte {at}, does not tell its length: the file may be cut")
            length = size - at
        if at + length > size:
            raise BadClip(f"cut: the box {_name(kind)} at byte {at} needs {at + length - size} bytes more")
        if kind == b"moov":
            _check_index(read, at + start, at + length)
        pictures += length - start if kind == b"mdat" else 0
        seen.add(kind)
        at += length
    else:
        raise BadClip(f"more than {_MOST_BOXES} boxes")
    for needed in (b"moov", b"mdat"):
        if needed not in seen:
            raise BadClip(f"cut: there is no {_name(needed)} box")
    if not pictures:
        raise BadClip("damaged: there is nothing in its mdat box, which holds the pictures")


def _box(head: bytes, at: int, end: int) -> tuple[int, bytes, int]:
    """The length of a box (0: to the end), its kind, and how long its own head is."""
    if len(head) < 8:
        raise BadClip(f"cut: {len(head)} bytes at byte {at} are too few for a box")
    length, kind = struct.unpack(">I4s", head[:8])
    least = 8
    if length == 1:
        if len(head) < 16:
            raise BadClip(f"cut: the box {_name(kind)} at byte {at} lacks its length")
        (length,) = struct.unpack(">Q", head[8:16])
        least = 16
    if length != 0 and length < least:
        raise BadClip(f"damaged: the box {_name(kind)} at byte {at} says it is {length} bytes long")
    return length, kind, least


def _check_index(read: Read, at: int, end: int) -> None:
    """A film's index, whose boxes are from `at` to `end`, holds a header and at least one track, and its own boxes fill it."""
    headers = tracks = 0
    for _ in range(_MOST_IN_INDEX):
        if at == end:
            break
        size, kind, start = _box(read(at, 16)[: end - at], at, end)
        if size == 0 or at + size > end:
            raise BadClip(f"damaged: the box {_name(kind)} at byte {at} is longer than the index around it")
        headers += kind == b"mvhd" and size >= _LEAST_HEADER
        tracks += kind == b"trak" and size > start
        at += size
    else:
        raise BadClip(f"damaged: the index (moov) has more than {_MOST_IN_INDEX} boxes")
    if not headers:
        raise BadClip("damaged: the index (moov) has no header")
    if not tracks:
        raise BadClip("damaged: the index (moov) has no track")


def _name(kind: bytes) -> str:
    return repr(kind.decode("latin-1"))
