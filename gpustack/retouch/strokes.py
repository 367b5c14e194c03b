"""Strokes: what was painted where, and from what; no pixels.

Points are (x, y) in pixels of the upright reference frame, of which pixel (0, 0) covers 0 to 1, so that its
centre is (0.5, 0.5): that of a list stays right when the stack is made again with another method or crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Points: TypeAlias = tuple[tuple[float, float], ...]
Matrix: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FrameSource:
    """A frame of the stack, aligned: its file, named as the sidecar does or by its last part, and page."""

    file: str
    page: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As the file has it."""
        return {"frame": self.file} | ({"page": self.page} if self.page else {})


@dataclass(frozen=True, slots=True)
class PictureSource:
    """Another result of the same stack: its file, relative to the edit list, with its sidecar beside it."""

    file: str

    def as_dict(self) -> dict[str, Any]:
        """As the file has it."""
        return {"picture": self.file}


@dataclass(frozen=True, slots=True)
class Erase:
    """The fused picture: takes earlier strokes away."""

    def as_dict(self) -> dict[str, Any]:
        """As the file has it."""
        return {"erase": True}


StrokeSource: TypeAlias = FrameSource | PictureSource | Erase


@dataclass(frozen=True, slots=True)
class Brush:
    """A round brush led along points.

    radius: in pixels. hardness 0..1: up to this share of the radius it covers fully, from there it falls off
    to nothing. opacity 0..1: the most that it covers; going over the same place twice adds nothing. match:
    the source is brought to the picture's brightness at the rim.
    """

    points: Points
    radius: float
    hardness: float
    opacity: float
    source: StrokeSource
    match: bool

    def as_dict(self) -> dict[str, Any]:
        """As the file has it."""
        own = {"radius": self.radius, "hardness": self.hardness}
        return {"kind": "brush", "points": list(map(list, self.points)), **own, **_common(self)}

    @property
    def margin(self) -> float:
        """How far it reaches beyond its points, in pixels."""
        return self.radius

    @property
    def fall_off(self) -> float:
        """Over how many pixels it goes from full to nothing."""
        return self.radius * (1 - self.hardness)

    def moved(self, matrix: Matrix) -> Brush:
        """In other coordinates: `matrix` (3, 3) maps points to them."""
        return replace(
            self, points=_mapped(self.points, matrix), radius=self.radius * _growth(self.points, matrix)
        )


@dataclass(frozen=True, slots=True)
class Polygon:
    """A filled outline; what it goes around several times, in whatever direction, is inside, too, as long as
    the turns do not cancel (the nonzero rule).

    feather: over how many pixels it goes from full to nothing, the outline in their middle.
    """

    points: Points
    feather: float
    opacity: float
    source: StrokeSource
    match: bool

    def as_dict(self) -> dict[str, Any]:
        """As the file has it."""
        own = {"feather": self.feather}
        return {"kind": "polygon", "points": list(map(list, self.points)), **own, **_common(self)}

    @property
    def margin(self) -> float:
        """How far it reaches beyond its points, in pixels."""
        return self.feather / 2

    @property
    def fall_off(self) -> float:
        """Over how many pixels it goes from full to nothing."""
        return self.feather

    def moved(self, matrix: Matrix) -> Polygon:
        """In other coordinates: `matrix` (3, 3) maps points to them."""
        return replace(
            self, points=_mapped(self.points, matrix), feather=self.feather * _growth(self.points, matrix)
        )


Stroke: TypeAlias = Brush | Polygon


def shifted(left: float, top: float) -> Matrix:
    """The map to coordinates that start at (left, top)."""
    return np.array([[1.0, 0.0, -left], [0.0, 1.0, -top], [0.0, 0.0, 1.0]])


def _common(stroke: Stroke) -> dict[str, Any]:
    return {"opacity": stroke.opacity, "source": stroke.source.as_dict(), "match": stroke.match}


def _mapped(points: Sequence[tuple[float, float]], matrix: Matrix) -> Points:
    """Points, mapped; those of a shift are not rounded on the way through a division."""
    xy = np.asarray(points, np.float64)
    homogeneous = xy @ matrix[:, :2].T + matrix[:, 2]
    mapped = homogeneous[:, :2] / homogeneous[:, 2:]
    return tuple(map(tuple, mapped.tolist()))


def _growth(points: Sequence[tuple[float, float]], matrix: Matrix) -> float:
    """How many times longer a map makes short ways about the middle of points."""
    x, y = np.asarray(points, np.float64).mean(axis=0)
    w = matrix[2] @ (x, y, 1.0)
    at = (matrix @ (x, y, 1.0))[:2] / w
    steep = (matrix[:2, :2] - np.outer(at, matrix[2, :2])) / w
    return float(np.sqrt(abs(np.linalg.det(steep))))
