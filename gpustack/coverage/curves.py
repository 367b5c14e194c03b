"""Focus curves: what each cell of the picture shows of detail, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]

CELLS = 256
"""Cells along the longer side, at most: a thousand frames keep less than 180 MB."""

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


_AROUND = 2


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """energies (n, rows, columns) float32: the mean focus measure of each cell in each frame, less than 0
    where the frame does not cover it; frames: their indices in the stack; floor: the focus measure of noise
    alone."""

    energies: npt.NDArray[np.float32]
    frames: tuple[int, ...]
    floor: float

    @property
    def peaks(self) -> Plane:
        """(rows, columns) the largest measure of each cell."""
        return np.asarray(self.energies.max(axis=0), np.float32)

    def seen(self) -> Mask:
        """(rows, columns): cells with detail of their own in some frame."""
        peaks = np.maximum(self.peaks - np.float32(self.floor), 0)
        around = cv2.dilate(peaks, np.ones((SEEN_REACH, SEEN_REACH), np.uint8))
        least = np.where(self.energies < 0, np.float32(np.inf), self.energies).min(axis=0)
        falls = self.peaks > np.float32(10 ** (SEEN_FALL_DB / 10)) * least
        seen = (peaks > SEEN_NOISE * self.floor) & (peaks > SEEN_SHARE * around) & falls
        return np.asarray(seen & ((peaks > CLEAR_NOISE * self.floor) | (self._alike(seen) >= ALIKE)))

    def _alike(self, seen: Mask) -> Plane:
        """(rows, columns) the share of the seen cells around each that are sharpest within an eighth of the
        stack of it, 0..1."""
        top = np.pad(self.energies.argmax(axis=0), _AROUND)
        inside = np.pad(seen, _AROUND)
        near, (rows, columns) = max(1, round(len(self.frames) * NEAR)), seen.shape
        alike, count = np.zeros(seen.shape, np.float32), np.zeros(seen.shape, np.float32)
        own = top[_AROUND : _AROUND + rows, _AROUND : _AROUND + columns]
        for down, across in np.ndindex(2 * _AROUND + 1, 2 * _AROUND + 1):
            there = slice(down, down + rows), slice(across, across + columns)
            alike += inside[there] & (np.abs(top[there] - own) <= near)
            count += inside[there]
        return np.asarray((alike - 1) / np.maximum(count - 1, 1), np.float32)

    def levels(self, cells: Mask) -> Values:
        """(n, c) the measure of some cells in decibels, less that of noise; not a number where that is all
        there is."""
        signal = self.energies[:, cells].astype(np.float64) - self.floor
        told = signal > LEAST_LEVEL * self.floor
        return 10 * np.log10(signal, where=told, out=np.full(signal.shape, np.nan))


def cell_count(width: int, height: int) -> int:
    """Cells along the longer side of a picture."""
    return max(1, min(CELLS, max(width, height) // CELL_PX))


def curves_bytes(width: int, height: int, frames: int) -> int:
    """What the curves of a stack take: the measures, and as levels twice while they are looked at."""
    longest = cell_count(width, height)
    cells = longest * max(1, -(-longest * min(width, height) // max(width, height)))
    return cells * (frames * (4 + 2 * 8) + 2048)


def spread_out(values: npt.NDArray[Any], cells: Mask, empty: float) -> npt.NDArray[Any]:
    """Values (c,) of some cells as a plane (rows, columns)."""
    plane = np.full(cells.shape, empty, values.dtype)
    plane[cells] = values
    return plane
