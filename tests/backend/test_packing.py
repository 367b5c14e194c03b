"""Running ranges, and pictures in the frames' dtype clamped to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.backend.protocol import Backend
from gpustack.model.frame import PixelType
from tests.backend.parts import empty_extent, empty_part, level_band
from tests.strategies import Shape, channel_counts, images, pixel_types, seeds, shapes

HEIGHT, WIDTH = 5, 7


@given(
    seed=seeds,
    count=st.integers(1, 6),
    channels=channel_counts,
    shape=shapes,
    kind=pixel_types,
    masked=st.booleans(),
)
def test_a_range_widens_where_frames_are_seen(
    backend: Backend[Any], seed: int, count: int, channels: int, shape: Shape, kind: PixelType, masked: bool
) -> None:
    generator = np.random.default_rng(seed)
    image = 1.5 * images(seed, count, channels, shape) - np.float32(0.25)  # beyond black and white, too
    covers = generator.random((count, *shape)) < (0.6 if masked else 2.0)
    covers[0] = True
    extents = [empty_extent(backend, channels, *shape, kind) for _ in range(2)]
    part = empty_part(backend, channels, *shape)
    for frame in range(count):
        band = level_band(backend, image[frame], covers=covers[frame] if masked else None)
        backend.fold_level(part, frame, band, 1.0, extents[frame % 2])
    backend.merge_extent(*extents)
    values = image.copy()
    if kind is not PixelType.FLOAT32:
        values = np.rint(image * np.float32(kind.white)).clip(0, kind.white)
    seen = np.broadcast_to(covers[:, None], values.shape)
    low = np.where(seen, values, np.inf).min(axis=0)
    high = np.where(seen, values, -np.inf).max(axis=0)
    np.testing.assert_array_equal(backend.download(extents[0].low), low.astype(kind.value))
    np.testing.assert_array_equal(backend.download(extents[0].high), high.astype(kind.value))


@pytest.mark.parametrize(("kind", "top"), [(PixelType.UINT8, 255), (PixelType.UINT16, 65535)])
def test_packing_rounds_to_the_nearest_level_and_saturates(
    backend: Backend[Any], kind: PixelType, top: int
) -> None:
    levels = np.array([-900, -0.6, -0.4, 0.4, 0.6, 3.45, 3.55, top - 0.6, top - 0.4, top, top + 0.6, 9 * top])
    image = (levels / top).astype(np.float32).reshape(1, 3, 4)
    packed = backend.pack(backend.upload(image), kind, None)
    assert packed.dtype == kind.value
    assert packed.shape == (3, 4, 1)
    assert packed.ravel().tolist() == [0, 0, 0, 0, 1, 3, 4, top - 1, top, top, top, top]


def test_packing_rounds_exact_halves_to_even(backend: Backend[Any]) -> None:
    """k / 510 is no float32, but multiples that come back as a half exactly must go to the even level."""
    halves = np.arange(255, dtype=np.float64) + 0.5
    image = (halves / 255).astype(np.float32)
    scaled = image * np.float32(255)
    exact = scaled == halves
    assert exact.sum() > 20
    packed = backend.pack(backend.upload(image.reshape(1, 1, -1)), PixelType.UINT8, None).ravel()
    np.testing.assert_array_equal(packed[exact], np.rint(halves[exact]))


@given(seed=seeds, channels=channel_counts, shape=shapes, kind=pixel_types)
def test_packing_clamps_to_the_range_and_moves_channels_last(
    backend: Backend[Any], seed: int, channels: int, shape: Shape, kind: PixelType
) -> None:
    image = images(seed, 3, channels, shape)
    low, high = image[1:].min(axis=0), image[1:].max(axis=0)
    extent, part = empty_extent(backend, channels, *shape, kind), empty_part(backend, channels, *shape)
    for number, frame in enumerate(image[1:]):
        backend.fold_level(part, number, level_band(backend, frame), 1.0, extent)
    packed = backend.pack(backend.upload(image[0]), kind, extent)
    wanted = np.moveaxis(np.clip(image[0], low, high), 0, -1)
    if kind is not PixelType.FLOAT32:
        wanted = np.rint(wanted * np.float32(kind.white))
    np.testing.assert_array_equal(packed, wanted.astype(kind.value))
    assert packed.flags.c_contiguous


@pytest.mark.parametrize("kind", list(PixelType))
def test_where_no_frame_was_seen_the_packed_value_is_zero(backend: Backend[Any], kind: PixelType) -> None:
    extent, part = empty_extent(backend, 2, HEIGHT, WIDTH, kind), empty_part(backend, 2, HEIGHT, WIDTH)
    covers = np.indices((HEIGHT, WIDTH)).sum(axis=0) % 2 == 0
    image = images(1, 1, 2, (HEIGHT, WIDTH))[0]
    backend.fold_level(part, 0, level_band(backend, image, covers=covers), 1.0, extent)
    packed = backend.pack(backend.full((2, HEIGHT, WIDTH), 0.9, "float32"), kind, extent)
    alone = backend.pack(backend.upload(image), kind, None)
    np.testing.assert_array_equal(packed, np.where(covers[..., None], alone, 0))
