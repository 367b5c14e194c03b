"""Compiled loops over single pixels: samples to planes, the range seen, and the blend along a depth."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpustack.backend.fast.arrays import Array, Planes, Shown
from gpustack.backend.fast.compiled import F, compiled
from gpustack.backend.fast.rows import line_of, plane_row

_ZERO, _ONE = F(0), F(1)
_WHOLE = F(1.5 * 2**23)  # added and taken off again, it rounds half to even what is less than 2^22


@compiled
def separated(samples: Array, start: int, row: int, scale: Array, out: Planes) -> None:
    """Samples (h w c,), of which rows begin `row` apart, from `start` on to planes, times the scale (c,)."""
    channels, n = out.channels, out.width
    for y in range(out.height):
        line = samples[start + y * row :][: channels * n]
        if channels == 3:
            separated_colours(line, scale, plane_row(out, 0, y), plane_row(out, 1, y), plane_row(out, 2, y))
            continue
        for c in range(channels):
            every(line, channels, c, scale[c], plane_row(out, c, y))


@compiled
def separated_colours(line: Array, scale: Array, red: Array, green: Array, blue: Array) -> None:
    """A row of colours."""
    first, second, third = scale[0], scale[1], scale[2]
    for x in range(red.size):
        red[x] = F(line[3 * x]) * first
        green[x] = F(line[3 * x + 1]) * second
        blue[x] = F(line[3 * x + 2]) * third


@compiled
def every(line: Array, channels: int, c: int, scale: Any, out: Array) -> None:
    """One of the channels of a row."""
    for x in range(out.size):
        out[x] = F(line[channels * x + c]) * scale


@compiled
def widen(low: Planes, high: Planes, shown: Shown, white: Any) -> None:
    """Fold a band, rounded to integers, into its range."""
    n = low.width
    for c in range(low.channels):
        for own in range(low.height):
            value = plane_row(shown.image, c, shown.first + own)
            least, most = plane_row(low, c, own), plane_row(high, c, own)
            if shown.valid.size:
                widen_seen(least, most, value, line_of(shown.valid, shown.first + own, n), white)
            else:
                widen_all(least, most, value, white)


@compiled
def whole(value: Any, white: Any) -> Any:
    """Scaled, saturated and rounded half to even."""
    level = value * white
    level = level if level > _ZERO else _ZERO
    return np.uint16((level if level < white else white) + _WHOLE - _WHOLE)


@compiled
def widen_all(low: Array, high: Array, value: Array, white: Any) -> None:
    """Fold a row into its range."""
    for x in range(low.size):
        level = whole(value[x], white)
        low[x] = min(low[x], level)
        high[x] = max(high[x], level)


@compiled
def widen_seen(low: Array, high: Array, value: Array, valid: Array, white: Any) -> None:
    """The same where it is valid."""
    for x in range(low.size):
        level = whole(value[x], white)
        low[x] = min(low[x], level) if valid[x] else low[x]
        high[x] = max(high[x], level) if valid[x] else high[x]


@compiled
def blend_in(mean: Planes, total: Array, depth: Array, number: Any, shown: Shown, weight: Array) -> None:
    """Add a frame where the depth (h w,) is less than one frame away, as `Cpu.blend_in`; rows without such
    pixels are only looked at."""
    n = mean.width
    for y in range(mean.height):
        if not closeness(line_of(depth, y, n), number, weight):
            continue
        if shown.valid.size:
            where_seen(weight, line_of(shown.valid, y, n))
        added(line_of(total, y, n), weight)
        for c in range(mean.channels):
            added_by(plane_row(mean, c, y), plane_row(shown.image, c, y), weight)


@compiled
def closeness(depth: Array, number: Any, weight: Array) -> int:
    """The weights of a row; how many are not nought."""
    near = 0
    for x in range(weight.size):
        close = _ONE - abs(depth[x] - number)
        weight[x] = close if close > _ZERO else _ZERO
        near += close > _ZERO
    return near


@compiled
def where_seen(weight: Array, seen: Array) -> None:
    """Nothing weighs where nothing is seen."""
    for x in range(weight.size):
        weight[x] = weight[x] if seen[x] else _ZERO


@compiled
def added(total: Array, weight: Array) -> None:
    """Add a row to another."""
    for x in range(weight.size):
        total[x] = total[x] + weight[x]


@compiled
def added_by(target: Array, value: Array, weight: Array) -> None:
    """Add a row to another by its weights."""
    for x in range(weight.size):
        target[x] = target[x] + value[x] * weight[x]
