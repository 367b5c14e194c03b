"""A flat field: a picture of an even surface, whose uneven light is the lens's and is divided out of frames.

Vignetting stays with the sensor while the picture scales and moves, so frames are divided by the flat as they
are decoded, before anything is resampled. In linear light (RAW, linear TIFF) the division undoes vignetting
exactly; in gamma-coded files it does so as far as the coding is a power function, which sRGB nearly is, and
the flat is coded alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.errors import DecodeError, InputError
from gpustack.io.decode import Decoder, probe
from gpustack.model.frame import Frame, Kind
from gpustack.model.stack import Stack

Pixels = npt.NDArray[Any]
Plane = npt.NDArray[np.float32]

SIDE = 512
"""Longer side of the map that is kept: vignetting has no detail."""

SIGMA = 0.02
"""Width of its smoothing, as a share of the longer side: dust on a sensor is a tenth as wide, and noise is
gone, while vignetting changes over a quarter of the side."""

DARKEST = 0.05
"""Least share of its brightest value that a flat may fall to: a lens loses four stops in its corners at most,
and frames are as noisy there as they are multiplied."""

LEAST_WHITE = 0.01
"""Least brightness of the brightest part, as a share of white."""

ROWS = 64
"""Rows that are divided at a time, so that the float copy stays small."""


class Flat:
    """What the frames of a stack are multiplied by; may be used by several threads at once."""

    def __init__(self, path: Path, stack: Stack, decoder: Decoder | None) -> None:
        """Read a flat for a stack; `decoder` is that of its files, if it is of files.

        Raises DecodeError for what cannot be read, and InputError for a flat that does not fit.
        """
        (frame, *_) = probe(path) if decoder is None else decoder.probe(path)
        _refuse_unfit(frame, stack)
        pixels = (decoder or Decoder(frame))(frame)
        self._gain = _gains(
            pixels[..., : _colours(frame)].astype(np.float32) / np.float32(frame.pixel_type.white), frame
        )

    def divide(self, frame: Frame, pixels: Pixels, out: Pixels | None) -> Pixels:
        """The frame (h, w, c) without the flat's falloff, in `out` if given, which may be its pixels.

        Rounded once and cut off at white; floats are not cut.
        """
        if out is None:
            out = np.empty_like(pixels)
        colours, whole = _colours(frame), pixels.dtype.kind == "u"
        for first in range(0, frame.height, ROWS):
            rows = slice(first, min(first + ROWS, frame.height))
            part = pixels[rows, :, :colours] * self._rows(rows, frame)
            if whole:
                part = np.rint(np.minimum(part, np.float32(frame.pixel_type.white)))
            out[rows, :, colours:] = pixels[rows, :, colours:]
            out[rows, :, :colours] = part
        return out

    def _rows(self, rows: slice, frame: Frame) -> Plane:
        """Gains (rows, w, c) for rows of a frame."""
        height = len(self._gain)
        y = (np.arange(rows.start, rows.stop) + 0.5) * (height / frame.height) - 0.5
        y = np.clip(y, 0, height - 1)
        above = np.minimum(y.astype(int), max(0, height - 2))
        share = (y - above).astype(np.float32)[:, None, None]
        lines = self._gain[above] * (1 - share) + self._gain[np.minimum(above + 1, height - 1)] * share
        wide = cv2.resize(lines, (frame.width, len(lines)), interpolation=cv2.INTER_LINEAR)
        return np.asarray(wide.reshape(len(lines), frame.width, -1), np.float32)


def _gains(light: Pixels, frame: Frame) -> Plane:
    """1 over the smoothed flat, brightest value 1 in each channel, at most SIDE pixels wide and high."""
    shrink = min(1.0, SIDE / max(frame.size))
    size = max(1, round(frame.width * shrink)), max(1, round(frame.height * shrink))
    small = cv2.resize(light, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)
    smooth = _smoothed(small, SIGMA * max(size))
    brightest = smooth.max(axis=(0, 1))
    if not (brightest > LEAST_WHITE).all() or not (smooth > DARKEST * brightest).all():
        raise InputError(
            f"{frame.name} is too dark to be a flat field.",
            "Take a picture of an even, bright surface, or leave --flat out.",
        )
    return np.asarray(brightest / smooth, np.float32)


def _smoothed(small: Pixels, sigma: float) -> Plane:
    """Gaussian blur of (h, w, c); slopes go on beyond the edge, or corners would come out too bright."""
    reach = [min(int(np.ceil(3 * sigma)), side - 1) for side in small.shape[:2]]
    padded = np.pad(small, [(reach[0],) * 2, (reach[1],) * 2, (0, 0)], "reflect", reflect_type="odd")
    blurred = cv2.GaussianBlur(padded, (0, 0), sigma).reshape(padded.shape)
    inner = blurred[reach[0] : reach[0] + small.shape[0], reach[1] : reach[1] + small.shape[1]]
    return np.asarray(inner, np.float32)


def _refuse_unfit(flat: Frame, stack: Stack) -> None:
    if _colours(flat) != _colours(stack.frames[0]):
        raise InputError(
            f"{flat.name} has {_colours(flat)} colour channels, and the frames have "
            f"{_colours(stack.frames[0])}.",
            "Give a flat field of the frames' kind.",
        )
    if (flat.kind is Kind.RAW) != (stack.kind is Kind.RAW):
        raise DecodeError(
            flat.name,
            "of frames and flat field one is RAW and the other developed.",
            "Give a flat field of the frames' kind, developed alike.",
        )
    for frame in stack:
        shape = flat.width * frame.height, flat.height * frame.width
        if abs(shape[0] - shape[1]) > 0.01 * max(shape):
            raise InputError(
                f"{flat.name} has {flat.width}x{flat.height} pixels, and {frame.name} has another shape, "
                f"{frame.width}x{frame.height}.",
                "Give a flat field of the whole sensor, as the frames are; it cannot be fitted to a crop.",
            )


def _colours(frame: Frame) -> int:
    """Channels without alpha."""
    return 1 if frame.channels < 3 else 3
