"""The data path, on one screen.

    survey   decode ─> luma ─> match frames ─> solve ─> one transform and gain a frame
    render   decode ─> develop ─> warp ─> measure ─> select or blend ─> surface ─> write

A method is one or two passes over the frames; each pass folds every frame, once, into a state. `pyramid`
and `average` take one; `auto` takes a second where depth steps; `depthmap` first finds the sharpest frame of
each pixel, makes a surface of them, and blends along it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.backend.values import sharpness_halo
from gpustack.depth.outline import outline
from gpustack.depth.sight import Sight
from gpustack.depth.surface import Surface, surface
from gpustack.fuse.auto import Auto
from gpustack.fuse.average import Average
from gpustack.fuse.behind import Behind, Scene, steps_of
from gpustack.fuse.depthmap import Blend
from gpustack.fuse.facing import Order
from gpustack.fuse.fold import Fold, PictureFold
from gpustack.fuse.levels import LaplacianFold
from gpustack.fuse.measure import Sharpest, energy_noise
from gpustack.fuse.pyramid import pyramid
from gpustack.fuse.slabs import InSlabs, KeepSlab
from gpustack.model.slab import Slab
from gpustack.settings import FOCUS_SIGMA_PX, NOISE_LEVELS, Method, Prefer, Settings

PassOver = Callable[[str, list[Fold[Any]]], list[Any]]
"""Runs all frames once through some folds and gives their states; the name is for progress and timings."""

PASSES = {
    Method.AUTO: ("auto", "behind"),
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


@dataclass(frozen=True, slots=True)
class Recipe:
    """How frames become a picture: the settings that a method uses, and what was measured.

    `noise` is a frame's luma noise, 0..1; `depth` asks for the surface, too; `radius`, `smoothing`
    and `prefer` as in Settings.
    """

    method: Method
    noise: float
    depth: bool = False
    radius: float = FOCUS_SIGMA_PX
    smoothing: float = NOISE_LEVELS
    prefer: Prefer = Prefer.NONE

    @classmethod
    def of(cls, settings: Settings, noise: float) -> Recipe:
        """What was chosen, for frames of this noise."""
        return cls(
            settings.method, noise, settings.depth, settings.radius, settings.smoothing, settings.prefer
        )

    @property
    def floor(self) -> float:
        """The focus measure that is put down to noise."""
        return energy_noise(self.noise, self.smoothing)


@dataclass(frozen=True, slots=True)
class InSlabsOf:
    """The slabs that are fused first, the frames that are used, and what is given the slabs' pictures."""

    slabs: tuple[Slab, ...]
    used: frozenset[int]
    keep: KeepSlab


def first_pass(recipe: Recipe) -> tuple[str, list[Fold[Any]]]:
    """The name and the folds of a method's first pass, as `render` runs it."""
    match recipe.method:
        case Method.DEPTHMAP:
            return "measure", [sharpest_fold(recipe)]
        case Method.AVERAGE:
            return "average", [_average(recipe)]
        case Method.PYRAMID:
            return "pyramid", [_pyramid(recipe), *([sharpest_fold(recipe)] if recipe.depth else [])]
        case Method.AUTO:
            return "auto", [_auto(recipe)]


def render(
    backend: Backend[Any], pass_over: PassOver, recipe: Recipe, slabs: InSlabsOf | None = None
) -> Fused:
    """Fuse the frames by a method, in slabs where these are given."""
    if slabs is not None:
        return _in_slabs(backend, pass_over, recipe, slabs)
    match recipe.method:
        case Method.DEPTHMAP:
            return _along_surface(backend, pass_over, recipe)
        case Method.AVERAGE:
            return _by_weight(backend, pass_over, recipe)
        case Method.PYRAMID:
            return _by_scale(backend, pass_over, recipe)
        case Method.AUTO:
            return _by_both(backend, pass_over, recipe)


def _by_both(backend: Backend[Any], pass_over: PassOver, recipe: Recipe) -> Fused:
    fold = _auto(recipe)
    (state,) = pass_over("auto", [fold])
    fold.let_go(backend, state)
    winners = fold.winners(backend, state)
    sight = sight_of(backend, fold, state) if recipe.depth else None
    energies = fold.energies(backend, state) if sight is None else sight.energy
    order = Order.of(backend, winners, energies, recipe.floor)
    steps = steps_of(backend, winners, energies, order, recipe.floor)
    del energies
    picture, radius = fold.finished(backend, state)
    extent = state.levels.extent
    del state
    radius = radius if recipe.prefer is Prefer.NONE else 0.0
    picture = _with_ground(
        backend, pass_over, Scene(picture, extent, steps, order, radius, recipe.noise), sight
    )
    found = None if sight is None else surface(backend, sight, recipe.floor, recipe.noise)
    return Fused(picture, winners, found)


def _with_ground(
    backend: Backend[Any], pass_over: PassOver, scene: Scene, sight: Sight | None
) -> npt.NDArray[Any]:
    """The picture with the ground beside nearer things put in, where there are such; their outlines go into
    the sight."""
    if not scene.has_steps:
        return scene.picture
    fold = Behind(scene)
    (state,) = pass_over("behind", [fold])
    picture, shows = fold.finish(backend, state)
    if sight is not None:
        outline(backend, sight, scene.steps, shows, scene.order.from_near)
    return picture


def _by_scale(backend: Backend[Any], pass_over: PassOver, recipe: Recipe) -> Fused:
    fold, sharpest = _pyramid(recipe), sharpest_fold(recipe)
    folds: list[Fold[Any]] = [fold, sharpest] if recipe.depth else [fold]
    state, *more = pass_over("pyramid", folds)
    winners = fold.winners(backend, state)
    fold.let_go(backend, state)
    found = _surface(backend, sharpest, more, recipe) if recipe.depth else None
    return Fused(fold.finish(backend, state), winners, found)


def _by_weight(backend: Backend[Any], pass_over: PassOver, recipe: Recipe) -> Fused:
    fold = _average(recipe)
    (state,) = pass_over("average", [fold])
    found = _surface(backend, fold, [state], recipe) if recipe.depth else None
    return Fused(fold.finish(backend, state), fold.winners(backend, state), found)


def _along_surface(backend: Backend[Any], pass_over: PassOver, recipe: Recipe) -> Fused:
    sharpest = sharpest_fold(recipe)
    sight = sight_of(backend, sharpest, pass_over("measure", [sharpest]).pop())
    # Beside a thing its blur lies over what is sharp behind it: the picture stays with the thing.
    along = surface(backend, sight, recipe.floor, recipe.noise, settled=False)
    found = surface(backend, sight, recipe.floor, recipe.noise) if recipe.depth else along
    del sight
    blend = Blend(along.depth)
    (blended,) = pass_over("blend", [blend])
    return Fused(blend.finish(backend, blended), blend.winners(backend, blended), found)


def _in_slabs(backend: Backend[Any], pass_over: PassOver, recipe: Recipe, slabs: InSlabsOf) -> Fused:
    """Winners and depth are those of the whole stack; of the picture fused of slabs they would be slabs."""
    fold = InSlabs(picture_fold(recipe), slabs.slabs, slabs.used, slabs.keep)
    sharpest = sharpest_fold(recipe)
    state, seen = pass_over(recipe.method.value, [fold, sharpest])
    found = _surface(backend, sharpest, [seen], recipe) if recipe.depth else None
    return Fused(fold.finish(backend, state), sharpest.winners(backend, seen), found)


def picture_fold(recipe: Recipe) -> PictureFold[Any]:
    """What makes the picture in the only pass, or the last."""
    match recipe.method:
        case Method.AUTO:
            return _auto(recipe)
        case Method.PYRAMID:
            return _pyramid(recipe)
        case Method.AVERAGE:
            return _average(recipe)
        case Method.DEPTHMAP:
            return Blend(np.zeros((0, 0), np.float32))


def _auto(recipe: Recipe) -> Auto:
    return Auto(recipe.noise, recipe.radius, recipe.smoothing, recipe.prefer)


def _pyramid(recipe: Recipe) -> LaplacianFold:
    return pyramid(recipe.noise, recipe.radius, recipe.smoothing, recipe.prefer)


def sharpest_fold(recipe: Recipe) -> Sharpest:
    """What finds the sharpest frames, and where they lie."""
    return Sharpest(recipe.noise, recipe.radius, recipe.smoothing, recipe.prefer)


def _average(recipe: Recipe) -> Average:
    return Average(recipe.noise, recipe.radius, recipe.smoothing, recipe.prefer, spreads=recipe.depth)


def _surface(
    backend: Backend[Any], fold: Auto | Average | Sharpest, states: list[Any], recipe: Recipe
) -> Surface:
    """The surface of a state, which is taken out of the list: where nobody else wants it, it goes before."""
    sight = sight_of(backend, fold, states.pop())
    return surface(backend, sight, recipe.floor, recipe.noise)


def sight_of(backend: Backend[Any], fold: Auto | Average | Sharpest, state: Any) -> Sight:
    """What the frames show of each pixel, as a fold has seen it."""
    spread = fold.spread(backend, state)
    return Sight(
        spread.depth,
        spread.variance,
        fold.energies(backend, state),
        spread.sharpest,
        coded=not state.canvas.linear,
        sigma=fold.focus_sigma,
    )


def halo(method: Method, radius: float) -> int:
    """Rows that a method reads around a band, at most."""
    match method:
        case Method.AUTO:
            return Auto(0.0, radius).halo
        case Method.PYRAMID:
            return max(pyramid(0.0, radius).halo, sharpness_halo(radius))
        case Method.AVERAGE | Method.DEPTHMAP:
            return sharpness_halo(radius)
