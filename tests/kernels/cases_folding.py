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

RULES = ((None, False), (1e-4, False), (0.01, True))
"""Noise, and whether steep: a hard choice, a soft and a steep one."""

WIDE_PX = 16.0
"""A window that no shared memory holds, as wide as `--radius` may be."""

CHOICES = ((None, False), (1e-4, False), (1e-4, True))
"""Noise, and whether the spread of the mean is kept: a hard choice, and soft ones."""


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
    for channels, rule, sigma, rich in product((1, 2, 4), RULES, (1.0, 1.5), (False, True)):
        yield from _folded(gpu, shape, generator, channels, rule, sigma, rich=rich)


@case("detail_of", "power_of", "blur_line", "heed", "fold_in")
def fold_wide_level(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    for channels, rule, rich in product((1, 4), RULES, (False, True)):
        yield from _folded(gpu, shape, generator, channels, rule, WIDE_PX, rich=rich)


def _folded(
    gpu: Gpu,
    shape: Shape,
    generator: np.random.Generator,
    channels: int,
    rule: tuple[float, bool],
    sigma: float,
    *,
    rich: bool,
) -> Pairs:
    """A level after three frames; `rich`: with evidence of finer levels, and pixels that are not covered."""
    noise, steep = rule
    part = empty_part(gpu, channels, *shape, noise, steep=steep)
    wanted = State.empty(channels, *shape, noise, steep=steep)
    for index in (1, 0, 2):
        image = generator.random((channels, *shape), F)
        evidence = generator.uniform(-1, 1, shape).astype(F) if rich else None
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


@case("extend_by")
def wide_extents(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    for kind, masked in product(PixelType, (False, True)):
        extent = empty_extent(gpu, 2, *shape, kind)
        low, high = (gpu.download(array).copy() for array in (extent.low, extent.high))
        for index in range(3):
            image = frame_of(generator, (2, *shape), PixelType.FLOAT32)
            covers = covering(generator, shape) | (not masked)
            held, valid = gpu.upload(image), gpu.upload(mask(covers)) if masked else None
            band = LevelBand(held, gpu.reduce(held), None, valid, slice(0, shape[0]))
            gpu.fold_level(empty_part(gpu, 2, *shape), index, band, WIDE_PX, extent)
            values = reference.to_pixels(image, kind)
            low, high = (
                np.where(covers, f(a, values), a) for f, a in ((np.minimum, low), (np.maximum, high))
            )
        yield gpu.download(extent.low), low
        yield gpu.download(extent.high), high


@case("bend_of", "blur_line", "luma", "reduce", "add_detail", "fold_in")
def fold_wide_sharpness(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    for (noise, spread), sigma in product(CHOICES, (3.0, WIDE_PX)):
        part = empty_part(gpu, 3, *shape, noise, spread=spread)
        wanted = State.empty(3, *shape, noise, spread=spread)
        for index in (0, 2, 1):
            image, covers = generator.random((3, *shape), F), covering(generator, shape)
            band = Band(gpu.upload(image), gpu.upload(mask(covers)))
            gpu.fold_sharpness(part, index, band, sigma, slice(0, shape[0]))
            wanted.fold(index, image, reference.sharpness(image, sigma), covers)
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


@case("luma", "reduce", "curvature", "fold_sharpness", "merge")
def spread_alone(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    """Where the frames lie, of a mean that is not kept itself."""
    parts = [empty_part(gpu, 0, *shape, 1e-4, spread=True) for _ in range(2)]
    wanted = [State.empty(0, *shape, 1e-4, spread=True) for _ in range(2)]
    for index in (0, 3, 1, 2):
        image, covers = generator.random((3, *shape), F), covering(generator, shape)
        band = Band(gpu.upload(image), gpu.upload(mask(covers)))
        gpu.fold_sharpness(parts[index % 2], index, band, 1.5, slice(0, shape[0]))
        wanted[index % 2].fold(index, image, reference.sharpness(image, 1.5), covers)
    gpu.merge(*parts)
    wanted[0].merge(wanted[1])
    yield from state_of(gpu, parts[0], wanted[0])


@case("fold_in", "merge")
def fold_in(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    """Two runs of frames whose energies tie and span twelve orders of magnitude; then merged."""
    choices = [(*choice, False) for choice in CHOICES] + [(0.01, False, True)]
    for channels, (noise, spread, steep) in product((1, 3), choices):
        parts = [empty_part(gpu, channels, *shape, noise, spread=spread, steep=steep) for _ in range(2)]
        wanted = [State.empty(channels, *shape, noise, spread=spread, steep=steep) for _ in range(2)]
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
