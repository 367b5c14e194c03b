"""Cases of the stages that make pictures of pictures: fill, load, warp, pyramid, surface, and packing."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from gpustack.backend.gpu.backend import Gpu
from gpustack.backend.values import Cells
from gpustack.model.frame import PixelType
from gpustack.model.rect import Rows
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform
from gpustack.settings import Interpolation
from tests.backend.parts import empty_extent, mask
from tests.kernels import reference
from tests.kernels.reference import Array, F
from tests.kernels.registry import Pairs, Shape, case, frame_of


@case("fill_float32", "fill_uint8", "fill_uint16")
def fill(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    del generator
    for dtype, value in (("float32", -0.5), ("float32", -np.inf), ("uint8", 255), ("uint16", 65535)):
        yield gpu.download(gpu.full((2, *shape), value, dtype)), np.full((2, *shape), value, dtype)


@case("reduce")
def reduce(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    image = generator.random((3, *shape), F)
    yield gpu.download(gpu.reduce(gpu.upload(image))), np.stack([reference.reduce(p) for p in image])


@case("shrink_mask")
def shrink_mask(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    for share in (0.7, 0.98):
        covers = mask(generator.random(shape) < share)
        yield gpu.download(gpu.shrink_mask(gpu.upload(covers))), reference.shrink_mask(covers)


@case("between_cells")
def between_cells(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    for count, step, first in (((1, 1), (3.0, 4.0), (1.0, 2.0)), ((4, 6), (7.5, 12.3), (-2.25, 5.5))):
        small = generator.random(count, F)
        cells = Cells(gpu.upload(small), step, first)
        for top in (0, 9):
            rows = Rows(top, top + shape[0])
            wanted = reference.between(small, step, first, shape[1], np.arange(top, rows.stop))
            yield gpu.download(gpu.between(cells, shape[1], rows)), wanted


@case("add_detail")
def add_detail(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    height, width = shape
    coarse = generator.random((3, -(-height // 2), -(-width // 2)), F)
    for rows in (slice(0, height), slice(height // 3, height - height // 4)):
        detail = generator.random((3, *shape), F)[:, rows]
        found = gpu.add_detail(gpu.upload(coarse), gpu.upload(detail), height, rows)
        yield gpu.download(found), np.stack([reference.expand(p, *shape)[rows] for p in coarse]) + detail


@case("pack")
def pack(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    for kind in PixelType:
        image = frame_of(generator, (3, *shape), PixelType.FLOAT32)
        packed = np.moveaxis(reference.to_pixels(image, kind), 0, -1)
        yield gpu.pack(gpu.upload(image), kind, None), packed
        low, high = (frame_of(generator, (3, *shape), kind) for _ in range(2))  # in a third of cases empty
        extent = empty_extent(gpu, 3, *shape, kind)
        gpu.copy(gpu.upload(low), extent.low)
        gpu.copy(gpu.upload(high), extent.high)
        least, most = (np.moveaxis(array, 0, -1) for array in (low, high))
        clamped = np.minimum(np.maximum(packed, least), most)
        yield gpu.pack(gpu.upload(image), kind, extent), np.where(least > most, 0, clamped).astype(kind.value)


COLOURED = Tone((1.1, 0.95, 1.02), (0.01, 0.0, -0.02))


def loads(gpu: Gpu, shape: Shape, generator: np.random.Generator, interpolation: Interpolation) -> Pairs:
    """Frames of all types and numbers of channels, in all motions."""
    for kind, channels, matrix in product(PixelType, range(1, 5), MOTIONS.values()):
        frame, place = frame_of(generator, (*shape, channels), kind), Transform(matrix, COLOURED)
        wanted = reference.resampled(frame, place, kind, interpolation)
        yield from loaded(gpu, frame, place, kind, interpolation, *wanted)


def loaded(
    gpu: Gpu,
    frame: Array,
    place: Transform,
    kind: PixelType,
    interpolation: Interpolation,
    image: Array,
    inside: Array,
) -> Pairs:
    """A frame loaded as a whole and in bands, beside the picture and the mask that must come out."""
    height, width = inside.shape
    held = gpu.upload(frame)
    bands = Rows(0, height), Rows(height // 2, height), Rows(height // 3, height // 3 + 1)
    for rows in bands:
        band = gpu.load(held, place, kind, width, rows, interpolation=interpolation)
        yield gpu.download(band.image), image[:, rows.slice]
        assert (band.valid is None) == bool(inside[rows.slice].all())
        if band.valid is not None:
            yield gpu.download(band.valid), mask(inside[rows.slice])


@case("load_shifted")
def load_shifted(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    height, width = shape
    for kind, channels, shift in product(PixelType, (1, 3), ((0, 0), (2, -3))):
        frame = frame_of(generator, (height, width, channels), kind)
        place = Transform(np.array([[1.0, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]]), COLOURED)
        image, inside = reference.copied(frame, shift, place.tone, kind)
        yield from loaded(gpu, frame, place, kind, Interpolation.BICUBIC, image, inside)


@case("warp_bicubic")
def warp_bicubic(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    yield from loads(gpu, shape, generator, Interpolation.BICUBIC)


@case("warp_lanczos")
def warp_lanczos(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    yield from loads(gpu, shape, generator, Interpolation.LANCZOS)


MOTIONS: dict[str, Any] = {
    "turned": np.array([[1.01, 0.02, -2.3], [-0.02, 1.01, 1.7], [0, 0, 1]]),
    "leaning": np.array([[1.01, 0.02, -2.3], [-0.02, 1.01, 1.7], [1e-4, -1e-4, 1]]),
    "far away": np.array([[1.0, 0, 1e6 + 0.5], [0, 1, -1e6], [0, 0, 1]]),
}


@case("median")
def median(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    for plane in (generator.random(shape, F), generator.integers(0, 4, shape).astype(F)):
        yield gpu.download(gpu.median(gpu.upload(plane))), reference.median(plane)


@case("smooth_by")
def smooth_by(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    for sigma in (0.5, 3.0):
        plane, weight = generator.random((2, *shape), F)
        top, bottom = gpu.smooth_by(gpu.upload(plane), gpu.upload(weight), sigma)
        yield gpu.download(top), reference.blur(weight * plane, sigma)
        yield gpu.download(bottom), reference.blur(weight, sigma)


@case("fill_in")
def fill_in(gpu: Gpu, shape: Shape, generator: np.random.Generator) -> Pairs:
    top, bottom = generator.random((2, *shape), F)
    rim = generator.random(tuple(-(-side // 2) for side in shape), F)
    held = gpu.upload(top), gpu.upload(bottom)
    wide = reference.expand(rim, *shape)
    found = gpu.fill_in(*held, gpu.upload(rim), 0.02)
    yield gpu.download(found), (top + F(0.02) * wide) / (bottom + F(0.02))
    yield gpu.download(gpu.fill_in(*held, None, 0.02)), top / bottom
