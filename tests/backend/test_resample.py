"""`load`: rows of the canvas from a frame, against bicubic and Lanczos written from their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.backend.cpu import Cpu
from gpustack.backend.protocol import Backend
from gpustack.model.frame import PixelType
from gpustack.model.rect import Rows
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform
from gpustack.settings import Interpolation
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
"""Positions are float32, 8e-6 px wrong at most on these pictures; values -1..2 change by up to 10 a pixel."""

Loaded = tuple[Picture, Picture | None]
Loads = tuple[Picture, PixelType, Transform]

every_interpolation = pytest.mark.parametrize("interpolation", list(Interpolation))


def unmoved(width: int, height: int) -> st.SearchStrategy[Transform]:
    return similarities(width, height, most=0.0)


@st.composite
def loads(draw: st.DrawFn, moves: Any) -> Loads:
    """A frame, its type, and one of the transforms that `moves(width, height)` gives."""
    height, width, channels, kind = draw(sides), draw(sides), draw(channel_counts), draw(pixel_types)
    return draw(pictures(height, width, channels, kind)), kind, draw(moves(width, height))


def load(
    backend: Backend[Any],
    frame: Picture,
    kind: PixelType,
    place: Transform,
    width: int,
    rows: Rows,
    interpolation: Interpolation,
) -> Loaded:
    """Image (c, h, w) and mask on the host."""
    band = backend.load(backend.upload(frame), place, kind, width, rows, interpolation=interpolation)
    return backend.download(band.image), None if band.valid is None else backend.download(band.valid)


def whole(backend: Backend[Any], case: Loads, interpolation: Interpolation) -> Loaded:
    frame, kind, place = case
    height, width = frame.shape[:2]
    return load(backend, frame, kind, place, width, Rows(0, height), interpolation)


@every_interpolation
@given(case=loads(unmoved))
def test_the_identity_passes_bit_for_bit(
    backend: Backend[Any], interpolation: Interpolation, case: Loads
) -> None:
    frame, kind, place = case
    height, width = frame.shape[:2]
    rows = Rows(0, height)
    band = backend.load(backend.upload(frame), place, kind, width, rows, interpolation=interpolation)
    assert band.valid is None
    assert backend.pack(band.image, kind, None).tobytes() == frame.tobytes()


@every_interpolation
@given(case=loads(whole_shifts))
def test_a_whole_shift_copies_and_marks_what_lies_outside(
    backend: Backend[Any], interpolation: Interpolation, case: Loads
) -> None:
    frame, kind, place = case
    height, width = frame.shape[:2]
    image, valid = whole(backend, case, interpolation)
    x, y = (axis.astype(int) for axis in plain.positions(place, width, height))
    at = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    np.testing.assert_array_equal(backend.pack(backend.upload(image), kind, None), frame[at])
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if inside.all():
        assert valid is None
    else:
        np.testing.assert_array_equal(valid, np.where(inside, 255, 0))


@every_interpolation
@given(case=loads(transforms), rows=band_heights)
def test_bands_are_rows_of_the_whole(
    backend: Backend[Any], interpolation: Interpolation, case: Loads, rows: int
) -> None:
    height, width = case[0].shape[:2]
    image, valid = whole(backend, case, interpolation)
    for start in range(0, height, rows):
        band = Rows(start, min(start + rows, height))
        part, part_valid = load(backend, *case, width, band, interpolation)
        assert part.tobytes() == image[:, band.slice].tobytes()
        wanted = np.full((len(band), width), 255, np.uint8) if valid is None else valid[band.slice]
        np.testing.assert_array_equal(np.uint8(255) if part_valid is None else part_valid, wanted)


def sub_pixel(width: int, height: int) -> st.SearchStrategy[Transform]:
    return st.one_of(similarities(width, height), homographies(width, height))


@every_interpolation
@given(case=loads(sub_pixel))
def test_values_are_those_of_the_definition(
    backend: Backend[Any], interpolation: Interpolation, case: Loads
) -> None:
    frame, kind, place = case
    height, width = frame.shape[:2]
    image, _ = whole(backend, case, interpolation)
    x, y = plain.positions(place, width, height)
    gain, offset = (np.array(own) for own in place.tone.of_channels(frame.shape[2]))
    values = frame.astype(np.float64) * (gain / kind.white)
    wanted = np.moveaxis(plain.interpolated(values, x, y, interpolation) + offset, -1, 0)
    np.testing.assert_allclose(image, wanted, rtol=0, atol=TOLERANCE)


@given(case=loads(sub_pixel))
def test_lanczos_is_the_same_everywhere_to_the_last_bit(backend: Backend[Any], case: Loads) -> None:
    image, _ = whole(backend, case, Interpolation.LANCZOS)
    wanted, _ = whole(Cpu(1), case, Interpolation.LANCZOS)
    np.testing.assert_array_equal(image, wanted)


@every_interpolation
def test_a_quarter_turn_copies(backend: Backend[Any], interpolation: Interpolation) -> None:
    frame = np.random.default_rng(0).random((9, 9, 3), np.float32)
    turned = Transform(np.array([[0.0, -1, 8], [1, 0, 0], [0, 0, 1]]))  # a quarter, about the middle
    image, valid = whole(backend, (frame, PixelType.FLOAT32, turned), interpolation)
    assert valid is None
    np.testing.assert_array_equal(image, np.moveaxis(frame[:, ::-1].swapaxes(0, 1), -1, 0))


@every_interpolation
@pytest.mark.parametrize("shift", [(0.4, 0.3), (-30.5, 0.25), (0.5, 41.5), (1e6, -1e6 - 0.5)])
def test_a_plain_frame_stays_plain_within_and_far_beyond_its_edges(
    backend: Backend[Any], interpolation: Interpolation, shift: tuple[float, float]
) -> None:
    frame = np.full((11, 13, 2), 51_000, np.uint16)
    turned = Transform(np.array([[1.01, 0.02, shift[0]], [-0.02, 1.01, shift[1]], [0, 0, 1]]))
    image, _ = whole(backend, (frame, PixelType.UINT16, turned), interpolation)
    np.testing.assert_allclose(image, 51_000 / 65_535, rtol=1e-6)


@every_interpolation
def test_beyond_an_edge_its_pixels_repeat(backend: Backend[Any], interpolation: Interpolation) -> None:
    frame = np.random.default_rng(0).random((8, 6, 1), np.float32)
    for shift, edge in (((-9.5, 0.0), frame[:, :1]), ((9.5, 0.0), frame[:, -1:])):
        away = Transform(np.array([[1.0, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]]))
        image, valid = whole(backend, (frame, PixelType.FLOAT32, away), interpolation)
        np.testing.assert_allclose(image[0], np.broadcast_to(edge[..., 0], (8, 6)), rtol=1e-6)
        assert valid is not None
        assert not valid.any()


@every_interpolation
@given(case=loads(sub_pixel))
def test_the_mask_marks_positions_inside_the_frame(
    backend: Backend[Any], interpolation: Interpolation, case: Loads
) -> None:
    height, width = case[0].shape[:2]
    _, valid = whole(backend, case, interpolation)
    x, y = plain.positions(case[2], width, height)
    # How far inside the outermost pixels' centres, and the 1/64 px beyond them that still counts.
    depth = np.minimum.reduce([x, y, width - 1 - x, height - 1 - y]) + 1 / 64
    marked = np.ones(x.shape, bool) if valid is None else valid != 0
    assert marked[depth > 1e-4].all()
    assert not marked[depth < -1e-4].any()
    assert valid is None or set(np.unique(valid)) <= {0, 255}


@every_interpolation
@pytest.mark.parametrize("shift", [0.0, 0.5], ids=["copied", "resampled"])
def test_the_gain_multiplies_and_keeps_what_goes_beyond_white(
    backend: Backend[Any], interpolation: Interpolation, shift: float
) -> None:
    frame = np.full((4, 5, 3), 200, np.uint8)
    matrix = np.eye(3)
    matrix[0, 2] = shift
    image, _ = whole(backend, (frame, PixelType.UINT8, Transform(matrix, Tone((1.5,)))), interpolation)
    np.testing.assert_allclose(image, 300 / 255, rtol=1e-6)


@every_interpolation
@pytest.mark.parametrize("shift", [0.0, 0.5], ids=["copied", "resampled"])
def test_colours_have_their_own_tone_and_alpha_has_none(
    backend: Backend[Any], interpolation: Interpolation, shift: float
) -> None:
    matrix = np.eye(3)
    matrix[0, 2] = shift
    place = Transform(matrix, Tone((1.5, 1.0, 0.5), (0.1, 0.0, -0.2)))
    wanted = {1: [1.1], 2: [1.1, 1.0], 3: [1.6, 1.0, 0.3], 4: [1.6, 1.0, 0.3, 1.0]}
    luma = 0.299 * 1.5 + 0.587 + 0.114 * 0.5 + 0.299 * 0.1 - 0.114 * 0.2
    wanted[1][0] = wanted[2][0] = luma
    for channels, values in wanted.items():
        frame = np.full((4, 5, channels), 255, np.uint8)
        image, _ = whole(backend, (frame, PixelType.UINT8, place), interpolation)
        np.testing.assert_allclose(image, np.broadcast_to(np.array(values)[:, None, None], image.shape), 1e-6)


def test_the_canvas_may_be_narrower_and_wider_than_the_frame(backend: Backend[Any]) -> None:
    frame, still = np.arange(12, dtype=np.uint8).reshape(3, 4, 1), Transform.identity()
    image, valid = load(backend, frame, PixelType.UINT8, still, 2, Rows(1, 3), Interpolation.BICUBIC)
    assert valid is None
    np.testing.assert_allclose(image[0] * 255, [[4, 5], [8, 9]], rtol=1e-6)
    image, valid = load(backend, frame, PixelType.UINT8, still, 6, Rows(0, 1), Interpolation.BICUBIC)
    np.testing.assert_allclose(image[0] * 255, [[0, 1, 2, 3, 3, 3]], rtol=1e-6)
    assert valid is not None
    assert valid.tolist() == [[255] * 4 + [0] * 2]


@every_interpolation
def test_a_wide_canvas_begins_as_a_narrow_one_does(
    backend: Backend[Any], interpolation: Interpolation
) -> None:
    frame = np.random.default_rng(0).random((7, 20, 3), np.float32)
    moved = Transform(np.array([[1.01, 0.02, -0.4], [-0.02, 1.01, 0.3], [0, 0, 1]]))
    narrow, wide = (
        load(backend, frame, PixelType.FLOAT32, moved, width, Rows(0, 7), interpolation)[0]
        for width in (3, 41)
    )
    np.testing.assert_array_equal(wide[..., :3], narrow)
