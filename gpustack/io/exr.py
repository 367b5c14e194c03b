"""OpenEXR pictures, floating point and linear, through the format's own library (the extra `exr`).

Samples of 16 bits become 32. Colours that are multiplied with their transparency, as the format has them,
are divided by it again on the way in, and multiplied on the way out.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from gpustack.errors import DecodeError, UsageError
from gpustack.io import cicp
from gpustack.io.cicp import Gamut
from gpustack.io.exr_notes import exif_of, resolution_of
from gpustack.io.extras import installing, library
from gpustack.io.guard import EXPORT_AGAIN, check_size
from gpustack.io.samples import unassociated
from gpustack.io.told import Told
from gpustack.model.frame import Frame, Kind, PixelType

MARK = b"v/1\x01"
_CHANNELS = (("Y",), ("Y", "A"), ("R", "G", "B"), ("R", "G", "B", "A"))
_FLAT = ("scanlineimage", "tiledimage")

Pixels = npt.NDArray[Any]


def probe(path: Path) -> tuple[Frame, ...]:
    """Describe an OpenEXR file by its header.

    Raises: DecodeError for damaged files, sizes beyond the bounds, several parts, deep pictures, channels
    other than gray or RGB and alpha, and where OpenEXR is not installed.
    """
    opened = _opened(path, header_only=True)
    header = opened.header()
    (left, top), (right, bottom) = (corner.tolist() for corner in header["dataWindow"])
    check_size(path.name, right - left + 1, bottom - top + 1)
    if len(opened.parts) > 1:
        raise DecodeError(path.name, "it holds several pictures.", "Export the parts as separate files.")
    if header["type"].name not in _FLAT:
        raise DecodeError(path.name, "it is a deep picture.", "Flatten it first.")
    names = _names(header, path.name)
    size = right - left + 1, bottom - top + 1
    return (Frame(path, *size, len(names), PixelType.FLOAT32, Kind.EXR),)


def decode(frame: Frame) -> Pixels:
    """The pixels, (h, w, c) float32, linear. Raises: DecodeError for damaged data."""
    opened = _opened(frame.path, header_only=False)
    names = _names(opened.header(), frame.name)
    planes = {name: channel.pixels for name, channel in opened.channels().items()}
    whole = planes.get("".join(names))
    pixels = np.stack([planes[name] for name in names], axis=-1) if whole is None else whole
    if pixels.dtype.kind != "f":
        raise DecodeError(frame.name, "it holds whole numbers, not light.", EXPORT_AGAIN)
    pixels = pixels.reshape(frame.height, frame.width, -1).astype(np.float32, copy=False)
    return unassociated(pixels) if frame.channels in (2, 4) else pixels


def told(frame: Frame) -> Told:
    """A linear profile of the chromaticities (those of sRGB where none are stated, as the format has it),
    camera, exposure and resolution."""
    header = _opened(frame.path, header_only=True).header()
    icc = cicp.coded(gamut_of(header), cicp.LINEAR, gray=frame.channels < 3)
    return Told(icc, exif_of(header), resolution=resolution_of(header))


def gamut_of(header: dict[str, Any]) -> Gamut:
    """The chromaticities in a header."""
    stated = header.get("chromaticities")
    if stated is None:
        return cicp.GAMUTS[cicp.SRGB_PRIMARIES]
    red, green, blue, white = ((float(stated[at]), float(stated[at + 1])) for at in range(0, 8, 2))
    return Gamut(white, red, green, blue)


def writer() -> Any:
    """The library that writes. Raises: UsageError where it is not installed."""
    try:
        import OpenEXR
    except ImportError as error:
        raise UsageError(
            "OpenEXR files need a library that is not installed.", f"{installing('exr')}, or write to .tif."
        ) from error
    return OpenEXR


def encode_planes(file: BinaryIO, planes: dict[str, Pixels], header: dict[str, Any]) -> None:
    """Write channels (h, w) by their names, and what else the header is to hold.

    The library writes to paths alone. Raises: as `writer` does.
    """
    exr = writer()
    head = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage, **header}
    channels = {name: np.ascontiguousarray(plane) for name, plane in planes.items()}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "picture.exr"
        exr.File(head, channels).write(str(path))
        file.write(path.read_bytes())


def _opened(path: Path, *, header_only: bool) -> Any:
    return library("OpenEXR", "exr", path.name, "OpenEXR pictures").File(str(path), header_only=header_only)


def _names(header: dict[str, Any], name: str) -> tuple[str, ...]:
    """The names of the channels, colours first. Raises: DecodeError for other ones."""
    found = {channel.name for channel in header["channels"]}
    names = next((wanted for wanted in _CHANNELS if set(wanted) == found), None)
    if names is None:
        listed = ", ".join(sorted(found)[:6])
        raise DecodeError(name, f"its channels are {listed}.", "Export it with R, G and B, or with Y, alone.")
    if any(channel.xSampling != 1 or channel.ySampling != 1 for channel in header["channels"]):
        raise DecodeError(name, "its colours are coarser than its light.", EXPORT_AGAIN)
    return names
