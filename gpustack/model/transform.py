"""A transform maps reference pixels to frame pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gpustack.model.tone import AS_IT_IS, Tone

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Transform:
    """3x3 float64 homogeneous matrix: (x, y, 1) of the reference picture to (x, y, 1) of the frame.

    Pixel centres are at whole numbers. `tone` brings the frame's values to the reference's brightness.
    """

    matrix: Matrix
    tone: Tone = AS_IT_IS

    @staticmethod
    def identity() -> Transform:
        """The transform that changes nothing."""
        return Transform(np.eye(3))

    @property
    def gain(self) -> float:
        """What the frame's luma is multiplied by."""
        return self.tone.luma_gain

    def with_tone(self, tone: Tone) -> Transform:
        """The same motion with another tone."""
        return Transform(self.matrix, tone)

    @property
    def moves(self) -> bool:
        """Whether any pixel changes its place."""
        return not np.array_equal(self.matrix, np.eye(3))

    def travel(self, width: int, height: int) -> float:
        """How far the corner of a picture that moves most is moved, in pixels."""
        points = corners(width, height)
        return float(np.sqrt(((self.apply(points) - points) ** 2).sum(axis=1)).max())

    def after(self, first: Transform) -> Transform:
        """This transform applied to the outcome of `first`. Tones lead back: first this one's, then that of
        `first`."""
        return Transform(normalise(self.matrix @ first.matrix), first.tone.after(self.tone))

    def inverse(self) -> Transform:
        """The transform back."""
        return Transform(normalise(np.asarray(np.linalg.inv(self.matrix), np.float64)), self.tone.inverse())

    def apply(self, points: npt.ArrayLike) -> Matrix:
        """Map points (n, 2) of (x, y); returns (n, 2) float64."""
        xy = np.asarray(points, np.float64)
        homogeneous = np.concatenate([xy, np.ones((len(xy), 1))], axis=1) @ self.matrix.T
        return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:])

    def scaled(self, factor: float) -> Transform:
        """The same map for pictures `factor` times as large, pixel centres at whole numbers in both."""
        half = (factor - 1.0) / 2.0
        up = np.array([[factor, 0, half], [0, factor, half], [0, 0, 1.0]])
        return Transform(normalise(up @ self.matrix @ np.linalg.inv(up)), self.tone)


def normalise(matrix: Matrix) -> Matrix:
    """Scale a homogeneous matrix so that its last element is 1."""
    return np.asarray(matrix / matrix[2, 2])


def corners(width: int, height: int) -> Matrix:
    """The centres of the four corner pixels, (4, 2) of (x, y), clockwise from the top left."""
    right, bottom = width - 1.0, height - 1.0
    return np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]], np.float64)


def shared_box(
    transforms: Sequence[Transform],
    width: int,
    height: int,
    sizes: Sequence[tuple[int, int]] | None = None,
) -> tuple[int, int, int, int]:
    """The largest centred-by-shrinking box (left, top, right, bottom; half-open) of the reference that all
    frames cover; `sizes` are theirs, (width, height), where they are not the reference's.

    Each frame's outline, mapped into the reference, is a convex quadrilateral; the box is shrunk side by
    side, always the side whose violation is largest, until its corners lie in all of them. Empty boxes have
    right <= left.
    """
    left, top, right, bottom = 0.0, 0.0, width - 1.0, height - 1.0
    outlines = list(zip(transforms, sizes or [(width, height)] * len(transforms), strict=True))
    for _ in range(64):
        box = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        worst = _violations(outlines, box)
        if worst.max() <= 1e-6:
            break
        left, top = left + worst[0], top + worst[1]
        right, bottom = right - worst[2], bottom - worst[3]
        if right <= left or bottom <= top:
            return 0, 0, 0, 0
    return int(np.ceil(left - 1e-6)), int(np.ceil(top - 1e-6)), int(right + 1e-6) + 1, int(bottom + 1e-6) + 1


def _violations(outlines: Sequence[tuple[Transform, tuple[int, int]]], box: Matrix) -> Matrix:
    """How far each side (left, top, right, bottom) must move in for the corners of `box` to be covered, in
    pixels."""
    need = np.zeros(4)
    for transform, (width, height) in outlines:
        scale = float(np.sqrt(abs(np.linalg.det(transform.matrix[:2, :2])))) or 1.0
        x, y = transform.apply(box).T
        out = np.array([-x.min(), -y.min(), x.max() - (width - 1), y.max() - (height - 1)]) / scale
        need = np.maximum(need, out)
    return np.asarray(need)
