"""Links between many pairs become transforms: exact links exactly, noisy ones without drift."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.align.estimate import Link
from gpustack.align.motion import motion_of, small_motion
from gpustack.align.solve import Edge, Solution, solve
from gpustack.model.transform import Matrix, Transform, corners
from tests.strategies import homographies

WIDTH, HEIGHT = 300, 200
SIZE = (WIDTH, HEIGHT)
REACH = (1, 2, 4)
poses = st.lists(homographies(WIDTH, HEIGHT), min_size=1, max_size=9)


def between(here: Transform, there: Transform) -> Matrix:
    return there.after(here.inverse()).matrix


def edges(frames: list[Transform], reach: tuple[int, ...] = REACH) -> list[Edge]:
    """What exact matches would be."""
    pairs = [(i, j) for i, j in combinations(range(len(frames)), 2) if j - i in reach]
    return [Edge(i, j, Link(between(frames[i], frames[j]), 1.0, True)) for i, j in pairs]


def corner_errors(solution: Solution, frames: list[Transform], reference: int) -> list[float]:
    points = corners(*SIZE)
    found = []
    for transform, frame in zip(solution.transforms, frames, strict=True):
        assert transform is not None
        wanted = frame.after(frames[reference].inverse()).apply(points)
        found.append(float(np.sqrt(((transform.apply(points) - wanted) ** 2).sum(axis=1).mean())))
    return found


@given(frames=poses, choice=st.data())
def test_exact_links_give_the_exact_transforms(frames: list[Transform], choice: Any) -> None:
    reference = choice.draw(st.integers(0, len(frames) - 1))
    found = solve(edges(frames), len(frames), reference, SIZE)
    assert max(corner_errors(found, frames, reference)) < 1e-6
    reference_transform = found.transforms[reference]
    assert reference_transform is not None
    assert not reference_transform.moves
    assert all(edge.residual_px < 1e-6 for edge in found.edges)


@given(matrix=homographies(WIDTH, HEIGHT))
def test_the_parameters_of_a_motion_give_it_back(matrix: Transform) -> None:
    again = small_motion(motion_of(matrix.matrix, *SIZE), *SIZE)
    np.testing.assert_allclose(
        Transform(again).apply(corners(*SIZE)), matrix.apply(corners(*SIZE)), atol=1e-6
    )


def noisy(frames: list[Transform], sigma_px: float, reach: tuple[int, ...]) -> list[Edge]:
    """Links whose corners are off by about `sigma_px`, independently."""
    rng = np.random.default_rng(5)
    half_diagonal = np.hypot(WIDTH - 1, HEIGHT - 1) / 2

    def shaken(edge: Edge) -> Edge:
        shift = np.zeros(8)
        shift[:2] = rng.normal(0, sigma_px / half_diagonal, 2)
        return Edge(edge.here, edge.there, Link(small_motion(shift, *SIZE) @ edge.link.matrix, 0.9, True))

    return [shaken(edge) for edge in edges(frames, reach)]


def test_longer_links_halve_the_drift_of_a_chain() -> None:
    frames = [
        Transform(small_motion(np.array([0, 0, 1, 0, 0, 1, 0, 0]) * 0.002 * i, *SIZE)) for i in range(60)
    ]
    alone = corner_errors(solve(noisy(frames, 0.1, (1,)), 60, 0, SIZE), frames, 0)
    together = corner_errors(solve(noisy(frames, 0.1, REACH), 60, 0, SIZE), frames, 0)
    assert np.mean(together) < 0.6 * np.mean(alone)
    assert max(together) < 0.6


def test_a_link_that_the_others_contradict_does_not_bend_the_stack() -> None:
    frames = [Transform.identity()] * 9
    bent = [
        Edge(e.here, e.there, Link(np.array([[1.0, 0, 30], [0, 1, 0], [0, 0, 1]]), 0.9, True))
        if (e.here, e.there) == (4, 6)
        else e
        for e in edges(frames)
    ]
    found = solve(bent, 9, 0, SIZE)
    assert max(corner_errors(found, frames, 0)) < 0.5
    assert max(found.edges, key=lambda edge: edge.residual_px).link is bent[edges_index(bent)].link


def edges_index(all_edges: list[Edge]) -> int:
    return next(i for i, e in enumerate(all_edges) if (e.here, e.there) == (4, 6))


def test_a_frame_without_a_trusted_link_is_left_out_and_bridged() -> None:
    frames = [Transform(np.array([[1.0, 0, 2 * i], [0, 1, 0], [0, 0, 1]])) for i in range(7)]
    broken = [
        Edge(e.here, e.there, Link(np.eye(3), 0.1, False)) if 3 in (e.here, e.there) else e
        for e in edges(frames)
    ]
    found = solve(broken, 7, 0, SIZE)
    assert [transform is None for transform in found.transforms] == [i == 3 for i in range(7)]
    last = found.transforms[6]
    assert last is not None
    np.testing.assert_allclose(last.matrix, frames[6].matrix, atol=1e-9)


@pytest.mark.parametrize("reference", [0, 4])
def test_no_link_at_all_leaves_the_reference_alone(reference: int) -> None:
    found = solve([], 5, reference, SIZE)
    assert [transform is not None for transform in found.transforms] == [i == reference for i in range(5)]
