"""From a picture's file to the levels of the page: something to be seen at once, then every pixel."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.finishing import Finishing
from gpustack.io.decode import Decoder
from gpustack.io.screen import Screen
from gpustack.io.write import oriented
from gpustack.model.frame import Frame, Kind
from gpustack.settings import Settings
from gpustack.viewing.tiles import STEP, Pyramid

Pixels = npt.NDArray[Any]


def channels_of(picture: Frame) -> int:
    """Channels of what is shown of a picture: 1 or 3."""
    return 3 if picture.channels > 2 else 1


def fill(pyramid: Pyramid, picture: Frame, offset: tuple[int, int] = (0, 0)) -> None:
    """Read a picture and put it in, its first pixel at `offset` (x, y) of the grid; what it does not cover is
    black. Raises DecodeError."""
    screen, decode = Finishing(picture, Settings()).screen, Decoder(picture)
    size = pyramid.grid.width, pyramid.grid.height
    fits = offset == (0, 0) and picture.orientation == 1 and picture.size == size
    sketch = decode.sketch(picture) if fits else None
    if sketch is not None:
        pyramid.sketch(sketch[0], screen(sketch[1]))
    if fits and picture.kind is Kind.JPEG:
        _fill_from_jpeg(pyramid, picture, screen, decode)
    elif picture.orientation == 1:
        _fill_in_parts(pyramid, picture, offset, screen, decode)
    else:
        whole = oriented(decode(picture), picture.orientation)
        for top in range(0, len(whole), STEP):
            _paste(pyramid.full, screen(whole[top : top + STEP]), (offset[0], offset[1] + top))
        _put(pyramid, 0, size[1])


def _fill_from_jpeg(pyramid: Pyramid, picture: Frame, screen: Screen, decode: Decoder) -> None:
    """Decoded where it is to lie."""
    whole = decode(picture, pyramid.full)
    done = 0
    for top in range(0, len(whole), STEP):
        _paste(whole, screen(whole[top : top + STEP]), (0, top))
        done = _put(pyramid, done, top + STEP)
    _put(pyramid, done, len(whole))


def _fill_in_parts(
    pyramid: Pyramid, picture: Frame, offset: tuple[int, int], screen: Screen, decode: Decoder
) -> None:
    """Part for part, on all processors."""

    def work(top: int, left: int, pixels: Pixels) -> None:
        _paste(pyramid.full, screen(pixels), (offset[0] + left, offset[1] + top))

    done = 0
    for rows in decode.parts(picture, work, os.cpu_count() or 1):
        done = _put(pyramid, done, offset[1] + rows)
    _put(pyramid, done, pyramid.grid.height)


def _paste(target: Pixels, rows: Pixels, at: tuple[int, int]) -> None:
    """Put rows at (x, y), as far as they lie inside."""
    x, y = at
    left, top = max(0, x), max(0, y)
    right, bottom = min(target.shape[1], x + rows.shape[1]), min(len(target), y + len(rows))
    if right > left and bottom > top:
        part = rows[top - y : bottom - y, left - x : right - x]
        if not np.shares_memory(target, part):
            target[top:bottom, left:right] = part


def _put(pyramid: Pyramid, done: int, reached: int) -> int:
    """Make the smaller levels of the rows that are complete; how many there are."""
    height = pyramid.grid.height
    while done < height and min(done + STEP, height) <= reached:
        pyramid.put(done, pyramid.full[done : done + STEP])
        done = min(done + STEP, height)
    return done
