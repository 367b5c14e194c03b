"""A relief as a mesh of triangles, coloured by the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.depth.relief import normals

Plane = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """points (n, 3) float32: x right, y up, z towards the viewer, the picture's middle at 0; normals (n, 3)
    float32; places (n, 2) float32: where a point lies in the picture, 0..1 from the top left; triangles (m,
    3) int32, counter-clockwise for the viewer."""

    points: npt.NDArray[np.float32]
    normals: npt.NDArray[np.float32]
    places: npt.NDArray[np.float32]
    triangles: npt.NDArray[np.int32]


def mesh(heights: Plane, unit: float, most: int) -> Mesh:
    """The mesh of a relief (h, w) in pixels, at most `most` triangles; a pixel becomes `unit` long.

    Where the relief has more pixels, points are means over squares of them.
    """
    small = _shrunk(heights, most)
    rows, columns = small.shape
    stretch = np.array([heights.shape[1] / columns, heights.shape[0] / rows])
    v, u = np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij")
    height, width = heights.shape
    points = np.stack([(u - 0.5) * width, (0.5 - v) * height, small], axis=-1) * unit
    slopes = normals(small / np.float32(stretch.mean()))
    return Mesh(
        points.reshape(-1, 3).astype(np.float32),
        slopes.reshape(-1, 3),
        np.stack([u, v], axis=-1).reshape(-1, 2).astype(np.float32),
        _triangles(rows, columns),
    )


def _shrunk(heights: Plane, most: int) -> Plane:
    height, width = heights.shape
    share = min(1.0, math.sqrt(most / max(1, 2 * (height - 1) * (width - 1))))
    size = max(2, math.floor(width * share)), max(2, math.floor(height * share))
    if share == 1.0 and min(heights.shape) > 1:
        return heights
    return np.asarray(cv2.resize(heights, size, interpolation=cv2.INTER_AREA), np.float32)


def _triangles(rows: int, columns: int) -> npt.NDArray[np.int32]:
    """Two for every square of the grid."""
    at = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    here, right, below, across = at[:-1, :-1], at[:-1, 1:], at[1:, :-1], at[1:, 1:]
    pairs = np.stack([here, below, right, right, below, across], axis=-1)
    return pairs.reshape(-1, 3)
