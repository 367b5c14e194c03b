"""`--prefer`: a thread before a wall, both within the window of the focus measure."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from gpustack.backend.protocol import Backend
from gpustack.engine.path import Fused, Recipe, render
from gpustack.fuse.fold import Fold
from gpustack.model.canvas import Canvas
from gpustack.model.frame import PixelType
from gpustack.model.rect import cut
from gpustack.model.transform import Transform
from gpustack.scenes import Rendered, Shoot
from gpustack.scenes import render as rendered
from gpustack.settings import Method, Prefer
from tests.fuse.fusing import folded
from tests.strategies import Case

every_method = pytest.mark.parametrize("method", list(Method))


@cache
def hairs() -> Rendered:
    return rendered("hairs", Shoot(frames=12, width=200, height=140, max_blur_px=5.0, noise=1.0))


@cache
def case() -> Case:
    scene = hairs()
    frames = [scene.frame(index) for index in range(len(scene))]
    canvas = Canvas(0, 0, 200, 140, 3, PixelType.UINT8, cut(140, 140))
    return Case(frames, [Transform.identity()] * len(frames), canvas, 0.004)


def fused(backend: Backend[Any], given: Case, recipe: Recipe) -> Fused:
    def pass_over(name: str, folds: list[Fold[Any]]) -> list[Any]:
        del name
        return [folded(backend, fold, given, [range(len(given.frames))]) for fold in folds]

    return render(backend, pass_over, recipe)


@every_method
def test_depth_goes_to_the_end_that_is_preferred(backend: Backend[Any], method: Method) -> None:
    means = []
    for prefer in (Prefer.NEAR, Prefer.NONE, Prefer.FAR):
        found = fused(backend, case(), Recipe(method, 0.004, depth=True, prefer=prefer)).surface
        assert found is not None
        means.append(float(found.depth.mean()))
    assert means[0] < means[2]
    if method is not Method.AUTO:  # which looks behind nearer things only where no end is preferred
        assert means[0] < means[1] < means[2]
    assert means[2] - means[0] < 1  # only where two things are seen at once


@pytest.mark.parametrize("method", [Method.AUTO, Method.PYRAMID])
def test_near_keeps_more_of_the_hairs(backend: Backend[Any], method: Method) -> None:
    truth, depth = 255 * hairs().truth.astype(float), hairs().depth
    in_front = depth < np.median(depth) - 3

    def error(prefer: Prefer) -> float:
        picture = fused(backend, case(), Recipe(method, 0.004, prefer=prefer)).picture
        return float(np.square(picture[in_front] - truth[in_front]).mean())

    near, none, far = map(error, (Prefer.NEAR, Prefer.NONE, Prefer.FAR))
    assert near < min(none, far)
    if method is not Method.AUTO:  # which looks behind nearer things only where no end is preferred
        assert none < far


@every_method
@pytest.mark.parametrize("prefer", [Prefer.NEAR, Prefer.FAR])
def test_bands_do_not_change_a_bit(backend: Backend[Any], method: Method, prefer: Prefer) -> None:
    recipe = Recipe(method, 0.004, prefer=prefer)
    small = replace(
        case(), frames=[frame[:40, :60] for frame in case().frames[::3]], places=case().places[::3]
    )
    small = replace(small, canvas=replace(small.canvas, width=60, height=40, bands=cut(40, 40)))
    whole, banded = (fused(backend, each, recipe) for each in (small, small.banded(12)))
    assert whole.picture.tobytes() == banded.picture.tobytes()
