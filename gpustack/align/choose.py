"""Which model a stack needs: the smallest that explains where its frames lie.

Pairs are matched as similarities and as homographies. What a smaller model cannot follow of the solution for
the whole stack, in pixels where it is worst, is held against how far the links disagree with each other in
just that. Links err alike where the blur of the frames differs alike, so their errors may add up along the
stack: a frame so many steps from the reference may be off by so many times the disagreement, and mean
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gpustack.align.motion import basis, motion_of, small_motion
from gpustack.align.solve import Edge, Solution, gap, solve
from gpustack.model.transform import Matrix, Transform, normalise
from gpustack.settings import Model

MATTERS_PX = 0.1
"""A model that moves no pixel of any frame by more than this, in pixels of the survey, is not needed."""

CERTAIN = 2.0
"""So many times the disagreement of the links, for each step from the reference, must be left unexplained:
about twice what rendered stacks show where there is nothing to explain. It has not been tried on other
scenes."""

NEAR_PX = 0.3
"""A model smaller than the similarity is taken only where it leaves less than this. Where links disagree so
much that nothing is certain, the similarity is the safe choice: it follows the lens and the hand."""

_GRID = np.stack(np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 5)), axis=-1).reshape(-1, 2)

Displacements = npt.NDArray[np.float64]


def fitted(
    edges: Sequence[Edge], frames: int, reference: int, size: tuple[int, int]
) -> tuple[Model, Solution]:
    """The model that a stack needs and its solution, from links that hold `full`, as `solve` takes them."""
    similar = solve(edges, frames, reference, size)
    full = solve([_by_full(edge) for edge in edges], frames, reference, size)
    model = chosen(similar, full, reference, size)
    best = full if model in (Model.AFFINE, Model.HOMOGRAPHY) else similar
    found = tuple(None if at is None else restricted(at, model, size) for at in best.transforms)
    return model, replace(best, transforms=found)


def _by_full(edge: Edge) -> Edge:
    full = edge.link.full
    return edge if full is None else replace(edge, link=replace(edge.link, matrix=full))


def chosen(similar: Solution, full: Solution, reference: int, size: tuple[int, int]) -> Model:
    """The smallest model from shift to homography, from the solutions by similarities and by homographies.

    `size` is that of the planes, (width, height). Models up to the similarity are told apart by similarities,
    whose links disagree less. Where the stack has no loop of links that could tell, it is the similarity.
    """
    if _needed(Model.SIMILARITY, full, reference, size):
        return Model.HOMOGRAPHY if _needed(Model.AFFINE, full, reference, size) else Model.AFFINE
    for model in (Model.SHIFT, Model.RIGID):
        left = _left(model, similar, reference, size)
        if left is not None and left[0] < NEAR_PX and not _needed(model, similar, reference, size):
            return model
    return Model.SIMILARITY


def _needed(model: Model, solution: Solution, reference: int, size: tuple[int, int]) -> bool:
    """Whether a solution certainly holds more than the model can follow."""
    left = _left(model, solution, reference, size)
    return left is not None and left[0] > MATTERS_PX and left[1] > CERTAIN


def _left(
    model: Model, solution: Solution, reference: int, size: tuple[int, int]
) -> tuple[float, float] | None:
    """What the model leaves unexplained: at most, in pixels, and each step, in disagreements of the links.

    None where there are no more links than frames.
    """
    found = {i: at.matrix for i, at in enumerate(solution.transforms) if at is not None and i != reference}
    gaps = [_left_over(matrix, model, size) for matrix in _gaps(solution)]
    if not found or len(gaps) <= len(found):
        return None
    left = np.array([_left_over(matrix, model, size) for matrix in found.values()])
    steps = np.array([abs(index - reference) for index in found])
    # The solution follows the links as far as it can: what is left of them is too small by this.
    disagreement = float(np.median(gaps)) * len(gaps) / (len(gaps) - len(found))
    return float(left.max()), float(np.median(left / steps)) / max(disagreement, 1e-9)


def _gaps(solution: Solution) -> list[Matrix]:
    """What is between each trusted link and the solution."""
    matrices = {i: at.matrix for i, at in enumerate(solution.transforms) if at is not None}
    inside = (
        edge for edge in solution.edges if edge.link.trusted and {edge.here, edge.there} <= set(matrices)
    )
    return [gap(edge, matrices) for edge in inside]


def restricted(transform: Transform, model: Model, size: tuple[int, int]) -> Transform:
    """The transform of a model that lies nearest, in the mean over the picture."""
    motion = motion_of(transform.matrix, *size)
    across = _moves(size) @ basis(model).T
    nearest = np.linalg.lstsq(across, _moves(size) @ motion, rcond=None)[0]
    return Transform(normalise(small_motion(basis(model).T @ nearest, *size)), transform.tone)


def _left_over(matrix: Matrix, model: Model, size: tuple[int, int]) -> float:
    """How far the nearest motion of a model is from a motion, in pixels, where it is worst."""
    move = _moves(size) @ motion_of(matrix, *size)
    across = _moves(size) @ basis(model).T
    rest = move - across @ np.linalg.lstsq(across, move, rcond=None)[0]
    return float(np.hypot(*rest.reshape(2, -1)).max())


def _moves(size: tuple[int, int]) -> Displacements:
    """(points across then points down, 8): what each small motion moves over a grid, in pixels."""
    half = (np.array(size) - 1) / 2
    unit = max(1.0, float(np.hypot(*half)))
    u, v = (_GRID * half / unit).T
    one, none = np.ones_like(u), np.zeros_like(u)
    across = np.stack([one, none, u, v, none, none, -u * u, -u * v], axis=1)
    down = np.stack([none, one, none, none, u, v, -u * v, -v * v], axis=1)
    return np.concatenate([across, down]) * unit
