"""Colour of developed RAW pixels: camera RGB to sRGB (IEC 61966-2-1)."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import imagecodecs
import numpy as np
import numpy.typing as npt

STRIP_ROWS = 128
"""Rows that are worked on at a time, so that the memory for intermediates stays a few megabytes."""

_MOST_THREADS = 8
"""Threads that develop a picture, at most: each has four planes of its strip's colours."""


def developed(linear: npt.NDArray[np.float32], matrix: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Turn linear camera RGB, (h, w, 3) float32 in 0..1, into sRGB as coded, the same shape, clipped to 0..1.

    `matrix` (3, 3) maps camera RGB to linear sRGB: out = matrix @ in. The input is not changed.
    """
    turn = np.ascontiguousarray(matrix.T, np.float32)
    out = np.empty(linear.shape, np.float32)
    for top in range(0, len(linear), STRIP_ROWS):
        strip = out[top : top + STRIP_ROWS]
        np.matmul(linear[top : top + STRIP_ROWS], turn, out=strip)
        np.clip(strip, 0.0, 1.0, out=strip)
        strip[...] = _coded(strip)
    return out


def shown(linear: npt.NDArray[np.uint16], matrix: npt.NDArray[np.floating]) -> npt.NDArray[np.uint16]:
    """The same for (h, w, 3) uint16, of which 65535 is 1; on all cores where it is large."""
    out = np.empty_like(linear)

    def strip(first: int) -> None:
        part = linear[first : first + STRIP_ROWS].astype(np.float32)
        part /= 65535
        coded = developed(part, matrix)
        coded *= 65535
        out[first : first + STRIP_ROWS] = np.rint(coded, out=coded)

    firsts = range(0, len(linear), STRIP_ROWS)
    if len(firsts) < 2:
        strip(0)
        return out
    with ThreadPoolExecutor(min(os.cpu_count() or 1, len(firsts), _MOST_THREADS), "colour") as pool:
        for _ in pool.map(strip, firsts):
            pass
    return out


@cache
def srgb_profile() -> bytes:
    """The ICC profile of what `developed` returns; the same bytes on every call and every day."""
    profile = bytearray(imagecodecs.cms_profile("srgb"))
    # The date of its making (ICC.1, 7.2.10) would make two runs on the same frames differ.
    profile[24:36] = b"".join(part.to_bytes(2, "big") for part in (2000, 1, 1, 0, 0, 0))
    return bytes(profile)


def _coded(linear: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The sRGB transfer curve of values in 0..1."""
    # 1.055 x - 0.055, arranged so that white stays 1 in single precision.
    power = np.float32(1.055) * (np.power(linear, np.float32(1 / 2.4)) - 1) + 1
    return np.where(linear <= np.float32(0.0031308), np.float32(12.92) * linear, power)
