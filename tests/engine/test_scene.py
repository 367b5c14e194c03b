"""The whole engine on a scene whose sharp picture, depth and camera movement are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpustack.backend.cpu import Cpu
from gpustack.engine.path import PASSES, Recipe, render
from gpustack.engine.run import Outcome, run
from gpustack.fuse.fold import Fold
from gpustack.model.canvas import Canvas
from gpustack.model.frame import PixelType
from gpustack.model.rect import cut
from gpustack.scenes import Rendered
from gpustack.scenes.comparison import truth_psnr
from gpustack.settings import Method, Model, Settings
from tests.engine.shots import Shelf, frames_of, macro

every_method = pytest.mark.parametrize("method", list(Method))


@pytest.fixture(scope="module", params=[PixelType.UINT8, PixelType.UINT16])
def rendered(request: pytest.FixtureRequest) -> Rendered:
    return macro(request.param)


def stacked(rendered: Rendered, settings: Settings) -> Outcome:
    shelf = Shelf(frames_of(rendered))
    return run(shelf.stack, shelf.read, settings)


def best_single(rendered: Rendered, box: tuple[int, int, int, int]) -> float:
    left, top, width, height = box
    view = np.s_[top : top + height, left : left + width]
    return max(truth_psnr(rendered, frame[view], box) for frame in frames_of(rendered))


@every_method
def test_the_result_beats_the_best_single_frame_by_far(rendered: Rendered, method: Method) -> None:
    outcome = stacked(rendered, Settings(method=method, threads=2))
    box = outcome.report.box
    fused = truth_psnr(rendered, outcome.fused.picture, box)
    assert fused > best_single(rendered, box) + 5.0
    assert fused > 40.0


def test_alignment_is_what_makes_it_sharp(rendered: Rendered) -> None:
    aligned, still = (
        stacked(rendered, Settings(align=model, threads=2)) for model in (Model.SIMILARITY, Model.NONE)
    )
    gain = truth_psnr(rendered, aligned.fused.picture, aligned.report.box) - truth_psnr(
        rendered, still.fused.picture, still.report.box
    )
    assert gain > 4.0


@pytest.mark.parametrize("reference", ["first", "middle", "last", "4"])
def test_the_movement_that_was_rendered_is_found(rendered: Rendered, reference: str) -> None:
    outcome = stacked(rendered, Settings(reference=reference, threads=2))
    index = {"first": 0, "middle": 2, "last": 5, "4": 4}[reference]
    grid = np.array([[x, y] for x in (20, 120, 220) for y in (20, 80, 140)])
    back = rendered.transforms[index].inverse()
    found_transforms = [place.transform for place in outcome.places]
    for found, true in zip(found_transforms, rendered.transforms, strict=True):
        wanted = true.after(back)
        assert np.abs(found.apply(grid) - wanted.apply(grid)).max() < 0.4
        assert found.gain == pytest.approx(wanted.gain, rel=0.01)
    assert not found_transforms[index].moves


@every_method
def test_depth_follows_the_scene(rendered: Rendered, method: Method) -> None:
    outcome = stacked(rendered, Settings(method=method, depth=True, threads=2))
    left, top, width, height = outcome.report.box
    surface = outcome.fused.surface
    assert surface is not None
    truth = rendered.depth[top : top + height, left : left + width]
    assert surface.depth.dtype == surface.confidence.dtype == np.float32
    assert np.isfinite(surface.depth).all()
    assert surface.depth.min() >= 0
    assert surface.depth.max() <= len(rendered) - 1
    assert surface.confidence.min() >= 0
    assert surface.confidence.max() <= 1
    assert np.median(np.abs(surface.depth - truth)) < 0.26


@every_method
def test_two_half_runs_merged_equal_one_run(method: Method) -> None:
    rendered = macro(flicker=0.0, breathing=0.0, drift_px=0.0, jitter_px=0.0)
    backend, frames = Cpu(2), frames_of(rendered)
    canvas = Canvas(0, 0, 240, 160, 3, PixelType.UINT8, cut(160, 48))

    def folded(fold: Fold[Any], indices: range) -> Any:
        state = fold.start(backend, canvas)
        for index in indices:
            frame, place = backend.upload(frames[index]), canvas.place(rendered.transforms[index])
            fold.add(
                backend,
                state,
                index,
                lambda rows, frame=frame, place=place: backend.load(
                    frame, place, PixelType.UINT8, canvas.width, rows
                ),
            )
        return state

    def at_once(name: str, folds: list[Fold[Any]]) -> list[Any]:
        assert name in PASSES[method]
        return [folded(fold, range(6)) for fold in folds]

    def in_halves(name: str, folds: list[Fold[Any]]) -> list[Any]:
        assert name in PASSES[method]
        states = [folded(fold, range(3)) for fold in folds]
        for fold, state in zip(folds, states, strict=True):
            fold.merge(backend, state, folded(fold, range(3, 6)))
        return states

    whole, merged = (render(backend, way, Recipe(method, 0.004, True)) for way in (at_once, in_halves))
    # Weighted sums add up in another order: by a level at most, where rounding decides.
    assert np.abs(whole.picture.astype(int) - merged.picture).max() <= 1
    np.testing.assert_array_equal(whole.winners, merged.winners)
    assert whole.surface is not None
    assert merged.surface is not None
    np.testing.assert_allclose(whole.surface.depth, merged.surface.depth, rtol=0, atol=1e-4)
