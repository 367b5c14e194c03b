"""The focus axis: how far apart the frames are focused, in pixels of blur, from their focus curves alone.

All cells share the frames' places on the axis, and each has a peak of its own. Fits of the peaks and of the
steps between frames take turns: a step is as wide as curves fall over it, beside their peaks, compared with
what the model says. A step between two frames of which one in the middle is missing comes out twice as wide,
wherever the subject lies. What a pixel of blur is follows last, from how round the peaks are.
"""

from __future__ import annotations

import numpy as np

from gpustack.coverage.curves import Levels
from gpustack.coverage.peaks import DECLINE, REACH, Peaks, Values, Windows, fall, fit, windows

FEWEST_FRAMES = 5
"""Fewer frames leave no flank beside a peak to judge steps by."""

FEWEST_CELLS = 20
"""A step that fewer curves fall over is taken to be a usual one."""

DROP_DB = 6.0
"""The frames of a window reach so far down on most curves; in stacks of tiny steps some are passed over."""

STRIDES = (1, 2, 4, 8, 16, 32)

_TURNS = 8
_FLANK = 0.75  # of a step: nearer to the peak the fall hangs on where the peak is
_SCALES = 0.4 * 1.15 ** np.arange(11)
_WORST = 20.0  # dB^2; cells of two depths and the like fit nothing
_FIRM, _LOOSE = 1e6, 1e-3
_SHARED = 2048  # cells that tell the axis, at most


def places_of(levels: Levels) -> tuple[Values, int]:
    """Where frames are focused, in pixels of blur from the first one, and the stride of windows, from levels
    of FEWEST_FRAMES frames or more."""
    levels = levels.thinned(_SHARED)
    seen = _windows(levels)
    steps = np.ones(len(levels) - 1)
    for _ in range(_TURNS):
        places = _summed(steps)
        steps = _widened(steps, seen, places, fit(seen, places, _FIRM))
    places = _summed(steps)
    return places * _scale(seen, places), seen.stride


def _windows(levels: Levels) -> Windows:
    """With the smallest stride at which most curves are seen to fall."""
    for stride in STRIDES:
        seen = windows(levels, stride)
        drop = seen.level[REACH] - np.where(seen.weight > 0, seen.level, np.inf).min(axis=0)
        if np.median(drop) >= DROP_DB or 2 * REACH * stride * 2 >= len(levels):
            break
    return seen


def _summed(steps: Values) -> Values:
    return np.concatenate([[0.0], np.cumsum(steps)])


def _widened(steps: Values, seen: Windows, places: Values, peaks: Peaks) -> Values:
    """The steps, wider where curves fall more over them than these peaks would."""
    measured, modelled, counts = (np.zeros(len(steps)) for _ in range(3))
    shape = -DECLINE * fall(places[seen.index] - peaks.place)
    for lower in range(2 * REACH):
        first, second = seen.index[lower], seen.index[lower + 1]
        middle, wide = (places[first] + places[second]) / 2, places[second] - places[first]
        used = (seen.weight[lower] * seen.weight[lower + 1] > 0) & (
            np.abs(middle - peaks.place) > _FLANK * wide
        )
        falls = np.abs(seen.level[lower + 1] - seen.level[lower])[used]
        wanted = np.abs(shape[lower + 1] - shape[lower])[used]
        for between in range(seen.stride):
            at = first[used] + between
            for total, values in ((measured, falls), (modelled, wanted), (counts, None)):
                total += np.bincount(at, values, minlength=len(steps))
    known = counts >= FEWEST_CELLS
    ratio = np.where(known, measured / np.maximum(modelled, 1e-9), 1.0)
    wider = steps * np.clip(ratio, 0.5, 2.0)
    usual = float(np.median(wider[known])) if known.any() else 1.0
    return np.where(known, wider, usual)


def _scale(seen: Windows, places: Values) -> float:
    """By how much the axis must be stretched for the peaks to be as round as they are."""
    whole = seen.of(np.flatnonzero(seen.counts >= 5))
    if whole.index.shape[1] < FEWEST_CELLS:
        return 1.0
    misfits = [np.minimum(fit(whole, places * scale, _LOOSE).misfit, _WORST).mean() for scale in _SCALES]
    return float(_SCALES[int(np.argmin(misfits))])
