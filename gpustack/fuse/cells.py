"""The focus measure of every frame in cells of the picture: what `gpustack inspect` looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.backend.values import Band, Best, Part, sharpness_halo
from gpustack.fuse.fold import Footprint, View
from gpustack.model.band_turn import WHOLE, Turn
from gpustack.model.canvas import Canvas
from gpustack.settings import FOCUS_SIGMA_PX

Heard = Callable[[int, npt.NDArray[Any], npt.NDArray[np.float32]], None]
"""Is given a frame's index, its aligned pixels (h, w, c), and its cells (rows, columns)."""


@dataclass(slots=True)
class CellsState:
    """Planes for one frame, which the next one overwrites; what is kept is handed out."""

    canvas: Canvas
    energy: Any
    winner: Any
    pixels: npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class FocusCells:
    """Measures every frame by itself: mean over cells, `count` of them along the longer side. A cell that a
    frame does not cover has less than nothing."""

    count: int
    heard: Heard
    radius: float = FOCUS_SIGMA_PX

    def start(self, backend: Backend[Any], canvas: Canvas, /) -> CellsState:
        """Room for one frame."""
        size = canvas.height, canvas.width
        pixels = np.empty((*size, canvas.channels), canvas.pixel_type.value)
        return CellsState(
            canvas, backend.full(size, -1.0, "float32"), backend.full(size, 65535, "uint16"), pixels
        )

    def add(
        self, backend: Backend[Any], state: CellsState, index: int, view: View, turn: Turn = WHOLE, /
    ) -> None:
        """Measure a frame and hand its cells out."""
        backend.fill(state.energy, -1.0)
        canvas = state.canvas

        def work(number: int) -> None:
            rows = canvas.bands[number]
            halo = rows.grow(sharpness_halo(self.radius), canvas.height)
            band, inner = view(halo), rows.within(halo)
            part = Part(Best(backend.rows(state.energy, rows.slice), backend.rows(state.winner, rows.slice)))
            backend.fold_sharpness(part, index, band, self.radius, inner)
            state.pixels[rows.slice] = _packed(backend, band, inner, canvas)

        backend.each(work, turn.of(len(canvas.bands)))
        self.heard(index, state.pixels, backend.thumbnail(state.energy, self.count))

    def merge(self, backend: Backend[Any], state: CellsState, other: CellsState, /) -> None:
        """Nothing is kept that could be merged."""

    def footprint(self, channels: int, itemsize: int, /) -> Footprint:
        """Energy and winner, and the aligned frame on the host."""
        return Footprint(6.0, 0.0, channels * itemsize)


def _packed(backend: Backend[Any], band: Band[Any], inner: slice, canvas: Canvas) -> npt.NDArray[Any]:
    return backend.pack(backend.rows(band.image, inner), canvas.pixel_type, None)
