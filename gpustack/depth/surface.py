"""A surface through the sharpest frames: smooth where the subject is, a step where it steps, filled where
nothing is seen.

What the folds give is, for each pixel, the mean index of the frames by their sharpness, which lies between
frames, and the variance of these indices. A single clear peak has a small variance; two peaks, of a hair and
of what lies behind it, or a peak in noise, have a large one, and their mean is of no use. So the confidence
is the peak's height over noise, and over what the blur of edges nearby may feign (`gpustack.depth.rims`),
times how narrow it is. Then single outliers go by a median; the rest is
smoothed along the lines of the picture (`gpustack.depth.guide`); and areas without confidence are filled from
their rims, by averages over ever larger neighbourhoods (pull-push, Gortler et al., "The Lumigraph", SIGGRAPH
1996). Where all that would move a pixel by more than a frame that is confident, or was voted on, the surface
steps there, and the median is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.depth.fill import filled
from gpustack.depth.guide import guided
from gpustack.depth.quantile import median_of
from gpustack.depth.rims import rims
from gpustack.depth.settle import settle
from gpustack.depth.sight import NARROWEST, Sight
from gpustack.depth.votes import Ballot
from gpustack.model.rect import Rows, cut

Plane = npt.NDArray[np.float32]

SIGMA_PX = 2.0
"""Reach of the smoothing, which is done twice: the focus measure itself cannot tell depths apart that lie
closer than its own blur."""

STEP_FRAMES = 1.0
"""A surface that is smooth at the stack's own sampling changes less than a frame within the smoothing's
reach."""

GUIDE_NOISE, GUIDE_STEP = 3.0, 1 / 255
"""What varies in the picture by less than so many standard deviations of noise, or by less than this share of
white, is no line to follow."""

STRIP_ROWS = 128
"""Rows that are worked on at a time."""

MEDIAN_HALO = 2
"""Rows that the median reads on both sides."""


@dataclass(frozen=True, slots=True)
class Surface:
    """depth (h, w) float32 in frame units; confidence (h, w) float32, 0 (nothing but noise was seen) to 1."""

    depth: Plane
    confidence: Plane


def surface(
    backend: Backend[Any], sight: Sight, floor: float, noise: float, *, settled: bool = True
) -> Surface:
    """The surface through what was seen; `floor` is the focus measure of noise alone, `noise` a frame's luma
    noise, 0..1. `settled`: pixels beside a thing have the depth of what they show, and the depths in `sight`
    are put right, in place; else that of the frame that is sharpest around them."""
    seen = _Seen(sight, *_reach(backend, sight))
    contrast = max(GUIDE_NOISE * noise, GUIDE_STEP)
    median = _median(backend, seen)
    feigned, sure = rims(backend, sight.energy, sight.luma, median, floor, coded=sight.coded)
    if settled:
        settle(backend, sight, Ballot(median, sure, sight.luma), contrast)
        del median
        median = _median(backend, seen)
    confidence = _confidence(backend, sight, feigned)
    decided = sure if settled else confidence
    del sure
    smooth = guided(backend, median, sight.luma, confidence, SIGMA_PX, contrast)
    depth = filled(backend, smooth, confidence)

    def work(rows: Rows) -> None:
        own, middle = depth[rows.slice], median[rows.slice]
        told = (decided[rows.slice] >= 1) & (sight.variance[rows.slice] <= NARROWEST)
        known = confidence[rows.slice] > np.where(told, np.float32(0), np.float32(0.5))
        np.copyto(own, middle, where=known & (np.abs(own - middle) > STEP_FRAMES))
        np.clip(own, seen.lowest, seen.highest, out=own)

    backend.each(work, _strips(sight.depth))
    return Surface(depth, confidence)


def _strips(plane: Plane) -> tuple[Rows, ...]:
    return cut(len(plane), STRIP_ROWS)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The depths, with the lowest of them where no frame covers a pixel and there is none."""

    sight: Sight
    lowest: np.float32
    highest: np.float32

    def rows(self, rows: Rows) -> Plane:
        """Some rows of them."""
        unseen = self.sight.energy[rows.slice] < 0
        return np.where(unseen, self.lowest, self.sight.depth[rows.slice])


def _reach(backend: Backend[Any], sight: Sight) -> tuple[np.float32, np.float32]:
    """The lowest and the highest depth that was seen; 0 where nothing was."""
    ends: list[tuple[np.float32, np.float32]] = []

    def work(rows: Rows) -> None:
        depths = sight.depth[rows.slice][sight.energy[rows.slice] >= 0]
        if depths.size:
            ends.append((depths.min(), depths.max()))

    backend.each(work, _strips(sight.depth))
    nought = np.float32(0)
    return min((low for low, _ in ends), default=nought), max((high for _, high in ends), default=nought)


def _median(backend: Backend[Any], seen: _Seen) -> Plane:
    """The median of the depths around each pixel: single outliers go."""
    height = len(seen.sight.depth)
    out = backend.room(seen.sight.depth.shape, "float32")

    def work(rows: Rows) -> None:
        wide = rows.grow(MEDIAN_HALO, height)
        median = backend.download(backend.median(backend.lend(seen.rows(wide))))
        out[rows.slice] = median[rows.within(wide)]

    backend.each(work, _strips(out))
    return out


def _confidence(backend: Backend[Any], sight: Sight, floor: Plane) -> Plane:
    """0 where the energy is below the floor (h, w), rising to 1 where it is many times that; less where the
    peak is broader than most of the stack's: a weight by the square of the variance leaves it to its
    neighbours. Works in the floor's own memory."""
    confidence, strips = floor, _strips(floor)

    def height(rows: Rows) -> None:
        own = floor[rows.slice]
        excess = np.maximum(sight.energy[rows.slice] - own, 0)
        np.divide(excess, own + excess, out=own)

    def clear(rows: Rows) -> Plane:
        return np.asarray(sight.variance[rows.slice][confidence[rows.slice] > 0.5])

    backend.each(height, strips)
    typical = max(median_of(backend, clear, strips), NARROWEST)

    def narrow(rows: Rows) -> None:
        variance, own = sight.variance[rows.slice], confidence[rows.slice]
        broader = variance > typical
        narrowness = typical / np.where(broader, variance, np.float32(1))
        np.multiply(own, narrowness * narrowness, out=own, where=broader)

    backend.each(narrow, strips)
    return confidence
