"""A plane of values that lies over the result, at a resolution of its own."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.viewing.grid import Area, Grid

Values = npt.NDArray[Any]


class Plane:
    """Values (h, w), upright, that cover a grid's picture; read at any size. `between` tells whether values
    lie between others, as depths do, or are names."""

    def __init__(self, values: Values, grid: Grid, *, between: bool) -> None:
        self._grid, self._between = grid, between
        self._levels = [values]
        while max(self._levels[-1].shape) > 1024:
            self._levels.append(_halved(self._levels[-1], between=between))

    def read(self, area: Area) -> Values:
        """The values of an area's pixels."""
        step = 1 << area.level
        values = self._levels[0]
        for coarser in self._levels[1:]:
            if self._grid.width >= step * coarser.shape[1]:
                break
            values = coarser
        across, down = (own / all_ for own, all_ in zip(values.shape[::-1], self._size, strict=True))
        x = (step * (area.left + np.arange(area.width) + 0.5)) * across - 0.5
        y = (step * (area.top + np.arange(area.height) + 0.5)) * down - 0.5
        first, last = _rows(y, len(values))
        left, right = _rows(x, values.shape[1])
        part = np.ascontiguousarray(values[first:last, left:right])
        grid = np.meshgrid((x - left).astype(np.float32), (y - first).astype(np.float32))
        how = cv2.INTER_LINEAR if self._between else cv2.INTER_NEAREST
        return np.asarray(cv2.remap(part, *grid, how, borderMode=cv2.BORDER_REPLICATE))

    def at(self, x: float, y: float) -> float:
        """The value at a place of the picture, whose first pixel covers 0 to 1."""
        values = self._levels[0]
        place = (
            min(int(at * own / all_), own - 1)
            for at, own, all_ in zip((y, x), values.shape, self._size[::-1], strict=True)
        )
        return float(values[tuple(place)])

    @property
    def _size(self) -> tuple[int, int]:
        return self._grid.width, self._grid.height


def _rows(places: Values, most: int) -> tuple[int, int]:
    """What of a plane's rows places lie between."""
    return max(0, int(places[0]) - 1), min(most, int(places[-1]) + 3)


def _halved(values: Values, *, between: bool) -> Values:
    if not between:
        return values[::2, ::2]
    size = -(-values.shape[1] // 2), -(-values.shape[0] // 2)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA))
