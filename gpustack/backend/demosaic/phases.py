"""A mosaic taken apart: each of the four pixels that its pattern repeats is a plane of its own.

What a demosaicking does differs from filter to filter, but is the same for all pixels of one. On planes of
one filter's pixels it is plain arithmetic of whole arrays, without masks or values that are thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Plane = npt.NDArray[Any]
"""Float32, which OpenCV's types do not tell."""
Rounded = npt.NDArray[Any]
"""(m, n) uint16."""

Step = tuple[int, int]
"""Rows and columns from one pixel to another."""

SITES = range(4)
"""The pixels that repeat, row by row: (0, 0), (0, 1), (1, 0), (1, 1)."""

DIAGONALS: tuple[Step, ...] = ((-1, -1), (-1, 1), (1, -1), (1, 1))
"""To the four diagonal neighbours."""


@dataclass(frozen=True, slots=True)
class Phases:
    """Planes (rows + 2 margin, columns + 2 margin) float32, one of each site, or of some.

    Cell (i, j) of site (y, x) is pixel (2 i + y, 2 j + x); `margin` is in cells.
    """

    planes: Mapping[int, Plane]
    margin: int

    @classmethod
    def of(cls, sites: Iterable[int], make: Callable[[int], Plane], margin: int) -> Phases:
        """What `make` gives for each of some sites."""
        return cls({site: make(site) for site in sites}, margin)

    def at(self, site: int, step: Step = (0, 0), margin: int = 0) -> Plane:
        """What lies a step from the pixels of a site, and from those of so many cells around; a view."""
        y, x = site // 2 + step[0], site % 2 + step[1]
        plane, inner = self.planes[y % 2 * 2 + x % 2], self.margin - margin
        rows, columns = plane.shape
        return plane[inner + y // 2 : rows - inner + y // 2, inner + x // 2 : columns - inner + x // 2]


def times(step: Step, count: int) -> Step:
    """A step taken so many times."""
    return step[0] * count, step[1] * count
