"""DNG files made for tests: what a sensor would have seen, with the tags that LibRaw heeds."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

Pixels = npt.NDArray[np.uint16]

WHITE, BLACK = 16383, 512
NEUTRAL = (0.48, 1.0, 0.62)
# What a camera sees of XYZ (D65); any well-conditioned matrix will do.
CAMERA_FROM_XYZ = np.array([[0.86, -0.26, -0.09], [-0.82, 1.55, 0.30], [-0.26, 0.31, 0.91]])


def rationals(values: Any, scale: int = 1_000_000) -> list[int]:
    return [number for value in np.ravel(values) for number in (round(float(value) * scale), scale)]


def mosaic(fill: int = 2000, height: int = 48, width: int = 64) -> Pixels:
    """A flat gray field with a little noise: (h, w) uint16."""
    return (fill + np.random.default_rng(0).integers(0, 5, (height, width))).astype(np.uint16)


def write_dng(
    path: Path,
    pixels: Pixels,
    *,
    neutral: Sequence[float] | None = NEUTRAL,
    xy: Sequence[float] | None = None,
    black: Sequence[int] = (BLACK,),
    white: int = WHITE,
    colours: Sequence[int] = (0, 1, 1, 2),
    visible: Sequence[int] | None = None,
    model: str = "M1",
    turn: int = 1,
    iso: int = 100,
    scale: Sequence[float] = (1, 1),
) -> Path:
    """A DNG file: (h, w) a mosaic, (h, w, 3) linear RGB.

    `black` and `colours` are of the pixels that repeat, of a square, row by row; `visible`: top, left, bottom
    and right of what is developed.
    """
    linear = pixels.ndim == 3
    tags = [
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),
        (50708, "s", 0, model, True),
        (50721, "2i", 9, rationals(CAMERA_FROM_XYZ), True),
        (50778, "H", 1, 21, True),
        (271, "s", 0, "Maker", True),
        (272, "s", 0, model, True),
        (274, "H", 1, turn, True),
        (50718, "2I", 2, rationals(scale), True),
        (65000, "I", 1, 0, True),
        (50717, "H", 1, white, True),
    ]
    tags += [(50714, "H", 3, (0, 0, 0), True)] if linear else _filters(colours, black)
    if neutral:
        tags.append((50728, "2I", 3, rationals(neutral), True))
    if xy:
        tags.append((50729, "2I", 2, rationals(xy), True))
    if visible:
        tags.append((50829, "H", 4, tuple(visible), True))
    photometric = 34892 if linear else 32803
    # Newer tifffile takes LinearRaw for a stack of gray pages unless the planes are said to be interleaved.
    planar = "contig" if linear else None
    tifffile.imwrite(
        path, pixels, photometric=photometric, planarconfig=planar, metadata=None, extratags=tags
    )
    add_iso(path, iso)
    return path


def _filters(colours: Sequence[int], black: Sequence[int]) -> list[Any]:
    repeat, side = math.isqrt(len(colours)), math.isqrt(len(black))
    return [
        (33421, "H", 2, (repeat, repeat), True),
        (33422, "B", len(colours), bytes(colours), True),
        (50713, "H", 2, (side, side), True),
        (50714, "H", len(black), tuple(black), True),
    ]


def add_iso(path: Path, iso: int) -> None:
    """Append an Exif directory and point the placeholder tag, which tifffile would not write, to it."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<HHII", data, data.index(struct.pack("<HHI", 65000, 4, 1)), 34665, 4, 1, len(data))
    path.write_bytes(data + struct.pack("<HHHIII", 1, 34855, 3, 1, iso, 0))


def monochrome(path: Path, pixels: Pixels) -> Path:
    """A file of a sensor without filters."""
    write_dng(path, pixels)
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, data.index(struct.pack("<HHI", 262, 3, 1)) + 8, 34892)
    path.write_bytes(data)
    return path
