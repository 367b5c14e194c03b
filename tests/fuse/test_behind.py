"""The second pass of `auto`: the ground beside nearer things."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest

from gpustack.backend.protocol import Backend
from gpustack.backend.values import FRONT, GROUND, Band, Extent
from gpustack.engine.path import Recipe, render
from gpustack.fuse.behind import Behind, Scene, show_sides, steps_of
from gpustack.fuse.facing import Order
from gpustack.metrics import psnr
from gpustack.model.canvas import Canvas
from gpustack.model.frame import PixelType
from gpustack.model.rect import Rows, cut
from gpustack.scenes import Rendered, Shoot
from gpustack.scenes import render as rendered_scene
from gpustack.settings import Method, Prefer
from tests.strategies import Picture

WIDTH, HEIGHT, FRAMES = 240, 200, 12
NOISE = 0.003


@cache
def hairs() -> Rendered:
    """Crossing hairs before a textured ground."""
    return rendered_scene("hairs", Shoot(FRAMES, WIDTH, HEIGHT, max_blur_px=8.0, noise=1.0))


@cache
def frames() -> tuple[Picture, ...]:
    return tuple(hairs().frame(index) for index in range(FRAMES))


def canvas(rows: int) -> Canvas:
    return Canvas(0, 0, WIDTH, HEIGHT, 3, PixelType.UINT8, cut(HEIGHT, rows))


def passed(backend: Backend[Any], fold: Any, rows: int, *runs: Iterable[int]) -> Any:
    """The state after runs of frames, merged."""
    states = []
    for run in runs:
        state = fold.start(backend, canvas(rows))
        for index in run:
            image = np.moveaxis(frames()[index], -1, 0).astype(np.float32) / np.float32(255)

            def view(band: Rows, image: Picture = image) -> Any:
                return Band(backend.upload(np.ascontiguousarray(image[:, band.slice])))

            fold.add(backend, state, index, view)
        states.append(state)
    for other in states[1:]:
        fold.merge(backend, states[0], other)
    return states[0]


def scene(backend: Backend[Any], rows: int) -> Scene:
    """As if the first pass had taken the middle frame, and had seen the true depth, fat by some pixels."""
    depth = cv2.erode(np.rint(hairs().depth), np.ones((7, 7), np.uint8)).astype(np.uint16)
    order = Order(FRAMES - 1, nearer_first=True)
    steps = steps_of(backend, depth, np.ones(depth.shape, np.float32), order, 1e-3)
    low, high = np.min(frames(), axis=0), np.max(frames(), axis=0)
    extent = [
        Extent(*(backend.upload(np.moveaxis(each[band.slice], -1, 0).copy()) for each in (low, high)))
        for band in cut(HEIGHT, rows)
    ]
    return Scene(frames()[5], extent, steps, order, 8 / 11, NOISE)


def looked(backend: Backend[Any], rows: int, *runs: Iterable[int]) -> tuple[Picture, Picture]:
    fold = Behind(scene(backend, rows))
    return fold.finish(backend, passed(backend, fold, rows, *runs))


def test_bands_do_not_change_a_bit(backend: Backend[Any]) -> None:
    whole, banded = (looked(backend, rows, range(FRAMES)) for rows in (HEIGHT, 64))
    assert (whole[0] != frames()[5]).any()
    assert whole[0].tobytes() == banded[0].tobytes()
    assert whole[1].tobytes() == banded[1].tobytes()


def test_merging_equals_one_run_and_order_does_not_matter(backend: Backend[Any]) -> None:
    one = looked(backend, HEIGHT, range(FRAMES))
    for runs in ((range(5), range(5, FRAMES)), (range(FRAMES - 1, -1, -1),)):
        assert looked(backend, HEIGHT, *runs)[0].tobytes() == one[0].tobytes()


def test_only_what_lies_beside_steps_changes_and_stays_in_range(backend: Backend[Any]) -> None:
    given = scene(backend, HEIGHT)
    picture, shows = looked(backend, HEIGHT, range(FRAMES))
    veiled, away = given.steps.side == FRONT, given.steps.side == 0
    assert away.any()
    np.testing.assert_array_equal(picture[away], given.picture[away])
    np.testing.assert_array_equal(shows[~veiled], given.steps.side[~veiled])
    assert set(np.unique(shows[veiled])) == {FRONT, GROUND}
    assert picture.min() >= np.min(frames())
    assert picture.max() <= np.max(frames())


def test_where_nothing_fits_nothing_is_known(backend: Backend[Any]) -> None:
    given = scene(backend, HEIGHT)
    seen = np.full(given.steps.side.shape, 2, np.uint8)  # bare, and unlike what was seen
    seen[:2] = 3  # but for a few
    show_sides(backend, seen, given.steps.side)
    assert (seen[:2] == GROUND).all()
    assert not seen[2:].any()


def test_without_steps_or_radius_there_is_nothing_to_do(backend: Backend[Any]) -> None:
    given = scene(backend, HEIGHT)
    assert given.has_steps
    assert not replace(given, radius=0.0).has_steps
    none = replace(given.steps, side=np.zeros_like(given.steps.side))
    assert not replace(given, steps=none).has_steps


@pytest.mark.parametrize("prefer", [Prefer.NONE, Prefer.NEAR])
def test_auto_takes_the_second_pass_beside_hairs(backend: Backend[Any], prefer: Prefer) -> None:
    """Picture and depth are better by it; where one end is preferred, it is left out."""
    begun: list[str] = []
    results = []
    for rerun in (False, True):

        def pass_over(name: str, folds: list[Any], skip: bool = rerun) -> list[Any]:
            begun.append(name)
            rows = [range(0)] if name == "behind" and skip else [range(FRAMES)]
            return [passed(backend, fold, HEIGHT, *rows) for fold in folds]

        recipe = Recipe(Method.AUTO, NOISE, depth=True, prefer=prefer)
        results.append(render(backend, pass_over, recipe))
    full, without = results
    if prefer is not Prefer.NONE:
        assert begun == ["auto", "auto"]
        return
    assert begun == ["auto", "behind"] * 2
    truth = hairs().truth
    assert psnr(full.picture / 255, truth) > psnr(without.picture / 255, truth) + 0.3
    assert full.surface is not None
    assert without.surface is not None
    better, worse = (np.abs(found.depth - hairs().depth).mean() for found in (full.surface, without.surface))
    assert better < 0.9 * worse
