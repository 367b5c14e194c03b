"""What the kernels compute, in plain float32 NumPy with the same order of operations: equal to the last bit.

Pictures are (c, h, w), planes (h, w), frames (h, w, c). tests/backend/plain.py says in float64 what is right;
this says what is rounded where.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.filters import gaussian
from gpustack.backend.values import (
    BLUR_LADDER,
    BLUR_STEPS,
    DEBIAS_NOISE,
    DEBIAS_SIGMA_PX,
    EVIDENCE,
    FULL_SIZE_NOISE,
    HALF_SIZE_NOISE,
    HALO_REACH_PX,
    HALO_SHARE,
    MISFIT,
    TRUST_SIGMA_PX,
    WIDEST_BLUR,
)
from gpustack.model.frame import PixelType
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform
from gpustack.settings import Interpolation

Array = npt.NDArray[Any]
F = np.float32


# --- Neighbourhoods


def mirror(index: Array, length: int) -> Array:
    """Indices mirrored into 0..length-1 without repeating the edge, however far off they are."""
    if length == 1:
        return np.zeros_like(index)
    folded = index % (2 * (length - 1))
    return np.where(folded < length, folded, 2 * (length - 1) - folded)


def mirrored(plane: Array, reach: int) -> Array:
    """The plane with a mirrored border of `reach` pixels."""
    rows, columns = (mirror(np.arange(-reach, side + reach), side) for side in plane.shape)
    return np.asarray(plane[rows][:, columns])


def blur(plane: Array, sigma: float) -> Array:
    """Gaussian: along x, then along y; the middle first, then pairs from the inside out."""
    taps = gaussian(sigma)[len(gaussian(sigma)) // 2 :]
    wide = mirrored(plane, len(taps) - 1)
    return _blurred(_blurred(wide, taps, plane.shape[1]).T, taps, plane.shape[0]).T


def _blurred(wide: Array, taps: Array, length: int) -> Array:
    reach = len(taps) - 1
    total = taps[0] * wide[:, reach : reach + length]
    for k in range(1, reach + 1):
        before, after = (wide[:, reach + step : reach + step + length] for step in (-k, k))
        total += taps[k] * (before + after)
    return np.asarray(total)


def blur_each(image: Array, sigma: float) -> Array:
    """The same of each channel of an image."""
    return np.stack([blur(plane, sigma) for plane in image])


def ladder(plane: Array) -> list[Array]:
    """The plane blurred by each variance of BLUR_LADDER, each from the one before."""
    rungs = [plane]
    for step in BLUR_STEPS:
        taps = np.array(step[len(step) // 2 :], F)
        wide = mirrored(rungs[-1], len(taps) - 1)
        rungs.append(_blurred(_blurred(wide, taps, plane.shape[1]).T, taps, plane.shape[0]).T)
    return rungs


def between_rungs(rungs: list[Array], variance: Array) -> Array:
    """Blurred by a variance of its own at each pixel, linearly between the rungs."""
    out = rungs[0]
    for number, (low, high) in enumerate(itertools.pairwise(BLUR_LADDER)):
        part = np.clip((variance - F(low)) * F(1 / (high - low)), F(0), F(1))
        out = out + part * (rungs[number + 1] - rungs[number])
    return out


def reduce(plane: Array) -> Array:
    """Half size, along x and then along y."""
    wide = mirrored(plane, 2)
    return _halved(_halved(wide, plane.shape[1]).T, plane.shape[0]).T


def _halved(wide: Array, length: int) -> Array:
    a, b, c, d, e = (wide[:, step : step + length : 2] for step in range(5))
    return np.asarray(F(0.0625) * (a + e) + F(0.25) * (b + d) + F(0.375) * c)


def between(cells: Array, step: Sequence[float], first: Sequence[float], width: int, rows: Array) -> Array:
    """Pixels of some rows, linear between cells."""

    def ways(pixels: Array, axis: int, count: int) -> tuple[Array, Array, Array]:
        at = np.fmin(np.fmax((pixels.astype(F) - F(first[axis])) / F(step[axis]), F(0)), F(count - 1))
        before = np.floor(at).astype(int)
        return before, np.minimum(before + 1, count - 1), at - before.astype(F)

    left, right, across = ways(np.arange(width), 0, cells.shape[1])
    above, below, down = ways(rows, 1, cells.shape[0])
    upper, lower = (
        cells[line][:, left] + (cells[line][:, right] - cells[line][:, left]) * across
        for line in (above, below)
    )
    return np.asarray(upper + (lower - upper) * down[:, None])


def expand(coarse: Array, height: int, width: int) -> Array:
    """Twice the size, along x and then along y."""
    return _doubled(_doubled(coarse, width).T, height).T


def _doubled(coarse: Array, length: int) -> Array:
    fine, most = np.arange(length), coarse.shape[1] - 1
    at = fine >> 1
    before, after = np.where(at > 0, at - 1, min(1, most)), np.minimum(at + 1, most)
    odd = F(0.5) * (coarse[:, at] + coarse[:, after])
    even = F(0.125) * (coarse[:, before] + coarse[:, after]) + F(0.75) * coarse[:, at]
    return np.where(fine & 1, odd, even)


def shrink_mask(mask: Array) -> Array:
    """Set where all of the 5x5 pixels around are set, as far as there are any."""
    wide = np.pad(mask, 2, mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(wide, (5, 5)).min(axis=(2, 3))[::2, ::2])


def median(plane: Array) -> Array:
    """Median of 5x5 pixels, the edge repeated."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(plane, 2, mode="edge"), (5, 5))
    return np.asarray(np.sort(windows.reshape(*plane.shape, 25))[..., 12])


# --- Measures


def luma(image: Array) -> Array:
    """Plane of an image; alpha is ignored."""
    if len(image) < 3:
        return np.asarray(image[0])
    return np.asarray(F(0.299) * image[0] + F(0.587) * image[1] + F(0.114) * image[2])


def detail(image: Array) -> Array:
    """An image minus its expanded reduction."""
    return np.stack([plane - expand(reduce(plane), *plane.shape) for plane in image])


def level_energy(detail: Array, sigma: float, evidence: Array | None) -> Array:
    """Smoothed squared luma of a detail, and the finer levels' evidence."""
    energy = blur(luma(detail) * luma(detail), sigma)
    return energy if evidence is None else energy + F(EVIDENCE) * evidence


def curvature(plane: Array, sigma: float, noise: float) -> Array:
    """Smoothed squared Laplacian in units of its noise."""
    wide = mirrored(plane, 1)
    around = (wide[:-2, 1:-1] + wide[2:, 1:-1]) + (wide[1:-1, :-2] + wide[1:-1, 2:])
    curved = (around - F(4) * plane) * F(noise**-0.5)
    return blur(curved * curved, sigma)


def sharpness(image: Array, sigma: float) -> Array:
    """The focus measure of an image."""
    plane = luma(image)
    half = curvature(reduce(plane), sigma / 2, HALF_SIZE_NOISE)
    return curvature(plane, sigma, FULL_SIZE_NOISE) + expand(half, *plane.shape)


# --- Undoing a blur


def debiased(
    estimate: Array, mean: Array, spread: Array, radius: float, noise: float, squared: bool
) -> Array:
    """The estimate (c, h, w), made better by the mean (c, h, w) whose frames' indices vary by `spread`."""
    variance = np.minimum(spread * F(radius * radius / 4), F(BLUR_LADDER[-1]))
    code = _root if squared else np.asarray
    light = estimate * estimate if squared else estimate
    alike = np.stack([between_rungs(ladder(plane), variance) for plane in light])
    coded = code(mean)
    lost = code(mean + (light - alike)) - coded
    power = lost[0] * lost[0]
    for channel in lost[1:]:
        power = power + channel * channel
    strength = blur(power / F(len(lost)), DEBIAS_SIGMA_PX)
    gain = np.maximum(strength - F(DEBIAS_NOISE * noise * noise), F(0)) / np.maximum(strength, F(1e-12))
    away, base = (blur_each(each, DEBIAS_SIGMA_PX) for each in (coded - code(alike), estimate))
    most = np.stack([_largest(plane, HALO_REACH_PX) for plane in base]) - base
    apart = np.where(-away > most * F(HALO_SHARE), -away, away).max(axis=0)
    trust = np.clip(F(2) - apart * F(1 / MISFIT), F(0), F(1))
    narrow = np.clip(F(2) - variance * F(1 / WIDEST_BLUR), F(0), F(1))
    trust = blur(trust * (F(1) - gain * (F(1) - narrow)), TRUST_SIGMA_PX)
    share = np.where(spread == 0, F(0), trust)
    return np.asarray(estimate + share * ((coded + lost * gain) - estimate))


def _largest(plane: Array, reach: int) -> Array:
    """The largest value within a square."""
    wide = np.pad(plane, reach, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(wide, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(windows.max(axis=(2, 3)))


def _root(values: Array) -> Array:
    return np.asarray(np.sqrt(np.maximum(values, F(0))))


# --- Frames


def to_pixels(image: Array, kind: PixelType) -> Array:
    """Rounded half to even, and clamped."""
    if kind is PixelType.FLOAT32:
        return image
    return np.clip(np.rint(image * F(kind.white)), F(0), F(kind.white)).astype(kind.value)


def toning(tone: Tone, kind: PixelType, channels: int) -> tuple[Array, Array]:
    """What the samples of each channel are multiplied by, and what is added; adding -0 changes no bit."""
    gain, offset = tone.of_channels(channels)
    return (np.array(gain) / kind.white).astype(F), np.array([more or -0.0 for more in offset], F)


def copied(frame: Array, shift: tuple[int, int], tone: Tone, kind: PixelType) -> tuple[Array, Array]:
    """Picture and mask (bool) of a frame moved by whole pixels (dx, dy), as large as the frame."""
    height, width = frame.shape[:2]
    y, x = np.arange(height)[:, None] + shift[1], np.arange(width) + shift[0]
    scale, offset = toning(tone, kind, frame.shape[2])
    values = frame[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)].astype(F) * scale + offset
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return np.moveaxis(values, -1, 0), inside


def positions(place: Transform, width: int, height: int) -> tuple[Array, Array]:
    """Where canvas pixels lie in the frame: made in double, rounded once."""
    m = place.matrix
    y, x = np.mgrid[:height, :width].astype(np.float64)
    if not m[2, :2].any():
        return (
            (m[0, 0] * x + m[0, 2]).astype(F) + (m[0, 1] * y).astype(F),
            (m[1, 0] * x + m[1, 2]).astype(F) + (m[1, 1] * y).astype(F),
        )
    w = m[2, 0] * x + m[2, 1] * y + m[2, 2]
    across, down = (m[row, 0] * x + m[row, 1] * y + m[row, 2] for row in (0, 1))
    return (across / w).astype(F), (down / w).astype(F)


def keys(t: Array) -> list[Array]:
    """The four weights of the bicubic kernel for a position `t` after the second of its pixels."""
    a, before, after = F(-0.75), t + F(1), F(1) - t
    first = ((a * before - 5 * a) * before + 8 * a) * before - 4 * a
    second, third = (((a + 2) * d - (a + 3)) * d * d + F(1) for d in (t, after))
    return [first, second, third, F(1) - first - second - third]


def lanczos(t: Array) -> list[Array]:
    """The six weights of the Lanczos kernel for a position `t` after the third of its pixels."""
    u = F(1) - t
    near, far = sinc(t), sinc(u)
    a, b, both = t * near, u * far, t * u
    middle, sixth, third = both * (a + b), u + F(2), u + F(1)
    raw = [
        both * b / ((t + F(2)) * (t + F(2))),
        -(middle / ((t + F(1)) * (t + F(1)))),
        u * near,
        t * far,
        -(middle / (third * third)),
        both * a / (sixth * sixth),
    ]
    total = raw[0]
    for weight in raw[1:]:
        total = total + weight
    return [weight * (F(1) / total) for weight in raw]


def sinc(t: Array) -> Array:
    """sin(v) / v at v = pi t / 3, by its polynomial in t^2."""
    total, z = F(3.9066463e-06), t * t
    for coefficient in (-0.00026161328, 0.010021501, -0.18277045, 1.0):
        total = total * z + F(coefficient)
    return np.asarray(total)


def resampled(
    frame: Array, place: Transform, kind: PixelType, interpolation: Interpolation
) -> tuple[Array, Array]:
    """Picture and mask (bool) of a frame on a canvas of its own size."""
    height, width = frame.shape[:2]
    weigh, first = (keys, -1) if interpolation is Interpolation.BICUBIC else (lanczos, -2)
    x, y = positions(place, width, height)
    left, top = (np.clip(np.floor(at), F(-4), F(side + 4)) for at, side in ((x, width), (y, height)))
    across, down = (weigh(np.clip(at - first, F(0), F(1))) for at, first in ((x, left), (y, top)))
    scale, offset = toning(place.tone, kind, frame.shape[2])
    values, total = frame.astype(F) * scale, np.zeros(frame.shape, F)
    for row, vertical in enumerate(down, first):
        y_tap, line = np.clip(top.astype(int) + row, 0, height - 1), np.zeros(frame.shape, F)
        for column, horizontal in enumerate(across, first):
            x_tap = np.clip(left.astype(int) + column, 0, width - 1)
            line += values[y_tap, x_tap] * horizontal[..., None]
        total += line * vertical[..., None]
    slack = F(1 / 64)
    inside = (x >= -slack) & (x <= F(width - 1) + slack) & (y >= -slack) & (y <= F(height - 1) + slack)
    return np.moveaxis(total + offset, -1, 0), inside
