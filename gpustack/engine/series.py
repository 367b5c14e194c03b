"""Frames counted by the steps of the focus, for folds that take indices for distances.

A frame that was left out and is not of the series does not count: the frames beside it are neighbours, and
the picture is that of the stack without it. What comes out is in indices of the whole stack again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gpustack.depth.surface import Surface
from gpustack.engine.path import Fused
from gpustack.model.place import Place

ROWS = 256
"""Rows that are counted back at a time: on the way the values take twice the room."""


def counted(places: Sequence[Place]) -> tuple[int, ...]:
    """The number of each frame in its series, from 0; those not in it have that of the frame after them."""
    here = np.cumsum([place.in_series for place in places]) - [place.in_series for place in places]
    return tuple(here.tolist())


def in_stack(fused: Fused, numbers: Sequence[int], places: Sequence[Place]) -> Fused:
    """What was fused by `numbers` in the series, told in indices of the stack; its arrays are changed."""
    indices = [index for index, place in enumerate(places) if place.in_series]
    if len(indices) == len(numbers):
        return fused
    table = np.arange(1 << 16, dtype=np.uint16)
    table[: len(indices)] = indices
    for first in range(0, len(fused.winners), ROWS):
        rows = fused.winners[first : first + ROWS]
        rows[:] = table[rows]
        if fused.surface is not None:
            _told(fused.surface, slice(first, first + ROWS), indices)
    return fused


def _told(surface: Surface, rows: slice, indices: Sequence[int]) -> None:
    """The depth of some rows, in place."""
    depth: npt.NDArray[np.float32] = surface.depth[rows]
    depth[:] = np.interp(depth, np.arange(len(indices)), indices)
