"""`--align auto` on frames: the model that was rendered is chosen."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

import gpustack
from gpustack.align.motion import small_motion
from gpustack.model.transform import corners
from gpustack.scenes import Rendered, Shoot, render
from gpustack.settings import Model, Settings

WIDTH, HEIGHT, FRAMES = 480, 360, 8
AUTO = Settings(align=Model.AUTO, threads=2)


def shot(**motion: float) -> Rendered:
    traits: dict[str, Any] = {"frames": FRAMES, "width": WIDTH, "height": HEIGHT, "max_blur_px": 5.0}
    return render("macro", Shoot(**traits, noise=1.0, flicker=0.01, **motion))


def frames_of(rendered: Rendered) -> list[Any]:
    return [rendered.frame(index) for index in range(FRAMES)]


@pytest.mark.parametrize(
    ("motion", "model"),
    [
        ({"drift_px": 6.0, "jitter_px": 0.5}, Model.SHIFT),
        ({"drift_px": 6.0, "rotation_deg": 0.6}, Model.RIGID),
        ({"drift_px": 6.0, "breathing": 0.03}, Model.SIMILARITY),
        ({"drift_px": 6.0, "breathing": 0.03, "rotation_deg": 0.3}, Model.SIMILARITY),
    ],
)
def test_the_model_that_was_rendered_is_chosen(motion: dict[str, float], model: Model) -> None:
    rendered = shot(**motion)
    result = gpustack.stack(frames_of(rendered), AUTO)
    assert result.report.model == model
    points = corners(WIDTH, HEIGHT)
    back = rendered.transforms[3].inverse()
    for found, true in zip(result.transforms, rendered.transforms, strict=True):
        assert np.abs(found.apply(points) - true.after(back).apply(points)).max() < 0.3


def test_a_perspective_is_chosen_where_there_is_one() -> None:
    frames = frames_of(shot(drift_px=6.0))
    leaning = [
        small_motion(np.array([0, 0, 0, 0, 0, 0, 0.02, -0.015]) * (i - 3) / 7, WIDTH, HEIGHT)
        for i in range(8)
    ]
    moved = [
        cv2.warpPerspective(
            frame, motion, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        for frame, motion in zip(frames, leaning, strict=True)
    ]
    assert gpustack.stack(moved, AUTO).report.model == Model.HOMOGRAPHY


def test_two_frames_are_a_similarity() -> None:
    assert gpustack.stack(frames_of(shot(drift_px=6.0))[3:5], AUTO).report.model == Model.SIMILARITY


@pytest.mark.parametrize("model", [Model.NONE, Model.RIGID])
def test_a_model_that_was_asked_for_is_reported(model: Model) -> None:
    frames = frames_of(shot(drift_px=6.0))[:2]
    assert gpustack.stack(frames, Settings(align=model, threads=2)).report.model == model
