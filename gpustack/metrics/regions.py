"""Which pixels are judged apart: those near depth steps, the hardest of every stack, and those with texture,
whose depth can be known at all."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.metrics.similarity import luma

Pixels = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

NEAR_PX = 12.0
"""Distance in pixels up to which a pixel is near a depth step."""
STEP_SHARE = 0.04
"""A step in a depth map of any unit, as a share of its range: one frame of 25."""
STEP_FRAMES = 1.0
"""A jump in depth between neighbours that is larger than this, beyond the slope beside it, is a step."""
DETAIL_PX, WINDOW_PX = 2.0, 3.0
"""Texture is what a Gaussian of the first deviation takes away, its contrast the mean under the second."""
TEXTURE_SIGMAS = 2.0
"""Contrast of texture is at least this many standard deviations of the noise."""
QUANTISATION = 0.5
"""Least noise that texture is measured against, in steps of 1/255."""


def depth_edges(depth: npt.ArrayLike, width: float = NEAR_PX, step: float = STEP_FRAMES) -> Mask:
    """Pixels within `width` pixels of a step in depth (h, w), which is in frames: (h, w) bool.

    A step is a jump between neighbours of more than `step` beyond what the slopes on both sides of it,
    two pixels on, can explain. With a `width` below 1 these are the pixels at both sides of the step alone.
    """
    values = np.asarray(depth, np.float32)
    steps = np.zeros(values.shape, bool)
    for axis in (0, 1):
        _mark(np.moveaxis(steps, axis, 0), np.moveaxis(values, axis, 0), step)
    if not steps.any():
        return steps
    away = cv2.distanceTransform((~steps).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away <= width, bool)


def _mark(steps: Mask, depth: Pixels, step: float) -> None:
    """Set in `steps` the pixels above and below every step between rows."""
    if len(depth) < 2:
        return
    slope = np.diff(depth, axis=0)
    beside = np.pad(slope, ((2, 2), (0, 0)), mode="edge")
    before, after = beside[:-4], beside[4:]
    low, high = np.minimum(before, after), np.maximum(before, after)
    jump = np.abs(slope - np.clip(slope, low, high)) > step
    steps[:-1] |= jump
    steps[1:] |= jump


def textured(truth: Pixels, noise: float = 1.0) -> Mask:
    """Where the truth (h, w, 3), 0..1, holds detail that stands out of the noise: (h, w) bool.

    The contrast of a pixel is the deviation of the luma from a Gaussian of `DETAIL_PX`, root mean square
    under one of `WINDOW_PX`; even shading has none. It must reach `TEXTURE_SIGMAS` times `noise`, which is in
    steps of 1/255 as in `Shoot.noise`.
    """
    gray = luma(truth)
    detail = gray - cv2.GaussianBlur(gray, (0, 0), DETAIL_PX)
    energy = cv2.GaussianBlur(detail * detail, (0, 0), WINDOW_PX)
    least = TEXTURE_SIGMAS * max(noise, QUANTISATION) / 255.0
    return np.asarray(energy >= least * least, bool)
