"""A picture as it is shown, 8-bit sRGB on all levels of the grid, in files of a temporary folder.

The levels lie in files that are mapped into memory: four bytes a pixel of disk (three, and a third of that
for the smaller levels), none of which the process has to hold. They are filled in rows from the top; a tile
waits until its rows are there. A coarse picture can be put in before, so that something is seen at once.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from gpustack.errors import GpustackError
from gpustack.viewing.grid import Area, Grid

Shown = npt.NDArray[np.uint8]

QUALITY = 90
"""Of the tiles' JPEG, with full colour resolution: at 100 % it is pixels that are judged."""

STEP = 1024
"""Rows that are put in at a time: whole ones on each level that there may be."""

WAIT_S = 60.0
"""How long a tile waits for its rows."""


class NotYetError(GpustackError):
    """What is asked for is still being made, or could not be."""


class Pyramid:
    """The levels of one picture, (h, w, c) uint8 each; may be read while they are filled."""

    def __init__(self, folder: Path, name: str, grid: Grid, channels: int) -> None:
        """Makes the files `name`-LEVEL; they go with the folder."""
        self.grid, self.channels = grid, channels
        self._levels = [self._made(folder / f"{name}-{level}", level) for level in range(grid.levels)]
        self._rows, self._sketched = [0] * grid.levels, grid.levels
        self._changed = threading.Condition()
        self._failure: GpustackError | None = None

    def _made(self, path: Path, level: int) -> Shown:
        wide, high = self.grid.size(level)
        return np.memmap(path, np.uint8, "w+", shape=(high, wide, self.channels))

    @property
    def full(self) -> Shown:
        """Level 0, to be filled by who calls `put` then with rows of it."""
        return self._levels[0]

    @property
    def done(self) -> bool:
        """Whether every level is there."""
        return self._rows[0] >= self.grid.height

    def sketch(self, level: int, picture: Shown) -> None:
        """Put in a coarse picture (h, w, c) of a level's size, before the rows of level 0 come."""
        with self._changed:
            for number in range(level, self.grid.levels):
                if number > level:
                    picture = halved(picture)
                self._levels[number][...] = picture
                self._rows[number] = len(picture)
            self._sketched = level
            self._changed.notify_all()

    def put(self, top: int, rows: Shown) -> None:
        """Put in rows of level 0, STEP of them, or the last ones; from first to last."""
        for level in range(self.grid.levels):
            if level:
                rows, top = halved(rows), top // 2
            target = self._levels[level][top : top + len(rows)]
            if not np.shares_memory(target, rows):
                target[...] = rows
            if level < self._sketched:
                with self._changed:
                    self._rows[level] = top + len(rows)
                    self._changed.notify_all()

    def fail(self, error: GpustackError) -> None:
        """No more rows will come."""
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    def read(self, area: Area, wait_s: float = WAIT_S) -> Shown:
        """The pixels of an area, a view; waits for them. Raises NotYetError, and the error of `fail`."""
        last = area.top + area.height
        with self._changed:
            there = self._changed.wait_for(
                lambda: self._rows[area.level] >= last or self._failure is not None, wait_s
            )
            if self._rows[area.level] < last and self._failure is not None:
                raise self._failure
            if not there:
                raise NotYetError("This part of the picture is not read yet.", "Wait a little.")
        return self._levels[area.level][area.slices]


def halved(picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Half the size, ceil(h / 2) x ceil(w / 2): means over 2 x 2 pixels, the last ones repeated where there
    is no second."""
    high, wide = picture.shape[:2]
    if high % 2 or wide % 2:
        picture = np.pad(picture, ((0, high % 2), (0, wide % 2), (0, 0)), mode="edge")
    size = (wide + 1) // 2, (high + 1) // 2
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)


def encoded(pixels: Shown) -> bytes:
    """A tile (h, w, 1 or 3) as JPEG."""
    gray = pixels.shape[2] == 1
    return bytes(
        simplejpeg.encode_jpeg(
            np.ascontiguousarray(pixels),
            QUALITY,
            colorspace="GRAY" if gray else "RGB",
            colorsubsampling="Gray" if gray else "444",
        )
    )
