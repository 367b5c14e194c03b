"""`depthmap`: each pixel from the frames around its depth, in a second pass over the frames.

The first pass (`Sharpest`) finds the sharpest frame of every pixel; `gpustack.depth` makes a smooth surface
of it; this fold then blends the two frames next to the surface linearly. Colours stay those of the frames
and smooth areas follow their surroundings; where two depths cross within the smoothing radius it has to
choose one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpustack.backend.protocol import Backend
from gpustack.backend.values import Best, Mix, Part
from gpustack.fuse.average import empty_mix
from gpustack.fuse.fold import ANEW, Footprint, Pixels, View, Winners, assembled
from gpustack.fuse.measure import empty_best
from gpustack.model.band_turn import WHOLE, Turn
from gpustack.model.canvas import Canvas
from gpustack.model.rect import Rows


@dataclass(slots=True)
class BlendState:
    """For each band: the surface, weighted sums (not means), and the nearest covering frame where one may
    be needed."""

    canvas: Canvas
    depth: list[Any] = field(metadata=ANEW)
    reach: list[tuple[float, float]]
    sums: list[Mix[Any]]
    nearest: list[Best[Any] | None]


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """Blend along a depth surface on the host: (h, w) float32 in frame units, as large as the canvas.

    A pixel has at most two frames with a weight above 0, and a sum of two is the same in either order: the
    order of frames does not change a bit.
    """

    depth: Pixels

    def start(self, backend: Backend[Any], canvas: Canvas, /) -> BlendState:
        """Empty sums."""
        channels, width = canvas.channels, canvas.width
        parts = [self.depth[rows.slice] for rows in canvas.bands]
        reach = [(0.0, 0.0)] * len(parts)

        def look(number: int) -> None:
            reach[number] = float(parts[number].min()), float(parts[number].max())

        backend.each(look, range(len(parts)))
        nearest = [
            None if canvas.covered else empty_best(backend, len(rows), width, channels)
            for rows in canvas.bands
        ]
        return BlendState(
            canvas,
            [backend.upload(part) for part in parts],
            reach,
            [empty_mix(backend, channels, len(rows), width) for rows in canvas.bands],
            nearest,
        )

    def add(
        self, backend: Backend[Any], state: BlendState, index: int, view: View, turn: Turn = WHOLE, /
    ) -> None:
        """Add the frame where the surface is less than one frame away."""

        def work(number: int) -> None:
            low, high = state.reach[number]
            if state.canvas.covered and not low - 1 < index < high + 1:
                return
            band = view(state.canvas.bands[number])
            backend.blend_in(state.sums[number], state.depth[number], index, band)
            spare = state.nearest[number]
            if spare is not None:
                backend.keep_nearest(spare, state.depth[number], index, band)

        backend.each(work, turn.of(len(state.sums)))

    def merge(self, backend: Backend[Any], state: BlendState, other: BlendState, /) -> None:
        """Sums add up; the nearer covering frame stays."""
        for number, (mine, theirs) in enumerate(zip(state.sums, other.sums, strict=True)):
            backend.merge_sums(mine, theirs)
            spare, another = state.nearest[number], other.nearest[number]
            if spare is not None and another is not None:
                backend.merge(Part(spare), Part(another))

    def finish(self, backend: Backend[Any], state: BlendState, /) -> Pixels:
        """Sums divided by weights, in the frames' dtype."""
        kind, channels = state.canvas.pixel_type, state.canvas.channels

        def band(number: int) -> Pixels:
            picture = backend.blended(state.sums[number], state.nearest[number])
            return backend.pack(picture, kind, None)

        return assembled(backend, state.canvas, kind.value, channels, band)

    def winners(self, backend: Backend[Any], state: BlendState, /) -> Winners:
        """(h, w) uint16 index of the frame nearest to the surface."""
        canvas = state.canvas
        out: Winners = backend.room((canvas.height, canvas.width), "uint16")

        def work(rows: Rows) -> None:
            out[rows.slice] = np.rint(self.depth[rows.slice])

        backend.each(work, canvas.bands)
        return out

    def footprint(self, channels: int, itemsize: int, /) -> Footprint:
        """Sums and weights; the surface; the packed picture. And `spare_bytes` where frames do not cover
        all."""
        return Footprint(4.0, 4.0 * channels + 4, channels * itemsize)

    @staticmethod
    def spare_bytes(channels: int) -> float:
        """The nearest frame of a pixel, its index, and how near it is."""
        return 4.0 * channels + 6
