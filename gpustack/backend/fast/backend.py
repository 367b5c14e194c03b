"""The CPU backend with compiled loops where most of the time goes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache

import cv2
import numpy as np

from gpustack.backend import debias, folding, lanczos
from gpustack.backend.cpu import Cpu
from gpustack.backend.fast.arrays import Array
from gpustack.backend.fast.given import NOTHING, Given, Ladder, Plane, Planes, Taps, best_of, way_of
from gpustack.backend.fast.machine import Machine, address, loaded
from gpustack.backend.filters import SCRATCH
from gpustack.backend.paged import Paged
from gpustack.backend.resample import lies_within, resampled, whole_shift
from gpustack.backend.toning import Toning
from gpustack.backend.values import (
    FIT_ENERGY,
    FIT_STRIDE,
    FIT_VARIANCE,
    FULL_SIZE_NOISE,
    HALF_SIZE_NOISE,
    Band,
    Best,
    Extent,
    LevelBand,
    Mix,
    Part,
)
from gpustack.errors import BackendError
from gpustack.model.frame import PixelType
from gpustack.model.rect import Rows
from gpustack.model.transform import Transform
from gpustack.settings import Interpolation

_FULL, _HALF = np.float32(FULL_SIZE_NOISE**-0.5), np.float32(HALF_SIZE_NOISE**-0.5)

_LOADING = threading.Lock()


class FastCpu(Cpu):
    """As `Cpu`. Energies differ from its by a few roundings; what is done with them does not."""

    def __init__(self, threads: int | None = None, paged: Paged | None = None) -> None:
        super().__init__(threads, paged)
        threading.Thread(target=_ahead, daemon=True).start()

    def load(
        self,
        frame: Array,
        place: Transform,
        kind: PixelType,
        width: int,
        rows: Rows,
        /,
        *,
        interpolation: Interpolation = Interpolation.BICUBIC,
    ) -> Band[Array]:
        shift = whole_shift(place)
        if shift is None and interpolation is Interpolation.LANCZOS:
            toning = Toning.of(place.tone, kind.white, frame.shape[2])
            return resampled(frame, place, toning, width, rows, _lanczos)
        if shift is None or not lies_within(frame.shape, shift, width, rows) or not frame.flags.c_contiguous:
            return super().load(frame, place, kind, width, rows, interpolation=interpolation)
        channels = frame.shape[2]
        toning = Toning.of(place.tone, kind.white, channels)
        image = np.empty((channels, len(rows), width), np.float32)
        row = frame.shape[1] * channels
        start = (rows.start + shift[1]) * row + shift[0] * channels
        loop = _loops()[f"separated.{frame.dtype}"]
        loop(address(frame), start, row, address(toning.scale), address(image), *image.shape)
        return Band(toning.lift(image))

    def fold_level(
        self,
        part: Part[Array],
        frame: int,
        band: LevelBand[Array],
        sigma: float,
        extent: Extent[Array] | None,
        /,
        *,
        keep: bool = True,
    ) -> Array:
        mix = part.mix
        if mix is None or not _foldable(part):
            return super().fold_level(part, frame, band, sigma, extent, keep=keep)
        if not keep:
            part, mix = _like(part, mix)
            extent = None
        image, valid, inner = Planes.of(band.image), Plane.of(band.valid), _inner(band)
        if extent is not None:
            _widen(extent, band, (*image.all, *valid.all, *inner))
        energy = np.empty(band.image.shape[1:], np.float32)
        coarse, evidence, taps = Planes.of(band.coarse), Plane.of(band.evidence), Taps(sigma)
        _, *size = band.coarse.shape
        sums = address(mix.total), *Planes(mix.mean).lying
        work = taps.room(band.image.shape[2], size[1], len(band.image))
        _loops()["fold_level"](
            *(*image.all, *valid.all, *inner, *coarse.lying, *size, *evidence.all, *taps.all),
            *(*best_of(part), *sums, *way_of(part, frame), address(energy), address(work)),
        )
        part.best.last = max(part.best.last, frame)
        return energy

    def fold_sharpness(
        self, part: Part[Array], frame: int, band: Band[Array], sigma: float, inner: slice, /
    ) -> None:
        if not _foldable(part):
            super().fold_sharpness(part, frame, band, sigma, inner)
            return
        image, valid, taps = Planes.of(band.image), Plane.of(band.valid), Taps(sigma)
        luma = SCRATCH.like("lit", band.image[0])
        _loops()["luma_rows"](*image.all, address(luma))
        half = self._half_curvature(luma, sigma)
        kept, work = _measured(part), taps.room(luma.shape[1], half.shape[1])
        first, last, _ = inner.indices(len(luma))
        _loops()["fold_sharpness"](
            *(*image.all, *valid.all, first, last, address(luma), address(half), *half.shape, *taps.all),
            *(_FULL, *best_of(part), *kept, *way_of(part, frame), _squared(part), address(work)),
        )
        part.best.last = max(part.best.last, frame)

    def _half_curvature(self, luma: Array, sigma: float) -> Array:
        """What the half size has of curvature."""
        small, taps = cv2.pyrDown(luma), Taps(sigma / 2)
        half, work = SCRATCH.like("half", small), taps.room(small.shape[1])
        loop = _loops()["smoothed_curvature"]
        loop(address(small), *small.shape, *taps.all, _HALF, address(half), address(work))
        return half

    def blend_in(self, sums: Mix[Array], depth: Array, frame: int, band: Band[Array], /) -> None:
        image, valid, place = Planes.of(band.image), Plane.of(band.valid), Plane.of(depth)
        mean, weight = Planes(sums.mean), SCRATCH.lines("loops", 1, depth.shape[1])
        _loops()["blend_in"](
            *(*image.all, *valid.all, *mean.lying, address(sums.total), address(place.array)),
            *(frame, address(weight)),
        )

    def blur_misfit(
        self, mix: Mix[Array], best: Best[Array], floor: float, inner: slice, radii: Sequence[float], /
    ) -> Array:
        assert mix.spread is not None
        first, last, _ = inner.indices(len(mix.total))
        sums = np.empty((-(-(last - first) // FIT_STRIDE), 1 + len(radii)))
        scales = np.array([radius * radius / 4 for radius in radii], np.float32)
        spread, mean, ladder = mix.spread, Planes.of(mix.mean), _ladder()
        told = (spread.sharpest, spread.depth, spread.variance, best.frame, best.energy)
        planes = [np.ascontiguousarray(plane) for plane in told]
        work = SCRATCH.lines("loops", 1, ladder.room(mix.total.shape[1], 15))
        _loops()["misfits"](
            *(*map(address, planes), FIT_VARIANCE, floor * FIT_ENERGY, mix.squared, *mean.all, *ladder.all),
            *(address(scales), len(radii), first, address(sums), len(sums), address(work)),
        )
        return sums

    def debias(self, estimate: Array, mix: Mix[Array], radius: float, noise: float, inner: slice, /) -> Array:
        return debias.debias(estimate, mix, radius, noise, inner, unblur=_unblurred)


def _unblurred(
    estimate: Array, mean: Array, variance: Array, squared: bool, near: slice
) -> Iterator[tuple[Array, Array]]:
    """As `debias.unblurred`."""
    whole, means, plane, ladder = Planes.of(estimate), Planes.of(mean), Plane.of(variance), _ladder()
    size = near.stop - near.start, variance.shape[1]
    for number in range(len(estimate)):
        lost, away = np.empty(size, np.float32), np.empty(size, np.float32)
        work = SCRATCH.lines("loops", 1, ladder.room(size[1], 7))
        _loops()["unblurred"](
            *(*whole.all, *means.lying, address(plane.array), squared, number, *ladder.all),
            *(near.start, size[0], address(lost), address(away), address(work)),
        )
        yield lost, away


def _lanczos(frame: Array, x: Array, y: Array, toning: Toning) -> Array:
    """As `lanczos.sampled`."""
    source, above = lanczos.bordered(frame, y, toning)
    out = np.empty((frame.shape[2], *x.shape), np.float32)
    samples, across, down = map(np.ascontiguousarray, (source.reshape(len(source), -1), x, y))
    height, width = frame.shape[:2]
    places, work = np.empty((2, x.shape[1]), np.int64), SCRATCH.lines("loops", 17, x.shape[1])
    _loops()["sampled"](
        *(address(samples), *samples.shape, width, height, lanczos.FAR, above),
        *(address(across), address(down), address(out), *out.shape, address(places), address(work)),
    )
    return out


@cache
def _ladder() -> Ladder:
    return Ladder()


def _loops() -> Machine:
    """The compiled loops."""
    with _LOADING:  # by one thread, once
        return _loaded()


@cache
def _loaded() -> Machine:
    return loaded()


def _ahead() -> None:
    """Load the loops while frames are decoded; who needs them is told of errors."""
    with suppress(BackendError):
        _loops()


def _like(part: Part[Array], mix: Mix[Array]) -> tuple[Part[Array], Mix[Array]]:
    """A part to be thrown away: an energy is the same bits only where it is made the same way."""
    best = Best(np.full_like(part.best.energy, -1), np.full_like(part.best.frame, 65535))
    nothing = Mix(np.zeros_like(mix.mean), np.zeros_like(mix.total))
    return replace(part, best=best, mix=nothing), nothing


def _foldable(part: Part[Array]) -> bool:
    """Whether the loops keep what the part keeps, and can write to it where it lies."""
    mix, best = part.mix, part.best
    kept = [best.energy, best.frame]
    if mix is not None:
        spread = mix.spread
        kept += [mix.total, *mix.mean]
        kept += [] if spread is None else [spread.depth, spread.variance, spread.sharpest]
    return part.preference is None and best.image is None and all(each.flags.c_contiguous for each in kept)


def _inner(band: LevelBand[Array]) -> tuple[int, int]:
    """The rows of a band without its halo."""
    first, last, _ = band.inner.indices(band.image.shape[1])
    return first, last


def _widen(extent: Extent[Array], band: LevelBand[Array], shown: Given) -> None:
    kind, (low, high) = PixelType(str(extent.low.dtype)), map(Planes, (extent.low, extent.high))
    whole = all(plane.flags.c_contiguous for plane in (*extent.low, *extent.high))
    if kind is PixelType.FLOAT32 or not whole:
        valid = None if band.valid is None else band.valid[band.inner]
        folding.widen(extent, band.image[:, band.inner], valid)
        return
    _loops()[f"widen.{kind.value}"](*low.lying, *high.lying, *shown, kind.white)


def _measured(part: Part[Array]) -> Given:
    """What a part keeps of measured frames besides the winner: weights, mean and spread."""
    mix = part.mix
    nowhere = address(NOTHING)
    if mix is None:
        return nowhere, 0, nowhere, 0, 0, nowhere, nowhere, nowhere, 0
    spread = mix.spread
    kept = (mix.total, len(mix.total)), (*Planes(mix.mean).lying, len(mix.mean))
    if spread is None:
        more: Given = nowhere, nowhere, nowhere, 0
    else:
        more = *map(address, (spread.depth, spread.variance, spread.sharpest)), len(spread.depth)
    return address(kept[0][0]), kept[0][1], *kept[1], *more


def _squared(part: Part[Array]) -> bool:
    return part.mix is not None and part.mix.squared
