"""Gains are measured against the reference, where the transform says."""

from __future__ import annotations

import numpy as np
import pytest

from gpustack.align.brightness import SMALLEST_GAIN_STEP, with_gain
from gpustack.model.transform import Transform
from tests.align.textures import Texture, about_the_centre, turned

THUMBNAIL = Texture(3).seen(96, 64, np.eye(3), blur=2.0)


@pytest.mark.parametrize("brightness", [0.7, 0.9, 1.1, 1.3])
def test_the_gain_undoes_a_change_of_brightness(brightness: float) -> None:
    found = with_gain(Transform.identity(), THUMBNAIL, THUMBNAIL * np.float32(brightness), 4.0)
    assert found.gain == pytest.approx(1 / brightness, rel=1e-4)
    assert not found.moves


def test_the_gain_is_measured_where_the_transform_says() -> None:
    motion = about_the_centre(96, 64, turned(1.5, 1.03), (6.0, -4.0))
    moved = Texture(3).seen(96, 64, motion, blur=2.0) * np.float32(1.2)
    found = with_gain(Transform(motion).scaled(4), THUMBNAIL, moved, 4.0)
    assert found.gain == pytest.approx(1 / 1.2, rel=0.01)
    np.testing.assert_allclose(found.matrix, Transform(motion).scaled(4).matrix)


def test_a_gain_too_small_to_see_is_left_at_one() -> None:
    nearly = THUMBNAIL * np.float32(1 + SMALLEST_GAIN_STEP / 2)
    assert with_gain(Transform.identity(), THUMBNAIL, nearly, 4.0).gain == 1.0


@pytest.mark.parametrize("value", [0.0, 0.99], ids=["black", "burnt out"])
def test_frames_without_a_usable_pixel_keep_their_brightness(value: float) -> None:
    there = np.full_like(THUMBNAIL, value)
    assert with_gain(Transform.identity(), THUMBNAIL, there, 4.0).gain == 1.0


def test_a_few_burnt_pixels_do_not_change_the_gain() -> None:
    there = THUMBNAIL * np.float32(0.9)
    there[:16] = 1.0
    assert with_gain(Transform.identity(), THUMBNAIL, there, 4.0).gain == pytest.approx(1 / 0.9, rel=1e-3)


def test_a_frame_that_lies_elsewhere_keeps_its_brightness() -> None:
    away = Transform(np.array([[1.0, 0, 900], [0, 1, 0], [0, 0, 1]]))
    assert with_gain(away, THUMBNAIL, THUMBNAIL * np.float32(0.5), 4.0).gain == 1.0


def test_frames_of_other_sizes_are_compared_where_they_show_the_same() -> None:
    half = Transform(np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1.0]]))
    assert with_gain(half, THUMBNAIL, THUMBNAIL * np.float32(0.8), 4.0, 2.0).gain == pytest.approx(
        1.25, rel=1e-3
    )
