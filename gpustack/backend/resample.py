"""Rows of the canvas, resampled from a frame: the CPU backend's `load`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend import lanczos
from gpustack.backend.toning import Toning
from gpustack.backend.values import Band
from gpustack.model.rect import Rows
from gpustack.model.transform import Transform
from gpustack.settings import Interpolation

Array = npt.NDArray[Any]
Sampled = Callable[[Array, Array, Array, Toning], Array]
SLACK = 1 / 64
"""Pixels outside the frame that still count as covered: rounding must not uncover an edge."""

_REACH = 2  # rows that the bicubic kernel reads before the position's own, and one more after it


def resample(
    frame: Array, place: Transform, white: float, width: int, rows: Rows, interpolation: Interpolation
) -> Band[Array]:
    """Rows of the canvas from a frame (h, w, c): image (c, rows, width) float32 0..1 and the mask of
    covered pixels."""
    toning = Toning.of(place.tone, white, frame.shape[2])
    sampled = lanczos.sampled if interpolation is Interpolation.LANCZOS else _bicubic
    return resampled(frame, place, toning, width, rows, sampled)


def resampled(
    frame: Array, place: Transform, toning: Toning, width: int, rows: Rows, sampled: Sampled
) -> Band[Array]:
    """The same; by `sampled` where values are not only copied, which is given a frame, positions x and y
    (h, w) float32 and the toning, and returns (c, h, w) float32, scaled but without the offset."""
    shift = whole_shift(place)
    if shift is not None:
        return _copied(frame, shift, toning, width, rows)
    x, y = _positions(place, width, rows)
    valid = _covered(x, y, frame.shape)
    return Band(toning.lift(sampled(frame, x, y, toning)), valid)


def _bicubic(frame: Array, x: Array, y: Array, toning: Toning) -> Array:
    """Values (c, h, w) float32, scaled but without the offset, of a frame (h, w, c) at positions x, y (h, w);
    y is changed."""
    lowest, highest = float(y.min()), float(y.max())
    first = int(np.clip(np.floor(lowest) - _REACH, 0, len(frame) - 1))
    last = int(np.clip(np.ceil(highest) + _REACH + 1, first + 1, len(frame)))
    source = toning.scaled(frame[first:last])
    # Exact: `first` is whole and y lies on a grid at least as coarse, so any band finds the same sub-pixel
    # position.
    y -= np.float32(first)
    image = cv2.remap(source, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return _separated(image)


def whole_shift(place: Transform) -> tuple[int, int] | None:
    """(dx, dy) where the transform is a shift by whole pixels, else None."""
    dx, dy = place.matrix[0, 2], place.matrix[1, 2]
    shift = np.array([[1, 0, round(dx)], [0, 1, round(dy)], [0, 0, 1]], np.float64)
    return (round(dx), round(dy)) if np.array_equal(place.matrix, shift) else None


def _copied(frame: Array, shift: tuple[int, int], toning: Toning, width: int, rows: Rows) -> Band[Array]:
    """Whole-pixel shift: values are copied; pixels outside the frame repeat its edge and are marked."""
    dx, dy = shift
    height, frame_width = frame.shape[:2]
    if lies_within(frame.shape, shift, width, rows):
        part = frame[dy + rows.start : dy + rows.stop, dx : dx + width]
        return Band(toning.lift(planar(part, toning.scale)))
    y, x = np.arange(rows.start, rows.stop) + dy, np.arange(width) + dx
    part = frame[np.clip(y, 0, height - 1)[:, None], np.clip(x, 0, frame_width - 1)[None, :]]
    valid = ((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < frame_width))[None, :]
    return Band(toning.lift(planar(part, toning.scale)), valid.astype(np.uint8) * np.uint8(255))


def lies_within(shape: tuple[int, ...], shift: tuple[int, int], width: int, rows: Rows) -> bool:
    """Whether rows of the canvas, shifted, are all in a frame of `shape` (h, w, c)."""
    dx, dy = shift
    return dx >= 0 and dy + rows.start >= 0 and dx + width <= shape[1] and dy + rows.stop <= shape[0]


def _positions(place: Transform, width: int, rows: Rows) -> tuple[Array, Array]:
    """Frame positions (x, y) of canvas pixels, float32, a function of the pixel alone and not of the band."""
    m = place.matrix
    x, y = np.arange(width, dtype=np.float64), np.arange(rows.start, rows.stop, dtype=np.float64)[:, None]
    if m[2, 0] == 0.0 and m[2, 1] == 0.0:
        return (
            (m[0, 0] * x + m[0, 2]).astype(np.float32) + (m[0, 1] * y).astype(np.float32),
            (m[1, 0] * x + m[1, 2]).astype(np.float32) + (m[1, 1] * y).astype(np.float32),
        )
    w = m[2, 0] * x + m[2, 1] * y + m[2, 2]
    across, down = (m[0, 0] * x + m[0, 1] * y + m[0, 2]) / w, (m[1, 0] * x + m[1, 1] * y + m[1, 2]) / w
    return across.astype(np.float32), down.astype(np.float32)


def inside(place: Transform, width: int, rows: Rows, shape: tuple[int, int]) -> bool:
    """Whether a frame of `shape` (h, w) covers these rows of the canvas: its outline is convex, so corners
    tell."""
    lines = [_positions(place, width, Rows(row, row + 1)) for row in (rows.start, rows.stop - 1)]
    return all(_holds(x[:, [0, -1]], y[:, [0, -1]], shape) for x, y in lines)


def _holds(x: Array, y: Array, shape: tuple[int, ...]) -> bool:
    right, bottom = shape[1] - 1 + SLACK, shape[0] - 1 + SLACK
    return bool(x.min() >= -SLACK and x.max() <= right and y.min() >= -SLACK and y.max() <= bottom)


def _covered(x: Array, y: Array, shape: tuple[int, ...]) -> Array | None:
    """Mask of positions inside the frame; None where all are."""
    ends = np.ix_([0, -1], [0, -1])
    if _holds(x[ends], y[ends], shape):
        return None
    right, bottom = shape[1] - 1 + SLACK, shape[0] - 1 + SLACK
    return cv2.bitwise_and(cv2.inRange(x, -SLACK, right), cv2.inRange(y, -SLACK, bottom))


def _separated(image: Array) -> Array:
    """(h, w) or (h, w, c) -> (c, h, w), contiguous."""
    if image.ndim == 2:
        return image[None]
    out = np.empty((image.shape[2], *image.shape[:2]), np.float32)
    cv2.split(image, mv=list(out))
    return out


def planar(part: Array, scale: Array | np.float32) -> Array:
    """(h, w, c) of any dtype -> (c, h, w) float32 times `scale`, one for all channels or (c,)."""
    out = np.empty((part.shape[2], *part.shape[:2]), np.float32)
    for source, plane, times in zip(cv2.split(part), out, np.broadcast_to(scale, len(out)), strict=True):
        np.multiply(source, times, out=plane, dtype=np.float32)
    return out
