"""Samples as files store them to samples as frames have them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[Any]

STRIP_ROWS = 128
"""Rows that are worked on at a time, so that the memory for intermediates stays a few megabytes."""


def widened(pixels: npt.NDArray[np.uint16], bits: int) -> npt.NDArray[np.uint16]:
    """Samples of 9 to 15 bits in uint16 as samples of 16: white becomes 65535, the rest round to nearest."""
    if bits >= 16:
        return pixels
    levels = np.rint(np.arange(1 << bits) * (65535 / ((1 << bits) - 1))).astype(np.uint16)
    out = np.empty_like(pixels)
    for first in range(0, len(pixels), STRIP_ROWS):  # as indices, samples take four times their memory
        np.take(levels, pixels[first : first + STRIP_ROWS], out=out[first : first + STRIP_ROWS], mode="clip")
    return out


def unassociated(pixels: Pixels) -> Pixels:
    """Undo that colours were multiplied with alpha, the last channel, in place; where nothing is seen they
    are black. Blur and weights would treat them as darker colours.

    Whole numbers are rounded to nearest and cut at white.
    """
    white = 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
    for row in pixels:
        alpha = row[:, -1:].astype(np.float64)
        colours = np.divide(row[:, :-1] * white, alpha, out=np.zeros(row[:, :-1].shape), where=alpha > 0)
        row[:, :-1] = np.rint(np.minimum(colours, white)) if pixels.dtype.kind == "u" else colours
    return pixels
