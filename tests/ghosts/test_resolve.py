"""Which frames are left out, where, and whose view of a thing is kept."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.ghosts.glance import Aligned
from gpustack.ghosts.resolve import MOST, REACH, Resolved, resolve

SHAPE = (96, 160)


def ground() -> npt.NDArray[np.float32]:
    noise = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    coarse = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.asarray(0.3 + 0.05 * coarse / coarse.std(), np.float32)


def thing(left: int, top: int = 40, blur: float = 0.0) -> npt.NDArray[np.float32]:
    """The ground with a bright patterned thing of 10x10 cells, all of it blurred."""
    light = ground()
    light[top : top + 10, left : left + 10] = 0.7 + 0.2 * (np.indices((10, 10)).sum(0) % 4 < 2)
    return cv2.GaussianBlur(light, (0, 0), blur) if blur else light


def resolved(lights: list[Any], always: int | None = None) -> Resolved:
    frames = [Aligned(light, np.ones(SHAPE, bool)) for light in lights]
    return resolve(frames.__getitem__, range(len(frames)), always)


def box(left: int, top: int = 40) -> tuple[slice, slice]:
    return slice(top, top + 10), slice(left, left + 10)


def test_nothing_moves_and_nothing_is_left_out() -> None:
    assert resolved([ground()] * 5) == Resolved()


def test_what_passes_is_left_out_in_the_frames_that_show_it() -> None:
    found = resolved([ground(), ground(), thing(30, blur=1.0), thing(60, blur=1.0), ground(), ground()])
    assert {2, 3} <= set(found.left_out)
    for index in {0, 1, 4, 5} & set(found.left_out):
        assert found.left_out[index].mean() < 0.2 * found.left_out[2].mean()
    assert found.left_out[2][box(30)].all()
    assert not found.left_out[2][box(60)][:, 2:].any()
    assert found.left_out[3][box(60)].all()
    assert len(found.blobs) == 1  # it went from one place to the other


def test_a_thing_that_moves_once_is_kept_in_one_of_its_places() -> None:
    found = resolved([thing(30, blur=1.5)] * 3 + [thing(60)] * 3)
    (blob,) = found.blobs
    assert blob.frame >= 3  # where it is sharper
    assert set(found.left_out) == {0, 1, 2}
    for left in (30, 60):
        assert found.left_out[0][box(left)].mean() > 0.9


def test_around_what_moved_frames_are_left_out_too() -> None:
    found = resolved([ground(), ground(), thing(30, blur=1.0), ground(), ground()])
    rows, columns = np.nonzero(found.left_out[2])
    assert rows.min() <= 40 - REACH
    assert columns.max() >= 39 + REACH
    assert rows.min() >= 40 - REACH - 6


def test_a_thing_that_comes_back_is_the_same() -> None:
    found = resolved([thing(30), thing(30), thing(60), thing(30), thing(30)])
    assert set(found.left_out) == {2}


def test_things_that_move_apart_have_frames_of_their_own() -> None:
    lights = [thing(20) for _ in range(3)] + [thing(60) for _ in range(5)]
    for light in lights[:6]:
        light[70:80, 120:130] = 0.8
    found = resolved(lights)
    assert len(found.blobs) == 2


def test_some_frame_is_left_out_nowhere() -> None:
    lights = [thing(20 + 12 * place) for place in range(8)]
    for number, light in enumerate(lights):
        light[5:13, 10 + 15 * number : 18 + 15 * number] = 0.05
    found = resolved(lights)
    assert found.blobs
    assert set(range(8)) - set(found.left_out)


def test_the_one_that_must_not_be_left_out_is_not() -> None:
    lights = [ground(), ground(), thing(30), ground(), ground()]
    found = resolved(lights, always=2)
    assert 2 not in found.left_out
    assert set(found.left_out) == {0, 1, 3, 4}


def test_where_too_much_moves_nothing_is_resolved() -> None:
    light = ground()
    lights = [light.copy() for _ in range(40)]
    for number, own in enumerate(lights):
        own[box(int(number * 13 % 150), number * 17 % 86)] = 0.9
    found = resolved(lights)
    assert found.share > MOST
    assert not found.blobs
    assert not found.left_out
