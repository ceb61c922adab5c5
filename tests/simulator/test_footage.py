"""The films are true films: read strictly, box by box and bit by bit, and decoded."""

from __future__ import annotations

import io
import re
import struct
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import av
import av.logging
import pytest

from blinkarchive.simulator import h264
from blinkarchive.simulator.footage import SMALLEST, Footage, Take, film, still

TAKE = Take(seed=1, camera=7, clip=2**33, at=datetime(2026, 3, 4, 23, 59, 57, tzinfo=UTC), size=120_000)
SIZES = (SMALLEST, SMALLEST + 1, 12_345, 25_000, 50_001, 100_000, 250_000)

each_size = pytest.mark.parametrize("size", SIZES)
each_order = pytest.mark.parametrize("index_first", [True, False])


@dataclass(frozen=True)
class Box:
    kind: str
    #: Where its content begins in the file.
    at: int
    content: bytes


def boxes(data: bytes, at: int = 0) -> Iterator[Box]:
    """The boxes that fill these bytes; anything left over is an error."""
    end = at + len(data)
    start = at
    while at < end:
        size, kind = struct.unpack_from(">I4s", data, at - start)
        assert 8 <= size <= end - at, f"{kind!r} at {at} claims {size} bytes"
        yield Box(kind.decode(), at + 8, data[at - start + 8 : at - start + size])
        at += size


def find(data: bytes, *path: str, at: int = 0) -> Box:
    """The one box at the end of a path."""
    (box,) = [box for box in boxes(data, at) if box.kind == path[0]]
    return find(box.content, *path[1:], at=box.at) if path[1:] else box


class Bits:
    """An H.264 payload, read bit by bit (7.2, 9.1)."""

    def __init__(self, nal: bytes) -> None:
        self.text = "".join(f"{byte:08b}" for byte in nal[1:].replace(b"\0\0\3", b"\0\0"))
        self.at = 0

    def u(self, width: int) -> int:
        self.at += width
        return int(self.text[self.at - width : self.at], 2)

    def ue(self) -> int:
        zeros = self.text.index("1", self.at) - self.at
        self.at += zeros
        return self.u(zeros + 1) - 1

    def se(self) -> int:
        value = self.ue()
        return (value + 1) // 2 if value % 2 else -value // 2

    def ends_here(self) -> bool:
        """Whether only the trailing bits are left: a one, and zeros up to the byte."""
        rest = self.text[self.at :]
        return len(rest) <= 8 and rest == "1" + "0" * (len(rest) - 1)


@dataclass(frozen=True)
class Movie:
    """What a strict reader finds in a file."""

    width: int
    height: int
    samples: list[bytes]
    seconds: float


def read(data: bytes) -> Movie:
    """Read a film as strictly as a player that trusts nothing."""
    table = find(data, "moov", "trak", "mdia", "minf", "stbl").content
    entries, rest = struct.unpack_from(">4xI", find(table, "stsd").content)[0], find(table, "stsd").content[8:]
    avc1 = find(rest, "avc1").content
    width, height = struct.unpack_from(">HH", avc1, 24)
    avcc = find(avc1[78:], "avcC").content
    assert (entries, avcc[0], avcc[4] & 3, avcc[5] & 31) == (1, 1, 3, 1)
    sps_size = struct.unpack_from(">H", avcc, 6)[0]
    sps, pps_at = avcc[8 : 8 + sps_size], 8 + sps_size
    pps_count, pps_size = struct.unpack_from(">BH", avcc, pps_at)
    pps = avcc[pps_at + 3 :]
    assert (pps_count, pps_size, pps[0]) == (1, len(pps), 0x68)
    assert avcc[1:4] == sps[1:4]
    assert size_in_sps(sps) == (width, height)

    default, count = struct.unpack_from(">4xII", find(table, "stsz").content)
    sizes = struct.unpack_from(f">{count}I", find(table, "stsz").content, 12)
    assert (default, len(find(table, "stsz").content)) == (0, 12 + 4 * count)
    chunk_count, chunk_at = struct.unpack(">4xII", find(table, "stco").content)
    assert struct.unpack(">4xIIII", find(table, "stsc").content) == (1, 1, count, 1)
    assert chunk_count == 1
    mdat = find(data, "mdat")
    assert (chunk_at, sum(sizes)) == (mdat.at, len(mdat.content))
    runs, run, ticks = struct.unpack(">4xIII", find(table, "stts").content)
    scale, length = struct.unpack_from(">12xII", find(data, "moov", "trak", "mdia", "mdhd").content)
    assert (runs, run, run * ticks) == (1, count, length)
    assert struct.unpack(">4xII", find(table, "stss").content) == (1, 1)

    samples: list[bytes] = []
    for size in sizes:
        at = sum([4 + len(sample) for sample in samples])
        (nal_size,) = struct.unpack_from(">I", mdat.content, at)
        assert nal_size == size - 4, "one NAL unit a sample"
        samples.append(mdat.content[at + 4 : at + size])
    return Movie(width=width, height=height, samples=samples, seconds=length / scale)


def size_in_sps(sps: bytes) -> tuple[int, int]:
    """Width and height that a sequence parameter set of the constrained baseline profile describes."""
    bits = Bits(sps)
    assert (sps[0], bits.u(8), bits.u(8), bits.u(8)) == (0x67, 66, 0xC0, 30)
    assert (bits.ue(), bits.ue(), bits.ue(), bits.ue(), bits.u(1)) == (0, 4, 2, 1, 0)
    columns, rows = bits.ue() + 1, bits.ue() + 1
    assert (bits.u(1), bits.u(1), bits.u(1), bits.u(1)) == (1, 1, 0, 0)
    assert bits.ends_here()
    return columns * 16, rows * 16


@each_size
@each_order
def test_every_table_of_a_film_agrees_with_its_bytes(size: int, index_first: bool) -> None:
    data = film(replace(TAKE, size=size, index_first=index_first))
    assert len(data) == size
    movie = read(data)
    assert 3 <= movie.seconds <= 6
    assert [box.kind for box in boxes(data)] == (
        ["ftyp", "moov", "free", "mdat"] if index_first else ["ftyp", "free", "mdat", "moov"]
    )


@each_size
def test_pictures_are_one_key_frame_and_what_changes_after_it(size: int) -> None:
    movie = read(film(replace(TAKE, size=size)))
    assert [sample[0] for sample in movie.samples] == [0x65] + [0x41] * (len(movie.samples) - 1)
    for number, sample in enumerate(movie.samples):
        assert b"\0\0\0" not in sample
        assert b"\0\0\1" not in sample
        assert b"\0\0\2" not in sample
        bits = Bits(sample[:64])
        first, kind, pps, frame = bits.ue(), bits.ue(), bits.ue(), bits.u(8)
        assert (first, kind, pps, frame) == (0, 7 if number == 0 else 5, 0, number % 256)


def test_zeros_that_could_be_taken_for_a_start_code_are_broken_up() -> None:
    huge = 1 << 26  # so many zeros stand before such a number
    sps = h264.sequence_parameters(huge, huge)
    assert not re.search(rb"\0\0[\0\1\2]", sps)
    assert size_in_sps(sps) == (huge * 16, huge * 16)


def macroblocks(sample: bytes) -> int:
    """How many macroblocks a predicted picture tells of; anything it should not hold is an error (7.3.4, 7.3.5)."""
    bits = Bits(sample)
    assert (bits.ue(), bits.ue(), bits.ue()) == (0, 5, 0)
    bits.u(8)
    assert (bits.u(1), bits.u(1), bits.u(1), bits.se(), bits.ue()) == (0, 0, 0, 0, 1)
    count = 0
    while True:
        count += bits.ue()
        if bits.ends_here():
            return count
        match bits.ue():
            case 0:
                assert (bits.se() % 8, bits.se(), bits.ue()) == (0, 0, 0), "whole samples, even, to the side; no residual"
            case 30:
                assert set(bits.text[bits.at : bits.at + -bits.at % 8]) <= {"0"}
                bits.at += -bits.at % 8 + 384 * 8
            case other:
                pytest.fail(f"macroblock type {other}")
        count += 1
        if bits.ends_here():
            return count


@each_size
def test_every_predicted_picture_tells_of_every_macroblock_once(size: int) -> None:
    movie = read(film(replace(TAKE, size=size)))
    assert {macroblocks(sample) for sample in movie.samples[1:]} == {movie.width * movie.height // 256}


@each_size
@each_order
def test_a_decoder_shows_every_picture_without_complaint(size: int, index_first: bool) -> None:
    data = film(replace(TAKE, size=size, index_first=index_first))
    movie = read(data)
    with av.logging.Capture() as complaints:
        frames = decoded(data, err_detect="explode")
    assert complaints == []
    assert {(frame.width, frame.height) for frame in frames} == {(movie.width, movie.height)}
    assert len(frames) == len(movie.samples)
    assert not any(frame.is_corrupt for frame in frames)


def decoded(data: bytes, **options: str) -> list[av.VideoFrame]:
    """Every picture of a film or a still."""
    with av.open(io.BytesIO(data), "r", options=options) as container:
        return list(container.decode(video=0))


def planes(data: bytes) -> list[bytes]:
    """The luma of every picture, without padding."""
    return [
        b"".join(bytes(plane)[row * plane.line_size :][: plane.width] for row in range(plane.height))
        for plane in (frame.planes[0] for frame in decoded(data))
    ]


def test_what_is_shown_moves_and_nothing_else_does() -> None:
    width, side = 320, 16
    pictures = planes(film(TAKE))
    lane = 8 * side * width

    def walker(picture: bytes) -> int:
        row = picture[lane : lane + width]
        return next(x for x in range(width) if row[x] != row[-1])

    starts = [walker(picture) for picture in pictures]
    assert [after - before for before, after in pairwise(starts)] == [4] * (len(starts) - 1)
    sky, ground = slice(side * width, lane), slice(lane + side * width, None)
    assert len({picture[sky] for picture in pictures}) == 1
    assert len({picture[ground] for picture in pictures}) == 1


def test_the_time_goes_by_once_a_second() -> None:
    bands = [picture[: 16 * 320] for picture in planes(film(TAKE))]
    changes = [number for number in range(1, len(bands)) if bands[number] != bands[number - 1]]
    assert changes == list(range(10, len(bands), 10))


def test_cameras_have_their_own_colours() -> None:
    def sky(camera: int) -> bytes:
        return bytes(decoded(film(replace(TAKE, camera=camera)))[0].planes[1])

    assert len({sky(camera) for camera in range(5)}) == 5
    assert sky(1) == sky(1)


def test_a_take_makes_one_film_and_two_takes_make_two() -> None:
    assert film(TAKE) == film(replace(TAKE))
    others = [replace(TAKE, seed=2), replace(TAKE, clip=5), replace(TAKE, camera=8), replace(TAKE, size=120_001)]
    assert len({film(take) for take in [TAKE, *others]}) == 5


def test_a_film_too_small_to_be_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        replace(TAKE, size=SMALLEST - 1)


def test_a_still_is_a_picture_of_the_same_scene() -> None:
    def colour(frame: av.VideoFrame, x: int, y: int) -> list[int]:
        plane = frame.reformat(format="rgb24").planes[0]
        return list(bytes(plane)[y * plane.line_size + 3 * x :][:3])

    (small,), large = decoded(still(TAKE)), decoded(film(TAKE))[0]
    assert (small.width, small.height) == (160, 96)
    for y in (20, 44, 90):
        assert colour(small, 140, y) == pytest.approx(colour(large, 280, 2 * y), abs=8)


def test_films_are_kept_as_files_and_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    footage = Footage(tmp_path, kept=30_000)
    first, second, third, fourth = (replace(TAKE, clip=number, size=9_000) for number in range(4))
    for take in (first, second, third, first, fourth):
        assert footage.path(take).read_bytes() == film(take)
    assert len(list(tmp_path.iterdir())) == 3
    assert not footage_has(footage, tmp_path, second)
    assert footage.path(second).read_bytes() == film(second)
    assert footage.path(fourth).read_bytes() == film(fourth)


def footage_has(footage: Footage, folder: Path, take: Take) -> bool:
    return any(path.read_bytes() == film(take) for path in folder.iterdir())


def test_films_that_are_made_beforehand_are_no_more_than_are_kept(tmp_path: Path) -> None:
    footage = Footage(tmp_path, kept=30_000)
    footage.make(replace(TAKE, clip=number, size=9_000) for number in range(1_000_000_000))
    assert len(list(tmp_path.iterdir())) == 3
    assert footage_has(footage, tmp_path, replace(TAKE, clip=0, size=9_000))


def test_a_large_film_is_never_whole_in_memory(tmp_path: Path) -> None:
    take = replace(TAKE, size=20_000_000)
    tracemalloc.start()
    try:
        path = Footage(tmp_path).path(take)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert path.read_bytes() == film(take)
