"""The focus measure and the sharpest frame of each pixel.

The measure is the squared Laplacian of the luma, smoothed (the "energy of Laplacian" of Subbarao, Choi and
Nikzad, "Focusing techniques", Optical Engineering 32, 1993), at full and at half size, each in units of its
noise: the full size finds the finest detail, the half size still sees texture where the full size sees only
noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpustack.backend.protocol import Backend
from gpustack.backend.values import MEASURE_NOISE, Best, Mix, Part, Preference, Spread, sharpness_halo
from gpustack.fuse.fold import Footprint, View, Winners, joined
from gpustack.model.band_turn import WHOLE, Turn
from gpustack.model.canvas import Canvas
from gpustack.model.rect import Rows
from gpustack.settings import FOCUS_SIGMA_PX, NOISE_LEVELS, Prefer

LEAST_LEVELS = 1e-3
"""Noise levels that are added where none are asked for: without any, two frames without detail could not be
weighed against each other."""


def energy_noise(noise: float, smoothing: float = NOISE_LEVELS) -> float:
    """The focus measure to add to every frame's, for luma noise of standard deviation `noise` (0..1) and so
    many noise levels."""
    return max(smoothing, LEAST_LEVELS) * MEASURE_NOISE * noise**2


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
    """The sharpest frame at each pixel, and mean and variance of the frames' indices by their sharpness: what
    a depth map is made from. `noise` is the frame's luma noise, 0..1, `radius` the blur of the focus measure
    in pixels, `smoothing` how many noise levels are added to it."""

    noise: float
    radius: float = FOCUS_SIGMA_PX
    smoothing: float = NOISE_LEVELS
    prefer: Prefer = Prefer.NONE

    @property
    def focus_sigma(self) -> float:
        """The blur of the focus measure, in pixels."""
        return self.radius

    def start(self, backend: Backend[Any], canvas: Canvas, /) -> SharpestState:
        """No frame has won yet."""
        return SharpestState(canvas, [self._empty(backend, canvas, len(rows)) for rows in canvas.bands])

    def _empty(self, backend: Backend[Any], canvas: Canvas, height: int) -> Part[Any]:
        size = height, canvas.width
        none = backend.full((0, *size), 0.0, "float32", afar=True)
        total = backend.full(size, 0.0, "float32", afar=True)
        mix = Mix(none, total, empty_spread(backend, *size))
        wish = preference(backend, self.prefer, *size, energy_noise(self.noise))
        floor = energy_noise(self.noise, self.smoothing)
        return Part(empty_best(backend, *size), mix, floor, preference=wish)

    def add(
        self, backend: Backend[Any], state: SharpestState, index: int, view: View, turn: Turn = WHOLE, /
    ) -> None:
        """Compare the frame's focus measure with the best so far."""

        def work(number: int) -> None:
            rows, height = state.canvas.bands[number], state.canvas.height
            fold_measured(backend, state.parts[number], index, view, rows, height, self.radius)

        backend.each(work, turn.of(len(state.parts)))

    def merge(self, backend: Backend[Any], state: SharpestState, other: SharpestState, /) -> None:
        """Larger energy wins, ties go to the lower frame; means and variances join by their weights."""
        for mine, theirs in zip(state.parts, other.parts, strict=True):
            backend.merge(mine, theirs)

    def winners(self, backend: Backend[Any], state: SharpestState, /) -> Winners:
        """(h, w) uint16 index of the sharpest frame."""
        return joined(backend, state.canvas, [part.best.frame for part in state.parts], "uint16")

    def energies(self, backend: Backend[Any], state: SharpestState, /) -> Any:
        """(h, w) float32 focus measure of the sharpest frame."""
        return joined(backend, state.canvas, [part.best.energy for part in state.parts], "float32")

    def spread(self, backend: Backend[Any], state: SharpestState, /) -> Spread[Any]:
        """Where the frames lie, (h, w) float32 planes on the host."""
        return whole_spread(backend, state.canvas, state.parts)

    def footprint(self, channels: int, itemsize: int, /) -> Footprint:
        """Energy, index, weight and spread, in the state, and all but the weight as results."""
        del channels, itemsize
        return Footprint(0.0, 22.0 + valley_bytes(self.prefer), 18.0)


def empty_best(
    backend: Backend[Any], height: int, width: int, channels: int = 0, *, afar: bool = True
) -> Best[Any]:
    """A winner that any frame beats; `afar` as for `Backend.full`."""
    image = backend.full((channels, height, width), 0.0, "float32", afar=afar) if channels else None
    energy = backend.full((height, width), -1.0, "float32", afar=afar)
    return Best(energy, backend.full((height, width), 65535, "uint16", afar=afar), image)


def empty_spread(backend: Backend[Any], height: int, width: int) -> Spread[Any]:
    """The spread of no frames."""
    return Spread(*(backend.full((height, width), 0.0, "float32", afar=True) for _ in range(3)))


def whole_spread(backend: Backend[Any], canvas: Canvas, parts: Sequence[Part[Any]]) -> Spread[Any]:
    """The spread of all bands, (h, w) planes on the host."""
    spreads = [part.mix.spread for part in parts if part.mix is not None]
    found = [spread for spread in spreads if spread is not None]
    return Spread(
        *(
            joined(backend, canvas, [getattr(spread, name) for spread in found], "float32")
            for name in Spread.__slots__
        )
    )


def preference(
    backend: Backend[Any], prefer: Prefer, height: int, width: int, floor: float, *, afar: bool = True
) -> Preference[Any] | None:
    """What a part needs to prefer one end of the stack, if that is wanted; `floor`: the energy of noise."""
    if prefer is Prefer.NONE:
        return None
    valley = backend.full((height, width), np.inf, "float32", afar=afar)
    return Preference(valley, prefer is Prefer.FAR, floor)


def valley_bytes(prefer: Prefer) -> float:
    """What that takes for each pixel."""
    return 0.0 if prefer is Prefer.NONE else 4.0
