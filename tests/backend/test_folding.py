"""Running winners, means and ranges against their closed formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.backend.protocol import Backend, Band, Best, Extent, Mix
from gpustack.model.frame import PixelType
from tests.strategies import Picture, channel_counts, pixel_types, seeds

HEIGHT, WIDTH = 5, 7
counts = st.integers(1, 6)


def best(backend: Backend[Any], channels: int = 0) -> Best[Any]:
    image = backend.full((channels, HEIGHT, WIDTH), 0.0, "float32") if channels else None
    energy, frame = (
        backend.full((HEIGHT, WIDTH), -1.0, "float32"),
        backend.full((HEIGHT, WIDTH), 65535, "uint16"),
    )
    return Best(energy, frame, image)


def mix(backend: Backend[Any], channels: int) -> Mix[Any]:
    total = backend.full((HEIGHT, WIDTH), 0.0, "float32")
    return Mix(backend.full((channels, HEIGHT, WIDTH), 0.0, "float32"), total)


def energies(seed: int, count: int) -> Picture:
    """Energies (n, h, w) with ties, over six orders of magnitude."""
    steps = np.random.default_rng(seed).integers(0, 7, (count, HEIGHT, WIDTH))
    return np.float32(10.0) ** (-steps.astype(np.float32))


def images(seed: int, count: int, channels: int) -> Picture:
    return np.random.default_rng(seed).random((count, channels, HEIGHT, WIDTH), np.float32)


@given(seed=seeds, count=counts, channels=channel_counts, shuffled=st.randoms())
def test_the_largest_energy_wins_and_ties_go_to_the_lower_frame(
    backend: Backend[Any], seed: int, count: int, channels: int, shuffled: Any
) -> None:
    energy, image = energies(seed, count), images(seed, count, channels)
    held = best(backend, channels)
    for frame in shuffled.sample(range(count), count):
        backend.keep_best(held, backend.upload(energy[frame]), frame, backend.upload(image[frame]))
    winner = energy.argmax(axis=0)  # the first of equals
    np.testing.assert_array_equal(backend.download(held.frame), winner)
    np.testing.assert_array_equal(backend.download(held.energy), energy.max(axis=0))
    wanted = np.take_along_axis(image, winner[None, None], axis=0)[0]
    np.testing.assert_array_equal(backend.download(held.image), wanted)
    assert held.last == count - 1


@given(seed=seeds, count=st.integers(2, 6), shuffled=st.randoms())
def test_merged_winners_are_the_winners_of_all(
    backend: Backend[Any], seed: int, count: int, shuffled: Any
) -> None:
    energy, image = energies(seed, count), images(seed, count, 2)
    halves = best(backend, 2), best(backend, 2)
    for frame in range(count):
        half = halves[shuffled.randint(0, 1)]
        backend.keep_best(half, backend.upload(energy[frame]), frame, backend.upload(image[frame]))
    backend.merge_best(*halves)
    winner = energy.argmax(axis=0)
    np.testing.assert_array_equal(backend.download(halves[0].frame), winner)
    wanted = np.take_along_axis(image, winner[None, None], axis=0)[0]
    np.testing.assert_array_equal(backend.download(halves[0].image), wanted)
    assert halves[0].last == count - 1


def test_excluded_pixels_never_win(backend: Backend[Any]) -> None:
    held, energy = best(backend), backend.full((HEIGHT, WIDTH), 5.0, "float32")
    mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
    mask[2] = 0
    backend.exclude(energy, backend.upload(mask))
    backend.keep_best(held, energy, 3, None)
    np.testing.assert_array_equal(backend.download(held.frame), np.where(mask, 3, 65535))
    assert (backend.download(held.energy)[2] == -1).all()


def weighted_mean(energy: Picture, image: Picture, noise: float) -> Picture:
    """The soft maximum in one go: weights ((e + n) / (largest e + n))^8; nothing where e is -2."""
    above = np.where(energy < 0, 0.0, energy.astype(np.float64) + noise)
    weight = (above / above.max(axis=0)) ** 8
    return np.asarray((weight[:, None] * image).sum(axis=0) / weight.sum(axis=0))


def mixed(backend: Backend[Any], energy: Picture, image: Picture, noise: float) -> tuple[Mix[Any], Best[Any]]:
    running, largest = mix(backend, image.shape[1]), best(backend)
    for frame in range(len(energy)):
        held = backend.upload(energy[frame])
        backend.mix_in(running, largest.energy, held, backend.upload(image[frame]), noise)
        backend.keep_best(largest, held, frame, None)
    return running, largest


def with_holes(energy: Picture, seed: int) -> Picture:
    """Some pixels of all frames but the first are excluded."""
    out = energy.copy()
    out[1:][np.random.default_rng(seed).random(out[1:].shape) < 0.3] = -2
    return out


@given(seed=seeds, count=counts, channels=channel_counts, noise=st.sampled_from([1e-9, 1e-4, 1.0]))
def test_mixing_in_is_the_closed_weighted_mean(
    backend: Backend[Any], seed: int, count: int, channels: int, noise: float
) -> None:
    energy, image = with_holes(energies(seed, count), seed), images(seed, count, channels)
    running, _ = mixed(backend, energy, image, noise)
    wanted = weighted_mean(energy, image, noise)
    np.testing.assert_allclose(backend.download(running.mean), wanted, atol=3e-6)


@given(seed=seeds, count=st.integers(2, 6), channels=channel_counts, noise=st.sampled_from([1e-9, 1e-4, 1.0]))
def test_merging_means_is_the_closed_weighted_mean(
    backend: Backend[Any], seed: int, count: int, channels: int, noise: float
) -> None:
    energy, image = with_holes(energies(seed, count), seed), images(seed, count, channels)
    middle = count // 2
    mine, my_best = mixed(backend, energy[:middle], image[:middle], noise)
    theirs, their_best = mixed(backend, energy[middle:], image[middle:], noise)
    backend.merge_mix(mine, my_best.energy, theirs, their_best.energy, noise)
    wanted = weighted_mean(energy, image, noise)
    np.testing.assert_allclose(backend.download(mine.mean), wanted, atol=3e-6)


def test_equal_frames_average_and_a_sharper_one_takes_over(backend: Backend[Any]) -> None:
    image = np.stack([np.full((1, HEIGHT, WIDTH), value, np.float32) for value in (0.2, 0.4, 1.0)])
    flat = np.zeros((3, HEIGHT, WIDTH), np.float32)
    running, _ = mixed(backend, flat, image, 1e-4)
    np.testing.assert_allclose(backend.download(running.mean), 1.6 / 3, rtol=1e-6)
    flat[1] = 1.0
    running, _ = mixed(backend, flat, image, 1e-4)
    np.testing.assert_allclose(backend.download(running.mean), 0.4, rtol=1e-6)


@given(seed=seeds, count=counts, channels=channel_counts, masked=st.booleans())
def test_blending_is_linear_between_the_two_frames_next_to_the_surface(
    backend: Backend[Any], seed: int, count: int, channels: int, masked: bool
) -> None:
    generator = np.random.default_rng(seed)
    depth = generator.uniform(0, count - 1, (HEIGHT, WIDTH)).astype(np.float32)
    image = images(seed, count, channels)
    covers = generator.random((count, HEIGHT, WIDTH)) < (0.6 if masked else 2.0)
    covers[0] = True
    sums, nearest = mix(backend, channels), best(backend, channels)
    for frame in range(count):
        mask = backend.upload(np.where(covers[frame], 255, 0).astype(np.uint8)) if masked else None
        band = Band(backend.upload(image[frame]), mask)
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
    a, b = mix(backend, 1), mix(backend, 1)
    for sums, value in ((a, 0.25), (b, 0.5)):
        backend.fill(sums.mean, value)
        backend.fill(sums.total, 2 * value)
    backend.merge_sums(a, b)
    assert (backend.download(a.mean) == 0.75).all()
    assert (backend.download(backend.blended(a, None)) == 0.5).all()


@given(seed=seeds, count=counts, channels=channel_counts, kind=pixel_types, masked=st.booleans())
def test_a_range_widens_where_frames_are_seen(
    backend: Backend[Any], seed: int, count: int, channels: int, kind: PixelType, masked: bool
) -> None:
    generator = np.random.default_rng(seed)
    image = images(seed, count, channels)
    covers = generator.random((count, HEIGHT, WIDTH)) < (0.6 if masked else 2.0)
    covers[0] = True
    extents = [_extent(backend, channels, kind) for _ in range(2)]
    for frame in range(count):
        mask = backend.upload(np.where(covers[frame], 255, 0).astype(np.uint8)) if masked else None
        backend.widen(extents[frame % 2], Band(backend.upload(image[frame]), mask), kind)
    backend.merge_extent(*extents)
    values = image.copy() if kind is PixelType.FLOAT32 else np.rint(image * np.float32(kind.white))
    seen = np.broadcast_to(covers[:, None], values.shape)
    low = np.where(seen, values, np.inf).min(axis=0)
    high = np.where(seen, values, -np.inf).max(axis=0)
    np.testing.assert_array_equal(backend.download(extents[0].low), low.astype(kind.value))
    np.testing.assert_array_equal(backend.download(extents[0].high), high.astype(kind.value))


def _extent(backend: Backend[Any], channels: int, kind: PixelType) -> Extent[Any]:
    top, bottom = (np.inf, -np.inf) if kind is PixelType.FLOAT32 else (kind.white, 0)
    shape = (channels, HEIGHT, WIDTH)
    return Extent(backend.full(shape, top, kind.value), backend.full(shape, bottom, kind.value))


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


@given(seed=seeds, channels=channel_counts, kind=pixel_types)
def test_packing_clamps_to_the_range_and_moves_channels_last(
    backend: Backend[Any], seed: int, channels: int, kind: PixelType
) -> None:
    image = images(seed, 3, channels)
    low, high = image[1:].min(axis=0), image[1:].max(axis=0)
    extent = _extent(backend, channels, kind)
    for frame in image[1:]:
        backend.widen(extent, Band(backend.upload(frame)), kind)
    packed = backend.pack(backend.upload(image[0]), kind, extent)
    wanted = np.moveaxis(np.clip(image[0], low, high), 0, -1)
    if kind is not PixelType.FLOAT32:
        wanted = np.rint(wanted * np.float32(kind.white))
    np.testing.assert_array_equal(packed, wanted.astype(kind.value))
    assert packed.flags.c_contiguous
