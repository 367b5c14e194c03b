"""Whether the camera stood still: frames that seem to move by no more than their alignment may be off.

Resampling costs sharpness and time, and to move frames by what is error is worse than to leave them where
they are. The question is asked of the whole stack: a slow drift is less than the precision from frame to
frame, and adds up. Links of one stack are misled alike by the same part of the picture, so that loops of
links agree although all are wrong; a strip is therefore left out of all links at once, and the stack is
solved without it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gpustack.align.precision import Deviations, corner_rms, variance
from gpustack.align.solve import Solution, carried, residual_px
from gpustack.model.transform import Matrix, Transform

CERTAIN = 17.2
"""So many times the variance of its place must be the square of a frame's motion, or it is taken for none:
the 99.9 % quantile of F with 4 degrees of freedom, a similarity's parameters, and 7, of eight strips."""

_NOTHING_PX = 1e-3
"""An error that no alignment falls below: of frames that are the same, nothing may be off."""


def lies_still(solution: Solution, reference: int, size: tuple[int, int]) -> bool:
    """Whether no frame in reach certainly moves; `size` is that of the planes, (width, height)."""
    spreads = _spreads(solution, reference)
    if not spreads:
        return False
    return all(
        corner_rms(_matrix(solution.transforms[index]), size) ** 2
        <= CERTAIN * (variance(spread, size) + _NOTHING_PX**2)
        for index, spread in spreads.items()
    )


def at_rest(solution: Solution, size: tuple[int, int]) -> Solution:
    """The solution with all its frames at rest, and how far its links are from that."""
    still = tuple(None if at is None else Transform(np.eye(3), at.tone) for at in solution.transforms)
    matrices = {index: at.matrix for index, at in enumerate(still) if at is not None}
    edges = (replace(edge, residual_px=residual_px(edge, matrices, size)) for edge in solution.edges)
    return Solution(still, tuple(edges))


def _spreads(solution: Solution, reference: int) -> dict[int, Deviations] | None:
    """What each strip does to the place of each frame but the reference, (strips, 8); None where a link is
    none of a stack at rest."""
    found = {index for index, at in enumerate(solution.transforms) if at is not None}
    inside = [edge for edge in solution.edges if edge.link.trusted and edge.here in found]
    spreads = [edge.link.deviations for edge in inside if edge.link.deviations is not None]
    if not inside or len(spreads) < len(inside):
        return None
    differences = np.stack(spreads).reshape(len(inside), -1)
    weights = np.array([edge.link.precision for edge in inside])
    moves = carried(inside, weights, differences, sorted(found - {reference}))
    return {index: move.reshape(spreads[0].shape) for index, move in moves.items()}


def _matrix(transform: Transform | None) -> Matrix:
    return np.eye(3) if transform is None else transform.matrix
