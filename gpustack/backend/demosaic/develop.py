"""From the samples of a mosaic to linear camera RGB, in tiles that stay in the processor's caches."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.demosaic import malvar, rcd
from gpustack.backend.demosaic.phases import SITES, Phases, Plane
from gpustack.model.mosaic import Mosaic
from gpustack.settings import Demosaic

Samples = npt.NDArray[np.uint16]

TILE = 256, 1024
"""Rows and columns, even numbers (MP/s of a core, malvar and rcd: 128x512: 92 and 16, 256x1024: 169 and 18,
128x4096: 180 and 17)."""

WAYS: dict[Demosaic, Any] = {Demosaic.MALVAR: malvar, Demosaic.RCD: rcd}
"""What backends can do."""


def developed(samples: Samples, mosaic: Mosaic) -> npt.NDArray[np.uint16]:
    """Samples (h, w) uint16 -> linear camera RGB (h, w, 3) uint16, as `mosaic` says.

    Measured colours stay as they are, scaled and cut off at white. Beyond the edge the mosaic is mirrored
    about the outermost pixels, which keeps its pattern.
    """
    height, width = samples.shape
    out = np.empty((height + height % 2, width + width % 2, 3), np.uint16)
    for top in range(0, height, TILE[0]):
        for left in range(0, width, TILE[1]):
            _develop(samples, mosaic, out[top : top + TILE[0], left : left + TILE[1]], (top, left))
    return out[:height, :width]


def _develop(samples: Samples, mosaic: Mosaic, out: npt.NDArray[np.uint16], corner: tuple[int, int]) -> None:
    """One tile, whose first pixel is at `corner`."""
    way = WAYS[mosaic.demosaic]
    height, width = out.shape[:2]
    patch = _patch(samples, corner, (height, width), 2 * way.MARGIN)
    light = Phases.of(SITES, lambda site: _light(patch, mosaic, site), way.MARGIN)
    found = way.colours_of(light, mosaic.colours, mosaic.white)
    for y in (0, 1):
        # In memory, a row of pixels in pairs is a row of six channels.
        pairs = out[y::2].reshape(height // 2, width // 2, 6)
        cv2.merge(found[2 * y] + found[2 * y + 1], pairs)


def _patch(samples: Samples, corner: tuple[int, int], size: tuple[int, int], margin: int) -> npt.NDArray[Any]:
    """Samples of a tile and around it; mirrored where there are none."""
    (top, left), (height, width) = corner, size
    rows = slice(max(0, top - margin), top + height + margin)
    columns = slice(max(0, left - margin), left + width + margin)
    there = samples[rows, columns]
    above, before = margin - (top - rows.start), margin - (left - columns.start)
    below, after = height + 2 * margin - above - len(there), width + 2 * margin - before - there.shape[1]
    return cv2.copyMakeBorder(there, above, below, before, after, cv2.BORDER_REFLECT_101)


def _light(patch: npt.NDArray[Any], mosaic: Mosaic, site: int) -> Plane:
    """Samples of one site, black taken off and balanced, in whole numbers up to white."""
    black = mosaic.black[site]
    plane: Plane = np.maximum(patch[site // 2 :: 2, site % 2 :: 2], np.uint16(black)).astype(np.float32)
    plane -= np.float32(black)
    plane *= np.float32(mosaic.gain[site])
    np.rint(plane, out=plane)
    np.minimum(plane, np.float32(mosaic.white), out=plane)
    return plane
