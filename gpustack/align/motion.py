"""Motions of each model, as combinations of eight small ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gpustack.model.transform import Matrix, normalise
from gpustack.settings import Model

Basis = npt.NDArray[np.float64]

# Columns: shift u, shift v, du/du, du/dv, dv/du, dv/dv, perspective u, perspective v.
_SHIFT = [[1, 0, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]]
_TURN = [[0, 0, 0, -1, 1, 0, 0, 0]]
_GROW = [[0, 0, 1, 0, 0, 1, 0, 0]]
_ROWS = {
    Model.NONE: [],
    Model.SHIFT: _SHIFT,
    Model.RIGID: _SHIFT + _TURN,
    Model.SIMILARITY: _SHIFT + _TURN + _GROW,
    Model.AFFINE: np.eye(8)[:6].tolist(),
    Model.HOMOGRAPHY: np.eye(8).tolist(),
}


def basis(model: Model) -> Basis:
    """(p, 8): each of the model's p parameters as a combination of the eight small motions."""
    return np.asarray(_ROWS[model], np.float64).reshape(-1, 8)


def small_motion(parameters: Basis, width: int, height: int) -> Matrix:
    """The 3x3 motion of eight small parameters, in pixels of a picture of that size.

    The exponential of the generator: a rotation stays a rotation and a similarity a similarity however
    large the step (Ma, Soatto, Kosecka and Sastry, "An Invitation to 3-D Vision", chapter 2).
    """
    su, sv, uu, uv, vu, vv, pu, pv = parameters
    generator = np.array([[uu, uv, su], [vu, vv, sv], [pu, pv, 0.0]])
    unit = max(1.0, float(np.hypot(width - 1, height - 1)) / 2)
    to_pixels = np.array([[unit, 0, (width - 1) / 2], [0, unit, (height - 1) / 2], [0, 0, 1.0]])
    return normalise(to_pixels @ _exponential(generator) @ np.linalg.inv(to_pixels))


def _exponential(generator: Matrix) -> Matrix:
    """Matrix exponential by scaling, a Taylor series, and squaring."""
    halvings = max(0, int(np.ceil(np.log2(max(1e-12, float(np.abs(generator).sum()))))) + 4)
    step = generator / 2**halvings
    total = term = np.eye(3)
    for order in range(1, 12):
        term = term @ step / order
        total = total + term
    for _ in range(halvings):
        total = total @ total
    return np.asarray(total)
