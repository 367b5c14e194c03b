"""Cases of level.cu, measure.cu, fold.cu, and of the quotient in finish.cu."""

from __future__ import annotations

from itertools import product

import numpy as np

from gpustack.backend.gpu.backend import Gpu
from gpustack.backend.gpu.tensor import Tensor
from gpustack.backend.values import Band, LevelBand, Mix, Part, Spread
from gpustack.model.frame import PixelType
from tests.backend.parts import empty_extent, empty_part, mask
from tests.kernels import reference
from tests.kernels.reference import F
from tests.kernels.registry import Pairs, Shape, case, covering, frame_of
from tests.kernels.state import State

NOISES = (None, 1e-4)
"""A hard and a soft choice."""

CHOICES = ((None, False), (1e-4, False), (1e-4, True))
"""The same, and a soft one that keeps the spread of its mean."""


def state_of(gpu: Gpu, part: Part[Tensor], wanted: State) -> Pairs:
    """All that a part holds, beside what it must hold."""
    yield gpu.download(part.best.energy), wanted.energy
    yield gpu.download(part.best.frame), wanted.frame
    assert part.kept is not None
    yield gpu.download(part.kept), wanted.kept
    if part.mix is not None and wanted.total is not None:
        yield gpu.download(part.mix.total), wanted.total
        if part.mix.spread is not None and wanted.spread is not None:
            for name, plane in zip(Spread.__slots__, wanted.spread, strict=True):
                yield gpu.download(getattr(part.mix.spread, name)), plane


@case("fold_level")
def fold_level(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    settings = product((1, 2, 4), NOISES, (1.0, 1.5), (False, True))
    for channels, noise, sigma, rich in settings:
        part, wanted = empty_part(gpu, channels, *shape, noise), State.empty(channels, *shape, noise)
        for index in (1, 0, 2):
            image = generator.random((channels, *shape), F)
            evidence = generator.random(shape, F) if rich else None
            covers = covering(generator, shape) if rich else np.ones(shape, bool)
            band = LevelBand(
                gpu.upload(image),
                gpu.reduce(gpu.upload(image)),
                None if evidence is None else gpu.upload(evidence),
                gpu.upload(mask(covers)) if rich else None,
                slice(0, shape[0]),
            )
            detail = reference.detail(image)
            energy = reference.level_energy(detail, sigma, evidence)
            yield gpu.download(gpu.fold_level(part, index, band, sigma, None)), energy
            wanted.fold(index, detail, energy, covers)
        yield from state_of(gpu, part, wanted)


@case("fold_level", "merge_extent")
def extents(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    for kind in PixelType:
        ranges = [empty_extent(gpu, 2, *shape, kind) for _ in range(2)]
        low, high = (gpu.download(array).copy() for array in (ranges[0].low, ranges[0].high))
        for index in range(4):
            image, covers = frame_of(generator, (2, *shape), PixelType.FLOAT32), covering(generator, shape)
            held = gpu.upload(image)
            band = LevelBand(held, gpu.reduce(held), None, gpu.upload(mask(covers)), slice(0, shape[0]))
            gpu.fold_level(empty_part(gpu, 2, *shape), index, band, 1.0, ranges[index % 2])
            values = reference.to_pixels(image, kind)
            low, high = (
                np.where(covers, f(a, values), a) for f, a in ((np.minimum, low), (np.maximum, high))
            )
        gpu.merge_extent(*ranges)
        yield gpu.download(ranges[0].low), low
        yield gpu.download(ranges[0].high), high


@case("luma", "reduce", "curvature", "fold_sharpness")
def fold_sharpness(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    settings = product((2, 4), CHOICES, (0.75, 2.5), (False, True))
    for channels, (noise, spread), sigma, masked in settings:
        part = empty_part(gpu, channels, *shape, noise, spread=spread)
        wanted = State.empty(channels, *shape, noise, spread=spread)
        for index in (0, 2, 1):
            image, covers = generator.random((channels, *shape), F), covering(generator, shape) | (not masked)
            band = Band(gpu.upload(image), gpu.upload(mask(covers)) if masked else None)
            gpu.fold_sharpness(part, index, band, sigma, slice(0, shape[0]))
            wanted.fold(index, image, reference.sharpness(image, sigma), covers)
        yield from state_of(gpu, part, wanted)


@case("fold_in", "merge")
def fold_in(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    """Two runs of frames whose energies tie and span twelve orders of magnitude; then merged."""
    for channels, (noise, spread) in product((1, 3), CHOICES):
        parts = [empty_part(gpu, channels, *shape, noise, spread=spread) for _ in range(2)]
        wanted = [State.empty(channels, *shape, noise, spread=spread) for _ in range(2)]
        for index in (3, 0, 5, 1, 2, 4):
            image, covers = generator.random((channels, *shape), F), covering(generator, shape)
            energy = F(10) ** generator.integers(-12, 1, shape).astype(F)
            held = gpu.upload(image), gpu.upload(energy), gpu.upload(mask(covers))
            gpu.fold_in(parts[index % 2], index, *held)
            wanted[index % 2].fold(index, image, energy, covers)
        for part, state in zip(parts, wanted, strict=True):
            yield from state_of(gpu, part, state)
        gpu.merge(*parts)
        wanted[0].merge(wanted[1])
        yield from state_of(gpu, parts[0], wanted[0])


@case("blend_in", "keep_nearest", "add", "blended")
def blending(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    depth = generator.uniform(0, 3, shape).astype(F)
    nearest, wanted = empty_part(gpu, 2, *shape).best, State.empty(2, *shape, None)
    sums = [_empty_sums(gpu, shape) for _ in range(2)]
    mean, total = np.zeros((2, 2, *shape), F), np.zeros((2, *shape), F)
    for index in (0, 3, 1, 2):
        image, covers = generator.random((2, *shape), F), covering(generator, shape)
        band, half = Band(gpu.upload(image), gpu.upload(mask(covers))), index % 2
        gpu.blend_in(sums[half], gpu.upload(depth), index, band)
        gpu.keep_nearest(nearest, gpu.upload(depth), index, band)
        away = np.abs(depth - F(index))
        weight = np.where(covers, np.maximum(F(0), F(1) - away), F(0))
        mean[half], total[half] = mean[half] + image * weight, total[half] + weight
        wanted.fold(index, image, F(1) / (F(1) + away), covers)
    yield from state_of(gpu, Part(nearest), wanted)
    gpu.merge_sums(*sums)
    yield gpu.download(sums[0].mean), mean[0] + mean[1]
    yield gpu.download(sums[0].total), total[0] + total[1]
    quotient = (mean[0] + mean[1]) / np.maximum(total[0] + total[1], F(1e-6))
    yield gpu.download(gpu.blended(sums[0], None)), quotient
    spared = np.where(total[0] + total[1] < F(1e-6), wanted.kept, quotient)
    yield gpu.download(gpu.blended(sums[0], nearest)), spared


def _empty_sums(gpu: Gpu, shape: Shape) -> Mix[Tensor]:
    return Mix(gpu.full((2, *shape), 0.0, "float32"), gpu.full(shape, 0.0, "float32"))
