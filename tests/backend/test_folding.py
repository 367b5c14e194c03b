"""Running winners and means against their closed formulas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.backend.protocol import Backend
from gpustack.backend.values import STEEP_POWER, Band, Mix, Part
from tests.backend.parts import empty_part, mask
from tests.strategies import Picture, Shape, channel_counts, images, seeds, shapes

counts = st.integers(1, 6)
noises = st.sampled_from([1e-9, 1e-4, 1.0])
HEIGHT, WIDTH = 5, 7
ROUNDING = {False: 3e-6, True: 2e-5}
"""How far a mean of values 0..1 may be off: a steep power enlarges the rounding of its base."""


def energies(seed: int, count: int, shape: Shape) -> Picture:
    """Energies (n, h, w) with ties, over six orders of magnitude."""
    steps = np.random.default_rng(seed).integers(0, 7, (count, *shape))
    return np.float32(10.0) ** (-steps.astype(np.float32))


def fold(
    backend: Backend[Any],
    part: Part[Any],
    frame: int,
    image: Picture,
    energy: Picture,
    covers: Picture | None = None,
) -> None:
    valid = None if covers is None else backend.upload(mask(covers))
    backend.fold_in(part, frame, backend.upload(image), backend.upload(energy), valid)


def assert_winners(backend: Backend[Any], part: Part[Any], energy: Picture, image: Picture) -> None:
    """Of all frames (n, ...) the first of those with the largest energy."""
    winner = energy.argmax(axis=0)
    np.testing.assert_array_equal(backend.download(part.best.frame), winner)
    np.testing.assert_array_equal(backend.download(part.best.energy), energy.max(axis=0))
    wanted = np.take_along_axis(image, winner[None, None], axis=0)[0]
    np.testing.assert_array_equal(backend.download(part.kept), wanted)
    assert part.best.last == len(energy) - 1


@given(seed=seeds, count=counts, channels=channel_counts, shape=shapes, shuffled=st.randoms())
def test_the_largest_energy_wins_and_ties_go_to_the_lower_frame(
    backend: Backend[Any], seed: int, count: int, channels: int, shape: Shape, shuffled: Any
) -> None:
    energy, image = energies(seed, count, shape), images(seed, count, channels, shape)
    part = empty_part(backend, channels, *shape)
    for frame in shuffled.sample(range(count), count):
        fold(backend, part, frame, image[frame], energy[frame])
    assert_winners(backend, part, energy, image)


@given(seed=seeds, count=st.integers(2, 6), shape=shapes, shuffled=st.randoms())
def test_merged_winners_are_the_winners_of_all(
    backend: Backend[Any], seed: int, count: int, shape: Shape, shuffled: Any
) -> None:
    energy, image = energies(seed, count, shape), images(seed, count, 2, shape)
    halves = empty_part(backend, 2, *shape), empty_part(backend, 2, *shape)
    for frame in range(count):
        fold(backend, halves[shuffled.randint(0, 1)], frame, image[frame], energy[frame])
    backend.merge(*halves)
    assert_winners(backend, halves[0], energy, image)


@given(seed=seeds, count=st.integers(2, 6), shape=shapes, shuffled=st.randoms())
def test_without_an_image_the_index_is_the_same(
    backend: Backend[Any], seed: int, count: int, shape: Shape, shuffled: Any
) -> None:
    energy, image = energies(seed, count, shape), images(seed, count, 1, shape)
    halves = empty_part(backend, 0, *shape), empty_part(backend, 0, *shape)
    for frame in shuffled.sample(range(count), count):
        fold(backend, halves[shuffled.randint(0, 1)], frame, image[frame], energy[frame])
    backend.merge(*halves)
    np.testing.assert_array_equal(backend.download(halves[0].best.frame), energy.argmax(axis=0))
    assert halves[0].kept is None


@pytest.mark.parametrize(
    ("noise", "steep"), [(None, False), (1e-4, False), (1e-2, True)], ids=["hard", "soft", "steep"]
)
def test_pixels_that_are_not_valid_never_win_and_weigh_nothing(
    backend: Backend[Any], noise: float | None, steep: bool
) -> None:
    """Wherever a frame does not cover, the part stays as it was, to the bit; also in the first frame."""
    covers = np.ones((HEIGHT, WIDTH), bool)
    covers[2] = False
    image, energy = images(0, 2, 2, (HEIGHT, WIDTH)), np.full((2, HEIGHT, WIDTH), 5.0, np.float32)
    part = empty_part(backend, 2, HEIGHT, WIDTH, noise, steep=steep)
    fold(backend, part, 3, image[0], energy[0], covers)
    np.testing.assert_array_equal(backend.download(part.best.frame), np.where(covers, 3, 65535))
    np.testing.assert_array_equal(backend.download(part.best.energy), np.where(covers, 5, -1))
    np.testing.assert_array_equal(backend.download(part.kept), np.where(covers, image[0], 0))
    fold(backend, part, 4, image[1], energy[1], ~covers)
    np.testing.assert_array_equal(backend.download(part.best.frame), np.where(covers, 3, 4))
    np.testing.assert_array_equal(backend.download(part.kept), np.where(covers, image[0], image[1]))


def weighted_mean(
    energy: Picture, image: Picture, covers: Picture, noise: float, steep: bool = False
) -> Picture:
    """The soft maximum in one go: weights ((e + n) / (largest e + n))^8, or of roots ^64; nothing where a
    frame does not cover."""
    level = energy.astype(np.float64) ** (0.5 if steep else 1)
    above = np.where(covers, level + noise, 0.0)
    weight = (above / above.max(axis=0)) ** (STEEP_POWER if steep else 8)
    return np.asarray((weight[:, None] * image).sum(axis=0) / weight.sum(axis=0))


def mixed(
    backend: Backend[Any],
    energy: Picture,
    image: Picture,
    covers: Picture,
    noise: float,
    frames: Sequence[int],
    steep: bool = False,
) -> Part[Any]:
    _, channels, height, width = image.shape
    part = empty_part(backend, channels, height, width, noise, steep=steep)
    for frame in frames:
        fold(backend, part, frame, image[frame], energy[frame], covers[frame])
    return part


def with_holes(seed: int, count: int, shape: Shape) -> Picture:
    """What frames cover (n, h, w): all of it in the first frame, and most in the others."""
    covers = np.random.default_rng(seed).random((count, *shape)) > 0.3
    covers[0] = True
    return covers


either_power = pytest.mark.parametrize("steep", [False, True], ids=["soft", "steep"])


@either_power
@given(seed=seeds, count=counts, channels=channel_counts, shape=shapes, noise=noises, shuffled=st.randoms())
def test_mixing_in_is_the_closed_weighted_mean(
    backend: Backend[Any],
    steep: bool,
    seed: int,
    count: int,
    channels: int,
    shape: Shape,
    noise: float,
    shuffled: Any,
) -> None:
    energy, image = energies(seed, count, shape), images(seed, count, channels, shape)
    covers, order = with_holes(seed, count, shape), shuffled.sample(range(count), count)
    part = mixed(backend, energy, image, covers, noise, order, steep)
    wanted = weighted_mean(energy, image, covers, noise, steep)
    np.testing.assert_allclose(backend.download(part.kept), wanted, atol=ROUNDING[steep])
    winner = np.where(covers, energy, -2).argmax(axis=0)
    np.testing.assert_array_equal(backend.download(part.best.frame), winner)


@either_power
@given(seed=seeds, count=st.integers(2, 6), channels=channel_counts, shape=shapes, noise=noises)
def test_merging_means_is_the_closed_weighted_mean(
    backend: Backend[Any], steep: bool, seed: int, count: int, channels: int, shape: Shape, noise: float
) -> None:
    energy, image = energies(seed, count, shape), images(seed, count, channels, shape)
    covers, middle = with_holes(seed, count, shape), count // 2
    runs = range(middle), range(middle, count)
    mine, theirs = (mixed(backend, energy, image, covers, noise, run, steep) for run in runs)
    backend.merge(mine, theirs)
    wanted = weighted_mean(energy, image, covers, noise, steep)
    np.testing.assert_allclose(backend.download(mine.kept), wanted, atol=ROUNDING[steep])
    winner = np.where(covers, energy, -2).argmax(axis=0)
    np.testing.assert_array_equal(backend.download(mine.best.frame), winner)


def test_equal_frames_average_and_a_sharper_one_takes_over(backend: Backend[Any]) -> None:
    image = np.stack([np.full((1, HEIGHT, WIDTH), value, np.float32) for value in (0.2, 0.4, 1.0)])
    flat, covers = np.zeros((3, HEIGHT, WIDTH), np.float32), np.ones((3, HEIGHT, WIDTH), bool)
    part = mixed(backend, flat, image, covers, 1e-4, range(3))
    np.testing.assert_allclose(backend.download(part.kept), 1.6 / 3, rtol=1e-6)
    flat[1] = 1.0
    part = mixed(backend, flat, image, covers, 1e-4, range(3))
    np.testing.assert_allclose(backend.download(part.kept), 0.4, rtol=1e-6)


def empty_sums(backend: Backend[Any], channels: int, shape: Shape) -> Mix[Any]:
    sums = empty_part(backend, channels, *shape, noise=0.0).mix
    assert sums is not None
    return sums


@given(seed=seeds, count=counts, channels=channel_counts, shape=shapes, masked=st.booleans())
def test_blending_is_linear_between_the_two_frames_next_to_the_surface(
    backend: Backend[Any], seed: int, count: int, channels: int, shape: Shape, masked: bool
) -> None:
    generator = np.random.default_rng(seed)
    depth = generator.uniform(0, count - 1, shape).astype(np.float32)
    image = images(seed, count, channels, shape)
    covers = generator.random((count, *shape)) < (0.6 if masked else 2.0)
    covers[0] = True
    sums, nearest = empty_sums(backend, channels, shape), empty_part(backend, channels, *shape).best
    for frame in range(count):
        valid = backend.upload(mask(covers[frame])) if masked else None
        band = Band(backend.upload(image[frame]), valid)
        backend.blend_in(sums, backend.upload(depth), frame, band)
        backend.keep_nearest(nearest, backend.upload(depth), frame, band)
    weight = np.maximum(0, 1 - np.abs(depth[None] - np.arange(count)[:, None, None])) * covers
    total = weight.sum(axis=0)
    blended = (weight[:, None] * image).sum(axis=0) / np.maximum(total, 1e-9)
    away = np.where(covers, np.abs(depth[None] - np.arange(count)[:, None, None]), np.inf)
    fallback = np.take_along_axis(image, away.argmin(axis=0)[None, None], axis=0)[0]
    wanted = np.where(total > 1e-6, blended, fallback)
    # A weight near nothing is rounding's.
    clear = (total < 1e-7) | (total > 1e-3)
    found = backend.download(backend.blended(sums, nearest))
    np.testing.assert_allclose(found[:, clear], wanted[:, clear], atol=1e-3)
    np.testing.assert_allclose(backend.download(sums.total), total, atol=1e-6)


def test_merged_sums_add_up(backend: Backend[Any]) -> None:
    a, b = (empty_sums(backend, 1, (HEIGHT, WIDTH)) for _ in range(2))
    for sums, value in ((a, 0.25), (b, 0.5)):
        backend.fill(sums.mean, value)
        backend.fill(sums.total, 2 * value)
    backend.merge_sums(a, b)
    assert (backend.download(a.mean) == 0.75).all()
    assert (backend.download(backend.blended(a, None)) == 0.5).all()
