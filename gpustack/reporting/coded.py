"""Pictures as they stand in a page: JPEG of so many bytes at most, in a data: address."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from gpustack.io.colour import shown
from gpustack.io.encode import eight_bit
from gpustack.io.metadata import Metadata
from gpustack.io.profiles import as_srgb

Pixels = npt.NDArray[Any]
Shown = npt.NDArray[np.uint8]

QUALITIES = ((88, "444"), (80, "444"), (80, "420"), (65, "420"), (45, "420"))
"""Of JPEG, from the best to the least that is tried, and how finely its colours are kept: below that, blocks
are seen before anything else."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A picture as JPEG, and its size in pixels."""

    data: bytes
    width: int
    height: int

    @property
    def address(self) -> str:
        """As a data: address (RFC 2397)."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.data).decode('ascii')}"


def as_seen(pixels: Pixels, metadata: Metadata) -> Shown:
    """Pixels (h, w, c) of a result as a screen shows them: (h, w, 1 or 3) uint8, sRGB, without alpha."""
    colours = pixels[..., : 1 if pixels.shape[2] < 3 else 3]
    if colours.dtype == np.float32:
        colours = np.rint(np.clip(colours, 0, 1) * 65535).astype(np.uint16)
    if metadata.sensor is not None:
        return eight_bit(shown(np.ascontiguousarray(colours), metadata.sensor.matrix))
    return eight_bit(as_srgb(colours, metadata.icc))


def fitted(pixels: Pixels, side: int) -> Pixels:
    """Pixels (h, w) or (h, w, c), `side` along the longer side at most, each the mean of what it was."""
    height, width = pixels.shape[:2]
    by = side / max(height, width)
    if by >= 1:
        return pixels
    size = max(1, round(width * by)), max(1, round(height * by))
    small: Pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    return small.reshape(*small.shape[:2], *pixels.shape[2:])


def coded(pixels: Shown, most_bytes: int, sides: Sequence[int] = ()) -> Coded:
    """A picture (h, w, 1 or 3) in the best quality that takes so many bytes at most, or, where it takes more
    even in the least, with a longer side of the next of `sides`. With none left it is larger than wished."""
    height, width, channels = pixels.shape
    colours, data = "GRAY" if channels == 1 else "RGB", b""
    for quality, sampling in QUALITIES:
        sampling = "Gray" if channels == 1 else sampling
        data = simplejpeg.encode_jpeg(
            np.ascontiguousarray(pixels), quality, colorspace=colours, colorsubsampling=sampling
        )
        if len(data) <= most_bytes:
            return Coded(bytes(data), width, height)
    smaller = [side for side in sides if side < max(height, width)]
    if smaller:
        return coded(fitted(pixels, smaller[0]), most_bytes, smaller[1:])
    return Coded(bytes(data), width, height)
