"""Beside a nearer thing: the ground as if nothing were in front of it.

What `auto` fuses is soft within some pixels of a depth step: where the ground is in focus, the thing's blur
lies over it, and where the thing is in focus, the ground is blurred. The first pass tells where depth steps,
and from what to what. A second pass keeps of each such pixel two frames, one focused on the thing and one on
the ground; the thing's veil is worked out from the one and taken off the other (`Backend.look_behind`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.backend.values import FRONT, GROUND, Beside, Extent, Mix, Optics, Steps, behind_halo, steps_halo
from gpustack.fuse.average import empty_mix
from gpustack.fuse.facing import Order
from gpustack.fuse.fold import ANEW, Footprint, Pixels, View, across, assembled
from gpustack.fuse.levels import range_around
from gpustack.model.band_turn import WHOLE, Turn
from gpustack.model.canvas import Canvas
from gpustack.model.rect import Rows, cut
from gpustack.model.transform import Transform

STRIP_ROWS = 256
"""Rows that are unveiled at a time, at most: half of the work is halo then."""

MEDIAN_HALO = 2
"""Rows that the median of depths reads on both sides."""

BARE_SHARE = 0.5
"""Where more than this share of what a pixel shows is ground, its depth is the ground's."""

FITTING_SHARE = 1 / 3
"""Share of the bare ground that must fit what was seen for all of it to be believed. Rendered scenes
have 0.43 to 1; a board before a bar code, whose contrast blur turns over so that steps are seen, 0.1."""

_COVERED, _BARE, _FITS = np.uint8(1), np.uint8(2), np.uint8(3)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What the first pass leaves behind.

    The picture (h, w, c); the range of the frames, for each band; the steps (h, w) on the host, in frames
    counted from the nearest, and how these are counted; the radius in pixels of the blur one frame away from
    the focus; and a frame's noise.
    """

    picture: Pixels
    extent: list[Extent[Any]]
    steps: Steps[npt.NDArray[Any]]
    order: Order
    radius: float
    noise: float

    @property
    def has_steps(self) -> bool:
        """Whether there is anything to do."""
        return self.radius > 0 and bool((self.steps.side == FRONT).any())

    def optics(self, canvas: Canvas) -> Optics:
        """How its frames blur."""
        return Optics(self.radius, self.noise, coded=not canvas.linear)


@dataclass(slots=True)
class BehindState:
    """For each band: the steps, and the weighted sums of the frames around both depths; `reach` are the
    smallest and largest depth wanted, None where nothing steps."""

    canvas: Canvas
    steps: list[Steps[Any]] = field(metadata=ANEW)
    reach: list[tuple[float, float] | None]
    near: list[Mix[Any]]
    far: list[Mix[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Behind:
    """The fold of the second pass of `auto`. Each sum has two frames at most: their order changes no bit."""

    scene: Scene

    def start(self, backend: Backend[Any], canvas: Canvas, /) -> BehindState:
        """Empty sums."""
        parts = [_rows(self.scene.steps, rows) for rows in canvas.bands]
        steps = [Steps(*(backend.upload(plane) for plane in _planes(part))) for part in parts]

        def sums() -> list[Mix[Any]]:
            return [empty_mix(backend, canvas.channels, len(rows), canvas.width) for rows in canvas.bands]

        reach: list[tuple[float, float] | None] = [None] * len(parts)

        def look(number: int) -> None:
            reach[number] = _reach(parts[number])

        backend.each(look, range(len(parts)))
        return BehindState(canvas, steps, reach, sums(), sums())

    def add(
        self, backend: Backend[Any], state: BehindState, index: int, view: View, turn: Turn = WHOLE, /
    ) -> None:
        """Add the frame where one of the two depths is less than one frame away."""
        index = self.scene.order.from_near(index)

        def work(number: int) -> None:
            reach = state.reach[number]
            if reach is None or not reach[0] - 1 < index < reach[1] + 1:
                return
            band, steps = view(state.canvas.bands[number]), state.steps[number]
            backend.blend_in(state.near[number], steps.near, index, band)
            backend.blend_in(state.far[number], steps.far, index, band)

        backend.each(work, turn.of(len(state.steps)))

    def merge(self, backend: Backend[Any], state: BehindState, other: BehindState, /) -> None:
        """Sums add up."""
        for mine, theirs in zip(state.near + state.far, other.near + other.far, strict=True):
            backend.merge_sums(mine, theirs)

    def finish(self, backend: Backend[Any], state: BehindState, /) -> tuple[Pixels, npt.NDArray[np.uint8]]:
        """The picture, made better beside steps, and what each pixel (h, w) there shows: FRONT, GROUND, or 0
        where that is not known."""
        canvas, scene = state.canvas, self.scene
        strips = cut(canvas.height, min(STRIP_ROWS, len(canvas.bands[0])))
        seen = backend.room((canvas.height, canvas.width), "uint8")

        def strip(number: int) -> Pixels:
            rows = strips[number]
            if not scene.steps.side[rows.slice].any():
                seen[rows.slice] = 0
                return scene.picture[rows.slice]
            wide = rows.grow(behind_halo(), canvas.height)
            beside = self._beside(backend, state, wide)
            looked = backend.look_behind(beside, scene.optics(canvas), rows.within(wide))
            bare, fits = (backend.download(plane) > BARE_SHARE for plane in (looked.bare, looked.fits))
            seen[rows.slice] = np.where(bare, np.where(fits, _FITS, _BARE), _COVERED)
            around = range_around(backend, scene.extent, canvas, rows)
            return backend.pack(looked.picture, canvas.pixel_type, around)

        by_strips = replace(canvas, bands=strips)
        picture = assembled(backend, by_strips, canvas.pixel_type.value, canvas.channels, strip)
        show_sides(backend, seen, scene.steps.side)
        return picture, seen

    def _beside(self, backend: Backend[Any], state: BehindState, wide: Rows) -> Beside[Any]:
        canvas, scene = state.canvas, self.scene
        frame = backend.upload(scene.picture[wide.slice])
        here = backend.load(frame, Transform.identity(), canvas.pixel_type, canvas.width, Rows(0, len(wide)))
        taken = partial(across, backend, bands=canvas.bands, rows=wide)
        steps = Steps(*(taken([getattr(part, name) for part in state.steps]) for name in Steps.__slots__))
        near, far = (_mix_across(mixes, taken) for mixes in (state.near, state.far))
        return Beside(here.image, near, far, steps)

    @staticmethod
    def footprint(channels: int, itemsize: int, /) -> Footprint:
        """Two sums and weights, two depths and the side, the range; on the host the picture before and
        after, and the steps."""
        return Footprint(9.0, 8.0 * channels + 8 + 2.0 * channels * itemsize, 2.0 * channels * itemsize + 10)


def show_sides(backend: Backend[Any], seen: npt.NDArray[np.uint8], side: npt.NDArray[Any]) -> None:
    """Turn what was seen of pixels into what they show, in place. Where looking behind fits hardly anywhere,
    only what fits is known."""
    strips = cut(len(seen), STRIP_ROWS)
    counts = np.zeros((len(strips), 2), int)

    def count(number: int) -> None:
        part = seen[strips[number].slice]
        counts[number] = [np.count_nonzero(part == code) for code in (_FITS, _BARE)]

    backend.each(count, range(len(strips)))
    fitting, bare = counts.sum(axis=0)
    believed = fitting > FITTING_SHARE * (fitting + bare)

    def show(rows: Rows) -> None:
        part, beside = seen[rows.slice], side[rows.slice]
        shows = np.where(part == _FITS, np.uint8(GROUND), np.uint8(0))
        if believed:
            np.copyto(shows, GROUND, where=(part == _BARE) | (beside == GROUND))
            np.copyto(shows, FRONT, where=(part == _COVERED) & (beside == FRONT))
        part[...] = shows

    backend.each(show, strips)


def steps_of(
    backend: Backend[Any],
    winners: npt.NDArray[Any],
    energies: npt.NDArray[np.float32],
    order: Order,
    floor: float,
) -> Steps[npt.NDArray[Any]]:
    """Where depth steps, on the host, in frames counted from the nearest, from the sharpest frames (h, w),
    how they are counted, and their focus measure; `floor` is that of noise alone."""
    size = height, _ = winners.shape
    strips = cut(height, STRIP_ROWS)
    near, far = (backend.room(size, "float32") for _ in range(2))
    found: Steps[npt.NDArray[Any]] = Steps(near, far, backend.room(size, "uint8"))

    def work(number: int) -> None:
        rows = strips[number]
        wide = rows.grow(steps_halo(), height)
        more, energy = wide.grow(MEDIAN_HALO, height), energies[wide.slice]
        numbers = order.from_near(winners[more.slice])
        seen = np.where(energies[more.slice] < 0, 0, numbers).astype(np.float32)
        median = backend.rows(backend.median(backend.lend(seen)), wide.within(more))
        part = backend.steps(median, backend.lend(energy), floor, rows.within(wide))
        for target, plane in zip(_planes(found), _planes(part), strict=True):
            target[rows.slice] = backend.download(plane)

    backend.each(work, range(len(strips)))
    return found


def _planes(steps: Steps[Any]) -> tuple[Any, Any, Any]:
    return steps.near, steps.far, steps.side


def _rows(steps: Steps[npt.NDArray[Any]], rows: Rows) -> Steps[npt.NDArray[Any]]:
    return Steps(*(plane[rows.slice] for plane in _planes(steps)))


def _reach(steps: Steps[npt.NDArray[Any]]) -> tuple[float, float] | None:
    """The depths that are wanted beside steps."""
    wanted = steps.side > 0
    if not wanted.any():
        return None
    return float(steps.near[wanted].min()), float(steps.far[wanted].max())


def _mix_across(mixes: list[Mix[Any]], taken: Any) -> Mix[Any]:
    return Mix(taken([mix.mean for mix in mixes]), taken([mix.total for mix in mixes]))
