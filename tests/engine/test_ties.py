"""Every link is told with its residual, and with how well it closes a loop."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

import gpustack
from gpustack.align.estimate import Link
from gpustack.align.solve import Edge, solve
from gpustack.engine.ties import ties
from gpustack.model.place import Tie
from gpustack.settings import BackendName
from tests.engine.shots import frames_of, macro

SIZE = (300, 200)
FACTOR = 3


def edge(here: int, there: int, shift: float, *, trusted: bool = True) -> Edge:
    matrix = np.eye(3)
    matrix[0, 2] = shift
    return Edge(here, there, Link(matrix, 0.9, trusted))


def test_a_loop_is_open_by_what_its_links_lack() -> None:
    solution = solve([edge(0, 1, 1.0), edge(1, 2, 1.0), edge(0, 2, 2.3)], 3, 0, SIZE)
    near, far = ties(solution, 2, SIZE, FACTOR)
    assert (near.to, far.to) == (1, 0)
    assert near.loop_px is None
    assert far.loop_px == pytest.approx(0.3 * FACTOR)
    # Three links share out what is open, each by its weight.
    assert far.residual_px == pytest.approx(0.1 * FACTOR, rel=1e-3)
    assert near.residual_px == pytest.approx(0.1 * FACTOR, rel=1e-3)


def test_a_link_that_is_not_trusted_closes_no_loop() -> None:
    solution = solve([edge(0, 1, 1.0), edge(1, 2, 0.0, trusted=False), edge(0, 2, 2.3)], 3, 0, SIZE)
    assert ties(solution, 2, SIZE, 1) == (Tie(1, 0.9, used=False), Tie(0, 0.9, used=True, residual_px=0.0))


def test_every_link_of_a_stack_is_told_and_loops_close() -> None:
    places = gpustack.locate(frames_of(macro()), gpustack.Settings(backend=BackendName.CPU))
    for index, place in enumerate(places):
        assert [link.to for link in place.links] == [index - step for step in (1, 2, 4) if step <= index]
        assert all(link.used and 0.5 < link.confidence <= 1 for link in place.links)
        json.dumps([asdict(link) for link in place.links], allow_nan=False)
    mine = [link.residual_px for link in places[5].links]
    assert all(residual is not None and residual <= places[5].residual_px for residual in mine)
    loops = [link.loop_px for place in places for link in place.links if link.loop_px is not None]
    assert len(loops) == 4 + 2
    assert 0 < np.median(loops) < 0.1
