"""How far a match may be off: the spread without each strip is that of matches of other noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpustack.align.estimate import NEARLY_STILL_PX, match
from gpustack.align.precision import STRIPS, corner_rms, deviations, variance
from gpustack.backend.cpu import Cpu
from gpustack.backend.protocol import Backend
from gpustack.backend.values import Sums
from gpustack.settings import Model
from tests.align.test_estimate import HEIGHT, SHARP, WIDTH, pair, sight
from tests.align.textures import Texture, about_the_centre, corner_error

SIZE = (WIDTH, HEIGHT)
REST = np.eye(3)


@pytest.mark.parametrize("noise", [0.005, 0.02])
def test_it_is_the_spread_of_matches_of_other_noise(noise: float) -> None:
    backend = Cpu()
    links = [match(backend, *_noisy(backend, noise, seed), Model.SIMILARITY) for seed in range(12)]
    assert all(link.deviations is not None for link in links)
    errors = np.mean([corner_error(link.matrix, REST, *SIZE) ** 2 for link in links])
    told = np.mean([variance(link.deviations, SIZE) for link in links if link.deviations is not None])
    assert 0.4 < told / errors < 2.5


def _noisy(backend: Any, noise: float, seed: int) -> Any:
    seen = Texture(3).seen(WIDTH, HEIGHT, REST, blur=SHARP)
    return sight(backend, seen, noise, 2 * seed), sight(backend, seen, noise, 2 * seed + 1)


def test_it_is_told_of_motions_that_may_be_none_alone(backend: Backend[Any]) -> None:
    near, far = (about_the_centre(*SIZE, np.eye(2), (x, 0.0)) for x in (0.3, 2 * NEARLY_STILL_PX))
    found = match(backend, *pair(backend, 5, near, noise=0.01), Model.SIMILARITY)
    assert found.deviations is not None
    assert found.deviations.shape == (STRIPS, 8)
    assert 0 < variance(found.deviations, SIZE) < 0.05**2
    assert match(backend, *pair(backend, 5, far, noise=0.01), Model.SIMILARITY).deviations is None


def test_a_part_that_says_something_else_makes_it_larger() -> None:
    alike = [_pulling(0.0) for _ in range(STRIPS)]
    apart = [_pulling(0.01 if strip == 3 else 0.0) for strip in range(STRIPS)]
    to_model = np.eye(9)
    same, other = (deviations(strips, to_model) for strips in (alike, apart))
    assert same is not None
    assert other is not None
    assert np.abs(same).max() < 1e-9
    # Without the third strip the shift changes by its share of the pull.
    assert other[3, 0] == pytest.approx(-0.01 / STRIPS, rel=1e-6)
    assert np.abs(other[:, 1:]).max() < 1e-9


def test_a_strip_without_samples_leaves_it_open() -> None:
    nothing = Sums(np.eye(9), np.zeros(9), 0.0, 0.0, 0.0)
    assert deviations([*(_pulling(0.0) for _ in range(STRIPS - 1)), nothing], np.eye(9)) is None


def _pulling(shift: float) -> Sums:
    """A strip by itself, with its shift."""
    hessian = 100 * np.eye(9)
    return Sums(hessian, hessian @ np.array([shift, *[0.0] * 8]), 1.0, 1.0, 1.0)


def test_the_length_of_a_shift_is_that_of_every_corner() -> None:
    assert corner_rms(about_the_centre(*SIZE, np.eye(2), (3.0, 4.0)), SIZE) == pytest.approx(5.0)
