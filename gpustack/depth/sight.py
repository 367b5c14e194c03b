"""What the folds have seen of each pixel: what a surface is made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]

NARROWEST = np.float32(0.25)
"""Variance of the indices of two frames next to each other: how narrow a narrower peak is cannot be seen."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What the frames show of each pixel, (h, w) float32 each.

    depth: mean index of the frames by their sharpness; variance: of these indices; energy: largest focus
    measure, below 0 where no frame covers the pixel; luma: of the sharpest frame. coded: it is not light;
    sigma: the blur of the focus measure, in pixels.
    """

    depth: Plane
    variance: Plane
    energy: Plane
    luma: Plane
    coded: bool
    sigma: float
