"""Pixels as a screen shows them: 8 bits, sRGB, upright or not as they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt

from gpustack.io.colour import STRIP_ROWS, developed, shown
from gpustack.io.encode import eight_bit
from gpustack.io.icc import fitting_profile
from gpustack.io.profiles import for_screen, same_colours

Pixels = npt.NDArray[Any]
Shown = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Screen:
    """How the pixels of one kind are shown.

    icc: their profile; sRGB where there is none, but light where they are floats. matrix: of linear camera
    RGB, as `io.colour` takes it.
    """

    icc: bytes | None = None
    matrix: npt.NDArray[np.floating] | None = None

    def __call__(self, pixels: Pixels) -> Shown:
        """(h, w, c) uint8, uint16 or float32 -> (h, w, 1 or 3) uint8, contiguous; alpha is left out."""
        if self.matrix is not None and pixels.dtype == np.uint16:
            return eight_bit(shown(pixels[..., :3], self.matrix))
        colours = pixels[..., : 3 if pixels.shape[2] > 2 else 1]
        icc = fitting_profile(self.icc, colours.shape[2])
        if colours.dtype == np.float32:
            return _of_light(colours) if icc is None else self._converted(colours, icc)
        plain = _rounded(colours)
        return (
            plain
            if same_colours(icc, None, gray=plain.shape[2] == 1) or icc is None
            else self._converted(plain, icc)
        )

    def _converted(self, colours: Pixels, icc: bytes) -> Shown:
        """In strips; as they are where Little CMS does not take the profile: what is shown is better than
        nothing, and the file says what it is."""
        out = np.empty(colours.shape, np.uint8)
        for first in range(0, len(out), STRIP_ROWS):
            part = np.ascontiguousarray(colours[first : first + STRIP_ROWS])
            try:
                out[first : first + STRIP_ROWS] = for_screen(part, icc)
            except imagecodecs.CmsError:
                return _cut(colours) if colours.dtype == np.float32 else np.ascontiguousarray(colours)
        return out


def _rounded(colours: Pixels) -> Shown:
    """Whole numbers in 8 bits, as `eight_bit` gives them, in a fifth of the time."""
    if colours.dtype == np.uint8:
        return np.ascontiguousarray(colours)
    flat = np.ascontiguousarray(colours).reshape(len(colours), -1)
    return np.asarray(cv2.convertScaleAbs(flat, alpha=1 / 257), np.uint8).reshape(colours.shape)


def _of_light(colours: Pixels) -> Shown:
    """Light as sRGB."""
    three = np.repeat(colours, 3, axis=2) if colours.shape[2] == 1 else np.ascontiguousarray(colours)
    coded = developed(np.asarray(three, np.float32), np.eye(3, dtype=np.float32))
    return np.ascontiguousarray(_cut(coded)[..., : colours.shape[2]])


def _cut(values: Pixels) -> Shown:
    return np.asarray(np.rint(np.clip(values, 0, 1) * 255), np.uint8)
