"""Which pixels of a plane alignment looks at, on the CPU.

The numbers that every backend must agree on, such as ranks and sizes, are functions of their own.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.filters import SCRATCH
from gpustack.backend.ranks import ranked
from gpustack.backend.values import Samples

Array = npt.NDArray[Any]

EVERY = 7
"""The threshold of a plane's samples is read off every so many pixels (10 times faster)."""

CHOSEN_FROM = 0.35
"""Samples are every so-manieth of this share of a plane's pixels, those with the larger gradients. The very
largest lie together where the frame is in focus: they say little of scale and turn, and are wrong where the
other frame is blurred differently (bench/results/choices-alignment.json)."""

_STRIP = 64  # rows whose slopes are worked out at a time, while they are in the cache
_DENSE = 4  # rows that lie up to so far apart are filtered with those between: OpenCV is five times as fast
_INDICES = 1 << 17  # pixels that are listed at a time
_EDGE = 2  # pixels at the border that are not sampled: their gradient mirrors


def strongest(plane: Array, count: int, every: int = 1) -> Samples[Array]:
    """About `count` of the pixels of a plane with the larger gradients, spread evenly over those, and the
    Jacobian of their value under eight motions; or `every` so-manieth of them."""
    apart, width = rows_apart(plane.shape, count), plane.shape[1]
    strength, across, down = (part.ravel() for part in _gradients(plane, apart))
    picked = _above_threshold(strength, count)[::every]
    row = picked // width
    x, y = picked - row * width, row * apart
    jacobian = _jacobian(plane.shape, x, y, across[picked], down[picked])
    return Samples(x.astype(np.float32), y.astype(np.float32), plane.ravel()[y * width + x], jacobian)


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
    reached = strength >= max(0.0, ranked(part, threshold_rank(len(part), count)))
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
    # One motion after the other in memory, as `sums` goes through them.
    out = np.empty((8, len(u)), np.float32)
    np.multiply(across, np.float32(unit), out=out[0])
    np.multiply(down, np.float32(unit), out=out[1])
    for of, by, target in ((0, u, 2), (0, v, 3), (1, u, 4), (1, v, 5)):
        np.multiply(out[of], by, out=out[target])
    inward = -(out[2] + out[5])
    np.multiply(inward, u, out=out[6])
    np.multiply(inward, v, out=out[7])
    return out.T


def half_diagonal(shape: tuple[int, ...]) -> float:
    """Half the diagonal of a plane, in pixels; 1 for a single pixel."""
    return max(1.0, float(np.hypot(shape[0] - 1, shape[1] - 1)) / 2)
