"""Frames that cannot be aligned: named, and left out as if they had not been there; or the end of the run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import pytest

import gpustack
from gpustack.engine.bad_frames import settle
from gpustack.engine.progress import Silent
from gpustack.errors import AlignError
from gpustack.model.place import Place
from gpustack.model.transform import Transform, corners
from gpustack.scenes import Rendered, Shoot, render
from gpustack.scenes.comparison import truth_psnr
from gpustack.settings import BadFrame, Method, Settings
from tests.engine.shots import Shelf

SHOOT = Shoot(
    frames=8, width=320, height=240, max_blur_px=5.0, breathing=0.02, drift_px=3.0, jitter_px=0.5, noise=1.0
)

FIRST = Settings(threads=2, reference="first")
CORNERS = corners(SHOOT.width, SHOOT.height)


@pytest.fixture(scope="module")
def good() -> list[Any]:
    rendered = render("macro", SHOOT)
    return [rendered.frame(index) for index in range(SHOOT.frames)]


@pytest.fixture(scope="module")
def foreign() -> Any:
    return render("print", Shoot(frames=2, width=320, height=240, max_blur_px=2.0, seed=3)).frame(0)


@pytest.mark.parametrize("kind", ["blank", "noise", "foreign", "shaken"])
def test_a_bad_frame_is_left_out(good: list[Any], foreign: Any, kind: str) -> None:
    blank = np.full_like(good[0], 90)
    noise = np.random.default_rng(0).integers(0, 255, good[0].shape).astype(np.uint8)
    bad = {"blank": blank, "noise": noise, "foreign": foreign, "shaken": shake(good[5])}[kind]
    alone = gpustack.stack(good, Settings(threads=2, reference="0"))
    mixed = gpustack.stack([*good[:5], bad, *good[5:]], Settings(threads=2, reference="0"))
    assert [place.used for place in mixed.places] == [index != 5 for index in range(9)]
    assert mixed.report.frames[5].share == 0.0
    assert len(mixed.report.warnings) == 1
    assert "array[5]" in mixed.report.warnings[0]
    difference = np.abs(common(mixed, alone).astype(int) - common(alone, mixed))
    assert np.mean(difference) < 0.5


@pytest.fixture(scope="module")
def twenty() -> Rendered:
    return render("macro", replace(SHOOT, frames=20))


def test_twenty_good_frames_and_three_bad_ones_give_the_picture_of_the_twenty(
    twenty: Rendered, foreign: Any
) -> None:
    good = [twenty.frame(index) for index in range(20)]
    bad = {4: np.full_like(good[0], 90), 10: shake(good[9]), 17: foreign}
    kept = [index for index in range(23) if index not in bad]
    frames: list[Any] = [bad.get(index) for index in range(23)]
    for index, frame in zip(kept, good, strict=True):
        frames[index] = frame
    middle = kept[twenty.shoot.reference]
    mixed = gpustack.stack(frames, Settings(threads=2, reference=str(middle)))
    assert [index for index, place in enumerate(mixed.places) if not place.used] == list(bad)
    assert len(mixed.report.warnings) == 3
    assert [index for index, place in enumerate(mixed.places) if not place.in_series] == list(bad)
    # With the same transforms, bit for bit: what is left out leaves no trace in the picture.
    same = [mixed.places[index] for index in kept]
    again = gpustack.stack(good, Settings(threads=2), transforms=same)
    np.testing.assert_array_equal(mixed.image, again.image)
    # With their own, nearly: frames beside a bad one are matched with others, so they lie a little elsewhere.
    alone = gpustack.stack(good, Settings(threads=2))
    difference = np.abs(common(mixed, alone).astype(int) - common(alone, mixed))
    assert np.mean(difference) < 0.75
    truths = [truth_psnr(twenty, found.image, found.report.box) for found in (mixed, alone)]
    assert abs(truths[0] - truths[1]) < 0.2


def test_a_shaken_frame_of_the_series_keeps_its_step(twenty: Rendered) -> None:
    frames = [twenty.frame(index) for index in range(20)]
    frames[6] = shake(frames[6])
    result = gpustack.stack(frames, Settings(threads=2, depth=True))
    assert [index for index, place in enumerate(result.places) if not place.used] == [6]
    assert all(place.in_series for place in result.places)
    again = gpustack.stack(frames, Settings(threads=2, depth=True), transforms=result.places)
    np.testing.assert_array_equal(result.image, again.image)


@pytest.mark.parametrize("method", list(Method))
def test_depth_and_winners_count_all_frames(good: list[Any], method: Method) -> None:
    settings = Settings(threads=2, method=method, depth=True)
    still = [Place(Transform.identity())] * len(good)
    gone = Place(Transform.identity(), used=False, in_series=False)
    alone = gpustack.stack(good, settings, transforms=still)
    mixed = gpustack.stack(
        [*good[:3], good[0], *good[3:]], settings, transforms=[*still[:3], gone, *still[3:]]
    )
    np.testing.assert_array_equal(mixed.image, alone.image)
    moved_on = alone.winners + (alone.winners >= 3)
    np.testing.assert_array_equal(mixed.winners, moved_on)
    assert mixed.depth is not None
    assert alone.depth is not None
    told = np.interp(alone.depth, np.arange(8), [0, 1, 2, 4, 5, 6, 7, 8])
    np.testing.assert_allclose(mixed.depth, told, atol=1e-5)
    assert mixed.report.frames[3].share == 0.0


def test_a_portrait_frame_among_landscape_ones_is_named_and_left_out(good: list[Any]) -> None:
    portrait = np.ascontiguousarray(np.rot90(good[4]))
    alone = gpustack.stack(good, FIRST)
    mixed = gpustack.stack([*good[:4], portrait, *good[4:]], FIRST)
    assert [place.used for place in mixed.places] == [index != 4 for index in range(9)]
    assert len(mixed.report.warnings) == 1
    assert mixed.report.warnings[0].startswith("array[4] shows too little in common with its neighbours")
    assert np.mean(np.abs(common(mixed, alone).astype(int) - common(alone, mixed))) < 0.5


def shake(frame: Any, length: int = 11) -> Any:
    """The frame blurred along a line of so many pixels."""
    return cv2.filter2D(frame, -1, np.eye(length) / length)


def common(result: gpustack.Result, other: gpustack.Result) -> Any:
    """The part of a result that both kept: boxes may differ by a pixel, as the links differ."""
    left, top, width, height = result.report.box
    other_left, other_top, other_width, other_height = other.report.box
    x, y = max(left, other_left), max(top, other_top)
    right, bottom = min(left + width, other_left + other_width), min(top + height, other_top + other_height)
    return result.image[y - top : bottom - top, x - left : right - left]


def test_a_bad_frame_can_end_the_run(good: list[Any]) -> None:
    frames = [*good[:3], np.full_like(good[0], 90), *good[3:]]
    with pytest.raises(AlignError, match=r"array\[3\]"):
        gpustack.stack(frames, Settings(threads=2, on_bad_frame=BadFrame.FAIL))


def test_a_shaken_frame_can_end_the_run(good: list[Any]) -> None:
    frames = [*good[:3], shake(good[3]), *good[3:]]
    with pytest.raises(AlignError, match=r"array\[3\] is blurred all over"):
        gpustack.stack(frames, Settings(threads=2, on_bad_frame=BadFrame.FAIL))


def test_a_shaken_reference_gives_the_geometry_and_nothing_else(good: list[Any]) -> None:
    frames = [*good[:3], shake(good[3]), *good[4:]]
    result = gpustack.stack(frames, Settings(threads=2, reference="3"))
    assert [place.used for place in result.places] == [index != 3 for index in range(8)]
    assert not result.transforms[3].moves
    assert result.report.frames[3].share == 0.0
    kept = gpustack.stack(good, Settings(threads=2, reference="3"))
    # The place of a shaken frame is known to a pixel only, so the pictures may lie beside each other.
    assert sharpness(common(result, kept)) > 0.9 * sharpness(common(kept, result))


def sharpness(picture: Any) -> float:
    return float(np.abs(np.diff(picture.astype(float), axis=0)).mean())


def test_a_shaken_frame_does_not_pull_the_others(good: list[Any]) -> None:
    frames = [*good[:3], shake(good[3]), *good[4:]]
    found, without = gpustack.locate(frames, FIRST), gpustack.locate([*good[:3], *good[4:]], FIRST)
    assert [place.shaken for place in found] == [index == 3 for index in range(8)]
    for place, other in zip([*found[:3], *found[4:]], without, strict=True):
        assert np.abs(place.transform.apply(CORNERS) - other.transform.apply(CORNERS)).max() < 0.3


def test_frames_that_are_only_reached_through_a_shaken_one_stay(good: list[Any]) -> None:
    with patch("gpustack.engine.links.LINK_STEPS", (1,)):
        found = gpustack.locate([*good[:3], shake(good[3], 9), *good[4:]], FIRST)
    assert [place.used for place in found] == [index != 3 for index in range(8)]


def test_places_can_be_given_with_frames_left_out(good: list[Any]) -> None:
    frames = [*good[:5], np.zeros_like(good[0]), *good[5:]]
    first = gpustack.stack(frames, Settings(threads=2))
    again = gpustack.stack(frames, Settings(threads=2), transforms=first.places)
    np.testing.assert_array_equal(first.image, again.image)


def test_links_of_a_stack_agree(good: list[Any]) -> None:
    places = gpustack.locate(good, Settings(threads=2))
    assert all(place.used for place in places)
    assert max(place.residual_px for place in places) < 0.25
    assert min(place.confidence for place in places) > 0.5


class Told(Silent):
    """Keeps what it is warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)


def test_frames_whose_matches_contradict_each_other_are_named(good: list[Any]) -> None:
    stack, told = Shelf(good).stack, Told()
    fine, off = Place(Transform.identity(), residual_px=1.0), Place(Transform.identity(), residual_px=6.4)
    settle(stack, [fine] * 8, BadFrame.SKIP, told)
    assert told.warnings == []
    settle(stack, [fine] * 3 + [off] * 5, BadFrame.SKIP, told)
    (sentence,) = told.warnings
    assert "frame3.jpg, frame4.jpg, frame5.jpg and 2 more" in sentence
    assert "by up to 6 pixels" in sentence
    with pytest.raises(AlignError, match="contradict"):
        settle(stack, [fine] * 3 + [off] * 5, BadFrame.FAIL, told)
