"""Things that move while the stack is shot, through the whole engine."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest

import gpustack
from gpustack.backend.choose import Choice
from gpustack.engine import run as running
from gpustack.errors import UsageError
from gpustack.metrics import psnr
from gpustack.scenes import Shoot, render
from gpustack.scenes.moving import Moving, render_moving
from gpustack.settings import Crop, Deghost, Method, Model, Settings
from tests.cuda_on_cpu.device import CpuDevice
from tests.cuda_on_cpu.module import problem
from tests.engine.shots import Shelf

SHOOT = Shoot(frames=12, width=240, height=180, max_blur_px=3.0, noise=1.0)
STILL = Settings(threads=2, align=Model.NONE)


@cache
def passer() -> Moving:
    return render_moving("passer", SHOOT)


def frames(scene: Any) -> list[Any]:
    return [scene.frame(index) for index in range(len(scene))]


def nearest(picture: Any) -> float:
    """PSNR where something moves, against the truth that is nearest."""
    around = cv2.dilate(passer().moves().astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    seen = (picture / 255).astype(np.float32)[around]
    return max(psnr(seen, pose.truth[around]) for pose in passer().poses)


@pytest.mark.parametrize("method", Method)
def test_what_moves_is_seen_once(method: Method) -> None:
    off, on = (
        gpustack.stack(frames(passer()), replace(STILL, method=method, deghost=deghost))
        for deghost in (Deghost.OFF, Deghost.ON)
    )
    assert nearest(on.image) > nearest(off.image) + 6
    assert not off.report.ghosts
    assert on.report.ghosts
    assert on.report.ghosts[0].file.startswith("array[")
    assert "ghosts" in on.report.seconds


def test_frames_that_are_aligned_are_looked_at_unasked() -> None:
    moving = render_moving("passer", replace(SHOOT, breathing=0.02, drift_px=3.0, jitter_px=0.5))
    on = gpustack.stack(frames(moving), Settings(threads=2))
    off = gpustack.stack(frames(moving), Settings(threads=2, deghost=Deghost.OFF))
    assert on.report.ghosts
    assert not off.report.ghosts
    assert "ghosts" not in gpustack.stack(frames(passer())[:3], STILL).report.seconds


@pytest.mark.parametrize("name", ["macro", "hairs", "lights"])
def test_a_scene_at_rest_loses_nothing(name: str) -> None:
    still = frames(render(name, replace(SHOOT, frames=6)))
    on, off = (gpustack.stack(still, replace(STILL, deghost=wish)) for wish in (Deghost.ON, Deghost.OFF))
    assert not on.report.ghosts
    np.testing.assert_array_equal(on.image, off.image)


def test_a_camera_that_moves_is_no_motion() -> None:
    shoot = replace(
        SHOOT, frames=8, breathing=0.03, drift_px=4.0, jitter_px=0.8, rotation_deg=0.3, flicker=0.02
    )
    assert not gpustack.stack(frames(render("macro", shoot)), Settings(threads=2)).report.ghosts


def test_without_cropping_the_reference_is_left_out_nowhere() -> None:
    moving = render_moving("passer", replace(SHOOT, drift_px=10.0))
    whole = gpustack.stack(frames(moving), Settings(threads=2, crop=Crop.NONE))
    assert whole.report.ghosts
    assert whole.image.shape == (180, 240, 3)
    assert whole.image.min(axis=-1).max() > 0
    dark = cv2.blur(whole.image.max(axis=-1), (9, 9)) < 5  # a place without any frame is black
    truth = moving.poses[0].truth.max(axis=-1)
    assert not (dark & (cv2.blur(truth, (9, 9)) > 0.1)).any()


@pytest.mark.parametrize("method", Method)
def test_depth_and_winners_are_those_of_frames_that_are_there(method: Method) -> None:
    result = gpustack.stack(frames(passer()), replace(STILL, method=method, deghost=Deghost.ON, depth=True))
    assert result.winners.max() < len(passer())
    assert result.depth is not None
    assert np.isfinite(result.depth).all()
    assert 0 <= result.depth.min() <= result.depth.max() <= len(passer()) - 1


def test_slabs_may_have_no_frame_of_what_is_kept() -> None:
    with pytest.raises(UsageError, match="--slab"):
        Settings(deghost=Deghost.ON, slab=(4, 1))
    assert not Settings(slab=(4, 1)).removes_ghosts


def test_the_plan_counts_what_is_kept_of_every_frame() -> None:
    plans = [
        gpustack.stack(frames(passer())[:4], replace(STILL, deghost=wish)).report.plan
        for wish in (Deghost.ON, Deghost.OFF)
    ]
    assert plans[0]["survey_bytes"] > plans[1]["survey_bytes"]
    assert plans[0]["state_bytes"] > plans[1]["state_bytes"]
    assert plans[0]["passes"][0] == "survey"


@pytest.mark.skipif(problem() is not None, reason=str(problem()))
@pytest.mark.parametrize("devices", [1, 2])
def test_a_gpu_leaves_out_the_same(monkeypatch: pytest.MonkeyPatch, devices: int) -> None:
    shelf = Shelf(frames(render_moving("passer", replace(SHOOT, width=160, height=120))))
    settings = replace(STILL, method=Method.DEPTHMAP, deghost=Deghost.ON)
    found = []
    for count in (0, devices):
        there = tuple(CpuDevice(eager=False) for _ in range(count))
        monkeypatch.setattr(running, "choose", lambda *_, there=there: Choice("chosen by the test", there))
        found.append(running.run(shelf.stack, shelf.read, settings))
    on_cpu, on_gpu = found
    assert on_cpu.report.ghosts
    assert on_gpu.report.ghosts == on_cpu.report.ghosts
    far = np.abs(on_cpu.fused.picture.astype(int) - on_gpu.fused.picture)
    assert np.mean(far > 2) < 0.01
