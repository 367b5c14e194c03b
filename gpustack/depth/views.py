"""The picture seen from a little to the left or right: stereo pairs, anaglyphs, rocking animations."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[Any]
Plane = npt.NDArray[np.float32]

_SAME_SURFACE_PX = 1.0
"""Where a second look finds a depth that would move a pixel by more than this, it has looked past an edge."""

_LEFT = np.array(
    [
        [0.4561, 0.500484, 0.176381],
        [-0.0400822, -0.0378246, -0.0157589],
        [-0.0152161, -0.0205971, -0.00546856],
    ],
    np.float32,
)
_RIGHT = np.array(
    [
        [-0.0434706, -0.0879388, -0.00155529],
        [0.378476, 0.73364, -0.0184503],
        [-0.0721527, -0.112961, 1.2264],
    ],
    np.float32,
)
"""What each eye's picture gives red, green and blue for red-cyan glasses (Dubois, "A projection method to
generate anaglyph stereo images", ICASSP 2001)."""


def seen_from(picture: Pixels, nearness: Plane, shift: float) -> Pixels:
    """The picture (h, w, c) with its nearest parts moved right by half of `shift` pixels and its farthest
    left.

    `nearness` (h, w) is 0 to 1. The depth is moved first, the nearest winning where several meet; what
    comes out from behind an edge is the farther side beyond it, mirrored; then each pixel is looked up in
    the picture.
    """
    height, width = nearness.shape
    moved, column = _origins(_moved(nearness, shift), shift)
    y = np.repeat(np.arange(height, dtype=np.float32)[:, None], width, axis=1)
    first = (column - shift * (moved - 0.5)).astype(np.float32)
    seen = cv2.remap(nearness, first, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    second = (column - shift * (seen - 0.5)).astype(np.float32)
    source = np.where(np.abs(second - first) < _SAME_SURFACE_PX, second, first)
    found = cv2.remap(picture, source, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found).reshape(picture.shape)


def _moved(nearness: Plane, shift: float) -> Plane:
    """The nearness that lands on each pixel, -1 where none does."""
    height, width = nearness.shape
    column = np.rint(np.arange(width) + shift * (nearness - 0.5)).astype(np.int64)
    lands = (column >= 0) & (column < width)
    target = (np.arange(height)[:, None] * width + column)[lands]
    out = np.full(height * width, -1, np.float32)
    np.maximum.at(out, target, nearness[lands])
    return out.reshape(height, width)


def _origins(moved: Plane, shift: float) -> tuple[Plane, npt.NDArray[np.int64]]:
    """For each pixel the column that it shows, and the nearness there: its own; in a gap (-1) between parts
    of one surface, its own and the mean of both ends; in any other, the mirror image beyond the farther
    end."""
    width = moved.shape[1]
    columns = np.broadcast_to(np.arange(width), moved.shape)
    ends = _ends(moved)
    before, after = (_at(moved, end) for end in ends)
    one_surface = (np.abs(before - after) * abs(shift) <= _SAME_SURFACE_PX) & (before <= 1)
    end = np.clip(np.where(before <= after, *ends), 0, width - 1)
    gap = moved < 0
    column = np.where(gap & ~one_surface, np.clip(2 * end - columns, 0, width - 1), columns)
    own = np.where(gap, (before + after) / 2, moved)
    found = np.take_along_axis(own, column, axis=1)
    beyond = np.take_along_axis(gap, column, axis=1) & ~one_surface
    return np.where(beyond, np.clip(_at(moved, end), 0, 1), found).astype(np.float32), column


def _ends(moved: Plane) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The next columns to the left and to the right that are no gap: -1 and the width where there are
    none."""
    width = moved.shape[1]
    known = moved >= 0
    left = np.maximum.accumulate(np.where(known, np.arange(width), -1), axis=1)
    right = np.minimum.accumulate(np.where(known, np.arange(width), width)[:, ::-1], axis=1)[:, ::-1]
    return left, right


def _at(plane: Plane, column: npt.NDArray[np.int64]) -> Plane:
    """The plane at some columns, 2 where they lie outside."""
    width = plane.shape[1]
    value = np.take_along_axis(plane, np.clip(column, 0, width - 1), axis=1)
    return np.where((column >= 0) & (column < width), value, np.float32(2))


def stereo_pair(picture: Pixels, nearness: Plane, shift: float) -> Pixels:
    """What the left eye sees beside what the right eye sees, (h, 2 w, c): for parallel viewing."""
    return np.concatenate([seen_from(picture, nearness, side * shift) for side in (1, -1)], axis=1)


def anaglyph(picture: Pixels, nearness: Plane, shift: float) -> Pixels:
    """For red-cyan glasses: (h, w, 3) of the picture's dtype, from gray or RGB."""
    colours = np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture
    left, right = (seen_from(colours, nearness, side * shift).astype(np.float32) for side in (1, -1))
    mixed = left @ _LEFT.T + right @ _RIGHT.T
    if picture.dtype.kind == "f":
        return np.asarray(np.maximum(mixed, 0), np.float32)
    whole: Pixels = np.rint(np.clip(mixed, 0, np.iinfo(picture.dtype).max)).astype(picture.dtype)
    return whole


def rocking(picture: Pixels, nearness: Plane, shift: float, count: int) -> list[Pixels]:
    """`count` views of one swing from the left to the right and back, for an animation without end."""
    swing = np.sin(2 * np.pi * np.arange(count) / count)
    return [seen_from(picture, nearness, float(side) * shift) for side in swing]
