"""The surface through the sharpest frames: planes, steps, holes, and how far it is to be trusted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.backend.protocol import Backend
from gpustack.depth.sight import Sight
from gpustack.depth.surface import Surface, surface
from tests.strategies import Picture, seeds, sides

HEIGHT, WIDTH = 96, 128
FLOOR = 1e-4
FRAMES = 20
STRONG = 100 * FLOOR
NOISE = 0.005
SIGMA = 2.0


def seen(
    backend: Backend[Any],
    depths: Picture,
    energies: Picture | float = STRONG,
    variances: Picture | float = 1.0,
    luma: Picture | float = 0.5,
) -> Surface:
    planes = (np.broadcast_to(np.float32(values), depths.shape) for values in (variances, energies, luma))
    return surface(
        backend,
        Sight(depths.astype(np.float32), *(plane.copy() for plane in planes), coded=True, sigma=SIGMA),
        FLOOR,
        NOISE,
    )


def plane(across: float = 8.0, down: float = 6.0) -> Picture:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return 3 + across * x / WIDTH + down * y / HEIGHT


@pytest.mark.parametrize("noise", [0.0, 0.5, 1.0])
def test_a_slanted_plane_is_found_between_the_frames(backend: Backend[Any], noise: float) -> None:
    true = plane()
    winners = np.rint(true + noise * np.random.default_rng(1).normal(size=true.shape)).clip(0, FRAMES - 1)
    off = np.abs(seen(backend, winners).depth - true)
    inside = off[8:-8, 8:-8]
    assert np.sqrt((inside**2).mean()) < 0.3
    assert np.quantile(inside, 0.95) < 0.5


def test_wild_winners_here_and_there_are_left_out(backend: Backend[Any]) -> None:
    true, generator = plane(), np.random.default_rng(2)
    wild = generator.random(true.shape) < 0.1
    winners = np.where(wild, generator.integers(0, FRAMES, true.shape), np.rint(true))
    off = np.abs(seen(backend, winners).depth - true)[8:-8, 8:-8]
    assert np.sqrt((off**2).mean()) < 0.3


@pytest.mark.parametrize("low_high", [(2, 5), (3, 15)], ids=["small", "large"])
def test_a_step_stays_a_step(backend: Backend[Any], low_high: tuple[int, int]) -> None:
    low, high = low_high
    winners = np.where(np.arange(WIDTH) < 61, low, high) * np.ones((HEIGHT, 1))
    depth = seen(backend, winners).depth
    np.testing.assert_allclose(depth[:, :60], low, atol=1.0)
    np.testing.assert_allclose(depth[:, 62:], high, atol=1.0)
    np.testing.assert_allclose(depth[:, :50], low, atol=0.05)
    np.testing.assert_allclose(depth[:, 72:], high, atol=0.05)


def test_a_hole_is_filled_from_its_rim(backend: Backend[Any]) -> None:
    true, generator = plane(4.0, 0.0), np.random.default_rng(3)
    hole = np.zeros(true.shape, bool)
    hole[30:66, 40:88] = True
    winners = np.where(hole, generator.integers(0, FRAMES, true.shape), np.rint(true))
    energies = np.where(hole, FLOOR / 2, STRONG)
    found = seen(backend, winners, energies)
    off = np.abs(found.depth - true)
    assert off[hole].max() < 0.8
    assert np.sqrt((off[hole] ** 2).mean()) < 0.4
    assert (found.confidence[hole] == 0).all()


def test_what_is_seen_weighs_more_than_what_is_guessed(backend: Backend[Any]) -> None:
    """Random winners of little confidence between good ones must not pull the surface away."""
    true, generator = plane(), np.random.default_rng(4)
    weak = np.indices(true.shape).sum(axis=0) // 12 % 3 == 0
    winners = np.where(weak, generator.integers(0, FRAMES, true.shape), np.rint(true))
    found = seen(backend, winners, np.where(weak, 1.05 * FLOOR, STRONG))
    off = np.abs(found.depth - true)[8:-8, 8:-8]
    assert np.sqrt((off**2).mean()) < 0.5


@given(seed=seeds, height=sides, width=sides, top=st.integers(0, 30))
def test_the_surface_keeps_to_the_range_of_the_winners(
    backend: Backend[Any], seed: int, height: int, width: int, top: int
) -> None:
    generator = np.random.default_rng(seed)
    winners = generator.integers(0, top + 1, (height, width))
    energies = (10.0 ** generator.uniform(-8, 0, (height, width))).astype(np.float32)
    energies[generator.random((height, width)) < 0.1] = 0
    found = seen(backend, winners, energies)
    assert found.depth.shape == found.confidence.shape == (height, width)
    assert found.depth.dtype == found.confidence.dtype == np.float32
    assert found.depth.min() >= winners.min()
    assert found.depth.max() <= winners.max()
    assert found.confidence.min() >= 0
    assert found.confidence.max() <= 1


@given(seed=seeds, height=sides, width=sides, depth=st.integers(0, 30))
def test_one_depth_everywhere_is_kept_to_the_bit(
    backend: Backend[Any], seed: int, height: int, width: int, depth: int
) -> None:
    energies = np.random.default_rng(seed).random((height, width), np.float32)
    found = seen(backend, np.full((height, width), depth), energies)
    np.testing.assert_array_equal(found.depth, np.float32(depth))


def test_confidence_is_none_in_noise_and_full_in_texture(backend: Backend[Any]) -> None:
    winners = np.zeros((2, 4))
    energies = np.array([[-2, -1, 0, FLOOR / 2], [FLOOR, 2 * FLOOR, 100 * FLOOR, 1.0]], np.float32)
    found = seen(backend, winners, energies).confidence
    np.testing.assert_array_equal(found[0], 0)
    np.testing.assert_allclose(found[1], [0, 0.5, 0.99, 1 - FLOOR], atol=1e-4)


def test_confidence_falls_where_the_peak_is_broader_than_most(backend: Backend[Any]) -> None:
    variances = np.full((9, 9), 2.0)
    variances[0, :4] = 0.0, 1.0, 4.0, 20.0
    found = seen(backend, np.zeros((9, 9)), 1.0, variances).confidence
    np.testing.assert_allclose(found[0, :5], [1, 1, 0.25, 0.01, 1], atol=2e-4)


def test_two_peaks_are_left_to_their_neighbours(backend: Backend[Any]) -> None:
    """The mean of a near and a far peak is neither, however high they are."""
    true = plane()
    torn = np.zeros(true.shape, bool)
    torn[40:50, 60:70] = True
    off = np.abs(seen(backend, np.where(torn, 18, true), STRONG, np.where(torn, 40.0, 1.0)).depth - true)
    assert off[torn].max() < 0.5
    assert np.abs(seen(backend, np.where(torn, 18, true)).depth - true)[torn].max() > 2


def test_a_step_of_the_picture_holds_the_step_of_the_depth(backend: Backend[Any]) -> None:
    """What is smoothed is smoothed on either side of the line."""
    left = np.arange(WIDTH) < 61
    true = np.where(left, 4.0, 7.0) * np.ones((HEIGHT, 1))
    generator = np.random.default_rng(6)
    depths = true + generator.normal(0, 0.5, true.shape)
    luma = np.where(left, 0.3, 0.6) + generator.normal(0, NOISE, true.shape)
    off = [
        np.abs(seen(backend, depths, luma=guide).depth - true)[8:-8, 57:65].mean() for guide in (luma, 0.5)
    ]
    assert off[0] < 0.7 * off[1]


def test_texture_on_a_smooth_surface_leaves_no_trace(backend: Backend[Any]) -> None:
    luma = 0.5 + 0.3 * np.sign(np.random.default_rng(7).normal(size=(HEIGHT, WIDTH)))
    off = seen(backend, plane(), luma=luma).depth - plane()
    assert np.abs(off[8:-8, 8:-8]).max() < 0.05


def test_confidence_rises_with_energy(backend: Backend[Any]) -> None:
    energies = np.geomspace(FLOOR / 10, 1, 50, dtype=np.float32)[None]
    found = seen(backend, np.zeros((1, 50)), energies).confidence[0]
    assert (np.diff(found) >= 0).all()


def test_its_arguments_stay_as_they_were(backend: Backend[Any]) -> None:
    generator = np.random.default_rng(5)
    planes = [generator.random((20, 30), np.float32) for _ in range(4)]
    kept = [plane.copy() for plane in planes]
    surface(backend, Sight(*planes, coded=True, sigma=SIGMA), FLOOR, NOISE)
    for found, wanted in zip(planes, kept, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_pixels_that_no_frame_covers_do_not_spoil_their_neighbours(backend: Backend[Any]) -> None:
    """A fold leaves the index 65535 and the energy -1 where nothing was seen."""
    winners, energies = np.full((HEIGHT, WIDTH), 4), np.full((HEIGHT, WIDTH), STRONG, np.float32)
    unseen = (np.arange(HEIGHT) < 20)[:, None] | (np.arange(WIDTH) < 30)
    winners[unseen], energies[unseen] = 65535, -1
    found = seen(backend, winners, energies)
    np.testing.assert_allclose(found.depth, 4, atol=1e-4)
    assert (found.confidence[unseen] == 0).all()
    assert (found.confidence[~unseen] > 0.98).all()


def test_where_no_frame_covers_anything_the_surface_is_at_the_first(backend: Backend[Any]) -> None:
    found = seen(backend, np.full((5, 6), 65535), -1.0)
    assert not found.depth.any()
    assert not found.confidence.any()
