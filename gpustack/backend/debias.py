"""The CPU backend's part in taking the blur out of a mean of frames (`Backend.blur_misfit`,
`Backend.debias`).

A mean over frames that are focused a little before and behind a surface is its sharp picture, blurred: by the
variance of their distances times what one frame's distance blurs. Both are known, so the blur is undone to
first order by adding what the same blur takes away from another estimate of the sharp picture (van Cittert,
"Zum Einfluss der Spaltbreite auf die Intensitaetsverteilung in Spektrallinien", 1931).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.filters import luma, smooth
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


def ladder(plane: Array) -> list[Array]:
    """The plane blurred by each variance of BLUR_LADDER, by small kernels of exactly that variance, one
    after another."""
    rungs = [plane]
    for taps in BLUR_STEPS:
        kernel = np.array(taps, _F)
        rungs.append(
            cv2.sepFilter2D(rungs[-1], cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
        )
    return rungs


def shares(variance: Array) -> list[Array]:
    """How far a blur of variance (h, w), in square pixels, lies between each rung of the ladder and the next,
    0..1."""
    return [
        np.clip((variance - _F(low)) * _F(1 / (high - low)), _F(0), _F(1))
        for low, high in pairwise(BLUR_LADDER)
    ]


def blurred(rungs: Sequence[Array], parts: Sequence[Array]) -> Array:
    """A plane blurred by a variance of its own at each pixel, linearly between the rungs."""
    out = rungs[0].copy()
    step = np.empty_like(out)
    for (below, above), part in zip(pairwise(rungs), parts, strict=True):
        np.subtract(above, below, out=step)
        np.multiply(step, part, out=step)
        np.add(out, step, out=out)
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
    rungs = [rung[pick] for rung in ladder(sharp)]
    mean = luma(mix.mean)[pick]
    sums = np.empty((len(mean), 1 + len(radii)))
    sums[:, 0] = fits.sum(axis=1)
    for number, radius in enumerate(radii, 1):
        away = (mean - blurred(rungs, shares(excess * _F(radius * radius / 4)))) * fits
        sums[:, number] = np.square(away, dtype=np.float64).sum(axis=1)
    return sums


def debias(estimate: Array, mix: Mix[Array], radius: float, noise: float, inner: slice) -> Array:
    """What `Backend.debias` says."""
    assert mix.spread is not None
    variance = np.minimum(mix.spread.variance * _F(radius * radius / 4), _F(BLUR_LADDER[-1]))
    between = shares(variance)
    parts = [_unblurred(*planes, between, mix.squared) for planes in zip(estimate, mix.mean, strict=True)]
    lost = np.stack([part[1] for part in parts])
    strength = smooth(np.asarray(np.mean(np.square(lost), axis=0, dtype=_F)), DEBIAS_SIGMA_PX)
    gain = np.maximum(strength - _F(DEBIAS_NOISE * noise * noise), _F(0)) / np.maximum(strength, _F(1e-12))
    apart = np.max([_apart(part[2], before) for part, before in zip(parts, estimate, strict=True)], axis=0)
    trust = smooth(_trust(apart, variance, gain), TRUST_SIGMA_PX)[inner]
    trust[mix.spread.variance[inner] == 0] = 0
    out = np.empty((len(parts), *trust.shape), _F)
    for target, before, (mean, more, _) in zip(out, estimate, parts, strict=True):
        better = mean[inner] + more[inner] * gain[inner]
        np.add(before[inner], trust * (better - before[inner]), out=target)
    return out


def _apart(away: Array, estimate: Array) -> Array:
    """How far one channel of the mean is from the estimate, all detail aside; less than nothing where the
    estimate has a halo: where it is the brighter one, beside what is brighter still."""
    apart, base = smooth(away, DEBIAS_SIGMA_PX), smooth(estimate, DEBIAS_SIGMA_PX)
    around = np.ones((2 * HALO_REACH_PX + 1, 2 * HALO_REACH_PX + 1), np.uint8)
    most = (cv2.dilate(base, around) - base) * _F(HALO_SHARE)
    return np.asarray(np.where(-apart > most, -apart, apart))


def _trust(apart: Array, variance: Array, gain: Array) -> Array:
    """How far a mean is used, 0..1, by how far it is from the estimate, its blur's variance, and how much of
    what the blur took away is detail."""
    trust = np.clip(_F(2) - apart * _F(1 / MISFIT), _F(0), _F(1))
    narrow = np.clip(_F(2) - variance * _F(1 / WIDEST_BLUR), _F(0), _F(1))
    return np.asarray(trust * (_F(1) - gain * (_F(1) - narrow)))


def _unblurred(
    estimate: Array, mean: Array, between: Sequence[Array], squared: bool
) -> tuple[Array, Array, Array]:
    """For one channel, coded: the mean; what its blur took away; how far it is from the estimate, blurred
    alike."""
    light = estimate * estimate if squared else estimate
    alike = blurred(ladder(light), between)
    whole = mean + (light - alike)
    if not squared:
        return mean, whole - mean, mean - alike
    coded = np.sqrt(np.maximum(mean, _F(0)))
    return coded, np.sqrt(np.maximum(whole, _F(0))) - coded, coded - np.sqrt(np.maximum(alike, _F(0)))
