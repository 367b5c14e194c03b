"""The canvas: the part of the reference frame that is rendered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpustack.model.frame import PixelType
from gpustack.model.rect import Rows
from gpustack.model.transform import Transform


@dataclass(frozen=True, slots=True)
class Canvas:
    """A box of the reference frame, cut into bands, and what a pixel of it is.

    `left` and `top` are the box's origin in reference pixels; `channels` counts alpha; `covered` says
    whether every used frame covers every pixel of the box, so that no validity mask is needed;
    `linear` says that values are light (RAW, float), not coded for the eye.
    """

    left: int
    top: int
    width: int
    height: int
    channels: int
    pixel_type: PixelType
    bands: tuple[Rows, ...]
    covered: bool = True
    linear: bool = False

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.width * self.height

    def place(self, transform: Transform) -> Transform:
        """The transform from canvas pixels, rather than reference pixels, to frame pixels."""
        shift = np.array([[1.0, 0.0, self.left], [0.0, 1.0, self.top], [0.0, 0.0, 1.0]])
        return Transform(transform.matrix @ shift, transform.tone)
