"""Small motions: a group for each model, and the matrix exponential behind them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gpustack.align.motion import basis, small_motion
from gpustack.model.transform import normalise
from gpustack.settings import Model

WIDTH, HEIGHT = 300, 200
PARAMETERS = {
    Model.NONE: 0,
    Model.SHIFT: 2,
    Model.RIGID: 3,
    Model.SIMILARITY: 4,
    Model.AFFINE: 6,
    Model.HOMOGRAPHY: 8,
}
parameters = arrays.arrays(np.float64, 8, elements=st.floats(-0.3, 0.3))


def as_series(steps: Any) -> Any:
    """The exponential by its definition, (1 + G/n)^n extrapolated, in normalised positions."""
    su, sv, uu, uv, vu, vv, pu, pv = steps
    generator = np.array([[uu, uv, su], [vu, vv, sv], [pu, pv, 0]])
    coarse, fine = (np.linalg.matrix_power(np.eye(3) + generator / n, n) for n in (1 << 17, 1 << 18))
    unit = np.hypot(WIDTH - 1, HEIGHT - 1) / 2
    to_pixels = np.array([[unit, 0, (WIDTH - 1) / 2], [0, unit, (HEIGHT - 1) / 2], [0, 0, 1]])
    return normalise(to_pixels @ (2 * fine - coarse) @ np.linalg.inv(to_pixels))


@pytest.mark.parametrize("model", [model for model in Model if model is not Model.AUTO])
def test_a_model_has_as_many_parameters_as_it_should(model: Model) -> None:
    found = basis(model)
    assert found.shape == (PARAMETERS[model], 8)
    assert np.linalg.matrix_rank(found) == len(found) if len(found) else True


@given(steps=parameters)
def test_a_motion_is_the_exponential_of_its_generator(steps: Any) -> None:
    found = small_motion(steps, WIDTH, HEIGHT)
    np.testing.assert_allclose(found, as_series(steps), rtol=1e-6, atol=1e-5)


@given(steps=parameters, much=st.floats(-1, 1), more=st.floats(-1, 1))
def test_motions_along_one_direction_add_up(steps: Any, much: float, more: float) -> None:
    apart = normalise(small_motion(much * steps, WIDTH, HEIGHT) @ small_motion(more * steps, WIDTH, HEIGHT))
    np.testing.assert_allclose(
        apart, small_motion((much + more) * steps, WIDTH, HEIGHT), rtol=1e-8, atol=1e-8
    )


@given(steps=parameters)
def test_the_opposite_motion_undoes_it(steps: Any) -> None:
    there, back = small_motion(steps, WIDTH, HEIGHT), small_motion(-steps, WIDTH, HEIGHT)
    np.testing.assert_allclose(normalise(there @ back), np.eye(3), atol=1e-9)


@given(steps=st.lists(st.floats(-0.5, 0.5), min_size=4, max_size=4))
def test_a_large_similarity_is_a_similarity_still(steps: list[float]) -> None:
    matrix = small_motion(np.array(steps) @ basis(Model.SIMILARITY), WIDTH, HEIGHT)
    assert matrix[0, 0] == pytest.approx(matrix[1, 1], abs=1e-12)
    assert matrix[0, 1] == pytest.approx(-matrix[1, 0], abs=1e-12)
    assert np.linalg.det(matrix[:2, :2]) == pytest.approx(np.exp(2 * steps[3]), rel=1e-9)
    np.testing.assert_allclose(matrix[2], [0, 0, 1], atol=1e-15)


def test_a_picture_of_one_pixel_moves_by_pixels() -> None:
    np.testing.assert_allclose(small_motion(np.array([0.25, 0, 0, 0, 0, 0, 0, 0]), 1, 1)[0, 2], 0.25)
