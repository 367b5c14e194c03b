"""Views from beside: a card before a wall moves as geometry says."""

from __future__ import annotations

import numpy as np
import pytest

from gpustack.depth.views import anaglyph, rocking, seen_from, stereo_pair

HEIGHT, WIDTH = 20, 60
NEAR = np.zeros((HEIGHT, WIDTH), np.float32)
NEAR[5:15, 25:35] = 1
WALL, CARD = 40, 200
PICTURE = np.where(NEAR[..., None] > 0, CARD, WALL).astype(np.uint8).repeat(3, axis=2)


@pytest.mark.parametrize("shift", [6, -6])
def test_near_and_far_move_against_each_other(shift: int) -> None:
    seen = seen_from(PICTURE, NEAR, shift)
    card = np.flatnonzero(seen[10, :, 0] > 120)
    assert card.tolist() == list(range(25 + shift // 2, 35 + shift // 2))
    assert set(np.unique(seen[:5])) == {WALL}


def test_what_comes_out_from_behind_continues_the_wall() -> None:
    striped = PICTURE.copy()
    striped[:, 20:25] = 90
    seen = seen_from(striped, NEAR, 8)
    assert 90 in seen[10, 17:27, 0]
    assert CARD not in seen[10, :28, 0]


def test_no_shift_changes_nothing_on_a_smooth_surface() -> None:
    slope = np.linspace(0, 1, WIDTH, dtype=np.float32)[None].repeat(HEIGHT, axis=0)
    np.testing.assert_array_equal(seen_from(PICTURE, slope, 0), PICTURE)


def test_a_smooth_surface_stays_smooth_between_whole_pixels() -> None:
    slope = np.linspace(0, 1, WIDTH, dtype=np.float32)[None].repeat(HEIGHT, axis=0)
    ramp = np.linspace(0, 1, WIDTH, dtype=np.float32)[None, :, None].repeat(HEIGHT, axis=0)
    seen = seen_from(ramp, slope, 5.3)[10, 5:-5, 0]
    assert np.diff(seen).min() > 0
    assert np.diff(seen).max() < 2 / WIDTH


def test_the_left_eye_stands_left() -> None:
    pair = stereo_pair(PICTURE, NEAR, 6)
    assert pair.shape == (HEIGHT, 2 * WIDTH, 3)
    left, right = np.flatnonzero(pair[10, :WIDTH, 0] > 120), np.flatnonzero(pair[10, WIDTH:, 0] > 120)
    assert left.mean() > right.mean()  # what is near stands further right for the left eye


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_an_anaglyph_of_gray_shows_each_eye_its_own(dtype: str) -> None:
    gray = PICTURE[..., :1].astype(dtype) / (255 if dtype == "float32" else 1)
    seen = anaglyph(gray.astype(dtype), NEAR, 6)
    assert seen.shape == (HEIGHT, WIDTH, 3)
    assert seen.dtype == dtype
    bright = (CARD + WALL) / 2 / (255 if dtype == "float32" else 1)
    red, cyan = np.flatnonzero(seen[10, :, 0] > bright), np.flatnonzero(seen[10, :, 2] > bright)
    assert red.min() == 28
    assert cyan.min() == 22


def test_one_swing() -> None:
    views = rocking(PICTURE, NEAR, 6, 8)
    assert len(views) == 8
    np.testing.assert_array_equal(views[0], views[4])
    assert (views[2] != views[6]).any()
