"""Strokes over a rectangle of a picture: which takes what share of each pixel, and what comes of it.

A stroke covers what lies below it, as layers of a paint program do, and erasing covers it with the fused
picture. So each pixel is a mean of the picture and the sources, and the mean does not depend on the order in
which sources are read: a stroke's share is what it covers times what all later ones leave of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from gpustack.model.layer import Box
from gpustack.retouch.blending import Gains
from gpustack.retouch.masks import Mask
from gpustack.retouch.strokes import Erase, StrokeSource

Plane = npt.NDArray[np.float32]
Image = npt.NDArray[np.float32]

_SLACK = 1 / 64
"""Pixels outside the outermost centres that count as covered, as the backends have it."""


class Shown(Protocol):
    """Something that lies on the picture's pixels: the picture itself, or a source."""

    def part(self, box: Box, level: int) -> Image:
        """Pixels of a level in a box, (h, w, c) 0..1; where the source does not reach, anything."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """What a source covers of the picture: `matrix` (3, 3) maps positions of the picture to those of a source
    of a size, pixel (0, 0) covering 0 to 1 in both."""

    matrix: npt.NDArray[np.float64]
    width: int
    height: int

    def covered(self, box: Box, level: int) -> Plane:
        """(h, w) float32, 1 where the centre of a pixel of the level lies on the source, else 0."""
        m, size = self.matrix, 1 << level
        x = (np.arange(box.left, box.left + box.width) + 0.5) * size
        y = ((np.arange(box.top, box.top + box.height) + 0.5) * size)[:, None]
        w = m[2, 0] * x + m[2, 1] * y + m[2, 2]
        across = (m[0, 0] * x + m[0, 1] * y + m[0, 2]) / w
        down = (m[1, 0] * x + m[1, 1] * y + m[1, 2]) / w
        near = 0.5 - _SLACK
        inside = (across >= near) & (across <= self.width - near)
        inside &= (down >= near) & (down <= self.height - near)
        return np.asarray(inside, np.float32)

    def whole(self, width: int, height: int) -> bool:
        """Whether all of a picture of a size is covered: the source's outline is convex, so corners tell."""
        corners = (Box(x, y, 1, 1) for x in (0, width - 1) for y in (0, height - 1))
        return all(self.covered(corner, 0).all() for corner in corners)


@dataclass(frozen=True, slots=True, eq=False)
class Paint:
    """A stroke over a picture: what it covers, what it paints with, and how far that reaches (None: over all
    of the picture)."""

    mask: Mask
    source: StrokeSource
    reach: Reach | None = None

    @property
    def erases(self) -> bool:
        """Whether it only takes away."""
        return isinstance(self.source, Erase)

    @property
    def matches(self) -> bool:
        """Whether its source is brought to the picture's brightness."""
        return self.mask.stroke.match and not self.erases

    def coverage(self, box: Box, level: int) -> Plane:
        """(h, w) float32 of the pixels of a level in a box."""
        covered = self.mask.coverage(box, level)
        return covered if self.reach is None else covered * self.reach.covered(box, level)

    def within(self, area: Area) -> Box | None:
        """What it may cover of an area, in pixels of its level."""
        box = self.mask.box(area.width, area.height, area.level)
        return None if box is None else box.common(area.box)


@dataclass(frozen=True, slots=True)
class Area:
    """A box of a level of a picture, which in full is `width` x `height`."""

    box: Box
    level: int
    width: int
    height: int

    @staticmethod
    def tiles(width: int, height: int, side: int, level: int = 0) -> Iterator[Area]:
        """All of a level in squares, row by row; those at the right and lower edge are cut."""
        wide, high = (math.ceil(length / (1 << level)) for length in (width, height))
        for top in range(0, high, side):
            for left in range(0, wide, side):
                box = Box(left, top, min(side, wide - left), min(side, high - top))
                yield Area(box, level, width, height)

    def inner(self, box: Box) -> tuple[slice, slice]:
        """Where a box lies in an array of the area."""
        top, left = box.top - self.box.top, box.left - self.box.left
        return slice(top, top + box.height), slice(left, left + box.width)


def shares(paints: Sequence[Paint], area: Area) -> Iterator[tuple[int, Box, Plane]]:
    """What each stroke that shows takes of an area: its number, a box of the area's level, and its share of
    the pixels there, (h, w) float32; the last stroke first."""
    left = np.ones((area.box.height, area.box.width), np.float32)
    for number in reversed(range(len(paints))):
        paint = paints[number]
        box = paint.within(area)
        if box is None:
            continue
        part = left[area.inner(box)]
        if not part.any():
            continue
        covered = paint.coverage(box, area.level)
        if not paint.erases:
            share = covered * part
            if share.any():
                yield number, box, share
        part *= 1 - covered


def brought(source: Shown, gains: Gains | None, box: Box, level: int, *, clips: bool) -> Image:
    """A source's pixels in a box (h, w, c), its colours as bright as the picture where there are gains;
    alpha is left alone. `clips`: values beyond black and white cannot be."""
    pixels = source.part(box, level)
    if gains is None:
        return pixels
    colours = 3 if pixels.shape[2] > 2 else 1
    matched = gains.match(pixels[..., :colours], box, level)
    if clips:
        np.clip(matched, 0, 1, out=matched)
    return matched if colours == pixels.shape[2] else np.concatenate([matched, pixels[..., colours:]], axis=2)


def channelled(pixels: Image, channels: int) -> Image:
    """Pixels with as many channels as the picture: without alpha, or opaque."""
    if pixels.shape[2] >= channels:
        return pixels[..., :channels]
    return np.concatenate([pixels, np.ones((*pixels.shape[:2], 1), np.float32)], axis=2)


def painted_over(below: Image, paint: Paint, area: Area, source: Callable[[Box], Image]) -> Image:
    """An area (h, w, c) with one stroke more; `source` gives pixels in a box, those of the fused picture
    where the stroke erases. The area is not changed."""
    box = paint.within(area)
    if box is None:
        return below
    covered = paint.coverage(box, area.level)[..., None]
    if not covered.any():
        return below
    out = below.copy()
    part = out[area.inner(box)]
    part += covered * (source(box) - part)
    return out
