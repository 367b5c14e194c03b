"""The focus measure and the sharpest frame of each pixel.

The measure is the squared Laplacian of the luma, smoothed (the "energy of Laplacian" of Subbarao, Choi and
Nikzad, "Focusing techniques", Optical Engineering 32, 1993), at full and at half size, each in units of its
noise: the full size finds the finest detail, the half size still sees texture where the full size sees only
noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpustack.backend.protocol import Backend
from gpustack.backend.values import MEASURE_NOISE, Best, Part, sharpness_halo
from gpustack.fuse.fold import Footprint, View, Winners
from gpustack.model.canvas import Canvas
from gpustack.model.rect import Rows
from gpustack.settings import FOCUS_SIGMA_PX, NOISE_LEVELS


def energy_noise(noise: float) -> float:
    """The focus measure to add to every frame's, for luma noise of standard deviation `noise` (0..1)."""
    return NOISE_LEVELS * MEASURE_NOISE * noise**2


def fold_measured(
    backend: Backend[Any], part: Part[Any], index: int, view: View, rows: Rows, height: int, sigma: float
) -> None:
    """Fold a band of a frame into `part` by its focus measure; pixels that it does not cover cannot win."""
    halo = rows.grow(sharpness_halo(sigma), height)
    backend.fold_sharpness(part, index, view(halo), sigma, rows.within(halo))


@dataclass(slots=True)
class SharpestState:
    """One running winner for each band of the canvas."""

    canvas: Canvas
    parts: list[Part[Any]]


@dataclass(frozen=True, slots=True)
class Sharpest:
    """The energy and index of the sharpest frame at each pixel: what a depth map is made from."""

    sigma: float = FOCUS_SIGMA_PX

    def start(self, backend: Backend[Any], canvas: Canvas, /) -> SharpestState:
        """No frame has won yet."""
        parts = [Part(empty_best(backend, len(rows), canvas.width)) for rows in canvas.bands]
        return SharpestState(canvas, parts)

    def add(self, backend: Backend[Any], state: SharpestState, index: int, view: View, /) -> None:
        """Compare the frame's focus measure with the best so far."""

        def work(number: int) -> None:
            rows, height = state.canvas.bands[number], state.canvas.height
            fold_measured(backend, state.parts[number], index, view, rows, height, self.sigma)

        backend.each(work, range(len(state.parts)))

    def merge(self, backend: Backend[Any], state: SharpestState, other: SharpestState, /) -> None:
        """Larger energy wins, ties go to the lower frame."""
        for mine, theirs in zip(state.parts, other.parts, strict=True):
            backend.merge(mine, theirs)

    def winners(self, backend: Backend[Any], state: SharpestState, /) -> Winners:
        """(h, w) uint16 index of the sharpest frame."""
        return np.concatenate([backend.download(part.best.frame) for part in state.parts])

    def energies(self, backend: Backend[Any], state: SharpestState, /) -> Any:
        """(h, w) float32 focus measure of the sharpest frame."""
        return np.concatenate([backend.download(part.best.energy) for part in state.parts])

    def footprint(self, channels: int, itemsize: int, /) -> Footprint:
        """Energy and index, in the state and as results."""
        del channels, itemsize
        return Footprint(0.0, 6.0, 6.0)


def empty_best(
    backend: Backend[Any], height: int, width: int, channels: int = 0, *, afar: bool = True
) -> Best[Any]:
    """A winner that any frame beats; `afar` as for `Backend.full`."""
    image = backend.full((channels, height, width), 0.0, "float32", afar=afar) if channels else None
    energy = backend.full((height, width), -1.0, "float32", afar=afar)
    return Best(energy, backend.full((height, width), 65535, "uint16", afar=afar), image)
