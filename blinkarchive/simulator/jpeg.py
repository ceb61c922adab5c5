"""What a decoder needs of JPEG to show a picture of flat squares: a grid of colours in, a baseline file out (ITU-T T.81)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

Colour = tuple[int, int, int]
"""Red, green, blue: 0 to 255."""

_DC_LENGTHS = bytes([0, 0, 0, 9, *[0] * 12])  # nine codes of four bits, for differences of 0 to 8 bits
_AC_LENGTHS = bytes([1, *[0] * 15])  # one code of one bit: nothing more in this block


def jpeg(grid: Sequence[Sequence[Colour]]) -> bytes:
    """Encode a picture in which every colour of the grid is a square of 8 x 8 pixels."""
    rows, columns = len(grid), len(grid[0])
    bits: list[str] = []
    before = (0, 0, 0)
    for row in grid:
        for colour in row:
            now = _ycc(colour)
            bits.extend(_difference(new - old) + "0" for new, old in zip(now, before, strict=True))
            before = now
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    data = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\x00")
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\0\x01\x01\0" + struct.pack(">HHBB", 1, 1, 0, 0)),
            _segment(0xDB, b"\0" + b"\x08" * 64),  # a step of 8: a DC difference of one is a level of one
            _segment(0xC0, struct.pack(">BHHB", 8, rows * 8, columns * 8, 3) + b"\x01\x11\0\x02\x11\0\x03\x11\0"),
            _segment(0xC4, b"\x00" + _DC_LENGTHS + bytes(range(9))),
            _segment(0xC4, b"\x10" + _AC_LENGTHS + b"\0"),
            _segment(0xDA, b"\x03\x01\0\x02\0\x03\0\0\x3f\0"),
            data,
            b"\xff\xd9",
        )
    )


def _ycc(colour: Colour) -> tuple[int, int, int]:
    """Luma and chroma, each less 128."""
    red, green, blue = colour
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    return round(y) - 128, _level((blue - y) * 0.564), _level((red - y) * 0.713)


def _level(value: float) -> int:
    return max(-128, min(127, round(value)))


def _difference(value: int) -> str:
    """A DC difference: the code of its width, then its bits, a negative one less one (F.1.2.1)."""
    width = abs(value).bit_length()
    if not width:
        return "0000"
    return f"{width:04b}" + f"{value if value > 0 else value + (1 << width) - 1:0{width}b}"


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
