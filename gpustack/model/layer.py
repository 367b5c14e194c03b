"""Layers of a layered file: which part of the picture each lies over; no pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of a picture, in its pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.width * self.height

    @property
    def rows(self) -> slice:
        """Its rows, of the picture."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """Its columns, of the picture."""
        return slice(self.left, self.left + self.width)

    def grown(self, margin: int, width: int, height: int) -> Box:
        """With `margin` more on all sides, as far as a picture of `width` x `height` has them."""
        left, top = max(0, self.left - margin), max(0, self.top - margin)
        right = min(width, self.left + self.width + margin)
        bottom = min(height, self.top + self.height + margin)
        return Box(left, top, right - left, bottom - top)

    @staticmethod
    def around(boxes: Sequence[Box]) -> Box:
        """The smallest that holds all of some; there is at least one."""
        left, top = min(box.left for box in boxes), min(box.top for box in boxes)
        right = max(box.left + box.width for box in boxes)
        bottom = max(box.top + box.height for box in boxes)
        return Box(left, top, right - left, bottom - top)

    def common(self, other: Box) -> Box | None:
        """What it has in common with another one of the same picture; None: nothing."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        width = min(self.left + self.width, other.left + other.width) - left
        height = min(self.top + self.height, other.top + other.height) - top
        return Box(left, top, width, height) if width > 0 and height > 0 else None

    def turned(self, orientation: int, width: int, height: int) -> Box:
        """Where it lies once the picture, `width` x `height` as stored, is turned by EXIF orientation 1
        to 8."""
        left, top, wide, high = self.left, self.top, self.width, self.height
        if orientation >= 5:
            left, top, wide, high, width, height = top, left, high, wide, height, width
        if orientation in (3, 4, 7, 8):
            top = height - top - high
        if orientation in (2, 3, 6, 7):
            left = width - left - wide
        return Box(left, top, wide, high)


@dataclass(frozen=True, slots=True)
class Outline:
    """A layer to come: the frame's index and name, and the box that it fills."""

    index: int
    name: str
    box: Box
