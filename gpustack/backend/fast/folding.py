"""Loops that fold a row of a frame into what is kept of the frames before: `backend.folding`, step by step,
and to the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpustack.backend.fast.arrays import Array, Kept, Room, Way
from gpustack.backend.fast.compiled import F, compiled

_ZERO, _ONE, _ABSENT, _SMALLEST_TOTAL = F(0), F(1), F(-2), F(1e-30)


@compiled
def room_for(count: int) -> Room:
    """Room for rows of so many pixels."""
    return Room(np.empty(count, F), np.empty(count, F), np.empty(count, F))


@compiled
def heard(energy: Array, valid: Array, y: int, out: Array) -> None:
    """Energies below nothing count as none; where the frame is not valid they are -2."""
    if not valid.size:
        for x in range(out.size):
            out[x] = energy[x] if energy[x] > _ZERO else _ZERO
        return
    seen = valid[y]
    for x in range(out.size):
        level = energy[x] if energy[x] > _ZERO else _ZERO
        out[x] = level if seen[x] else _ABSENT


@compiled
def above_noise(energy: Array, way: Way, out: Array) -> None:
    """What weights compare."""
    if way.steep:
        for x in range(out.size):
            level = energy[x] if energy[x] > _ZERO else _ZERO
            out[x] = np.sqrt(level) + way.noise
        return
    for x in range(out.size):
        level = energy[x] if energy[x] > _ZERO else _ZERO
        out[x] = level + way.noise


@compiled
def shares(best: Array, total: Array, way: Way, room: Room) -> None:
    """The newcomer's share of the mean, in `room.new`, by `room.energy`; the total takes its weight in."""
    energy, new, old = room.energy, room.new, room.old
    above_noise(energy, way, new)
    above_noise(best, way, old)
    more = 3 if way.steep else 0
    for x in range(total.size):
        level = new[x] if energy[x] >= _ZERO else _ZERO
        ratio = level / old[x]
        gain = ratio if ratio < _ONE else _ONE
        keep = _ONE / (ratio if ratio > _ONE else _ONE)
        gain, keep = gain * gain, keep * keep
        gain, keep = gain * gain, keep * keep
        new[x], old[x] = gain * gain, keep * keep
    for _ in range(more):
        for x in range(total.size):
            new[x], old[x] = new[x] * new[x], old[x] * old[x]
    for x in range(total.size):
        whole = total[x] * old[x] + new[x]
        total[x] = whole
        new[x] = new[x] / (whole if whole > _SMALLEST_TOTAL else _SMALLEST_TOTAL)


@compiled
def mixed(mean: Array, value: Array, share: Array, squared: bool) -> None:
    """Give a value its share of the mean."""
    if squared:
        for x in range(mean.size):
            mean[x] = mean[x] + (value[x] * value[x] - mean[x]) * share[x]
        return
    for x in range(mean.size):
        mean[x] = mean[x] + (value[x] - mean[x]) * share[x]


@compiled
def spread(depth: Array, variance: Array, number: Any, share: Array) -> None:
    """Fold an index into mean and variance."""
    index = F(number)
    for x in range(depth.size):
        away = index - depth[x]
        step = away * share[x]
        depth[x] = depth[x] + step
        variance[x] = (variance[x] + step * away) * (_ONE - share[x])


@compiled
def keep_best(kept: Kept, y: int, energy: Array, number: Any) -> None:
    """The sharpest frame so far; of equals the lower one."""
    best, frame = kept.energy[y], kept.frame[y]
    for x in range(energy.size):
        level, before, holder = energy[x], best[x], frame[x]
        won = (level > before) | ((level == before) & (number < holder))
        best[x] = level if won else before
        frame[x] = number if won else holder


@compiled
def keep_sharpest(kept: Kept, y: int, energy: Array, number: Any, luma: Array) -> None:
    """The luma of the frame that `keep_best` is about to keep."""
    best, frame, sharpest = kept.energy[y], kept.frame[y], kept.sharpest[y]
    for x in range(energy.size):
        level, before, mine, theirs = energy[x], best[x], luma[x], sharpest[x]
        won = (level > before) | ((level == before) & (number < frame[x]))
        sharpest[x] = mine if won else theirs
