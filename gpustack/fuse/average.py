"""`average`: the mean of the frames, weighted by sharpness so steeply that the sharpest dominates.

w_i = ((S_i + n) / (S_max + n))^8 with S the focus measure and n its noise: a soft maximum over the frames,
computed in one pass by keeping the sums relative to the running maximum (Milakov and Gimelshein, "Online
normalizer calculation for softmax", 2018). Where one frame is sharp it is taken nearly alone; where none
is, all weigh alike and their noise averages out. A weighted mean cannot leave the range of the frames, so
it draws no halo of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpustack.backend.protocol import Backend, Best, Mix
from gpustack.fuse.fold import Pixels, View, Winners, assembled
from gpustack.fuse.measure import empty_best, energy_noise, measured
from gpustack.model.canvas import Canvas
from gpustack.settings import FOCUS_SIGMA_PX


@dataclass(slots=True)
class AverageState:
    """For each band of the canvas, the running mean and the sharpest frame so far."""

    canvas: Canvas
    mix: list[Mix[Any]]
    best: list[Best[Any]]


@dataclass(frozen=True, slots=True)
class Average:
    """The soft maximum over the frames; `noise` is the standard deviation of a frame's luma noise, 0..1."""

    noise: float
    sigma: float = FOCUS_SIGMA_PX

    def start(self, backend: Backend[Any], canvas: Canvas, /) -> AverageState:
        """A mean of nothing."""
        bands = canvas.bands
        mix = [empty_mix(backend, canvas.channels, len(rows), canvas.width) for rows in bands]
        return AverageState(canvas, mix, [empty_best(backend, len(rows), canvas.width) for rows in bands])

    def add(self, backend: Backend[Any], state: AverageState, index: int, view: View, /) -> None:
        """Weigh the frame against the sharpest so far and mix it in."""
        noise = energy_noise(self.noise)

        def work(number: int) -> None:
            rows = state.canvas.bands[number]
            band, energy = measured(backend, view, rows, state.canvas.height, self.sigma)
            best = state.best[number]
            backend.mix_in(state.mix[number], best.energy, energy, band.image, noise)
            backend.keep_best(best, energy, index, None)

        backend.each(work, range(len(state.mix)))

    def merge(self, backend: Backend[Any], state: AverageState, other: AverageState, /) -> None:
        """The mean of both, each scaled to the sharper of the two maxima."""
        noise = energy_noise(self.noise)
        for number, (mine, theirs) in enumerate(zip(state.best, other.best, strict=True)):
            backend.merge_mix(state.mix[number], mine.energy, other.mix[number], theirs.energy, noise)
            backend.merge_best(mine, theirs)

    def finish(self, backend: Backend[Any], state: AverageState, /) -> Pixels:
        """The mean, in the frames' dtype."""
        kind, channels = state.canvas.pixel_type, state.canvas.channels

        def band(number: int) -> Pixels:
            return backend.pack(state.mix[number].mean, kind, None)

        return assembled(backend, state.canvas, kind.value, channels, band)

    def winners(self, backend: Backend[Any], state: AverageState, /) -> Winners:
        """(h, w) uint16 index of the sharpest frame, which carries most of the weight."""
        return np.concatenate([backend.download(best.frame) for best in state.best])

    def energies(self, backend: Backend[Any], state: AverageState, /) -> Any:
        """(h, w) float32 focus measure of the sharpest frame."""
        return np.concatenate([backend.download(best.energy) for best in state.best])

    def bytes_per_pixel(self, channels: int, itemsize: int, /) -> float:
        """Mean, total weight, energy and index; the packed picture joins them at the end."""
        return 4.0 * channels + 4 + 6 + channels * itemsize


def empty_mix(backend: Backend[Any], channels: int, height: int, width: int) -> Mix[Any]:
    """A weighted mean of nothing."""
    mean = backend.full((channels, height, width), 0.0, "float32")
    return Mix(mean, backend.full((height, width), 0.0, "float32"))
