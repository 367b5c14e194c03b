"""How much of each pixel a stroke covers, at full size or a smaller one, in any rectangle.

A level k of a picture is 2^k times smaller, and its pixel i covers pixels i 2^k to (i + 1) 2^k of the whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gpustack.model.layer import Box
from gpustack.retouch.outlines import Line
from gpustack.retouch.strokes import Brush, Polygon, Stroke

Plane = npt.NDArray[np.float32]

_BLOCK = 64
"""Pixels a side that are looked at together, each with the segments near it."""


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """A stroke over a picture, in its pixels, pixel (0, 0) covering 0 to 1; `line` as straightened out."""

    stroke: Stroke
    line: Line

    @staticmethod
    def of(stroke: Stroke) -> Mask:
        """The mask of a stroke."""
        points = np.asarray(stroke.points, np.float64)
        radius = stroke.radius if isinstance(stroke, Brush) else 0.0
        return Mask(stroke, Line.of(points, radius, closed=isinstance(stroke, Polygon)))

    def box(self, width: int, height: int, level: int = 0) -> Box | None:
        """The pixels of a level, of a picture `width` x `height` in full, that it may cover; None: none."""
        x, y = np.asarray(self.stroke.points, np.float64).T
        size = 1 << level
        margin = self.stroke.margin + size  # antialiasing reaches a pixel further
        left, top = (max(0, math.floor((low.min() - margin) / size)) for low in (x, y))
        right, bottom = (
            min(math.ceil(side / size), math.ceil((high.max() + margin) / size))
            for high, side in ((x, width), (y, height))
        )
        return Box(left, top, right - left, bottom - top) if right > left and bottom > top else None

    def coverage(self, box: Box, level: int = 0) -> Plane:
        """(h, w) float32, 0 to the stroke's opacity, of the pixels of a level in a box."""
        size = 1 << level
        x, y = (
            ((np.arange(first, first + count, dtype=np.float64) + 0.5) * size - origin).astype(np.float32)
            for first, count, origin in (
                (box.left, box.width, self.line.origin[0]),
                (box.top, box.height, self.line.origin[1]),
            )
        )
        out = np.zeros((box.height, box.width), np.float32)
        for top in range(0, box.height, _BLOCK):
            for left in range(0, box.width, _BLOCK):
                rows, columns = slice(top, top + _BLOCK), slice(left, left + _BLOCK)
                self._cover(out[rows, columns], x[columns], y[rows], float(size))
        out *= np.float32(self.stroke.opacity)
        return out

    def _cover(self, out: Plane, x: Plane, y: Plane, size: float) -> None:
        """Fill a block that is 0; of one that is all in or all out only its middle is looked at."""
        near, away = self.line.near(x, y)
        half = float(np.hypot(x[-1] - x[0], y[-1] - y[0])) / 2
        if isinstance(self.stroke, Brush):
            if away - half <= self.stroke.radius + size:
                out[...] = _brush(near.distance(x, y), self.stroke, size)
        elif away - half > max(self.stroke.feather, size):
            middle = (x[len(x) // 2 :][:1], y[len(y) // 2 :][:1])
            out[...] = self.line.inside(*middle)[0, 0]
        else:
            inside = self.line.inside(x, y)
            out[...] = _polygon(near.distance(x, y), inside, self.stroke.feather, size)


def _brush(distance: Plane, brush: Brush, size: float) -> Plane:
    """How much a brush covers at distances from its path; pixels are `size` pixels of the whole wide."""
    if brush.fall_off >= size:
        return _smooth((np.float32(brush.radius) - distance) / np.float32(brush.fall_off))
    # The part of a pixel's width, across the path, that lies on the stroke: thin ones fade, not vanish.
    edge, half = np.float32(brush.radius - brush.fall_off / 2), np.float32(size / 2)
    part = np.minimum(edge, distance + half) - np.maximum(-edge, distance - half)
    return np.asarray(np.clip(part / np.float32(size), 0, 1), np.float32)


def _polygon(distance: Plane, inside: npt.NDArray[np.bool_], feather: float, size: float) -> Plane:
    """How much a polygon covers at distances from its outline."""
    signed = np.where(inside, distance, -distance) / np.float32(max(feather, size))
    share = np.asarray(signed + np.float32(0.5), np.float32)
    return _smooth(share) if feather >= size else np.clip(share, 0, 1)


def _smooth(share: Plane) -> Plane:
    """0 to 1 without a kink at either end (smoothstep)."""
    share = np.clip(share, 0, 1)
    return np.asarray(share * share * (np.float32(3) - np.float32(2) * share), np.float32)
