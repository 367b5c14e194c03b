"""DNG files with Bayer's mosaic, not compressed: one is read in next to no time, unlike a camera's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

BLACK, WHITE = 512, 16383
EVEN = (1.0, 1.0, 1.0)


def write_dng(path: Path, picture: npt.NDArray[Any]) -> Path:
    """Write a picture (h, w, 3) uint8, coded for the eye, as the samples of a sensor, 14 bits of light."""
    return write_light(path, (picture / 255.0) ** 2.2)


def write_light(path: Path, light: npt.NDArray[Any], neutral: tuple[float, float, float] = EVEN) -> Path:
    """Write light (h, w, 3) 0..1 as a sensor sees it that lets `neutral` through of gray."""
    samples = light[..., 1] * neutral[1]
    samples[::2, ::2] = light[::2, ::2, 0] * neutral[0]
    samples[1::2, 1::2] = light[1::2, 1::2, 2] * neutral[2]
    tags = [
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),
        (50708, "s", 0, "bench", True),
        (50721, "2i", 9, [v for n in (1, 0, 0, 0, 1, 0, 0, 0, 1) for v in (n, 1)], True),
        (50778, "H", 1, 21, True),
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, bytes([0, 1, 1, 2]), True),
        (50714, "H", 1, BLACK, True),
        (50717, "H", 1, WHITE, True),
        (50728, "2I", 3, [v for part in neutral for v in (round(part * 1_000_000), 1_000_000)], True),
    ]
    values = np.clip(np.rint(BLACK + samples * (WHITE - BLACK)), 0, WHITE).astype(np.uint16)
    tifffile.imwrite(path, values, photometric=32803, metadata=None, extratags=tags)
    return path
