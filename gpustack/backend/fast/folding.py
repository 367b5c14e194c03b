"""Loops that fold a row of a frame into what is kept of the frames before: `backend.folding`, within a few
roundings."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpustack.backend.fast.arrays import Array, Kept, Way
from gpustack.backend.fast.compiled import F, compiled
from gpustack.backend.fast.rows import line_of

_ZERO, _ONE, _ABSENT, _SMALLEST_TOTAL = F(0), F(1), F(-2), F(1e-30)


@compiled
def heard(energy: Array, valid: Array, y: int) -> None:
    """Energies below nothing count as none; where the frame is not valid they are -2."""
    if not valid.size:
        at_least_nothing(energy)
    else:
        where_seen(energy, line_of(valid, y, energy.size))


@compiled
def at_least_nothing(energy: Array) -> None:
    """None is less than nought."""
    for x in range(energy.size):
        energy[x] = energy[x] if energy[x] > _ZERO else _ZERO


@compiled
def where_seen(energy: Array, seen: Array) -> None:
    """The same, and -2 where nothing is seen."""
    for x in range(energy.size):
        level = energy[x] if energy[x] > _ZERO else _ZERO
        energy[x] = level if seen[x] else _ABSENT


@compiled
def shared(new: Any, old: Any, power: int) -> tuple[Any, Any]:
    """What weighs `new` where `old` was the largest so far, and by what all weights before shrink.

    One of them is 1, and the other a power of the smaller over the larger: one quotient for both.
    """
    larger = new > old
    ratio = (old if larger else new) / (new if larger else old)
    for _ in range(power):
        ratio = ratio * ratio
    return _ONE if larger else ratio, ratio if larger else _ONE


@compiled
def shares(energy: Array, best: Array, total: Array, noise: Any, share: Array) -> None:
    """The newcomer's share of the mean, by its energy; the total takes its weight in."""
    for x in range(share.size):
        level, before = energy[x], best[x]
        new = level + noise if level >= _ZERO else _ZERO
        old = (before if before > _ZERO else _ZERO) + noise
        gain, keep = shared(new, old, 3)
        whole = total[x] * keep + gain
        total[x] = whole
        share[x] = gain / (whole if whole > _SMALLEST_TOTAL else _SMALLEST_TOTAL)


@compiled
def steep_shares(energy: Array, best: Array, total: Array, noise: Any, share: Array) -> None:
    """The same by the roots of energies, and a higher power."""
    for x in range(share.size):
        level, before = energy[x], best[x]
        new = np.sqrt(level if level > _ZERO else _ZERO) + noise
        new = new if level >= _ZERO else _ZERO
        old = np.sqrt(before if before > _ZERO else _ZERO) + noise
        gain, keep = shared(new, old, 6)
        whole = total[x] * keep + gain
        total[x] = whole
        share[x] = gain / (whole if whole > _SMALLEST_TOTAL else _SMALLEST_TOTAL)


@compiled
def weighed(energy: Array, kept: Kept, y: int, way: Way, share: Array) -> None:
    """The share of row `y`."""
    best, total = line_of(kept.energy, y, share.size), line_of(kept.total, y, share.size)
    if way.steep:
        steep_shares(energy, best, total, way.noise, share)
    else:
        shares(energy, best, total, way.noise, share)


@compiled
def mixed(mean: Array, value: Array, share: Array) -> None:
    """Give a value its share of the mean."""
    for x in range(mean.size):
        mean[x] = mean[x] + (value[x] - mean[x]) * share[x]


@compiled
def mixed_squares(mean: Array, value: Array, share: Array) -> None:
    """Give a value's square its share of the mean."""
    for x in range(mean.size):
        mean[x] = mean[x] + (value[x] * value[x] - mean[x]) * share[x]


@compiled
def spread(depth: Array, variance: Array, index: Any, share: Array) -> None:
    """Fold an index into mean and variance."""
    for x in range(depth.size):
        away = index - depth[x]
        step = away * share[x]
        depth[x] = depth[x] + step
        variance[x] = (variance[x] + step * away) * (_ONE - share[x])


@compiled
def keep_best(best: Array, frame: Array, energy: Array, number: Any) -> None:
    """The sharpest frame so far; of equals the lower one."""
    for x in range(energy.size):
        level, before, holder = energy[x], best[x], frame[x]
        won = (level > before) | ((level == before) & (number < holder))
        best[x] = level if won else before
        frame[x] = number if won else holder


@compiled
def keep_sharpest(
    best: Array, frame: Array, energy: Array, number: Any, luma: Array, sharpest: Array
) -> None:
    """The same, and the luma of that frame."""
    for x in range(energy.size):
        level, before, holder = energy[x], best[x], frame[x]
        mine, theirs = luma[x], sharpest[x]
        won = (level > before) | ((level == before) & (number < holder))
        best[x] = level if won else before
        frame[x] = number if won else holder
        sharpest[x] = mine if won else theirs
