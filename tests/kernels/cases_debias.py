"""Cases of debias.cu, and of the ranges in finish.cu."""

from __future__ import annotations

from itertools import product

import numpy as np

from gpustack.backend.gpu.backend import Gpu
from gpustack.backend.gpu.tensor import Tensor
from gpustack.backend.values import (
    FIT_ENERGY,
    FIT_STRIDE,
    FIT_VARIANCE,
    Best,
    Extent,
    Mix,
    Spread,
)
from gpustack.model.frame import PixelType
from tests.kernels import reference
from tests.kernels.reference import Array, F
from tests.kernels.registry import Pairs, Shape, case, frame_of

NOISE = 0.01
RADII = (0.0, 0.4, 1.1, 3.0)


def mean_of(generator: np.random.Generator, estimate: Array, squared: bool) -> tuple[Array, Array]:
    """A mean (c, h, w) that is near the estimate in places, and the variance of its frames (h, w), 0 in
    places; the mean is below what a mean can be, too."""
    near = generator.random(estimate.shape[1:]) < 0.8
    mean = np.where(near, estimate + generator.normal(0, 0.01, estimate.shape).astype(F), F(-0.1))
    variance = generator.uniform(0, 6, estimate.shape[1:]).astype(F)
    return (mean * np.abs(mean) if squared else mean), np.where(near, variance, F(0))


def mix_of(gpu: Gpu, mean: Array, planes: tuple[Array, Array, Array], squared: bool) -> Mix[Tensor]:
    return Mix(gpu.upload(mean), gpu.upload(planes[0]), Spread(*map(gpu.upload, planes)), squared)


@case("begin", "climb", "unblur", "halo", "trust", "improve")
def debias(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    for channels, squared, radius in product((1, 3, 4), (False, True), (0.3, 1.2)):
        estimate = reference.blur_each(generator.random((channels, *shape), F), 1.0)
        mean, variance = mean_of(generator, estimate, squared)
        mix = mix_of(gpu, mean, (variance, variance, variance), squared)
        inner = slice(shape[0] // 3, shape[0])
        found = gpu.download(gpu.debias(gpu.upload(estimate), mix, radius, NOISE, inner))
        yield found, reference.debiased(estimate, mean, variance, radius, NOISE, squared)[:, inner]


@case("begin", "climb", "misfit")
def blur_misfit(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    """The sums are in double, in the order of a block's threads."""
    for channels, squared in product((1, 3), (False, True)):
        mean, sharp = generator.random((channels, *shape), F), generator.random(shape, F)
        depth, variance = (generator.uniform(0, 4, shape).astype(F) for _ in range(2))
        frame, energy = np.rint(depth).astype(np.uint16), generator.random(shape, F)
        mix = mix_of(gpu, mean, (depth, variance, sharp), squared)
        best, inner = Best(gpu.upload(energy), gpu.upload(frame)), slice(0, shape[0])
        found = gpu.blur_misfit(mix, best, 0.5 / FIT_ENERGY, inner, RADII)
        pick = (slice(None, None, FIT_STRIDE), slice(None, None, FIT_STRIDE))
        distance = frame.astype(F) - depth
        excess = variance - distance * distance
        fits = ((excess > 0) & (variance < F(FIT_VARIANCE)) & (energy > F(0.5)))[pick]
        wanted = [fits.sum(axis=1).astype(float)]
        rungs = reference.ladder(sharp * sharp if squared else sharp)
        for radius in RADII:
            alike = reference.between_rungs(rungs, excess * F(radius * radius / 4))
            away = (reference.luma(mean) - alike).astype(float)[pick]
            wanted.append(_in_order(away * away * fits))
        yield found, np.stack(wanted, axis=1)


def _in_order(values: Array) -> Array:
    """Sums (rows,) in the order of a block of 256 threads."""
    threads = np.zeros((len(values), 256))
    for start in range(0, values.shape[1], 256):
        part = values[:, start : start + 256]
        threads[:, : part.shape[1]] += part
    while threads.shape[1] > 1:
        half = threads.shape[1] // 2
        threads = threads[:, :half] + threads[:, half:]
    return threads[:, 0]


@case("clamp_to", "around")
def ranges(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    """A range where a frame was seen, an empty one elsewhere."""
    for kind, channels in product(PixelType, (1, 3)):
        low, high = (frame_of(generator, (channels, *shape), kind) for _ in range(2))
        seen = generator.random((channels, *shape)) < 0.7
        top, bottom = (np.inf, -np.inf) if kind is PixelType.FLOAT32 else (kind.white, 0)
        ordered = np.minimum(low, high), np.maximum(low, high)
        low, high = (
            np.where(seen, values, low.dtype.type(empty))
            for values, empty in zip(ordered, (top, bottom), strict=True)
        )
        extent = Extent(gpu.upload(low), gpu.upload(high))
        image = frame_of(generator, (channels, *shape), PixelType.FLOAT32)
        held = gpu.upload(image)
        gpu.clamp(held, extent, kind)
        unit = F(1 / kind.white)
        inside = np.minimum(np.maximum(image, low * unit), high * unit)
        yield gpu.download(held), np.where(low > high, F(0), inside)
        inner = slice(shape[0] // 3, shape[0])
        wide = gpu.around(extent, inner)
        windows = (_windows(low).min(axis=(-2, -1)), _windows(high).max(axis=(-2, -1)))
        for found, own, found_range in zip((wide.low, wide.high), (low, high), windows, strict=True):
            yield gpu.download(found), np.where(low > high, own, found_range)[:, inner]


def _windows(image: Array) -> Array:
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
