"""The data path, on one screen.

    survey   decode ─> luma ─> match frames ─> solve ─> one transform and gain a frame
    render   decode ─> develop ─> warp ─> measure ─> select or blend ─> surface ─> write

A method is one or two passes over the frames; each pass folds every frame, once, into a state. `auto`,
`pyramid` and `average` take one; `depthmap` first finds the sharpest frame of each pixel, makes a surface
of them, and blends along it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.depth.surface import Surface, surface
from gpustack.fuse.auto import Auto
from gpustack.fuse.average import Average
from gpustack.fuse.depthmap import Blend
from gpustack.fuse.fold import Fold, Footprint, PictureFold
from gpustack.fuse.measure import Sharpest, energy_noise
from gpustack.fuse.pyramid import pyramid
from gpustack.model.frame import PixelType
from gpustack.settings import Method

PassOver = Callable[[str, list[Fold[Any]]], list[Any]]
"""Runs all frames once through some folds and gives their states; the name is for progress and timings."""

PASSES = {
    Method.AUTO: ("auto",),
    Method.AVERAGE: ("average",),
    Method.PYRAMID: ("pyramid",),
    Method.DEPTHMAP: ("measure", "blend"),
}


@dataclass(frozen=True, slots=True)
class Fused:
    """What the render passes give, on the canvas: picture (h, w, c), winners (h, w) uint16, and the surface
    if wanted."""

    picture: npt.NDArray[Any]
    winners: npt.NDArray[np.uint16]
    surface: Surface | None


def render(backend: Backend[Any], pass_over: PassOver, method: Method, noise: float, depth: bool) -> Fused:
    """Fuse the frames by a method; `noise` is a frame's luma noise, 0..1, `depth` asks for the surface
    too."""
    match method:
        case Method.DEPTHMAP:
            return _along_surface(backend, pass_over, noise)
        case Method.AVERAGE:
            return _by_weight(backend, pass_over, noise, depth)
        case Method.PYRAMID:
            return _by_scale(backend, pass_over, noise, depth)
        case Method.AUTO:
            return _by_both(backend, pass_over, noise, depth)


def _by_both(backend: Backend[Any], pass_over: PassOver, noise: float, depth: bool) -> Fused:
    fold = Auto(noise)
    (state,) = pass_over("auto", [fold])
    winners = fold.winners(backend, state)
    found = None
    if depth:
        depths, energies = fold.depths(backend, state), fold.energies(backend, state)
        found = surface(backend, depths, energies, energy_noise(noise))
    return Fused(fold.finish(backend, state), winners, found)


def _by_scale(backend: Backend[Any], pass_over: PassOver, noise: float, depth: bool) -> Fused:
    fold, sharpest = pyramid(), Sharpest()
    folds: list[Fold[Any]] = [fold, sharpest] if depth else [fold]
    state, *more = pass_over("pyramid", folds)
    found = _surface(backend, sharpest, more.pop(), noise) if depth else None
    return Fused(fold.finish(backend, state), fold.winners(backend, state), found)


def _by_weight(backend: Backend[Any], pass_over: PassOver, noise: float, depth: bool) -> Fused:
    fold = Average(noise)
    (state,) = pass_over("average", [fold])
    winners, energies = fold.winners(backend, state), fold.energies(backend, state)
    picture = fold.finish(backend, state)
    del state
    return Fused(
        picture, winners, surface(backend, winners, energies, energy_noise(noise)) if depth else None
    )


def _along_surface(backend: Backend[Any], pass_over: PassOver, noise: float) -> Fused:
    sharpest = Sharpest()
    (state,) = pass_over("measure", [sharpest])
    found = _surface(backend, sharpest, state, noise)
    del state
    blend = Blend(found.depth)
    (blended,) = pass_over("blend", [blend])
    return Fused(blend.finish(backend, blended), blend.winners(backend, blended), found)


def _surface(backend: Backend[Any], fold: Sharpest, state: Any, noise: float) -> Surface:
    return surface(backend, fold.winners(backend, state), fold.energies(backend, state), energy_noise(noise))


SURFACE = Footprint(3.0, 29.0, 8.0)
"""What making the surface takes at its peak: ten planes, of which the reduced ones are small."""


def passing(method: Method, channels: int, pixel_type: PixelType, depth: bool) -> Footprint:
    """What the states of a method's largest pass take; `depth`: a depth map is wanted, too."""
    folds: dict[Method, PictureFold[Any]] = {
        Method.AUTO: Auto(0.0),
        Method.PYRAMID: pyramid(),
        Method.AVERAGE: Average(0.0),
        Method.DEPTHMAP: Blend(np.zeros((0, 0), np.float32)),
    }
    size = folds[method].footprint(channels, pixel_type.itemsize)
    if method is Method.DEPTHMAP:
        return size.beside(Footprint(0.0, 0.0, 8.0))
    if depth and method is Method.PYRAMID:
        return size.beside(Sharpest().footprint(channels, pixel_type.itemsize))
    return size.beside(Footprint(0.0, 0.0, 10.0)) if depth else size


def footprint(method: Method, channels: int, pixel_type: PixelType, depth: bool) -> Footprint:
    """What is held at the peak: the largest pass, or the making of the surface."""
    size = passing(method, channels, pixel_type, depth)
    if method is Method.DEPTHMAP:
        return max((size, SURFACE), key=lambda held: held.total)
    return size.beside(SURFACE) if depth else size
