"""Compiled loops that tell what the blur of a mean of frames takes away, and how well radii of blur fit:
`backend.debias`, within roundings.

Each rung of the ladder of blurs is made at once from a few rows that are still in the cache, by a kernel that
is all the small ones up to it in one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from gpustack.backend.fast import rows
from gpustack.backend.fast.arrays import Array, Compared, Means, Planes
from gpustack.backend.fast.bands import ring_rows
from gpustack.backend.fast.compiled import F, compiled
from gpustack.backend.fast.rows import line_of
from gpustack.backend.values import BLUR_LADDER, FIT_STRIDE

_ZERO, _ONE = F(0), F(1)
_STRIDE = FIT_STRIDE
_LOWS = tuple(F(low) for low in BLUR_LADDER[:-1])
_SLOPES = tuple(F(1 / (high - low)) for low, high in pairwise(BLUR_LADDER))

Kernels = tuple[Array, Array, Array, Array, Array]
"""Of each rung but the first the taps from the middle on, the widest last."""


@compiled
def light_row(value: Array, squared: bool, out: Array) -> None:
    """Light of coded values."""
    for x in range(out.size):
        out[x] = value[x] * value[x] if squared else value[x]


@compiled
def ring_of(kernels: Kernels) -> int:
    """Rows of the ring that the widest kernel reads."""
    return ring_rows(2 * kernels[4].size - 1)


@compiled
def ladder_rows(ring: Array, y: int, height: int, kernels: Kernels, padded: Array, rungs: Array) -> None:
    """Row `y` of a plane whose rows lie in the ring on every rung, (6 w,); `padded` is room for a row."""
    n = rungs.size // 6
    last = ring_of(kernels) - 1
    rows.copied(line_of(ring, y & last, n), line_of(rungs, 0, n))
    for number in range(len(kernels)):
        taps = kernels[number]
        reach = taps.size - 1
        rows.down(ring, y, height, last, taps, padded[reach : reach + n])
        rows.mirror(padded, n, reach)
        rows.across(padded, taps, line_of(rungs, number + 1, n))


@compiled
def rise(below: Array, above: Array, variance: Array, rung: int, out: Array) -> None:
    """Add what lies between a rung and the next, as far as the blur is between them."""
    low, slope = _LOWS[rung], _SLOPES[rung]
    for x in range(out.size):
        part = (variance[x] - low) * slope
        part = part if part > _ZERO else _ZERO
        part = part if part < _ONE else _ONE
        out[x] = out[x] + (above[x] - below[x]) * part


@compiled
def coded(value: Any) -> Any:
    """The root of light, which may be less than none."""
    return np.sqrt(value if value > _ZERO else _ZERO)


@compiled
def took(mean: Array, light: Array, alike: Array, squared: bool, lost: Array, away: Array) -> None:
    """What blur took away from a row of the mean, and how far that is from the estimate, blurred alike."""
    if not squared:
        for x in range(mean.size):
            lost[x] = (mean[x] + (light[x] - alike[x])) - mean[x]
            away[x] = mean[x] - alike[x]
        return
    for x in range(mean.size):
        seen = coded(mean[x])
        lost[x] = coded(mean[x] + (light[x] - alike[x])) - seen
        away[x] = seen - coded(alike[x])


@compiled
def unblurred(
    estimate: Planes,
    means: Means,
    c: int,
    kernels: Kernels,
    first: int,
    lost: Array,
    away: Array,
    work: Array,
) -> None:
    """For plane `c`, coded: what the mean's blur took away, and how far it is from the estimate, (rows w,)
    from row `first` on."""
    height, n = estimate.height, estimate.width
    reach, done, stop = kernels[4].size - 1, first, first + lost.size // n
    last = ring_of(kernels) - 1
    rungs, alike, rest = work[: 6 * n], work[6 * n : 7 * n], work[7 * n :]
    padded, ring = rest[: n + 2 * reach], rest[n + 2 * reach :]
    end = min(height, stop + reach)
    for y in range(max(0, first - reach), end):
        light_row(rows.plane_row(estimate, c, y), means.squared, line_of(ring, y & last, n))
        while done < stop and (done + reach <= y or y == end - 1):
            ladder_rows(ring, done, height, kernels, padded, rungs)
            light, variance = line_of(rungs, 0, n), line_of(means.variance, done, n)
            rows.copied(light, alike)
            for rung in range(5):
                rise(line_of(rungs, rung, n), line_of(rungs, rung + 1, n), variance, rung, alike)
            mean, own = rows.plane_row(means.mean, c, done), done - first
            took(mean, light, alike, means.squared, line_of(lost, own, n), line_of(away, own, n))
            done += 1


@compiled
def compare(compared: Compared, y: int, mean: Array, rungs: Array, picked: Array) -> int:
    """Of every FIT_STRIDE-th pixel of row `y` that tells how far frames blur: its rungs, its mean and its
    excess of variance, (8 w,); how many these are."""
    count, n = 0, mean.size
    depth, variance = line_of(compared.depth, y, n), line_of(compared.variance, y, n)
    frame, energy = line_of(compared.frame, y, n), line_of(compared.energy, y, n)
    for x in range(0, mean.size, _STRIDE):
        distance = F(frame[x]) - depth[x]
        excess = variance[x] - distance * distance
        if excess > _ZERO and variance[x] < compared.widest and energy[x] > compared.least:
            for rung in range(6):
                picked[rung * n + count] = rungs[rung * n + x]
            picked[6 * n + count] = mean[x]
            picked[7 * n + count] = excess
            count += 1
    return count


@compiled
def misfit(picked: Array, count: int, scale: Any) -> float:
    """The summed squares of what is left where the blur is an excess times `scale`."""
    total, n = 0.0, picked.size // 8
    for x in range(count):
        variance, alike = picked[7 * n + x] * scale, picked[x]
        for rung in range(5):
            part = (variance - _LOWS[rung]) * _SLOPES[rung]
            part = part if part > _ZERO else _ZERO
            alike += (picked[(rung + 1) * n + x] - picked[rung * n + x]) * (part if part < _ONE else _ONE)
        away = picked[6 * n + x] - alike
        total += np.float64(away) * np.float64(away)
    return total


@compiled
def misfits(
    compared: Compared, means: Planes, kernels: Kernels, scales: Array, first: int, sums: Array, work: Array
) -> None:
    """For every FIT_STRIDE-th row from `first` on: how many pixels are compared, and the misfit for each
    scale."""
    height, n = means.height, means.width
    columns = 1 + scales.size
    reach, done, stop = kernels[4].size - 1, first, first + _STRIDE * (sums.size // columns)
    last = ring_of(kernels) - 1
    rungs, picked, mean, rest = work[: 6 * n], work[6 * n : 14 * n], work[14 * n : 15 * n], work[15 * n :]
    padded, ring = rest[: n + 2 * reach], rest[n + 2 * reach :]
    end = min(height, stop + reach)
    for y in range(max(0, first - reach), end):
        light_row(line_of(compared.sharpest, y, n), compared.squared, line_of(ring, y & last, n))
        while done < stop and (done + reach <= y or y == end - 1):
            ladder_rows(ring, done, height, kernels, padded, rungs)
            rows.lit(means, done, mean)
            count = compare(compared, done, mean, rungs, picked)
            out = line_of(sums, (done - first) // _STRIDE, columns)
            out[0] = count
            for number in range(scales.size):
                out[number + 1] = misfit(picked, count, scales[number])
            done += _STRIDE
