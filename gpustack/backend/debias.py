"""The CPU backend's part in taking the blur out of a mean of frames (`Backend.blur_misfit`,
`Backend.debias`).

A mean over frames that are focused a little before and behind a surface is its sharp picture, blurred: by the
variance of their distances times what one frame's distance blurs. Both are known, so the blur is undone to
first order by adding what the same blur takes away from another estimate of the sharp picture (van Cittert,
"Zum Einfluss der Spaltbreite auf die Intensitaetsverteilung in Spektrallinien", 1931).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.filters import SCRATCH, luma, smooth
from gpustack.backend.values import (
    BLUR_LADDER,
    BLUR_STEPS,
    DEBIAS_NOISE,
    DEBIAS_SIGMA_PX,
    FIT_ENERGY,
    FIT_STRIDE,
    FIT_VARIANCE,
    HALO_REACH_PX,
    HALO_SHARE,
    MISFIT,
    TRUST_SIGMA_PX,
    WIDEST_BLUR,
    Best,
    Mix,
)

Array = npt.NDArray[Any]
_F = np.float32
_STEPS = tuple(np.array(taps, _F) for taps in BLUR_STEPS)
_HALO = np.ones((2 * HALO_REACH_PX + 1, 2 * HALO_REACH_PX + 1), np.uint8)


def ladder(plane: Array) -> Iterator[Array]:
    """The plane blurred by each variance of BLUR_LADDER, by small kernels of exactly that variance, one
    after another; each is good until the next but one is made."""
    yield plane
    for number, taps in enumerate(_STEPS):
        target = SCRATCH.like(f"rung {number % 2}", plane)
        plane = cv2.sepFilter2D(plane, cv2.CV_32F, taps, taps, dst=target, borderType=cv2.BORDER_REFLECT_101)
        yield plane


def shares(variance: Array) -> list[Array]:
    """How far a blur of variance (h, w), in square pixels, lies between each rung of the ladder and the next,
    0..1."""
    found = []
    for low, high in pairwise(BLUR_LADDER):
        part = np.subtract(variance, _F(low))
        part *= _F(1 / (high - low))
        found.append(np.clip(part, _F(0), _F(1), out=part))
    return found


def blurred(rungs: Iterable[Array], parts: Sequence[Array]) -> Array:
    """A plane blurred by a variance of its own at each pixel, linearly between the rungs."""
    each = iter(rungs)
    below = next(each)
    out, step = below.copy(), SCRATCH.like("rise", below)
    for above, part in zip(each, parts, strict=True):
        np.subtract(above, below, out=step)
        np.multiply(step, part, out=step)
        np.add(out, step, out=out)
        below = above
    return out


def misfit(mix: Mix[Array], best: Best[Array], floor: float, inner: slice, radii: Sequence[float]) -> Array:
    """What `Backend.blur_misfit` says."""
    assert mix.spread is not None
    spread = mix.spread
    rows = slice(*inner.indices(mix.total.shape[0])[:2])
    pick = (slice(rows.start, rows.stop, FIT_STRIDE), slice(None, None, FIT_STRIDE))
    distance = best.frame[pick].astype(_F) - spread.depth[pick]
    excess = spread.variance[pick] - distance * distance
    fits = (
        (excess > 0)
        & (spread.variance[pick] < _F(FIT_VARIANCE))
        & (best.energy[pick] > _F(floor * FIT_ENERGY))
    )
    sharp = spread.sharpest * spread.sharpest if mix.squared else spread.sharpest
    rungs = [rung[pick].copy() for rung in ladder(sharp)]
    mean = luma(mix.mean)[pick]
    sums = np.empty((len(mean), 1 + len(radii)))
    sums[:, 0] = fits.sum(axis=1)
    for number, radius in enumerate(radii, 1):
        away = (mean - blurred(rungs, shares(excess * _F(radius * radius / 4)))) * fits
        sums[:, number] = np.square(away, dtype=np.float64).sum(axis=1)
    return sums


Took = tuple[Array, Array]
"""For one channel, coded, (h, w): what its blur took away from the mean, and how far that is from the
estimate, blurred alike."""
Unblur = Callable[[Array, Array, Array, bool, slice], Iterable[Took]]


def unblurred(estimate: Array, mean: Array, variance: Array, squared: bool, near: slice) -> Iterator[Took]:
    """What the blur of `variance` (h, w), in square pixels, took away from each channel, of estimate and mean
    (c, h, w), in the rows `near`."""
    between = shares(variance)
    for before, light in zip(estimate, mean, strict=True):
        lost, away = _unblurred(before, light, between, squared)
        yield lost[near], away[near]


def debias(
    estimate: Array,
    mix: Mix[Array],
    radius: float,
    noise: float,
    inner: slice,
    unblur: Unblur = unblurred,
) -> Array:
    """What `Backend.debias` says; `unblur` as `unblurred`."""
    assert mix.spread is not None
    variance = np.minimum(mix.spread.variance * _F(radius * radius / 4), _F(BLUR_LADDER[-1]))
    near, own = _around(inner, len(variance))
    lost = np.empty((len(estimate), near.stop - near.start, variance.shape[1]), _F)
    apart: Array | None = None
    for target, before, (more, away) in zip(
        lost, estimate, unblur(estimate, mix.mean, variance, mix.squared, near), strict=True
    ):
        target[:] = more
        its = _apart(away, smooth(before, DEBIAS_SIGMA_PX)[near])
        apart = its if apart is None else np.maximum(apart, its, out=apart)
    assert apart is not None, "a picture has channels"
    strength = smooth(_mean_square(lost), DEBIAS_SIGMA_PX)
    gain = np.maximum(strength - _F(DEBIAS_NOISE * noise * noise), _F(0)) / np.maximum(strength, _F(1e-12))
    trust = smooth(_trust(apart, variance[near], gain), TRUST_SIGMA_PX)[own]
    trust[mix.spread.variance[inner] == 0] = 0
    out = np.empty((len(lost), *trust.shape), _F)
    for target, before, mean, more in zip(out, estimate, mix.mean, lost, strict=True):
        better = _coded(mean[inner]) if mix.squared else mean[inner]
        better = better + more[own] * gain[own]
        better -= before[inner]
        better *= trust
        np.add(before[inner], better, out=target)
    return out


def _around(inner: slice, height: int) -> tuple[slice, slice]:
    """The rows `inner` with those that two blurs read, and where they are among these."""
    first, last, _ = inner.indices(height)
    reach = int(np.ceil(3 * DEBIAS_SIGMA_PX)) + int(np.ceil(3 * TRUST_SIGMA_PX))
    top = max(0, first - reach)
    return slice(top, min(height, last + reach)), slice(first - top, last - top)


def _mean_square(planes: Array) -> Array:
    return np.asarray(np.mean(np.square(planes), axis=0, dtype=_F))


def _apart(away: Array, base: Array) -> Array:
    """How far one channel of the mean is from the estimate, all detail aside, which `base` is without; less
    than nothing where the estimate has a halo: where it is the brighter, beside what is brighter still."""
    apart = smooth(away, DEBIAS_SIGMA_PX)
    most: Array = cv2.dilate(base, _HALO)
    most -= base
    most *= _F(HALO_SHARE)
    beside = np.negative(apart)
    np.copyto(apart, beside, where=beside > most)
    return apart


def _trust(apart: Array, variance: Array, gain: Array) -> Array:
    """How far a mean is used, 0..1, by how far it is from the estimate, its blur's variance, and how much of
    what the blur took away is detail."""
    trust = np.clip(_F(2) - apart * _F(1 / MISFIT), _F(0), _F(1))
    narrow = np.clip(_F(2) - variance * _F(1 / WIDEST_BLUR), _F(0), _F(1))
    return np.asarray(trust * (_F(1) - gain * (_F(1) - narrow)))


def _unblurred(estimate: Array, mean: Array, between: Sequence[Array], squared: bool) -> Took:
    light = np.multiply(estimate, estimate, out=SCRATCH.like("light", estimate)) if squared else estimate
    alike = blurred(ladder(light), between)
    whole = np.subtract(light, alike)
    whole += mean
    if not squared:
        whole -= mean
        return whole, np.subtract(mean, alike, out=alike)
    coded = _coded(mean)
    lost = np.sqrt(np.maximum(whole, _F(0), out=whole), out=whole)
    lost -= coded
    np.sqrt(np.maximum(alike, _F(0), out=alike), out=alike)
    return lost, np.subtract(coded, alike, out=alike)


def _coded(light: Array) -> Array:
    """The roots of light, which may be less than none."""
    clear = np.maximum(light, _F(0))
    return np.sqrt(clear, out=clear)
