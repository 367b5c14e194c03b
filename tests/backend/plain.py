"""The backend's filters once more, in plain NumPy and float64, straight from their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.model.transform import Transform
from gpustack.settings import Interpolation

Plane = npt.NDArray[Any]
BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16
A = -0.75
"""Sharpness of the bicubic kernel (Keys, "Cubic convolution interpolation", 1981, with OpenCV's constant)."""


def mirrored(plane: Plane, border: int) -> Plane:
    """The plane with a border that mirrors without repeating the edge; a single pixel repeats."""
    for axis in (0, 1):
        side = plane.shape[axis]
        at = np.abs(np.arange(-border, side + border)) % max(1, 2 * side - 2)
        plane = plane.take(np.minimum(at, 2 * side - 2 - at) if side > 1 else at * 0, axis)
    return plane


def correlated(plane: Plane, taps: Plane) -> Plane:
    """The plane filtered by `taps` in both directions."""
    reach = len(taps) // 2
    wide = mirrored(plane.astype(np.float64), reach)
    down = sum(tap * wide[n : n + len(plane)] for n, tap in enumerate(taps))
    return np.asarray(sum(tap * down[:, n : n + plane.shape[1]] for n, tap in enumerate(taps)))


def smooth(plane: Plane, sigma: float) -> Plane:
    """Gaussian, cut at ceil(3 sigma)."""
    at = np.arange(-np.ceil(3 * sigma), np.ceil(3 * sigma) + 1)
    taps = np.exp(-(at**2) / (2 * sigma**2))
    return correlated(plane, taps / taps.sum())


def reduce(plane: Plane) -> Plane:
    """Half size."""
    return correlated(plane, BINOMIAL)[::2, ::2]


def expand(plane: Plane, height: int, width: int) -> Plane:
    """Twice the size: zeros between the pixels, then the binomial times four. The coarse plane mirrors before
    its first pixel and repeats its last, as OpenCV does."""
    before = [min(1, side - 1) for side in plane.shape]
    wide = np.pad(plane.astype(np.float64), ((0, 1), (0, 1)), mode="edge")
    wide = np.concatenate([wide[before[0] : before[0] + 1], wide])
    wide = np.concatenate([wide[:, before[1] : before[1] + 1], wide], axis=1)
    fine = np.zeros((2 * wide.shape[0], 2 * wide.shape[1]))
    fine[::2, ::2] = wide
    return 4 * correlated(fine, BINOMIAL)[2 : 2 + height, 2 : 2 + width]


def laplacian_energy(plane: Plane) -> Plane:
    """Squared 4-neighbour Laplacian, in units of what white noise of variance 1 gives: 4^2 + 4."""
    wide = mirrored(plane.astype(np.float64), 1)
    curved = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:] - 4 * wide[1:-1, 1:-1]
    return np.asarray(curved**2 / 20)


def sharpness(plane: Plane, sigma: float) -> Plane:
    """Energy of the Laplacian, smoothed, at full and at half size, each in units of its noise."""
    half = smooth(laplacian_energy(reduce(plane)) / (70 / 256) ** 2, sigma / 2)
    return smooth(laplacian_energy(plane), sigma) + expand(half, *plane.shape)


def luma(image: Plane) -> Plane:
    """(c, h, w) -> (h, w)."""
    if len(image) < 3:
        return np.asarray(image[0], np.float64)
    return np.asarray(0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2])


def positions(place: Transform, width: int, height: int) -> tuple[Plane, Plane]:
    """Where the canvas's pixels lie in the frame: x and y, (h, w) each."""
    y, x = np.mgrid[:height, :width]
    found = place.apply(np.stack([x.ravel(), y.ravel()], axis=1))
    return found[:, 0].reshape(height, width), found[:, 1].reshape(height, width)


def interpolated(frame: Plane, x: Plane, y: Plane, interpolation: Interpolation) -> Plane:
    """Values of a frame (h, w, c) at positions (h', w'); beyond the edge it repeats."""
    weigh = {Interpolation.BICUBIC: _keys, Interpolation.LANCZOS: lanczos}[interpolation]
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    height, width = frame.shape[:2]
    total, weights = np.zeros((*x.shape, frame.shape[2])), np.zeros(x.shape)
    for row in range(-2, 4):
        for column in range(-2, 4):
            weight = weigh(y - top - row) * weigh(x - left - column)
            at = np.clip(top + row, 0, height - 1), np.clip(left + column, 0, width - 1)
            total += weight[..., None] * frame[at]
            weights += weight
    return np.asarray(total / weights[..., None])


def lanczos(distance: Plane) -> Plane:
    """Three lobes; the six taps of a position do not add up to quite 1."""
    return np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0.0)


def _keys(distance: Plane) -> Plane:
    d = np.abs(distance)
    near = (A + 2) * d**3 - (A + 3) * d**2 + 1
    far = A * (d**3 - 5 * d**2 + 8 * d - 4)
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))
