"""The coarse operations in bands: rows of larger arrays, folded into rows of a larger part, are the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpustack.backend.protocol import Backend
from gpustack.backend.values import Band, Best, Extent, LevelBand, Mix, Part, sharpness_halo
from gpustack.model.frame import PixelType
from gpustack.model.rect import Rows, cut
from tests.backend.parts import empty_extent, empty_part, level_band, mask
from tests.strategies import Picture

HEIGHT, WIDTH, CHANNELS, FRAMES = 71, 45, 3, 3

heights = pytest.mark.parametrize("rows", [2, 6, 16, 34, 80])
choices = pytest.mark.parametrize("noise", [None, 1e-4], ids=["hard", "soft"])


def noise_pictures(*shape: int) -> Picture:
    return np.random.default_rng(8).random(shape, np.float32)


def rows_of_part(backend: Backend[Any], part: Part[Any], rows: slice) -> Part[Any]:
    """A part whose arrays are rows of another's."""
    held = part.best
    image = None if held.image is None else backend.rows(held.image, rows)
    best = Best(backend.rows(held.energy, rows), backend.rows(held.frame, rows), image, held.last)
    if part.mix is None:
        return replace(part, best=best)
    return Part(best, Mix(backend.rows(part.mix.mean, rows), backend.rows(part.mix.total, rows)), part.noise)


def assert_same(backend: Backend[Any], found: Part[Any], wanted: Part[Any]) -> None:
    """All that a part holds, to the bit."""
    pairs = [(found.kept, wanted.kept), (found.best.energy, wanted.best.energy)]
    pairs.append((found.best.frame, wanted.best.frame))
    if found.mix is not None and wanted.mix is not None:
        pairs.append((found.mix.total, wanted.mix.total))
    for mine, theirs in pairs:
        np.testing.assert_array_equal(backend.download(mine), backend.download(theirs))


def rows_of_state(
    backend: Backend[Any], part: Part[Any], extent: Extent[Any], rows: slice
) -> tuple[Part[Any], Extent[Any]]:
    return rows_of_part(backend, part, rows), Extent(
        backend.rows(extent.low, rows), backend.rows(extent.high, rows)
    )


@heights
@choices
@pytest.mark.parametrize("sigma", [1.0, 1.5])
def test_a_level_in_bands_is_the_whole(
    backend: Backend[Any], rows: int, noise: float | None, sigma: float
) -> None:
    """And so is its energy, within the two rows around a band that `reduce` reads."""
    images, evidence = noise_pictures(FRAMES, CHANNELS, HEIGHT, WIDTH), noise_pictures(FRAMES, HEIGHT, WIDTH)
    covers = noise_pictures(FRAMES, HEIGHT, WIDTH) > 0.2
    whole, banded = (empty_part(backend, CHANNELS, HEIGHT, WIDTH, noise) for _ in range(2))
    seen, parted = (empty_extent(backend, CHANNELS, HEIGHT, WIDTH, PixelType.UINT16) for _ in range(2))
    reach = (4 + int(np.ceil(3 * sigma)) + 2 + 1) // 2 * 2
    bands = [(own, *rows_of_state(backend, banded, parted, own.slice)) for own in cut(HEIGHT, rows)]
    for frame in (1, 0, 2):
        level = level_band(backend, images[frame], evidence[frame], covers[frame])
        wanted = backend.download(backend.fold_level(whole, frame, level, sigma, seen))
        for own, part, extent in bands:
            halo, heard = own.grow(reach, HEIGHT), own.grow(2, HEIGHT)
            band = rows_of_level(backend, level, own, halo)
            energy = backend.download(backend.fold_level(part, frame, band, sigma, extent))
            np.testing.assert_array_equal(energy[heard.within(halo)], wanted[heard.slice])
    assert_same(backend, banded, whole)
    np.testing.assert_array_equal(backend.download(parted.low), backend.download(seen.low))
    np.testing.assert_array_equal(backend.download(parted.high), backend.download(seen.high))


def rows_of_level(backend: Backend[Any], level: LevelBand[Any], own: Rows, halo: Rows) -> LevelBand[Any]:
    image = backend.rows(level.image, halo.slice)
    evidence, valid = (
        None if plane is None else backend.rows(plane, halo.slice) for plane in (level.evidence, level.valid)
    )
    return LevelBand(image, backend.reduce(image), evidence, valid, own.within(halo))


@heights
@choices
def test_the_focus_measure_in_bands_is_the_whole(
    backend: Backend[Any], rows: int, noise: float | None
) -> None:
    images, covers = (
        noise_pictures(FRAMES, CHANNELS, HEIGHT, WIDTH),
        noise_pictures(FRAMES, HEIGHT, WIDTH) > 0.2,
    )
    whole, banded = (empty_part(backend, CHANNELS, HEIGHT, WIDTH, noise) for _ in range(2))
    for frame in range(FRAMES):
        image, valid = backend.upload(images[frame]), backend.upload(mask(covers[frame]))
        backend.fold_sharpness(whole, frame, Band(image, valid), 2.0, slice(0, HEIGHT))
        for own in cut(HEIGHT, rows):
            halo = own.grow(sharpness_halo(2.0), HEIGHT)
            band = Band(backend.rows(image, halo.slice), backend.rows(valid, halo.slice))
            part = rows_of_part(backend, banded, own.slice)
            backend.fold_sharpness(part, frame, band, 2.0, own.within(halo))
    assert_same(backend, banded, whole)


@heights
@choices
def test_folding_and_merging_rows_is_the_whole(backend: Backend[Any], rows: int, noise: float | None) -> None:
    images, energies = noise_pictures(FRAMES, CHANNELS, HEIGHT, WIDTH), noise_pictures(FRAMES, HEIGHT, WIDTH)
    parts = [[empty_part(backend, CHANNELS, HEIGHT, WIDTH, noise) for _ in range(2)] for _ in range(2)]
    (whole, other), (banded, banded_other) = parts
    held = [
        (backend.upload(image), backend.upload(energy))
        for image, energy in zip(images, energies, strict=True)
    ]
    for frame, (image, energy) in enumerate(held):
        backend.fold_in((whole, other)[frame % 2], frame, image, energy, None)
        for own in cut(HEIGHT, rows):
            part = rows_of_part(backend, (banded, banded_other)[frame % 2], own.slice)
            rest = backend.rows(image, own.slice), backend.rows(energy, own.slice)
            backend.fold_in(part, frame, *rest, None)
    backend.merge(whole, other)
    for own in cut(HEIGHT, rows):
        mine, theirs = (rows_of_part(backend, part, own.slice) for part in (banded, banded_other))
        backend.merge(mine, theirs)
    assert_same(backend, banded, whole)


@heights
def test_blending_rows_is_the_whole(backend: Backend[Any], rows: int) -> None:
    images = noise_pictures(FRAMES, CHANNELS, HEIGHT, WIDTH)
    depth = backend.upload(2 * noise_pictures(HEIGHT, WIDTH))
    (whole, nearest), (banded, banded_nearest) = (
        [empty_part(backend, CHANNELS, HEIGHT, WIDTH, noise) for noise in (1.0, None)] for _ in range(2)
    )
    assert whole.mix is not None
    covers = noise_pictures(FRAMES, HEIGHT, WIDTH) > 0.4
    for frame in range(FRAMES):
        image, valid = backend.upload(images[frame]), backend.upload(mask(covers[frame]))
        backend.blend_in(whole.mix, depth, frame, Band(image, valid))
        backend.keep_nearest(nearest.best, depth, frame, Band(image, valid))
        for own in cut(HEIGHT, rows):
            part, best = (rows_of_part(backend, p, own.slice) for p in (banded, banded_nearest))
            band = Band(backend.rows(image, own.slice), backend.rows(valid, own.slice))
            there = backend.rows(depth, own.slice)
            assert part.mix is not None
            backend.blend_in(part.mix, there, frame, band)
            backend.keep_nearest(best.best, there, frame, band)
    assert (backend.download(whole.mix.total) == 0).any()  # there the nearest frame has to do
    assert_same(backend, banded, whole)
    assert_same(backend, banded_nearest, nearest)
    picture = backend.download(backend.blended(whole.mix, nearest.best))
    for own in cut(HEIGHT, rows):
        part, best = (rows_of_part(backend, p, own.slice) for p in (banded, banded_nearest))
        assert part.mix is not None
        found = backend.blended(part.mix, best.best)
        np.testing.assert_array_equal(backend.download(found), picture[:, own.slice])
        packed = backend.pack(backend.rows(part.mix.mean, slice(None)), PixelType.UINT8, None)
        whole_packed = backend.pack(whole.mix.mean, PixelType.UINT8, None)
        np.testing.assert_array_equal(packed, whole_packed[own.slice])


def test_rows_of_pictures_are_pictures(backend: Backend[Any]) -> None:
    """The distance between the channels of a view is not its height times its width."""
    image = noise_pictures(CHANNELS, HEIGHT, WIDTH)
    rows, within, half = slice(12, 45), slice(1, 31), slice(3, 20)
    held = backend.upload(image)
    view, alone = backend.rows(held, rows), backend.upload(image[:, rows].copy())
    np.testing.assert_array_equal(backend.download(view), image[:, rows])
    for kind in (PixelType.UINT16, PixelType.FLOAT32):
        np.testing.assert_array_equal(backend.pack(view, kind, None), backend.pack(alone, kind, None))
    small, wanted = (backend.download(backend.reduce(picture)) for picture in (view, alone))
    np.testing.assert_array_equal(small, wanted)
    fine = noise_pictures(CHANNELS, HEIGHT, 2 * WIDTH - 1)
    details = backend.rows(backend.upload(fine), within), backend.upload(fine[:, within].copy())
    found = backend.add_detail(backend.rows(held, half), details[0], 33, within)
    alone = backend.add_detail(backend.upload(image[:, half].copy()), details[1], 33, within)
    np.testing.assert_array_equal(backend.download(found), backend.download(alone))


@choices
def test_of_equal_frames_the_lowest_wins_in_any_order(backend: Backend[Any], noise: float | None) -> None:
    """Also after a merge, which may bring a frame that comes after one that is still to come."""
    image = noise_pictures(CHANNELS, HEIGHT, WIDTH)
    level, band = level_band(backend, image), Band(backend.upload(image))
    parts = [empty_part(backend, CHANNELS, HEIGHT, WIDTH, noise) for _ in range(4)]
    for frame in (3, 1, 2, 4):
        backend.fold_level(parts[0], frame, level, 1.0, None)
        backend.fold_sharpness(parts[1], frame, band, 2.0, slice(0, HEIGHT))
    backend.fold_level(parts[2], 2, level, 1.0, None)
    backend.fold_level(parts[3], 5, level, 1.0, None)
    backend.merge(parts[3], parts[2])
    assert parts[3].best.last == 5
    backend.fold_level(parts[3], 1, level, 1.0, None)
    for part in (parts[0], parts[1], parts[3]):
        assert (backend.download(part.best.frame) == 1).all()


def test_after_a_merge_a_frame_wins_its_tie_against_a_later_one(backend: Backend[Any]) -> None:
    """The part has seen frame 2 only; the other run's frame 5 must make it compare frames from now on."""
    image = backend.upload(noise_pictures(1, 3, 4))
    weak, strong = (backend.full((3, 4), value, "float32") for value in (1.0, 2.0))
    part, other = (empty_part(backend, 1, 3, 4) for _ in range(2))
    backend.fold_in(part, 2, image, weak, None)
    backend.fold_in(other, 5, image, strong, None)
    backend.merge(part, other)
    assert (backend.download(part.best.frame) == 5).all()
    backend.fold_in(part, 4, image, strong, None)
    assert (backend.download(part.best.frame) == 4).all()


@pytest.mark.parametrize("kind", list(PixelType))
def test_a_range_of_nothing_changes_no_other(backend: Backend[Any], kind: PixelType) -> None:
    image = noise_pictures(CHANNELS, HEIGHT, WIDTH)
    nothing, seen, alone = (empty_extent(backend, CHANNELS, HEIGHT, WIDTH, kind) for _ in range(3))
    for extent in (seen, alone):
        part = empty_part(backend, CHANNELS, HEIGHT, WIDTH)
        backend.fold_level(part, 0, level_band(backend, image), 1.0, extent)
    backend.merge_extent(seen, nothing)
    backend.merge_extent(nothing, alone)
    for extent in (seen, nothing):
        np.testing.assert_array_equal(backend.download(extent.low), backend.download(alone.low))
        np.testing.assert_array_equal(backend.download(extent.high), backend.download(alone.high))
