"""The CPU backend's filters: luma, blur, pyramid steps and the focus measure, through OpenCV."""

from __future__ import annotations

import threading
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.values import FULL_SIZE_NOISE, HALF_SIZE_NOISE

Array = npt.NDArray[Any]

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma (Rec. 601)."""


class Scratch(threading.local):
    """Working planes of one thread, kept between calls: fresh pages cost more than the arithmetic on them."""

    def __init__(self) -> None:
        self._planes: dict[str, Array] = {}

    def like(self, name: str, other: Array) -> Array:
        """A plane of `other`'s shape and dtype with any content."""
        plane = self._planes.get(name)
        if plane is None or plane.shape != other.shape or plane.dtype != other.dtype:
            plane = self._planes[name] = np.empty_like(other)
        return plane


SCRATCH = Scratch()


def luma(image: Array) -> Array:
    """Image (c, h, w) -> plane: 0.299 R + 0.587 G + 0.114 B, or the gray channel; alpha is ignored."""
    if len(image) < 3:
        return np.asarray(image[0])
    red, green, blue = (np.float32(weight) for weight in LUMA)
    plane: Array = image[0] * red
    part = SCRATCH.like("luma", plane)
    plane += np.multiply(image[1], green, out=part)
    plane += np.multiply(image[2], blue, out=part)
    return plane


def smooth(plane: Array, sigma: float) -> Array:
    """Gaussian of sigma pixels, cut at ceil(3 sigma), which is its halo."""
    taps = gaussian(sigma)
    return cv2.sepFilter2D(plane, cv2.CV_32F, taps, taps, borderType=cv2.BORDER_REFLECT_101)


def gaussian(sigma: float) -> Array:
    """The taps of `smooth`, (2 ceil(3 sigma) + 1,) float32, summing to 1."""
    return cv2.getGaussianKernel(2 * int(np.ceil(3 * sigma)) + 1, sigma, cv2.CV_32F).ravel()


def expand(plane: Array, height: int, width: int) -> Array:
    """Twice the size, to (height, width): the 5-tap binomial; the shape tells odd from even."""
    return cv2.pyrUp(plane, dstsize=(width, height))


def reduce(image: Array) -> Array:
    """Image or plane -> half size."""
    if image.ndim == 2:
        return cv2.pyrDown(image)
    return np.stack([cv2.pyrDown(plane) for plane in image])


def detail(image: Array, coarse: Array) -> Array:
    """Image minus its expanded `reduce`: one level of a Laplacian pyramid."""
    out = np.empty_like(image)
    for plane, small, target in zip(image, coarse, out, strict=True):
        np.subtract(plane, expand(small, *plane.shape), out=target)
    return out


def sharpness(plane: Array, sigma: float) -> Array:
    """The focus measure: squared Laplacians at full and at half size, in units of their noise, smoothed."""
    energy = _curvature(plane, sigma, FULL_SIZE_NOISE)
    energy += expand(_curvature(cv2.pyrDown(plane), sigma / 2, HALF_SIZE_NOISE), *plane.shape)
    return energy


def _curvature(plane: Array, sigma: float, noise: float) -> Array:
    """Squared Laplacian of a plane in units of its noise, smoothed."""
    curved = cv2.Laplacian(plane, cv2.CV_32F, scale=noise**-0.5, borderType=cv2.BORDER_REFLECT_101)
    np.multiply(curved, curved, out=curved)
    return smooth(curved, sigma)
