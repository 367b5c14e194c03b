"""What alignment asks of a backend, on the CPU: light, noise, and the sums over samples.

The numbers that every backend must agree on, such as ranks and sizes, are functions of their own.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.filters import SCRATCH
from gpustack.backend.ranks import median
from gpustack.backend.values import Samples, Sums
from gpustack.model.frame import PixelType
from gpustack.model.transform import Matrix

Array = npt.NDArray[Any]

HUBER = 1.345
"""Huber's constant: 95 % of the efficiency of least squares on Gaussian errors (Huber, "Robust Statistics",
1981)."""

MAD_TO_SIGMA = 1.4826
"""Median absolute deviation to standard deviation, for Gaussian errors."""

BURNT = 0.97
"""Values from this on are taken to be burnt out, or beyond what their encoding is known for."""

LEAST_INSIDE = 16
"""With fewer samples inside the other frame there is nothing to solve."""

NOISE_ROWS = 32
"""Rows of the strips that noise is measured on."""

_NOISE_STRIPS = 32  # a sample of the frame is enough to measure noise
_STRIP = 64  # rows whose light is worked out at a time, while they are in the cache
_PIECE = 3 << 10  # samples at a time: for more, OpenBLAS starts threads, which contend with ours
_DECODING = tuple(np.float32(of) for of in (0.305306011, 0.682171111, 0.012522878))


def sums(samples: Samples[Array], plane: Array, matrix: Matrix, contrast: float) -> Sums:
    """Normal equations for the differences between the samples and `plane` at their moved positions."""
    count = len(samples.x)
    if not count:
        return no_sums(0.0)
    positions = _moved(samples, matrix)
    inside = _inside(positions, plane.shape)
    within = count if inside is None else int(np.count_nonzero(inside))
    if within < LEAST_INSIDE:
        return no_sums(within / count)
    found, difference = both = SCRATCH.lines("both", 2, count)
    _look_up(plane, positions, found)
    np.multiply(found, np.float32(-contrast), out=difference)
    difference += samples.value
    weight, spread = _weights(difference, inside, within)
    motions, rest = _products(samples.jacobian.T, both, weight)
    hessian = np.empty((9, 9))
    hessian[:, :8], hessian[:8, 8], hessian[8, 8] = motions, motions[8], rest[8, 0]
    correlation = _correlation(samples.value, found, inside, within)
    return Sums(hessian, rest[:, 1], spread, correlation, within / count)


def _weights(difference: Array, inside: Array | None, within: int) -> tuple[Array, float]:
    """Huber's weights of the differences, 0 outside; and the robust spread of those `within`."""
    size = np.abs(difference, out=SCRATCH.lines("size", 1, len(difference))[0])
    if inside is not None:
        np.copyto(size, np.float32(np.inf), where=~inside)
    spread = median(size, within) * MAD_TO_SIGMA + 1e-9
    bound = np.float32(HUBER * spread)
    np.maximum(size, bound, out=size)
    return np.divide(bound, size, out=size), spread


def _products(jacobian: Array, both: Array, weight: Array) -> tuple[Array, Array]:
    """(9, 8) and (9, 2): weighted scalar products of the motions (8, n) and the values found, which are the
    first line of `both` (2, n), with the motions and with `both`.

    Short pieces stay in the cache, and in the BLAS's kernel for small matrices, which is four times as fast
    here.
    """
    motions, rest = np.zeros((9, 8)), np.zeros((9, 2))
    for first in range(0, len(weight), _PIECE):
        part = slice(first, first + _PIECE)
        across, values, by = jacobian[:, part], both[:, part], weight[part]
        weighted = SCRATCH.lines("weighted", 9, len(by))
        np.multiply(across, by, out=weighted[:8])
        np.multiply(values[0], by, out=weighted[8])
        motions += weighted @ across.T
        rest += weighted @ values.T
    return motions, rest


def runs(count: int, parts: int) -> list[slice]:
    """So many runs of nearly equal length, which follow each other, of `count` things."""
    ends = [count * part // parts for part in range(parts + 1)]
    return [slice(*pair) for pair in pairwise(ends)]


def no_sums(share: float) -> Sums:
    """The sums where too few samples fall into the frame: nothing moves."""
    return Sums(np.eye(9), np.zeros(9), 0.0, 0.0, share)


def _moved(samples: Samples[Array], matrix: Matrix) -> Array:
    """(2, n) float32: the positions of the samples in the other plane, worked out in float64."""
    x, y = samples.x.astype(np.float64), samples.y.astype(np.float64)
    out = SCRATCH.lines("positions", 2, len(x))
    whole = matrix[2, 0] == matrix[2, 1] == 0 and matrix[2, 2] == 1
    scale = None if whole else matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
    for line, row in zip(out, matrix[:2], strict=True):
        moved = row[0] * x
        moved += row[1] * y
        moved += row[2]
        if scale is not None:
            moved /= scale
        line[:] = moved
    return out


def _inside(positions: Array, shape: tuple[int, ...]) -> Array | None:
    """Which positions (2, n) lie in a plane; None where all do."""
    last = np.array([shape[1] - 1, shape[0] - 1], np.float32)
    if (positions.min(axis=1) >= 0).all() and (positions.max(axis=1) <= last).all():
        return None
    found = (positions >= 0) & (positions <= last[:, None])
    return np.asarray(found[0] & found[1])


def _look_up(plane: Array, positions: Array, out: Array) -> None:
    """Bicubic values at scattered positions; a few at a time because a remap's side is limited to 32,767."""
    for first in range(0, len(out), _PIECE):
        x, y = (axis[None, first : first + _PIECE] for axis in positions)
        cv2.remap(
            plane, x, y, cv2.INTER_CUBIC, out[None, first : first + _PIECE], borderMode=cv2.BORDER_REPLICATE
        )


def _correlation(a: Array, b: Array, inside: Array | None, within: int) -> float:
    """Pearson correlation of what lies inside; 0 where one of the two is constant."""
    a, b = (_centred(values, inside, within) for values in (a, b))
    norm = float(np.sqrt(float(a @ a) * float(b @ b)))
    return float(a @ b) / norm if norm > 0 else 0.0


def _centred(values: Array, inside: Array | None, within: int) -> Array:
    """Values less the mean of those inside; 0 outside."""
    if inside is None:
        return np.asarray(values - values.mean(dtype=np.float64).astype(np.float32))
    values = values * inside
    values -= np.float32(values.sum(dtype=np.float64) / within)
    values *= inside
    return values


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


def colours(channels: int) -> int:
    """How many of a frame's channels are not alpha."""
    return 1 if channels < 3 else 3


def light_of(values: Array, out: Array | None = None) -> Array:
    """The light behind values coded as sRGB: a cubic that is within 0.2 % of white from its decoding, and
    needs no power, which every device rounds in its own way."""
    third, second, first = _DECODING
    light = np.multiply(values, third, out=out)
    for power in (second, first):
        light = np.add(light, power, out=out)
        light = np.multiply(light, values, out=out)
    return np.asarray(light)


def to_light(plane: Array) -> Array:
    """A plane of coded values 0..1 as light; below black there is none."""
    out = np.empty_like(plane)
    for first in range(0, len(plane), _STRIP):
        values = SCRATCH.lines("coded", *plane[first : first + _STRIP].shape)
        np.maximum(plane[first : first + _STRIP], np.float32(0), out=values)
        light_of(values, out[first : first + _STRIP])
    return out


def lit(part: Array, kind: PixelType, linear: bool) -> Array:
    """The light of each value of part of a frame (h, w, c); of integers, looked up in a table."""
    if kind is PixelType.FLOAT32:
        return _lit(part.copy(), linear)
    return cv2.LUT(part, _table(kind, linear))


@functools.cache
def _table(kind: PixelType, linear: bool) -> Array:
    """The light of every value of a type."""
    return _lit(np.arange(int(kind.white) + 1, dtype=np.float32) * np.float32(1 / kind.white), linear)


def _lit(values: Array, linear: bool) -> Array:
    """Light of values, which are changed; below black there is none."""
    np.maximum(values, np.float32(0), out=values)
    light = values if linear else light_of(values)
    light[values >= np.float32(BURNT)] = np.inf
    return light


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
