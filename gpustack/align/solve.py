"""Transforms of a whole stack from links between many pairs, solved together so that errors do not add up
along it.

A chain of neighbours drifts: each link's error stays in every transform after it. Links to the second and
fourth neighbour tie the chain together; what all of them say is weighed in one least-squares problem on the
motions (pose-graph optimisation, Grisetti et al., "A tutorial on graph-based SLAM", IEEE ITS Magazine 2,
2010). Motions between frames of a stack are small, so in their logarithms each parameter is a problem of
its own, with the links as its edges.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gpustack.align.estimate import Link
from gpustack.align.motion import motion_of, small_motion
from gpustack.align.precision import corner_rms
from gpustack.model.transform import Matrix, Transform

Values = npt.NDArray[np.float64]

ROUNDS = 10
"""Rounds of solving and re-weighing, at most; motions of up to a tenth of the picture settle in four."""

SETTLED = 1e-6
"""A largest step, as a share of half the diagonal, below which nothing changes any more that matters."""

OUTLIER_PX = 0.5
"""A link that disagrees with the others by more than this counts less, in inverse proportion (Huber)."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A link between two frames of the stack, from `here` to `there`; `residual_px` is how far it is from
    the solution."""

    here: int
    there: int
    link: Link
    residual_px: float = 0.0


@dataclass(frozen=True, slots=True)
class Solution:
    """One transform a frame, None where no trusted link leads to the reference; and the edges with their
    residuals."""

    transforms: tuple[Transform | None, ...]
    edges: tuple[Edge, ...]


def solve(edges: Sequence[Edge], frames: int, reference: int, size: tuple[int, int]) -> Solution:
    """Transforms reference -> frame for a stack of `frames`, from its trusted edges; `size` is (width,
    height)."""
    trusted = [edge for edge in edges if edge.link.trusted]
    matrices = _spread(trusted, reference)
    inside = [edge for edge in trusted if edge.here in matrices]
    for _ in range(ROUNDS if len(matrices) > 1 else 0):
        steps = _steps(inside, matrices, reference, size)
        matrices |= {i: small_motion(step, *size) @ matrices[i] for i, step in steps.items()}
        if max(float(np.abs(step).max()) for step in steps.values()) < SETTLED:
            break
    return Solution(
        tuple(Transform(matrices[i] / matrices[i][2, 2]) if i in matrices else None for i in range(frames)),
        tuple(replace(edge, residual_px=residual_px(edge, matrices, size)) for edge in edges),
    )


def _spread(edges: Sequence[Edge], reference: int) -> dict[int, Matrix]:
    """First guess for every frame in reach: walk from the reference along the edges, shortest paths first."""
    ways: dict[int, list[tuple[int, Matrix]]] = defaultdict(list)
    for edge in edges:
        ways[edge.here].append((edge.there, edge.link.matrix))
        ways[edge.there].append((edge.here, np.asarray(np.linalg.inv(edge.link.matrix), np.float64)))
    found: dict[int, Matrix] = {reference: np.eye(3)}
    waiting = deque([reference])
    while waiting:
        here = waiting.popleft()
        for there, matrix in ways[here]:
            if there not in found:
                found[there] = matrix @ found[here]
                waiting.append(there)
    return found


def _steps(
    edges: Sequence[Edge], matrices: dict[int, Matrix], reference: int, size: tuple[int, int]
) -> dict[int, Matrix]:
    """The motions (8,) that bring the frames closest to what their edges say; the reference stays where it
    is."""
    gaps = [gap(edge, matrices) for edge in edges]
    weights = np.array([_weight(edge, between, size) for edge, between in zip(edges, gaps, strict=True)])
    differences = np.array([motion_of(between, *size) for between in gaps])
    return carried(edges, weights, -differences, [index for index in matrices if index != reference])


def carried(
    edges: Sequence[Edge], weights: Values, differences: Values, frames: Sequence[int]
) -> dict[int, Values]:
    """What differences (edges, n), from `here` to `there` of each edge, make of each of the `frames`: (n,)
    values that come closest to all of them, with 0 for every other frame."""
    rows = {index: row for row, index in enumerate(frames)}
    normal, right = np.zeros((len(rows), len(rows))), np.zeros((len(rows), differences.shape[1]))
    for edge, weight, difference in zip(edges, weights, differences, strict=True):
        for index, other, sign in ((edge.here, edge.there, -1.0), (edge.there, edge.here, 1.0)):
            if index not in rows:
                continue
            right[rows[index]] += sign * weight * difference
            normal[rows[index], rows[index]] += weight
            if other in rows:
                normal[rows[index], rows[other]] -= weight
    found = np.linalg.solve(normal, right)
    return {index: found[row] for index, row in rows.items()}


def gap(edge: Edge, matrices: dict[int, Matrix]) -> Matrix:
    """The motion, in the pixels of frame `there`, from where the link puts a point to where the transforms
    put it."""
    between = matrices[edge.there] @ np.linalg.inv(matrices[edge.here]) @ np.linalg.inv(edge.link.matrix)
    return np.asarray(between / between[2, 2])


def _weight(edge: Edge, between: Matrix, size: tuple[int, int]) -> float:
    """The link's precision; less for one that the others contradict."""
    return edge.link.precision * min(1.0, OUTLIER_PX / max(corner_rms(between, size), 1e-9))


def residual_px(edge: Edge, matrices: dict[int, Matrix], size: tuple[int, int]) -> float:
    """Root mean square over the corners of the link's disagreement, in pixels; infinite for a frame out of
    reach."""
    if edge.here not in matrices or edge.there not in matrices:
        return float("inf")
    return corner_rms(gap(edge, matrices), size)


def around_px(first: Edge, second: Edge, straight: Edge, *, size: tuple[int, int]) -> float:
    """How far two links, one after the other, are from the one that leads straight there: root mean square
    over the corners, in pixels."""
    between = second.link.matrix @ first.link.matrix @ np.linalg.inv(straight.link.matrix)
    return corner_rms(np.asarray(between / between[2, 2]), size)
