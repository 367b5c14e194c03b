"""Compiled loops that resample with the Lanczos kernel: `backend.lanczos`, step by step, to the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpustack.backend.fast import rows
from gpustack.backend.fast.arrays import Array, Bordered
from gpustack.backend.fast.compiled import F, compiled
from gpustack.backend.lanczos import FAR, SINC, TAPS

_FAR, _ZERO, _ONE, _TWO = F(FAR), F(0), F(1), F(2)
_A, _B, _C, _D = SINC
_TAPS = TAPS


@compiled
def sinc(t: Any) -> Any:
    """sin(v) / v at v = pi t / 3."""
    z = t * t
    return (((_D * z + _C) * z + _B) * z + _A) * z + _ONE


@compiled
def parted(at: Array, length: int, before: Array, room: Array) -> None:
    """Of positions (w,) in a line of pixels the whole pixel before; how far after it, and before the next,
    in the first rows of `room`."""
    t, u = room[0], room[1]
    least, most = -_FAR, F(length) + _FAR
    for x in range(at.size):
        whole = np.floor(at[x])
        whole = min(max(whole, least), most)
        before[x] = np.int64(whole)
        part = min(max(at[x] - whole, _ZERO), _ONE)
        t[x], u[x] = part, _ONE - part


@compiled
def sincs(t: Array, out: Array) -> None:
    """`sinc` of a row."""
    for x in range(t.size):
        out[x] = sinc(t[x])


@compiled
def outer(t: Array, u: Array, far: Array, out: Array) -> None:
    """The weight of the first tap; that of the last with all exchanged."""
    for x in range(t.size):
        out[x] = t[x] * u[x] * (u[x] * far[x]) / ((t[x] + _TWO) * (t[x] + _TWO))


@compiled
def middle(t: Array, u: Array, near: Array, far: Array, out: Array) -> None:
    """The weight of the second tap, or the last but one."""
    for x in range(t.size):
        both = t[x] * u[x] * (t[x] * near[x] + u[x] * far[x])
        out[x] = -(both / ((t[x] + _ONE) * (t[x] + _ONE)))


@compiled
def inner(u: Array, near: Array, out: Array) -> None:
    """The weight of the third tap, or the fourth."""
    for x in range(u.size):
        out[x] = u[x] * near[x]


@compiled
def scaled(out: Array, scale: Array) -> None:
    """Weights times the scale."""
    for x in range(out.size):
        out[x] = out[x] * scale[x]


@compiled
def weigh(at: Array, length: int, before: Array, room: Array, weights: Array) -> None:
    """Of positions (w,) in a line of pixels the whole pixel before, and six weights each, (6, w); `room` is
    (5, w). Many short loops: each is of few arrays, and runs on several pixels at once."""
    parted(at, length, before, room)
    t, u, near, far, scale = room[0], room[1], room[2], room[3], room[4]
    sincs(t, near)
    sincs(u, far)
    outer(t, u, far, weights[0])
    middle(t, u, near, far, weights[1])
    inner(u, near, weights[2])
    inner(t, far, weights[3])
    middle(u, t, far, near, weights[4])
    outer(u, t, near, weights[5])
    rows.copied(weights[0], scale)
    for tap in range(1, _TAPS):
        more = weights[tap]
        for x in range(scale.size):
            scale[x] = scale[x] + more[x]
    for x in range(scale.size):
        scale[x] = _ONE / scale[x]
    for tap in range(_TAPS):
        scaled(weights[tap], scale)


@compiled
def sampled(source: Bordered, x: Array, y: Array, out: Array, places: Array, work: Array) -> None:
    """Values (c, h, w) at positions x, y (h, w); `places` (2, w) and `work` (17, w) are room to work in."""
    n, channels = x.shape[1], len(out)
    left, top = places[0], places[1]
    across, down, room = work[:_TAPS], work[_TAPS : 2 * _TAPS], work[2 * _TAPS :]
    for row in range(len(x)):
        weigh(x[row], source.width, left, room, across)
        weigh(y[row], source.height, top, room, down)
        for at in range(n):
            left[at] = (left[at] + source.left) * channels
            top[at] = top[at] - source.top
        if channels == 3:
            _colours(source.samples, left, top, across, down, out[0, row], out[1, row], out[2, row])
            continue
        for c in range(channels):
            _one(source.samples, channels, c, left, top, across, down, out[c, row])


@compiled
def _colours(
    samples: Array, left: Array, top: Array, across: Array, down: Array, red: Array, green: Array, blue: Array
) -> None:
    for x in range(red.size):
        r = g = b = _ZERO
        first = left[x]
        for j in range(_TAPS):
            line = samples[top[x] + j, first : first + 3 * _TAPS]
            lr = lg = lb = _ZERO
            for i in range(_TAPS):
                weight = across[i, x]
                lr += line[3 * i] * weight
                lg += line[3 * i + 1] * weight
                lb += line[3 * i + 2] * weight
            weight = down[j, x]
            r += lr * weight
            g += lg * weight
            b += lb * weight
        red[x], green[x], blue[x] = r, g, b


@compiled
def _one(
    samples: Array, apart: int, c: int, left: Array, top: Array, across: Array, down: Array, out: Array
) -> None:
    for x in range(out.size):
        total, first = _ZERO, left[x] + c
        for j in range(_TAPS):
            line, part = samples[top[x] + j], _ZERO
            for i in range(_TAPS):
                part += line[first + apart * i] * across[i, x]
            total += part * down[j, x]
        out[x] = total
