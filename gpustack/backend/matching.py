"""What alignment asks of a backend, on the CPU: which pixels to look at, and the sums over them.

The numbers that every backend must agree on, such as ranks and sizes, are functions of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.values import Samples, Sums
from gpustack.model.frame import PixelType
from gpustack.model.transform import Matrix

Array = npt.NDArray[Any]

HUBER = 1.345
"""Huber's constant: 95 % of the efficiency of least squares on Gaussian errors (Huber, "Robust Statistics",
1981)."""

MAD_TO_SIGMA = 1.4826
"""Median absolute deviation to standard deviation, for Gaussian errors."""

EVERY = 7
"""The threshold of a plane's samples is read off every so many pixels (10 times faster)."""

LEAST_INSIDE = 16
"""With fewer samples inside the other frame there is nothing to solve."""

NOISE_ROWS = 32
"""Rows of the strips that noise is measured on."""

_NOISE_STRIPS = 32  # a sample of the frame is enough to measure noise
_EDGE = 2  # pixels at the border that are not sampled: their gradient mirrors


def strongest(plane: Array, count: int) -> Samples[Array]:
    """About `count` pixels of a plane with the largest gradient, and the Jacobian of their value under
    eight motions."""
    across = cv2.Sobel(plane, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(plane, cv2.CV_32F, 0, 1, scale=1 / 8)
    strength = across * across + down * down
    for border in (np.s_[:_EDGE], np.s_[-_EDGE:], np.s_[:, :_EDGE], np.s_[:, -_EDGE:]):
        strength[border] = -1
    picked = _above_threshold(strength.ravel(), count)
    y, x = np.divmod(picked, plane.shape[1])
    jacobian = _jacobian(plane.shape, x, y, across.ravel()[picked], down.ravel()[picked])
    return Samples(x.astype(np.float32), y.astype(np.float32), plane.ravel()[picked], jacobian)


def _above_threshold(strength: Array, count: int) -> Array:
    """Indices of about the `count` largest, ascending."""
    part = strength[::EVERY]
    rank = threshold_rank(len(part), count)
    threshold = max(0.0, float(np.partition(part, rank)[rank]))
    picked = np.flatnonzero(strength >= threshold)
    return picked[:: thinning(len(picked), count)]


def threshold_rank(length: int, count: int) -> int:
    """Rank of the threshold, from the smallest, among `length` pixels taken EVERY so often."""
    return min(length - 1, max(0, length - 1 - count // EVERY))


def thinning(picked: int, count: int) -> int:
    """Every so-manieth of the picked pixels is kept: ties must not make them many more than `count`."""
    return max(1, -(-picked // (2 * count)))


def _jacobian(shape: tuple[int, ...], x: Array, y: Array, across: Array, down: Array) -> Array:
    """(n, 8): the change of a value with shift, linear and perspective motions in centred, normalised
    positions."""
    unit = half_diagonal(shape)
    u = ((x - (shape[1] - 1) / 2) / unit).astype(np.float32)
    v = ((y - (shape[0] - 1) / 2) / unit).astype(np.float32)
    du, dv = across * np.float32(unit), down * np.float32(unit)
    inward = -(du * u + dv * v)
    return np.stack([du, dv, du * u, du * v, dv * u, dv * v, inward * u, inward * v], axis=1)


def half_diagonal(shape: tuple[int, ...]) -> float:
    """Half the diagonal of a plane, in pixels; 1 for a single pixel."""
    return max(1.0, float(np.hypot(shape[0] - 1, shape[1] - 1)) / 2)


def sums(samples: Samples[Array], plane: Array, matrix: Matrix, contrast: float) -> Sums:
    """Normal equations for the differences between the samples and `plane` at their moved positions."""
    x, y = _moved(samples, matrix)
    if not len(x):
        return no_sums(0.0)
    inside = (x >= 0) & (x <= plane.shape[1] - 1) & (y >= 0) & (y <= plane.shape[0] - 1)
    share = float(inside.mean())
    if inside.sum() < LEAST_INSIDE:
        return no_sums(share)
    found = _looked_up(plane, np.compress(inside, x), np.compress(inside, y))
    value, jacobian = np.compress(inside, samples.value), np.compress(inside, samples.jacobian, axis=0)
    difference = value - np.float32(contrast) * found
    spread = float(np.median(np.abs(difference))) * MAD_TO_SIGMA + 1e-9
    weight = np.minimum(1, HUBER * spread / np.maximum(np.abs(difference), 1e-12)).astype(np.float32)
    columns = np.concatenate([jacobian, found[:, None]], axis=1)
    weighted = columns * weight[:, None]
    return Sums(
        (weighted.T @ columns).astype(np.float64),
        (weighted.T @ difference).astype(np.float64),
        spread,
        _correlation(value, found),
        share,
    )


def no_sums(share: float) -> Sums:
    """The sums where too few samples fall into the frame: nothing moves."""
    return Sums(np.eye(9), np.zeros(9), 0.0, 0.0, share)


def _moved(samples: Samples[Array], matrix: Matrix) -> tuple[Array, Array]:
    x, y = samples.x.astype(np.float64), samples.y.astype(np.float64)
    w = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
    across = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]) / w
    down = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]) / w
    return across.astype(np.float32), down.astype(np.float32)


def _looked_up(plane: Array, x: Array, y: Array) -> Array:
    """Bicubic values at scattered positions; rows of 16,384 because a remap's side is limited to 32,767."""
    length = 1 << 14
    padded = -(-len(x) // length) * length
    maps = [np.resize(axis, padded).reshape(-1, length) for axis in (x, y)]
    found = cv2.remap(plane, maps[0], maps[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return found.ravel()[: len(x)]


def _correlation(a: Array, b: Array) -> float:
    """Pearson correlation; 0 where one of the two is constant."""
    a, b = a - a.mean(dtype=np.float64), b - b.mean(dtype=np.float64)
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0


def best_shift(here: Array, there: Array) -> tuple[float, float]:
    """Whole-pixel shift from `here` to `there` by phase correlation (Kuglin and Hines, 1975),
    Hann-windowed; planes of different size are looked for around each other's centre."""
    height, width = shape = np.maximum(here.shape, there.shape).tolist()
    cross = np.fft.rfft2(_windowed(there), shape) * np.conj(np.fft.rfft2(_windowed(here), shape))
    peak = np.fft.irfft2(cross / np.maximum(np.abs(cross), 1e-12), shape)
    y, x = (int(at) for at in np.unravel_index(int(np.argmax(peak)), peak.shape))
    # A shift and one by the whole plane more look alike: the one nearer to centre on centre is meant.
    down, across = ((b - a) // 2 for a, b in zip(here.shape, there.shape, strict=True))
    dy = (y - down + height // 2) % height - height // 2 + down
    dx = (x - across + width // 2) % width - width // 2 + across
    return float(dx), float(dy)


def _windowed(plane: Array) -> Array:
    return plane * np.outer(*(np.hanning(length + 2)[1:-1] for length in plane.shape))


def thumbnail_size(shape: tuple[int, ...], longest: int) -> tuple[int, int]:
    """(height, width) of a plane shrunk until its longer side is at most `longest`."""
    shrink = min(1.0, longest / max(shape))
    return max(1, round(shape[0] * shrink)), max(1, round(shape[1] * shrink))


def noise_strips(height: int) -> range:
    """First rows of the strips, NOISE_ROWS high, of a frame of so many rows; a lower rest is left out.

    A strip of a row or two mirrors to no response at all, and would pass for a frame without noise.
    """
    return range(0, max(1, height - NOISE_ROWS + 1), max(NOISE_ROWS, height // _NOISE_STRIPS))


def noise_level(strips: Sequence[Array], kind: PixelType) -> float:
    """Standard deviation of the noise, from strips of a luma plane."""
    return noise_of(np.concatenate([_block_means(strip) for strip in strips]), kind)


def noise_of(means: Array, kind: PixelType) -> float:
    """Standard deviation of the noise, from the responses of Immerkaer's mask.

    The mask ("Fast noise variance estimation", CVIU 64, 1996) cancels smooth shading; its mean absolute
    response is taken over blocks, and the lowest decile of the blocks stands for the noise: most of a frame
    of a focus stack is out of focus, and blocks with texture drop out. No file is cleaner than its rounding.
    """
    rounding = 0.0 if kind is PixelType.FLOAT32 else 1 / (kind.white * np.sqrt(12))
    sigma = float(np.quantile(means, 0.1)) * float(np.sqrt(np.pi / 2)) / 6
    return max(sigma, rounding, 1e-6)


def _block_means(strip: Array) -> Array:
    """Mean absolute response of Immerkaer's mask, over blocks of up to 32 pixels a side."""
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(strip, cv2.CV_32F, mask))
    high, wide = (min(32, side) for side in strip.shape)
    height, width = strip.shape[0] // high * high, strip.shape[1] // wide * wide
    blocks = response[:height, :width].reshape(height // high, high, width // wide, wide)
    return np.asarray(blocks.mean((1, 3)).ravel())
