"""Smoothing a depth map along the lines of the picture: within a small window depth is taken for a line of
the brightness (guided filter; He, Sun and Tang, "Guided image filtering", ECCV 2010), fitted by confidence.

Where brightness tells nothing of the depth, in texture on a smooth surface, the line is flat and depth is
averaged; where both step at the same place, so does the result.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.model.rect import Rows, cut

Plane = npt.NDArray[np.float32]

LEAST_WEIGHT = 1e-3
"""Weight of what has no confidence: enough for a fit where there is nothing else. It is filled in later."""

STRIP_ROWS = 128
"""Rows that are worked on at a time: a dozen planes are needed, and a fifth of the work is halo then."""


def guided(
    backend: Backend[Any], depth: Plane, guide: Plane, weight: Plane, sigma: float, contrast: float
) -> Plane:
    """The depth (h, w), smoothed over sigma pixels along `guide` (h, w), given its confidence (h, w).

    What varies by less than `contrast` in the guide tells nothing.
    """
    height, halo = len(depth), 2 * int(np.ceil(3 * sigma))
    out = backend.room(depth.shape, "float32")

    def work(rows: Rows) -> None:
        wide = rows.grow(halo, height)
        strip = depth[wide.slice], guide[wide.slice], weight[wide.slice]
        out[rows.slice] = _smoothed(backend, *strip, sigma, contrast)[rows.within(wide)]

    backend.each(work, cut(height, STRIP_ROWS))
    return out


def _smoothed(
    backend: Backend[Any], depth: Plane, guide: Plane, weight: Plane, sigma: float, contrast: float
) -> Plane:
    """A strip with its halo: the mean of the lines of all windows that a pixel lies in."""
    weight = np.maximum(weight, np.float32(LEAST_WEIGHT))
    slope, offset, total = _lines(backend, depth, guide, weight, sigma, contrast)
    slope, _ = _mean(backend, slope, total, sigma)
    offset, _ = _mean(backend, offset, total, sigma)
    return slope * guide + offset


def _lines(
    backend: Backend[Any], depth: Plane, guide: Plane, weight: Plane, sigma: float, contrast: float
) -> tuple[Plane, Plane, Plane]:
    """Slope and offset of the line that fits a pixel's window, and the weight in the window."""
    level, total = _mean(backend, guide, weight, sigma)
    middle, _ = _mean(backend, depth, weight, sigma)
    together, _ = _mean(backend, guide * depth, weight, sigma)
    spread, _ = _mean(backend, guide * guide, weight, sigma)
    variance = np.maximum(spread - level * level, np.float32(0)) + np.float32(contrast**2)
    slope = np.asarray((together - level * middle) / variance, np.float32)
    return slope, np.asarray(middle - slope * level, np.float32), total


def _mean(backend: Backend[Any], plane: Plane, weight: Plane, sigma: float) -> tuple[Plane, Plane]:
    """The weighted mean over each pixel's window, and the weight in it."""
    sums = backend.smooth_by(backend.upload(plane), backend.upload(weight), sigma)
    top, total = (np.asarray(backend.download(array), np.float32) for array in sums)
    return top / total, total
