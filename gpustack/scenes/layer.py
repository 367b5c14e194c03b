"""What a scene is made of: boxes of pixels, layers, and the canvas they are painted on.

Coordinates are pixels (x, y) of the reference picture; a scene reaches beyond the picture by the canvas'
margin, so that blur and camera movement find light there. Colours are linear RGB; depths run from 0
(nearest) to 1 (farthest).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from gpustack.model.transform import Matrix, Transform, corners
from gpustack.scenes.textures import Plane

_PAD = 4


@dataclass(frozen=True, slots=True)
class Box:
    """The half-open rectangle of pixels from (left, top) to (right, bottom)."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Pixels in a row."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def empty(self) -> bool:
        """Whether there is no pixel in it."""
        return self.width <= 0 or self.height <= 0

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns), as NumPy counts."""
        return self.height, self.width

    def grow(self, by: int) -> Box:
        """The box with `by` pixels more on every side."""
        return Box(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def clip(self, to: Box) -> Box:
        """The part inside another box."""
        left, top = max(self.left, to.left), max(self.top, to.top)
        return Box(left, top, min(self.right, to.right), min(self.bottom, to.bottom))

    def within(self, outer: Box) -> tuple[slice, slice]:
        """Where the box lies in an array that holds `outer`."""
        rows = slice(self.top - outer.top, self.bottom - outer.top)
        return rows, slice(self.left - outer.left, self.right - outer.left)

    def moved(self, matrix: Matrix) -> Box:
        """The smallest box that holds this one after a 3x3 map of its pixel centres."""
        points = corners(self.width, self.height) + np.array([self.left, self.top])
        return Box.around(Transform(matrix).apply(points), 0.0)

    def tiles(self, side: int) -> Iterator[Box]:
        """The box cut into squares of `side` pixels, those at the end smaller."""
        for top in range(self.top, self.bottom, side):
            for left in range(self.left, self.right, side):
                yield Box(left, top, left + side, top + side).clip(self)

    @staticmethod
    def around(points: Matrix, reach: float) -> Box:
        """The smallest box of all pixels within `reach` of the points (n, 2), on each axis."""
        left, top = np.floor(points.min(axis=0) - reach)
        right, bottom = np.ceil(points.max(axis=0) + reach)
        return Box(int(left), int(top), int(right) + 1, int(bottom) + 1)

    def grid(self) -> tuple[Plane, Plane]:
        """The x and y of every pixel, (h, w) float32 each."""
        y, x = np.mgrid[self.top : self.bottom, self.left : self.right].astype(np.float32)
        return x, y


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One thing of the scene, sharp, in the reference geometry.

    `colour` (h, w, 3) is linear light and `depth` (h, w) runs from 0 nearest to 1 farthest; both are defined
    also where `alpha` (h, w), 0..1, is 0, because blur and resampling read beyond the edge. All are float32
    and lie at `box`.

    A layer that is `afar` lies outside the range of focus on purpose, its depth below 0 or above 1: no frame
    shows it sharp.
    """

    colour: Plane
    alpha: Plane
    depth: Plane
    box: Box
    afar: bool = False


@dataclass(frozen=True, slots=True)
class Canvas:
    """The area a scene is painted on: the picture of `width` x `height` pixels and a margin around it."""

    width: int
    height: int
    margin: int

    @property
    def box(self) -> Box:
        """The picture with its margin."""
        return Box(0, 0, self.width, self.height).grow(self.margin)

    @property
    def unit(self) -> float:
        """The length that shapes are measured in: the picture's height in pixels, or 2/3 of its width."""
        return min(float(self.height), self.width / 1.5)

    def at(self, u: float, v: float) -> tuple[float, float]:
        """The pixel (x, y) that lies (u, v) units from the picture's centre."""
        return (self.width - 1) / 2.0 + u * self.unit, (self.height - 1) / 2.0 + v * self.unit

    def spanning(self, points: Matrix, reach: float) -> Box:
        """The part of the canvas within `reach` pixels, and a few more, of the points (n, 2)."""
        return Box.around(points, reach + _PAD).clip(self.box)


@dataclass(frozen=True, slots=True)
class Slope:
    """A plane in depth: `middle` at the picture's centre, and how much more per unit right and down."""

    middle: float
    right: float = 0.0
    down: float = 0.0

    def over(self, canvas: Canvas, box: Box) -> Plane:
        """The depth at every pixel of `box`: (h, w) float32."""
        x, y = box.grid()
        cx, cy = canvas.at(0.0, 0.0)
        slope = self.middle + (self.right * (x - cx) + self.down * (y - cy)) / canvas.unit
        return np.asarray(slope, np.float32)


Builder = Callable[[Canvas, np.random.Generator], list[Layer]]
"""Paints a scene on the canvas: its layers, back to front."""
