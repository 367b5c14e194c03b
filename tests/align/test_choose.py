"""The model that a stack needs."""

from __future__ import annotations

import numpy as np
import pytest

from gpustack.align.choose import fitted, restricted
from gpustack.align.estimate import Link
from gpustack.align.motion import small_motion
from gpustack.align.solve import Edge
from gpustack.model.tone import Tone
from gpustack.model.transform import Matrix, Transform
from gpustack.settings import Model
from tests.align.textures import about_the_centre, corner_error, turned

SIZE = (900, 700)
FRAMES, REFERENCE = 10, 4
STEPS = (1, 2, 4)

# What moves from the first frame to the last, in units of half the diagonal: shift, linear, perspective part.
PATHS = {
    Model.SHIFT: np.array([0.02, -0.01, 0, 0, 0, 0, 0, 0]),
    Model.RIGID: np.array([0.02, -0.01, 0, -0.005, 0.005, 0, 0, 0]),
    Model.SIMILARITY: np.array([0.02, -0.01, 0.03, -0.005, 0.005, 0.03, 0, 0]),
    Model.AFFINE: np.array([0.02, -0.01, 0.03, -0.005, 0.01, 0.02, 0, 0]),
    Model.HOMOGRAPHY: np.array([0.02, -0.01, 0.03, -0.005, 0.005, 0.03, 0.01, -0.008]),
}


def true(path: Matrix, frame: int) -> Matrix:
    return small_motion(path * (frame - REFERENCE) / (FRAMES - 1), *SIZE)


def links(path: Matrix, error_px: float = 0.05, steps: tuple[int, ...] = STEPS, seed: int = 0) -> list[Edge]:
    """Links with errors in every parameter, of so many pixels at the rim each; less in similarities."""
    random = np.random.default_rng(seed)
    unit = np.hypot(SIZE[0] - 1, SIZE[1] - 1) / 2
    found = []
    for there in range(FRAMES):
        for here in (there - step for step in steps if step <= there):
            motion = true(path, there) @ np.linalg.inv(true(path, here))
            full = small_motion(error_px / unit * random.normal(size=8), *SIZE) @ motion
            similar = restricted(Transform(full), Model.SIMILARITY, SIZE).matrix
            found.append(Edge(here, there, Link(similar, 0.95, trusted=True, full=full)))
    return found


@pytest.mark.parametrize("model", list(PATHS))
@pytest.mark.parametrize("seed", range(5))
def test_the_model_of_a_stack_is_found(model: Model, seed: int) -> None:
    assert fitted(links(PATHS[model], seed=seed), FRAMES, REFERENCE, SIZE)[0] is model


@pytest.mark.parametrize("model", list(PATHS))
def test_the_solution_keeps_to_the_model_and_is_right(model: Model) -> None:
    chosen, solution = fitted(links(PATHS[model]), FRAMES, REFERENCE, SIZE)
    for frame, found in enumerate(solution.transforms):
        assert found is not None
        np.testing.assert_allclose(restricted(found, chosen, SIZE).matrix, found.matrix, atol=1e-7)
        assert corner_error(found.matrix, true(PATHS[model], frame), *SIZE) < 0.25


@pytest.mark.parametrize("error_px", [0.0, 0.001])
def test_what_moves_no_pixel_visibly_is_left_out(error_px: float) -> None:
    hardly = np.array([0.02, -0.01, 1e-4, 0, 0, 1e-4, 1e-4, 0])
    assert fitted(links(hardly, error_px), FRAMES, REFERENCE, SIZE)[0] is Model.SHIFT


@pytest.mark.parametrize("seed", range(5))
def test_links_that_disagree_much_prove_no_larger_model(seed: int) -> None:
    assert (
        fitted(links(PATHS[Model.SIMILARITY], 2.0, seed=seed), FRAMES, REFERENCE, SIZE)[0] is Model.SIMILARITY
    )
    assert fitted(links(PATHS[Model.SHIFT], 2.0, seed=seed), FRAMES, REFERENCE, SIZE)[0] is Model.SIMILARITY


@pytest.mark.parametrize("model", list(PATHS))
def test_a_chain_without_loops_is_a_similarity(model: Model) -> None:
    assert fitted(links(PATHS[model], steps=(1,)), FRAMES, REFERENCE, SIZE)[0] is Model.SIMILARITY


def test_no_link_at_all_leaves_the_reference_alone() -> None:
    model, solution = fitted([], 3, 1, SIZE)
    assert model is Model.SIMILARITY
    assert [at is not None for at in solution.transforms] == [False, True, False]


def test_the_nearest_motion_of_a_model_is_that_at_the_centre() -> None:
    motion = about_the_centre(*SIZE, turned(1.0, 1.02), (5.0, -3.0))
    np.testing.assert_allclose(
        restricted(Transform(motion, Tone((1.5,))), Model.SHIFT, SIZE).matrix,
        [[1, 0, 5], [0, 1, -3], [0, 0, 1]],
        atol=0.1,
    )
    rigid = restricted(Transform(motion, Tone((1.5,))), Model.RIGID, SIZE)
    assert rigid.gain == 1.5
    np.testing.assert_allclose(rigid.matrix, about_the_centre(*SIZE, turned(1.0), (5.0, -3.0)), atol=0.1)
