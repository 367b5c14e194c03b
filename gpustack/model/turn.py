"""How a picture is turned between the way it is stored and the way it is to be seen (EXIF orientation)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpustack.model.transform import Matrix

Box = tuple[int, int, int, int]
"""left, top, width, height."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The turn of a picture of `width` x `height` pixels as stored, by orientation 1 to 8, as
    `io.write.oriented` turns pixels."""

    orientation: int
    width: int
    height: int

    @property
    def swaps(self) -> bool:
        """Whether rows become columns."""
        return self.orientation >= 5

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) upright."""
        return (self.height, self.width) if self.swaps else (self.width, self.height)

    @property
    def to_stored(self) -> Matrix:
        """3x3: upright pixels to stored ones, centres at whole numbers in both."""
        (wide, high), turn = self.size, np.eye(3)
        if self.orientation in (2, 3, 6, 7):
            turn = np.array([[-1.0, 0, wide - 1], [0, 1, 0], [0, 0, 1]]) @ turn
        if self.orientation in (3, 4, 7, 8):
            turn = np.array([[1.0, 0, 0], [0, -1, high - 1], [0, 0, 1]]) @ turn
        swap = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]])
        return np.asarray(swap @ turn if self.swaps else turn)

    def upright(self, box: Box) -> Box:
        """A box of the stored picture in upright pixels."""
        left, top, wide, high = box
        if self.swaps:
            left, top, wide, high = top, left, high, wide
        if self.orientation in (2, 3, 6, 7):
            left = self.size[0] - left - wide
        if self.orientation in (3, 4, 7, 8):
            top = self.size[1] - top - high
        return left, top, wide, high
