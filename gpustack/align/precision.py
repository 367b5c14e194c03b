"""How far a match may be off.

The motion is estimated again without each of some strips of the picture in turn; how far the results spread
is how far the motion itself may be off, whatever the cause: noise, blur that hides and shows things, parts
that move (delete-a-group jackknife; Tukey, "Bias and confidence in not-quite large samples", 1958; Shao and
Tu, "The Jackknife and Bootstrap", 1995). Residuals alone would not do: neighbouring pixels err alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gpustack.align.motion import small_motion
from gpustack.backend.values import Sums
from gpustack.model.transform import Matrix, Transform, corners

STRIPS = 8
"""Strips of the picture. Eight tell a spread to a quarter of itself; thinner ones would cut through the same
things, and err together."""

Deviations = npt.NDArray[np.float64]


def deviations(strips: Sequence[Sums], to_model: Matrix) -> Deviations | None:
    """(strips, 8): how the motion changes without each strip, as small motions; None where a strip says
    nothing, or all of it is said by one.

    `strips` are the sums of each where the whole is settled, `to_model` (p + 1, 9) the model's parameters
    and the contrast.
    """
    if not all(sums.spread > 0 for sums in strips):
        return None
    hessians = np.stack([to_model @ sums.hessian @ to_model.T for sums in strips])
    gradients = np.stack([to_model @ sums.gradient for sums in strips])
    all_of_it = solved(hessians.sum(axis=0), gradients.sum(axis=0))
    without = [
        solved(hessians.sum(axis=0) - own, gradients.sum(axis=0) - pull)
        for own, pull in zip(hessians, gradients, strict=True)
    ]
    found = (np.stack(without) - all_of_it) @ to_model
    return found[:, :8] if np.isfinite(found).all() else None


def solved(hessian: Matrix, gradient: Matrix) -> Matrix:
    """The step of normal equations; a trace of damping keeps an empty direction still."""
    damped = hessian + np.eye(len(hessian)) * (1e-9 * np.trace(hessian) + 1e-12)
    return np.asarray(np.linalg.solve(damped, gradient))


def variance(spread: Deviations, size: tuple[int, int]) -> float:
    """The variance that deviations (strips, 8) stand for: mean square over the corners of a picture of `size`
    (width, height), in its pixels squared."""
    count = len(spread)
    return (count - 1) / count * sum(corner_rms(small_motion(one, *size), size) ** 2 for one in spread)


def corner_rms(motion: Matrix, size: tuple[int, int]) -> float:
    """How far a motion moves the corners, root mean square, in pixels."""
    points = corners(*size)
    moved = Transform(motion).apply(points) - points
    return float(np.sqrt((moved**2).sum(axis=1).mean()))
