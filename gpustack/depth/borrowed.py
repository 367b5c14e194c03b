"""Which pixels have detail of their own, and which only borrow that of their neighbours.

The focus measure is blurred, so it is large some pixels beyond an edge, where there may be no detail at all,
and the frame that is sharp there is the edge's. How much is left at a distance is known: little more than the
blur's own bell. A pixel that has no more than that of a stronger one, and the same depth, has it from there.

Nobody lends to those at the crest of the measure. A hair is nothing but a crest.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.depth.rims import SAME_FRAMES

Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

REACHES_PX = range(3, 11)
"""Distances at which detail is lent: nearer, an edge's own pixels lie; farther, a hundredth is left."""

LENT, WIDER = 1.1, 7.0
"""What an edge has at a distance, as a share of its largest: LENT times a bell whose variance is that of the
blur and WIDER square pixels more, for the half size and the edge's own width."""

EVEN_FRAMES = 2.0
"""Depths of 3x3 pixels differ by no more where one thing is seen."""

CREST_PX, CREST_SHARE = 3, 0.8
"""At the crest of the focus measure there is this share of the largest within so many pixels: of lines one to
six pixels wide their own width and no more than a pixel beside it."""

_DEPTHS, _OCTAVE, _LEAST = 4096, 64, 1e-12
_SMALL = np.ones((3, 3), np.uint8)


def halo() -> int:
    """Rows that are read on both sides."""
    return REACHES_PX[-1]


def own(depth: Plane, energy: Plane, sigma: float) -> Mask:
    """Where a pixel's detail is its own and its `depth` (h, w) therefore, too: it is `sure`, even,
    and not borrowed. `energy`: the focus measure, blurred by sigma pixels."""
    even = cv2.dilate(depth, _SMALL) - cv2.erode(depth, _SMALL) <= np.float32(EVEN_FRAMES)
    found = even
    for share, strongest, whose in _around(depth, energy, sigma):
        found &= (energy > share * strongest) | (np.abs(depth - whose) > np.float32(SAME_FRAMES))
    return np.asarray(found, bool)


def crests(energy: Plane, variance: Plane) -> Mask:
    """Where the focus measure (h, w) is about as large as any nearby, and has one peak: its depth is that of
    what lies there, however thin. `variance`: of the indices of the sharpest frames."""
    around = np.ones((2 * CREST_PX + 1, 2 * CREST_PX + 1), np.uint8)
    highest = energy > np.float32(CREST_SHARE) * cv2.dilate(energy, around)
    return np.asarray(highest & (variance <= np.float32(SAME_FRAMES**2)), bool)


def _around(depth: Plane, energy: Plane, sigma: float) -> Iterator[tuple[np.float32, Plane, Plane]]:
    """For each distance: the share that is lent, the largest measure within it, and the depth of that.

    Both come from one dilation of numbers whose upper digits are the logarithm of the measure.
    """
    octaves = np.log2(np.maximum(energy, np.float32(_LEAST)) / np.float32(_LEAST))
    whole = np.minimum(np.rint(np.maximum(depth, 0)), np.float32(_DEPTHS - 1))
    number = np.rint(octaves * np.float32(_OCTAVE)) * np.float32(_DEPTHS) + whole
    for reach in REACHES_PX:
        largest = cv2.dilate(number, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
        level = np.floor(largest * np.float32(1 / _DEPTHS))
        share = LENT * np.exp(-(reach**2) / (2 * (sigma**2 + WIDER)))
        strongest = np.exp2(level * np.float32(1 / _OCTAVE)) * np.float32(_LEAST)
        yield np.float32(share), strongest, largest - level * np.float32(_DEPTHS)
