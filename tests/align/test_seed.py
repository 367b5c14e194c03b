"""Motions too large for the coarse-to-fine match alone."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import pytest

from gpustack.align import estimate
from gpustack.align.estimate import match
from gpustack.align.seed import seeds
from gpustack.align.sight import Sight
from gpustack.backend.protocol import Backend
from gpustack.settings import Model
from tests.align.test_estimate import sight
from tests.align.textures import Plane, about_the_centre, corner_error, turned

WIDTH, HEIGHT, MARGIN = 320, 240, 80

LARGE = {
    "closer": (turned(0, 1.15), (0.0, 0.0)),
    "farther": (turned(0, 0.85), (0.0, 0.0)),
    "turned": (turned(5), (16.0, -12.0)),
    "closer, turned and moved": (turned(-5, 1.15), (-16.0, 12.0)),
    "farther, turned and moved": (turned(5, 0.85), (16.0, 12.0)),
}
every_motion = pytest.mark.parametrize("motion", LARGE.values(), ids=list(LARGE))


def speckle(seed: int, motion: Plane, noise: float = 0.0) -> Plane:
    """A picture of fine grain, moved: coarse levels hold too little of it to start from."""
    generator = np.random.default_rng(seed)
    grain = generator.normal(size=(HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN)).astype(np.float32)
    wide = cv2.GaussianBlur(grain, (0, 0), 2.5)
    onto = motion @ np.array([[1.0, 0, -MARGIN], [0, 1, -MARGIN], [0, 0, 1]])
    seen = cv2.warpPerspective(wide / wide.std(), onto, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
    return np.asarray(0.5 + 0.1 * seen + noise * generator.normal(size=seen.shape))


def pair(backend: Backend[Any], seed: int, motion: Plane) -> tuple[Sight, Sight]:
    here, there = speckle(seed, np.eye(3)), 1.1 * speckle(seed, motion, noise=0.01)
    return sight(backend, here), sight(backend, there)


@every_motion
@pytest.mark.parametrize("seed", range(5))
def test_the_likeliest_guess_is_close(motion: Any, seed: int) -> None:
    wanted = about_the_centre(WIDTH, HEIGHT, *motion)
    here, there = (speckle(seed, at) - 0.5 for at in (np.eye(3), wanted))
    assert corner_error(seeds(here, there, Model.SIMILARITY)[0], wanted, WIDTH, HEIGHT) < 5.0


@every_motion
def test_a_large_motion_is_found(backend: Backend[Any], motion: Any) -> None:
    wanted = about_the_centre(WIDTH, HEIGHT, *motion)
    link = match(backend, *pair(backend, 0, wanted), Model.SIMILARITY)
    assert link.trusted
    assert corner_error(link.matrix, wanted, WIDTH, HEIGHT) < 0.05


def test_guesses_are_what_finds_it(backend: Backend[Any]) -> None:
    wanted = about_the_centre(WIDTH, HEIGHT, *LARGE["closer, turned and moved"])
    with patch.object(estimate, "seeds", return_value=[]) as asked:
        link = match(backend, *pair(backend, 0, wanted), Model.SIMILARITY)
    asked.assert_called_once()
    assert not link.trusted


def test_a_small_motion_needs_no_guess(backend: Backend[Any]) -> None:
    wanted = about_the_centre(WIDTH, HEIGHT, turned(0.5, 1.02), (4.0, 3.0))
    with patch.object(estimate, "seeds") as asked:
        match(backend, *pair(backend, 0, wanted), Model.SIMILARITY)
    asked.assert_not_called()


def test_guesses_keep_to_the_model() -> None:
    wanted = about_the_centre(WIDTH, HEIGHT, turned(4, 1.1), (5.0, 5.0))
    here, there = (speckle(4, at) - 0.5 for at in (np.eye(3), wanted))
    assert seeds(here, there, Model.SHIFT) == []
    for guess in seeds(here, there, Model.RIGID):
        assert np.linalg.det(guess[:2, :2]) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (8, 8), (9, 200)])
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_tiny_and_blank_planes_give_finite_guesses(shape: tuple[int, int], level: float) -> None:
    here, there = (level * np.random.default_rng(i).normal(size=shape) for i in range(2))
    assert all(np.isfinite(guess).all() for guess in seeds(here, there, Model.SIMILARITY))


@pytest.mark.parametrize("seed", range(2))
def test_guesses_do_not_talk_unrelated_pictures_into_a_match(backend: Backend[Any], seed: int) -> None:
    one, other = (speckle(seed + i, np.eye(3)) for i in (100, 200))
    assert not match(backend, sight(backend, one), sight(backend, other), Model.SIMILARITY).trusted
