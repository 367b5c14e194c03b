"""`auto`: sharp from few frames where detail is, averaged where there is none, and the blur of averaging
undone.

Two pictures are made from one pass. The first is a fused pyramid (`gpustack.fuse.scales`): complete at
crossing hairs, clean beside steps, but a little soft, as neighbouring frames join in. The second is the
mean of the frames around each pixel's depth, in light, with the spread of their indices: how blurred it is
follows from that and from one number of the stack, the radius by which one frame's distance blurs. That
radius is fitted to the stack itself: the mean must be what the sharpest frames are when blurred so. The
blur is then undone, and where the two pictures agree in all but fine detail, or the pyramid has a halo there,
the second is taken.

Averaging a few frames wins noise, and undoing a known blur wins back more than it cost: rendered print
comes out better than the best choice of frames could be (docs/quality.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.backend.values import Band, Mix, Part, Spread, debias_halo, sharpness_halo
from gpustack.fuse.average import empty_mix
from gpustack.fuse.fold import Footprint, Pixels, View, Winners, across, assembled, joined
from gpustack.fuse.levels import LaplacianFold, LevelsState, range_around
from gpustack.fuse.measure import (
    empty_best,
    empty_spread,
    energy_noise,
    preference,
    valley_bytes,
    whole_spread,
)
from gpustack.fuse.radius import blur_radius, finishing_strips, mix_across
from gpustack.fuse.scales import soft_scales
from gpustack.model.band_turn import WHOLE, Turn
from gpustack.model.canvas import Canvas
from gpustack.model.rect import Rows
from gpustack.settings import FOCUS_SIGMA_PX, MEAN_SIGMA_PX, NOISE_LEVELS, Prefer


@dataclass(slots=True)
class AutoState:
    """The fused pyramid, and for each band of the canvas the mean and its spread."""

    levels: LevelsState
    means: list[Part[Any]]

    @property
    def canvas(self) -> Canvas:
        """What is rendered."""
        return self.levels.canvas


@dataclass(frozen=True, slots=True)
class Auto:
    """The fold of `--method auto`, for frames of luma noise `noise`, 0..1; `radius`, `smoothing` and
    `prefer` as in Settings."""

    noise: float
    radius: float = FOCUS_SIGMA_PX
    smoothing: float = NOISE_LEVELS
    prefer: Prefer = Prefer.NONE

    @property
    def _levels(self) -> LaplacianFold:
        return soft_scales(self.noise, self.radius, self.smoothing, self.prefer)

    @property
    def focus_sigma(self) -> float:
        """The blur of the focus measure of the mean, in pixels."""
        return self.radius * MEAN_SIGMA_PX / FOCUS_SIGMA_PX

    @property
    def halo(self) -> int:
        """Rows around a band."""
        return max(sharpness_halo(self.focus_sigma), self._levels.halo)

    def start(self, backend: Backend[Any], canvas: Canvas, /) -> AutoState:
        """Empty levels, and a mean of nothing."""
        means = [self._empty(backend, canvas, len(rows)) for rows in canvas.bands]
        return AutoState(self._levels.start(backend, canvas), means)

    def _empty(self, backend: Backend[Any], canvas: Canvas, height: int) -> Part[Any]:
        size = height, canvas.width
        spread = empty_spread(backend, *size)
        mix = empty_mix(backend, canvas.channels, *size)
        mix = Mix(mix.mean, mix.total, spread, squared=not canvas.linear)
        wish = preference(backend, self.prefer, *size, energy_noise(self.noise))
        floor = energy_noise(self.noise, self.smoothing)
        return Part(empty_best(backend, *size), mix, floor, preference=wish)

    def add(
        self, backend: Backend[Any], state: AutoState, index: int, view: View, turn: Turn = WHOLE, /
    ) -> None:
        """Fold the frame into both; each band of it is read once."""
        work = partial(self._add_band, backend, state, index, view, turn)
        backend.each(work, self._levels.finest(state.levels, turn))
        if turn.first:
            self._levels.add_coarser(backend, state.levels, index)

    def _add_band(
        self, backend: Backend[Any], state: AutoState, index: int, view: View, turn: Turn, number: int
    ) -> None:
        canvas, levels = state.levels.canvas, self._levels
        rows = canvas.bands[number]
        wide = rows.grow(self.halo, canvas.height)
        band = view(wide)
        part = state.means[number]
        if turn.takes(number):
            backend.fold_sharpness(part, index, band, self.focus_sigma, rows.within(wide))
        levels.add_finest(backend, state.levels, index, partial(_rows_of, backend, band, wide), turn, number)

    def merge(self, backend: Backend[Any], state: AutoState, other: AutoState, /) -> None:
        """Both pictures of both runs."""
        self._levels.merge(backend, state.levels, other.levels)
        for mine, theirs in zip(state.means, other.means, strict=True):
            backend.merge(mine, theirs)

    def let_go(self, backend: Backend[Any], state: AutoState, /) -> None:
        """Once no frame comes any more: keep what the picture, winners, energies and spread are made of."""
        self._levels.let_go(backend, state.levels)

    def finish(self, backend: Backend[Any], state: AutoState, /) -> Pixels:
        """The picture."""
        return self.finished(backend, state)[0]

    def finished(self, backend: Backend[Any], state: AutoState, /) -> tuple[Pixels, float]:
        """Collapse the pyramid, undo the mean's blur, and pack, within the range of the frames around each
        pixel; and the radius in pixels of the blur one frame away, 0 where the stack does not tell.

        Of the state the spread and the range are left.
        """
        canvas = state.levels.canvas
        radius = blur_radius(backend, canvas, state.means, energy_noise(self.noise))
        nothing = backend.full((1, 1), 0.0, "float32")
        state.means = [part.left(nothing, total=True) for part in state.means]
        estimate = self._collapse(backend, state)
        strips = finishing_strips(canvas)

        def strip(number: int) -> Pixels:
            rows = strips[number]
            if radius == 0:
                picture = across(backend, estimate, canvas.bands, rows)
                return backend.pack(picture, canvas.pixel_type, None)  # it was clamped when it was collapsed
            wide = rows.grow(debias_halo(), canvas.height)
            taken = partial(across, backend, bands=canvas.bands, rows=wide)
            mix = mix_across(state.means, taken)
            picture = backend.debias(taken(estimate), mix, radius, self.noise, rows.within(wide))
            return backend.pack(
                picture, canvas.pixel_type, range_around(backend, state.levels.extent, canvas, rows)
            )

        by_strips = replace(canvas, bands=strips)
        return assembled(backend, by_strips, canvas.pixel_type.value, canvas.channels, strip), radius

    def _collapse(self, backend: Backend[Any], state: AutoState) -> list[Any]:
        """The pyramid's picture within the range of the frames, by bands, in the place of its finest
        level."""
        levels = state.levels
        collapse = self._levels.collapsed(backend, levels)
        finest = [part.kept for part in levels.levels[0].parts]

        def work(number: int) -> None:
            backend.copy(collapse(number), finest[number])
            backend.clamp(finest[number], levels.extent[number], levels.canvas.pixel_type)

        backend.each(work, range(len(finest)))
        return finest

    def winners(self, backend: Backend[Any], state: AutoState, /) -> Winners:
        """(h, w) uint16 index of the sharpest frame, which carries most of the weight."""
        return joined(backend, state.levels.canvas, [part.best.frame for part in state.means], "uint16")

    def energies(self, backend: Backend[Any], state: AutoState, /) -> npt.NDArray[np.float32]:
        """(h, w) float32 focus measure of the sharpest frame."""
        return joined(backend, state.levels.canvas, [part.best.energy for part in state.means], "float32")

    def spread(self, backend: Backend[Any], state: AutoState, /) -> Spread[Any]:
        """Where the frames of the mean lie, (h, w) float32 planes on the host."""
        return whole_spread(backend, state.levels.canvas, state.means)

    def footprint(self, channels: int, itemsize: int, /) -> Footprint:
        """The pyramid; mean, total weight, spread, energy and index."""
        mean = self._mean(channels, winners=True)
        return self._levels.footprint(channels, itemsize).beside(mean)

    def left(self, channels: int, itemsize: int, /) -> tuple[Footprint, Footprint]:
        """What `let_go` leaves; and what is left while the picture is made."""
        levels = self._levels.left(channels, itemsize)
        told, finishing = (levels.beside(self._mean(channels, winners=kept)) for kept in (True, False))
        return told, finishing

    def _mean(self, channels: int, *, winners: bool) -> Footprint:
        winning = 6 + valley_bytes(self.prefer) if winners else 0.0
        return Footprint(0.0, 4.0 * channels + 16 + winning, 0.0)


def _rows_of(backend: Backend[Any], band: Band[Any], held: Rows, rows: Rows) -> Band[Any]:
    """Some rows of a band that holds more."""
    inside = rows.within(held)
    mask, evidence = (
        None if plane is None else backend.rows(plane, inside) for plane in (band.valid, band.evidence)
    )
    return Band(backend.rows(band.image, inside), mask, evidence)
