"""Where the blur of lamps lies over a frame, and how much detail it feigns there.

The disk into which a lamp is blurred ends in an edge as strong as any detail, on ground that is dark and
plain in the frames where the lamp is sharper; and each frame has that edge elsewhere. What gives it away is
light. Blur moves light about and makes none, so a place that is brighter than in another frame has its light
from beside it; or it is seen sharply here, and in the other frame its light has gone to places beside it.
Which of the two it is, coded values tell: coding, and being cut off at white, are concave, so that light has
the larger mean of coded values the wider it is spread (Jensen 1906). Where a frame has more than the darkest
one, over a place and over ever wider surroundings, its light is spread there, and lies over the place as a
veil. The energy that an edge of the veil has at most is taken off.

Pictures keep light only about as well as their encoding, their alignment and their lighting allow. So a veil
must come from what is burnt out, whose blur holds the light that was cut off, and lie over dark ground, where
it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.resample import resample
from gpustack.model.rect import Rows
from gpustack.model.tone import Tone
from gpustack.model.transform import Matrix, Transform
from gpustack.settings import Interpolation

Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

SIDE = 128
"""Cells along the longer side, at most: disks down to a cell in radius are told from what is sharp."""

CELL_PX = 8
"""Pixels along a cell, at least: what is a little blurred elsewhere must not leave its cell."""

OWN = 0.75
"""Standard deviation, in cells, over which a place is averaged: no aliasing of what is finer than a cell."""

SURROUNDINGS = (2.0, 4.0, 8.0)
"""The same of its surroundings. A bright thing that is sharper than in other frames is told from a veil up to
a blur of twice the widest, an eighth of the picture."""

REACH = 4
"""Cells to what is burnt out, at most: a disk's radius, of 3 % of the picture."""

ERROR, STEP = 0.01, 0.002
"""More than the darkest frame has by this share of it, and by half a step of 8 bits, is no veil: tones are
off by as much in scenes of lamps (bench/results/brightness.json)."""

DARK = 0.25, 0.5
"""Coded values up to which ground is dark, and from which on it is not."""

STRENGTH = 2.0
"""Detail that a veil feigns, as a share of it: a step a pixel wide has detail of 0.27 of its height (the root
of its energy at the finest level), and at the edge of a disk as small as a cell the veil is a quarter of that
height; twice that, as disks overlap."""

BLACK = 1e-3
"""Values below this are not divided by."""


@dataclass(frozen=True, slots=True)
class Glow:
    """The mean of a frame's luma: `values` (h, w) float16 over cells, at the brightness of the reference; and
    where samples are `burnt` out, (h, w) over cells of its own.

    `to_frame` and `burnt_to_frame` 3x3 bring cells to pixels of the frame, centres at whole numbers in both.
    `linear`: values are light.
    """

    values: npt.NDArray[np.float16]
    to_frame: Matrix
    burnt: Mask
    burnt_to_frame: Matrix
    linear: bool = False

    def toned(self, tone: Tone) -> Glow:
        """At the brightness that a tone gives."""
        (gain, *_), (offset, *_) = tone.of_channels(1)
        values = (self.values * np.float32(gain) + np.float32(offset)).astype(np.float16)
        return Glow(values, self.to_frame, self.burnt, self.burnt_to_frame, self.linear)


def cells(size: tuple[int, int]) -> int:
    """Cells along the longer side of a frame of `size`."""
    return max(1, min(SIDE, max(size) // CELL_PX))


@dataclass(frozen=True, slots=True)
class Averages:
    """A frame on the reference's cells: averages over each place and its surroundings, (planes, h, w)
    float32; where it has any; and what lies near something burnt out, (h, w)."""

    planes: Plane
    known: Mask
    near_burnt: Mask


@dataclass(frozen=True, slots=True)
class Veils:
    """What lies over each frame.

    `averages` gives a frame's by index, `darkest` those of the frame that is darkest at each cell;
    `to_reference` 3x3 brings cells to the reference's pixels. `linear`: values are light.
    """

    averages: Callable[[int], Averages]
    darkest: Averages
    to_reference: Matrix
    linear: bool

    def over(self, index: int) -> Plane | None:
        """(h, w): the energy that the veil over a frame feigns at each cell; None where there is no veil."""
        veil = _veil(self.averages(index), self.darkest) * _darkness(self.darkest.planes[0], self.linear)
        return np.square(np.float32(STRENGTH) * veil) if veil.any() else None


def veils(
    glows: Sequence[Glow],
    transforms: Sequence[Transform],
    used: Sequence[int],
    reference: int,
    absent: Callable[[int, tuple[int, int]], Mask | None],
) -> Veils:
    """What lies over the frames `used`, on the cells of the reference; `transforms` map its pixels to theirs.

    `absent` tells, in so many cells (height, width), where a frame takes no part: its darkness says nothing
    of the others there.
    """
    ground = glows[reference]
    height, width = ground.values.shape

    def averages(index: int) -> Averages:
        away = absent(index, (height, width))
        return _averages(glows[index], transforms[index], ground, away)

    planes = np.full((1 + len(SURROUNDINGS), height, width), np.inf, np.float32)
    darkest = Averages(planes, np.zeros((height, width), bool), np.zeros((height, width), bool))
    for index in used:
        seen = averages(index)
        darker = seen.known & (seen.planes[0] < darkest.planes[0])
        np.copyto(darkest.planes, seen.planes, where=darker)
        np.copyto(darkest.near_burnt, seen.near_burnt, where=darker)
        darkest.known[darker] = True
    return Veils(averages, darkest, ground.to_frame, ground.linear)


def _averages(glow: Glow, transform: Transform, reference: Glow, away: Mask | None) -> Averages:
    plane, known = _moved(glow.values, glow.to_frame, transform, reference)
    burnt, _ = _moved(glow.burnt, glow.burnt_to_frame, transform, reference)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * REACH + 1, 2 * REACH + 1))
    near_burnt = cv2.dilate((burnt > 0.25).astype(np.uint8), disk) > 0
    if away is not None:
        known = known & ~away
    weight = known.astype(np.float32)
    planes = [
        _blurred(plane * weight, sigma) / np.maximum(_blurred(weight, sigma), np.float32(1e-6))
        for sigma in (OWN, *SURROUNDINGS)
    ]
    return Averages(np.stack(planes), known, near_burnt)


def _moved(
    values: npt.NDArray[np.generic], to_frame: Matrix, transform: Transform, reference: Glow
) -> tuple[Plane, Mask]:
    """Cells of a frame on the reference's, and which of these it covers."""
    height, width = reference.values.shape
    motion = Transform(np.linalg.inv(to_frame) @ transform.matrix @ reference.to_frame)
    frame = values.astype(np.float32)[..., None]
    band = resample(frame, motion, 1.0, width, Rows(0, height), Interpolation.BICUBIC)
    known = np.ones((height, width), bool) if band.valid is None else band.valid != 0
    return band.image[0], known


def _blurred(plane: Plane, sigma: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.float32)


def _veil(seen: Averages, darkest: Averages) -> Plane:
    """How much more light a frame has at a place than the darkest one, as far as its surroundings have as
    much more in all, and where the darkest one has something burnt out nearby."""
    own, *wider = seen.planes
    known = seen.known & darkest.known
    if not (known & darkest.near_burnt).any():
        return np.zeros_like(own)
    least, *around = np.where(darkest.known, darkest.planes, np.float32(0))
    # Most of a picture lies under no veil, so the median says by how much the frame as a whole is brighter:
    # at a place, and around it.
    brighter = max(1.0, float(np.median(own[known] / np.maximum(least[known], np.float32(BLACK)))))
    veil = np.maximum(own - least * np.float32((1 + ERROR) * brighter) - np.float32(STEP), 0)
    for sigma, mine, theirs in zip(SURROUNDINGS, wider, around, strict=True):
        excess = np.maximum(mine - theirs * np.float32(brighter), 0)
        veil = np.minimum(veil, excess * np.float32((sigma / OWN) ** 2))
    return np.where(known & darkest.near_burnt, veil, np.float32(0))


def _darkness(values: Plane, linear: bool) -> Plane:
    """1 where ground is dark, 0 where it is not."""
    full, none = DARK
    coded = np.sqrt(np.maximum(values, 0)) if linear else values
    return np.asarray(np.clip((np.float32(none) - coded) / np.float32(none - full), 0, 1), np.float32)
