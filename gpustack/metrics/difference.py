"""A picture of how two pictures differ, to look at."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.metrics.likeness import bands, unit

GAIN = 8.0
"""How many times larger than it is a difference is shown: a level of 255 can just be seen."""
_EQUAL = 128


def difference(
    picture: npt.NDArray[Any], other: npt.NDArray[Any], gain: float = GAIN
) -> npt.NDArray[np.uint8]:
    """`picture` less `other`, `gain` times larger: (h, w, c) uint8 in which 128 is equal, brighter is where
    `picture` is brighter, and what does not fit is cut off.

    Pictures as `compare` takes them.
    """
    shown = np.empty(picture.shape, np.uint8)
    for rows in bands(len(picture)):
        signed = (unit(picture[rows]) - unit(other[rows])) * (255 * gain)
        shown[rows] = np.clip(np.rint(signed + _EQUAL), 0, 255)
    return shown
