"""Local brightness: what a source is multiplied by so that no seam shows where a stroke ends.

Along the rim of a stroke, the ratio of the picture to the source is measured, and carried inwards as a smooth
field, one for each channel. That is what a healing brush does (T. Georgiev, Covariant derivatives and vision,
ECCV 2006), where P. Perez et al., Poisson image editing, SIGGRAPH 2003, carry the difference inwards: light
that came in differently multiplies. They, and Z. Farbman et al., Coordinates for instant image cloning,
SIGGRAPH 2009, take each pixel of the rim at its word. Here the rim is out of focus in one of the two and
noisy in both, so its ratio is that of sums over cells about as large as the fall-off, and what lies between
is filled in by pull-push (S. Gortler et al., The lumigraph, SIGGRAPH 1996): coarser means where the finer
know little.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.filters import smooth
from gpustack.model.layer import Box
from gpustack.retouch.masks import Mask
from gpustack.retouch.strokes import Brush

Plane = npt.NDArray[np.float32]
Image = npt.NDArray[np.float32]

DARK = 1 / 128
"""Added to both sides of a ratio, in units of white: near black a ratio is noise, and what it brings is the
difference."""

MOST_GAIN = 2.0
"""Beyond one stop it is no longer the same thing in another light."""

_BURNT = 0.99
"""Values above tell nothing of brightness."""

_CELLS = 3.0
"""Cells over half the width of the rim."""

_RIM_SHARE, _LEAST_RIM_PX, _MOST_RIM_PX = 0.25, 2.0, 128.0
"""Half the width of the rim: this share of a brush's radius, at least the half of its fall-off."""

_MOST_FALL_PX = 1024.0
"""Of a fall-off's half, that much: cells stay as small as a tile, whatever a list asks for."""

_MOST_CELLS = 1 << 17
"""Of a field: strokes that are larger have coarser ones."""

_FAINT = 0.05
"""Weights below this are not looked at."""

_EVIDENCE = 16.0
"""Cells that are believed as much as the coarser mean: a square a bit wider than half the rim. Where both
have noise of 1 % of white, the gain of a stroke of 8 pixels is off by 2.1 % at most with 6, by 1.3 % with
12."""

_ODD, _LEAST_ODD = 4.0, math.log(1.05)
"""What is this many times the median deviation from the median ratio, or 5 %, weighs a quarter: there the two
show different things, and none of them should bleed into the stroke."""


@dataclass(frozen=True, slots=True, eq=False)
class Seam:
    """The rim of a stroke: the level and the box of cells where it lies, and how much each cell tells, (h, w)
    float32 0..1."""

    level: int
    box: Box
    weight: Plane

    @staticmethod
    def of(mask: Mask, width: int, height: int) -> Seam | None:
        """That of a stroke over a picture of a size; None where it covers nothing."""
        place = seam_place(mask, width, height)
        if place is None:
            return None
        level, box = place
        sigma = _sigma(mask, level)
        inside = mask.coverage(box, level) / np.float32(mask.stroke.opacity)
        padded = np.pad(inside, _margin(sigma), "edge")  # the picture's own edge is no rim
        inner = (
            slice(_margin(sigma), _margin(sigma) + box.height),
            slice(_margin(sigma), _margin(sigma) + box.width),
        )
        share = smooth(padded, sigma)[inner]
        weight = 4 * share * (1 - share)
        weight[weight < _FAINT] = 0
        return Seam(level, box, weight)

    def blocks(self, side: int) -> Iterator[Box]:
        """Boxes of cells, together all that tell anything, each of at most `side` pixels of the whole."""
        step = max(1, side >> self.level)
        for top in range(0, self.box.height, step):
            for left in range(0, self.box.width, step):
                part = self.weight[top : top + step, left : left + step]
                if part.any():
                    yield Box(self.box.left + left, self.box.top + top, part.shape[1], part.shape[0])

    def inner(self, box: Box) -> tuple[slice, slice]:
        """Where a box of cells lies in arrays of the seam."""
        top, left = box.top - self.box.top, box.left - self.box.left
        return slice(top, top + box.height), slice(left, left + box.width)


@dataclass(frozen=True, slots=True, eq=False)
class Gains:
    """What a source is multiplied by: (h, w, c) float32 for the cells in a box of a level, smooth between."""

    level: int
    box: Box
    field: Image

    def at(self, box: Box, level: int) -> Image:
        """(h, w, c) for the pixels of a level in a box, linear between cells; the same in any box."""
        rows, columns = (
            _between(first, count, (1 << level) / (1 << self.level), own, cells)
            for first, count, own, cells in (
                (box.top, box.height, self.box.top, self.box.height),
                (box.left, box.width, self.box.left, self.box.width),
            )
        )
        near, far, way = rows
        lines = self.field[near] + (self.field[far] - self.field[near]) * way[:, None, None]
        near, far, way = columns
        return np.asarray(lines[:, near] + (lines[:, far] - lines[:, near]) * way[:, None])

    def match(self, source: Image, box: Box, level: int) -> Image:
        """A source's colours (h, w, c) 0..1 as bright as the picture."""
        matched = (source + np.float32(DARK)) * self.at(box, level)
        matched -= np.float32(DARK)
        return matched


def seam_place(mask: Mask, width: int, height: int) -> tuple[int, Box] | None:
    """The level and the box of a stroke's seam; None where it covers nothing."""
    half = _half_width(mask)
    level = max(0, math.floor(math.log2(half / _CELLS))) if half > _CELLS else 0
    while True:
        box = mask.box(width, height, level)
        if box is None or mask.stroke.opacity == 0:
            return None
        if box.pixels <= _MOST_CELLS:
            break
        level += 1
    wide, high = (math.ceil(side / (1 << level)) for side in (width, height))
    return level, box.grown(math.ceil(2 * _sigma(mask, level)), wide, high)


def gains_of(seam: Seam, picture: Image, source: Image, valid: Plane | None = None) -> Gains:
    """The field between the colours (h, w, c) 0..1 of a picture and of a source in the seam's box; where the
    seam weighs nothing they may be anything. `valid`: the share of each cell that the source covers."""
    weight = seam.weight * (np.maximum(picture, source).max(axis=2) < _BURNT)
    weight = weight if valid is None else weight * (valid == 1)
    above, below = picture + np.float32(DARK), source + np.float32(DARK)
    np.maximum(above, np.float32(DARK / 2), out=above)
    np.maximum(below, np.float32(DARK / 2), out=below)
    weight = weight * _usual(np.log(above / below).mean(axis=2), weight)
    field = _filled(above * weight[..., None], below * weight[..., None], weight)
    return Gains(seam.level, seam.box, np.clip(field, 1 / MOST_GAIN, MOST_GAIN))


def _half_width(mask: Mask) -> float:
    """Half the width of a stroke's rim, in pixels."""
    stroke = mask.stroke
    if isinstance(stroke, Brush):
        breadth = stroke.radius
    else:
        x, y = np.asarray(stroke.points).T
        breadth = min(x.max() - x.min(), y.max() - y.min()) / 2
    wide = min(_RIM_SHARE * breadth, _MOST_RIM_PX)
    return float(max(wide, min(stroke.fall_off / 2, _MOST_FALL_PX), _LEAST_RIM_PX))


def _sigma(mask: Mask, level: int) -> float:
    """The same in cells, one at least."""
    return max(1.0, _half_width(mask) / (1 << level))


def _margin(sigma: float) -> int:
    return math.ceil(3 * sigma)


def _usual(ratio: Plane, weight: Plane) -> Plane:
    """1 where a cell's logarithmic ratio is like that of most, less where it is far from it."""
    told = weight > 0
    if not told.any():
        return np.ones_like(weight)
    middle = np.median(ratio[told])
    scale = max(_ODD * float(np.median(np.abs(ratio[told] - middle))), _LEAST_ODD)
    odd = (ratio - middle) / np.float32(scale)
    return np.asarray(1 / np.square(1 + np.square(odd)), np.float32)


def _filled(above: Image, below: Image, weight: Plane) -> Image:
    """The ratio of two weighted images (h, w, c), smooth over what weighs nothing: pull, then push."""
    usual = below.sum(axis=(0, 1)) / max(float(weight.sum()), 1e-6)
    usual = np.maximum(usual, np.float32(DARK / 2))
    levels: list[tuple[Any, Any]] = [(above, below)]
    while min(levels[-1][0].shape[:2]) > 1:
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    total = [image.sum(axis=(0, 1)) * np.float32(4 ** (len(levels) - 1)) for image in levels[-1]]
    gain = np.broadcast_to((total[0] + usual * 0.01) / (total[1] + usual * 0.01), levels[-1][0].shape)
    for number, (over, under) in reversed(list(enumerate(levels))):
        if number < len(levels) - 1:
            gain = _doubled(gain, over.shape)
        trust = usual * np.float32(_EVIDENCE / 4**number)
        gain = (over + trust * gain) / (under + trust)
    return np.asarray(gain, np.float32)


def _halved(image: Image) -> Image:
    """Half the size; OpenCV drops the axis of a single channel."""
    half = np.asarray(cv2.pyrDown(image), np.float32)
    return half.reshape(*half.shape[:2], image.shape[2])


def _doubled(image: Image, shape: tuple[int, ...]) -> Image:
    double = cv2.pyrUp(np.ascontiguousarray(image, np.float32), dstsize=(shape[1], shape[0]))
    return np.asarray(double, np.float32).reshape(shape)


def _between(
    first: int, count: int, step: float, own: int, cells: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Plane]:
    """The cells on both sides of each of `count` pixels, and how far it is on the way to the second."""
    at = (np.arange(first, first + count, dtype=np.float64) + 0.5) * step - 0.5 - own
    at = np.clip(at, 0, cells - 1)
    near = at.astype(np.intp)
    return near, np.minimum(near + 1, cells - 1), (at - near).astype(np.float32)
