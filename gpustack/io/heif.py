"""HEIF pictures: HEIC through libheif (pi-heif, the extra `heif`), AVIF through libavif (imagecodecs).

What the files say comes from their boxes, `heif_items`, before a decoder sees them. Samples of 10 and 12
bits become 16 bits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt

from gpustack.errors import DecodeError
from gpustack.io import cicp
from gpustack.io.extras import library
from gpustack.io.guard import EXPORT_AGAIN, check_size
from gpustack.io.heif_items import Items
from gpustack.io.samples import unassociated, widened
from gpustack.io.told import Told
from gpustack.model.frame import Frame, Kind, PixelType

HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis"})
AVIF_BRANDS = frozenset({b"avif"})
SEQUENCE_BRANDS = frozenset({b"avis", b"hevc", b"hevx", b"msf1"})

Pixels = npt.NDArray[Any]


def probe_heic(path: Path) -> tuple[Frame, ...]:
    """Describe the main picture of a HEIC file; no pixel data are read.

    libheif turns and crops as the file asks for, so the frame is upright. Raises: DecodeError for damaged
    files, sizes beyond the bounds, and where pi-heif is not installed.
    """
    opened = _opened(path)
    width, height = opened.size
    kind = _pixel_type(opened.info["bit_depth"])
    return (Frame(path, width, height, len(_letters(opened)), kind, Kind.HEIC),)


def decode_heic(frame: Frame) -> Pixels:
    """The pixels, (h, w, c) uint8 or uint16, upright. Raises: DecodeError for damaged data."""
    opened = _opened(frame.path)
    pixels = _channels(np.array(opened))  # a copy: the library's own memory goes with the opened file
    if pixels.dtype == np.uint16:
        pixels = widened(pixels, opened.info["bit_depth"])
    return unassociated(pixels) if _letters(opened).endswith("a") else pixels


def probe_avif(path: Path) -> tuple[Frame, ...]:
    """Describe the main picture of an AVIF file; no pixel data are read.

    Raises: DecodeError for damaged files, sizes beyond the bounds, and pictures that are cut out of others.
    """
    items = _items(path)
    if items.cropped:
        raise DecodeError(path.name, "it shows a part of its picture only.", EXPORT_AGAIN)
    width, height = items.size
    channels = (1 if items.gray else 3) + items.alpha
    kind = _pixel_type(items.bits)
    return (Frame(path, width, height, channels, kind, Kind.AVIF, orientation=items.orientation),)


def decode_avif(frame: Frame) -> Pixels:
    """The pixels, (h, w, c) uint8 or uint16, not rotated. Raises: DecodeError for damaged data."""
    items = _items(frame.path)
    pixels = _channels(imagecodecs.avif_decode(frame.path.read_bytes(), numthreads=1))
    if pixels.dtype == np.uint16:
        pixels = widened(pixels, items.bits)
    return unassociated(np.array(pixels)) if items.premultiplied else pixels


def told(frame: Frame) -> Told:
    """Profile, EXIF and XMP; a colour that is told by code points becomes a profile."""
    with frame.path.open("rb") as file:
        items = Items(file, frame.name)
        found = items.told(file)
    if found.icc is not None or items.colour is None:
        return found
    return Told(cicp.profile(*items.colour, gray=frame.channels < 3), found.exif, found.xmp)


def _items(path: Path) -> Items:
    """The items of a file whose main picture has a size that is read."""
    with path.open("rb") as file:
        items = Items(file, path.name)
        check_size(path.name, *items.size)
        return items


def _opened(path: Path) -> Any:
    """The file as libheif has it: headers are read, pixels are when they are asked for."""
    heif = library("pi_heif", "heif", path.name, "HEIC pictures")
    data = _items(path).without_notes(path.read_bytes())
    return heif.open_heif(data, convert_hdr_to_8bit=False, hdr_to_16bit=False)


def _letters(opened: Any) -> str:
    """One letter for each channel: L or I is gray, A alpha, a alpha that colours were multiplied with."""
    return str(opened.mode).split(";")[0]


def _pixel_type(bits: int) -> PixelType:
    return PixelType.UINT8 if bits <= 8 else PixelType.UINT16


def _channels(pixels: Pixels) -> Pixels:
    return pixels[..., None] if pixels.ndim == 2 else pixels
