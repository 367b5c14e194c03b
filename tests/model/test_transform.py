"""The algebra of transforms, and the box that all frames share."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gpustack.model.transform import Transform, corners, shared_box
from tests.strategies import homographies, similarities

WIDTH, HEIGHT = 300, 200
any_transform = homographies(WIDTH, HEIGHT)
POINTS = np.array([[0.0, 0.0], [299, 0], [299, 199], [0, 199], [150, 100.5], [-20, 230]])


def toned(transform: Transform, values: Any) -> Any:
    """What values of the frame are as values of the reference."""
    return values * np.array(transform.tone.gain) + transform.tone.offset


@given(transform=any_transform)
def test_the_inverse_undoes_it(transform: Transform) -> None:
    back = transform.inverse()
    np.testing.assert_allclose(back.apply(transform.apply(POINTS)), POINTS, atol=1e-8)
    both = back.after(transform).tone
    np.testing.assert_allclose(both.gain, 1)
    np.testing.assert_allclose(both.offset, 0, atol=1e-12)
    assert back.matrix[2, 2] == 1


@given(first=any_transform, second=any_transform)
def test_after_applies_one_to_the_outcome_of_the_other(first: Transform, second: Transform) -> None:
    both = second.after(first)
    np.testing.assert_allclose(both.apply(POINTS), second.apply(first.apply(POINTS)), atol=1e-8)
    values = np.linspace(0, 1, 5)[:, None]
    between = toned(second, values)
    np.testing.assert_allclose(toned(both, values), toned(first, between), atol=1e-12)


@given(transform=any_transform)
def test_the_identity_is_neutral(transform: Transform) -> None:
    still = Transform.identity()
    for same in (still.after(transform), transform.after(still)):
        np.testing.assert_allclose(same.matrix, transform.matrix, atol=1e-12)
    assert not still.moves
    assert Transform(transform.matrix).moves == (not np.array_equal(transform.matrix, np.eye(3)))


@given(transform=any_transform, factor=st.sampled_from([2.0, 3.0, 0.5]))
def test_scaling_moves_the_same_places_of_a_larger_picture(transform: Transform, factor: float) -> None:
    """The centre of pixel (0, 0) of the small picture lies at (factor - 1) / 2 in the large one."""

    def enlarged(points: Any) -> Any:
        return points * factor + (factor - 1) / 2

    scaled = transform.scaled(factor)
    np.testing.assert_allclose(scaled.apply(enlarged(POINTS)), enlarged(transform.apply(POINTS)), atol=1e-7)
    assert scaled.tone == transform.tone
    np.testing.assert_allclose(scaled.scaled(1 / factor).matrix, transform.matrix, atol=1e-9)


def test_corners_are_the_centres_of_corner_pixels() -> None:
    assert corners(3, 2).tolist() == [[0, 0], [2, 0], [2, 1], [0, 1]]


several = st.lists(any_transform, min_size=1, max_size=5)


@given(frames=several)
def test_the_shared_box_lies_in_every_frame(frames: list[Transform]) -> None:
    left, top, right, bottom = shared_box(frames, WIDTH, HEIGHT)
    assert 0 <= left < right <= WIDTH
    assert 0 <= top < bottom <= HEIGHT
    box = np.array([[left, top], [right - 1, top], [right - 1, bottom - 1], [left, bottom - 1]])
    for frame in frames:
        found = frame.apply(box)
        assert (found >= -1e-3).all()
        assert (found <= np.array([WIDTH - 1, HEIGHT - 1]) + 1e-3).all()


@given(frames=several)
def test_the_shared_box_wastes_little(frames: list[Transform]) -> None:
    """Grown by a few pixels on every side that is not the picture's own, it leaves some frame."""
    left, top, right, bottom = shared_box(frames, WIDTH, HEIGHT)
    lean = 14  # what a turn of 2 degrees takes from a side of 200 pixels, twice
    grown = max(0, left - lean), max(0, top - lean), min(WIDTH, right + lean), min(HEIGHT, bottom + lean)
    if grown == (0, 0, WIDTH, HEIGHT):
        return
    box = np.array(
        [
            [grown[0], grown[1]],
            [grown[2] - 1, grown[1]],
            [grown[2] - 1, grown[3] - 1],
            [grown[0], grown[3] - 1],
        ]
    )
    found = np.concatenate([frame.apply(box) for frame in frames])
    assert (found < 0).any() or (found > [WIDTH - 1, HEIGHT - 1]).any()


@given(
    shifts=st.lists(st.tuples(st.floats(-40, 40), st.floats(-30, 30)), min_size=1, max_size=5),
    scale=st.floats(0.9, 1.1),
)
def test_the_shared_box_of_shifts_and_scales_is_as_large_as_can_be(
    shifts: list[tuple[float, float]], scale: float
) -> None:
    frames = [Transform(np.array([[scale, 0, dx], [0, scale, dy], [0, 0, 1.0]])) for dx, dy in shifts]
    left, top, right, bottom = shared_box(frames, WIDTH, HEIGHT)
    x, y = np.array(shifts).T
    # The pixels p with 0 <= scale p + d <= side - 1 for every frame, and in the reference.
    wanted_left, wanted_top = max(0, (-x / scale).max()), max(0, (-y / scale).max())
    wanted_right = min(WIDTH - 1, ((WIDTH - 1 - x) / scale).min())
    wanted_bottom = min(HEIGHT - 1, ((HEIGHT - 1 - y) / scale).min())
    found = np.array([left, top, right - 1, bottom - 1])
    wanted = np.array([wanted_left, wanted_top, wanted_right, wanted_bottom])
    assert (np.abs(found - wanted) < 2).all()


@given(transform=similarities(WIDTH, HEIGHT, 0.0))
def test_frames_that_do_not_move_share_everything(transform: Transform) -> None:
    assert shared_box([transform, Transform.identity()], WIDTH, HEIGHT) == (0, 0, WIDTH, HEIGHT)


def test_frames_with_nothing_in_common_share_an_empty_box() -> None:
    away = Transform(np.array([[1.0, 0, 400], [0, 1, 0], [0, 0, 1]]))
    left, top, right, bottom = shared_box([Transform.identity(), away], WIDTH, HEIGHT)
    assert right <= left or bottom <= top


def test_the_shared_box_heeds_the_sizes_of_frames() -> None:
    crop = Transform(np.array([[1, 0, -20], [0, 1, -10], [0, 0, 1.0]]))
    sizes = [(WIDTH, HEIGHT), (WIDTH - 50, HEIGHT - 40)]
    assert shared_box([Transform.identity(), crop], WIDTH, HEIGHT, sizes) == (20, 10, WIDTH - 30, HEIGHT - 30)
