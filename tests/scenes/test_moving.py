"""Scenes in which something moves: each frame is that of a pose, and poses differ only where the thing is."""

from __future__ import annotations

import numpy as np
import pytest

from gpustack.errors import UsageError
from gpustack.scenes import Shoot
from gpustack.scenes.moving import moving_names, render_moving

SMALL = Shoot(10, 160, 120, max_blur_px=3.0)


@pytest.mark.parametrize("name", moving_names())
def test_frames_are_those_of_their_poses_and_something_moves(name: str) -> None:
    scene = render_moving(name, SMALL)
    assert len(scene) == 10
    assert len(set(scene.shown)) > 1
    first = next(index for index, pose in enumerate(scene.shown) if pose != scene.shown[0])
    np.testing.assert_array_equal(scene.frame(first), scene.poses[scene.shown[first]].frame(first))
    assert (scene.frame(first) != scene.poses[scene.shown[0]].frame(first)).any()
    assert 0.0005 < scene.moves().mean() < 0.3


def test_an_unknown_scene_is_refused_with_the_names() -> None:
    with pytest.raises(UsageError, match=r"'moon'.*feeler, twitch"):
        render_moving("moon", SMALL)
