"""A surface through the sharpest frames: smooth where the subject is, a step where it steps, filled where
nothing is seen.

The winner of a pixel is a whole frame number and, where there is no texture, a random one. Three steps mend
that: single outliers go by a median; the rest is averaged over the neighbourhood by confidence (normalised
convolution, Knutsson and Westin, CVPR 1993), which gives values between frames; areas without confidence
are filled from their rims by the same averaging over ever larger neighbourhoods (pull-push, Gortler et al.,
"The Lumigraph", SIGGRAPH 1996). Where smoothing would move a confident pixel by more than a frame, the
surface steps there, and the median is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend

Plane = npt.NDArray[np.float32]

SIGMA_PX = 3.0
"""Reach of the smoothing: the focus measure itself cannot tell depths apart that lie closer than its own
blur of 2 px."""

STEP_FRAMES = 1.0
"""A surface that is smooth at the stack's own sampling changes less than a frame within the smoothing's
reach."""

RIM_WEIGHT = 0.02
"""Weight of the coarser fill against a pixel's own confidence: it decides where the confidence is below
this."""


@dataclass(frozen=True, slots=True)
class Surface:
    """depth (h, w) float32 in frame units; confidence (h, w) float32, 0 (nothing but noise was seen) to 1."""

    depth: Plane
    confidence: Plane


def surface(backend: Backend[Any], found: npt.NDArray[Any], energies: Plane, floor: float) -> Surface:
    """The surface through `found` (h, w), the sharpest frames or depths between them, given their focus
    measure (h, w) and the focus measure of noise alone."""
    confidence = _confidence(energies, floor)
    depths = _seen(found, energies)
    median = backend.median(backend.lend(depths))
    top, bottom = backend.smooth_by(median, backend.lend(confidence), SIGMA_PX)
    depth = backend.download(_filled(backend, top, bottom, confidence.shape))
    median = backend.download(median)
    keep = (np.abs(depth - median) > STEP_FRAMES) & (confidence > 0.5)
    np.copyto(depth, median, where=keep)
    np.clip(depth, depths.min(), depths.max(), out=depth)
    return Surface(depth, confidence)


def _seen(found: npt.NDArray[Any], energies: Plane) -> Plane:
    """The depths, with the lowest of them where no frame covers a pixel and there is none."""
    unseen = energies < 0
    if not unseen.any():
        return found.astype(np.float32)
    lowest = 0 if unseen.all() else found[~unseen].min()
    return np.where(unseen, lowest, found).astype(np.float32)


def _confidence(energies: Plane, floor: float) -> Plane:
    """0 where the energy is noise, rising to 1 where it is many times that."""
    excess = np.maximum(energies - np.float32(floor), 0)
    return np.asarray(excess / (excess + np.float32(floor)), np.float32)


def _filled(backend: Backend[Any], top: Any, bottom: Any, shape: tuple[int, ...]) -> Any:
    """top / bottom where bottom is large, else the quotient over wider and wider neighbourhoods."""
    if max(shape) == 1:
        return backend.fill_in(top, bottom, None, RIM_WEIGHT)
    half = tuple(-(-side // 2) for side in shape)
    rim = _filled(backend, backend.reduce(top), backend.reduce(bottom), half)
    return backend.fill_in(top, bottom, rim, RIM_WEIGHT)
