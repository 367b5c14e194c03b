"""A transform in words: how far a frame is shifted, scaled and turned."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, degrees, sqrt

import numpy as np

from gpustack.model.transform import Matrix, Transform


@dataclass(frozen=True, slots=True)
class Movement:
    """What a frame shows of the reference's middle, upright: by how many pixels it lies further right and
    down, how many times as large it is, and by how many degrees it is turned clockwise."""

    shift_px: tuple[float, float]
    scale: float
    rotation_deg: float


def movement_of(transform: Transform, width: int, height: int, orientation: int = 1) -> Movement:
    """That of a transform at the middle of a reference of `width` x `height` pixels as stored, which is seen
    turned by the EXIF `orientation` 1 to 8. A perspective is told by what it does there."""
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    (seen,) = transform.apply([middle])
    matrix = transform.matrix
    depth = float(matrix[2, :2] @ middle + matrix[2, 2])
    around = (matrix[:2, :2] - np.outer(seen, matrix[2, :2])) / depth
    turn = _upright(orientation)
    x, y = (turn @ (seen - middle)).tolist()
    around = turn @ around @ turn.T
    angle = atan2(float(around[1, 0] - around[0, 1]), float(around[0, 0] + around[1, 1]))
    return Movement((x, y), sqrt(abs(float(np.linalg.det(around)))), degrees(angle))


def _upright(orientation: int) -> Matrix:
    """What an EXIF orientation does to directions (x, y); see `gpustack.io.write.oriented`."""
    swapped = np.eye(2)[::-1] if orientation >= 5 else np.eye(2)
    columns = -1.0 if orientation in (2, 3, 6, 7) else 1.0
    rows = -1.0 if orientation in (3, 4, 7, 8) else 1.0
    return np.asarray(np.diag([columns, rows]) @ swapped)
