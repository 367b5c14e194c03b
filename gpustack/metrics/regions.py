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
SURFACE_FRAMES = 1.5
"""Neighbours whose depth differs by less are of one surface."""
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


def textured(truth: Pixels, noise: float = 1.0, depth: npt.ArrayLike | None = None) -> Mask:
    """Where the truth (h, w, 3), 0..1, holds detail that stands out of the noise: (h, w) bool.

    The contrast of a pixel is the deviation of the luma from a Gaussian of `DETAIL_PX`, root mean square
    under one of `WINDOW_PX`; even shading has none. It must reach `TEXTURE_SIGMAS` times `noise`, which is in
    steps of 1/255 as in `Shoot.noise`. Given the `depth` (h, w) in frames it must do so within the
    surface, too: plain sky beside a twig has the twig's contrast around it, but none of its own.
    """
    gray = luma(truth)
    least = TEXTURE_SIGMAS * max(noise, QUANTISATION) / 255.0
    coarse = gray - cv2.GaussianBlur(gray, (0, 0), DETAIL_PX)
    found = cv2.GaussianBlur(coarse * coarse, (0, 0), WINDOW_PX) >= least * least
    if depth is None:
        return np.asarray(found, bool)
    surface = np.asarray(depth, np.float32)
    detail = gray - _within(gray, surface, DETAIL_PX)
    return np.asarray(found & (_within(detail * detail, surface, WINDOW_PX) >= least * least), bool)


def _within(plane: Pixels, depth: Pixels, sigma: float) -> Pixels:
    """A Gaussian over those pixels around each that lie less than SURFACE_FRAMES before or behind it."""
    reach = int(np.ceil(3 * sigma))
    out = np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    steps = cv2.dilate(depth, square) - cv2.erode(depth, square) >= SURFACE_FRAMES
    rows, columns = np.nonzero(steps)
    wide, deep = (cv2.copyMakeBorder(a, *(reach,) * 4, cv2.BORDER_REFLECT_101) for a in (plane, depth))
    at, own = (rows + reach) * wide.shape[1] + columns + reach, depth[steps]
    total, weight = np.zeros_like(own), np.zeros_like(own)
    for down, across in np.argwhere(square) - reach:
        there = at + (down * wide.shape[1] + across)
        bell = np.float32(np.exp(-(down**2 + across**2) / (2 * sigma**2)))
        share = bell * (np.abs(deep.take(there) - own) < np.float32(SURFACE_FRAMES))
        total += share * wide.take(there)
        weight += share
    out[steps] = total / weight
    return out
