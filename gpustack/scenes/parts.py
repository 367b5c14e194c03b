"""Held out: which parts stand on the circuit board, and where."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

import numpy as np

from gpustack.scenes.layer import Box, Canvas
from gpustack.scenes.objects import Point
from gpustack.scenes.textures import Plane

_MARKS = ("74HC04", "LM358N", "ATM328", "NE555P", "MAX232", "TL072C")


@dataclass(frozen=True, slots=True)
class Part:
    """A part on the board: middle (x, y) and half sides in pixels, its height in depth, and its print."""

    kind: str
    at: Point
    wide: float
    tall: float
    height: float
    mark: str

    @property
    def reach(self) -> float:
        """Radius of the circle around it."""
        return hypot(self.wide, self.tall)

    def box(self, canvas: Canvas, more: float = 0.0) -> Box:
        """The pixels that it takes, and `more` around it."""
        return canvas.spanning(np.array([self.at]), self.reach + more)

    def away(self, other: Part) -> float:
        """Pixels between the two, sideways or down, whichever is more."""
        across, down = abs(self.at[0] - other.at[0]), abs(self.at[1] - other.at[1])
        return max(across - self.wide - other.wide, down - self.tall - other.tall)

    def outside(self, box: Box, grown: float = 0.0) -> Plane:
        """Distance in pixels to its outline, negative inside."""
        x, y = box.grid()
        across, down = np.abs(x - self.at[0]) - self.wide, np.abs(y - self.at[1]) - self.tall
        return np.asarray(np.maximum(across, down) - grown, np.float32)


def drawn(canvas: Canvas, rng: np.random.Generator, index: int) -> Part:
    """A part somewhere: chips are tried first, then cans, then resistors."""
    at = canvas.at(float(rng.uniform(-0.75, 0.75)), float(rng.uniform(-0.5, 0.5)))
    size, share = canvas.unit, float(rng.uniform())
    if index < 5:
        return Part("chip", at, 0.15 * size, 0.085 * size, 0.22 + 0.10 * share, str(rng.choice(_MARKS)))
    if index < 14:
        radius = size * (0.05 + 0.03 * share)
        return Part(
            "can", at, radius, radius, 0.45 + 0.35 * share, str(rng.choice(("10V 47", "16V 100", "25V 22")))
        )
    return Part("chip resistor", at, 0.034 * size, 0.017 * size, 0.08, str(rng.integers(100, 999)))


def apart(parts: list[Part], gap: float) -> list[Part]:
    """Those that stand `gap` pixels or more from all before them."""
    kept: list[Part] = []
    for part in parts:
        if all(part.away(other) > gap for other in kept):
            kept.append(part)
    return kept
