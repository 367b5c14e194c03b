"""The weights of the Lanczos kernel, against their definition in float64."""

from __future__ import annotations

import numpy as np
import pytest

from gpustack.backend.lanczos import FIRST, TAPS, weights
from tests.backend import plain

FRACTIONS = np.concatenate(
    [np.linspace(0, 1, 10_001), 10.0 ** -np.arange(1, 40), 1 - 0.5 ** np.arange(1, 25)]
)


def test_weights_are_those_of_three_lobes_normalised() -> None:
    at = FRACTIONS.astype(np.float32)
    wanted = plain.lanczos(at.astype(float) - np.arange(FIRST, FIRST + TAPS)[:, None])
    wanted /= wanted.sum(axis=0)
    np.testing.assert_allclose(np.array(weights(at)), wanted, rtol=0, atol=2.5e-7)


def test_weights_add_up_to_one() -> None:
    sums = np.array(weights(FRACTIONS.astype(np.float32)), np.float64).sum(axis=0)
    np.testing.assert_allclose(sums, 1.0, rtol=0, atol=2.5e-7)


@pytest.mark.parametrize(("fraction", "tap"), [(0.0, 2), (1.0, 3), (1e-38, 2)])
def test_a_position_on_a_pixel_takes_that_pixel_alone(fraction: float, tap: int) -> None:
    alone = np.array(weights(np.array([fraction], np.float32)))[:, 0]
    assert alone[tap] == 1.0
    assert np.abs(np.delete(alone, tap)).max() < 1e-37
