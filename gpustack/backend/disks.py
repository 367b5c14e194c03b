"""The CPU backend's blur disks: things out of focus, spread by a radius of its own at each pixel."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.filters import smooth
from gpustack.backend.values import DISK_RADII

Array = npt.NDArray[Any]
_F = np.float32
_COARSE, _FINE = 2.0, 16
_DIRECT = 11  # OpenCV takes larger kernels through Fourier transforms, at ten times the cost


class Spreading:
    """Blurs by a radius of its own at each pixel, linearly between DISK_RADII."""

    def __init__(self, radius: Array) -> None:
        rungs = np.array(DISK_RADII, _F)
        self._shares = []
        for number, rung in enumerate(rungs):
            share = np.ones_like(radius)
            if number:
                below = rungs[number - 1]
                share = np.minimum(share, (radius - below) / (rung - below))
            if number + 1 < len(rungs):
                above = rungs[number + 1]
                share = np.minimum(share, (above - radius) / (above - rung))
            self._shares.append(np.maximum(share, _F(0)))

    def by(self, blur: Callable[[Array, float], Array], image: Array) -> Array:
        """The image (c, h, w), each plane blurred by `blur(plane, radius)`."""
        out = np.zeros_like(image)
        for rung, share in zip(DISK_RADII, self._shares, strict=True):
            if not share.any():
                continue
            for plane, target in zip(image, out, strict=True):
                target += share * (blur(plane, rung) if rung else plane)
        return out


def gaussian_blur(plane: Array, radius: float) -> Array:
    """A Gaussian of the disk's variance, for where its shape does not matter."""
    return smooth(np.ascontiguousarray(plane), radius / 2)


def disk_blur(plane: Array, radius: float) -> Array:
    """The mean over a disk of `radius` pixels."""
    kernel, (height, width) = disk(radius), plane.shape
    reach = len(kernel) // 2
    wide = cv2.copyMakeBorder(np.ascontiguousarray(plane), *(reach,) * 4, cv2.BORDER_REFLECT_101)
    out = np.zeros((height, width), _F)
    for top in range(0, len(kernel), _DIRECT):
        for left in range(0, len(kernel), _DIRECT):
            piece = kernel[top : top + _DIRECT, left : left + _DIRECT]
            seen = wide[top : top + height + len(piece) - 1, left : left + width + piece.shape[1] - 1]
            out += cv2.filter2D(seen, cv2.CV_32F, piece, anchor=(0, 0))[:height, :width]
    return out


@cache
def disk(radius: float) -> Array:
    """The kernel of a blur disk, (k, k) float32 with odd k, sum 1, variance radius^2 / 4 along each axis.

    Small ones are 3x3 of just that variance; in larger ones pixels count by how much of them is inside a
    disk, smaller by the variance that counting areas adds.
    """
    if radius < _COARSE:
        side = radius * radius / 8
        line = np.array([side, 1 - 2 * side, side])
        return np.outer(line, line).astype(_F)
    inner = np.sqrt(radius * radius - 1 / 3)
    reach = int(np.ceil(inner - 0.5))
    fine = (np.arange((2 * reach + 1) * _FINE) + 0.5) / _FINE - reach - 0.5
    inside = np.hypot(fine[:, None], fine) <= inner
    share = inside.reshape(2 * reach + 1, _FINE, -1, _FINE).mean(axis=(1, 3))
    return np.asarray(share / share.sum(), _F)
