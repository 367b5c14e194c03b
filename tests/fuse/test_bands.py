"""Halos, looked at where they show: the energies of a fold's state, on pictures whose every pixel counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpustack.backend.protocol import Backend
from gpustack.backend.values import sharpness_halo
from gpustack.fuse.auto import Auto
from gpustack.fuse.average import Average
from gpustack.fuse.depthmap import Blend
from gpustack.fuse.levels import LaplacianFold, level_count
from gpustack.fuse.measure import Sharpest
from gpustack.fuse.pyramid import pyramid
from gpustack.fuse.scales import soft_scales
from gpustack.model.canvas import Canvas
from gpustack.model.frame import PixelType
from gpustack.model.rect import cut
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform
from tests.backend.parts import sharpness
from tests.fuse.fusing import view
from tests.strategies import Case, Picture

HEIGHT, WIDTH = 77, 66


@pytest.fixture(scope="module", params=[True, False], ids=["still", "moved"])
def noisy(request: pytest.FixtureRequest) -> Case:
    """Three frames of white noise; where they are moved, none but the first covers the canvas."""
    generator = np.random.default_rng(3)
    frames = [generator.random((HEIGHT, WIDTH, 1), np.float32) for _ in range(3)]
    turned = Transform(np.array([[1.01, -0.02, 3.3], [0.02, 1.01, -4.7], [1e-5, -1e-5, 1.0]]), Tone((1.03,)))
    shifted = Transform(np.array([[1.0, 0, -2.5], [0, 1.0, 2.25], [0, 0, 1.0]]))
    still = Transform.identity()
    places = [still] * 3 if request.param else [still, turned, shifted]
    canvas = Canvas(0, 0, WIDTH, HEIGHT, 1, PixelType.FLOAT32, cut(HEIGHT, HEIGHT + 1), covered=request.param)
    return Case(frames, places, canvas, 0.01)


def folded(backend: Backend[Any], fold: Any, case: Case) -> Any:
    state = fold.start(backend, case.canvas)
    for index in range(len(case.frames)):
        fold.add(backend, state, index, view(backend, case, index))
    return state


def level_energies(backend: Backend[Any], fold: LaplacianFold, case: Case) -> list[Picture]:
    levels = folded(backend, fold, case).levels
    return [np.concatenate([backend.download(part.best.energy) for part in level.parts]) for level in levels]


@pytest.mark.parametrize("fold", [soft_scales(0.01), pyramid(0.01)], ids=["auto", "pyramid"])
@pytest.mark.parametrize("rows", [2, 4, 10, 32])
def test_energies_of_all_levels_do_not_know_the_bands(
    backend: Backend[Any], fold: LaplacianFold, noisy: Case, rows: int
) -> None:
    whole = level_energies(backend, fold, noisy)
    assert len(whole) == level_count(noisy.canvas) + 1 == 4
    for banded, wanted in zip(level_energies(backend, fold, noisy.banded(rows)), whole, strict=True):
        np.testing.assert_array_equal(banded, wanted)


@pytest.mark.parametrize("fold", [Sharpest(0.01), Average(0.01)], ids=["sharpest", "average"])
@pytest.mark.parametrize("rows", [2, 4, 10, 32])
def test_the_focus_measure_does_not_know_the_bands(
    backend: Backend[Any], fold: Any, noisy: Case, rows: int
) -> None:
    whole, banded = folded(backend, fold, noisy), folded(backend, fold, noisy.banded(rows))
    np.testing.assert_array_equal(fold.energies(backend, banded), fold.energies(backend, whole))
    np.testing.assert_array_equal(fold.winners(backend, banded), fold.winners(backend, whole))


@pytest.mark.parametrize(
    "fold", [Auto(0.01), pyramid(0.01), Average(0.01)], ids=["auto", "pyramid", "average"]
)
@pytest.mark.parametrize("rows", [2, 4, 10, 32])
def test_float_pictures_do_not_know_the_bands(
    backend: Backend[Any], fold: Any, noisy: Case, rows: int
) -> None:
    whole, banded = (folded(backend, fold, case) for case in (noisy, noisy.banded(rows)))
    np.testing.assert_array_equal(fold.finish(backend, banded), fold.finish(backend, whole))


def test_the_halo_of_the_focus_measure_is_exact(backend: Backend[Any]) -> None:
    """A pixel that far away is heard, one further is not; even rows look furthest."""
    halo = sharpness_halo(2.0)
    plane = np.zeros((1, 4 * halo + 1, 1), np.float32)
    middle = 2 * halo
    for distance, heard in ((halo, True), (halo + 1, False)):
        plane[:] = 0
        plane[0, middle - distance] = 1
        energy = sharpness(backend, plane, 2.0)
        assert (energy[middle, 0] > 0) is np.bool_(heard)


@pytest.mark.parametrize("covered", [True, False])
def test_a_blend_takes_the_two_frames_next_to_the_surface(backend: Backend[Any], covered: bool) -> None:
    depth = np.array([[0.0, 0.25], [1.5, 2.0]], np.float32)
    values = [0.1, 0.5, 0.9]
    frames = [np.full((2, 2, 1), value, np.float32) for value in values]
    canvas = Canvas(0, 0, 2, 2, 1, PixelType.FLOAT32, cut(2, 2), covered)
    case = Case(frames, [Transform.identity()] * 3, canvas, 0.01)
    fold = Blend(depth)
    state = folded(backend, fold, case)
    wanted = np.interp(depth, [0, 1, 2], values)[..., None]
    np.testing.assert_allclose(fold.finish(backend, state), wanted, atol=1e-6)
    np.testing.assert_array_equal(fold.winners(backend, state), [[0, 0], [2, 2]])


def test_a_blend_falls_back_on_the_nearest_frame_that_covers_the_pixel(backend: Backend[Any]) -> None:
    frames = [np.full((1, 8, 1), value, np.uint8) for value in (10, 20, 30)]
    away = Transform(np.array([[1.0, 0, -4], [0, 1, 0], [0, 0, 1]]))  # covers columns 4 and above
    canvas = Canvas(0, 0, 8, 1, 1, PixelType.UINT8, cut(1, 2), covered=False)
    case = Case(frames, [Transform.identity(), away, away], canvas, 0.01)
    fold = Blend(np.full((1, 8), 1.75, np.float32))
    picture = fold.finish(backend, folded(backend, fold, case))
    assert picture.ravel().tolist() == [10] * 4 + [28] * 4  # 20 / 4 + 30 * 3 / 4 = 27.5 is rounded to even
