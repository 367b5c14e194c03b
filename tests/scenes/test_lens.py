from __future__ import annotations

from dataclasses import replace
from math import acos, pi, sqrt
from typing import Any

import numpy as np
import pytest

from gpustack.scenes import lens
from gpustack.scenes.layer import Box, Layer
from gpustack.scenes.lens import View, defocus, disk, expose, ladder
from gpustack.scenes.textures import Plane, band_limit

RADII = [0.0, 0.3, 0.7, 0.99, 1.0, 1.5, 2.0, 3.3, 8.0, 20.0]


@pytest.mark.parametrize("radius", RADII)
def test_disk_keeps_energy_centre_and_symmetry(radius: float) -> None:
    kernel = disk(radius)
    assert kernel.shape[0] % 2 == 1
    assert kernel.sum() == pytest.approx(1.0, abs=1e-6)
    assert (kernel >= 0).all()
    np.testing.assert_allclose(kernel, kernel.T)
    np.testing.assert_allclose(kernel, kernel[::-1])


@pytest.mark.parametrize("radius", [0.3, 0.7, 0.99, 1.0, 1.5, 2.0, 3.3, 8.0, 20.0])
def test_disk_spreads_as_a_disk_of_its_radius_does(radius: float) -> None:
    kernel = disk(radius)
    at = np.arange(len(kernel)) - len(kernel) // 2
    variance = float((kernel.sum(axis=0) * at * at).sum())
    assert variance == pytest.approx(radius**2 / 4, abs=0.04)


@pytest.mark.parametrize(("low", "high"), [(-3.2, 7.9), (0.0, 0.4), (2.0, 2.5), (-8.0, -0.1), (5.1, 5.2)])
def test_hats_over_the_ladder_sum_to_one(low: float, high: float) -> None:
    nodes = np.array(ladder(low, high))
    assert (np.diff(nodes) > 0).all()
    radius = np.linspace(low, high, 101)
    hats = [np.interp(radius, nodes, row) for row in np.eye(len(nodes))[1:-1]]
    np.testing.assert_allclose(np.sum(hats, axis=0), 1.0, atol=1e-12)


def test_focus_is_a_rung_of_the_ladder() -> None:
    assert 0.0 in ladder(-1.3, 2.2)


def _ramp(low: float, high: float) -> Plane:
    return np.tile(np.linspace(low, high, 90, dtype=np.float32), (60, 1))


def test_an_opaque_even_surface_stays_so_where_its_depth_changes() -> None:
    colour = np.full((60, 90, 3), 0.3, np.float32)
    alpha, blurred = defocus(colour, np.ones((60, 90), np.float32), _ramp(-2.0, 9.0))
    np.testing.assert_allclose(alpha, 1.0, atol=1e-5)
    np.testing.assert_allclose(blurred, 0.3, atol=1e-5)


@pytest.mark.parametrize("radius", [0.7, 4.0])
def test_blur_moves_light_and_loses_none(radius: float) -> None:
    light, alpha = np.zeros((60, 90, 3), np.float32), np.zeros((60, 90), np.float32)
    light[30, 40], alpha[30, 40] = (3.0, 2.0, 1.0), 1.0
    covered, blurred = defocus(light, alpha, np.full((60, 90), radius, np.float32))
    np.testing.assert_allclose(blurred.sum(axis=(0, 1)), [3.0, 2.0, 1.0], rtol=1e-5)
    assert covered.sum() == pytest.approx(1.0, abs=1e-5)
    assert blurred.max() < 2.5


def test_a_surface_is_sharp_where_it_is_in_focus_and_soft_elsewhere() -> None:
    stripes = np.tile((np.arange(60) % 4 < 2).astype(np.float32)[:, None, None], (1, 90, 3))
    _, blurred = defocus(stripes, np.ones((60, 90), np.float32), _ramp(0.0, 9.0))
    contrast = blurred[20:40, :, 0].std(axis=0)
    assert contrast[0] == pytest.approx(0.5, abs=0.01)
    assert contrast[60:].max() < 0.1


WALL = Box(-20, -20, 140, 100)


def _even(colour: tuple[float, float, float], alpha: Plane, depth: float) -> Layer:
    paint = np.broadcast_to(np.array(colour, np.float32), (*WALL.shape, 3)).copy()
    return Layer(paint, alpha, np.full_like(alpha, depth), WALL)


def _hair_before_a_wall() -> tuple[Layer, ...]:
    """A red hair of 4 pixels at depth 0, from x = 58 to 61, before a green wall at depth 1."""
    strip = np.zeros(WALL.shape, np.float32)
    strip[:, 78:82] = 1.0
    return _even((0, 1, 0), np.ones(WALL.shape, np.float32), 1.0), _even((1, 0, 0), strip, 0.0)


def test_the_background_shows_behind_a_blurred_hair() -> None:
    light = expose(_hair_before_a_wall(), View(np.eye(3), 1.0, 6.0, 120, 80))
    # At its middle line the hair covers the strip |x| < 2 of the disk of radius 6.
    covered = 1.0 - 2.0 * (36.0 * acos(2.0 / 6.0) - 2.0 * sqrt(36.0 - 4.0)) / (36.0 * pi)
    np.testing.assert_allclose(light[40, 59:61].mean(axis=0), [covered, 1.0 - covered, 0.0], atol=0.01)
    np.testing.assert_allclose(light[40, 20], [0.0, 1.0, 0.0], atol=1e-5)


def test_a_hair_in_focus_hides_what_is_behind_it() -> None:
    light = expose(_hair_before_a_wall(), View(np.eye(3), 0.0, 6.0, 120, 80))
    np.testing.assert_allclose(light[40, 58:62], [[1.0, 0.0, 0.0]] * 4, atol=1e-5)
    np.testing.assert_allclose(light[40, 57], [0.0, 1.0, 0.0], atol=1e-5)


def test_whole_pixel_moves_are_exact_and_equal_resampling() -> None:
    rng = np.random.default_rng(1)
    paint = band_limit(rng.random((120, 160, 3), np.float32))
    ones = np.ones((120, 160), np.float32)
    layer = (Layer(paint, ones, 0.5 * ones, Box(-20, -20, 140, 100)),)
    moved, nearly = np.eye(3), np.eye(3)
    moved[:2, 2] = (3.0, -2.0)
    nearly[:2, 2] = (3.0 + 1e-7, -2.0)
    whole = expose(layer, View(moved, 0.5, 0.0, 120, 80))
    np.testing.assert_array_equal(whole, paint[22:102, 17:137])
    np.testing.assert_allclose(expose(layer, View(nearly, 0.5, 0.0, 120, 80)), whole, atol=1e-5)


def test_band_limited_noise_survives_half_a_pixel_there_and_back() -> None:
    rng = np.random.default_rng(2)
    paint = band_limit(rng.random((120, 160, 3), np.float32))
    ones = np.ones((120, 160), np.float32)
    there, back = np.eye(3), np.eye(3)
    there[:2, 2], back[:2, 2] = (0.5, 0.5), (-0.5, -0.5)
    box = Box(0, 0, 160, 120)
    once = expose((Layer(paint, ones, ones, box),), View(there, 1.0, 0.0, 160, 120))
    twice = expose((Layer(once, ones, ones, box),), View(back, 1.0, 0.0, 160, 120))
    error = (twice - paint)[10:-10, 10:-10]
    assert error.std() < 0.05 * paint.std()


def _bands(alpha: float) -> tuple[Layer, ...]:
    """A slope of stripes, and before it a slanting strip that covers `alpha` of the light."""
    y, x = np.mgrid[-20:100, -20:140].astype(np.float32)
    stripes = np.broadcast_to((0.5 + 0.4 * np.sin(x / 2.0))[..., None], (*WALL.shape, 3)).copy()
    strip = np.where(np.abs(y - 0.4 * x - 10.0) < 4.0, np.float32(alpha), np.float32(0.0))
    wall = Layer(stripes, np.ones(WALL.shape, np.float32), 0.5 + x / 400.0, WALL)
    paint = np.broadcast_to(np.float32(0.9), (*WALL.shape, 3)).copy()
    return wall, Layer(paint, strip, 0.1 + y / 800.0, WALL)


@pytest.mark.parametrize("focus", [0.0, 0.6, None])
def test_the_tiles_that_layers_are_blurred_in_do_not_show(focus: float | None, monkeypatch: Any) -> None:
    turned = np.array([[0.999, -0.03, 2.3], [0.03, 0.999, -1.7], [0, 0, 1.0]])
    for matrix in (np.eye(3), turned):
        view = View(matrix, focus, 7.0, 120, 80)
        monkeypatch.setattr(lens, "TILE", 1000)
        whole = expose(_bands(0.7), view)
        monkeypatch.setattr(lens, "TILE", 32)
        np.testing.assert_allclose(expose(_bands(0.7), view), whole, atol=0.02 if matrix is turned else 1e-5)


def test_what_no_frame_has_in_focus_is_in_the_truth_as_the_nearest_frame_shows_it() -> None:
    wall, hair = _hair_before_a_wall()
    behind = replace(hair, depth=np.full_like(hair.depth, 1.5), afar=True)
    truth, last = (expose((wall, behind), View(np.eye(3), focus, 6.0, 120, 80)) for focus in (None, 1.0))
    np.testing.assert_allclose(truth, last, atol=1e-5)
    sharp = expose((wall, hair), View(np.eye(3), None, 6.0, 120, 80))
    np.testing.assert_array_equal(sharp, expose((wall, hair), View(np.eye(3), 0.5, 0.0, 120, 80)))
    assert np.abs(truth - sharp).max() > 0.3
