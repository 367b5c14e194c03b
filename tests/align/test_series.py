"""Frames that are missing from their series against frames that never were in it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from gpustack.align.series import in_series
from gpustack.align.shake import Detail, detail
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform
from tests.align.textures import Plane, about_the_centre, turned

WIDTH, HEIGHT, FRAMES = 240, 160, 10


def series(seed: int = 0) -> list[Detail]:
    """A slope of fine grain, in focus on the left in the first frame and on the right in the last."""
    return [detail(picture) for picture in pictures(seed)]


def pictures(seed: int) -> list[Plane]:
    generator = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(generator.normal(size=(HEIGHT, WIDTH)).astype(np.float32), (0, 0), 0.8)
    blurred = [cv2.GaussianBlur(grain, (0, 0), 0.1 + 0.2 * step) for step in range(2 * FRAMES)]
    depth = np.broadcast_to(np.linspace(0, FRAMES - 1, WIDTH), (HEIGHT, WIDTH))
    seen = [np.choose(np.rint(2 * np.abs(depth - focus)).astype(int), blurred) for focus in range(FRAMES)]
    return [(0.5 + 0.2 * s + 0.005 * generator.normal(size=s.shape)).astype(np.float32) for s in seen]


def used(left_out: Sequence[int], count: int) -> list[Transform | None]:
    return [None if index in left_out else Transform.identity() for index in range(count)]


BLANK = detail(np.full((HEIGHT, WIDTH), 0.5, np.float32))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("index", range(1, FRAMES - 1))
def test_a_frame_that_is_missing_took_a_step(seed: int, index: int) -> None:
    details = series(seed)
    details[index] = BLANK
    assert in_series(details, used([index], FRAMES), 1.0) == [True] * FRAMES


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("index", range(1, FRAMES))
def test_a_frame_that_came_between_took_none(seed: int, index: int) -> None:
    details = series(seed)
    details.insert(index, BLANK)
    found = in_series(details, used([index], FRAMES + 1), 1.0)
    assert found == [other != index for other in range(FRAMES + 1)]


def test_two_beside_each_other_are_counted_together() -> None:
    details = series()
    missing = [*details[:4], BLANK, BLANK, *details[6:]]
    assert in_series(missing, used([4, 5], FRAMES), 1.0) == [True] * FRAMES
    between = [*details[:5], BLANK, BLANK, *details[5:]]
    assert in_series(between, used([5, 6], FRAMES + 2), 1.0)[5:7] == [False, False]


def test_frames_at_the_ends_and_in_short_stacks_do_not_count() -> None:
    details = series()
    ends = in_series([BLANK, *details, BLANK], used([0, FRAMES + 1], FRAMES + 2), 1.0)
    assert ends == [False, *[True] * FRAMES, False]
    assert in_series([details[0], BLANK, details[1]], used([1], 3), 1.0) == [True, False, True]


@pytest.mark.parametrize("missing", [True, False])
def test_brightness_and_movement_change_nothing(missing: bool) -> None:
    gain, factor = 0.8, 2.0
    details, places = [], used([], FRAMES)
    for index, picture in enumerate(pictures(0)):
        matrix = about_the_centre(WIDTH, HEIGHT, turned(0.2 * index, 1 + 0.004 * index), (index, 0.0))
        size, rim = (WIDTH, HEIGHT), cv2.BORDER_REFLECT
        details.append(detail(cv2.warpAffine(picture / np.float32(gain), matrix[:2], size, borderMode=rim)))
        places[index] = Transform(matrix, Tone((gain,))).scaled(factor)
    if missing:
        details[5], places[5] = BLANK, None
    else:
        details.insert(5, BLANK)
        places.insert(5, None)
    assert in_series(details, places, factor)[5] is missing
