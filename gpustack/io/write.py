"""Results on disk: pictures, and planes of depth or confidence. The ending of the name decides the format."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.errors import UsageError, WriteError
from gpustack.io import exr
from gpustack.io.atomic import existing, replacing, unwritable
from gpustack.io.dng import encode_dng
from gpustack.io.encode import BIGTIFF_BYTES, STRIP_ROWS, encode_exr, encode_jpeg, encode_png, encode_tiff
from gpustack.io.icc import fitting_profile, linear_gamut
from gpustack.io.jxl_writing import coding_for, encode_jxl
from gpustack.io.metadata import Metadata, described
from gpustack.model.frame import PixelType

OUTPUT_ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
STACK_ENDINGS = (*OUTPUT_ENDINGS, ".jxl", ".dng", ".exr")
FLOAT_ENDINGS = (".tif", ".tiff", ".jxl", ".exr")
PLANE_ENDINGS = (".tif", ".tiff", ".png")

JPEG_SIDE = 65_500
"""Pixels a side may have in a JPEG; the format ends at 65,535, every common encoder here."""


def check_output(path: Path, overwrite: bool, endings: Sequence[str] = OUTPUT_ENDINGS) -> None:
    """Refuse, before any work, a name that could not be written.

    Raises UsageError for an ending that is not one of `endings`, and for OpenEXR without its library;
    WriteError for a folder that is missing or may not be written, for the name of a folder, and for an
    existing file without `overwrite`.
    """
    if path.suffix.lower() not in endings:
        raise UsageError(f"The format of {path.name} is not known.", f"End the name in {_listed(endings)}.")
    if path.suffix.lower() == ".exr":
        exr.writer()
    try:
        _check_place(path, overwrite)
    except OSError as error:
        raise unwritable(path, error) from error


def write_picture(
    path: Path,
    pixels: npt.NDArray[Any],
    metadata: Metadata,
    *,
    overwrite: bool,
    software: str,
    quality: int = 95,
) -> None:
    """Write (h, w, c) uint8, uint16 or float32 pixels, c 1 to 4 and upright, as JPEG, PNG, TIFF, JPEG XL or,
    where they are linear floats, OpenEXR; those that are linear camera RGB, as `metadata.sensor` tells, as
    DNG.

    JPEG is 8 bit, 4:4:4, without alpha; PNG keeps 8 or 16 bit; TIFF and JPEG XL keep all three. EXIF is
    carried over with the size, orientation 1 and `software`; a profile of another colour model than the
    pixels is dropped.
    Raises what `check_output` raises; UsageError for pixels that the format cannot hold; WriteError, the old
    file untouched and no new one left, when writing fails.
    """
    check_output(path, overwrite, STACK_ENDINGS)
    ending = path.suffix.lower()
    _refuse_unfit(path, pixels, metadata)
    metadata = replace(metadata, icc=fitting_profile(metadata.icc, pixels.shape[2]))
    with replacing(path, overwrite=overwrite) as file:
        if ending in (".jpg", ".jpeg"):
            encode_jpeg(file, pixels, metadata, software, quality)
        elif ending == ".png":
            encode_png(file, pixels, metadata, software)
        elif ending == ".jxl":
            coding = coding_for(path, metadata.icc, gray=pixels.shape[2] < 3)
            encode_jxl(file, pixels, metadata, software, coding)
        elif ending == ".exr":
            encode_exr(file, pixels, metadata, software)
        elif ending == ".dng":
            encode_dng(file, pixels, metadata, software)
        else:
            encode_tiff(file, pixels, metadata, software)


def write_plane(
    path: Path,
    plane: npt.NDArray[np.float32],
    *,
    top: float,
    overwrite: bool,
    software: str,
    description: str,
) -> None:
    """Write a (h, w) float32 plane: depth in frame units, 0 to `top`, or confidence, where `top` is 1.

    TIFF keeps the values; PNG holds round(value * 65535 / top) in 16 bits, values beyond the range cut. The
    `description` becomes the ImageDescription. Raises as `write_picture` does.
    """
    check_output(path, overwrite, PLANE_ENDINGS)
    metadata = described(Metadata(), description)
    with replacing(path, overwrite=overwrite) as file:
        if path.suffix.lower() == ".png":
            encode_png(file, _sixteen_bit(plane, top)[..., None], metadata, software)
        else:
            encode_tiff(file, plane[..., None], metadata, software)


def oriented(pixels: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Stored pixels, (h, w) or (h, w, c), as they are to be seen: a view, turned by orientation 1 to 8."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    flip_rows, flip_columns = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


def _check_place(path: Path, overwrite: bool) -> None:
    """Refuse a folder that is missing or locked, and a name that is taken."""
    if not path.parent.exists():
        raise WriteError(f"The folder {path.parent} does not exist.", "Create it, or choose another one.")
    if path.is_dir() or not path.parent.is_dir():
        folder, file = (path, "file") if path.is_dir() else (path.parent, "folder")
        raise WriteError(f"{folder} is not a {file}.", "Choose another name.")
    if path.exists() and not overwrite:
        raise existing(path)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise WriteError(f"Files may not be written in {path.parent}.", "Choose another folder.")


def _refuse_unfit(path: Path, pixels: npt.NDArray[Any], metadata: Metadata) -> None:
    """Refuse pixels that the format of `path` cannot hold."""
    ending = path.suffix.lower()
    if (ending == ".dng") is not (metadata.sensor is not None):
        if ending == ".dng":
            raise UsageError(
                f"{path.name} would need linear pixels, and these are developed.",
                "Stack RAW frames with linear=True, or write to .tif.",
            )
        raise UsageError(
            f"{path.name} cannot tell the colours of linear camera RGB.",
            "Write to .dng, or stack with linear=False.",
        )
    if ending == ".dng" and pixels.nbytes > BIGTIFF_BYTES:
        raise UsageError(f"{path.name} would be too large for a DNG file.", "Write to .tif.")
    if ending == ".exr":
        refuse_coded(path, PixelType(pixels.dtype.name), metadata.icc)
    if ending == ".dng" or ending in FLOAT_ENDINGS:
        return
    if pixels.dtype == np.float32:
        raise UsageError(f"{path.name} cannot hold floating point pixels.", "Write to .tif.")
    longest = max(pixels.shape[:2])
    if ending != ".png" and longest > JPEG_SIDE:
        problem = f"{path.name} cannot hold {longest} pixels in a row or column, a JPEG ends at {JPEG_SIDE}."
        raise UsageError(problem, "Write to .tif or .png.")


def refuse_coded(path: Path, kind: PixelType, icc: bytes | None) -> None:
    """Raise UsageError for pixels that are no light as OpenEXR has it: whole numbers, and coded values."""
    if kind is not PixelType.FLOAT32 or (icc is not None and linear_gamut(icc) is None):
        raise UsageError(
            f"{path.name} is for linear floating point pixels, and these are coded.", "Write to .tif."
        )


def _sixteen_bit(plane: npt.NDArray[np.float32], top: float) -> npt.NDArray[np.uint16]:
    """0 to `top` as 0 to 65535; all 0 where `top` is 0, as in the depth of a single frame."""
    out = np.zeros(plane.shape, np.uint16)
    for start in range(0, len(out) if top > 0 else 0, STRIP_ROWS):
        strip = plane[start : start + STRIP_ROWS].astype(np.float64) * (65535 / top)
        out[start : start + STRIP_ROWS] = np.rint(strip.clip(0, 65535))
    return out


def _listed(endings: Sequence[str]) -> str:
    """The endings as a sentence has them."""
    return f"{', '.join(endings[:-1])} or {endings[-1]}"
