"""What strokes paint with, on the pixels of a result, at full resolution and bit depth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.protocol import Backend
from gpustack.finishing import Finishing
from gpustack.model.frame import PixelType
from gpustack.model.layer import Box
from gpustack.model.rect import cut
from gpustack.model.transform import Transform, corners
from gpustack.records.shown import Shown
from gpustack.retouch.painting import Image
from gpustack.retouch.placing import inverse_turn
from gpustack.settings import Interpolation

Pixels = npt.NDArray[Any]

_BAND_ROWS = 128

_MARGIN_PX = 4
"""Around what is shown of a frame: what the widest kernel reads."""


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """A picture of a result's size: pixels (h, w, c) of any dtype."""

    pixels: Pixels

    def part(self, box: Box, level: int) -> Image:
        """Pixels of a level in a box, (h, w, c) 0..1."""
        height, width = self.pixels.shape[:2]
        return shrunk(lambda full: unit(self.pixels[full.rows, full.columns]), box, level, width, height)


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """Another result: its upright pixels (h, w, c), the first of them at (left, top) of this one, which is
    `width` x `height`; beyond it, its edge."""

    pixels: Pixels
    left: int
    top: int
    width: int
    height: int

    def part(self, box: Box, level: int) -> Image:
        """Pixels of a level in a box, (h, w, c) 0..1."""
        return shrunk(self._full, box, level, self.width, self.height)

    def _full(self, box: Box) -> Image:
        high, wide = self.pixels.shape[:2]
        rows = np.clip(np.arange(box.top, box.top + box.height) - self.top, 0, high - 1)
        columns = np.clip(np.arange(box.left, box.left + box.width) - self.left, 0, wide - 1)
        return unit(self.pixels[rows[:, None], columns])


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """A decoded frame, moved onto the result and brought to its brightness as the render does: by the
    backend, with the transform, tone and interpolation of the run, in the frame's dtype."""

    backend: Backend[Any]
    array: Pixels
    transform: Transform
    kind: PixelType
    interpolation: Interpolation
    finishing: Finishing
    shown: Shown

    def part(self, box: Box, level: int) -> Image:
        """Pixels of a level in a box, (h, w, c) 0..1."""
        _, _, width, height = self.shown.box
        return shrunk(lambda full: unit(self.pixels(full)), box, level, width, height)

    def pixels(self, box: Box) -> Pixels:
        """Pixels of the result in a box, upright, (h, w, c) as the result would have them of this frame."""
        left, top, _, _ = self.shown.box
        upright = (left + box.left, top + box.top, box.width, box.height)
        left, top, width, height = inverse_turn(self.shown.turn).upright(upright)
        shift = np.array([[1.0, 0.0, left], [0.0, 1.0, top], [0.0, 0.0, 1.0]])
        place = Transform(self.transform.matrix @ shift, self.transform.tone)
        place, part = cropped(place, self.array, width, height)
        array, bands = self.backend.upload(part), cut(height, _BAND_ROWS)
        made: list[Pixels] = [np.empty(0)] * len(bands)

        def work(number: int) -> None:
            loaded = self.backend.load(
                array, place, self.kind, width, bands[number], interpolation=self.interpolation
            )
            made[number] = self.backend.pack(loaded.image, self.kind, None)

        self.backend.each(work, range(len(bands)))
        return self.finishing.upright(np.concatenate(made))


def cropped(place: Transform, frame: Pixels, width: int, height: int) -> tuple[Transform, Pixels]:
    """The part of a frame (h, w, c) that `width` x `height` pixels show, and where they lie in it: only so
    much has to become floating point."""
    x, y = place.apply(corners(width, height)).T
    high, wide = frame.shape[:2]
    left, right = (int(np.clip(edge, 0, wide)) for edge in (x.min() - _MARGIN_PX, x.max() + _MARGIN_PX + 1))
    top, bottom = (int(np.clip(edge, 0, high)) for edge in (y.min() - _MARGIN_PX, y.max() + _MARGIN_PX + 1))
    left, top = min(left, wide - 1), min(top, high - 1)
    back = np.array([[1.0, 0.0, -left], [0.0, 1.0, -top], [0.0, 0.0, 1.0]])
    part = frame[top : max(bottom, top + 1), left : max(right, left + 1)]
    return Transform(back @ place.matrix, place.tone), part


def unit(pixels: Pixels) -> Image:
    """Pixels as float32, white 1."""
    return pixels.astype(np.float32) * np.float32(1 / PixelType(pixels.dtype.name).white)


def shrunk(full: Callable[[Box], Image], box: Box, level: int, width: int, height: int) -> Image:
    """A box of a level: the means over squares of 2^level pixels of a picture `width` x `height`, those at
    the right and lower edge with its last pixels repeated."""
    size = 1 << level
    left, top = box.left * size, box.top * size
    right = min(width, (box.left + box.width) * size)
    bottom = min(height, (box.top + box.height) * size)
    pixels = full(Box(left, top, right - left, bottom - top))
    if level == 0:
        return pixels
    missing = ((0, box.height * size - len(pixels)), (0, box.width * size - pixels.shape[1]), (0, 0))
    small = cv2.resize(np.pad(pixels, missing, "edge"), (box.width, box.height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).reshape(box.height, box.width, pixels.shape[2])
