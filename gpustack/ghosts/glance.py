"""What is kept of every frame to tell what moved: a small picture of its light, a byte a cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.resample import resample
from gpustack.model.rect import Rows
from gpustack.model.tone import LUMA
from gpustack.model.transform import Matrix, Transform
from gpustack.settings import GLANCE_SIDE, Interpolation

Values = npt.NDArray[Any]
Plane = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

_WHITE, _UNKNOWN = 254, 255
_HALVINGS = 4  # sides are multiples of this many cells: they can be halved twice


@dataclass(frozen=True, slots=True)
class Glance:
    """The luma of a frame's light: (h, w) uint8, 254 times its square root, 255 where it is burnt out; over
    cells of `factor` pixels a side of a frame of `size` (width, height). `linear`: its values are light."""

    values: npt.NDArray[np.uint8]
    factor: int
    size: tuple[int, int]
    linear: bool

    @property
    def to_pixels(self) -> Matrix:
        """3x3: cells to pixels of the frame, centres at whole numbers in both."""
        half = (self.factor - 1) / 2
        return np.array([[self.factor, 0, half], [0, self.factor, half], [0, 0, 1.0]])


@dataclass(frozen=True, slots=True)
class Aligned:
    """A frame's light on the reference's cells, (h, w) float32, and where it is known."""

    light: Plane
    known: Mask


def cell_side(size: tuple[int, int]) -> int:
    """Pixels along a cell of a frame of `size`."""
    return -(-max(size) // GLANCE_SIDE)


def glance(light: Values, factor: int, size: tuple[int, int], *, linear: bool) -> Glance:
    """What is kept of the light that a backend gives, (1 or 3, h, w) float32."""
    luma = light[0] if len(light) == 1 else np.tensordot(np.array(LUMA, np.float32), light, 1)
    known = np.isfinite(luma)
    coded = np.rint(np.sqrt(np.clip(np.where(known, luma, 0), 0, 1)) * _WHITE)
    return Glance(np.where(known, coded, _UNKNOWN).astype(np.uint8), factor, size, linear)


def aligned(seen: Glance, transform: Transform, reference: Glance) -> Aligned:
    """A frame as the reference would have seen it; `transform` maps the reference's pixels to the frame's."""
    height, width = (-(-side // _HALVINGS) * _HALVINGS for side in reference.values.shape)
    motion = Transform(np.linalg.inv(seen.to_pixels) @ transform.matrix @ reference.to_pixels)
    rows = Rows(0, height)
    # One plane at a time: OpenCV takes twice as long over two that are mixed.
    moved = resample(_toned(seen, transform)[..., None], motion, 1.0, width, rows, Interpolation.BICUBIC)
    known = np.ones((height, width), bool) if moved.valid is None else moved.valid != 0
    burnt = seen.values == _UNKNOWN
    if burnt.any():
        from_burnt = resample(burnt[..., None], motion, 1.0, width, rows, Interpolation.BICUBIC).image[0]
        known &= np.abs(from_burnt) < _TRACE
    return Aligned(np.maximum(moved.image[0], 0), known)


_TRACE = 1e-3  # share of a cell that may come from a burnt one: rounding


def _toned(seen: Glance, transform: Transform) -> Plane:
    """The light of a frame at the reference's brightness; tones speak of values as coded."""
    (gain, *_), (offset, *_) = transform.tone.of_channels(1)
    coded = np.arange(256, dtype=np.float32) / np.float32(_WHITE)
    if seen.linear:
        light = np.square(coded) * np.float32(gain) + np.float32(offset)
    else:
        light = np.square(np.maximum(coded * np.float32(gain) + np.float32(offset), 0))
    return cv2.LUT(seen.values, light.astype(np.float32))
