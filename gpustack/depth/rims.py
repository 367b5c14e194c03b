"""The rims of blur, which look like detail where there is none.

A lens blurs an edge over a disk, and where that ends there is a rim: a weak edge of its own, farther out with
each frame. In plain areas nothing is stronger, and the frame whose rim passes there wins. Behind a step of
contrast c, `r` pixels away, the rim's second derivative is about 0.45 c / r^1.5, that of the edge in focus
about 0.5 c: the focus measure, a square, is 0.83 / r^3 of the edge's (`RIM`).

So what is not far above the rims of the edges around may be one, and its depth is that of nobody, unless
something nearby that is surely seen has the same. Light is blurred, not coded values: on dark ground the rim
of a bright edge is stronger than the coded edge tells.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.model.rect import Rows, cut

Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

REACHES_PX = (4, 7, 12, 20)
"""Distances within each of which a rim is taken for as strong as at its end; at the last, it is a thousandth
of its edge."""

RIM = 8 * 0.83
"""The focus measure of a rim, times the cube of its distance, as a share of its edge's: the two edges of a
thin thing add up (4), and detail must be twice that to be told from it."""

SURE = 2.0
"""What is so many times above rims and noise is surely seen."""

SAME_FRAMES = 1.5
"""Depths that differ by less are those of one thing."""

LEVEL_SIGMA_PX = 2.0
"""Reach over which the brightness at an edge is taken: that of the focus measure."""

DARKEST = 0.02
"""Coded brightness below which the eye's code is no root any more, and noise reigns."""

STRIP_ROWS = 256
"""Rows that are looked at in one go."""

_HALO = 2 * REACHES_PX[-1] + int(np.ceil(4 * LEVEL_SIGMA_PX))
_NOWHERE = np.float32(1e9)


def rims(
    backend: Backend[Any], energy: Plane, luma: Plane, depth: Plane, floor: float, *, coded: bool
) -> tuple[Plane, Plane]:
    """(h, w) float32: the focus measure up to which what is seen may be noise or a rim; that of noise alone
    where the pixel's depth is surely that of something within reach. And how surely it is seen,
    (h, w) float32: 0 for what may be noise, 1 for what is far above rims, too.

    `energy`: the largest focus measure, `luma` and `depth` of the frame that has it, (h, w) float32; `floor`:
    the focus measure of noise; `coded`: values are not light, but about its root.
    """
    out, seen = (backend.room(energy.shape, "float32") for _ in range(2))

    def work(rows: Rows) -> None:
        wide = rows.grow(_HALO, len(energy))
        slope = _slope(luma[wide.slice]) if coded else np.ones_like(luma[wide.slice])
        feigned = _feigned(energy[wide.slice], slope, floor)
        sure = _sureness(energy[wide.slice], feigned, np.float32(floor))
        feigned[_shared(depth[wide.slice], sure >= 1)] = floor
        out[rows.slice], seen[rows.slice] = feigned[rows.within(wide)], sure[rows.within(wide)]

    backend.each(work, cut(len(energy), STRIP_ROWS))
    return out, seen


def _feigned(energy: Plane, slope: Plane, floor: float) -> Plane:
    """What noise and rims may cause in a strip."""
    in_light = energy * slope
    feigned = np.zeros_like(energy)
    for reach in REACHES_PX:
        around = cv2.dilate(in_light, _square(reach))
        np.maximum(feigned, around * np.float32(RIM / reach**3), out=feigned)
    feigned /= slope
    return np.maximum(feigned, np.float32(floor), out=feigned)


def _sureness(energy: Plane, feigned: Plane, floor: np.float32) -> Plane:
    """0 for what may be noise, 1 for what is surely seen."""
    sure = np.float32(SURE) * feigned
    return np.asarray(np.clip((energy - floor) / (sure - floor), np.float32(0), np.float32(1)), np.float32)


def _slope(luma: Plane) -> Plane:
    """What turns squared differences of coded values into those of light."""
    level = cv2.GaussianBlur(luma, (0, 0), LEVEL_SIGMA_PX)
    return np.asarray(np.square(2 * np.maximum(level, np.float32(DARKEST))), np.float32)


def _shared(depth: Plane, sure: Mask) -> Mask:
    """Where the depth is that of the nearest or of the farthest thing within reach that is surely seen."""
    reach = _square(REACHES_PX[-1])
    farthest = cv2.dilate(np.where(sure, depth, -_NOWHERE), reach)
    nearest = cv2.erode(np.where(sure, depth, _NOWHERE), reach)
    ends = (np.abs(depth - end) <= np.float32(SAME_FRAMES) for end in (farthest, nearest))
    return np.asarray(np.logical_or(*ends), bool)


def _square(radius: int) -> npt.NDArray[np.uint8]:
    return np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
