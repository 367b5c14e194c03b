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

from gpustack.backend.protocol import Backend
from gpustack.backend.values import Mix, Part, Spread
from gpustack.fuse.fold import Footprint, Pixels, View, Winners, assembled, joined
from gpustack.fuse.measure import (
    empty_best,
    empty_spread,
    energy_noise,
    fold_measured,
    preference,
    valley_bytes,
    whole_spread,
)
from gpustack.model.band_turn import WHOLE, Turn
from gpustack.model.canvas import Canvas
from gpustack.settings import FOCUS_SIGMA_PX, NOISE_LEVELS, Prefer


@dataclass(slots=True)
class AverageState:
    """For each band of the canvas, the running mean and the sharpest frame so far."""

    canvas: Canvas
    parts: list[Part[Any]]


@dataclass(frozen=True, slots=True)
class Average:
    """The soft maximum over the frames; `noise` is the standard deviation of a frame's luma noise, 0..1,
    `radius` the blur of the focus measure in pixels, `smoothing` how many noise levels are added to it.
    `spreads`: where the frames lie is kept, too, for a depth map."""

    noise: float
    radius: float = FOCUS_SIGMA_PX
    smoothing: float = NOISE_LEVELS
    prefer: Prefer = Prefer.NONE
    spreads: bool = False

    @property
    def focus_sigma(self) -> float:
        """The blur of the focus measure, in pixels."""
        return self.radius

    def start(self, backend: Backend[Any], canvas: Canvas, /) -> AverageState:
        """A mean of nothing."""
        return AverageState(canvas, [self._empty(backend, canvas, len(rows)) for rows in canvas.bands])

    def _empty(self, backend: Backend[Any], canvas: Canvas, height: int) -> Part[Any]:
        size = height, canvas.width
        mix = empty_mix(backend, canvas.channels, *size)
        mix.spread = empty_spread(backend, *size) if self.spreads else None
        wish = preference(backend, self.prefer, *size, energy_noise(self.noise))
        floor = energy_noise(self.noise, self.smoothing)
        return Part(empty_best(backend, *size), mix, floor, preference=wish)

    def add(
        self, backend: Backend[Any], state: AverageState, index: int, view: View, turn: Turn = WHOLE, /
    ) -> None:
        """Weigh the frame against the sharpest so far and mix it in."""

        def work(number: int) -> None:
            rows, height = state.canvas.bands[number], state.canvas.height
            fold_measured(backend, state.parts[number], index, view, rows, height, self.radius)

        backend.each(work, turn.of(len(state.parts)))

    def merge(self, backend: Backend[Any], state: AverageState, other: AverageState, /) -> None:
        """The mean of both, each scaled to the sharper of the two maxima."""
        for mine, theirs in zip(state.parts, other.parts, strict=True):
            backend.merge(mine, theirs)

    def finish(self, backend: Backend[Any], state: AverageState, /) -> Pixels:
        """The mean, in the frames' dtype."""
        kind, channels = state.canvas.pixel_type, state.canvas.channels

        def band(number: int) -> Pixels:
            return backend.pack(state.parts[number].kept, kind, None)

        return assembled(backend, state.canvas, kind.value, channels, band)

    def winners(self, backend: Backend[Any], state: AverageState, /) -> Winners:
        """(h, w) uint16 index of the sharpest frame, which carries most of the weight."""
        return joined(backend, state.canvas, [part.best.frame for part in state.parts], "uint16")

    def energies(self, backend: Backend[Any], state: AverageState, /) -> Any:
        """(h, w) float32 focus measure of the sharpest frame."""
        return joined(backend, state.canvas, [part.best.energy for part in state.parts], "float32")

    def spread(self, backend: Backend[Any], state: AverageState, /) -> Spread[Any]:
        """Where the frames lie, (h, w) float32 planes on the host."""
        return whole_spread(backend, state.canvas, state.parts)

    def footprint(self, channels: int, itemsize: int, /) -> Footprint:
        """Mean, total weight, energy and index, and the spread if wanted; the packed picture."""
        held = 4.0 * channels + 10 + valley_bytes(self.prefer) + (12 if self.spreads else 0)
        return Footprint(0.0, held, channels * itemsize)


def empty_mix(
    backend: Backend[Any], channels: int, height: int, width: int, *, afar: bool = True
) -> Mix[Any]:
    """A weighted mean of nothing; `afar` as for `Backend.full`."""
    mean = backend.full((channels, height, width), 0.0, "float32", afar=afar)
    return Mix(mean, backend.full((height, width), 0.0, "float32", afar=afar))
