"""Structural similarity: whether two pictures have the same structure, whatever their pixels' errors."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[Any]
Plane = npt.NDArray[np.float64]

SIDE, SIGMA = 11, 1.5
"""The Gaussian window of the paper, in pixels."""
REACH = SIDE // 2
"""Pixels from the middle of the window to its rim: so many at each side of a picture have no similarity."""
LUMINANCE_FLOOR, CONTRAST_FLOOR = 0.01**2, 0.03**2
"""C1 and C2 of the paper, for values 0 to 1."""


def ssim(picture: Picture, truth: Picture) -> float:
    """Mean structural similarity of the luma of two pictures, (h, w[, 1 or 3]) 0 to 1: at most 1.

    Both must have at least SIDE rows and columns. Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment:
    from error visibility to structural similarity", IEEE Transactions on Image Processing 13 (2004), without
    the shrinking of its authors' program.
    """
    return float(similarity(luma(picture), luma(truth)).mean())


def luma(picture: Picture) -> Plane:
    """Gray, or 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601) of coded values: (h, w)."""
    if picture.ndim == 2 or picture.shape[2] == 1:
        return np.asarray(picture, np.float64).reshape(picture.shape[:2])
    return np.asarray(picture[..., :3] @ np.array([0.299, 0.587, 0.114]), np.float64)


def similarity(first: Plane, second: Plane) -> Plane:
    """Similarity of two lumas (h, w) at every pixel whose window lies inside: (h - 10, w - 10).

    In double precision, since variances are differences of squares.
    """
    mean, other = _blurred(first), _blurred(second)
    spread = _blurred(first * first) - mean * mean + _blurred(second * second) - other * other
    shared = _blurred(first * second) - mean * other
    alike = (2 * mean * other + LUMINANCE_FLOOR) * (2 * shared + CONTRAST_FLOOR)
    return np.asarray(
        alike / ((mean * mean + other * other + LUMINANCE_FLOOR) * (spread + CONTRAST_FLOOR)), np.float64
    )


def _blurred(plane: Plane) -> Plane:
    """Means under the window, where it lies inside."""
    blurred = cv2.GaussianBlur(plane, (SIDE, SIDE), SIGMA)
    return np.asarray(blurred[REACH:-REACH, REACH:-REACH], np.float64)
