"""The peak of a focus curve: where, between which frames, and how much of it no frame has seen.

Out of focus by a blur disk of radius r pixels, the focus measure of natural texture falls as

    E(r) = E(0) (1 + (r / CORE_PX)^2) ^ -DECLINE

Its far end follows from theory: the disk's transfer falls as r^-1.5 in amplitude, the measure has power where
transfers are taken squared, so E falls as r^-3. Texture of harder contrast falls faster, softer one more
slowly, so each cell has a decline of its own near that. Where the peak of the curve lies is then a fit of
three numbers (place, height, decline) to the frames around the sharpest one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

CORE_PX, DECLINE = 2.6, 1.5
"""Fitted to the pooled curves of rendered scenes: up to 4 pixels within 0.8 dB of those of grained facets and
of a dome; print, whose contrast is hard, falls nearly twice as fast (bench/results/coverage.json)."""

REACH = 3
"""Frames on each side of the sharpest that are fitted."""

RISE_DB = 0.3
"""A curve may rise by so much on its way down before another peak begins: noise, and resampling."""

BEYOND_PX = 4.0
"""How far before the first and behind the last frame peaks are looked for: further out curves are alike."""

DECLINES = 0.5, 2.0
"""Range of a cell's decline, in units of DECLINE."""

_TRIED = 41
_CHUNK = 4096


class Curved(Protocol):
    """Curves of c cells in n frames, in dB; see `gpustack.coverage.curves.Levels`."""

    def __len__(self) -> int: ...

    @property
    def top(self) -> Indices:
        """(c,) the number of the frame with the largest."""

    def at(self, index: Indices) -> Values:
        """(k, c) what they are in the frames with these numbers (k, c)."""


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """The frames around each cell's sharpest one that belong to its peak.

    index (2 REACH + 1, c): numbers of frames; level: in dB; weight: 1 where the frame belongs to the peak.
    `stride` frames lie between two of a window.
    """

    index: Indices
    level: Values
    weight: Values
    stride: int

    @property
    def counts(self) -> Values:
        """Frames of each window."""
        return np.asarray(self.weight.sum(axis=0))

    def of(self, cells: Indices) -> Windows:
        """Those of some cells."""
        return Windows(self.index[:, cells], self.level[:, cells], self.weight[:, cells], self.stride)


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """Fitted peaks (c,): place in pixels of blur along the focus axis, decline, and mean squared misfit in
    dB^2."""

    place: Values
    decline: Values
    misfit: Values


def windows(levels: Curved, stride: int) -> Windows:
    """The windows of curves, whose frames go down from the sharpest one to both sides."""
    offsets = np.arange(-REACH, REACH + 1) * stride
    wanted = levels.top + offsets[:, None]
    index = np.clip(wanted, 0, len(levels) - 1)
    level = levels.at(index)
    weight = np.zeros(level.shape)
    weight[REACH] = 1
    for side in (-1, 1):
        for step in range(1, REACH + 1):
            here, before = REACH + side * step, REACH + side * (step - 1)
            down = level[here] < level[before] + RISE_DB  # false where there is nothing but noise
            inside = wanted[here] == index[here]
            weight[here] = weight[before] * (down & inside)
    return Windows(index, np.where(weight > 0, level, 0.0), weight, stride)


def fall(distance: Values) -> Values:
    """By how many dB the measure falls so many pixels of blur away from focus, at a decline of 1."""
    return np.asarray(10 * np.log10(1 + (distance / CORE_PX) ** 2))


def fit(seen: Windows, places: Values, tether: float) -> Peaks:
    """Fit a peak to each window; `places` (n,) are the frames', in pixels of blur.

    `tether` is how strongly declines are held to DECLINE, in dB^2.
    """
    parts = [
        _fit(seen.of(np.arange(first, min(first + _CHUNK, seen.index.shape[1]))), places, tether)
        for first in range(0, seen.index.shape[1], _CHUNK)
    ]
    joined = (np.concatenate([getattr(part, name) for part in parts]) for name in Peaks.__slots__)
    return Peaks(*joined)


def misfit_at(seen: Windows, places: Values, place: Values, tether: float) -> Values:
    """(c,) the misfit of each window's best peak at a given place (c,), as that of `fit`."""
    return _at(seen, places[seen.index], place, tether)[1]


def _fit(seen: Windows, places: Values, tether: float) -> Peaks:
    """Every place on a grid between the neighbours of the sharpest frame is tried."""
    here = places[seen.index]
    low, high = _range(seen, places)
    best = Peaks(low.copy(), np.full(low.shape, DECLINE), np.full(low.shape, np.inf))
    for share in np.linspace(0, 1, _TRIED):
        tried = low + share * (high - low)
        decline, missed = _at(seen, here, tried, tether)
        better = missed < best.misfit
        np.copyto(best.place, tried, where=better)
        np.copyto(best.decline, decline, where=better)
        np.copyto(best.misfit, missed, where=better)
    return best


def _at(seen: Windows, here: Values, place: Values, tether: float) -> tuple[Values, Values]:
    """Decline and misfit of the best peak at a place: height and decline are linear."""
    count = seen.counts
    level = seen.level - (seen.weight * seen.level).sum(axis=0) / count
    shape = -fall(here - place)
    shape -= (seen.weight * shape).sum(axis=0) / count
    along, both = ((seen.weight * shape * values).sum(axis=0) for values in (shape, level))
    free = (both + tether * DECLINE) / (along + tether)
    decline = np.clip(free, DECLINE * DECLINES[0], DECLINE * DECLINES[1])
    missed = (seen.weight * (level - decline * shape) ** 2).sum(axis=0)
    return decline, (missed + tether * (decline - DECLINE) ** 2) / count


def _range(seen: Windows, places: Values) -> tuple[Values, Values]:
    """Where the peak may lie: between the neighbours of the sharpest frame, or beyond the stack's ends."""
    top, last = seen.index[REACH], len(places) - 1
    before, after = np.maximum(top - seen.stride, 0), np.minimum(top + seen.stride, last)
    low = np.where(top == 0, places[0] - BEYOND_PX, places[before])
    high = np.where(top == last, places[-1] + BEYOND_PX, places[after])
    return low, high
