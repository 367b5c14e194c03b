"""Brightness in a whole run: what is found of rendered flicker, what is left alone, and what it is worth."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import gpustack
from gpustack.model.tone import AS_IT_IS, Tone
from gpustack.model.transform import Transform
from gpustack.scenes import Rendered, Shoot, render
from gpustack.scenes.comparison import truth_psnr
from gpustack.settings import BackendName, Brightness, Settings
from tests.engine.shots import Pixels

REFERENCE = 2
CORNER = 0.7


@cache
def rendered(vignetted: bool = False, **changes: Any) -> tuple[Rendered, list[Pixels]]:
    """Six frames that breathe by 5 %, of a scene whose colours spread, and of a lens that may be uneven."""
    shoot = Shoot(
        6, 360, 240, max_blur_px=3.0, breathing=0.05, drift_px=3.0, jitter_px=0.5, noise=1.0, **changes
    )
    scene = render("crystal", shoot)
    if not vignetted:
        return scene, [scene.frame(index) for index in range(6)]
    y, x = np.mgrid[:240, :360]
    radius = np.hypot(x - 179.5, y - 119.5) / np.hypot(179.5, 119.5)
    coded = 1 - (1 - CORNER) * radius**2.4
    fall = (coded**2.2)[..., None].astype(np.float32)  # of light
    return scene, [scene.developed(scene.light(index) * fall, index) for index in range(6)]


def stacked(
    frames: list[Pixels],
    brightness: Brightness,
    backend: BackendName = BackendName.CPU,
    transforms: list[Transform] | None = None,
) -> gpustack.Result:
    settings = Settings(threads=2, backend=backend, brightness=brightness)
    return gpustack.stack(frames, settings, transforms=transforms)


def gains(scene: Rendered, result: gpustack.Result) -> np.ndarray:
    """(frames, colours): how far the gains are from the truth, as ratios."""
    pairs = zip(result.transforms, scene.transforms, strict=True)
    return np.array([np.array(found.tone.gain) / true.tone.gain - 1 for found, true in pairs])


@pytest.mark.parametrize("vignetted", [False, True])
def test_flicker_is_found_and_dark_corners_are_not_taken_for_it(vignetted: bool) -> None:
    scene, frames = rendered(vignetted, flicker=0.03)
    assert np.abs(gains(scene, stacked(frames, Brightness.GAIN))).max() < 0.003
    assert np.abs(gains(scene, stacked(frames, Brightness.CHANNELS))).max() < 0.005


def test_colours_that_flicker_by_themselves_are_found() -> None:
    scene, frames = rendered(flicker_rgb=0.03)
    found = stacked(frames, Brightness.CHANNELS)
    assert np.abs(gains(scene, found)).max() < 0.003
    assert not any(offset for transform in found.transforms for offset in transform.tone.offset)
    assert found.transforms[REFERENCE].tone == Tone((1.0,) * 3, (0.0,) * 3)


def test_offsets_are_found_where_they_are_determined() -> None:
    scene, frames = rendered(flicker_rgb=0.03, offset_rgb=4.0, seed=1)
    found = stacked(frames, Brightness.CHANNELS)
    tones = [transform.tone for transform in found.transforms]
    offsets = np.array([tone.offset for tone in tones])
    true = np.array([transform.tone.offset for transform in scene.transforms])
    determined = offsets != 0
    assert determined.sum() >= 10
    assert np.abs(offsets - true)[determined].max() < 0.5 / 255
    assert np.abs(gains(scene, found)[determined]).max() < 0.003


def test_matched_colours_are_worth_it() -> None:
    scene, frames = rendered(flicker_rgb=0.04, offset_rgb=3.0)
    none, gain, channels = (
        truth_psnr(scene, result.image, result.report.box)
        for result in (stacked(frames, brightness) for brightness in Brightness)
    )
    assert channels > gain + 1
    assert channels > none + 1


def test_none_leaves_values_alone() -> None:
    _, frames = rendered(flicker_rgb=0.04, offset_rgb=3.0)
    found = stacked(frames, Brightness.NONE)
    assert {transform.tone for transform in found.transforms} == {AS_IT_IS}
    toned = [Transform(np.eye(3), Tone((1.2, 1.0, 0.9), (0.1, 0.0, 0.0)))] * 6
    assert {t.tone for t in stacked(frames, Brightness.NONE, transforms=toned).transforms} == {AS_IT_IS}
    assert {t.tone for t in stacked(frames, Brightness.GAIN, transforms=toned).transforms} == {toned[0].tone}
    rows = found.report.as_dict()["frames"]
    assert all((row["gain"], row["offset"]) == (1.0, 0.0) for row in rows)


def test_the_picture_is_that_of_the_reference_where_frames_differ_in_tone_alone() -> None:
    scene, _ = rendered()
    values = scene.truth[:100, :150]
    tones = [
        Tone((1 + 0.05 * step, 1 - 0.04 * step, 1.0), (0.0, 0.02 * step, -0.01 * step)) for step in (-1, 0, 1)
    ]
    frames = [((values - np.float32(tone.offset)) / np.float32(tone.gain)) for tone in tones]
    transforms = [Transform(np.eye(3), tone) for tone in tones]
    result = stacked([frame.astype(np.float32) for frame in frames], Brightness.GAIN, transforms=transforms)
    np.testing.assert_allclose(result.image, values, atol=2e-6)
