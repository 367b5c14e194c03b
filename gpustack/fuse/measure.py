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

from gpustack.backend.protocol import MEASURE_NOISE, Backend, Band, Best, sharpness_halo
from gpustack.fuse.fold import View, Winners
from gpustack.model.canvas import Canvas
from gpustack.model.rect import Rows
from gpustack.settings import FOCUS_SIGMA_PX, NOISE_LEVELS


def energy_noise(noise: float) -> float:
    """The focus measure to add to every frame's, for luma noise of standard deviation `noise` (0..1)."""
    return NOISE_LEVELS * MEASURE_NOISE * noise**2


def measured(
    backend: Backend[Any], view: View, rows: Rows, height: int, sigma: float
) -> tuple[Band[Any], Any]:
    """A band of a frame and its focus measure; pixels that the frame does not cover cannot win."""
    halo = rows.grow(sharpness_halo(sigma), height)
    wide = view(halo)
    inner = rows.within(halo)
    energy = backend.rows(backend.sharpness(backend.luma(wide.image), sigma), inner)
    valid = None if wide.valid is None else backend.rows(wide.valid, inner)
    if valid is not None:
        backend.exclude(energy, valid)
    return Band(backend.rows(wide.image, inner), valid), energy


@dataclass(slots=True)
class SharpestState:
    """One running winner for each band of the canvas."""

    canvas: Canvas
    best: list[Best[Any]]


@dataclass(frozen=True, slots=True)
class Sharpest:
    """The energy and index of the sharpest frame at each pixel: what a depth map is made from."""

    sigma: float = FOCUS_SIGMA_PX

    def start(self, backend: Backend[Any], canvas: Canvas, /) -> SharpestState:
        """No frame has won yet."""
        return SharpestState(canvas, [empty_best(backend, len(rows), canvas.width) for rows in canvas.bands])

    def add(self, backend: Backend[Any], state: SharpestState, index: int, view: View, /) -> None:
        """Compare the frame's focus measure with the best so far."""

        def work(number: int) -> None:
            _, energy = measured(backend, view, state.canvas.bands[number], state.canvas.height, self.sigma)
            backend.keep_best(state.best[number], energy, index, None)

        backend.each(work, range(len(state.best)))

    def merge(self, backend: Backend[Any], state: SharpestState, other: SharpestState, /) -> None:
        """Larger energy wins, ties go to the lower frame."""
        for mine, theirs in zip(state.best, other.best, strict=True):
            backend.merge_best(mine, theirs)

    def winners(self, backend: Backend[Any], state: SharpestState, /) -> Winners:
        """(h, w) uint16 index of the sharpest frame."""
        return np.concatenate([backend.download(best.frame) for best in state.best])

    def energies(self, backend: Backend[Any], state: SharpestState, /) -> Any:
        """(h, w) float32 focus measure of the sharpest frame."""
        return np.concatenate([backend.download(best.energy) for best in state.best])

    def bytes_per_pixel(self, channels: int, itemsize: int, /) -> float:
        """Energy and index."""
        del channels, itemsize
        return 6.0


def empty_best(backend: Backend[Any], height: int, width: int, channels: int = 0) -> Best[Any]:
    """A winner that any frame beats."""
    image = backend.full((channels, height, width), 0.0, "float32") if channels else None
    energy = backend.full((height, width), -1.0, "float32")
    return Best(energy, backend.full((height, width), 65535, "uint16"), image)
