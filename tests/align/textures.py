"""A texture known at every point, in focus and out of it: what alignment is measured on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.model.transform import corners, normalise

Plane = npt.NDArray[Any]
WAVES = 90


class Texture:
    """A sum of random waves of 0.004 to 0.2 periods a pixel, each as strong; mean 0.5, within 0..1."""

    def __init__(self, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self._period = np.exp(generator.uniform(np.log(0.004), np.log(0.2), WAVES))
        angle = generator.uniform(0, 2 * np.pi, WAVES)
        self._across, self._down = self._period * np.cos(angle), self._period * np.sin(angle)
        self._phase = generator.uniform(0, 2 * np.pi, WAVES)

    def at(self, x: Plane, y: Plane, blur: float = 0.0) -> Plane:
        """Values at any points, blurred by a Gaussian of `blur` pixels."""
        # Waves that are blurred away are not worth their cosine.
        strength = 0.12 * np.sqrt(2 / WAVES) * np.exp(-2 * (np.pi * blur * self._period) ** 2)
        total = np.full(np.shape(x), 0.5)
        for a, b, phase, much in zip(self._across, self._down, self._phase, strength, strict=True):
            if much > 1e-7:
                total += much * np.cos(2 * np.pi * (a * x + b * y) + phase)
        return total

    def seen(self, width: int, height: int, matrix: Plane, *, blur: float = 0.0) -> Plane:
        """The frame (h, w) float32 whose pixels lie where `matrix` puts those of the texture's own grid."""
        y, x = np.mgrid[:height, :width].astype(float)
        back = np.linalg.inv(matrix)
        w = back[2, 0] * x + back[2, 1] * y + back[2, 2]
        at_x = (back[0, 0] * x + back[0, 1] * y + back[0, 2]) / w
        at_y = (back[1, 0] * x + back[1, 1] * y + back[1, 2]) / w
        return self.at(at_x, at_y, blur).astype(np.float32)


def about_the_centre(
    width: int, height: int, linear: Plane, shift: tuple[float, float] = (0.0, 0.0)
) -> Plane:
    """The 3x3 motion that does `linear` (2x2) about the picture's centre, then shifts."""
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = centre - linear @ centre + shift
    return normalise(matrix)


def turned(degrees: float, scale: float = 1.0) -> Plane:
    """2x2 rotation and scale."""
    cos, sin = scale * np.cos(np.deg2rad(degrees)), scale * np.sin(np.deg2rad(degrees))
    return np.array([[cos, -sin], [sin, cos]])


def corner_error(found: Plane, true: Plane, width: int, height: int) -> float:
    """Root mean square of how far the four corners are misplaced, in pixels."""
    points = np.column_stack([corners(width, height), np.ones(4)])
    a, b = points @ found.T, points @ true.T
    return float(np.sqrt((((a[:, :2] / a[:, 2:]) - (b[:, :2] / b[:, 2:])) ** 2).sum(axis=1).mean()))
