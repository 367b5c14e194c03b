"""The light of a frame, as it is kept of all frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.align.brightness import Light, factor_of, seen_light
from gpustack.backend.protocol import Backend
from gpustack.ghosts.glance import Glance, cell_side, glance
from gpustack.model.frame import Frame, Kind

Values = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Lit:
    """The mean light of a frame's colours, (1 or 3, h, w) float32, over cells as what moved is looked for in:
    all else that is kept of its light is made of them, as going through the frame takes far longer.

    The frame was decoded `reduction` times smaller.
    """

    values: Values
    frame: Frame
    reduction: int

    @property
    def _decoded(self) -> tuple[int, int]:
        """(width, height)."""
        return self.frame.width // self.reduction, self.frame.height // self.reduction

    @property
    def _linear(self) -> bool:
        return self.frame.kind is Kind.RAW

    def light(self, *, colours: bool = False) -> Light:
        """For telling how bright the frame is: in blocks of some cells each."""
        side = cell_side(self._decoded)
        together = -(-factor_of(self._decoded) // side)
        factor = together * side * self.reduction
        values = _means(self.values, together)
        return seen_light(values, factor, self.frame.size, linear=self._linear, colours=colours)

    def glance(self) -> Glance:
        """For telling what moved."""
        side = cell_side(self._decoded) * self.reduction
        return glance(self.values, side, self.frame.size, linear=self._linear)


def lit(backend: Backend[Any], pixels: Any, frame: Frame, reduction: int) -> Lit:
    """The light of a frame, decoded so many times smaller."""
    side = cell_side((frame.width // reduction, frame.height // reduction))
    return Lit(backend.light(pixels, frame.pixel_type, side, frame.kind is Kind.RAW), frame, reduction)


def _means(planes: Values, side: int) -> Values:
    """(c, h, w) over blocks of so many cells a side; a remainder is dropped."""
    rows, columns = (max(1, length // side) for length in planes.shape[1:])
    inner = planes[:, : rows * side, : columns * side]
    return np.stack([cv2.resize(of, (columns, rows), interpolation=cv2.INTER_AREA) for of in inner])
