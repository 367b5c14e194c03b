"""Frames that cannot be aligned: named, and left out as if they had not been there; or the end of the run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpustack
from gpustack.errors import AlignError
from gpustack.scenes import Shoot, render
from gpustack.settings import BadFrame, Settings

SHOOT = Shoot(
    frames=8, width=320, height=240, max_blur_px=5.0, breathing=0.02, drift_px=3.0, jitter_px=0.5, noise=1.0
)


@pytest.fixture(scope="module")
def good() -> list[Any]:
    rendered = render("macro", SHOOT)
    return [rendered.frame(index) for index in range(SHOOT.frames)]


@pytest.fixture(scope="module")
def foreign() -> Any:
    return render("print", Shoot(frames=2, width=320, height=240, max_blur_px=2.0, seed=3)).frame(0)


@pytest.mark.parametrize("kind", ["blank", "noise", "foreign"])
def test_a_bad_frame_is_left_out(good: list[Any], foreign: Any, kind: str) -> None:
    blank = np.full_like(good[0], 90)
    noise = np.random.default_rng(0).integers(0, 255, good[0].shape).astype(np.uint8)
    bad = {"blank": blank, "noise": noise, "foreign": foreign}[kind]
    alone = gpustack.stack(good, Settings(threads=2, reference="0"))
    mixed = gpustack.stack([*good[:5], bad, *good[5:]], Settings(threads=2, reference="0"))
    assert [place.used for place in mixed.places] == [index != 5 for index in range(9)]
    assert mixed.report.frames[5].share == 0.0
    assert len(mixed.report.warnings) == 1
    assert "array[5]" in mixed.report.warnings[0]
    difference = np.abs(common(mixed, alone).astype(int) - common(alone, mixed))
    assert np.mean(difference) < 0.5


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
