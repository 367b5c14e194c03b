"""The Lanczos kernel of three lobes at float32 positions (Duchon, "Lanczos filtering in one and two
dimensions", 1979).

OpenCV's own Lanczos rounds positions to 1/32 pixel. This one has their full precision, and rounds as
kernels/warp.cu does, bit for bit.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.toning import Toning

Array = npt.NDArray[Any]
F = np.float32

TAPS = 6
FIRST = -2
"""The first tap, counted from the pixel before the position; the last is `FIRST + TAPS - 1`."""

SINC = (F(-0.18277045), F(0.010021501), F(-0.00026161328), F(3.9066463e-06))
"""sin(v) / v at v = pi t / 3 is 1 plus these times t^2, t^4, t^6, t^8, for t 0..1, to 6e-9: interpolated at
the zeros of a Chebyshev polynomial."""

FAR = 4
"""Whole pixels beyond the frame's edge after which nothing changes any more."""

_CHUNK = 1 << 14
"""Pixels resampled at a time, so that their weights and taps stay in the processor's cache."""


def weights(t: Array) -> list[Array]:
    """The six weights, which add up to 1, of positions a fraction `t` 0..1 after the third of the taps.

    A tap at the distance d weighs sin(pi d) sin(pi d / 3) / d^2. The first sine is the same for all taps but
    for its sign, and with t (1 - t) / sin(pi t) as a common factor nothing is divided by nought. The second
    takes three values: a = sin(pi t / 3), b = sin(pi (1 - t) / 3), and their sum.
    """
    u = F(1) - t
    near, far, both = _sinc(t), _sinc(u), t * u
    a, b = t * near, u * far
    middle = both * (a + b)
    raw = [
        both * b / np.square(t + F(2)),
        -(middle / np.square(t + F(1))),
        u * near,
        t * far,
        -(middle / np.square(u + F(1))),
        both * a / np.square(u + F(2)),
    ]
    scale = F(1) / (raw[0] + raw[1] + raw[2] + raw[3] + raw[4] + raw[5])
    return [weight * scale for weight in raw]


def _sinc(t: Array) -> Array:
    z = t * t
    return np.asarray((((SINC[3] * z + SINC[2]) * z + SINC[1]) * z + SINC[0]) * z + F(1))


def sampled(frame: Array, x: Array, y: Array, toning: Toning) -> Array:
    """Values (c, h, w) float32, scaled but without the offset, of a frame at positions x, y (h, w) float32.

    frame: (h, w, c) of integers or floats; its edge repeats outside.
    """
    source, above = bordered(frame, y, toning)
    out = np.empty((frame.shape[2], *x.shape), F)
    step = max(1, _CHUNK // x.shape[1])
    for first in range(0, len(x), step):
        rows = slice(first, first + step)
        left, top = _whole(x[rows], frame.shape[1]), _whole(y[rows], frame.shape[0])
        across, down = (
            weights(np.clip(at - before, F(0), F(1))) for at, before in ((x[rows], left), (y[rows], top))
        )
        planes = _summed(source, left + F(FAR), top - F(above), across, down)
        for plane, values in zip(out, planes, strict=True):
            plane[rows] = values
    return out


def _whole(position: Any, length: int) -> Any:
    """The whole pixel before a position, within what the frame's repeated edge can hold."""
    return np.clip(np.floor(position), F(-FAR), F(length + FAR))


def bordered(frame: Array, y: Array, toning: Toning) -> tuple[Array, int]:
    """The rows that positions y look at, as float32 and scaled, with all the columns that any position
    can look at; and the whole position that the first row is the first tap of."""
    height = len(frame)
    lowest, highest = (int(_whole(at, height)) for at in (y.min(), y.max()))
    start, stop = lowest + FIRST, highest + FIRST + TAPS
    first = min(max(start, 0), height - 1)
    last = min(max(stop, first + 1), height)
    part = toning.scaled(frame[first:last])
    above, below = max(0, first - start), max(0, stop - last)
    left, right = FAR - FIRST, FAR + FIRST + TAPS
    return cv2.copyMakeBorder(part, above, below, left, right, cv2.BORDER_REPLICATE), first - above - FIRST


def _summed(source: Array, left: Array, top: Array, across: list[Array], down: list[Array]) -> Any:
    """Weighted sums of 6 x 6 taps, the first at `left` and `top` of the source; a plane for each channel."""
    channels = 1 if source.ndim == 2 else source.shape[2]
    wide = [cv2.merge([weight] * channels) for weight in across]
    total, line, tap = (np.zeros(wide[0].shape, F) for _ in range(3))
    for j in range(TAPS):
        line.fill(0)
        for i in range(TAPS):
            cv2.remap(source[j:, i:], left, top, cv2.INTER_NEAREST, tap, cv2.BORDER_REPLICATE)
            tap *= wide[i]
            line += tap
        line *= cv2.merge([down[j]] * channels)
        total += line
    return cv2.split(total)
