"""Frames of any size within a fraction of a second, for measuring speed: no depth, no truth, no physics.

Each frame is sharp in columns of its own and blurred elsewhere, has noise, and lies some pixels beside the
frame before it, so that matching, choosing and averaging all have something to do.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.scenes.textures import fractal

COARSE = 4
"""Detail from so many pixels on differs all over the picture; finer detail is a tile of TILE pixels."""

TILE = 256
CONTRAST, TINT, NOISE = 36.0, 8.0, 2.0
BLUR_PX = 2.5
STEP_X, STEP_Y = 3, 2

Picture = npt.NDArray[np.uint8]


def swatches(width: int, height: int, count: int) -> Iterator[Picture]:
    """`count` frames (height, width, 3) uint8 that drift by STEP_X and STEP_Y pixels a frame."""
    rng = np.random.default_rng(0)
    wide, high = width + STEP_X * count, height + STEP_Y * count
    sharp = _texture(wide, high, rng)
    blurred = cv2.GaussianBlur(sharp, (0, 0), BLUR_PX)
    for index in range(count):
        grain = _tiled(rng.normal(0.0, NOISE, (TILE, TILE, 3)), width, height)
        left, top = STEP_X * index, STEP_Y * index
        frame = blurred[top : top + height, left : left + width].copy()
        columns = slice(width * index // count, width * (index + 1) // count)
        frame[:, columns] = sharp[top : top + height, left : left + width][:, columns]
        yield np.asarray(cv2.add(frame, grain, dtype=cv2.CV_8U), np.uint8)


def _texture(width: int, height: int, rng: np.random.Generator) -> Picture:
    """Detail of every size, in weak colours."""
    small = fractal((-(-height // COARSE), -(-width // COARSE)), rng, height / 4 / COARSE, 1.0)
    light = cv2.resize(CONTRAST * small, (width, height), interpolation=cv2.INTER_LINEAR)
    tints = np.stack([fractal((TILE, TILE), rng, COARSE, 1.0) for _ in range(3)], axis=-1)
    coarse = cv2.merge([cv2.convertScaleAbs(light, alpha=1.0, beta=128.0)] * 3)
    return np.asarray(cv2.add(coarse, _tiled(TINT * tints, width, height), dtype=cv2.CV_8U), np.uint8)


def _tiled(tile: npt.NDArray[np.floating], width: int, height: int) -> npt.NDArray[np.int16]:
    """A tile over a whole picture."""
    repeats = -(-height // len(tile)), -(-width // tile.shape[1]), 1
    whole = np.tile(np.rint(tile).astype(np.int16), repeats)
    return np.ascontiguousarray(whole[:height, :width])
