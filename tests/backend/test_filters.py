"""Each filter against plain NumPy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.backend.matching import BURNT
from gpustack.backend.protocol import Backend
from gpustack.backend.values import EVIDENCE, MEASURE_NOISE
from gpustack.model.frame import PixelType
from tests.backend import plain
from tests.backend.parts import level, sharpness
from tests.strategies import channel_counts, seeds, sides

TOLERANCE = 2e-6
"""Some dozen float32 roundings of sums of values 0..1."""


def image(seed: int, channels: int, height: int, width: int) -> Any:
    return np.random.default_rng(seed).random((channels, height, width), np.float32)


def assert_close(backend: Backend[Any], got: Any, wanted: Any, tolerance: float = TOLERANCE) -> None:
    assert_near(backend.download(got), wanted, tolerance)


def assert_near(found: Any, wanted: Any, tolerance: float = TOLERANCE) -> None:
    assert found.dtype == np.float32
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


@given(seed=seeds, height=sides, width=sides, sigma=st.sampled_from([0.75, 1.0, 1.5, 2.0, 3.0]))
def test_smoothing_by_a_weight(
    backend: Backend[Any], seed: int, height: int, width: int, sigma: float
) -> None:
    plane, weight = image(seed, 2, height, width)
    top, bottom = backend.smooth_by(backend.upload(plane), backend.upload(weight), sigma)
    assert_close(backend, top, plain.smooth(weight * plane, sigma))
    assert_close(backend, bottom, plain.smooth(weight, sigma))


@given(seed=seeds, height=sides, width=sides, sigma=st.sampled_from([1.5, 2.0, 4.0]))
def test_band_pass(backend: Backend[Any], seed: int, height: int, width: int, sigma: float) -> None:
    plane = image(seed, 1, height, width)[0]
    held = backend.upload(plane)
    blurred = plain.expand(plain.smooth(plain.reduce(plane), (sigma**2 - 2) ** 0.5 / 2), height, width)
    assert_close(backend, backend.band_pass(held, backend.reduce(held), sigma), plane - blurred)


def test_a_band_pass_takes_a_gaussian_away(backend: Backend[Any]) -> None:
    plane = image(3, 1, 101, 80)[0]
    held = backend.upload(plane)
    found = backend.download(backend.band_pass(held, backend.reduce(held), 4.0))
    inner = (slice(12, -12),) * 2
    away = np.abs(found - (plane - plain.smooth(plane, 4.0)))[inner]
    assert away.max() < 0.05 * np.abs(found[inner]).max()


def own(backend: Backend[Any], plane: Any) -> Any:
    """A plane that may be changed: what was uploaded may not."""
    held = backend.full(plane.shape, 0.0, "float32")
    backend.copy(backend.upload(plane), held)
    return held


@given(seed=seeds, height=sides, width=sides, sigma=st.sampled_from([4.0, 8.0]))
def test_even_out(backend: Backend[Any], seed: int, height: int, width: int, sigma: float) -> None:
    plane = image(seed, 1, height, width)[0] - np.float32(0.5)
    high, wide = min(4, height), min(4, width)
    rows, columns = height // high, width // wide
    blocks = plane[: rows * high, : columns * wide].astype(float).reshape(rows, high, columns, wide)
    energy = (blocks**2).mean(axis=(1, 3))
    gain = np.sqrt(energy.mean() / (plain.smooth(energy, sigma / 4) + energy.mean()))
    for axis, (cell, length) in enumerate(((high, height), (wide, width))):
        middles = np.arange(gain.shape[axis]) * cell + (cell - 1) / 2
        gain = np.apply_along_axis(
            lambda line, at=middles, n=length: np.interp(np.arange(n), at, line), axis, gain
        )
    assert_close(backend, backend.even_out(own(backend, plane), sigma), plane * gain)


def test_evening_out_brings_strong_and_weak_closer(backend: Backend[Any]) -> None:
    plane = image(4, 1, 96, 128)[0] - np.float32(0.5)
    plane[:, :64] *= np.float32(0.1)
    found = backend.download(backend.even_out(own(backend, plane), 8.0))
    weak, strong = found[:, :40].std() / plane[:, :40].std(), found[:, 88:].std() / plane[:, 88:].std()
    assert 0.9 < weak <= 1.0  # what is weak is left as it is: it may be noise
    assert strong == pytest.approx(1 / np.sqrt(1 + 1 / 0.505), rel=0.05)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_plane_that_is_even_stays_so(backend: Backend[Any], value: float) -> None:
    found = backend.download(backend.even_out(own(backend, np.full((9, 14), value, np.float32)), 8.0))
    np.testing.assert_allclose(found, value / np.sqrt(2), atol=1e-6)


@given(
    seed=seeds,
    channels=channel_counts,
    height=sides,
    width=sides,
    sigma=st.sampled_from([0.75, 1.0, 2.0, 2.5]),
)
def test_sharpness_is_that_of_the_luma(
    backend: Backend[Any], seed: int, channels: int, height: int, width: int, sigma: float
) -> None:
    picture = image(seed, channels, height, width)
    assert_near(sharpness(backend, picture, sigma), plain.sharpness(plain.luma(picture), sigma), 1e-5)


@pytest.mark.parametrize("sigma", [1.5, 2.0])
def test_white_noise_gives_the_sharpness_that_is_stated(backend: Backend[Any], sigma: float) -> None:
    noise = np.random.default_rng(1).normal(0, 0.02, (1, 600, 600)).astype(np.float32)
    mean = float(sharpness(backend, noise, sigma).mean())
    assert mean / 0.02**2 == pytest.approx(MEASURE_NOISE, rel=0.02)


@given(seed=seeds, channels=channel_counts, height=sides, width=sides)
def test_reduce(backend: Backend[Any], seed: int, channels: int, height: int, width: int) -> None:
    picture = image(seed, channels, height, width)
    wanted = np.stack([plain.reduce(plane) for plane in picture])
    assert wanted.shape[1:] == (-(-height // 2), -(-width // 2))
    assert_close(backend, backend.reduce(backend.upload(picture)), wanted)


@given(seed=seeds, height=sides, width=sides, weight=st.sampled_from([0.02, 1.0]))
def test_filling_in_adds_the_expanded_rim(
    backend: Backend[Any], seed: int, height: int, width: int, weight: float
) -> None:
    coarse = image(seed, 1, -(-height // 2), -(-width // 2))[0]
    top, bottom = image(seed + 1, 2, height, width)
    found = backend.fill_in(backend.upload(top), backend.upload(bottom), backend.upload(coarse), weight)
    wide = plain.expand(coarse, height, width)
    assert_close(backend, found, (top + weight * wide) / (bottom + weight), 1e-5)
    nothing = backend.full((height, width), 0.0, "float32")
    assert_close(backend, backend.fill_in(nothing, nothing, backend.upload(coarse), weight), wide)


def test_without_a_rim_the_quotient_is_left_and_nothing_is_divided_by_zero(backend: Backend[Any]) -> None:
    top, bottom = (np.array([line], np.float32) for line in ([0.0, 1.0, 3.0], [0.0, 2.0, 4.0]))
    found = backend.fill_in(backend.upload(top), backend.upload(bottom), None, 0.02)
    assert backend.download(found).tolist() == [[0.0, 0.5, 0.75]]


@given(seed=seeds, channels=channel_counts, height=sides, width=sides)
def test_detail_is_what_expanding_misses_and_add_detail_undoes_it(
    backend: Backend[Any], seed: int, channels: int, height: int, width: int
) -> None:
    picture = image(seed, channels, height, width)
    detail, _ = level(backend, picture, 1.0)
    smooth = [plain.expand(plain.reduce(plane), height, width) for plane in picture]
    assert_near(detail, picture - np.stack(smooth))
    coarse = backend.reduce(backend.upload(picture))
    whole = backend.add_detail(coarse, backend.upload(detail), height, slice(0, height))
    assert_close(backend, whole, picture)


@given(seed=seeds, channels=channel_counts, height=sides, width=sides)
def test_add_detail_takes_the_rows_it_is_told(
    backend: Backend[Any], seed: int, channels: int, height: int, width: int
) -> None:
    coarse = image(seed, channels, -(-height // 2), -(-width // 2))
    rows = slice(height // 3, height - height // 4)
    detail = image(seed + 1, channels, height, width)[:, rows]
    found = backend.add_detail(backend.upload(coarse), backend.upload(detail), height, rows)
    smooth = np.stack([plain.expand(plane, height, width)[rows] for plane in coarse])
    assert_close(backend, found, smooth + detail)


@given(
    seed=seeds,
    channels=channel_counts,
    height=sides,
    width=sides,
    sigma=st.sampled_from([0.75, 1.0, 1.5]),
    heard=st.booleans(),
)
def test_a_levels_energy_is_smoothed_squared_luma_and_the_evidence(
    backend: Backend[Any], seed: int, channels: int, height: int, width: int, sigma: float, heard: bool
) -> None:
    picture = image(seed, channels, height, width)
    evidence = image(seed + 1, 1, height, width)[0] if heard else None
    detail, energy = level(backend, picture, sigma, evidence)
    wanted = plain.smooth(plain.luma(detail) ** 2, sigma)
    assert_near(energy, wanted + (EVIDENCE * evidence if evidence is not None else 0))


@given(seed=seeds, height=sides, width=sides)
def test_median_of_5x5_with_the_edge_repeated(
    backend: Backend[Any], seed: int, height: int, width: int
) -> None:
    plane = image(seed, 1, height, width)[0]
    wide = np.pad(plane, 2, mode="edge")
    wanted = np.median(np.lib.stride_tricks.sliding_window_view(wide, (5, 5)), axis=(2, 3))
    assert_close(backend, backend.median(backend.upload(plane)), wanted, 0)


@given(seed=seeds, height=sides, width=sides)
def test_a_shrunk_mask_is_set_where_reduce_reads_set_pixels_only(
    backend: Backend[Any], seed: int, height: int, width: int
) -> None:
    mask = np.where(np.random.default_rng(seed).random((height, width)) < 0.9, 255, 0).astype(np.uint8)
    found = backend.download(backend.shrink_mask(backend.upload(mask)))
    unset = np.pad(mask == 0, 2)
    wanted = ~np.lib.stride_tricks.sliding_window_view(unset, (5, 5)).any(axis=(2, 3))[::2, ::2]
    np.testing.assert_array_equal(found, np.where(wanted, 255, 0))


@given(seed=seeds, channels=channel_counts, height=sides, width=sides, factor=st.sampled_from([1, 2, 3, 8]))
def test_the_surveys_luma_is_the_mean_of_blocks(
    backend: Backend[Any], seed: int, channels: int, height: int, width: int, factor: int
) -> None:
    frame = np.random.default_rng(seed).integers(0, 65536, (height, width, channels)).astype(np.uint16)
    found = backend.survey_luma(backend.upload(frame), PixelType.UINT16, factor)
    high, wide = max(1, height // factor), max(1, width // factor)
    luma = plain.luma(np.moveaxis(frame, -1, 0) / 65535)[: high * factor, : wide * factor]
    # A frame smaller than a block is one block.
    blocks = [np.array_split(row, wide, axis=1) for row in np.array_split(luma, high, axis=0)]
    assert_close(backend, found, np.array([[block.mean() for block in row] for row in blocks]))


@pytest.mark.parametrize("linear", [False, True])
@given(seed=seeds, channels=channel_counts, height=sides, width=sides, factor=st.sampled_from([1, 2, 3, 8]))
def test_light_is_the_mean_of_what_values_stand_for(
    backend: Backend[Any], seed: int, channels: int, height: int, width: int, factor: int, linear: bool
) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (height, width, channels)).astype(np.uint8)
    found = backend.light(backend.upload(frame), PixelType.UINT8, factor, linear)
    high, wide = min(factor, height), min(factor, width)
    rows, columns, colours = height // high, width // wide, 3 if channels > 2 else 1
    values = frame[: rows * high, : columns * wide, :colours] / 255
    decoded = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    lit = np.where(values < BURNT, values if linear else decoded, np.inf)
    wanted = lit.reshape(rows, high, columns, wide, colours).mean((1, 3))
    np.testing.assert_allclose(found, np.moveaxis(wanted, -1, 0), atol=TOLERANCE if linear else 0.002)


@given(seed=seeds, height=sides, width=sides)
def test_a_plane_is_decoded_to_light(backend: Backend[Any], seed: int, height: int, width: int) -> None:
    values = np.random.default_rng(seed).uniform(-0.1, 1, (height, width)).astype(np.float32)
    found = backend.download(backend.to_light(backend.upload(values)))
    coded = np.maximum(values, 0)
    decoded = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    np.testing.assert_allclose(found, decoded, atol=0.002)


def test_a_thumbnail_keeps_the_mean_and_is_as_large_as_asked(backend: Backend[Any]) -> None:
    plane = image(4, 1, 120, 200)[0]
    small = backend.thumbnail(backend.upload(plane), 50)
    assert small.shape == (30, 50)
    np.testing.assert_allclose(small, plane.reshape(30, 4, 50, 4).mean((1, 3)), atol=TOLERANCE)
    np.testing.assert_array_equal(backend.thumbnail(backend.upload(plane), 500), plane)
