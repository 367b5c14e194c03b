"""Shaken frames against frames that are out of focus."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from gpustack.align.shake import DETAIL_SIDE, LEAST_BLOCKS, detail, detail_side, shaken
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform
from tests.align.textures import Plane, about_the_centre, turned

WIDTH, HEIGHT, FRAMES = 240, 160, 7
DIRECTIONS = (0, 30, 60, 90, 120, 150)
STILL = [Transform.identity()] * FRAMES


def stack(seed: int = 0, noise: float = 0.005, sharpness: float = 0.8) -> list[Plane]:
    """A slope of fine grain, in focus on the left in the first frame and on the right in the last."""
    generator = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(generator.normal(size=(HEIGHT, WIDTH)).astype(np.float32), (0, 0), sharpness)
    blurred = [cv2.GaussianBlur(grain, (0, 0), max(0.1, 0.8 * k)) for k in range(FRAMES)]
    depth = np.broadcast_to(np.linspace(0, FRAMES - 1, WIDTH).round().astype(int), (HEIGHT, WIDTH))
    seen = [np.choose(np.abs(depth - focus), blurred) for focus in range(FRAMES)]
    return [(0.5 + 0.2 * s + noise * generator.normal(size=s.shape)).astype(np.float32) for s in seen]


def shake(frame: Plane, degrees: float, length: int = 9) -> Plane:
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), degrees, 1.0)
    kernel = cv2.warpAffine(kernel, turn, (length, length))
    return np.asarray(cv2.filter2D(frame, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT))


def judged(
    frames: Sequence[Plane], transforms: Sequence[Transform] = STILL, factor: float = 1.0
) -> list[int]:
    return shaken([detail(frame) for frame in frames], transforms[: len(frames)], factor)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("noise", [0.0, 0.005, 0.05])
def test_frames_that_are_only_out_of_focus_are_not_shaken(seed: int, noise: float) -> None:
    assert judged(stack(seed, noise)) == []


@pytest.mark.parametrize("degrees", DIRECTIONS)
@pytest.mark.parametrize("index", range(1, FRAMES - 1))
def test_a_shaken_frame_is_found(degrees: float, index: int) -> None:
    frames = stack()
    frames[index] = shake(frames[index], degrees)
    assert judged(frames) == [index]


def test_several_shaken_frames_are_found() -> None:
    frames = stack()
    for index in (1, 3, 5):
        frames[index] = shake(frames[index], 40 * index)
    assert judged(frames) == [1, 3, 5]


@pytest.mark.parametrize("index", [0, FRAMES - 1])
def test_an_end_of_the_stack_is_not_judged(index: int) -> None:
    frames = stack()
    frames[index] = shake(frames[index], 30)
    assert judged(frames) == []


def test_frames_out_of_order_are_not_shaken() -> None:
    frames = stack()
    assert judged([frames[index] for index in (0, 6, 1, 5, 2, 4, 3)]) == []


def test_a_coarse_stack_has_no_shaken_frame() -> None:
    frames = stack()
    assert judged([frames[index] for index in (0, 3, 6)]) == []


@pytest.mark.parametrize("brightness", [0.6, 1.6])
def test_a_darker_or_brighter_frame_is_not_shaken(brightness: float) -> None:
    frames, gains = stack(), list(STILL)
    frames[3] = frames[3] * np.float32(brightness)
    gains[3] = Transform(np.eye(3), Tone((1 / brightness,)))
    assert judged(frames, gains) == []
    frames[3] = shake(frames[3], 60)
    assert judged(frames, gains) == [3]


def test_places_are_compared_where_the_transforms_put_them() -> None:
    frames = stack()
    # A patch that is sharp in all frames, on a plain ground, and moves by more than a block each frame.
    patch = np.zeros((HEIGHT, WIDTH), np.float32)
    patch[40:120, 20:100] = frames[0][40:120, 20:100] - 0.5
    motions = [about_the_centre(WIDTH, HEIGHT, turned(0), (20.0 * index, 0.0)) for index in range(FRAMES)]
    moved = [0.5 + cv2.warpPerspective(patch, motion, (WIDTH, HEIGHT)) for motion in motions]
    twice = [Transform(motion).scaled(2.0) for motion in motions]
    assert judged(moved, twice, 2.0) == []
    moved[3] = shake(moved[3], 0)
    assert judged(moved, twice, 2.0) == [3]


def test_blank_frames_are_not_shaken() -> None:
    assert judged([np.full((HEIGHT, WIDTH), 0.4, np.float32)] * 3) == []


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (17, 400), (100, 100)])
def test_small_pictures_are_not_judged(shape: tuple[int, int]) -> None:
    frames = [np.random.default_rng(index).random(shape, np.float32) for index in range(3)]
    assert detail(frames[0])[0].size < LEAST_BLOCKS
    frames[1] *= np.float32(0.1)
    assert judged(frames) == []


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_frames_are_not_judged(count: int) -> None:
    assert judged(stack()[:count]) == []


def test_detail_is_small() -> None:
    assert detail(np.zeros((384, DETAIL_SIDE), np.float32)).shape == (3, 23, 31)


@pytest.mark.parametrize(("longest", "side"), [(400, 400), (512, 512), (816, 408), (2000, 500), (2048, 512)])
def test_detail_is_measured_on_whole_pixels_of_the_plane(longest: int, side: int) -> None:
    assert detail_side((longest, longest // 2)) == detail_side((longest // 2, longest)) == side
    assert side <= DETAIL_SIDE
    assert longest % side == 0
