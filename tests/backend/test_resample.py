"""`load`: rows of the canvas from a frame, against a bicubic written from its definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.backend.protocol import Backend
from gpustack.model.frame import PixelType
from gpustack.model.rect import Rows
from gpustack.model.transform import Transform
from tests.backend import plain
from tests.strategies import (
    Picture,
    band_heights,
    channel_counts,
    homographies,
    pictures,
    pixel_types,
    sides,
    similarities,
    transforms,
    whole_shifts,
)

TOLERANCE = 1e-4
"""Positions are float32, 8e-6 px wrong at most on these pictures; values -1..2 change by up to 9 a pixel."""

Loaded = tuple[Picture, Picture | None]


def unmoved(width: int, height: int) -> st.SearchStrategy[Transform]:
    return similarities(width, height, most=0.0)


@st.composite
def loads(draw: st.DrawFn, moves: Any) -> tuple[Picture, PixelType, Transform]:
    """A frame, its type, and one of the transforms that `moves(width, height)` gives."""
    height, width, channels, kind = draw(sides), draw(sides), draw(channel_counts), draw(pixel_types)
    return draw(pictures(height, width, channels, kind)), kind, draw(moves(width, height))


def load(
    backend: Backend[Any], frame: Picture, kind: PixelType, place: Transform, width: int, rows: Rows
) -> Loaded:
    """Image (c, h, w) and mask on the host."""
    band = backend.load(backend.upload(frame), place, kind, width, rows)
    return backend.download(band.image), None if band.valid is None else backend.download(band.valid)


def whole(backend: Backend[Any], frame: Picture, kind: PixelType, place: Transform) -> Loaded:
    height, width = frame.shape[:2]
    return load(backend, frame, kind, place, width, Rows(0, height))


@given(case=loads(unmoved))
def test_the_identity_passes_bit_for_bit(
    backend: Backend[Any], case: tuple[Picture, PixelType, Transform]
) -> None:
    frame, kind, place = case
    height, width = frame.shape[:2]
    band = backend.load(backend.upload(frame), place, kind, width, Rows(0, height))
    assert band.valid is None
    assert backend.pack(band.image, kind, None).tobytes() == frame.tobytes()


@given(case=loads(whole_shifts))
def test_a_whole_shift_copies_and_marks_what_lies_outside(
    backend: Backend[Any], case: tuple[Picture, PixelType, Transform]
) -> None:
    frame, kind, place = case
    height, width = frame.shape[:2]
    image, valid = whole(backend, frame, kind, place)
    x, y = (axis.astype(int) for axis in plain.positions(place, width, height))
    at = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    np.testing.assert_array_equal(backend.pack(backend.upload(image), kind, None), frame[at])
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if inside.all():
        assert valid is None
    else:
        np.testing.assert_array_equal(valid, np.where(inside, 255, 0))


@given(case=loads(transforms), rows=band_heights)
def test_bands_are_rows_of_the_whole(
    backend: Backend[Any], case: tuple[Picture, PixelType, Transform], rows: int
) -> None:
    frame, kind, place = case
    height, width = frame.shape[:2]
    image, valid = whole(backend, frame, kind, place)
    for start in range(0, height, rows):
        band = Rows(start, min(start + rows, height))
        part, part_valid = load(backend, frame, kind, place, width, band)
        assert part.tobytes() == image[:, band.slice].tobytes()
        wanted = np.full((len(band), width), 255, np.uint8) if valid is None else valid[band.slice]
        np.testing.assert_array_equal(np.uint8(255) if part_valid is None else part_valid, wanted)


def sub_pixel(width: int, height: int) -> st.SearchStrategy[Transform]:
    return st.one_of(similarities(width, height), homographies(width, height))


@given(case=loads(sub_pixel))
def test_values_are_bicubic(backend: Backend[Any], case: tuple[Picture, PixelType, Transform]) -> None:
    frame, kind, place = case
    height, width = frame.shape[:2]
    image, _ = whole(backend, frame, kind, place)
    x, y = plain.positions(place, width, height)
    values = frame.astype(np.float64) * (place.gain / kind.white)
    wanted = np.moveaxis(plain.bicubic(values, x, y), -1, 0)
    np.testing.assert_allclose(image, wanted, rtol=0, atol=TOLERANCE)


@given(case=loads(sub_pixel))
def test_the_mask_marks_positions_inside_the_frame(
    backend: Backend[Any], case: tuple[Picture, PixelType, Transform]
) -> None:
    frame, kind, place = case
    height, width = frame.shape[:2]
    _, valid = whole(backend, frame, kind, place)
    x, y = plain.positions(place, width, height)
    # How far inside the outermost pixels' centres, and the 1/64 px beyond them that still counts.
    depth = np.minimum.reduce([x, y, width - 1 - x, height - 1 - y]) + 1 / 64
    marked = np.ones(x.shape, bool) if valid is None else valid != 0
    assert marked[depth > 1e-4].all()
    assert not marked[depth < -1e-4].any()
    assert valid is None or set(np.unique(valid)) <= {0, 255}


@pytest.mark.parametrize("shift", [0.0, 0.5], ids=["copied", "resampled"])
def test_the_gain_multiplies_and_keeps_what_goes_beyond_white(backend: Backend[Any], shift: float) -> None:
    frame = np.full((4, 5, 3), 200, np.uint8)
    matrix = np.eye(3)
    matrix[0, 2] = shift
    image, _ = whole(backend, frame, PixelType.UINT8, Transform(matrix, 1.5))
    np.testing.assert_allclose(image, 300 / 255, rtol=1e-6)


def test_the_canvas_may_be_narrower_and_wider_than_the_frame(backend: Backend[Any]) -> None:
    frame = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    image, valid = load(backend, frame, PixelType.UINT8, Transform.identity(), 2, Rows(1, 3))
    assert valid is None
    np.testing.assert_allclose(image[0] * 255, [[4, 5], [8, 9]], rtol=1e-6)
    image, valid = load(backend, frame, PixelType.UINT8, Transform.identity(), 6, Rows(0, 1))
    np.testing.assert_allclose(image[0] * 255, [[0, 1, 2, 3, 3, 3]], rtol=1e-6)
    assert valid is not None
    assert valid.tolist() == [[255] * 4 + [0] * 2]
