"""Which frames show the same thing in a cell: runs of frames, and runs that come back to what was there."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.ghosts.change import SHARE, Look, least_change, spanned
from gpustack.ghosts.glance import Mask, Plane

REMEMBERED = 4
"""Runs that a cell remembers: a thing that passes, and what was there before it, with room for two more."""

Numbers = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.intp]

_MOST = np.iinfo(np.uint8).max
_NONE = -1
_VOTE = 3  # cells
_NEAR = np.ones((9, 9), np.uint8)  # cells that may have changed, too: as far as the largest cells reach


class Runs:
    """Gives the things that some cells (h, w) show a number, frame by frame, as they are asked for in order.

    A run ends where a cell has changed. The next one is of the thing that was there before if its light is
    as at the end of that run, within what counts as no change; else it is of a new one. Cells beside those
    that changed are asked, too, but may go on as they were.
    """

    def __init__(self, cells: Mask) -> None:
        self._cells = cells
        size = int(cells.sum())
        self._now, self._count = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
        self._ended = np.full((REMEMBERED, size), _NONE, np.int16)
        self._ends = np.zeros((REMEMBERED, 3, size), np.float32)
        self._next = np.zeros(size, int)
        self._last: Plane | None = None

    def step(self, look: Look, change: Mask | None) -> Numbers:
        """(n,) numbers of the things that the cells of the next frame show; `change` (h, w): which changed
        since the frame before, None: none did."""
        seen = np.stack([plane[self._cells] for plane in (look.light, look.low, look.high)])
        if self._last is not None and change is not None:
            near = cv2.dilate(change.astype(np.uint8), _NEAR) > 0
            moved = np.flatnonzero(near[self._cells])
            self._turn(self._last, seen, moved, change[self._cells][moved])
        self._last = seen
        return self._now.copy()

    def _turn(self, last: Plane, seen: Plane, moved: Indices, surely: Mask) -> None:
        """End the runs of cells that changed, surely or perhaps, and begin others."""
        known = self._known(last, seen, moved, surely)
        slot = self._next[moved]
        self._ended[slot, moved], self._ends[slot, :, moved] = self._now[moved], last[:, moved].T
        self._next[moved] = (slot + 1) % REMEMBERED
        new = moved[(known == _NONE) & (self._count[moved] < _MOST)]
        self._count[new] += 1
        self._now[moved] = np.where(known == _NONE, self._count[moved], known)

    def _known(self, last: Plane, seen: Plane, moved: Indices, surely: Mask) -> npt.NDArray[np.int16]:
        """The number of what was there before in each of some cells, or _NONE; that of the frame before only
        where it has not surely changed."""
        now = seen[:, moved]
        best = np.where(surely, np.float32(SHARE), self._around(_away(last[:, moved], now), moved))
        found = np.where(best < SHARE, self._now[moved].astype(np.int16), np.int16(_NONE))
        best = np.minimum(best, np.float32(SHARE))
        for numbers, ends in zip(self._ended[:, moved], self._ends[:, :, moved], strict=True):
            away = self._around(np.where(numbers == _NONE, np.float32(1), _away(ends, now)), moved)
            like = (numbers != _NONE) & (away < best)
            found[like], best[like] = numbers[like], away[like]
        return found

    def _around(self, shares: Plane, moved: Indices) -> Plane:
        """The mean of the shares over the cells around that changed, too: a single cell may be like
        anything."""
        both = np.zeros((*self._cells.shape, 2), np.float32)
        own = np.zeros((len(self._now), 2), np.float32)
        own[moved, 0], own[moved, 1] = shares, 1
        both[self._cells] = own
        summed = cv2.boxFilter(both, -1, (_VOTE, _VOTE), normalize=False, borderType=cv2.BORDER_CONSTANT)
        value, weight = np.moveaxis(summed[self._cells][moved], -1, 0)
        return np.asarray(value / weight, np.float32)


def _away(here: Plane, there: Plane) -> Plane:
    """By what share of what they span cells differ; 0 where it is noise. (3, n): light, lowest, highest."""
    change = np.abs(here[0] - there[0])
    share = change / spanned(here[1], here[2], there[1], there[2])
    noise = change < least_change(np.minimum(here[0], there[0]))
    return np.asarray(np.where(noise, 0, share), np.float32)
