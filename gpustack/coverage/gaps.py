"""Where focus was missed: cells whose peak no frame comes near enough to, and which frames would help."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.coverage.axis import FEWEST_FRAMES, places_of
from gpustack.coverage.curves import Curves, Mask, Plane, Values, spread_out
from gpustack.coverage.peaks import CORE_PX, DECLINE, REACH, Peaks, Windows, fall, fit, misfit_at, windows

NOTABLE_DB = 2.5
"""A cell is in a gap where the sharpest frame shows so much less of its detail than one in its focus would:
a quarter of the contrast of what is finest."""

BESIDE_DB, BESIDE = 1.5, 2
"""And where so many of its eight neighbours miss at least so much: a fit alone may go wrong."""

LEAST_SHARE = 0.003
"""Of the cells with detail: gaps of fewer are not told, as some covered cells are always taken for gaps
(bench/results/coverage.json)."""

FINE_DB = 1.0
"""What frames may miss halfway between two of them where steps are as they should be: a tenth of the contrast
of what is finest."""

BEYOND_DB, SURE_DB2 = 2.0, 0.3
"""With frames on one side alone a peak beyond the stack and a flat one at its end look much alike. So cells
of the first and the last frame are judged by the mean of the nine around them: it must miss so much, and
peaks beyond must explain the curves so much better, in squared decibels, than peaks right at the end."""

MOST = 90.0
"""Percent of the cells before or behind a stack that a longer one should reach."""

TETHER = 1.0
"""How strongly the decline of a cell is held to the usual one, in dB^2: that of three frames' misfit."""


class Side(StrEnum):
    """Where a gap lies."""

    BEFORE = "before"
    BETWEEN = "between"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Gap:
    """Cells that lie in focus before the first frame, after the last, or between two.

    frames: the indices of the frames beside it, one or two; share: of the cells with detail, 0..1; box:
    (left, top, width, height) in cells around its largest part; missed_db: how much of the focus measure the
    frames miss there, in the middle of its cells; step_px: how far the two frames are apart, or how far most
    of the cells are before or behind the one, in pixels of blur; more: how many frames would close it.
    """

    side: Side
    frames: tuple[int, ...]
    share: float
    box: tuple[int, int, int, int]
    missed_db: float
    step_px: float
    more: int


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """What the frames cover.

    seen (rows, columns): cells with detail; missed (rows, columns) float32: dB of the focus measure that the
    sharpest frame misses, 0 where nothing is seen; sides (rows, columns) int8: -1 in a gap before the first
    frame, 1 in one between two, 2 in one after the last, else 0; places (n,): of the used frames on the focus
    axis, in pixels of blur; gaps: the largest first.
    """

    seen: Mask
    missed: Plane
    sides: npt.NDArray[np.int8]
    places: Values
    gaps: tuple[Gap, ...]

    @property
    def covered(self) -> float:
        """Share of the cells with detail that no gap holds, 0..1."""
        count = int(self.seen.sum())
        return 1.0 if count == 0 else 1.0 - float((self.sides[self.seen] != 0).sum()) / count


def coverage(curves: Curves) -> Coverage | None:
    """What the frames of some curves cover; None where too few frames or cells tell."""
    seen = curves.seen()
    if len(curves.frames) < FEWEST_FRAMES or seen.sum() < FEWEST_FRAMES:
        return None
    levels = curves.levels(seen)
    places, stride = places_of(levels)
    curved = windows(levels, stride)
    peaks = fit(curved, places, TETHER)
    interval = np.searchsorted(places, peaks.place)  # 0: before the first, n: after the last
    values = _missed(peaks, places, interval)
    missed = spread_out(values.astype(np.float32), seen, 0.0)
    beyond = (interval == 0) | (interval == len(places))
    in_gap = np.where(beyond, _past_the_end(curved, peaks, places, missed, seen), _supported(missed)[seen])
    cells = spread_out(np.where(in_gap, interval, -1), seen, -1)
    found = _Found(curves.frames, places, seen, missed, cells, spread_out(peaks.place, seen, 0.0))
    gaps = tuple(sorted(found.gaps(), key=lambda one: -one.share))
    return Coverage(seen, missed, found.sides(gaps), places, gaps)


def fine_step() -> float:
    """Pixels of blur between two frames that miss FINE_DB halfway."""
    return float(2 * CORE_PX * np.sqrt(10 ** (FINE_DB / (10 * DECLINE)) - 1))


def _missed(peaks: Peaks, places: Values, interval: npt.NDArray[np.intp]) -> Values:
    """dB between a cell's peak and the frame that is nearest to it."""
    last = len(places) - 1
    beside = (places[np.clip(interval - 1, 0, last)], places[np.clip(interval, 0, last)])
    nearest = np.minimum(*(np.abs(peaks.place - place) for place in beside))
    return np.asarray(peaks.decline * fall(nearest))


def _past_the_end(curved: Windows, peaks: Peaks, places: Values, missed: Plane, seen: Mask) -> Mask:
    """(c,) whether cells of the first or last frame have their peak beyond it, as those around them."""
    top, last = curved.index[REACH], len(places) - 1
    at_end = (top == 0) | (top == last)
    outside = np.where(top == 0, peaks.place < places[0], peaks.place > places[-1]) & at_end
    ends = np.where(top == 0, places[0], places[-1])
    better = np.where(outside, misfit_at(curved, places, ends, TETHER) - peaks.misfit, 0.0)
    count = _sum_around(spread_out(at_end.astype(np.float32), seen, 0.0))
    means = (
        (_sum_around(plane) / np.maximum(count, 1))[seen]
        for plane in (
            spread_out(np.where(outside, missed[seen], 0).astype(np.float32), seen, 0.0),
            spread_out(better.astype(np.float32), seen, 0.0),
        )
    )
    misses, surely = means
    return np.asarray(outside & (missed[seen] > BESIDE_DB) & (misses > BEYOND_DB) & (surely > SURE_DB2))


def _sum_around(plane: Plane) -> Plane:
    """Over each cell and the eight around it."""
    square = np.ones((3, 3), np.float32)
    return np.asarray(cv2.filter2D(plane, -1, square, borderType=cv2.BORDER_CONSTANT), np.float32)


def _supported(missed: Plane) -> Mask:
    """Cells in a gap whose neighbours are not far from one."""
    near = (missed > BESIDE_DB).astype(np.float32)
    return np.asarray((missed > NOTABLE_DB) & (_sum_around(near) - near >= BESIDE - 0.5))


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What is known of the cells (rows, columns): how much frames miss, the number of the used frame before
    which those in gaps are in focus, -1 for the others, and where on the focus axis."""

    frames: tuple[int, ...]
    places: Values
    seen: Mask
    missed: Plane
    before: npt.NDArray[np.intp]
    place: Values

    def gaps(self) -> Iterator[Gap]:
        """The gaps that hold enough cells to be told."""
        for number in np.unique(self.before[self.before >= 0]).tolist():
            cells = self.before == number
            share = float(cells.sum() / self.seen.sum())
            if share >= LEAST_SHARE:
                inside = 0 < number < len(self.places)
                yield (self._between if inside else self._beyond)(number, cells, share)

    def _between(self, number: int, cells: Mask, share: float) -> Gap:
        wide = float(self.places[number] - self.places[number - 1])
        more = max(1, ceil(wide / fine_step()) - 1)
        beside = self.frames[number - 1], self.frames[number]
        return Gap(Side.BETWEEN, beside, share, _box(cells), self._depth(cells), wide, more)

    def _beyond(self, number: int, cells: Mask, share: float) -> Gap:
        side, end = (Side.BEFORE, 0) if number == 0 else (Side.AFTER, -1)
        away = float(np.percentile(np.abs(self.place[cells] - self.places[end]), MOST))
        more = max(1, ceil(away / max(float(np.median(np.diff(self.places))), 1e-6)))
        return Gap(side, (self.frames[end],), share, _box(cells), self._depth(cells), away, more)

    def _depth(self, cells: Mask) -> float:
        return float(np.median(self.missed[cells]))

    def sides(self, gaps: Sequence[Gap]) -> npt.NDArray[np.int8]:
        """The cells of the gaps that are told, by where they lie."""
        sides = np.zeros(self.before.shape, np.int8)
        for gap in gaps:
            match gap.side:
                case Side.BEFORE:
                    sides[self.before == 0] = -1
                case Side.BETWEEN:
                    sides[self.before == self.frames.index(gap.frames[1])] = 1
                case Side.AFTER:
                    sides[self.before == len(self.places)] = 2
        return sides


def _box(cells: Mask) -> tuple[int, int, int, int]:
    """Around the largest part that hangs together, cells one apart included."""
    grown = cv2.dilate(cells.astype(np.uint8), np.ones((3, 3), np.uint8))
    _, labels = cv2.connectedComponents(grown)
    labels[~cells] = 0
    largest = int(np.bincount(labels.ravel())[1:].argmax()) + 1
    left, top, width, height = cv2.boundingRect((labels == largest).astype(np.uint8))
    return left, top, width, height
