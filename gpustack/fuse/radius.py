"""By how much the distance of one frame blurs, fitted to the stack itself.

A mean of frames around the sharpest one is the sharpest one, blurred by the spread of their distances. The
radius at which that fits best is the stack's: it needs no lens data, and holds while the frames are focused
in even steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.backend.values import FIT_STRIDE, Best, Mix, Part, Spread, misfit_halo
from gpustack.fuse.fold import across
from gpustack.model.canvas import Canvas
from gpustack.model.rect import Rows, cut

RADII = (0.0, *(0.1 * 1.25**step for step in range(19)))
"""Radii in pixels that are tried: none, and 0.1 to 5.6."""

FEWEST_PIXELS = 500
"""With fewer pixels to compare nothing is fitted."""

FINISHING_ROWS = 128
"""Rows that are finished at a time, at most: on a GPU a band may be a whole frame, and undoing a blur takes
some two dozen planes. A quarter of the work is halo then."""

FINISHING_BANDS = 2
"""Bands that are finished at a time, at most: those of the CPU suit passes, which have less halo."""

LEAST_GAIN = 0.97
"""The fit must leave less than this share of the squared differences that no blur leaves."""


def blur_radius(backend: Backend[Any], canvas: Canvas, means: Sequence[Part[Any]], floor: float) -> float:
    """Radius in pixels of the blur disk one frame away from the focus; 0 where the stack does not tell.

    `floor` is the focus measure of noise.
    """
    strips = finishing_strips(canvas)
    found: list[npt.NDArray[Any]] = [np.zeros((0, 1 + len(RADII)))] * len(strips)

    def work(number: int) -> None:
        rows = strips[number]
        rows = Rows(min(-(-rows.start // FIT_STRIDE) * FIT_STRIDE, rows.stop), rows.stop)
        if len(rows):
            wide = rows.grow(misfit_halo(), canvas.height)
            mix, best = _across(backend, canvas, means, wide)
            found[number] = backend.blur_misfit(mix, best, floor, rows.within(wide), RADII)

    backend.each(work, range(len(strips)))
    return _best_fit(np.concatenate(found).sum(axis=0))


def finishing_strips(canvas: Canvas) -> tuple[Rows, ...]:
    """The canvas cut anew, for what is done once all frames are folded in."""
    return cut(canvas.height, finishing_rows(len(canvas.bands[0])))


def finishing_rows(band_rows: int) -> int:
    """Rows that are finished at a time, where bands have so many."""
    return min(FINISHING_ROWS, FINISHING_BANDS * band_rows)


def _best_fit(sums: npt.NDArray[np.float64]) -> float:
    """The radius of least misfit, between those tried by a parabola over their logarithms."""
    count, misfits = sums[0], sums[1:]
    least = int(misfits.argmin())
    if count < FEWEST_PIXELS or misfits[least] >= LEAST_GAIN * misfits[0]:
        return 0.0
    if least in (1, len(RADII) - 1):
        return RADII[least]
    before, here, after = misfits[least - 1 : least + 2]
    step = 0.5 * (before - after) / (before - 2 * here + after)
    return float(RADII[least] * (RADII[-1] / RADII[-2]) ** step)


def _across(
    backend: Backend[Any], canvas: Canvas, means: Sequence[Part[Any]], rows: Rows
) -> tuple[Mix[Any], Best[Any]]:
    """Rows of all that is kept with the mean."""

    def taken(parts: list[Any]) -> Any:
        return across(backend, parts, canvas.bands, rows)

    best = Best(taken([part.best.energy for part in means]), taken([part.best.frame for part in means]))
    return mix_across(means, taken), best


def mix_across(means: Sequence[Part[Any]], taken: Callable[[list[Any]], Any]) -> Mix[Any]:
    """Rows of the means, which `taken` takes out of parts that lie by bands."""
    mixes = [part.mix for part in means]
    spreads = [mix.spread for mix in mixes if mix is not None and mix.spread is not None]
    planes = (taken([getattr(spread, name) for spread in spreads]) for name in Spread.__slots__)
    kept = [mix for mix in mixes if mix is not None]
    mean, total = taken([mix.mean for mix in kept]), taken([mix.total for mix in kept])
    return Mix(mean, total, Spread(*planes), kept[0].squared)
