"""A plane of values that lies over the result, at a resolution of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.viewing.grid import Area, Grid

Values = npt.NDArray[Any]

_SMALLEST = 1024
"""Samples along the longer side of the smallest level."""


class Plane:
    """Values (h, w) uint8 or uint16, upright, that cover a grid's picture; read at any size.

    They lie in files of a temporary folder, on levels like those of pictures. `between`: values lie between
    others, as depths do; else they are names.
    """

    def __init__(self, values: Values, grid: Grid, path: Path, *, between: bool) -> None:
        """Makes the files `path`-LEVEL."""
        self._size, self._between = (grid.width, grid.height), between
        self._levels: list[Values] = []
        while True:
            kept = np.memmap(f"{path}-{len(self._levels)}", values.dtype, "w+", shape=values.shape)
            kept[...] = values
            self._levels.append(kept)
            if max(values.shape) <= _SMALLEST:
                break
            values = _halved(kept, between=between)

    def read(self, area: Area) -> Values:
        """The values of an area's pixels, those between where there are such."""
        values, step = self._for(area.level), 1 << area.level
        x, first_x, last_x = self._places(area.left, area.width, step, values.shape[1], 0)
        y, first_y, last_y = self._places(area.top, area.height, step, values.shape[0], 1)
        part = np.ascontiguousarray(values[first_y:last_y, first_x:last_x])
        how = cv2.INTER_LINEAR if self._between else cv2.INTER_NEAREST
        return np.asarray(cv2.remap(part, *np.meshgrid(x, y), how, borderMode=cv2.BORDER_REPLICATE))

    def at(self, x: float, y: float) -> int:
        """The value at a place of the picture, whose first pixel covers 0 to 1."""
        values = self._levels[0]
        (high, wide), (across, down) = values.shape, self._size
        return int(values[min(int(y * high / down), high - 1), min(int(x * wide / across), wide - 1)])

    def _for(self, level: int) -> Values:
        """The smallest level that has as many values as the picture's level has pixels."""
        wide = -(-self._size[0] >> level)
        return next((own for own in reversed(self._levels) if own.shape[1] >= wide), self._levels[0])

    def _places(
        self, first: int, count: int, step: int, samples: int, axis: int
    ) -> tuple[npt.NDArray[np.float32], int, int]:
        """Where pixels of an area lie among the samples of an axis, from the first of those that are needed,
        and which these are."""
        places = (first + np.arange(count) + 0.5) * (step * samples / self._size[axis]) - 0.5
        low = min(max(0, int(np.floor(places[0]))), samples - 1)
        high = min(samples, int(places[-1]) + 2)
        return (places - low).astype(np.float32), low, max(high, low + 1)


def _halved(values: Values, *, between: bool) -> Values:
    if not between:
        return values[::2, ::2]
    size = -(-values.shape[1] // 2), -(-values.shape[0] // 2)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA))
