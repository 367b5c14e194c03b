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

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.depth.guide import guided
from gpustack.depth.rims import rims

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
    median = backend.download(backend.median(backend.lend(depths)))
    feigned = rims(backend, sight.energy, sight.luma, median, floor, coded=sight.coded)
    confidence = _confidence(sight, feigned)
    contrast = max(GUIDE_NOISE * noise, GUIDE_STEP)
    smooth = guided(backend, median, sight.luma, confidence, SIGMA_PX, contrast)
    top, bottom = backend.smooth_by(backend.lend(smooth), backend.lend(confidence), FILL_SIGMA_PX)
    depth = backend.download(_filled(backend, top, bottom, confidence.shape))
    keep = (np.abs(depth - median) > STEP_FRAMES) & (confidence > 0.5)
    np.copyto(depth, median, where=keep)
    np.clip(depth, depths.min(), depths.max(), out=depth)
    return Surface(depth, confidence)


def _seen(sight: Sight) -> Plane:
    """The depths, with the lowest of them where no frame covers a pixel and there is none."""
    unseen = sight.energy < 0
    if not unseen.any():
        return sight.depth
    lowest = 0 if unseen.all() else sight.depth[~unseen].min()
    return np.where(unseen, lowest, sight.depth).astype(np.float32)


def _confidence(sight: Sight, floor: Plane) -> Plane:
    """0 where the energy is below the floor (h, w), rising to 1 where it is many times that; less where the
    peak is broader than most of the stack's: a weight by the square of the variance leaves it to its
    neighbours. Works in the floor's own memory."""
    confidence = np.asarray(np.maximum(sight.energy - floor, 0), np.float32)
    floor += confidence
    confidence /= floor
    clear = sight.variance[confidence > 0.5]
    typical = max(np.float32(np.median(clear)) if clear.size else np.float32(0), NARROWEST)
    broader = sight.variance > typical
    narrowness = typical / np.where(broader, sight.variance, np.float32(1))
    np.multiply(confidence, narrowness * narrowness, out=confidence, where=broader)
    return confidence


def _filled(backend: Backend[Any], top: Any, bottom: Any, shape: tuple[int, ...]) -> Any:
    """top / bottom where bottom is large, else the quotient over wider and wider neighbourhoods."""
    if max(shape) == 1:
        return backend.fill_in(top, bottom, None, RIM_WEIGHT)
    half = tuple(-(-side // 2) for side in shape)
    rim = _filled(backend, backend.reduce(top), backend.reduce(bottom), half)
    return backend.fill_in(top, bottom, rim, RIM_WEIGHT)
