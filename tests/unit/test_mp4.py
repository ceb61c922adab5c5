"""Whether a file is a whole MP4."""

import struct

import pytest

from blinkarchive import mp4
from blinkarchive.errors import BadClip


def box(kind: bytes, payload: bytes = b"", *, long: bool = False) -> bytes:
    if long:
        return struct.pack(">I4sQ", 1, kind, 16 + len(payload)) + payload
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


FTYP = box(b"ftyp", b"isom\0\0\2\0isomavc1")
MOOV = box(b"moov", box(b"mvhd", b"\0" * 100) + box(b"trak", b"\0" * 60))
MDAT = box(b"mdat", bytes(range(256)) * 3)
INDEX_FIRST = FTYP + MOOV + box(b"free", b"\0" * 20) + MDAT
INDEX_LAST = FTYP + MDAT + MOOV


def check(data: bytes, *, proven: bool = True) -> None:
    mp4.check(lambda at, length: data[at : at + length], len(data), size_is_proven=proven)


LONG_INDEX = box(b"moov", box(b"mvhd", b"\0" * 100) + box(b"trak", b"\0" * 60, long=True), long=True)


@pytest.mark.parametrize(
    "whole",
    [
        INDEX_FIRST,
        INDEX_LAST,
        FTYP + box(b"mdat", b"x" * 9, long=True) + MOOV,
        FTYP + LONG_INDEX + MDAT,
        FTYP + MDAT + LONG_INDEX,
    ],
)
def test_a_whole_file_passes(whole: bytes) -> None:
    check(whole)


@pytest.mark.parametrize("whole", [INDEX_FIRST, INDEX_LAST], ids=["index first", "index last"])
def test_no_cut_of_a_whole_file_passes(whole: bytes) -> None:
    for length in range(len(whole)):
        with pytest.raises(BadClip):
            check(whole[:length])


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 7, b"{}", box(b"free", b"12345")[:-1]])
def test_bytes_after_the_last_box_are_refused(tail: bytes) -> None:
    with pytest.raises(BadClip):
        check(INDEX_LAST + tail)


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b'{"message":"Media not found","code":700}',
        b"<!DOCTYPE html><html></html>",
        b"\x1f\x8b\x08" + b"\0" * 17,
        b"\xff\xd8\xff\xe0" + b"\0" * 100,
        b"\0" * 4096,
    ],
    ids=["nothing", "json", "html", "gzip", "jpeg", "zeros"],
)
def test_what_is_no_film_is_refused(junk: bytes) -> None:
    with pytest.raises(BadClip):
        check(junk)


def test_a_box_to_the_end_is_believed_only_when_the_size_is_proven() -> None:
    open_ended = FTYP + MOOV + struct.pack(">I4s", 0, b"mdat") + b"frames"
    check(open_ended)
    with pytest.raises(BadClip, match="may be cut"):
        check(open_ended, proven=False)


@pytest.mark.parametrize("size", [2, 7])
def test_a_box_smaller_than_its_own_head_is_refused_and_does_not_loop(size: int) -> None:
    with pytest.raises(BadClip, match="damaged"):
        check(FTYP + struct.pack(">I4s", size, b"free") + MOOV + MDAT)


@pytest.mark.parametrize(
    "empty",
    [
        box(b"ftyp") + box(b"moov", box(b"trak")) + box(b"mdat"),
        FTYP + MOOV + box(b"mdat"),
        FTYP + MOOV + box(b"mdat", long=True),
        FTYP + box(b"moov", box(b"mvhd", b"\0" * 100) + box(b"trak")) + MDAT,
        FTYP + box(b"moov", box(b"mvhd") + box(b"trak", b"\0" * 60)) + MDAT,
        FTYP + box(b"moov", box(b"trak", b"\0" * 60)) + MDAT,
    ],
    ids=["40 bytes", "no pictures", "no pictures in a long box", "an empty track", "an empty header", "no header"],
)
def test_boxes_with_nothing_in_them_are_no_film(empty: bytes) -> None:
    with pytest.raises(BadClip):
        check(empty)


@pytest.mark.parametrize("many", [box(b"free") * 200_000, box(b"moov", box(b"free") * 200_000)], ids=["outside", "in the index"])
def test_a_file_of_nothing_but_boxes_is_left_early(many: bytes) -> None:
    data, reads = FTYP + many + MOOV + MDAT, 0

    def read(at: int, length: int) -> bytes:
        nonlocal reads
        reads += 1
        return data[at : at + length]

    with pytest.raises(BadClip, match="more than"):
        mp4.check(read, len(data))
    assert reads <= 100_001


def test_an_index_without_a_track_is_refused() -> None:
    with pytest.raises(BadClip, match="no track"):
        check(FTYP + box(b"moov", box(b"mvhd", b"\0" * 100)) + MDAT)


def test_an_index_whose_boxes_spill_over_is_refused() -> None:
    with pytest.raises(BadClip, match="longer than the index"):
        check(FTYP + box(b"moov", struct.pack(">I4s", 400, b"trak")) + MDAT)
