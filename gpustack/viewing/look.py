"""What a part of a layer looks like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UNCOVERED = 32
"""Gray of what a layer does not show."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Pixels (h, w, 1 or 3) uint8 sRGB, and where they show anything, (h, w); None where they do
    everywhere."""

    pixels: npt.NDArray[np.uint8]
    valid: npt.NDArray[np.bool_] | None = None

    def marked(self) -> Look:
        """The same, dark where nothing is shown."""
        if self.valid is not None:
            self.pixels[~self.valid] = UNCOVERED
        return self
