"""The grid of tiles that every layer of the page is cut into: level 0 is full size, each next one half."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpustack.model.transform import Matrix
from gpustack.records.shown import Shown

TILE = 512
"""Pixels of a tile's side."""


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of a level, in its pixels."""

    level: int
    left: int
    top: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    @property
    def to_full(self) -> Matrix:
        """3x3: pixels of the area to pixels of level 0, centres at whole numbers in both."""
        step = float(1 << self.level)
        half = (step - 1) / 2
        return np.array([[step, 0, step * self.left + half], [0, step, step * self.top + half], [0, 0, 1.0]])


@dataclass(frozen=True, slots=True)
class Grid:
    """The levels of a picture of `width` x `height` pixels, until one tile holds all of it."""

    width: int
    height: int

    @property
    def levels(self) -> int:
        """How many there are, the full size among them."""
        count = 1
        while max(self.size(count - 1)) > TILE:
            count += 1
        return count

    def size(self, level: int) -> tuple[int, int]:
        """(width, height) of a level."""
        return -(-self.width >> level), -(-self.height >> level)

    @staticmethod
    def of(shown: Shown) -> Grid:
        """The levels of every layer of a result: its pixels."""
        return Grid(*shown.box[2:])

    def tile(self, level: int, column: int, row: int) -> Area | None:
        """A tile, cut at the right and lower edge; None where there is none."""
        if not 0 <= level < self.levels or column < 0 or row < 0:
            return None
        wide, high = self.size(level)
        left, top = column * TILE, row * TILE
        if left >= wide or top >= high:
            return None
        return Area(level, left, top, min(TILE, wide - left), min(TILE, high - top))
