"""The laws of `auto` where a blur is found and undone: on a rendered scene, as random pictures have none."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from gpustack.backend.cpu import Cpu
from gpustack.backend.protocol import Backend
from gpustack.fuse.auto import Auto, AutoState
from gpustack.fuse.measure import energy_noise
from gpustack.fuse.radius import blur_radius
from gpustack.metrics.likeness import psnr
from gpustack.model.canvas import Canvas
from gpustack.model.frame import PixelType
from gpustack.model.rect import cut
from gpustack.model.transform import Transform
from gpustack.scenes import Shoot, render
from gpustack.settings import Method
from tests.fuse.fusing import fuse, view
from tests.strategies import Case, Picture

HEIGHT, WIDTH, FRAMES = 192, 256, 8
SHARPEST_BLUR = 5.0
RADIUS = SHARPEST_BLUR / (FRAMES - 1)
"""By how many pixels the distance of one frame blurs."""

every_kind = pytest.mark.parametrize("kind", [PixelType.UINT8, PixelType.UINT16])


@cache
def printed(kind: PixelType) -> tuple[Case, Picture]:
    """Frames of a slanted page, and the page."""
    shoot = Shoot(FRAMES, WIDTH, HEIGHT, SHARPEST_BLUR, noise=1.0, pixel_type=kind, seed=3)
    made = render("print", shoot)
    frames = [made.frame(index) for index in range(FRAMES)]
    canvas = Canvas(0, 0, WIDTH, HEIGHT, 3, kind, cut(HEIGHT, HEIGHT))
    noise = Cpu(1).noise_level(frames[0], kind)
    return Case(frames, [Transform.identity()] * FRAMES, canvas, noise), made.truth


def folded(backend: Backend[Any], case: Case) -> AutoState:
    fold = Auto(case.noise)
    state = fold.start(backend, case.canvas)
    for index in range(len(case.frames)):
        fold.add(backend, state, index, view(backend, case, index))
    return state


def steps(case: Case) -> float:
    """Samples' steps in one of 8 bits."""
    return case.canvas.pixel_type.white / 255


@every_kind
@pytest.mark.parametrize("rows", [HEIGHT, 30])
def test_the_radius_is_found(backend: Backend[Any], kind: PixelType, rows: int) -> None:
    case = printed(kind)[0].banded(rows)
    state = folded(backend, case)
    found = blur_radius(backend, case.canvas, state.means, energy_noise(case.noise))
    assert found == pytest.approx(RADIUS, rel=0.15)


@every_kind
@pytest.mark.parametrize("rows", [30, 64])
def test_bands_do_not_change_a_bit(backend: Backend[Any], kind: PixelType, rows: int) -> None:
    case, _ = printed(kind)
    whole, banded = fuse(backend, Method.AUTO, case), fuse(backend, Method.AUTO, case.banded(rows))
    np.testing.assert_array_equal(banded.picture, whole.picture)
    np.testing.assert_array_equal(banded.winners, whole.winners)


@every_kind
@pytest.mark.parametrize(
    "runs", [(range(4), range(4, 8)), (range(5, 8), range(5)), (range(0, 8, 2), range(1, 8, 2))]
)
def test_merging_two_runs_equals_one_within_rounding(
    backend: Backend[Any], kind: PixelType, runs: tuple[range, range]
) -> None:
    case, _ = printed(kind)
    one, two = fuse(backend, Method.AUTO, case), fuse(backend, Method.AUTO, case, *runs)
    away = np.abs(two.picture.astype(float) - one.picture)
    assert np.mean(away > steps(case)) < 1e-4
    np.testing.assert_array_equal(two.winners, one.winners)


@every_kind
def test_every_backend_gives_the_cpus_picture(backend: Backend[Any], kind: PixelType) -> None:
    case, _ = printed(kind)
    found, wanted = fuse(backend, Method.AUTO, case), fuse(Cpu(1), Method.AUTO, case)
    away = np.abs(found.picture.astype(float) - wanted.picture)
    assert np.mean(away > steps(case)) < 1e-4
    assert np.mean(found.winners != wanted.winners) < 1e-3


@every_kind
def test_the_blur_that_is_undone_is_worth_decibels(
    backend: Backend[Any], kind: PixelType, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, truth = printed(kind)
    white = case.canvas.pixel_type.white
    restored = psnr(fuse(backend, Method.AUTO, case).picture / white, truth)
    monkeypatch.setattr("gpustack.fuse.auto.blur_radius", lambda *_: 0.0)
    assert restored > psnr(fuse(backend, Method.AUTO, case).picture / white, truth) + 1.0


@every_kind
def test_a_restored_pixel_stays_in_the_range_of_those_around_it(
    backend: Backend[Any], kind: PixelType
) -> None:
    """And leaves its own: a blur that is undone is a contrast that no frame has."""
    case, _ = printed(kind)
    found, frames = fuse(backend, Method.AUTO, case).picture, np.stack(case.frames)
    wide = np.pad(frames, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(wide, (3, 3), axis=(1, 2))
    assert (found >= windows.min(axis=(0, -2, -1))).all()
    assert (found <= windows.max(axis=(0, -2, -1))).all()
    assert (found > frames.max(axis=0)).any()
    assert (found < frames.min(axis=0)).any()
