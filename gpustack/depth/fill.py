"""Filling what has no confidence from its rims: by averages over ever larger neighbourhoods (pull-push).

The finest level is worked on in strips, and neither its weighted depths nor its weights are kept: they are
made twice. The coarser levels are whole, a third of its pixels in all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.model.rect import Rows, cut

Plane = npt.NDArray[np.float32]

FILL_SIGMA_PX = 1.0
"""Blur with which confident depths reach into what is filled in, so that no seam shows; as fine as the focus
measure's own."""

RIM_WEIGHT = 0.02
"""Weight of the coarser fill against a pixel's own confidence: it decides where the confidence is below
this."""

STRIP_ROWS = 128
"""Rows that are worked on at a time, an even number."""

_BLUR_HALO = int(np.ceil(3 * FILL_SIGMA_PX))
_REDUCE_HALO, _EXPAND_HALO = 2, 4


def filled(backend: Backend[Any], depth: Plane, confidence: Plane) -> Plane:
    """The depth (h, w), blurred by its confidence (h, w); where that is small, taken from farther and farther
    away."""
    size = height, width = depth.shape
    if max(size) == 1:
        sums = backend.smooth_by(backend.lend(depth), backend.lend(confidence), FILL_SIGMA_PX)
        return backend.download(backend.fill_in(*sums, None, RIM_WEIGHT))
    half = -(-height // 2), -(-width // 2)
    rim = _fill(backend, *_halved(backend, depth, confidence, half), half)
    out = backend.room(size, "float32")

    def work(rows: Rows) -> None:
        wide = rows.grow(_EXPAND_HALO, height)
        top, bottom = _sums(backend, depth, confidence, wide)
        small = backend.rows(rim, slice(wide.start // 2, -(-wide.stop // 2)))
        whole = backend.download(backend.fill_in(top, bottom, small, RIM_WEIGHT))
        out[rows.slice] = whole[rows.within(wide)]

    backend.each(work, cut(height, STRIP_ROWS))
    return out


def _sums(backend: Backend[Any], depth: Plane, confidence: Plane, rows: Rows) -> tuple[Any, Any]:
    """Some rows of the weighted depths and of the weights, both blurred."""
    wide = rows.grow(_BLUR_HALO, len(depth))
    values, weights = (backend.lend(plane[wide.slice]) for plane in (depth, confidence))
    top, bottom = backend.smooth_by(values, weights, FILL_SIGMA_PX)
    return backend.rows(top, rows.within(wide)), backend.rows(bottom, rows.within(wide))


def _halved(backend: Backend[Any], depth: Plane, confidence: Plane, half: tuple[int, int]) -> tuple[Any, Any]:
    """Weighted depths and weights at half size, whole."""
    height, halves = len(depth), [backend.full(half, 0.0, "float32") for _ in range(2)]

    def work(rows: Rows) -> None:
        wide = rows.grow(_REDUCE_HALO, height)
        own = Rows(rows.start // 2, -(-rows.stop // 2))
        inside = own.within(Rows(wide.start // 2, -(-wide.stop // 2)))
        for target, plane in zip(halves, _sums(backend, depth, confidence, wide), strict=True):
            backend.copy(backend.rows(backend.reduce(plane), inside), backend.rows(target, own.slice))

    backend.each(work, cut(height, STRIP_ROWS))
    return halves[0], halves[1]


def _fill(backend: Backend[Any], top: Any, bottom: Any, size: tuple[int, int]) -> Any:
    """top / bottom (h, w) where bottom is large, else the quotient over wider and wider neighbourhoods."""
    if max(size) == 1:
        return backend.fill_in(top, bottom, None, RIM_WEIGHT)
    half = -(-size[0] // 2), -(-size[1] // 2)
    rim = _fill(backend, backend.reduce(top), backend.reduce(bottom), half)
    return backend.fill_in(top, bottom, rim, RIM_WEIGHT)
