"""A turn against what turns pixels."""

from __future__ import annotations

import numpy as np
import pytest

from gpustack.io.write import oriented
from gpustack.model.transform import Transform
from gpustack.model.turn import Turn

HEIGHT, WIDTH = 4, 7
STORED = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)

every_orientation = pytest.mark.parametrize("orientation", range(1, 9))


@every_orientation
def test_points_go_where_pixels_go(orientation: int) -> None:
    upright = oriented(STORED, orientation)
    turn = Turn(orientation, WIDTH, HEIGHT)
    assert turn.size == upright.shape[::-1]
    rows, columns = np.indices(upright.shape)
    x, y = Transform(turn.to_stored).apply(np.stack([columns.ravel(), rows.ravel()], 1)).T
    assert np.array_equal(STORED[y.astype(int), x.astype(int)], upright.ravel())


@every_orientation
def test_boxes_hold_the_same_pixels(orientation: int) -> None:
    left, top, wide, high = 1, 2, 3, 1
    inside = set(STORED[top : top + high, left : left + wide].ravel().tolist())
    turned = Turn(orientation, WIDTH, HEIGHT).upright((left, top, wide, high))
    upright = oriented(STORED, orientation)
    found = upright[turned[1] : turned[1] + turned[3], turned[0] : turned[0] + turned[2]]
    assert set(found.ravel().tolist()) == inside
