"""The cells where a frame is left out, as a mask of rows of the canvas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gpustack.ghosts.glance import Mask, Plane
from gpustack.model.canvas import Canvas
from gpustack.model.rect import Rows


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """Cells (h, w) of `factor` pixels a side of the reference, and in which of them a frame takes no part."""

    cells: Mask
    factor: int

    def taken(self, canvas: Canvas, rows: Rows) -> npt.NDArray[np.uint8] | None:
        """(rows, width): 255 where the frame takes part, else 0; None where it does in all of the rows.

        The outline is that of the cells, interpolated, at half; it depends on the pixel alone.
        """
        height, width = self.cells.shape
        down = _Between.of(np.arange(rows.start, rows.stop) + canvas.top, self.factor, height)
        across = _Between.of(np.arange(canvas.width) + canvas.left, self.factor, width)
        high, wide = (
            down.touched(np.asarray(self.cells.any(axis=1))),
            across.touched(np.asarray(self.cells.any(axis=0))),
        )
        if high is None or wide is None:
            return None
        taken = np.full((len(rows), canvas.width), 255, np.uint8)
        lines = across.mixed(self.cells.T.astype(np.float32), wide)
        taken[high, wide][down.mixed(lines.T, high) > 0.5] = 0
        return taken


class LeftOuts(Mapping[int, LeftOut]):
    """That of each frame that is left out anywhere, by its index, made when it is asked for."""

    def __init__(self, cells: Mapping[int, Mask], factor: int) -> None:
        self._cells, self._factor = cells, factor

    def __getitem__(self, index: int) -> LeftOut:
        return LeftOut(self._cells[index], self._factor)

    def __contains__(self, index: object) -> bool:
        return index in self._cells

    def __iter__(self) -> Iterator[int]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)


@dataclass(frozen=True, slots=True, eq=False)
class _Between:
    """For each pixel of a row or column the cells whose centres it lies between, and how far it is on the way
    to the second."""

    first: npt.NDArray[np.intp]
    second: npt.NDArray[np.intp]
    share: Plane

    @staticmethod
    def of(pixels: npt.NDArray[np.intp], factor: int, count: int) -> _Between:
        """Of some pixels of the reference; beyond the outermost centres it is these."""
        at = np.clip((pixels - (factor - 1) / 2) / factor, 0, count - 1)
        first = np.minimum(at.astype(np.intp), max(0, count - 2))
        return _Between(first, np.minimum(first + 1, count - 1), (at - first).astype(np.float32))

    def touched(self, cells: Mask) -> slice | None:
        """The pixels between the first and the last that see any of the cells."""
        found = np.flatnonzero(cells[self.first] | cells[self.second])
        return slice(int(found[0]), int(found[-1]) + 1) if len(found) else None

    def mixed(self, values: Plane, pixels: slice) -> Plane:
        """Rows of `values`, one a cell, as some of the pixels see them."""
        before, after = values[self.first[pixels]], values[self.second[pixels]]
        return np.asarray(before + (after - before) * self.share[pixels, None])
