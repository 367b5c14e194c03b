"""The calls of the backend that `kernels.py` times: between them they start every kernel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import passes
from scene import Scene, Work

from gpustack.align.brightness import factor_of
from gpustack.align.shake import DETAIL_SIDE
from gpustack.align.sight import BAND_SIGMA_PX, EVEN_SIGMA_PX
from gpustack.backend.gpu.tensor import Tensor
from gpustack.backend.values import Band, Beside, Best, Cells, LevelBand, Mix, Optics, Part, Spread
from gpustack.depth.fill import RIM_WEIGHT
from gpustack.depth.surface import SIGMA_PX
from gpustack.fuse.average import empty_mix
from gpustack.fuse.measure import empty_best
from gpustack.fuse.radius import RADII
from gpustack.model.frame import PixelType
from gpustack.model.mosaic import Mosaic
from gpustack.model.rect import Rows
from gpustack.model.transform import Transform
from gpustack.settings import FOCUS_SIGMA_PX, Demosaic, Interpolation

OUTSIDE = Transform(np.array([[1.0004, 0, -9.5], [0, 1.0004, -7.5], [0, 0, 1.0]]))
"""A similarity that leaves the frame at its edges, so that a mask is written."""

WIDE_SIGMA_PX = 4.0
"""A blur of the focus measure that the fused kernels have no shared memory for."""

BARS_APART, BAR_PX, BAR_EVERY_PX = 8.0, 16, 256
"""Bars in front of a ground: how many frames apart, how wide, and how often; a quarter of the pixels lies
beside a step."""

BAYER = (0, 1, 1, 2), (512, 512, 512, 512), (2.0, 1.0, 1.0, 1.6)


CASES: dict[str, Callable[[Scene], Work]] = {}


def case(name: str) -> Callable[[Callable[[Scene], Work]], Callable[[Scene], Work]]:
    """Enters a case under its name."""

    def enter(make: Callable[[Scene], Work]) -> Callable[[Scene], Work]:
        CASES[name] = make
        return make

    return enter


def _loads() -> None:
    for kind in (PixelType.UINT8, PixelType.UINT16):
        case(f"load {kind.value}, still")(lambda s, kind=kind: lambda: s.load(kind, passes.STILL))
        case(f"load {kind.value}, warped")(lambda s, kind=kind: lambda: s.load(kind, passes.warp(s.size)))
        case(f"load {kind.value}, with mask")(lambda s, kind=kind: lambda: s.load(kind, OUTSIDE))
        case(f"load {kind.value}, Lanczos")(lambda s, kind=kind: _lanczos(s, kind))


def _lanczos(s: Scene, kind: PixelType) -> Work:
    return lambda: s.load(kind, passes.warp(s.size), Interpolation.LANCZOS)


def _levels() -> None:
    for soft in (False, True):
        for kind in (PixelType.UINT8, PixelType.UINT16, None):
            rule = "soft" if soft else "hard"
            name = f"{rule} level, coarser" if kind is None else f"{rule} level 0, {kind.value}"
            case(name)(lambda s, soft=soft, kind=kind: _level(s, soft, kind))


def _level(s: Scene, soft: bool, kind: PixelType | None) -> Work:
    part, evidence = s.part(soft), None if kind else s.plane
    extent = s.extent(kind) if kind else None
    band = LevelBand(s.image, s.coarse, evidence, None, s.rows)
    sigma = 1.5 if soft else 1.0
    return s.folding(part, lambda index: s.gpu.fold_level(part, index, band, sigma, extent))


def _folds() -> None:
    for name, soft, kept in (("hard", False, True), ("hard, index only", False, False), ("soft", True, True)):
        case(f"{name}, by focus")(lambda s, soft=soft, kept=kept: _by_focus(s, soft, kept))
        if kept:
            case(f"{name}, by energy")(lambda s, soft=soft: _by_energy(s, soft))
            case(f"{name}, merge")(lambda s, soft=soft: _merge(s, soft))


def _by_focus(s: Scene, soft: bool, kept: bool) -> Work:
    part, band = s.part(soft, kept=kept), Band(s.image, None)
    return s.folding(part, lambda index: s.gpu.fold_sharpness(part, index, band, FOCUS_SIGMA_PX, s.rows))


def _by_energy(s: Scene, soft: bool) -> Work:
    part = s.part(soft)
    return s.folding(part, lambda index: s.gpu.fold_in(part, index, s.image, s.plane, None))


def _merge(s: Scene, soft: bool) -> Work:
    part, other = s.part(soft), s.part(soft)
    s.gpu.fold_in(other, 1, s.image, s.plane, None)

    def fold(index: int) -> None:
        if index == 0:
            s.gpu.fold_in(part, index, s.image, s.plane, None)
        else:
            s.gpu.merge(part, other)

    return s.folding(part, fold)


@case("wide level, with evidence")
def _wide_level(s: Scene) -> Work:
    part, extent = s.part(True), s.extent(PixelType.UINT8)
    band = LevelBand(s.image, s.coarse, s.plane, None, s.rows)
    return s.folding(part, lambda index: s.gpu.fold_level(part, index, band, WIDE_SIGMA_PX, extent))


@case("wide, by focus")
def _wide_focus(s: Scene) -> Work:
    part, band = s.part(True), Band(s.image, None)
    return s.folding(part, lambda index: s.gpu.fold_sharpness(part, index, band, WIDE_SIGMA_PX, s.rows))


@case("between cells")
def _between(s: Scene) -> Work:
    small = Cells(s.gpu.full((96, 128), 0.5, "float32"), (s.size[1] / 128, s.size[0] / 96), (0.0, 0.0))
    return lambda: s.gpu.between(small, s.size[1], Rows(0, s.size[0]))


def _blend(s: Scene) -> tuple[Mix[Tensor], Tensor, Band[Tensor]]:
    """Sums, the depth surface of `passes.py`, and the frame that is in the middle of it."""
    depth = s.gpu.upload(passes.fold_of("blend", s.size).depth)  # type: ignore[attr-defined]
    return empty_mix(s.gpu, 3, *s.size, afar=False), depth, Band(s.image, None)


@case("blend along the surface")
def _blend_in(s: Scene) -> Work:
    sums, depth, band = _blend(s)
    return lambda: s.gpu.blend_in(sums, depth, passes.STACK // 2, band)


@case("keep the nearest frame")
def _keep_nearest(s: Scene) -> Work:
    _, depth, band = _blend(s)
    best = empty_best(s.gpu, *s.size, 3, afar=False)
    return s.folding(Part(best), lambda _: s.gpu.keep_nearest(best, depth, passes.STACK // 2, band))


@case("sums to a picture")
def _blended(s: Scene) -> Work:
    sums = Mix(s.image, s.gpu.full(s.size, 1.0, "float32"))
    nearest: Best[Tensor] = Best(s.plane, s.plane, s.image)
    return lambda: s.gpu.blended(sums, nearest)


def _mean(s: Scene) -> Mix[Tensor]:
    """A mean of some frames, with how they spread."""
    variance, ones = s.gpu.full(s.size, 0.5, "float32"), s.gpu.full(s.size, 1.0, "float32")
    return Mix(s.image, ones, Spread(s.plane, variance, s.plane), squared=True)


@case("undo a mean's blur")
def _debias(s: Scene) -> Work:
    mix = _mean(s)
    return lambda: s.gpu.debias(s.image, mix, 0.5, 0.004, s.rows)


@case("fit the blur's radius")
def _blur_misfit(s: Scene) -> Work:
    mix, best = _mean(s), Best(s.gpu.full(s.size, 1.0, "float32"), s.gpu.full(s.size, 1.0, "uint16"))
    return lambda: s.gpu.blur_misfit(mix, best, 0.001, s.rows, RADII)


def _bars(s: Scene) -> tuple[Tensor, Tensor]:
    """The depth of bars, eight frames before their ground, and a focus measure that sees both."""
    depth = np.full(s.size, BARS_APART, np.float32)
    depth[:, np.arange(s.size[1]) % BAR_EVERY_PX < BAR_PX] = 0
    return s.gpu.upload(depth), s.gpu.full(s.size, 1.0, "float32")


@case("where depth steps")
def _steps(s: Scene) -> Work:
    depth, energy = _bars(s)
    return lambda: s.gpu.steps(depth, energy, 0.001, s.rows)


@case("look behind nearer things")
def _look_behind(s: Scene) -> Work:
    ones = s.gpu.full(s.size, 1.0, "float32")
    mix, steps = Mix(s.image, ones), s.gpu.steps(*_bars(s), 0.001, s.rows)
    beside, optics = Beside(s.image, mix, mix, steps), Optics(0.5, 0.004, coded=True)
    return lambda: s.gpu.look_behind(beside, optics, s.rows)


@case("clamp to ranges, uint8")
def _clamp(s: Scene) -> Work:
    extent = s.extent(PixelType.UINT8)
    return lambda: s.gpu.clamp(s.image, extent, PixelType.UINT8)


@case("ranges around, uint8")
def _around(s: Scene) -> Work:
    extent = s.extent(PixelType.UINT8)
    return lambda: s.gpu.around(extent, s.rows)


@case("merge sums")
def _merge_sums(s: Scene) -> Work:
    sums = [empty_mix(s.gpu, 3, *s.size, afar=False) for _ in range(2)]
    return lambda: s.gpu.merge_sums(*sums)


@case("merge ranges, uint8")
def _merge_extent(s: Scene) -> Work:
    ranges = [s.extent(PixelType.UINT8) for _ in range(2)]
    return lambda: s.gpu.merge_extent(*ranges)


@case("collapse a level")
def _add_detail(s: Scene) -> Work:
    return lambda: s.gpu.add_detail(s.coarse, s.image, s.size[0], s.rows)


def _packs() -> None:
    for kind in (PixelType.UINT8, PixelType.UINT16):
        case(f"pack {kind.value}")(lambda s, kind=kind: _pack(s, kind))


def _pack(s: Scene, kind: PixelType) -> Work:
    extent = s.extent(kind)
    return lambda: s.gpu.pack(s.image, kind, extent)


def _develops() -> None:
    for way in (Demosaic.MALVAR, Demosaic.RCD):
        case(f"develop a Bayer mosaic by {way}")(lambda s, way=way: _develop(s, way))


def _develop(s: Scene, way: Demosaic) -> Work:
    samples = np.ascontiguousarray(s.pixels[PixelType.UINT16][..., :1])
    held = s.gpu.upload(samples)
    return lambda: s.gpu.develop(held, Mosaic(*BAYER, way))


def _single(name: str, call: Callable[[Scene], object]) -> None:
    case(name)(lambda s: lambda: call(s))


def _light(s: Scene) -> object:
    return s.gpu.light(s.frames[PixelType.UINT8], PixelType.UINT8, factor_of((s.size[1], s.size[0])), False)


def _singles() -> None:
    _single("reduce a picture", lambda s: s.gpu.reduce(s.image))
    _single("reduce a plane", lambda s: s.gpu.reduce(s.plane))
    _single("shrink a mask", lambda s: s.gpu.shrink_mask(s.mask))
    _single("fill float32", lambda s: s.gpu.full((3, *s.size), 1.0, "float32"))
    _single("fill uint16", lambda s: s.gpu.full((3, *s.size), 1, "uint16"))
    _single("fill uint8", lambda s: s.gpu.full((3, *s.size), 1, "uint8"))
    _single("surface: median", lambda s: s.gpu.median(s.plane))
    _single("surface: smooth", lambda s: s.gpu.smooth_by(s.plane, s.plane, SIGMA_PX))
    _single("surface: fill", lambda s: s.gpu.fill_in(s.plane, s.plane, s.coarse.channel(0), RIM_WEIGHT))
    _single("survey: luma", lambda s: s.luma())
    _single("survey: noise", lambda s: s.gpu.noise_level(s.frames[PixelType.UINT8], PixelType.UINT8))
    _single("survey: thumbnail", lambda s: s.gpu.thumbnail(s.survey, DETAIL_SIDE))
    _single("survey: light", _light)
    _single("survey: as light", lambda s: s.gpu.to_light(s.survey))
    _single("survey: band-pass", lambda s: s.gpu.band_pass(s.survey, s.gpu.reduce(s.survey), BAND_SIGMA_PX))
    _single("survey: even out", lambda s: s.gpu.even_out(s.survey, EVEN_SIGMA_PX))
    _single("survey: samples", lambda s: s.gpu.samples(s.survey, s.samples))


@case("survey: a few samples")
def _few(s: Scene) -> Work:
    samples = s.gpu.samples(s.survey, s.samples)
    return lambda: s.gpu.thinned(samples, 8)


@case("survey: sums")
def _sums(s: Scene) -> Work:
    passed = s.gpu.band_pass(s.survey, s.gpu.reduce(s.survey), BAND_SIGMA_PX)
    samples = s.gpu.samples(passed, s.samples)
    moved = np.array([[1, 0, 0.4], [0, 1, -0.3], [0, 0, 1.0]])
    return lambda: s.gpu.alignment_sums(samples, passed, moved, 1.0)


for enter_cases in (_loads, _levels, _folds, _packs, _develops, _singles):
    enter_cases()
