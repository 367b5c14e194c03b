"""A Bayer mosaic: what is needed to develop it, and where its samples lie until then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.settings import Demosaic

Sites = tuple[int, int, int, int]

RED, GREEN, BLUE = 0, 1, 2

WHITE = 65535
"""What a sample becomes at the level of white that its file names, or more."""

PATTERNS = frozenset({(0, 1, 1, 2), (2, 1, 1, 0), (1, 0, 2, 1), (1, 2, 0, 1)})
"""The colours of Bayer's pattern in its four phases."""


@dataclass(frozen=True, slots=True)
class Mosaic:
    """How the samples (h, w) uint16 behind Bayer's filters become linear camera RGB, 0 to 65535.

    Each tuple has one value for each of the four pixels that repeat: of the upper row, then of the lower one,
    both from the left, the first being the picture's first pixel. `colours` is one of PATTERNS; `black` is
    the sample of no light; `gain` is what one step of a sample above black becomes, as float32 has it: white
    balance and the level of white. `demosaic` is how the colours between are found. What would be more than
    `white` is cut off there, in all colours alike, so that it is neutral.
    """

    colours: Sites
    black: Sites
    gain: tuple[float, float, float, float]
    demosaic: Demosaic
    white: int = WHITE

    def __post_init__(self) -> None:
        if self.colours not in PATTERNS:
            raise ValueError(f"{self.colours} is not Bayer's pattern")


def room(picture: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """Where a mosaic (h, w, 1) lies in the memory of the picture (h, w, 3) uint16 that it becomes; a view."""
    height, width = picture.shape[:2]
    return picture.reshape(-1)[: height * width].reshape(height, width, 1)
