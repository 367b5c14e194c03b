"""The CPU backend's filters: luma, blur, pyramid steps and the focus measure, through OpenCV."""

from __future__ import annotations

import threading
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.values import FULL_SIZE_NOISE, HALF_SIZE_NOISE, Cells
from gpustack.model.rect import Rows
from gpustack.model.tone import LUMA

Array = npt.NDArray[Any]


CELL = 4
"""Pixels of a cell on a side, in `even_out`: a window of twice that sigma hides them, and a sixteenth of
the work is left."""

NO_ENERGY = np.float32(1e-20)
"""Added to the energy of a plane, so that one without any stays as it is."""


class Scratch(threading.local):
    """Working planes of one thread, kept between calls: fresh pages cost more than the arithmetic on them."""

    def __init__(self) -> None:
        self._planes: dict[str, Array] = {}
        self._lines: dict[str, Array] = {}

    def like(self, name: str, other: Array) -> Array:
        """A plane of `other`'s shape and dtype with any content."""
        plane = self._planes.get(name)
        if plane is None or plane.shape != other.shape or plane.dtype != other.dtype:
            plane = self._planes[name] = np.empty_like(other)
        return plane

    def lines(self, name: str, count: int, length: int) -> Array:
        """(count, length) float32 with any content; `length` may change between calls."""
        room = self._lines.get(name)
        if room is None or room.size < count * length:
            room = self._lines[name] = np.empty(count * length, np.float32)
        return room[: count * length].reshape(count, length)


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


def luma_of(frame: Array) -> Array:
    """The luma of a frame (h, w, c) as decoded, float32 in units of its dtype; four times as fast as plane by
    plane."""
    if frame.shape[2] < 3:
        return frame[..., 0].astype(np.float32)
    return cv2.cvtColor(frame[..., :3].astype(np.float32), cv2.COLOR_RGB2GRAY)


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


def between(cells: Cells[Array], width: int, rows: Rows) -> Array:
    """Rows of the canvas, linear between the cells of a small plane."""
    (left, right, across), (above, below, down) = (
        _neighbours(np.arange(*span, dtype=np.float32), cells.first[axis], cells.step[axis], count)
        for axis, span, count in (
            (0, (0, width), cells.plane.shape[1]),
            (1, (rows.start, rows.stop), cells.plane.shape[0]),
        )
    )
    near = cells.plane[above[0] : below[-1] + 1]
    lines = near[:, left] + (near[:, right] - near[:, left]) * across
    out = lines[above - above[0]]
    out += (lines[below - above[0]] - out) * down[:, None]
    return np.asarray(out)


def _neighbours(pixels: Array, first: float, step: float, count: int) -> tuple[Array, Array, Array]:
    """The cells on both sides of each pixel, and how far it is on the way to the second."""
    at = np.clip((pixels - np.float32(first)) / np.float32(step), np.float32(0), np.float32(count - 1))
    before = at.astype(np.intp)
    return before, np.minimum(before + 1, count - 1), at - before.astype(np.float32)


def reduce(image: Array) -> Array:
    """Image or plane -> half size."""
    out = np.empty((*image.shape[:-2], -(-image.shape[-2] // 2), -(-image.shape[-1] // 2)), np.float32)
    for plane, small in zip(image, out, strict=True) if image.ndim == 3 else [(image, out)]:
        cv2.pyrDown(plane, dst=small)
    return out


def band_pass(plane: Array, coarse: Array, sigma: float) -> Array:
    """Plane minus its blur of sigma pixels, which is made of its `reduce`."""
    blurred = expand(smooth(coarse, coarse_sigma(sigma)), *plane.shape)
    return np.subtract(plane, blurred, out=blurred)


def even_out(plane: Array, sigma: float) -> Array:
    """A band-passed plane with its contrast evened out, in place, as `Backend.even_out` has it."""
    high, wide = cell_of(plane.shape)
    rows, columns = plane.shape[0] // high, plane.shape[1] // wide
    inner = plane[: rows * high, : columns * wide]
    squares = SCRATCH.lines("squares", 1, inner.size).reshape(inner.shape)
    np.multiply(inner, inner, out=squares)
    energy = cv2.resize(squares, (columns, rows), interpolation=cv2.INTER_AREA)
    whole = np.float32(energy.mean(dtype=np.float64)) + NO_ENERGY
    gain = np.sqrt(whole / (smooth(energy, sigma / CELL) + whole))
    between = cv2.resize(gain, inner.shape[::-1], dst=squares, interpolation=cv2.INTER_LINEAR)
    inner *= between
    plane[len(inner) :, : inner.shape[1]] *= between[-1]
    plane[: len(inner), inner.shape[1] :] *= between[:, -1:]
    plane[len(inner) :, inner.shape[1] :] *= between[-1, -1]
    return plane


def cell_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of the cells that a plane's energy is worked out on."""
    return min(CELL, shape[0]), min(CELL, shape[1])


def coarse_sigma(sigma: float) -> float:
    """The blur of a reduced plane, in its pixels, with which the plane is blurred by sigma: to reduce and to
    expand add a variance of 1 each."""
    return float(np.sqrt(sigma * sigma - 2)) / 2


def detail(image: Array, coarse: Array) -> Array:
    """Image minus its expanded `reduce`: one level of a Laplacian pyramid."""
    out = np.empty_like(image)
    for plane, small, target in zip(image, coarse, out, strict=True):
        cv2.pyrUp(small, dst=target, dstsize=plane.shape[::-1])
        np.subtract(plane, target, out=target)
    return out


def sharpness(plane: Array, sigma: float, inner: slice) -> Array:
    """The focus measure of the rows `inner`: squared Laplacians at full and at half size, in units of their
    noise, smoothed."""
    first, last, _ = inner.indices(len(plane))
    reach = 1 + int(np.ceil(3 * sigma))
    top, bottom = max(0, first - reach), min(len(plane), last + reach)  # all that the full size reads
    energy = _curvature(plane[top:bottom], sigma, FULL_SIZE_NOISE)[first - top : last - top]
    energy += expand(_curvature(cv2.pyrDown(plane), sigma / 2, HALF_SIZE_NOISE), *plane.shape)[inner]
    return energy


def _curvature(plane: Array, sigma: float, noise: float) -> Array:
    """Squared Laplacian of a plane in units of its noise, smoothed."""
    curved = cv2.Laplacian(plane, cv2.CV_32F, scale=noise**-0.5, borderType=cv2.BORDER_REFLECT_101)
    np.multiply(curved, curved, out=curved)
    return smooth(curved, sigma)
