"""What a decoder needs of H.264 to play a film of whole macroblocks: pictures in, NAL units out.

Only the simplest tools of the constrained baseline profile are used (ITU-T H.264): I_PCM macroblocks, which carry their
samples as they are; P_Skip, which repeats the picture before; and P_L0_16x16 without residual, which moves it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NewType

Macroblock = NewType("Macroblock", bytes)
"""16 x 16 samples of luma, then 8 x 8 of each chroma plane: 384 bytes, none of them below 16."""

_INTRA_PCM_IN_I = 25
_INTRA_PCM_IN_P = 5 + 25
_FRAME_NUMBER_BITS = 8


class _Bits:
    """A bit string that grows at its end."""

    def __init__(self) -> None:
        self._done = bytearray()
        self._text: list[str] = []

    def u(self, width: int, value: int) -> _Bits:
        """An unsigned number of a fixed width."""
        self._text.append(f"{value:0{width}b}")
        return self

    def ue(self, value: int) -> _Bits:
        """An unsigned Exp-Golomb number (9.1)."""
        digits = f"{value + 1:b}"
        self._text.append("0" * (len(digits) - 1) + digits)
        return self

    def repeat(self, times: int, piece: _Bits) -> _Bits:
        """Another, unaligned bit string, several times."""
        self._text.append("".join(piece._text) * times)
        return self

    def se(self, value: int) -> _Bits:
        """A signed Exp-Golomb number (9.1.1)."""
        return self.ue(2 * value - 1 if value > 0 else -2 * value)

    def align(self) -> _Bits:
        """Zero bits up to the next byte."""
        text = "".join(self._text)
        text += "0" * (-len(text) % 8)
        self._done += int(text, 2).to_bytes(len(text) // 8, "big") if text else b""
        self._text.clear()
        return self

    def raw(self, data: bytes) -> _Bits:
        """Whole bytes, after `align`."""
        self._done += data
        return self

    def whole_bytes(self) -> bytes:
        """What is there, up to the last `align`."""
        return bytes(self._done)

    def nal(self, header: int) -> bytes:
        """Close the payload and wrap it as one NAL unit (7.3.1), with emulation prevention."""
        self.u(1, 1).align()
        return bytes([header]) + re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", self.whole_bytes())


def sequence_parameters(columns: int, rows: int) -> bytes:
    """The SPS of a film that is `columns` x `rows` macroblocks large: constrained baseline, level 3, one reference frame."""
    bits = _Bits().u(8, 66).u(8, 0b1100_0000).u(8, 30)
    bits.ue(0).ue(_FRAME_NUMBER_BITS - 4).ue(2).ue(1).u(1, 0)  # pictures are shown in the order they come (POC type 2)
    bits.ue(columns - 1).ue(rows - 1).u(1, 1).u(1, 1).u(1, 0).u(1, 0)
    return bits.nal(0x67)


def picture_parameters() -> bytes:
    """The PPS: CAVLC, one slice a picture, the deblocking filter under the slice's control."""
    bits = _Bits().ue(0).ue(0).u(1, 0).u(1, 0).ue(0).ue(0).ue(0).u(1, 0).u(2, 0)
    return bits.se(0).se(0).se(0).u(1, 1).u(1, 0).u(1, 0).nal(0x68)


def whole_picture(macroblocks: list[Macroblock]) -> bytes:
    """A key frame: every macroblock, row by row from the top left."""
    bits = _Bits().ue(0).ue(7).ue(0).u(_FRAME_NUMBER_BITS, 0).ue(0).u(1, 0).u(1, 0).se(0).ue(1)
    bits.ue(_INTRA_PCM_IN_I).align().raw(macroblocks[0])
    following = _Bits().ue(_INTRA_PCM_IN_I).align().whole_bytes()
    return bits.raw(b"".join(following + block for block in macroblocks[1:])).nal(0x65)


def next_picture(
    number: int, *, columns: int, rows: int, changed: Mapping[int, Macroblock], moving_row: int, right: int
) -> bytes:
    """The picture after the one before: some macroblocks new, one row of them moved to the right, the rest the same.

    `number` counts from the key frame's 0. `changed` is by position and lies above `moving_row`, which is neither the first
    nor the second row: so every motion vector next to it is zero, and so is every prediction. `right` is in whole samples, even.
    """
    bits = _Bits().ue(0).ue(5).ue(0).u(_FRAME_NUMBER_BITS, number % (1 << _FRAME_NUMBER_BITS)).u(1, 0).u(1, 0).u(1, 0).se(0).ue(1)
    at = 0
    for position, block in sorted(changed.items()):
        bits.ue(position - at).ue(_INTRA_PCM_IN_P).align().raw(block)
        at = position + 1
    lane = moving_row * columns
    moved = _Bits().ue(0).se(-4 * right).se(0).ue(0)  # P_L0_16x16, its motion in quarters of a sample, no residual
    bits.ue(lane - at).repeat(1, moved).repeat(columns - 1, _Bits().ue(0).repeat(1, moved))
    if below := columns * rows - lane - columns:
        bits.ue(below)
    return bits.nal(0x41)
