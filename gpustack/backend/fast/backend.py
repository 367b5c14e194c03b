"""The CPU backend with compiled loops where most of the time goes."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

import cv2
import numpy as np

from gpustack.backend import debias, folding, lanczos
from gpustack.backend.cpu import Cpu
from gpustack.backend.fast.arrays import Array, Bordered, Compared, Kept, Means, Planes, Shown, Way
from gpustack.backend.filters import SCRATCH, gaussian
from gpustack.backend.paged import Paged
from gpustack.backend.resample import lies_within, resampled, whole_shift
from gpustack.backend.toning import Toning
from gpustack.backend.values import (
    BLUR_STEPS,
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

_NOTHING, _NO_MASK = np.empty((0, 0), np.float32), np.empty((0, 0), np.uint8)
_NO_PLANES = Planes.of(np.empty((0, 0, 0), np.float32))
_FULL, _HALF = np.float32(FULL_SIZE_NOISE**-0.5), np.float32(HALF_SIZE_NOISE**-0.5)

_IMPORTING = threading.Lock()


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
        samples = frame.reshape(len(frame), -1)
        _loops().separated(samples, rows.start + shift[1], shift[0], toning.scale, image)
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
        if part.mix is None or not _foldable(part):
            return super().fold_level(part, frame, band, sigma, extent, keep=keep)
        if not keep:
            part, extent = _like(part, part.mix), None
        shown = _shown(band.image, band.valid, band.inner)
        if extent is not None:
            _widen(extent, band, shown)
        energy = np.empty(band.image.shape[1:], np.float32)
        evidence = _NOTHING if band.evidence is None else np.ascontiguousarray(band.evidence)
        coarse, kept, way = Planes.of(band.coarse), _kept(part), _way(part, frame)
        _loops().fold_level(shown, coarse, evidence, _taps(sigma), kept, way, energy)
        part.best.last = max(part.best.last, frame)
        return energy

    def fold_sharpness(
        self, part: Part[Array], frame: int, band: Band[Array], sigma: float, inner: slice, /
    ) -> None:
        if not _foldable(part):
            super().fold_sharpness(part, frame, band, sigma, inner)
            return
        shown = _shown(band.image, band.valid, inner)
        luma = SCRATCH.like("lit", band.image[0])
        _loops().luma_rows(shown.image, luma)
        small = cv2.pyrDown(luma)
        half = SCRATCH.like("half", small)
        _loops().smoothed_curvature(small, _taps(sigma / 2), _HALF, half)
        kept, way = _kept(part), _way(part, frame)
        _loops().fold_sharpness(shown, luma, Planes.of(half[None]), _taps(sigma), _FULL, kept, way)
        part.best.last = max(part.best.last, frame)

    def blend_in(self, sums: Mix[Array], depth: Array, frame: int, band: Band[Array], /) -> None:
        shown = _shown(band.image, band.valid, slice(0, band.image.shape[1]))
        number = np.float32(frame)
        place = np.ascontiguousarray(depth)
        _loops().blend_in(Planes.of(sums.mean), sums.total, place, number, shown)

    def blur_misfit(
        self, mix: Mix[Array], best: Best[Array], floor: float, inner: slice, radii: Sequence[float], /
    ) -> Array:
        assert mix.spread is not None
        first, last, _ = inner.indices(len(mix.total))
        sums = np.empty((-(-(last - first) // FIT_STRIDE), 1 + len(radii)))
        scales = np.array([radius * radius / 4 for radius in radii], np.float32)
        _loops().misfits(_compared(mix, best, floor), Planes.of(mix.mean), _kernels(), scales, first, sums)
        return sums

    def debias(self, estimate: Array, mix: Mix[Array], radius: float, noise: float, inner: slice, /) -> Array:
        return debias.debias(estimate, mix, radius, noise, inner, unblur=_unblurred)


def _unblurred(
    estimate: Array, mean: Array, variance: Array, squared: bool, near: slice
) -> Iterator[tuple[Array, Array]]:
    """As `debias.unblurred`."""
    means, whole = Means(Planes.of(mean), variance, squared), Planes.of(estimate)
    size = near.stop - near.start, variance.shape[1]
    for number in range(len(estimate)):
        lost, away = np.empty(size, np.float32), np.empty(size, np.float32)
        _loops().unblurred(whole, means, number, _kernels(), near.start, lost, away)
        yield lost, away


def _lanczos(frame: Array, x: Array, y: Array, toning: Toning) -> Array:
    """As `lanczos.sampled`."""
    source, above = lanczos.bordered(frame, y, toning)
    out = np.empty((frame.shape[2], *x.shape), np.float32)
    samples = source.reshape(len(source), -1)
    height, width = frame.shape[:2]
    _loops().sampled(Bordered(samples, width, height, lanczos.FAR, above), x, y, out)
    return out


def _compared(mix: Mix[Array], best: Best[Array], floor: float) -> Compared:
    assert mix.spread is not None
    spread = mix.spread
    sharpest, depth, variance, frame, energy = map(
        np.ascontiguousarray, (spread.sharpest, spread.depth, spread.variance, best.frame, best.energy)
    )
    widest, least = np.float32(FIT_VARIANCE), np.float32(floor * FIT_ENERGY)
    return Compared(sharpest, depth, variance, frame, energy, widest, least, mix.squared)


@cache
def _kernels() -> tuple[Array, ...]:
    """The taps of each rung of the ladder of blurs but the first, from the middle on."""
    found, whole = [], np.ones(1)
    for taps in BLUR_STEPS:
        whole = np.convolve(whole, taps)
        found.append(np.ascontiguousarray(whole[len(whole) // 2 :], np.float32))
    return tuple(found)


def _loops() -> Any:
    """The module of compiled loops."""
    with _IMPORTING:  # of two threads that import at once, one may see half a module
        return _imported()


@cache
def _imported() -> Any:
    try:
        return importlib.import_module("gpustack.backend.fast.loops")
    except Exception as error:  # whatever numba finds amiss with this Python, or this NumPy
        raise BackendError(
            f"numba is installed, but does not work ({error}).",
            "Install a newer one, or uninstall it: gpustack works without.",
        ) from error


def _ahead() -> None:
    """Import numba, which takes half a second, while frames are decoded; who needs it is told of errors."""
    with suppress(BackendError):
        _loops()


def _like(part: Part[Array], mix: Mix[Array]) -> Part[Array]:
    """A part to be thrown away: an energy is the same bits only where it is made the same way."""
    best = Best(np.full_like(part.best.energy, -1), np.full_like(part.best.frame, 65535))
    nothing = Mix(np.zeros_like(mix.mean), np.zeros_like(mix.total))
    return replace(part, best=best, mix=nothing)


def _foldable(part: Part[Array]) -> bool:
    """Whether the loops keep what the part keeps."""
    return part.preference is None and part.best.image is None


def _shown(image: Array, valid: Array | None, inner: slice) -> Shown:
    first, last, _ = inner.indices(image.shape[1])
    mask = _NO_MASK if valid is None else np.ascontiguousarray(valid)
    return Shown(Planes.of(image), mask, first, last)


def _widen(extent: Extent[Array], band: LevelBand[Array], shown: Shown) -> None:
    kind = PixelType(str(extent.low.dtype))
    if kind is PixelType.FLOAT32:
        valid = None if band.valid is None else band.valid[band.inner]
        folding.widen(extent, band.image[:, band.inner], valid)
        return
    for c, (low, high) in enumerate(zip(extent.low, extent.high, strict=True)):
        _loops().widen(low, high, shown, c, np.float32(kind.white))


def _kept(part: Part[Array]) -> Kept:
    """The arrays of a part, to be written to."""
    mix, best = part.mix, part.best
    spread = None if mix is None else mix.spread
    return Kept(
        best.energy,
        best.frame,
        _NOTHING if mix is None else mix.total,
        _NO_PLANES if mix is None else Planes.of(mix.mean),
        *((_NOTHING,) * 3 if spread is None else (spread.depth, spread.variance, spread.sharpest)),
    )


def _way(part: Part[Array], frame: int) -> Way:
    squared = part.mix is not None and part.mix.squared
    return Way(np.uint16(frame), np.float32(part.noise), part.steep, squared)


def _taps(sigma: float) -> Array:
    """The taps of `filters.gaussian`, from the middle on."""
    taps = gaussian(sigma)
    return np.ascontiguousarray(taps[len(taps) // 2 :])
