"""Links between neighbours become transforms from the reference; gains are measured against it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.align.chain import SMALLEST_GAIN_STEP, chain, with_gain
from gpustack.align.estimate import Link
from gpustack.model.transform import Transform, corners
from tests.align.textures import Texture, about_the_centre, turned
from tests.strategies import homographies

WIDTH, HEIGHT = 300, 200
poses = st.lists(homographies(WIDTH, HEIGHT), min_size=1, max_size=6)


def links(frames: list[Transform]) -> list[Link]:
    """What exact matches of neighbouring frames would be."""
    pairs = pairwise(frames)
    return [Link(there.after(here.inverse()).matrix, 1.0, True) for here, there in pairs]


@given(frames=poses, choice=st.data())
def test_a_chain_leads_from_the_reference_to_every_frame(frames: list[Transform], choice: Any) -> None:
    reference = choice.draw(st.integers(0, len(frames) - 1))
    found = chain(links(frames), reference)
    assert len(found) == len(frames)
    assert not found[reference].moves
    for transform, frame in zip(found, frames, strict=True):
        wanted = frame.after(frames[reference].inverse())
        points = corners(WIDTH, HEIGHT)
        np.testing.assert_allclose(transform.apply(points), wanted.apply(points), atol=1e-6)
        assert transform.gain == 1.0


def test_a_single_frame_is_its_own_reference() -> None:
    (found,) = chain([], 0)
    assert not found.moves


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
