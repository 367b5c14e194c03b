"""A surface through the sharpest frames: smooth where the subject is, a step where it steps, filled where
nothing is seen.

What the folds give is, for each pixel, the mean index of the frames by their sharpness, which lies between
frames, and the variance of these indices. A single clear peak has a small variance; two peaks, of a hair and
of what lies behind it, or a peak in noise, have a large one, and their mean is of no use. So the confidence
is the peak's height over noise, and over what the blur of edges nearby may feign (`gpustack.depth.rims`),
times how narrow it is. Then single outliers go by a median; the rest is
smoothed along the lines of the picture (`gpustack.depth.guide`); and areas without confidence are filled from
their rims, by averages over ever larger neighbourhoods (pull-push, Gortler et al., "The Lumigraph", SIGGRAPH
1996). Where all that would move a confident pixel by more than a frame, the surface steps there, and the
median is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.depth.guide import STRIP_ROWS, guided
from gpustack.depth.rims import rims
from gpustack.model.rect import Rows, cut

Plane = npt.NDArray[np.float32]

SIGMA_PX = 2.0
"""Reach of the smoothing, which is done twice: the focus measure itself cannot tell depths apart that lie
closer than its own blur."""

FILL_SIGMA_PX = 1.0
"""Blur with which confident depths reach into what is filled in, so that no seam shows; as fine as the focus
measure's own."""

STEP_FRAMES = 1.0
"""A surface that is smooth at the stack's own sampling changes less than a frame within the smoothing's
reach."""

MEDIAN_HALO, FILL_HALO = 2, 4
"""Rows around a strip that the median reads, and that expanding the fill reads."""

RIM_WEIGHT = 0.02
"""Weight of the coarser fill against a pixel's own confidence: it decides where the confidence is below
this."""

GUIDE_NOISE, GUIDE_STEP = 3.0, 1 / 255
"""What varies in the picture by less than so many standard deviations of noise, or by less than this share of
white, is no line to follow."""


NARROWEST = np.float32(0.25)
"""Variance of the indices of two frames next to each other: how narrow a narrower peak is cannot be seen."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What the frames show of each pixel, (h, w) float32 each.

    depth: mean index of the frames by their sharpness; variance: of these indices; energy: largest focus
    measure, below 0 where no frame covers the pixel; luma: of the sharpest frame. coded: it is not light.
    """

    depth: Plane
    variance: Plane
    energy: Plane
    luma: Plane
    coded: bool


@dataclass(frozen=True, slots=True)
class Surface:
    """depth (h, w) float32 in frame units; confidence (h, w) float32, 0 (nothing but noise was seen) to 1."""

    depth: Plane
    confidence: Plane


def surface(backend: Backend[Any], sight: Sight, floor: float, noise: float) -> Surface:
    """The surface through what was seen; `floor` is the focus measure of noise alone, `noise` a frame's luma
    noise, 0..1."""
    depths = _seen(sight)
    median = _medians(backend, depths)
    feigned = rims(backend, sight.energy, sight.luma, median, floor, coded=sight.coded)
    confidence = _confidence(backend, sight, feigned)
    contrast = max(GUIDE_NOISE * noise, GUIDE_STEP)
    smooth = guided(backend, median, sight.luma, confidence, SIGMA_PX, contrast)
    top, bottom = _spread_out(backend, smooth, confidence)
    depth = _filled(backend, top, bottom, confidence.shape)
    _keep_steps(backend, depth, median, confidence, (depths.min(), depths.max()))
    return Surface(depth, confidence)


def _by_strips(backend: Backend[Any], height: int, work: Callable[[Rows], None]) -> None:
    """Do it strip by strip, in parallel: what it needs on the way then stays in the caches."""
    backend.each(work, cut(height, STRIP_ROWS))


def _medians(backend: Backend[Any], plane: Plane) -> Plane:
    """The plane without single outliers."""
    out = np.empty_like(plane)

    def work(rows: Rows) -> None:
        wide = rows.grow(MEDIAN_HALO, len(plane))
        found = backend.download(backend.median(backend.lend(plane[wide.slice])))
        out[rows.slice] = found[rows.within(wide)]

    _by_strips(backend, len(plane), work)
    return out


def _spread_out(backend: Backend[Any], plane: Plane, weight: Plane) -> tuple[Plane, Plane]:
    """The weighted plane and its weight, both blurred a little."""
    top, bottom = np.empty_like(plane), np.empty_like(plane)
    halo = int(np.ceil(3 * FILL_SIGMA_PX))

    def work(rows: Rows) -> None:
        wide = rows.grow(halo, len(plane))
        sums = backend.smooth_by(
            backend.lend(plane[wide.slice]), backend.lend(weight[wide.slice]), FILL_SIGMA_PX
        )
        for target, found in zip((top, bottom), sums, strict=True):
            target[rows.slice] = backend.download(found)[rows.within(wide)]

    _by_strips(backend, len(plane), work)
    return top, bottom


def _keep_steps(
    backend: Backend[Any], depth: Plane, median: Plane, confidence: Plane, ends: tuple[float, float]
) -> None:
    """Take the median where the surface left it by too much, in place; and stay between the ends."""

    def work(rows: Rows) -> None:
        part, here = depth[rows.slice], median[rows.slice]
        keep = (np.abs(part - here) > STEP_FRAMES) & (confidence[rows.slice] > 0.5)
        np.copyto(part, here, where=keep)
        np.clip(part, *ends, out=part)

    _by_strips(backend, len(depth), work)


def _seen(sight: Sight) -> Plane:
    """The depths, with the lowest of them where no frame covers a pixel and there is none."""
    unseen = sight.energy < 0
    if not unseen.any():
        return sight.depth
    lowest = 0 if unseen.all() else sight.depth[~unseen].min()
    return np.where(unseen, lowest, sight.depth).astype(np.float32)


def _confidence(backend: Backend[Any], sight: Sight, floor: Plane) -> Plane:
    """0 where the energy is below the floor (h, w), rising to 1 where it is many times that; less where the
    peak is broader than most of the stack's: a weight by the square of the variance leaves it to its
    neighbours. Works in the floor's own memory."""
    clear = []

    def measure(rows: Rows) -> None:
        level = floor[rows.slice]
        excess = np.maximum(sight.energy[rows.slice] - level, 0)
        np.add(level, excess, out=level)
        np.divide(excess, level, out=level)
        clear.append(sight.variance[rows.slice][level > 0.5])

    def narrow(rows: Rows) -> None:
        part, variance = floor[rows.slice], sight.variance[rows.slice]
        broader = variance > typical
        narrowness = typical / np.where(broader, variance, np.float32(1))
        np.multiply(part, narrowness * narrowness, out=part, where=broader)

    _by_strips(backend, len(floor), measure)
    typical = max(_median(np.concatenate(clear)), NARROWEST)
    _by_strips(backend, len(floor), narrow)
    return floor


def _median(values: Plane) -> np.float32:
    """0 of none."""
    return np.float32(np.median(values, overwrite_input=True)) if values.size else np.float32(0)


def _filled(backend: Backend[Any], top: Plane, bottom: Plane, shape: tuple[int, ...]) -> Plane:
    """top / bottom where bottom is large, else the quotient over wider and wider neighbourhoods."""
    planes = backend.upload(top), backend.upload(bottom)
    if max(shape) == 1:
        return np.array(backend.download(backend.fill_in(*planes, None, RIM_WEIGHT)))
    half = tuple(-(-side // 2) for side in shape)
    rim = _rim(backend, backend.reduce(planes[0]), backend.reduce(planes[1]), half)
    out = np.empty_like(top)

    def work(rows: Rows) -> None:
        wide = rows.grow(FILL_HALO, len(top))
        coarse = backend.rows(rim, Rows(wide.start // 2, -(-wide.stop // 2)).slice)
        above, below = (backend.rows(plane, wide.slice) for plane in planes)
        filled = backend.fill_in(above, below, coarse, RIM_WEIGHT)
        out[rows.slice] = backend.download(filled)[rows.within(wide)]

    _by_strips(backend, len(top), work)
    return out


def _rim(backend: Backend[Any], top: Any, bottom: Any, shape: tuple[int, ...]) -> Any:
    """The same of what lies below, on the backend."""
    if max(shape) == 1:
        return backend.fill_in(top, bottom, None, RIM_WEIGHT)
    half = tuple(-(-side // 2) for side in shape)
    rim = _rim(backend, backend.reduce(top), backend.reduce(bottom), half)
    return backend.fill_in(top, bottom, rim, RIM_WEIGHT)
