"""What a camera saw: small true films and pictures, all different, each made from a few facts and nothing else."""

from __future__ import annotations

import colorsys
import hashlib
import itertools
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from blinkarchive.simulator import h264
from blinkarchive.simulator.boxes import Track, mp4
from blinkarchive.simulator.jpeg import Colour, jpeg

SMALLEST = 8_000
"""No film is smaller, in bytes."""

_FORMATS = ((20, 12), (16, 9), (12, 7), (8, 5), (5, 4), (3, 3))
"""Columns and rows of macroblocks. A film takes the largest that its size has room for."""

_FRAMES_A_SECOND = 10
_KEPT = 4 << 30
_NIGHT: Colour = (24, 24, 28)
_LETTER: Colour = (235, 235, 225)
_SIDE = 16
_NOISE = hashlib.shake_128(b"the rest of the film").digest(1 << 18)

_GLYPHS = {
    "0": "75557", "1": "26227", "2": "71747", "3": "71717", "4": "55711", "5": "74717", "6": "74757",
    "7": "71111", "8": "75757", "9": "75717", "-": "00700", ":": "02020", " ": "00000",
}  # fmt: skip
"""Five rows of three dots, each row an octal digit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """All that decides a film, byte by byte."""

    seed: int
    camera: int
    clip: int
    at: datetime
    #: In bytes, at least `SMALLEST`.
    size: int
    #: Whether the film's index (`moov`) stands before its data or after it.
    index_first: bool = True

    def __post_init__(self) -> None:
        if self.size < SMALLEST:
            raise ValueError(f"a film has at least {SMALLEST} bytes, not {self.size}")

    @property
    def chance(self) -> bytes:
        """32 bytes that differ from take to take, and never change."""
        return hashlib.sha256(repr(self).encode()).digest()


def film(take: Take) -> bytes:
    """An H.264 film in an MP4 file of exactly `take.size` bytes.

    The colours are the camera's, the digits are the time, and something crosses the picture; the rest of the size is filling.
    """
    return b"".join(_pieces(take))


def still(take: Take) -> bytes:
    """The thumbnail: a small JPEG of the same scene."""
    return jpeg(_scene(take, 20, 12))


class Footage:
    """The films that were asked for, as files in one folder; the oldest go when they take more than `kept` bytes."""

    def __init__(self, folder: Path, kept: int = _KEPT) -> None:
        self._folder = folder
        self._left = kept
        self._numbers = itertools.count()
        #: The films that are there, and the number of each one's file: little, since there may be tens of thousands.
        self._made: OrderedDict[Take, int] = OrderedDict()

    def make(self, takes: Iterable[Take]) -> None:
        """Make films before anybody asks for them, no more than are kept."""
        for take in takes:
            if take.size > self._left:
                return
            self.path(take)

    def path(self, take: Take) -> Path:
        """The file of a film, made now if it is not there."""
        number = self._made.get(take)
        if number is not None:
            self._made.move_to_end(take)
            return self._file(number)
        number = next(self._numbers)
        with self._file(number).open("wb") as file:
            file.writelines(_pieces(take))
        self._made[take] = number
        self._left -= take.size
        while self._left < 0 and len(self._made) > 1:
            oldest, other = self._made.popitem(last=False)
            self._file(other).unlink()
            self._left += oldest.size
        return self._file(number)

    def _file(self, number: int) -> Path:
        return self._folder / f"{number}.mp4"


def _pieces(take: Take) -> Iterator[bytes]:
    """A film piece by piece: none is large, however large it is."""
    for columns, rows in _FORMATS:
        if columns * rows * 400 > take.size:
            continue  # the key frame alone would not fit
        track = _track(take, columns, rows)
        room = take.size - sum(map(len, mp4(track, index_first=take.index_first, room=0)))
        if room >= 0:
            before, after = mp4(track, index_first=take.index_first, room=room)
            yield before
            yield from _noise(take, room)
            yield after
            return
    raise AssertionError("SMALLEST has room for the smallest format")


def _track(take: Take, columns: int, rows: int) -> Track:
    text = _band(take.at, columns)
    scene = _scene(take, columns, rows)
    flats = {colour: _flat(colour) for colour in {colour for row in scene for colour in row}}
    ground = [flats[colour] for row in scene[1:] for colour in row]
    pictures = [h264.whole_picture([*(_LETTERS[character] for character in text), *ground])]
    for number in range(1, 1 + (30 if columns < 8 else 40 + take.chance[0] % 20)):
        changed: dict[int, h264.Macroblock] = {}
        if number % _FRAMES_A_SECOND == 0:
            before, text = text, _band(take.at + timedelta(seconds=number // _FRAMES_A_SECOND), columns)
            changed = {i: _LETTERS[new] for i, (new, old) in enumerate(zip(text, before, strict=True)) if new != old}
        pictures.append(
            h264.next_picture(
                number, columns=columns, rows=rows, changed=changed, moving_row=_lane(rows), right=4 if columns > 8 else 2
            )
        )
    return Track(
        width=columns * _SIDE,
        height=rows * _SIDE,
        frames_a_second=_FRAMES_A_SECOND,
        recorded_at=take.at,
        sps=h264.sequence_parameters(columns, rows),
        pps=h264.picture_parameters(),
        pictures=pictures,
    )


def _noise(take: Take, length: int) -> Iterator[bytes]:
    """Bytes that no packer makes smaller, and that differ from take to take."""
    start = int.from_bytes(take.chance[:4]) % len(_NOISE)
    for piece in itertools.chain((take.chance, _NOISE[start:]), itertools.repeat(_NOISE)):
        if length <= len(piece):
            yield piece[:length]
            return
        yield piece
        length -= len(piece)


def _lane(rows: int) -> int:
    """The row in which something moves."""
    return max(2, rows * 2 // 3)


def _scene(take: Take, columns: int, rows: int) -> list[list[Colour]]:
    """The colours of the first picture: a band for the time, sky, a lane with something on it, ground."""
    hue = hashlib.sha256(f"camera {take.camera}".encode()).digest()[0] / 256
    lane = _lane(rows)
    grid = [[_NIGHT] * columns]
    for row in range(1, rows):
        light = 0.95 - 0.6 * row / rows if row < lane else 0.45 - 0.25 * (row - lane) / rows
        grid.append([_colour(hue, 0.35 if row < lane else 0.6, light)] * columns)
    walker = 1 + take.chance[1] % max(1, columns // 4)
    grid[lane][walker] = _colour(hue + 0.25 + take.chance[2] / 512, 0.9, 0.95)
    return grid


def _colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _band(at: datetime, columns: int) -> str:
    """The time, one character a macroblock: as many of its last characters as there is room for."""
    return at.strftime("%Y-%m-%d %H:%M:%S")[-columns:].ljust(columns)


def _flat(colour: Colour) -> h264.Macroblock:
    y, cb, cr = _samples(colour)
    return h264.Macroblock(bytes([y]) * 256 + bytes([cb]) * 64 + bytes([cr]) * 64)


def _letter(glyph: str) -> h264.Macroblock:
    paper, cb, cr = _samples(_NIGHT)
    ink = _samples(_LETTER)[0]
    rows = [bytes([paper]) * _SIDE]
    for digit in glyph:
        dots = b"".join(bytes([ink if dot == "1" else paper]) * 3 for dot in f"{int(digit):03b}")
        rows.extend([bytes([paper]) * 3 + dots + bytes([paper]) * 4] * 3)
    return h264.Macroblock(b"".join(rows) + bytes([cb]) * 64 + bytes([cr]) * 64)


def _samples(colour: Colour) -> tuple[int, int, int]:
    """Luma and chroma in the narrow range of video: 16 to 240 (ITU-R BT.601)."""
    red, green, blue = (part / 255 for part in colour)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    return round(16 + 219 * y), round(128 + 224 * (blue - y) * 0.564), round(128 + 224 * (red - y) * 0.713)


_LETTERS = {character: _letter(glyph) for character, glyph in _GLYPHS.items()}
