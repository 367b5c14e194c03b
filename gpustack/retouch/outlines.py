"""How far pixels are from a line, and whether they are inside of it.

Everything is worked out from a pixel's own position, in the same order of operations whatever the rectangle
that was asked for: pieces are the same as the whole, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]

_SAFE = 0.25
"""Pixels by which segments may be further away than the nearest one and still be looked at: far more than
float32 loses in pictures of a million pixels a side."""

_STRAIGHT = 0.01
"""Share of a brush's radius by which its path may be straightened out: invisible, and many times faster, as
a mouse tells of every pixel."""

_AT_ONCE = 32
"""Segments whose distances to a block are worked out together: 512 KiB a plane."""

_LEAST_STRAIGHT = 0.05
"""Pixels by which any line may be straightened out."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Segments from `start` to `end`, each (n, 2) float32, relative to `origin` (x, y)."""

    start: Plane
    end: Plane
    origin: tuple[float, float]

    @staticmethod
    def of(points: npt.NDArray[np.float64], radius: float, *, closed: bool) -> Line:
        """That through points (n, 2), straightened out where that cannot be seen of a brush of a radius."""
        origin = (float(np.floor(points[0, 0])), float(np.floor(points[0, 1])))
        near = (points - origin).astype(np.float32)
        tolerance = max(_LEAST_STRAIGHT, _STRAIGHT * radius)
        kept = near
        if len(near) > 2:
            kept = np.asarray(cv2.approxPolyDP(near[:, None], tolerance, closed), np.float32)[:, 0]
        kept = near if closed and len(kept) < 3 else kept
        if closed or len(kept) == 1:
            return Line(kept, np.roll(kept, -1, axis=0), origin)
        return Line(kept[:-1], kept[1:], origin)

    def near(self, x: Plane, y: Plane) -> tuple[Line, float]:
        """The segments that may be nearest to any of the pixels in columns `x` and rows `y`, and how far the
        nearest is from the middle of these."""
        middle = (np.float32((x[0] + x[-1]) / 2), np.float32((y[0] + y[-1]) / 2))
        away = np.sqrt(_squares(self, np.array([middle[0]]), np.array([middle[1]])))[:, 0, 0]
        half = np.hypot(x[-1] - x[0], y[-1] - y[0]) / 2
        kept = away <= away.min() + 2 * half + _SAFE
        return Line(self.start[kept], self.end[kept], self.origin), float(away.min())

    def distance(self, x: Plane, y: Plane) -> Plane:
        """From pixels at x (w,) and y (h,), relative to the origin, to the nearest point, (h, w)."""
        least = _squares(self.some(0), x, y).min(axis=0)
        for first in range(_AT_ONCE, len(self.start), _AT_ONCE):
            np.minimum(least, _squares(self.some(first), x, y).min(axis=0), out=least)
        return np.asarray(np.sqrt(least, out=least))

    def some(self, first: int) -> Line:
        """A few of the segments."""
        few = slice(first, first + _AT_ONCE)
        return Line(self.start[few], self.end[few], self.origin)

    def inside(self, x: Plane, y: Plane) -> npt.NDArray[np.bool_]:
        """Whether pixels at x (w,) and y (h,) are within a closed line, by the nonzero rule, (h, w)."""
        top, bottom = self.start[:, 1], self.end[:, 1]
        rows = (np.minimum(top, bottom) <= y[-1]) & (np.maximum(top, bottom) > y[0])
        (x0, y0), (x1, y1) = self.start[rows].T, self.end[rows].T
        which, row = np.nonzero((y >= y0[:, None]) != (y >= y1[:, None]))
        x0, y0, x1, y1 = x0[which], y0[which], x1[which], y1[which]
        at = x0 + (y[row] - y0) * ((x1 - x0) / (y1 - y0))
        # Each crossing turns around what lies before it in its row.
        wide, turn = len(x) + 1, np.where(y1 > y0, 1, -1)
        steps = np.zeros(len(y) * wide, np.int64)
        np.add.at(steps, row * wide, turn)
        np.subtract.at(steps, row * wide + np.searchsorted(x, at), turn)
        return np.asarray(np.cumsum(steps.reshape(-1, wide), axis=1)[:, :-1] != 0)


def _squares(line: Line, x: Plane, y: Plane) -> Plane:
    """Squared distances to each segment, (n, h, w)."""
    px, py = x - line.start[:, :1], y - line.start[:, 1:]
    dx, dy = (line.end - line.start).T[:, :, None, None]
    length = dx * dx + dy * dy
    scale = np.where(length > 0, 1 / np.where(length > 0, length, 1), 0).astype(np.float32)
    way = (px[:, None, :] * dx + py[:, :, None] * dy) * scale
    np.clip(way, 0, 1, out=way)
    across = px[:, None, :] - way * dx
    down = py[:, :, None] - way * dy
    across *= across
    down *= down
    across += down
    return np.asarray(across, np.float32)
