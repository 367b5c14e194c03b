"""What the backend's arrays are for the compiled loops: where they begin, how they lie, and room to work in.

Whoever calls a loop holds on to the arrays of which only the addresses go in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpustack.backend.fast.arrays import Array
from gpustack.backend.fast.machine import address
from gpustack.backend.filters import SCRATCH, gaussian
from gpustack.backend.values import BLUR_STEPS, Part

Given = tuple[Any, ...]

NOTHING = np.empty(0, np.float32)


@dataclass(frozen=True, slots=True)
class Planes:
    """An image (c, h, w) whose rows are whole, and may be some of a larger one's."""

    image: Array

    @staticmethod
    def of(image: Array) -> Planes:
        """It, or a copy where its rows do not lie one behind the other."""
        whole = image.strides[1:] == (image.shape[2] * 4, 4) or not image.size
        return Planes(image if whole else np.ascontiguousarray(image))

    @property
    def lying(self) -> Given:
        """Where its planes are, and how far apart."""
        return address(self.image), self.image.strides[0] // self.image.itemsize if self.image.size else 0

    @property
    def all(self) -> Given:
        """The same, and its shape."""
        return *self.lying, *self.image.shape


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane (h, w), or none."""

    array: Array

    @staticmethod
    def of(array: Array | None) -> Plane:
        """It, or a copy where its rows do not lie one behind the other; to be read."""
        return Plane(NOTHING if array is None else np.ascontiguousarray(array))

    @property
    def all(self) -> Given:
        """Where it is, and its rows."""
        return address(self.array), len(self.array)


class Taps:
    """The taps of `filters.gaussian`, from the middle on, and what blurring by them takes to work in."""

    def __init__(self, sigma: float) -> None:
        taps = gaussian(sigma)
        self._taps = np.ascontiguousarray(taps[len(taps) // 2 :])

    @property
    def all(self) -> Given:
        """Where they are, and how many."""
        return address(self._taps), self._taps.size

    def room(self, width: int, half: int = 0, channels: int = 0) -> Array:
        """A ring, a row with its mirrored ends, a coarse row, four more; and the `channels` of the rows that
        wait."""
        reach = self._taps.size - 1
        ring, waiting = (_ring_rows(rows) for rows in (2 * reach + 1, reach + 1))
        return SCRATCH.lines("loops", 1, (ring + waiting * channels + 5) * width + 2 * reach + half + 2)


class Ladder:
    """The taps of each rung of the ladder of blurs but the first, from the middle on."""

    def __init__(self) -> None:
        found, whole = [], np.ones(1)
        for taps in BLUR_STEPS:
            whole = np.convolve(whole, taps)
            found.append(whole[len(whole) // 2 :])
        self._counts = [len(taps) for taps in found]
        self._taps = np.concatenate(found).astype(np.float32)

    @property
    def all(self) -> Given:
        """Where they are, one behind the other, and how many each rung has."""
        return address(self._taps), *self._counts

    def room(self, width: int, rows: int) -> int:
        """Values that working by them takes: a ring, a row with its mirrored ends, and so many rows more."""
        reach = self._counts[-1] - 1
        return (_ring_rows(2 * reach + 1) + 1 + rows) * width + 2 * reach


def _ring_rows(least: int) -> int:
    """As `bands.ring_rows`."""
    return 1 << (least - 1).bit_length()


def best_of(part: Part[Array]) -> Given:
    """The winner."""
    return address(part.best.energy), address(part.best.frame)


def way_of(part: Part[Array], frame: int) -> Given:
    """How a frame is weighed."""
    return frame, part.noise, part.steep
