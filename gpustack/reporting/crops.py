"""Which places of a picture are worth a look at 100 %: the sharpest, and those that frames contend for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[Any]
Plane = npt.NDArray[np.float32]

CROP_WIDTH, CROP_HEIGHT = 560, 400
OF_EACH = 2
"""Crops of each kind."""

_CELL, _STRIP = 8, 64
"""Pixels a cell is wide and high, and rows that are looked at a time, so that copies stay small."""
_APART = 2
"""Frames between two pixels next to each other from which on they are of different depth."""
_LEAST_CROPS = 4
"""A picture of fewer crops is seen well enough as a whole."""
_CONTENDED = 0.01
"""Share of the pixels of a crop that must be so for it to be called contended for."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A place: its left and top corner, in pixels; whether frames contend for it, or it is only sharp."""

    left: int
    top: int
    contested: bool


def crops(picture: Pixels, winners: npt.NDArray[np.uint16]) -> list[Crop]:
    """The places to show of a picture (h, w, c), whose pixels the frames `winners` (h, w) won; none of a
    picture that would hardly be larger than its crops. They do not overlap.

    Sharp is where the picture has most fine detail (the square of its Laplacian); contended for is where
    there is detail, and neighbours come from frames far from each other.
    """
    height, width = winners.shape
    if height * width < _LEAST_CROPS * CROP_WIDTH * CROP_HEIGHT or height < CROP_HEIGHT or width < CROP_WIDTH:
        return []
    detail, turns = (_over_window(plane) for plane in _cells(picture, winners))
    free = np.ones(detail.shape, np.bool_)
    found: list[Crop] = []
    for number in range(2 * OF_EACH):
        contested = number % 2 == 1
        worth = np.where(turns >= _CONTENDED, turns, 0) if contested else 1
        score = np.where(free, np.sqrt(detail) * worth, -1)
        row, column = (int(at) for at in np.unravel_index(int(score.argmax()), score.shape))
        if score[row, column] > 0:
            found.append(Crop(column * _CELL, row * _CELL, contested))
            free[_around(row, CROP_HEIGHT), _around(column, CROP_WIDTH)] = False
    return sorted(found, key=lambda crop: crop.contested)


def _around(at: int, side: int) -> slice:
    """The corners of crops that would overlap with one there."""
    reach = -(-side // _CELL)
    return slice(max(0, at - reach + 1), at + reach)


def _over_window(cells: Plane) -> Plane:
    """The mean over a crop, for each cell that may be its top left corner."""
    rows, columns = CROP_HEIGHT // _CELL, CROP_WIDTH // _CELL
    mean = cv2.boxFilter(cells, -1, (columns, rows), anchor=(0, 0), borderType=cv2.BORDER_REFLECT)
    return np.asarray(mean[: len(cells) - rows + 1, : cells.shape[1] - columns + 1], np.float32)


def _cells(picture: Pixels, winners: npt.NDArray[np.uint16]) -> tuple[Plane, Plane]:
    """Fine detail, and the share of neighbours that come from frames far from each other, by whole cells."""
    rows, columns = (side // _CELL for side in winners.shape)
    white = np.iinfo(picture.dtype).max if picture.dtype.kind == "u" else 1.0
    detail, turns = np.empty((rows, columns), np.float32), np.empty((rows, columns), np.float32)
    for first in range(0, rows * _CELL, _STRIP):
        strip = slice(first, min(first + _STRIP, rows * _CELL))
        part = picture[strip, : columns * _CELL, : 3 if picture.shape[2] > 2 else 1]
        size = columns, (strip.stop - first) // _CELL
        there = slice(first // _CELL, first // _CELL + size[1])
        luma = part.mean(axis=2, dtype=np.float32) / np.float32(white)
        change = cv2.Laplacian(np.clip(luma, 0, 1), cv2.CV_32F)
        detail[there] = cv2.resize(change * change, size, interpolation=cv2.INTER_AREA)
        turns[there] = cv2.resize(
            _turns(winners[strip, : columns * _CELL]), size, interpolation=cv2.INTER_AREA
        )
    return detail, turns


def _turns(winners: npt.NDArray[np.uint16]) -> Plane:
    """1 where a pixel and the one right of it come from frames far from each other, else 0."""
    step = np.abs(np.diff(winners.astype(np.int32), axis=1, append=winners[:, -1:].astype(np.int32)))
    return np.asarray(step >= _APART, np.float32)
