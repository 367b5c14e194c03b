"""The figures of one picture against another, in one pass over bands of rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf, log10
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.metrics.similarity import REACH, SIDE, luma, similarity

Picture = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

OFF = 16 / 255
"""Error of a sample beyond which its pixel is off: seen at a glance in a flat area."""
ROWS = 256
"""Rows that are compared at a time, so that the copies in double precision stay small."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How close two pictures are; PSNR in dB is infinite where they are equal.

    `ssim` is None for a picture smaller than the window. `off_share` is the share of pixels with a sample off
    by more than 16/255. `near_psnr` and `away_psnr` are those within and beyond some pixels of depth steps,
    None where there is no such pixel or no depth was given. `pixels` have been counted.
    """

    psnr: float
    ssim: float | None
    off_share: float
    near_psnr: float | None
    away_psnr: float | None
    pixels: int

    def as_dict(self) -> dict[str, float | None]:
        """The figures by names that have their unit, as JSON has them: the PSNR of equal pictures is None."""
        return {
            "psnr_db": _finite(self.psnr),
            "ssim": self.ssim,
            "off_share": self.off_share,
            "near_psnr_db": _finite(self.near_psnr),
            "away_psnr_db": _finite(self.away_psnr),
            "pixels": self.pixels,
        }


def psnr(picture: Picture, truth: Picture) -> float:
    """Peak signal to noise ratio in dB of two pictures of one shape, both 0 to 1; infinite for equal ones."""
    return _decibels(float(np.mean((np.asarray(picture, np.float64) - truth) ** 2)))


def compare(
    picture: Picture, truth: Picture, near: Mask | None = None, where: Mask | None = None
) -> Likeness:
    """Compare two pictures (h, w, c), each of uint8 or uint16 (white is the largest value) or float (white is
    1), gray or RGB as the other is.

    `near` (h, w) are the pixels near depth steps. Only pixels of `where` (h, w) count, all if it is not
    given; SSIM counts the windows whose middle does. Raises ValueError for pictures that differ in shape, and
    where no pixel counts.
    """
    if picture.shape != truth.shape or picture.ndim != 3:
        raise ValueError(f"pictures of shape {picture.shape} and {truth.shape} cannot be compared")
    sums = _Sums()
    for rows in bands(picture.shape[0]):
        counted = _rows(where, rows, picture.shape)
        if counted.any():
            sums.take(
                unit(picture[rows]), unit(truth[rows]), counted, _rows(near, rows, picture.shape, False)
            )
    if not sums.pixels:
        raise ValueError("no pixel counts")
    alike = _mean_similarity(picture, truth, where)
    return sums.likeness(picture.shape[2], alike, near is not None)


def unit(values: Picture) -> npt.NDArray[np.float64]:
    """Samples as they are stored to doubles of which 1 is white."""
    white = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1
    return np.asarray(values, np.float64) / white


@dataclass(slots=True)
class _Sums:
    """What is added up over bands: squared errors and pixels, far (0) from depth steps and near (1)."""

    squares: list[float] = field(default_factory=lambda: [0.0, 0.0])
    counts: list[int] = field(default_factory=lambda: [0, 0])
    off: int = 0

    @property
    def pixels(self) -> int:
        return sum(self.counts)

    def take(self, picture: Picture, truth: Picture, counted: Mask, near: Mask) -> None:
        error = picture - truth
        squares = np.sum(error * error, axis=2)
        for side, mask in enumerate((counted & ~near, counted & near)):
            self.squares[side] += float(squares[mask].sum())
            self.counts[side] += int(mask.sum())
        self.off += int((np.abs(error).max(axis=2)[counted] > OFF + 1e-9).sum())

    def likeness(self, channels: int, alike: float | None, has_depth: bool) -> Likeness:
        away, near = (
            _decibels(total / (count * channels)) if has_depth and count else None
            for total, count in zip(self.squares, self.counts, strict=True)
        )
        whole = _decibels(sum(self.squares) / (self.pixels * channels))
        return Likeness(whole, alike, self.off / self.pixels, near, away, self.pixels)


def _mean_similarity(picture: Picture, truth: Picture, where: Mask | None) -> float | None:
    """The SSIM over the pixels that count and have a whole window, None where there is none."""
    height, width = picture.shape[:2]
    if min(height, width) < SIDE:
        return None
    total, count = 0.0, 0
    for rows in bands(height - 2 * REACH):
        seen = slice(rows.start, rows.stop + 2 * REACH)
        alike = similarity(luma(unit(picture[seen])), luma(unit(truth[seen])))
        counted = _rows(where, seen, picture.shape)[REACH:-REACH, REACH:-REACH]
        total, count = total + float(alike[counted].sum()), count + int(counted.sum())
    return total / count if count else None


def bands(height: int) -> Iterator[slice]:
    """Slices of at most ROWS rows that cover a height."""
    for top in range(0, height, ROWS):
        yield slice(top, min(top + ROWS, height))


def _rows(mask: Mask | None, rows: slice, shape: tuple[int, ...], otherwise: bool = True) -> Mask:
    if mask is None:
        return np.full((rows.stop - rows.start, shape[1]), otherwise)
    return mask[rows]


def _finite(value: float | None) -> float | None:
    return None if value is None or value == inf else value


def _decibels(error: float) -> float:
    """PSNR of a mean squared error, for a peak of 1."""
    return inf if error == 0 else -10 * log10(error)
