"""Frames of different pixel size in one stack: crops, and pictures of another resolution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from gpustack.backend.choose import Choice
from gpustack.engine import run as running
from gpustack.engine.plan import make_plan
from gpustack.engine.planned import Budget
from gpustack.engine.run import Outcome, locate
from gpustack.errors import StackError
from gpustack.model.place import Place
from gpustack.model.stack import Stack
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform, corners
from gpustack.scenes.comparison import truth_psnr
from gpustack.settings import BackendName, Crop, Model, Settings
from tests.cuda_on_cpu.device import CpuDevice
from tests.cuda_on_cpu.module import problem
from tests.engine.shots import Shelf, frames_of, header, macro

Pixels = npt.NDArray[Any]
WIDTH, HEIGHT = 240, 160
SHARE = 0.7
GRID = np.array([[x, y] for x in (30, 120, 210) for y in (20, 80, 140)], np.float64)
VIEW = (36, 24, 168, 112)
"""What every frame shows: left, top, width, height."""


@dataclass(frozen=True)
class Mixed:
    """Frames of several sizes, and the true matrices from the scene to them."""

    pictures: list[Pixels]
    matrices: list[Pixels]

    def cropped(self, index: int, left: int, top: int, width: int, height: int) -> None:
        picture = self.pictures[index][top : top + height, left : left + width]
        self.pictures[index] = np.ascontiguousarray(picture)
        self.matrices[index] = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]]) @ self.matrices[index]

    def resized(self, index: int, share: float) -> None:
        size = round(WIDTH * share), round(HEIGHT * share)
        self.pictures[index] = cv2.resize(self.pictures[index], size, interpolation=cv2.INTER_AREA)
        across, down = size[0] / WIDTH, size[1] / HEIGHT
        grown = np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1.0]])
        self.matrices[index] = grown @ self.matrices[index]

    def true(self, reference: int) -> list[Transform]:
        back = np.linalg.inv(self.matrices[reference])
        return [Transform(matrix @ back) for matrix in self.matrices]

    def errors(self, places: tuple[Place, ...], reference: int) -> list[float]:
        """Root mean square over the points of a grid that each frame shows, in its pixels."""
        grid = Transform(self.matrices[reference]).apply(GRID)
        found = []
        for place, true, picture in zip(places, self.true(reference), self.pictures, strict=True):
            points = true.apply(grid)
            shown = ((points >= 0) & (points < picture.shape[1::-1])).all(axis=1)
            away = place.transform.apply(grid[shown]) - points[shown]
            found.append(float(np.sqrt((away**2).sum(axis=1).mean())))
        return found


def whole(**changes: Any) -> Mixed:
    scene = macro(**changes)
    return Mixed(list(frames_of(scene)), [transform.matrix for transform in scene.transforms])


def mixed(**changes: Any) -> Mixed:
    """Two frames cropped, two resampled to 70 %."""
    made = whole(**changes)
    made.cropped(1, 20, 12, 208, 140)
    made.resized(0, SHARE)
    made.resized(5, SHARE)
    made.cropped(3, 12, 10, 212, 142)
    return made


def stacked(pictures: list[Pixels], settings: Settings, places: list[Place] | None = None) -> Outcome:
    shelf = Shelf(pictures)
    return running.run(shelf.stack, shelf.read, settings, places=places)


ON_CPU = Settings(threads=2, crop=Crop.NONE, backend=BackendName.CPU)


def psnr(outcome: Outcome) -> float:
    left, top, width, height = VIEW
    picture = outcome.fused.picture[top : top + height, left : left + width]
    return truth_psnr(macro(), picture, VIEW)


def test_crops_and_smaller_frames_fall_into_place() -> None:
    found, made = stacked(mixed().pictures, ON_CPU), mixed()
    assert [place.used for place in found.places] == [True] * 6
    assert max(made.errors(found.places, 2)) < 0.1
    assert found.report.box == (0, 0, WIDTH, HEIGHT)


def test_the_result_is_as_good_as_with_the_true_transforms() -> None:
    made, gains = mixed(), [transform.gain for transform in macro().transforms]
    true = [
        Place(Transform(transform.matrix, Tone((gain / gains[2],))))
        for transform, gain in zip(made.true(2), gains, strict=True)
    ]
    found, wanted = (stacked(made.pictures, ON_CPU, places) for places in (None, true))
    assert psnr(found) > psnr(wanted) - 0.2


def test_the_result_is_nearly_that_of_frames_of_one_size() -> None:
    made = whole()
    made.cropped(1, 20, 12, 208, 140)
    made.resized(5, SHARE)
    assert psnr(stacked(made.pictures, ON_CPU)) > psnr(stacked(whole().pictures, ON_CPU)) - 0.5


@pytest.mark.parametrize("reference", [0, 1, 3])
def test_any_frame_may_be_the_reference(reference: int) -> None:
    made = mixed()
    found = stacked(made.pictures, replace(ON_CPU, reference=str(reference)))
    height, width = made.pictures[reference].shape[:2]
    assert found.fused.picture.shape == (height, width, 3)
    assert max(made.errors(found.places, reference)) < 0.12
    assert not found.places[reference].transform.moves


def test_a_crop_of_a_still_frame_is_a_shift_by_whole_pixels() -> None:
    made = whole(flicker=0.0, breathing=0.0, drift_px=0.0, jitter_px=0.0)
    made.cropped(1, 20, 12, 208, 140)
    shelf = Shelf(made.pictures)
    places = locate(shelf.stack, shelf.read, ON_CPU)
    assert places[1].transform.matrix.tolist() == [[1, 0, -20], [0, 1, -12], [0, 0, 1]]


def test_the_canvas_keeps_what_all_frames_show() -> None:
    made, settings = mixed(), replace(ON_CPU, crop=Crop.AUTO)
    left, top, width, height = stacked(made.pictures, settings).report.box
    assert width * height > 0.6 * WIDTH * HEIGHT
    ends = corners(width, height) + np.array([left, top])
    for true, picture in zip(made.true(2), made.pictures, strict=True):
        assert (true.apply(ends) > -0.2).all()
        assert (true.apply(ends) < np.array(picture.shape[1::-1]) - 0.8).all()


def test_a_crop_and_a_smaller_frame_of_one_size_are_told_apart() -> None:
    made = whole()
    made.resized(0, SHARE)
    made.cropped(1, 34, 23, 168, 112)
    assert made.pictures[0].shape == made.pictures[1].shape
    shelf = Shelf(made.pictures)
    assert max(made.errors(locate(shelf.stack, shelf.read, ON_CPU), 2)[:2]) < 0.1


@pytest.mark.parametrize("model", [Model.SHIFT, Model.SIMILARITY, Model.HOMOGRAPHY])
def test_every_model_finds_a_crop_far_off_the_centre(model: Model) -> None:
    made = whole(breathing=0.0)
    made.cropped(3, 96, 56, 144, 104)
    shelf = Shelf(made.pictures)
    places = locate(shelf.stack, shelf.read, replace(ON_CPU, align=model))
    assert max(made.errors(places, 2)) < (0.35 if model is Model.HOMOGRAPHY else 0.15)


@pytest.mark.skipif(problem() is not None, reason=str(problem()))
def test_a_gpu_gives_the_cpus_result(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, settings = mixed().pictures, Settings(threads=2, crop=Crop.NONE)
    wanted = stacked(pictures, ON_CPU)
    monkeypatch.setattr(running, "choose", lambda *_: Choice("chosen by the test", (CpuDevice(eager=False),)))
    found = stacked(pictures, settings)
    assert found.report.backend == "cuda"
    for mine, theirs in zip(found.places, wanted.places, strict=True):
        np.testing.assert_allclose(mine.transform.matrix, theirs.transform.matrix, atol=1e-3)
    away = np.abs(found.fused.picture.astype(float) - wanted.fused.picture)
    assert np.mean(away > 1) < 1e-3


def test_without_alignment_both_sizes_are_told() -> None:
    made = whole()
    made.cropped(1, 0, 0, 160, 140)
    with pytest.raises(StackError, match="pixel size") as raised:
        stacked(made.pictures, Settings(align=Model.NONE, backend=BackendName.CPU))
    assert "160x140" in raised.value.message
    assert "240x160" in raised.value.message
    assert raised.value.exit_code == 3


def test_the_largest_frame_is_what_a_plan_counts_with() -> None:
    small, large = (header(0, 400, 300), header(1, 4000, 3000))
    budget = Budget(4 << 30, 2)
    mixed_plan = make_plan(Stack((small, large)), Settings(), budget)
    assert mixed_plan.total_bytes == make_plan(Stack((large, large)), Settings(), budget).total_bytes
