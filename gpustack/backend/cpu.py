"""The backend that always works: NumPy and OpenCV."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend import behind, debias, filters, folding, matching, sampling
from gpustack.backend.demosaic.develop import developed
from gpustack.backend.memory import free_bytes, give_back
from gpustack.backend.paged import LEAST_BYTES, Paged
from gpustack.backend.protocol import Backend
from gpustack.backend.resample import resample
from gpustack.backend.values import (
    EVIDENCE,
    BackendInfo,
    Band,
    Beside,
    Best,
    Cells,
    Extent,
    Host,
    LevelBand,
    Looked,
    Mix,
    Optics,
    Part,
    Samples,
    Steps,
    Sums,
)
from gpustack.errors import BackendError
from gpustack.model.frame import PixelType
from gpustack.model.jpeg import Jpeg
from gpustack.model.mosaic import Mosaic
from gpustack.model.rect import Rows
from gpustack.model.transform import Matrix, Transform
from gpustack.settings import Interpolation

T = TypeVar("T")
Array = npt.NDArray[Any]

_SURVEY_ROWS = 32  # rows of the shrunk plane made at a time: no float copy of the whole frame
_SMALLEST_WEIGHT = np.float32(1e-6)  # a weight below this is rounding: the surface is one frame away


class Cpu:
    """NumPy and OpenCV; arrays are NumPy's own, those of the picture's size `paged` where that is given."""

    def __init__(self, threads: int | None = None, paged: Paged | None = None) -> None:
        self._threads, self._paged = threads or os.cpu_count() or 1, paged
        self._pool = ThreadPoolExecutor(self._threads, "band") if self._threads > 1 else None
        cv2.setNumThreads(1)  # the strips are the threads; OpenCV's own would only contend with them

    @property
    def info(self) -> BackendInfo:
        return BackendInfo("cpu", platform.processor() or platform.machine(), free_bytes(), self._threads)

    @property
    def concurrent(self) -> bool:
        return True

    def owns(self, value: object, /) -> bool:
        return isinstance(value, np.ndarray)

    def lend(self, host: Host, /) -> Array:
        return host

    def each(self, work: Callable[[T], None], items: Iterable[T], /) -> None:
        tidily = work if self._paged is None else partial(_tidily, work, self._paged)
        if self._pool is None:
            for item in items:
                tidily(item)
            return
        for _ in self._pool.map(tidily, items):
            pass

    def upload(self, host: Host, /) -> Array:
        return host

    def download(self, array: Array, /) -> Host:
        return array

    def pieces(self, array: Array, /) -> Iterator[tuple[slice, Host]]:
        yield slice(0, array.shape[-2]), np.ascontiguousarray(array)
        if self._paged is not None:
            self._paged.tidy()

    @property
    def busy_seconds(self) -> dict[str, float]:
        return {}

    @property
    def peak_bytes(self) -> int:
        return 0

    def reserve(self, count: int, nbytes: int, /) -> None:
        """Nothing: frames are decoded into memory of their own."""

    def slot(self, shape: tuple[int, ...], dtype: str, /) -> Host | None:
        del shape, dtype
        return None

    def drop(self, slot: Host, /) -> None:
        """Nothing: no slots are given out."""

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def rest(self) -> None:
        """Nothing: the host knows how long it works."""

    def settle(self) -> None:
        """Let go of what the pass has freed; every operation is done when it returns."""
        give_back()

    def full(self, shape: tuple[int, ...], value: float, dtype: str, /, *, afar: bool = False) -> Array:
        del afar
        if self._paged is None or _nbytes(shape, dtype) < LEAST_BYTES:
            return np.full(shape, value, dtype) if value else np.zeros(shape, dtype)
        return self._paged.full(shape, value, dtype)

    def room(self, shape: tuple[int, ...], dtype: str, /) -> Host:
        if self._paged is None or _nbytes(shape, dtype) < LEAST_BYTES:
            give_back()  # what is freed before results are made is as large as they are
            return np.empty(shape, dtype)
        return self._paged.room(shape, dtype)

    def rows(self, array: Array, rows: slice, /) -> Array:
        return array[..., rows, :]

    def copy(self, source: Array, target: Array, /) -> None:
        np.copyto(target, source)

    def fill(self, target: Array, value: float, /) -> None:
        target.fill(value)

    def stack_rows(self, parts: Sequence[Array], /) -> Array:
        return np.concatenate(parts, axis=-2)

    def develop(self, samples: Array, mosaic: Mosaic, /) -> Array:
        return developed(samples[..., 0], mosaic)

    @property
    def decodes(self) -> bool:
        return False

    def decode(self, data: Host, jpeg: Jpeg, /) -> Array:
        del data, jpeg
        raise BackendError("The CPU backend takes decoded frames only.", "Decode them first.")

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
        return resample(frame, place, kind.white, width, rows, interpolation)

    def between(self, cells: Cells[Array], width: int, rows: Rows, /) -> Array:
        return filters.between(cells, width, rows)

    def reduce(self, image: Array, /) -> Array:
        return filters.reduce(image)

    def shrink_mask(self, mask: Array, /) -> Array:
        kernel = np.ones((5, 5), np.uint8)
        return cv2.erode(mask, kernel, borderType=cv2.BORDER_REPLICATE)[::2, ::2]

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
        detail = filters.detail(band.image, band.coarse)
        luma = filters.luma(detail)
        energy = filters.smooth(np.square(luma, out=filters.SCRATCH.like("energy", luma)), sigma)
        if band.evidence is not None:
            cv2.scaleAdd(band.evidence, EVIDENCE, energy, dst=energy)
        if not keep:
            return energy
        valid = None if band.valid is None else band.valid[band.inner]
        if extent is not None:
            folding.widen(extent, band.image[:, band.inner], valid)
        folding.fold_in(part, frame, detail[:, band.inner], energy[band.inner], valid)
        return energy

    def fold_in(
        self, part: Part[Array], frame: int, image: Array, energy: Array, valid: Array | None, /
    ) -> None:
        folding.fold_in(part, frame, image, energy, valid)

    def fold_sharpness(
        self, part: Part[Array], frame: int, band: Band[Array], sigma: float, inner: slice, /
    ) -> None:
        luma = filters.luma(band.image)
        energy = filters.sharpness(luma, sigma, inner)
        valid = None if band.valid is None else band.valid[inner]
        folding.fold_in(part, frame, band.image[:, inner], energy, valid, luma[inner])

    def blur_misfit(
        self, mix: Mix[Array], best: Best[Array], floor: float, inner: slice, radii: Sequence[float], /
    ) -> Host:
        return debias.misfit(mix, best, floor, inner, radii)

    def debias(self, estimate: Array, mix: Mix[Array], radius: float, noise: float, inner: slice, /) -> Array:
        return debias.debias(estimate, mix, radius, noise, inner)

    def merge(self, part: Part[Array], other: Part[Array], /) -> None:
        folding.merge(part, other)

    def add_detail(self, coarse: Array, detail: Array, height: int, inner: slice, /) -> Array:
        out = np.empty_like(detail)
        for small, fine, target in zip(coarse, detail, out, strict=True):
            np.add(filters.expand(small, height, fine.shape[1])[inner], fine, out=target)
        return out

    def median(self, plane: Array, /) -> Array:
        return cv2.medianBlur(plane, 5)

    def smooth_by(self, plane: Array, weight: Array, sigma: float, /) -> tuple[Array, Array]:
        return filters.smooth(weight * plane, sigma), filters.smooth(weight, sigma)

    def fill_in(self, top: Array, bottom: Array, rim: Array | None, weight: float, /) -> Array:
        if rim is None:
            return np.asarray(top / np.maximum(bottom, np.float32(1e-12)))
        wide = filters.expand(rim, *top.shape)
        wide *= np.float32(weight)
        wide += top
        wide /= bottom + np.float32(weight)
        return wide

    def steps(self, depth: Array, energy: Array, floor: float, inner: slice, /) -> Steps[Array]:
        return behind.steps(depth, energy, floor, inner)

    def look_behind(self, beside: Beside[Array], optics: Optics, inner: slice, /) -> Looked[Array]:
        return behind.look_behind(beside, optics, inner)

    def blend_in(self, sums: Mix[Array], depth: Array, frame: int, band: Band[Array], /) -> None:
        weight = np.maximum(np.float32(0), 1 - np.abs(depth - np.float32(frame)))
        if band.valid is not None:
            weight *= band.valid != 0
        sums.total += weight
        step = filters.SCRATCH.like("blend", weight)
        for mean, value in zip(sums.mean, band.image, strict=True):
            np.add(mean, np.multiply(value, weight, out=step), out=mean)

    def keep_nearest(self, best: Best[Array], depth: Array, frame: int, band: Band[Array], /) -> None:
        closeness = 1 / (1 + np.abs(depth - np.float32(frame)))
        folding.fold_in(Part(best), frame, band.image, closeness, band.valid)

    def merge_sums(self, sums: Mix[Array], other: Mix[Array], /) -> None:
        sums.mean += other.mean
        sums.total += other.total

    def blended(self, sums: Mix[Array], nearest: Best[Array] | None, /) -> Array:
        image = sums.mean / np.maximum(sums.total, _SMALLEST_WEIGHT)
        if nearest is not None and nearest.image is not None:
            np.copyto(image, nearest.image, where=sums.total < _SMALLEST_WEIGHT)
        return image

    def merge_extent(self, extent: Extent[Array], other: Extent[Array], /) -> None:
        np.minimum(extent.low, other.low, out=extent.low)
        np.maximum(extent.high, other.high, out=extent.high)

    def clamp(self, image: Array, extent: Extent[Array], kind: PixelType, /) -> None:
        folding.clamp(image, extent, kind)

    def around(self, extent: Extent[Array], inner: slice, /) -> Extent[Array]:
        return folding.around(extent, inner)

    def pack(self, image: Array, kind: PixelType, extent: Extent[Array] | None, /) -> Host:
        values = folding.to_integers(image, kind)
        if extent is not None:
            values = np.clip(values, extent.low, extent.high)
            # Where no frame covers a pixel the range is empty: integers clamp to 0 then, floats to -inf.
            if kind is PixelType.FLOAT32:
                np.copyto(values, np.float32(0), where=extent.low > extent.high)
        packed: Host = cv2.merge(list(values))
        return packed.reshape(*packed.shape[:2], len(values))

    def survey_luma(self, frame: Array, kind: PixelType, factor: int, /) -> Array:
        height, width = (max(1, side // factor) for side in frame.shape[:2])
        out = np.empty((height, width), np.float32)
        for first in range(0, height, _SURVEY_ROWS):
            target = out[first : first + _SURVEY_ROWS]
            part = frame[first * factor : (first + len(target)) * factor, : width * factor]
            luma = filters.luma_of(part)
            if luma.shape != target.shape:
                luma = cv2.resize(luma, target.shape[::-1], interpolation=cv2.INTER_AREA)
            np.multiply(luma, np.float32(1 / kind.white), out=target)
        return out

    def to_light(self, plane: Array, /) -> Array:
        return matching.to_light(plane)

    def band_pass(self, plane: Array, coarse: Array, sigma: float, /) -> Array:
        return filters.band_pass(plane, coarse, sigma)

    def even_out(self, plane: Array, sigma: float, /) -> Array:
        return filters.even_out(plane, sigma)

    def thumbnail(self, plane: Array, longest: int, /) -> Host:
        height, width = matching.thumbnail_size(plane.shape, longest)
        return cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)

    def light(self, frame: Array, kind: PixelType, factor: int, linear: bool, /) -> Host:
        high, wide = (min(factor, side) for side in frame.shape[:2])
        colours, rows, columns = matching.colours(frame.shape[2]), len(frame) // high, frame.shape[1] // wide
        out = np.empty((colours, rows, columns), np.float32)
        step = max(1, _SURVEY_ROWS // high)
        for first in range(0, rows, step):
            target = out[:, first : first + step]
            part = frame[first * high : (first + target.shape[1]) * high, : columns * wide, :colours]
            lit = matching.lit(part, kind, linear)
            small = cv2.resize(lit, (columns, target.shape[1]), interpolation=cv2.INTER_AREA)
            target[:] = np.moveaxis(small.reshape(*small.shape[:2], colours), -1, 0)
        return out

    def noise_level(self, frame: Array, kind: PixelType, /) -> float:
        firsts = matching.noise_strips(len(frame))
        strips = [frame[first : first + matching.NOISE_ROWS] for first in firsts]
        return matching.noise_level([self.survey_luma(strip, kind, 1) for strip in strips], kind)

    def samples(self, plane: Array, count: int, every: int = 1, /) -> Samples[Array]:
        return sampling.strongest(plane, count, every)

    def alignment_sums(
        self, samples: Samples[Array], plane: Array, matrix: Matrix, contrast: float, /
    ) -> Sums:
        return matching.sums(samples, plane, matrix, contrast)

    def strip_sums(
        self, samples: Samples[Array], plane: Array, matrix: Matrix, contrast: float, strips: int, /
    ) -> list[Sums]:
        runs = matching.runs(len(samples.x), strips)
        parts = (Samples(samples.x[r], samples.y[r], samples.value[r], samples.jacobian[r]) for r in runs)
        return [matching.sums(part, plane, matrix, contrast) for part in parts]

    def best_shift(self, here: Array, there: Array, /) -> tuple[float, float]:
        return matching.best_shift(here, there)


def _tidily(work: Callable[[T], None], paged: Paged, item: T) -> None:
    """Do a piece of work, and let go of what it has touched."""
    work(item)
    paged.tidy()


def _nbytes(shape: tuple[int, ...], dtype: str) -> int:
    return math.prod(shape) * np.dtype(dtype).itemsize


CPU: type[Backend[Array]] = Cpu  # the type checker compares it with the Protocol here
