"""What a sync module means by the size of a clip: a number in a manifest, whose unit no document states."""

from __future__ import annotations

from collections.abc import Callable

Unit = Callable[[int, int], bool]
"""Whether so many bytes can be meant by a stated size."""


def _rounded(unit: int) -> Unit:
    return lambda stated, size: abs(size - stated * unit) <= unit


def _clusters(kib: int) -> Unit:
    """KiB on a disk that gives each file whole clusters."""
    return lambda stated, size: stated % kib == 0 and stated - kib < size / 1024 <= stated


_UNITS: tuple[Unit, ...] = (_rounded(1024), _rounded(1000), _rounded(1), *map(_clusters, (4, 8, 16, 32)))


class Sizes:
    """The units that the clips of one module allow: all at first, fewer with each clip that arrived whole.

    A size only tells one clip from another. Whether a clip is whole is decided by its MP4 structure.
    """

    def __init__(self) -> None:
        self._units = _UNITS

    def fit(self, stated: int | None, size: int) -> bool:
        """Whether so many bytes can be meant by a stated size. A size that is missing, or not above 0, states nothing."""
        return stated is None or stated <= 0 or any(unit(stated, size) for unit in self._units)

    def confirm(self, stated: int | None, size: int) -> bool:
        """Like `fit`, and false when nothing is stated."""
        return stated is not None and stated > 0 and self.fit(stated, size)

    def learn(self, stated: int | None, size: int) -> None:
        """A clip of this stated size has so many bytes. One that fits no unit left begins anew with those that it does fit."""
        if stated is None or stated <= 0:
            return
        for units in (self._units, _UNITS):
            if fitting := tuple(unit for unit in units if unit(stated, size)):
                self._units = fitting
                return
