"""Compiled loops over single pixels: samples to planes, the range seen, and the blend along a depth."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpustack.backend.fast.arrays import Array, Planes, Shown
from gpustack.backend.fast.compiled import F, compiled
from gpustack.backend.fast.rows import plane_row

_ZERO, _ONE = F(0), F(1)
_WHOLE = F(1.5 * 2**23)  # added and taken off again, it rounds half to even what is less than 2^22


@compiled
def separated(samples: Array, top: int, left: int, scale: Array, out: Array) -> None:
    """Samples (h, w c) from row `top` and column `left` on to an image (c, h, w), times the scale (c,)."""
    channels = len(out)
    for y in range(out.shape[1]):
        if channels == 3:
            _separated_colours(samples[top + y, 3 * left :], scale, out[0, y], out[1, y], out[2, y])
            continue
        for c in range(channels):
            line, target = samples[top + y, channels * left + c :], out[c, y]
            for x in range(target.size):
                target[x] = F(line[channels * x]) * scale[c]


@compiled
def _separated_colours(line: Array, scale: Array, red: Array, green: Array, blue: Array) -> None:
    for x in range(red.size):
        red[x] = F(line[3 * x]) * scale[0]
        green[x] = F(line[3 * x + 1]) * scale[1]
        blue[x] = F(line[3 * x + 2]) * scale[2]


@compiled
def widen(low: Array, high: Array, shown: Shown, c: int, white: Any) -> None:
    """Fold plane `c` of a band, rounded to integers, into its range (h, w)."""
    for y in range(len(low)):
        value = plane_row(shown.image, c, shown.first + y)
        if shown.valid.size:
            _widen_seen(low[y], high[y], value, shown.valid[shown.first + y], white)
        else:
            _widen_all(low[y], high[y], value, white)


@compiled
def _whole(value: Any, white: Any) -> Any:
    """Scaled, saturated and rounded half to even."""
    level = value * white
    level = level if level > _ZERO else _ZERO
    return np.uint16((level if level < white else white) + _WHOLE - _WHOLE)


@compiled
def _widen_all(low: Array, high: Array, value: Array, white: Any) -> None:
    for x in range(low.size):
        level = _whole(value[x], white)
        low[x] = min(low[x], level)
        high[x] = max(high[x], level)


@compiled
def _widen_seen(low: Array, high: Array, value: Array, valid: Array, white: Any) -> None:
    for x in range(low.size):
        level = _whole(value[x], white)
        low[x] = min(low[x], level) if valid[x] else low[x]
        high[x] = max(high[x], level) if valid[x] else high[x]


@compiled
def blend_in(mean: Planes, total: Array, depth: Array, number: Any, shown: Shown) -> None:
    """Add a frame where the depth (h, w) is less than one frame away, as `Cpu.blend_in`; rows without such
    pixels are only looked at."""
    weight = np.empty(total.shape[1], F)
    for y in range(len(total)):
        if not _closeness(depth[y], number, weight):
            continue
        if shown.valid.size:
            seen = shown.valid[y]
            for x in range(weight.size):
                weight[x] = weight[x] if seen[x] else _ZERO
        whole = total[y]
        for x in range(weight.size):
            whole[x] = whole[x] + weight[x]
        for c in range(mean.channels):
            target, value = plane_row(mean, c, y), plane_row(shown.image, c, y)
            for x in range(weight.size):
                target[x] = target[x] + value[x] * weight[x]


@compiled
def _closeness(depth: Array, number: Any, weight: Array) -> int:
    """The weights of a row; how many are not nought."""
    near = 0
    for x in range(weight.size):
        closeness = _ONE - abs(depth[x] - number)
        weight[x] = closeness if closeness > _ZERO else _ZERO
        near += closeness > _ZERO
    return near
