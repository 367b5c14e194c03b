"""What alignment asks of a backend, on the CPU: which pixels to look at, and the sums over them.

The numbers that every backend must agree on, such as ranks and sizes, are functions of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.filters import SCRATCH
from gpustack.backend.resample import planar
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

CHOSEN_FROM = 0.35
"""Samples are every so-manieth of this share of a plane's pixels, those with the larger gradients. The very
largest lie together where the frame is in focus: they say little of scale and turn, and are wrong where the
other frame is blurred differently (bench/results/choices-alignment.json)."""

BURNT = 0.97
"""Values from this on are taken to be burnt out, or beyond what their encoding is known for."""

LEAST_INSIDE = 16
"""With fewer samples inside the other frame there is nothing to solve."""

NOISE_ROWS = 32
"""Rows of the strips that noise is measured on."""

_NOISE_STRIPS = 32  # a sample of the frame is enough to measure noise
_STRIP = 64  # rows whose slopes are worked out at a time, while they are in the cache
_DENSE = (
    2  # rows that lie up to so far apart are filtered with those between: OpenCV takes a fifth of the time
)
_INDICES = 1 << 17  # pixels that are listed at a time
_PIECE = 3 << 10  # samples at a time: for more, OpenBLAS starts threads, which contend with ours
_DECODING = tuple(np.float32(of) for of in (0.305306011, 0.682171111, 0.012522878))
_EDGE = 2  # pixels at the border that are not sampled: their gradient mirrors


def strongest(plane: Array, count: int) -> Samples[Array]:
    """About `count` of the pixels of a plane with the larger gradients, spread evenly over those, and the
    Jacobian of their value under eight motions."""
    apart, width = rows_apart(plane.shape, count), plane.shape[1]
    strength, across, down = (part.ravel() for part in _gradients(plane, apart))
    picked = _above_threshold(strength, count)
    row = picked // width
    x, y = picked - row * width, row * apart
    jacobian = _jacobian(plane.shape, x, y, across[picked], down[picked])
    return Samples(x.astype(np.float32), y.astype(np.float32), plane.ravel()[y * width + x], jacobian)


def thinned(samples: Samples[Array], every: int) -> Samples[Array]:
    """Every so-manieth of the samples, laid out in memory as they are."""
    x, y, value, motions = (
        np.ascontiguousarray(part[..., ::every])
        for part in (samples.x, samples.y, samples.value, samples.jacobian.T)
    )
    return Samples(x, y, value, motions.T)


def rows_apart(shape: tuple[int, ...], count: int) -> int:
    """Samples are taken from every so-manieth row: as far apart as they are then along a row. With fewer
    matches err more: the rows are regular, so all may hold the upper edges of lines of print."""
    return max(1, int(np.sqrt(CHOSEN_FROM * shape[0] * shape[1] / count)))


def _gradients(plane: Array, apart: int) -> Array:
    """(3, rows, w): of every so-manieth row of a plane, from the first on, the squared gradient, -1 at the
    border, and the slopes across and down inside; good until the next one of this thread."""
    rows, width = -(-len(plane) // apart), plane.shape[1]
    out = SCRATCH.lines("gradients", 3, rows * width).reshape(3, rows, width)
    for first in range(0, rows, _STRIP):
        part = out[:, first : first + _STRIP]
        _slopes(plane, first * apart, apart, part[1:])
        np.multiply(part[1], part[1], out=part[0])
        part[0] += part[2] * part[2]
    top, bottom = -(-_EDGE // apart), -(-(len(plane) - _EDGE) // apart)
    for border in (np.s_[:top], np.s_[max(0, bottom) :], np.s_[:, :_EDGE], np.s_[:, -_EDGE:]):
        out[0][border] = -1
    return out


def _slopes(plane: Array, first: int, apart: int, out: Array) -> None:
    """Sobel / 8 across and down, (2, rows, w), of every so-manieth row from the `first` on, where that is
    inside; as OpenCV sums it, which is not asked where most of its rows would be for nothing."""
    height, rows = len(plane), out.shape[1]
    if apart <= _DENSE:
        start, stop = max(0, first - 1), min(height, first + (rows - 1) * apart + 2)
        part = plane[start:stop]
        for order, target in zip(((1, 0), (0, 1)), out, strict=True):
            slope = cv2.Sobel(part, cv2.CV_32F, *order, SCRATCH.lines("slope", *part.shape), scale=1 / 8)
            target[:] = slope[first - start :: apart][:rows]
        return
    skipped = 1 if first == 0 else 0
    last = min(first + (rows - 1) * apart, height - 2)
    above, here, below = (plane[first + skipped * apart + by : last + by + 1 : apart] for by in (-1, 0, 1))
    out[:, :skipped] = out[:, skipped + len(here) :] = out[..., :1] = out[..., -1:] = 0
    across, down = out[:, skipped : skipped + len(here), 1:-1]
    _eighth(above[:, 2:] - above[:, :-2], below[:, 2:] - below[:, :-2], here[:, 2:] - here[:, :-2], across)
    _eighth(below[:, :-2], below[:, 2:], below[:, 1:-1], down)
    down -= _eighth(above[:, :-2], above[:, 2:], above[:, 1:-1])


def _eighth(left: Array, right: Array, middle: Array, out: Array | None = None) -> Array:
    """An eighth of left and right, and a quarter of the middle, as OpenCV sums them for a Sobel filter."""
    total = np.add(left, right, out=out)
    total *= np.float32(1 / 8)
    total += np.float32(1 / 4) * middle
    return np.asarray(total)


def _above_threshold(strength: Array, count: int) -> Array:
    """Indices of about `count` of the larger ones, ascending."""
    part = strength[::EVERY]
    rank = threshold_rank(len(part), count)
    reached = strength >= max(0.0, float(np.partition(part, rank)[rank]))
    step = thinning(int(np.count_nonzero(reached)), count)
    return _every(reached, step)


def _every(chosen: Array, step: int) -> Array:
    """Indices of every so-manieth element that is set, ascending; a list of all would be as large as the
    plane."""
    parts, seen = [], 0
    for first in range(0, len(chosen), _INDICES):
        found = np.flatnonzero(chosen[first : first + _INDICES])
        parts.append(found[-seen % step :: step] + first)
        seen += len(found)
    return np.concatenate(parts)


def threshold_rank(length: int, count: int) -> int:
    """Rank of the threshold, from the smallest, among `length` pixels taken EVERY so often."""
    return min(length - 1, max(0, length - 1 - max(count // EVERY, int(CHOSEN_FROM * length))))


def thinning(picked: int, count: int) -> int:
    """Every so-manieth of the picked pixels is kept: about `count`, and less than twice as many."""
    return max(1, round(picked / count))


def _jacobian(shape: tuple[int, ...], x: Array, y: Array, across: Array, down: Array) -> Array:
    """(n, 8): the change of a value with shift, linear and perspective motions in centred, normalised
    positions."""
    unit = half_diagonal(shape)
    u = ((x - (shape[1] - 1) / 2) / unit).astype(np.float32)
    v = ((y - (shape[0] - 1) / 2) / unit).astype(np.float32)
    du, dv = across * np.float32(unit), down * np.float32(unit)
    inward = -(du * u + dv * v)
    # One motion after the other in memory, as `sums` goes through them.
    return np.stack([du, dv, du * u, du * v, dv * u, dv * v, inward * u, inward * v]).T


def half_diagonal(shape: tuple[int, ...]) -> float:
    """Half the diagonal of a plane, in pixels; 1 for a single pixel."""
    return max(1.0, float(np.hypot(shape[0] - 1, shape[1] - 1)) / 2)


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
    weighted = SCRATCH.lines("weighted", 9, count)
    jacobian = samples.jacobian.T
    np.multiply(jacobian, weight, out=weighted[:8])
    np.multiply(found, weight, out=weighted[8])
    motions, rest = _products(weighted, jacobian), _products(weighted, both)
    hessian = np.column_stack([motions, np.append(motions[8], rest[8, 0])])
    correlation = _correlation(samples.value, found, inside, within)
    return Sums(hessian, rest[:, 1], spread, correlation, within / count)


def _weights(difference: Array, inside: Array | None, within: int) -> tuple[Array, float]:
    """Huber's weights of the differences, 0 outside; and the robust spread of those `within`."""
    size = np.abs(difference, out=SCRATCH.lines("size", 1, len(difference))[0])
    if inside is not None:
        np.copyto(size, np.float32(np.inf), where=~inside)
    spread = _median(size, within) * MAD_TO_SIGMA + 1e-9
    bound = np.float32(HUBER * spread)
    np.maximum(size, bound, out=size)
    return np.divide(bound, size, out=size), spread


def _median(values: Array, count: int) -> float:
    """The median of the `count` smallest, for two thirds of the time that NumPy's takes."""
    half = count // 2
    parted = np.partition(values, half)
    upper = parted[half]
    return float(upper if count % 2 else (parted[:half].max() + upper) / np.float32(2))


def _products(a: Array, b: Array) -> Array:
    """(rows of a, rows of b): scalar products of lines (rows, n); short pieces stay in the cache,
    and in the BLAS's kernel for small matrices, which is four times as fast here."""
    total = np.zeros((len(a), len(b)))
    for first in range(0, a.shape[1], _PIECE):
        total += a[:, first : first + _PIECE] @ b[:, first : first + _PIECE].T
    return total


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


def light_of(values: Array) -> Array:
    """The light behind values coded as sRGB: a cubic that is within 0.2 % of white from its decoding, and
    needs no power, which every device rounds in its own way."""
    third, second, first = _DECODING
    return np.asarray(values * (values * (values * third + second) + first))


def to_light(plane: Array) -> Array:
    """A plane of coded values 0..1 as light; below black there is none."""
    out = np.empty_like(plane)
    for first in range(0, len(plane), _STRIP):
        part = slice(first, first + _STRIP)
        out[part] = light_of(np.maximum(plane[part], np.float32(0)))
    return out


def lit(part: Array, kind: PixelType, linear: bool) -> Sequence[Array]:
    """The light of each channel of part of a frame (h, w, c); for bytes, looked up in a table."""
    scale = np.float32(1 / kind.white)
    if kind is PixelType.UINT8:
        return cv2.split(cv2.LUT(part, _lit(np.arange(256, dtype=np.float32) * scale, linear)))
    return list(_lit(planar(part, scale), linear))


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
