"""A transform in words."""

from __future__ import annotations

import numpy as np
import pytest

from gpustack.io.write import oriented
from gpustack.model.movement import movement_of
from gpustack.model.transform import Transform


def similarity(scale: float, degrees: float, x: float, y: float) -> Transform:
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = turn, (x, y)
    return Transform(matrix)


def about_the_middle(of: Transform, width: int, height: int) -> Transform:
    there = np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1]])
    return Transform(there @ of.matrix @ np.linalg.inv(there))


def test_shift_scale_and_turn_come_back() -> None:
    moved = movement_of(about_the_middle(similarity(1.02, 3.0, 5.0, -2.0), 101, 51), 101, 51)
    assert moved.shift_px == pytest.approx((5.0, -2.0))
    assert moved.scale == pytest.approx(1.02)
    assert moved.rotation_deg == pytest.approx(3.0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_shift_is_told_as_the_pictures_are_seen(orientation: int) -> None:
    """A dot in pictures, turned as EXIF says, moves by what is told."""
    before, after = np.zeros((21, 31), np.uint8), np.zeros((21, 31), np.uint8)
    before[10, 15], after[13, 11] = 1, 1
    upright = [np.argwhere(oriented(plane, orientation))[0] for plane in (before, after)]
    down, right = (upright[1] - upright[0]).tolist()
    moved = movement_of(similarity(1, 0, -4, 3), 31, 21, orientation)
    assert moved.shift_px == pytest.approx((right, down))


@pytest.mark.parametrize(
    ("orientation", "sign"), [(1, 1), (3, 1), (6, 1), (8, 1), (2, -1), (4, -1), (5, -1), (7, -1)]
)
def test_mirrors_turn_rotations_round(orientation: int, sign: int) -> None:
    moved = movement_of(similarity(1.1, 2.0, 0, 0), 40, 30, orientation)
    assert moved.rotation_deg == pytest.approx(2.0 * sign)
    assert moved.scale == pytest.approx(1.1)


def test_a_perspective_is_told_by_what_it_does_in_the_middle() -> None:
    matrix = np.array([[1.01, 0.02, 3.0], [-0.01, 0.99, -1.0], [2e-4, -1e-4, 1.0]])
    transform, middle, step = Transform(matrix), np.array([49.5, 29.5]), 1e-4
    points = middle + step * np.array([[0, 0], [1, 0], [0, 1]])
    seen = transform.apply(points)
    moved = movement_of(transform, 100, 60)
    assert moved.shift_px == pytest.approx(tuple(seen[0] - middle))
    around = (seen[1:] - seen[0]) / step
    assert moved.scale == pytest.approx(np.sqrt(np.linalg.det(around)), rel=1e-5)
