"""The CPU backend: NumPy and OpenCV on strips that fit the cache, one thread a strip.

Inside, pictures are planar (c, h, w) float32: a plane's weights then apply without broadcasting over
interleaved channels, and OpenCV's filters are as fast on three planes as on one interleaved picture
(measured, 12 MP: pyrDown 17 and 18 ms, pyrUp 15 and 15 ms). Only the warp works interleaved, where the
three channels share their coordinates (139 ms against 200 ms).
"""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend import matching
from gpustack.backend.memory import free_bytes
from gpustack.backend.protocol import (
    EVIDENCE,
    FULL_SIZE_NOISE,
    HALF_SIZE_NOISE,
    Backend,
    BackendInfo,
    Band,
    Best,
    Extent,
    Host,
    Mix,
    Samples,
    Sums,
)
from gpustack.backend.resample import planar, resample
from gpustack.model.frame import PixelType
from gpustack.model.rect import Rows
from gpustack.model.transform import Matrix, Transform

T = TypeVar("T")
Array = npt.NDArray[Any]

LUMA = (0.299, 0.587, 0.114)
_SURVEY_ROWS = 64  # rows of the shrunk plane made at a time: no float copy of the whole frame
_NOISE_ROWS, _NOISE_STRIPS = 32, 32  # a sample of the frame is enough to measure noise
_SMALLEST_WEIGHT = np.float32(1e-6)  # a weight below this is rounding: the surface is one frame away
_SMALLEST_TOTAL = np.float32(1e-30)  # keeps 0/0 out where no frame covers a pixel yet


class Cpu:
    """NumPy and OpenCV; arrays are NumPy's own."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, "band") if self._threads > 1 else None
        self._scratch = _Scratch()
        cv2.setNumThreads(1)  # the strips are the threads; OpenCV's own would only contend with them

    @property
    def info(self) -> BackendInfo:
        return BackendInfo("cpu", platform.processor() or platform.machine(), free_bytes(), self._threads)

    def each(self, work: Callable[[T], None], items: Iterable[T], /) -> None:
        if self._pool is None:
            for item in items:
                work(item)
            return
        for _ in self._pool.map(work, items):
            pass

    def upload(self, host: Host, /) -> Array:
        return host

    def download(self, array: Array, /) -> Host:
        return array

    def full(self, shape: tuple[int, ...], value: float, dtype: str, /) -> Array:
        return np.full(shape, value, dtype)

    def rows(self, array: Array, rows: slice, /) -> Array:
        return array[..., rows, :]

    def copy(self, source: Array, target: Array, /) -> None:
        np.copyto(target, source)

    def fill(self, target: Array, value: float, /) -> None:
        target.fill(value)

    def stack_rows(self, parts: Sequence[Array], /) -> Array:
        return np.concatenate(parts, axis=-2)

    def load(self, frame: Array, place: Transform, kind: PixelType, width: int, rows: Rows, /) -> Band[Array]:
        return resample(frame, place, kind.white, width, rows)

    def luma(self, image: Array, /) -> Array:
        if len(image) < 3:
            return np.asarray(image[0])
        red, green, blue = (np.float32(weight) for weight in LUMA)
        plane: Array = image[0] * red
        part = self._scratch.like("luma", plane)
        plane += np.multiply(image[1], green, out=part)
        plane += np.multiply(image[2], blue, out=part)
        return plane

    def sharpness(self, luma: Array, sigma: float, /) -> Array:
        energy = self._curvature(luma, sigma, FULL_SIZE_NOISE)
        half = self._curvature(cv2.pyrDown(luma), sigma / 2, HALF_SIZE_NOISE)
        energy += _expand(half, luma.shape)
        return energy

    def _curvature(self, plane: Array, sigma: float, noise: float) -> Array:
        """Squared Laplacian of a plane in units of its noise, smoothed."""
        curved = cv2.Laplacian(plane, cv2.CV_32F, scale=noise**-0.5, borderType=cv2.BORDER_REFLECT_101)
        np.multiply(curved, curved, out=curved)
        return self.smooth(curved, sigma)

    def smooth(self, plane: Array, sigma: float, /) -> Array:
        radius = int(np.ceil(3 * sigma))
        taps = cv2.getGaussianKernel(2 * radius + 1, sigma, cv2.CV_32F)
        return cv2.sepFilter2D(plane, cv2.CV_32F, taps, taps, borderType=cv2.BORDER_REFLECT_101)

    def median(self, plane: Array, /) -> Array:
        return cv2.medianBlur(plane, 5)

    def expand(self, plane: Array, height: int, width: int, /) -> Array:
        return _expand(plane, (height, width))

    def reduce(self, image: Array, /) -> Array:
        return np.stack([cv2.pyrDown(plane) for plane in image])

    def detail(self, image: Array, coarse: Array, /) -> Array:
        out = np.empty_like(image)
        for plane, small, target in zip(image, coarse, out, strict=True):
            np.subtract(plane, _expand(small, plane.shape), out=target)
        return out

    def add_detail(self, coarse: Array, detail: Array, height: int, inner: slice, /) -> Array:
        out = np.empty_like(detail)
        for small, fine, target in zip(coarse, detail, out, strict=True):
            np.add(_expand(small, (height, fine.shape[1]))[inner], fine, out=target)
        return out

    def energy(self, detail: Array, sigma: float, evidence: Array | None, /) -> Array:
        luma = self.luma(detail)
        energy = self.smooth(np.square(luma, out=self._scratch.like("energy", luma)), sigma)
        if evidence is not None:
            energy += np.float32(EVIDENCE) * evidence
        return energy

    def shrink_mask(self, mask: Array, /) -> Array:
        kernel = np.ones((5, 5), np.uint8)
        return cv2.erode(mask, kernel, borderType=cv2.BORDER_REPLICATE)[::2, ::2]

    def exclude(self, energy: Array, mask: Array, /) -> None:
        np.copyto(energy, np.float32(-2), where=mask == 0)

    def keep_best(self, best: Best[Array], energy: Array, frame: int, image: Array | None, /) -> None:
        won = cv2.compare(energy, best.energy, cv2.CMP_GT)
        if frame < best.last:
            tied = (energy == best.energy) & (best.frame > frame)
            np.copyto(won, np.uint8(255), where=tied)
        index = self._scratch.like("frame", best.frame)
        index.fill(frame)
        self._take(best, won, energy, index, image)
        best.last = max(best.last, frame)

    def merge_best(self, best: Best[Array], other: Best[Array], /) -> None:
        won = (other.energy > best.energy) | ((other.energy == best.energy) & (other.frame < best.frame))
        self._take(best, won.astype(np.uint8) * np.uint8(255), other.energy, other.frame, other.image)
        best.last = max(best.last, other.last)

    def _take(self, best: Best[Array], won: Array, energy: Array, frame: Array, image: Array | None) -> None:
        """Copy the winner's values into `best` where `won` is set (OpenCV's masked copy: 1 ms for NumPy's
        42)."""
        cv2.copyTo(energy, won, best.energy)
        cv2.copyTo(frame, won, best.frame)
        if best.image is not None and image is not None:
            for source, target in zip(image, best.image, strict=True):
                cv2.copyTo(np.ascontiguousarray(source), won, target)

    def mix_in(self, mix: Mix[Array], best: Array, energy: Array, image: Array, noise: float, /) -> None:
        new = np.maximum(energy, np.float32(-noise)) + np.float32(noise)
        old = np.maximum(best, np.float32(0)) + np.float32(noise)
        share = _soften(mix.total, new, old)
        step = self._scratch.like("mix", share)
        for mean, value in zip(mix.mean, image, strict=True):
            np.subtract(value, mean, out=step)
            np.multiply(step, share, out=step)
            np.add(mean, step, out=mean)

    def merge_mix(
        self, mix: Mix[Array], best: Array, other: Mix[Array], other_best: Array, noise: float, /
    ) -> None:
        a = np.maximum(best, np.float32(0)) + np.float32(noise)
        b = np.maximum(other_best, np.float32(0)) + np.float32(noise)
        mine = mix.total * _eighth_power(np.minimum(1, a / b))
        theirs = other.total * _eighth_power(np.minimum(1, b / a))
        np.add(mine, theirs, out=mix.total)
        mix.mean += (theirs / np.maximum(mix.total, _SMALLEST_TOTAL)) * (other.mean - mix.mean)

    def blend_in(self, sums: Mix[Array], depth: Array, frame: int, band: Band[Array], /) -> None:
        weight = np.maximum(np.float32(0), 1 - np.abs(depth - np.float32(frame)))
        if band.valid is not None:
            weight *= band.valid != 0
        sums.total += weight
        step = self._scratch.like("blend", weight)
        for mean, value in zip(sums.mean, band.image, strict=True):
            np.add(mean, np.multiply(value, weight, out=step), out=mean)

    def keep_nearest(self, best: Best[Array], depth: Array, frame: int, band: Band[Array], /) -> None:
        closeness = 1 / (1 + np.abs(depth - np.float32(frame)))
        if band.valid is not None:
            self.exclude(closeness, band.valid)
        self.keep_best(best, closeness, frame, band.image)

    def merge_sums(self, sums: Mix[Array], other: Mix[Array], /) -> None:
        sums.mean += other.mean
        sums.total += other.total

    def blended(self, sums: Mix[Array], nearest: Best[Array] | None, /) -> Array:
        image = sums.mean / np.maximum(sums.total, _SMALLEST_WEIGHT)
        if nearest is not None and nearest.image is not None:
            np.copyto(image, nearest.image, where=sums.total < _SMALLEST_WEIGHT)
        return image

    def widen(self, extent: Extent[Array], band: Band[Array], kind: PixelType, /) -> None:
        values = _to_integers(band.image, kind)
        if band.valid is None:
            np.minimum(extent.low, values, out=extent.low)
            np.maximum(extent.high, values, out=extent.high)
            return
        seen = np.broadcast_to(band.valid != 0, values.shape)
        np.minimum(extent.low, values, out=extent.low, where=seen)
        np.maximum(extent.high, values, out=extent.high, where=seen)

    def merge_extent(self, extent: Extent[Array], other: Extent[Array], /) -> None:
        np.minimum(extent.low, other.low, out=extent.low)
        np.maximum(extent.high, other.high, out=extent.high)

    def pack(self, image: Array, kind: PixelType, extent: Extent[Array] | None, /) -> Host:
        values = _to_integers(image, kind)
        if extent is not None:
            values = np.clip(values, extent.low, extent.high)
            # Where no frame covers a pixel the range is empty: integers clamp to 0 then, floats to -inf.
            if kind is PixelType.FLOAT32:
                np.copyto(values, np.float32(0), where=extent.low > extent.high)
        return np.ascontiguousarray(np.moveaxis(values, 0, -1))

    def survey_luma(self, frame: Array, kind: PixelType, factor: int, /) -> Array:
        height, width = (max(1, side // factor) for side in frame.shape[:2])
        out = np.empty((height, width), np.float32)
        for first in range(0, height, _SURVEY_ROWS):
            target = out[first : first + _SURVEY_ROWS]
            part = frame[first * factor : (first + len(target)) * factor, : width * factor]
            luma = self.luma(planar(part, np.float32(1 / kind.white)))
            target[:] = cv2.resize(luma, (width, len(target)), interpolation=cv2.INTER_AREA)
        return out

    def band_pass(self, plane: Array, sigma: float, /) -> Array:
        return np.asarray(plane - self.smooth(plane, sigma))

    def thumbnail(self, plane: Array, longest: int, /) -> Host:
        shrink = min(1.0, longest / max(plane.shape))
        height, width = (max(1, round(side * shrink)) for side in plane.shape)
        return cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)

    def noise_level(self, frame: Array, kind: PixelType, /) -> float:
        rounding = 0.0 if kind is PixelType.FLOAT32 else 1 / (kind.white * np.sqrt(12))
        step = max(_NOISE_ROWS, len(frame) // _NOISE_STRIPS)
        strips = [frame[first : first + _NOISE_ROWS] for first in range(0, len(frame), step)]
        lumas = [self.survey_luma(strip, kind, 1) for strip in strips]
        return matching.noise_level(lumas, max(rounding, 1e-6))

    def samples(self, plane: Array, count: int, /) -> Samples[Array]:
        return matching.strongest(plane, count)

    def alignment_sums(
        self, samples: Samples[Array], plane: Array, matrix: Matrix, contrast: float, /
    ) -> Sums:
        return matching.sums(samples, plane, matrix, contrast)

    def best_shift(self, here: Array, there: Array, /) -> tuple[float, float]:
        return matching.best_shift(here, there)


class _Scratch(threading.local):
    """Working planes of one thread, kept between calls: fresh pages cost more than the arithmetic on them."""

    def __init__(self) -> None:
        self._planes: dict[str, Array] = {}

    def like(self, name: str, other: Array) -> Array:
        """A plane of `other`'s shape and dtype with any content."""
        plane = self._planes.get(name)
        if plane is None or plane.shape != other.shape or plane.dtype != other.dtype:
            plane = self._planes[name] = np.empty_like(other)
        return plane


def _expand(plane: Array, shape: tuple[int, ...]) -> Array:
    """Twice the size, 5-tap binomial; `shape` tells odd from even."""
    return cv2.pyrUp(plane, dstsize=(shape[1], shape[0]))


def _eighth_power(base: Array) -> Array:
    """base^8 by squaring, in place: multiplications alone, so every device rounds alike."""
    for _ in range(3):
        np.multiply(base, base, out=base)
    return base


def _soften(total: Array, new: Array, old: Array) -> Array:
    """Fold a weight into `total` (in place), rescaled to the running maximum; returns the newcomer's share
    of it."""
    ratio = new / old
    gain = _eighth_power(np.minimum(ratio, np.float32(1)))
    np.maximum(ratio, np.float32(1), out=ratio)
    keep = _eighth_power(np.divide(np.float32(1), ratio, out=ratio))
    np.multiply(total, keep, out=total)
    np.add(total, gain, out=total)
    return np.divide(gain, np.maximum(total, _SMALLEST_TOTAL), out=gain)


def _to_integers(image: Array, kind: PixelType) -> Array:
    """0..1 -> the dtype's own range, rounded half to even; float frames pass."""
    if kind is PixelType.FLOAT32:
        return image
    flat = image.reshape(-1, image.shape[-1])
    depth = {PixelType.UINT8: cv2.CV_8U, PixelType.UINT16: cv2.CV_16U}[kind]
    # One pass that scales, rounds half to even and saturates; the second addend is nought.
    values: Array = cv2.addWeighted(flat, kind.white, flat, 0.0, 0.0, dtype=depth)
    return values.reshape(image.shape)


CPU: type[Backend[Array]] = Cpu  # the type checker compares it with the Protocol here
