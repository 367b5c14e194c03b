"""Beside a step a pixel has the depth of what it shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpustack.backend.cpu import Cpu
from gpustack.backend.protocol import Backend
from gpustack.backend.values import FRONT, GROUND, Steps
from gpustack.depth.outline import outline
from gpustack.depth.sight import NARROWEST, Sight
from tests.strategies import Picture

BACKEND: Backend[Any] = Cpu(2)
NEAR, FAR, LAST = 4.0, 15.0, 20.0
SIZE = 600, 8
COVERED, BARE, BEHIND, PLAIN = np.s_[:, :2], np.s_[:, 2:4], np.s_[:, 4:6], np.s_[:, 6:]


def steps() -> Steps[Picture]:
    side = np.zeros(SIZE, np.uint8)
    side[COVERED] = side[BARE] = FRONT
    side[BEHIND] = GROUND
    return Steps(np.full(SIZE, NEAR, np.float32), np.full(SIZE, FAR, np.float32), side)


def shows() -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    what = np.zeros(SIZE, np.uint8)
    what[COVERED] = FRONT
    what[BARE] = what[BEHIND] = GROUND
    return what


def sight(depth: float) -> Sight:
    depths, *others = (np.full(SIZE, value, np.float32) for value in (depth, 9.0, 1.0, 0.5))
    return Sight(depths, *others, coded=True, sigma=2.0)


@pytest.mark.parametrize("nearer_first", [True, False], ids=["near to far", "far to near"])
def test_depths_between_go_to_what_is_shown(nearer_first: bool) -> None:
    def from_near(depth: Picture) -> Picture:
        return depth if nearer_first else LAST - depth

    found = sight(10.0)
    outline(BACKEND, found, steps(), shows(), from_near)
    near, far = from_near(np.float32(NEAR)), from_near(np.float32(FAR))
    for part, value in ((COVERED, near), (BARE, far), (BEHIND, far), (PLAIN, 10.0)):
        np.testing.assert_array_equal(found.depth[part], np.float32(value))
    assert (found.variance[:, :6] == NARROWEST).all()
    assert (found.variance[PLAIN] == 9.0).all()


def test_what_lies_between_two_frames_stays_there() -> None:
    found = sight(NEAR + 0.4)
    outline(BACKEND, found, steps(), np.full(SIZE, FRONT, np.uint8), lambda depth: depth)
    np.testing.assert_array_equal(found.depth, np.float32(NEAR + 0.4))


def test_what_is_not_known_stays() -> None:
    found = sight(10.0)
    outline(BACKEND, found, steps(), np.zeros(SIZE, np.uint8), lambda depth: depth)
    np.testing.assert_array_equal(found.depth, np.float32(10.0))
