"""How encoded pictures become an MP4 file: its boxes (ISO/IEC 14496-12 and -15), one track, one chunk."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

_EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_HEADER = 8
_TICKS = 1000
"""Ticks a second, of the film and of its track."""

LARGEST = 0xFFFF_FFFF
"""No box here is larger, in bytes: sizes are 32 bits wide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A film before it is boxed."""

    width: int
    height: int
    frames_a_second: int
    recorded_at: datetime
    sps: bytes
    pps: bytes
    #: One NAL unit a picture, in the order they are shown; the first is a key frame.
    pictures: Sequence[bytes]


def mp4(track: Track, *, index_first: bool, room: int) -> tuple[bytes, bytes]:
    """The file but for the `room` bytes that fill its `free` box: what comes before them, and after.

    `moov` stands before or after `mdat`, `free` between `mdat` and the file's head.
    """
    head = _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2avc1mp41")
    free = struct.pack(">I4s", _HEADER + room, b"free")
    data = _box(b"mdat", *(struct.pack(">I", len(nal)) + nal for nal in track.pictures))
    if not index_first:
        return head + free, data + _moov(track, len(head) + len(free) + room + _HEADER)
    index = len(_moov(track, 0))
    return head + _moov(track, len(head) + index + len(free) + room + _HEADER) + free, data


def _moov(track: Track, data_at: int) -> bytes:
    created = int((track.recorded_at - _EPOCH).total_seconds())
    length = len(track.pictures) * _TICKS // track.frames_a_second
    mvhd = struct.pack(">IIIIIH10x", created, created, _TICKS, length, 0x10000, 0x100)
    mvhd += _MATRIX + bytes(24) + struct.pack(">I", 2)
    tkhd = struct.pack(">IIIII8xHHHH", created, created, 1, 0, length, 0, 0, 0, 0) + _MATRIX
    tkhd += struct.pack(">II", track.width << 16, track.height << 16)
    mdhd = struct.pack(">IIIIHH", created, created, _TICKS, length, 0x55C4, 0)
    hdlr = struct.pack(">I4s12x", 0, b"vide") + b"camera\0"
    dinf = _box(b"dinf", _full(b"dref", 0, struct.pack(">I", 1), _full(b"url ", 1)))
    minf = _box(b"minf", _full(b"vmhd", 1, bytes(8)), dinf, _stbl(track, data_at))
    mdia = _box(b"mdia", _full(b"mdhd", 0, mdhd), _full(b"hdlr", 0, hdlr), minf)
    return _box(b"moov", _full(b"mvhd", 0, mvhd), _box(b"trak", _full(b"tkhd", 3, tkhd), mdia))


def _stbl(track: Track, data_at: int) -> bytes:
    count = len(track.pictures)
    avcc = bytes([1, *track.sps[1:4], 0xFF, 0xE1])
    avcc += struct.pack(">H", len(track.sps)) + track.sps + b"\x01" + struct.pack(">H", len(track.pps)) + track.pps
    avc1 = struct.pack(">6xH16xHHIIIH32sHh", 1, track.width, track.height, 72 << 16, 72 << 16, 0, 1, b"", 24, -1)
    stsz = struct.pack(f">II{count}I", 0, count, *(4 + len(nal) for nal in track.pictures))
    return _box(
        b"stbl",
        _full(b"stsd", 0, struct.pack(">I", 1), _box(b"avc1", avc1, _box(b"avcC", avcc))),
        _full(b"stts", 0, struct.pack(">III", 1, count, _TICKS // track.frames_a_second)),
        _full(b"stss", 0, struct.pack(">II", 1, 1)),
        _full(b"stsc", 0, struct.pack(">IIII", 1, 1, count, 1)),
        _full(b"stsz", 0, stsz),
        _full(b"stco", 0, struct.pack(">II", 1, data_at)),
    )


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", _HEADER + len(body), kind) + body


def _full(kind: bytes, flags: int, *parts: bytes) -> bytes:
    return _box(kind, struct.pack(">I", flags), *parts)
