"""One picture as it is to be seen: upright pixels and their colour profile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.errors import InputError
from gpustack.io.decode import Decoder, probe
from gpustack.io.metadata import read_metadata
from gpustack.io.write import oriented
from gpustack.model.frame import Kind

Pixels = npt.NDArray[Any]

# Bytes of a profile's header (ICC.1, 7.2) that differ between copies of one profile: the date and the ID.
_DATE, _ID = slice(24, 36), slice(84, 100)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A developed picture: (h, w, c) uint8, uint16 or float32, upright, and its ICC profile if it has one."""

    name: str
    pixels: Pixels
    icc: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def colours(self) -> Pixels:
        """Gray or RGB, (h, w, 1 or 3): a view without alpha."""
        return self.pixels[..., : 1 if self.pixels.shape[2] < 3 else 3]

    @property
    def opaque(self) -> npt.NDArray[np.bool_] | None:
        """Where the picture hides what is behind it, (h, w); None where it has no alpha."""
        if self.pixels.shape[2] not in (2, 4):
            return None
        alpha = self.pixels[..., -1]
        white = np.iinfo(alpha.dtype).max if alpha.dtype.kind == "u" else 1
        return np.asarray(alpha >= white, np.bool_)

    def coloured_as(self, other: Picture) -> bool:
        """Whether both have the same profile, or neither has one."""
        return same_profile(self.icc, other.icc)


def read_picture(path: Path) -> Picture:
    """The only picture of a file.

    Raises: DecodeError for what cannot be read; InputError for RAW files, whose colours are yet to be made,
    for files of several pictures, and for samples that are not numbers.
    """
    frame, *more = probe(path)
    if more:
        raise InputError(f"{path.name} holds {len(more) + 1} pictures.", "Give files that hold one.")
    if frame.kind is Kind.RAW:
        raise InputError(f"{path.name} is a RAW file, whose colours are yet to be made.", "Develop it first.")
    pixels = oriented(Decoder(frame)(frame), frame.orientation)
    return sane(Picture(frame.name, pixels, read_metadata(frame).icc))


def sane(picture: Picture) -> Picture:
    """The picture, unless it holds NaN or infinity. Raises InputError."""
    if picture.pixels.dtype == np.float32 and not np.isfinite(picture.pixels).all():
        raise InputError(
            f"{picture.name} holds samples that are not numbers.", "Replace them: 0 is black and 1 white."
        )
    return picture


def same_profile(one: bytes | None, other: bytes | None) -> bool:
    """Whether two profiles are copies of one, whenever they were made, or both are missing."""
    return _without_making(one) == _without_making(other)


def _without_making(icc: bytes | None) -> bytes | None:
    if icc is None:
        return None
    profile = bytearray(icc)
    for part in (_DATE, _ID):
        profile[part] = bytes(part.stop - part.start)
    return bytes(profile)
