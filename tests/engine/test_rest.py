"""A camera that stood still: its frames are not resampled, and a slow drift is no rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import gpustack
from gpustack.model.transform import corners
from gpustack.scenes import Rendered, Shoot, render
from gpustack.settings import BackendName, Method, Model
from tests.engine.shots import frames_of

SIZE = (320, 240)
SETTINGS = gpustack.Settings(backend=BackendName.CPU, method=Method.AVERAGE)


def shot(scene: str, **changes: Any) -> Rendered:
    given = {"frames": 10, "width": SIZE[0], "height": SIZE[1], "max_blur_px": 3.0, "noise": 1.0, "seed": 4}
    return render(scene, Shoot(**given | changes))


@pytest.mark.parametrize(("scene", "noise"), [("macro", 0.0), ("dome", 4.0), ("print", 1.0)])
def test_frames_of_a_still_camera_pass_bit_for_bit(scene: str, noise: float) -> None:
    frames = frames_of(shot(scene, noise=noise))
    seen: list[Any] = []
    places = gpustack.locate(frames, SETTINGS, keep_aligned=lambda _, pixels: seen.append(pixels.copy()))
    assert not any(place.transform.moves for place in places)
    for frame, kept in zip(frames, seen, strict=True):
        np.testing.assert_array_equal(kept, frame)


def test_the_picture_is_that_without_alignment_and_the_model_is_none() -> None:
    frames = frames_of(shot("macro"))
    found = gpustack.stack(frames, SETTINGS)
    plain = gpustack.stack(frames, replace(SETTINGS, align=Model.NONE))
    assert found.report.model == Model.NONE
    np.testing.assert_array_equal(found.image, plain.image)
    assert 0 < max(place.residual_px for place in found.places) < 0.1


def test_gains_are_still_found() -> None:
    rendered = shot("dome", flicker=0.03)
    places = gpustack.locate(frames_of(rendered), SETTINGS)
    assert not any(place.transform.moves for place in places)
    for place, true in zip(places, rendered.transforms, strict=True):
        assert place.transform.gain == pytest.approx(true.gain, abs=0.004)


@pytest.mark.parametrize(
    ("scene", "drift"),
    [("macro", {"drift_px": 0.36}), ("dome", {"breathing": 0.002}), ("print", {"rotation_deg": 0.1})],
    ids=["0.04 px a frame", "breathing", "turn"],
)
def test_a_slow_drift_is_followed(scene: str, drift: dict[str, float]) -> None:
    rendered = shot(scene, **drift)
    places = gpustack.locate(frames_of(rendered), SETTINGS)
    ends = [places[0].transform, places[-1].transform]
    for found, true in zip(ends, (rendered.transforms[0], rendered.transforms[-1]), strict=True):
        assert found.moves
        points = corners(*SIZE)
        assert np.abs(found.apply(points) - true.apply(points)).max() < 0.1


def test_one_frame_that_was_pushed_moves() -> None:
    still, pushed = shot("macro"), shot("macro", drift_px=3.0)
    frames = [*frames_of(still)[:8], frames_of(pushed)[8], frames_of(still)[9]]
    places = gpustack.locate(frames, SETTINGS)
    points = corners(*SIZE)
    true = pushed.transforms[8].apply(points)
    assert np.abs(places[8].transform.apply(points) - true).max() < 0.1


def test_two_frames_alone_lie_still() -> None:
    frames = frames_of(shot("cards"))
    places = gpustack.locate([frames[4], frames[6]], SETTINGS)
    assert not any(place.transform.moves for place in places)
