"""Focus curves: what each cell of the picture shows of detail, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.spool import IN_MEMORY_BYTES

Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]

Planes = Sequence[Plane] | npt.NDArray[np.float32]
"""A plane a frame, asked for one at a time and several times."""

CELLS = 256
"""Cells along the longer side, at most."""

CELL_PX = 8
"""Pixels of a cell's side, at least: fewer hold too little texture for a curve."""

SEEN_NOISE = 4.0
"""A cell is seen where its largest focus measure is above this multiple of that of noise."""

SEEN_SHARE, SEEN_REACH = 0.02, 5
"""And above this share of the largest in so many cells around: beside something of strong contrast a plain
cell sees little but its blurred rim, whose measure peaks where that is out of focus."""

SEEN_FALL_DB = 2.0
"""And where it falls by so much in some frame: what is alike in all of them is noise, or dust."""

CLEAR_NOISE, ALIKE, NEAR = 100.0, 0.7, 1 / 8
"""Below this multiple of noise, a cell counts only where such a share of those around it are sharpest in
nearly the same frame, within this share of the stack: blocks of compression change from frame to frame as no
noise does."""

LEAST_LEVEL = 0.5
"""Below this multiple of the noise's, a focus measure tells nothing of how sharp a cell is."""


JUDGING_BYTES = 2048
"""Bytes a cell while curves are judged."""

CURVE_BYTES = 1500
"""Bytes in memory of what else is known of a frame."""

_AROUND = 2


@dataclass(frozen=True, slots=True, eq=False)
class _Ranks:
    """What all frames together tell of each cell (rows, columns): the largest measure, which of them has it,
    the second largest, and the least of those that cover the cell."""

    peak: Plane
    top: npt.NDArray[np.intp]
    second: Plane
    least: Plane

    @staticmethod
    def of(energies: Planes) -> _Ranks:
        """One frame after the other."""
        shape = energies[0].shape
        peak, second = (np.full(shape, -np.inf, np.float32) for _ in "12")
        top, least = np.zeros(shape, np.intp), np.full(shape, np.inf, np.float32)
        for number, plane in enumerate(energies):
            higher = plane > peak
            second = np.where(higher, peak, np.maximum(second, plane))
            peak, top[higher] = np.maximum(peak, plane), number
            least = np.minimum(least, np.where(plane < 0, np.float32(np.inf), plane))
        return _Ranks(peak, top, second, least)


@dataclass(frozen=True, eq=False)
class Curves:
    """energies n times (rows, columns) float32: the mean focus measure of each cell in each frame, less than
    0 where the frame does not cover it; frames: their indices in the stack; floor: the focus measure of noise
    alone."""

    energies: Planes
    frames: tuple[int, ...]
    floor: float

    @cached_property
    def _ranks(self) -> _Ranks:
        return _Ranks.of(self.energies)

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self._ranks.peak.shape

    @property
    def peaks(self) -> Plane:
        """(rows, columns) the largest measure of each cell."""
        return self._ranks.peak

    @property
    def top(self) -> npt.NDArray[np.intp]:
        """(rows, columns) the number of the curves' frame that has it."""
        return self._ranks.top

    @property
    def seconds(self) -> Plane:
        """(rows, columns) the second largest; less than any where there is one frame only."""
        return self._ranks.second

    def at(self, row: int, column: int) -> Plane:
        """(n,) the curve of one cell."""
        return np.array([plane[row, column] for plane in self.energies], np.float32)

    def seen(self) -> Mask:
        """(rows, columns): cells with detail of their own in some frame."""
        peaks = np.maximum(self.peaks - np.float32(self.floor), 0)
        around = cv2.dilate(peaks, np.ones((SEEN_REACH, SEEN_REACH), np.uint8))
        falls = self.peaks > np.float32(10 ** (SEEN_FALL_DB / 10)) * self._ranks.least
        seen = (peaks > SEEN_NOISE * self.floor) & (peaks > SEEN_SHARE * around) & falls
        return np.asarray(seen & ((peaks > CLEAR_NOISE * self.floor) | (self._alike(seen) >= ALIKE)))

    def _alike(self, seen: Mask) -> Plane:
        """(rows, columns) the share of the seen cells around each that are sharpest within an eighth of the
        stack of it, 0..1."""
        top = np.pad(self.top, _AROUND)
        inside = np.pad(seen, _AROUND)
        near, (rows, columns) = max(1, round(len(self.frames) * NEAR)), seen.shape
        alike, count = np.zeros(seen.shape, np.float32), np.zeros(seen.shape, np.float32)
        own = top[_AROUND : _AROUND + rows, _AROUND : _AROUND + columns]
        for down, across in np.ndindex(2 * _AROUND + 1, 2 * _AROUND + 1):
            there = slice(down, down + rows), slice(across, across + columns)
            alike += inside[there] & (np.abs(top[there] - own) <= near)
            count += inside[there]
        return np.asarray((alike - 1) / np.maximum(count - 1, 1), np.float32)

    def levels(self, cells: Mask) -> Levels:
        """Those of some cells."""
        return Levels(self, np.flatnonzero(cells))


class Levels:
    """The measure of some cells (c,) in n frames, in decibels, less that of noise; not a number where that is
    all there is. They are worked out for those frames that are asked for."""

    def __init__(self, curves: Curves, cells: npt.NDArray[np.intp]) -> None:
        self._curves, self._cells = curves, cells

    def __len__(self) -> int:
        return len(self._curves.frames)

    @property
    def top(self) -> npt.NDArray[np.intp]:
        """(c,) the number of the frame that has the largest."""
        return self._curves.top.ravel()[self._cells]

    def thinned(self, most: int) -> Levels:
        """Those of every so manyth cell, so that about `most` are left."""
        return Levels(self._curves, self._cells[:: max(1, len(self._cells) // most)])

    def at(self, index: npt.NDArray[np.intp]) -> Values:
        """(k, c) the levels in the frames with these numbers (k, c)."""
        energy = np.zeros(index.shape, np.float32)
        for number, plane in enumerate(self._curves.energies):
            wanted = index == number
            if wanted.any():
                energy[wanted] = np.broadcast_to(plane.ravel()[self._cells], index.shape)[wanted]
        signal = energy.astype(np.float64) - self._curves.floor
        told = signal > LEAST_LEVEL * self._curves.floor
        return 10 * np.log10(signal, where=told, out=np.full(signal.shape, np.nan))


def cell_count(width: int, height: int) -> int:
    """Cells along the longer side of a picture."""
    return max(1, min(CELLS, max(width, height) // CELL_PX))


def curves_bytes(width: int, height: int, frames: int) -> int:
    """What the curves of a stack take in memory: what is worked out of them, and what of them is not in a
    file."""
    longest = cell_count(width, height)
    cells = longest * max(1, -(-longest * min(width, height) // max(width, height)))
    return cells * JUDGING_BYTES + min(frames * cells * 4, IN_MEMORY_BYTES) + frames * CURVE_BYTES


def spread_out(values: npt.NDArray[Any], cells: Mask, empty: float) -> npt.NDArray[Any]:
    """Values (c,) of some cells as a plane (rows, columns)."""
    plane = np.full(cells.shape, empty, values.dtype)
    plane[cells] = values
    return plane
