"""Frames lie still where they seem to move by no more than their alignment may be off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpustack.align.estimate import Link
from gpustack.align.motion import small_motion
from gpustack.align.precision import STRIPS
from gpustack.align.rest import at_rest, lies_still
from gpustack.align.solve import Edge, Solution, solve

SIZE = (300, 200)
PIXEL = 2 / float(np.hypot(299, 199))
"""One pixel, in half diagonals."""

FRAMES, REFERENCE = 12, 5


def solved(step_px: float, doubt_px: float, *, frames: int = FRAMES, coherent: float = 0.0) -> Solution:
    """A stack that moves by so much a frame, with links that strips pull about at random by so much, and all
    alike by `coherent` each."""
    rng = np.random.default_rng(8)
    pulls = coherent * PIXEL * np.linspace(-1, 1, STRIPS)
    edges = []
    for there in range(frames):
        for step in (each for each in (1, 2, 4) if each <= there):
            spread = np.zeros((STRIPS, 8))
            spread[:, 0] = doubt_px * PIXEL * rng.normal(size=STRIPS) / np.sqrt(STRIPS) + step * pulls
            motion = small_motion(np.array([step * step_px * PIXEL, *[0.0] * 7]), *SIZE)
            edges.append(Edge(there - step, there, Link(motion, 1.0, True, deviations=spread)))
    return solve(edges, frames, min(REFERENCE, frames - 1), SIZE)


def still(solution: Solution) -> bool:
    return lies_still(solution, min(REFERENCE, len(solution.transforms) - 1), SIZE)


def test_what_may_be_error_is_taken_for_rest() -> None:
    assert still(solved(0.0, 0.02))
    assert still(solved(0.01, 0.02))


def test_a_motion_beyond_the_error_is_kept() -> None:
    assert not still(solved(0.1, 0.02))


def test_a_drift_below_the_error_of_a_link_is_kept_where_it_adds_up() -> None:
    assert still(solved(0.01, 0.02))
    assert not still(solved(0.01, 0.02, frames=60))


def test_a_drift_that_one_part_of_the_picture_feigns_is_none() -> None:
    assert still(solved(0.01, 0.02, frames=60, coherent=0.01))


def test_one_frame_that_was_pushed_is_enough() -> None:
    solution = solved(0.0, 0.02)
    pushed = small_motion(np.array([0.3 * PIXEL, *[0.0] * 7]), *SIZE)
    edges = [
        replace(edge, link=replace(edge.link, matrix=_by(pushed, edge)))
        if 9 in (edge.here, edge.there)
        else edge
        for edge in solution.edges
    ]
    assert not still(solve(edges, FRAMES, REFERENCE, SIZE))


def _by(motion: Any, edge: Edge) -> Any:
    return motion if edge.there == 9 else np.linalg.inv(motion)


def test_a_link_that_certainly_moves_decides_it() -> None:
    solution = solved(0.0, 0.02)
    certain = replace(solution.edges[3], link=replace(solution.edges[3].link, deviations=None))
    assert not still(replace(solution, edges=(*solution.edges[:3], certain, *solution.edges[4:])))


def test_a_pair_is_judged_by_its_one_link() -> None:
    assert still(solved(0.05, 0.02, frames=2))
    assert not still(solved(0.2, 0.02, frames=2))


def test_equal_frames_lie_still() -> None:
    assert still(solved(0.0, 0.0))


def test_at_rest_the_links_are_held_against_rest() -> None:
    resting = at_rest(solved(0.01, 0.02), SIZE)
    assert not any(at.moves for at in resting.transforms if at is not None)
    for edge in resting.edges:
        assert edge.residual_px == pytest.approx(0.01 * (edge.there - edge.here), rel=1e-6)
