"""Motions of each model, as combinations of eight small ones."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from gpustack.model.transform import Matrix, normalise
from gpustack.settings import Model

Basis = npt.NDArray[np.float64]

NEGLIGIBLE = 1e-18
"""A term of a series of matrices near the identity that is smaller adds nothing to a double."""

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
    to_pixels, from_pixels = _to_pixels(width, height)
    return normalise(to_pixels @ _exponential(generator) @ from_pixels)


def motion_of(matrix: Matrix, width: int, height: int) -> Basis:
    """The eight small parameters of a motion near the identity: the inverse of `small_motion`."""
    to_pixels, from_pixels = _to_pixels(width, height)
    generator = _logarithm(normalise(from_pixels @ matrix @ to_pixels))
    generator = generator - generator[2, 2] * np.eye(3)
    (uu, uv, su), (vu, vv, sv), (pu, pv, _) = generator
    return np.array([su, sv, uu, uv, vu, vv, pu, pv])


def _to_pixels(width: int, height: int) -> tuple[Matrix, Matrix]:
    """From positions relative to the centre, in units of half the diagonal, to pixels; and back."""
    unit = max(1.0, float(np.hypot(width - 1, height - 1)) / 2)
    x, y = (width - 1) / 2, (height - 1) / 2
    there = np.array([[unit, 0, x], [0, unit, y], [0, 0, 1.0]])
    back = np.array([[1 / unit, 0, -x / unit], [0, 1 / unit, -y / unit], [0, 0, 1.0]])
    return there, back


def _exponential(generator: Matrix) -> Matrix:
    """Matrix exponential by scaling, a Taylor series as far as it changes anything, and squaring."""
    size = max(1e-12, float(np.abs(generator).sum()))
    halvings = max(0, math.ceil(math.log2(size)) + 4)
    step = generator / 2**halvings
    total, term = np.eye(3) + step, step
    order, left = 1, size / 2**halvings
    while left > NEGLIGIBLE:
        order += 1
        term = term @ step / order
        total = total + term
        left *= size / 2**halvings / order
    for _ in range(halvings):
        total = total @ total
    return np.asarray(total)


def _logarithm(matrix: Matrix) -> Matrix:
    """Matrix logarithm near the identity: square roots until the series converges fast (inverse scaling and
    squaring)."""
    doublings = 0
    while np.abs(matrix - np.eye(3)).sum() > 0.1 and doublings < 16:
        matrix, doublings = _square_root(matrix), doublings + 1
    excess = matrix - np.eye(3)
    total, term = excess, excess
    size = left = float(np.abs(excess).sum())
    order = 1
    while left > NEGLIGIBLE:
        order += 1
        term = term @ excess
        total = total + term * ((-1) ** (order + 1) / order)
        left *= size
    return np.asarray(total * 2.0**doublings)


def _square_root(matrix: Matrix) -> Matrix:
    """Principal square root by Denman and Beavers' iteration."""
    root, inverse = matrix, np.eye(3)
    for _ in range(20):
        root, inverse = (root + np.linalg.inv(inverse)) / 2, (inverse + np.linalg.inv(root)) / 2
    return np.asarray(root)
