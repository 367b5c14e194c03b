"""Which frame owns each pixel, for layers: the winners, without specks.

Winners are chosen pixel by pixel, and noise makes islands of them, a few pixels large. Nobody can retouch
along these, and a mask with a speck in each corner has a box as large as the picture. The picture does not
depend on what is owned by whom (inside its mask a layer is the picture), so islands go to who owns what
lies around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.fuse.fold import Winners
from gpustack.model.layer import Box
from gpustack.model.rect import Rows

LEAST_ISLAND = 5e-4
"""Smallest island that stays, as a share of the picture: 110 by 110 pixels of 24 megapixels, about a brush.
The boxes of all layers together, and with them the file, shrink by up to three quarters where depth tells the
frames apart (bench/results/layers.json)."""

ISLANDS_A_FRAME = 20
"""In deep stacks a frame owns little: an island is too small only where so many would be its fair share."""

OWNERS_BYTES = 20.0
"""Bytes a pixel that `owners` takes at its peak: winners, owners, islands, their numbers, distances, and a
copy of what stays; and as much as one frame's islands."""

_NOBODY = 65535
_MEDIAN_HALO = 2


def owners(
    backend: Backend[Any], winners: Winners, used: Sequence[int], frames: int, bands: Sequence[Rows]
) -> Winners:
    """(h, w) uint16: which of so many frames owns each pixel, 65535 where none does; from such `winners`.

    Frames that are not `used` own nothing: those of `depthmap` may lie at a pixel's depth.
    """
    out = np.empty_like(winners)
    table = np.full(_NOBODY + 1, _NOBODY, np.uint16)
    table[list(used)] = list(used)

    def work(number: int) -> None:
        rows = bands[number]
        wide = rows.grow(_MEDIAN_HALO, len(winners))
        plane = backend.lend(winners[wide.slice].astype(np.float32))
        median = backend.download(backend.median(plane))[rows.within(wide)]
        own = winners[rows.slice]
        out[rows.slice] = table[np.where(own == _NOBODY, own, median.astype(np.uint16))]

    backend.each(work, range(len(bands)))
    _join_islands(out, frames, bands)
    return out


def boxes(owned: Winners, frames: int, bands: Sequence[Rows]) -> list[Box | None]:
    """The box around what each of so many frames owns; None where that is nothing."""
    height, width = owned.shape
    in_rows, in_columns = np.zeros((frames + 1, height), bool), np.zeros((frames + 1, width), bool)
    columns = np.arange(width)
    for band in bands:
        part = np.minimum(owned[band.slice], frames)
        in_rows[part, np.arange(band.start, band.stop)[:, None]] = True
        in_columns[part, columns] = True
    return [_box(in_rows[index], in_columns[index]) for index in range(frames)]


def _box(rows: npt.NDArray[np.bool_], columns: npt.NDArray[np.bool_]) -> Box | None:
    y, x = np.flatnonzero(rows), np.flatnonzero(columns)
    if not len(y):
        return None
    return Box(int(x[0]), int(y[0]), int(x[-1] - x[0]) + 1, int(y[-1] - y[0]) + 1)


def _join_islands(owned: Winners, frames: int, bands: Sequence[Rows]) -> None:
    """Give small islands to who owns what is nearest, in place; unless there is nothing else."""
    islands = np.zeros(owned.shape, np.uint8)
    least = owned.size * min(LEAST_ISLAND, 1 / (ISLANDS_A_FRAME * frames))
    for index, box in enumerate(boxes(owned, frames, bands)):
        if box is not None:
            _mark_islands(islands[box.rows, box.columns], owned[box.rows, box.columns] == index, least)
    if islands.all() or not islands.any():
        return
    _, nearest = cv2.distanceTransformWithLabels(islands, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    table = np.empty(int(nearest.max()) + 1, np.uint16)
    for rows in bands:
        stays = islands[rows.slice] == 0
        table[nearest[rows.slice][stays]] = owned[rows.slice][stays]
    for rows in bands:
        goes = islands[rows.slice] != 0
        owned[rows.slice][goes] = table[nearest[rows.slice][goes]]


def _mark_islands(islands: npt.NDArray[np.uint8], own: npt.NDArray[np.bool_], least: float) -> None:
    """Set those of one frame, joined across corners, that are smaller than so many pixels.

    The largest one stays where all together are not: the frame does count for something.
    """
    _, numbers, figures, _ = cv2.connectedComponentsWithStats(own.view(np.uint8), connectivity=8)
    areas = figures[:, cv2.CC_STAT_AREA]
    areas[0] = 0  # what is not this frame's
    small = areas < least
    small[0] = False
    if areas.sum() >= least:
        small[np.argmax(areas)] = False
    if small.any():
        marks = np.where(small, np.uint8(255), np.uint8(0))
        for row in range(len(islands)):
            islands[row] |= marks[numbers[row]]
