from __future__ import annotations

import cv2
import numpy as np
import pytest

from gpustack.metrics import depth_edges, textured
from gpustack.scenes import Shoot, render
from gpustack.scenes.textures import Plane


def _ramp(slope: float) -> Plane:
    return np.tile(np.arange(80, dtype=np.float32) * np.float32(slope), (60, 1))


@pytest.mark.parametrize("slope", [0.0, 0.3, 1.7])
def test_a_slope_is_no_step(slope: float) -> None:
    assert not depth_edges(_ramp(slope), 12.0).any()


def test_a_kink_is_no_step() -> None:
    depth = _ramp(1.4)
    assert not depth_edges(np.abs(depth - depth[0, 40]), 12.0).any()


@pytest.mark.parametrize("turn", [False, True])
@pytest.mark.parametrize(("slope", "jump", "found"), [(0.0, 1.2, True), (0.4, 2.0, True), (0.4, 0.9, False)])
def test_a_step_beyond_the_slope_is_found(slope: float, jump: float, found: bool, turn: bool) -> None:
    depth = _ramp(slope)
    depth[:, 40:] += np.float32(jump)
    edges = depth_edges(depth.T if turn else depth, 5.0)
    columns = (edges if turn else edges.T).all(axis=1)
    assert np.flatnonzero(columns).tolist() == (list(range(34, 46)) if found else [])
    assert (edges if turn else edges.T).any(axis=1).sum() == columns.sum()


def test_a_step_over_two_pixels_and_a_thin_thing_are_found() -> None:
    soft, thin = _ramp(0.1), _ramp(0.1)
    soft[:, 40] += 1.5
    soft[:, 41:] += 3.0
    thin[:, 40] -= 3.0
    for depth in (soft, thin):
        assert np.flatnonzero(depth_edges(depth, 0.0)[30]).tolist() == [39, 40, 41]


def test_the_mask_reaches_as_far_as_asked() -> None:
    depth = np.zeros((61, 61), np.float32)
    depth[30, 30] = 9.0
    away = np.hypot(*(np.mgrid[:61, :61] - 30))
    found = depth_edges(depth, 8.0)
    assert found[away <= 8.0].all()
    assert not found[away > 9.01].any()


def test_one_row_has_steps_along_it_only() -> None:
    assert depth_edges(np.array([[0.0, 0.0, 0.0, 5.0, 5.0, 5.0]], np.float32), 0.0).tolist() == [
        [False, False, True, True, False, False]
    ]


def test_texture_is_contrast_above_the_noise_and_shading_is_not() -> None:
    x = np.mgrid[:60, :80][1].astype(np.float32)
    picture = np.repeat((0.2 + 0.006 * x)[..., None], 3, axis=2)
    assert not textured(picture).any()
    waves = np.where(x < 40, 3.5 / 255 * np.sin(2.0 * np.pi * x / 5.0), 0.0).astype(np.float32)
    assert textured(picture + waves[..., None])[:, 5:30].all()
    assert not textured(picture + waves[..., None])[:, 55:].any()
    assert not textured(picture + waves[..., None], noise=2.0).any()


def test_texture_of_a_thing_is_not_that_of_what_lies_behind_it() -> None:
    """A striped twig before a sky, plain on the left and with stripes on the right."""
    y, x = np.mgrid[:60, :120].astype(np.float32)
    twig = (y >= 28) & (y < 34)
    stripes = 0.04 * np.sin(2 * np.pi * x / 5.0)
    gray = np.where(twig, 0.7 + stripes, 0.3 + stripes * (x >= 60))
    depth = np.where(twig, 3.0, 11.0)
    picture = np.repeat(gray[..., None].astype(np.float32), 3, axis=2)
    beside = textured(picture)[24:28, 5:50]
    assert beside.all()
    own = textured(picture, 1.0, depth)
    assert not own[24:28, 5:50].any()
    assert own[28:34, 5:115].all()
    assert own[10:28, 70:115].all()
    np.testing.assert_array_equal(textured(picture, 1.0, np.zeros((60, 120))), textured(picture))


def test_less_noise_leaves_more_texture_but_not_all() -> None:
    truth = render("skin", Shoot(5, 320, 240)).truth
    shares = [float(textured(truth, noise).mean()) for noise in (4.0, 2.0, 1.0, 0.5, 0.0)]
    assert shares == sorted(shares)
    assert shares[0] < 0.1 < 0.5 < shares[2] < 1.0
    assert shares[3] == shares[4]


def test_the_veins_of_the_wing_are_edges_and_even_ground_is_not() -> None:
    scene = render("wing", Shoot(24, 480, 360))
    edges = depth_edges(scene.depth, 3.0)
    near = (scene.depth < 15.0).astype(np.uint8)
    assert edges[cv2.morphologyEx(near, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) == 1].mean() > 0.99
    far = cv2.dilate(near, np.ones((9, 9), np.uint8)) == 0
    assert far.mean() > 0.2
    assert not edges[far].any()
