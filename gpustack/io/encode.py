"""Pixels and metadata to the bytes of a JPEG, PNG, TIFF or OpenEXR file, at the file's present end.

Pixels are (h, w, c), upright, with c 1 (gray), 2 (gray and alpha), 3 (RGB) or 4 (RGB and alpha).
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import replace
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
import numpy.typing as npt
import simplejpeg
import tifffile

from gpustack.io.deflating import level_for
from gpustack.io.exif import Exif, append, rebuild, renewed
from gpustack.io.exr import encode_planes
from gpustack.io.exr_notes import header_of
from gpustack.io.headers import CM_PER_INCH, XMP_KEYWORD, XMP_MARK, XMP_TAG
from gpustack.io.icc import linear_gamut
from gpustack.io.ifd import Entry
from gpustack.io.metadata import Metadata
from gpustack.io.overview import overview_of, write_overview
from gpustack.io.xmp import renewed as renewed_xmp

Pixels = npt.NDArray[Any]

BIGTIFF_BYTES = 3_900_000_000
"""Bytes of pixels beyond which a TIFF is a BigTIFF, which fewer programs read: classic TIFF ends at 4 GiB."""

TILE = 512
STRIP_ROWS = 256
_MOST_PACKERS, _TILES_AHEAD = 8, 4
"""Threads that pack tiles, at most, and how many tiles each packs before they are written: no disk writes as
fast as so many pack, and of RGB of 16 bits these tiles are 48 MiB."""
_BYTE = 1  # the TIFF type

_APP1_EXIF = b"Exif\0\0"
_ICC_PIECE = 65_519
"""Bytes of a profile in one APP2 segment: 65,535 less its length field, the mark, and the two counters."""


def encode_jpeg(file: BinaryIO, pixels: Pixels, metadata: Metadata, software: str, quality: int) -> None:
    """Write uint8 or uint16 pixels as 8-bit JPEG without chroma subsampling; alpha is left out."""
    height, width = pixels.shape[:2]
    coded = eight_bit(pixels)
    gray = coded.shape[2] == 1
    data = simplejpeg.encode_jpeg(
        coded, quality, colorspace="GRAY" if gray else "RGB", colorsubsampling="Gray" if gray else "444"
    )
    file.write(b"\xff\xd8" + _segment(0xE0, _jfif(metadata.resolution)))
    file.write(_segment(0xE1, _APP1_EXIF + rebuild(metadata.exif or Exif(), width, height, software)))
    packet = renewed_xmp(metadata.xmp, software, metadata.history)
    if packet:
        file.write(_segment(0xE1, XMP_MARK + packet))
    icc = metadata.icc or b""
    pieces = [icc[at : at + _ICC_PIECE] for at in range(0, len(icc), _ICC_PIECE)]
    for number, piece in enumerate(pieces, 1):
        file.write(_segment(0xE2, b"ICC_PROFILE\0" + bytes([number, len(pieces)]) + piece))
    # The encoder's own JFIF segment follows its first marker; ours, with the density, has taken its place.
    file.write(memoryview(data)[4 + int.from_bytes(data[4:6], "big") :])


def encode_png(file: BinaryIO, pixels: Pixels, metadata: Metadata, software: str) -> None:
    """Write uint8 or uint16 pixels as PNG of the same depth."""
    height, width, channels = pixels.shape
    # Level 1, runs only, difference to the left: a quarter of the usual time for 5 % more bytes.
    data = imagecodecs.png_encode(
        np.ascontiguousarray(pixels[..., 0] if channels == 1 else pixels), level=1, strategy=3, filter=16
    )
    file.write(data[:33])  # signature and IHDR, behind which all chunks of metadata may stand
    if metadata.icc:
        file.write(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.resolution:
        per_metre = (min(round(value * 100 / CM_PER_INCH), 2**31 - 1) for value in metadata.resolution)
        file.write(_chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1)))
    file.write(_chunk(b"eXIf", rebuild(metadata.exif or Exif(), width, height, software)))
    packet = renewed_xmp(metadata.xmp, software, metadata.history)
    if packet:
        file.write(_chunk(b"iTXt", XMP_KEYWORD + bytes(4) + packet))
    file.write(memoryview(data)[33:])


def encode_tiff(
    file: BinaryIO, pixels: Pixels, metadata: Metadata, software: str, *, big: bool = False
) -> None:
    """Write uint8, uint16 or float32 pixels as TIFF: deflate with predictor, tiles, alpha unassociated; large
    ones with an overview.

    `file` must be empty and open for reading and writing. `big`: as BigTIFF, as more will follow.
    """
    height, width, channels = pixels.shape
    small, workers = overview_of(pixels), min(os.cpu_count() or 1, _MOST_PACKERS)
    with tifffile.TiffWriter(file, bigtiff=big or pixels.nbytes > BIGTIFF_BYTES, byteorder="<") as tiff:
        tiff.write(
            pixels[..., 0] if channels == 1 else pixels,
            photometric="rgb" if channels > 2 else "minisblack",
            planarconfig=None if channels == 1 else "contig",
            extrasamples=["unassalpha"] if channels in (2, 4) else None,
            compression="adobe_deflate",
            compressionargs={"level": level_for(pixels)},
            predictor=True,
            tile=(TILE, TILE),
            iccprofile=metadata.icc,
            resolution=metadata.resolution or (1.0, 1.0),
            resolutionunit="inch" if metadata.resolution else "none",
            software=software,
            metadata=None,
            subifds=0 if small is None else 1,
            maxworkers=workers,
            buffersize=_TILES_AHEAD * workers * TILE * TILE * channels * pixels.itemsize,
        )
        if small is not None:
            write_overview(tiff, small)
    exif = renewed(metadata.exif or Exif(), width, height, software)
    packet = renewed_xmp(metadata.xmp, software, metadata.history)
    if packet:
        exif = replace(exif, main=(*exif.main, Entry(XMP_TAG, _BYTE, packet)))
    append(file, exif)


def encode_exr(file: BinaryIO, pixels: Pixels, metadata: Metadata, software: str) -> None:
    """Write float32 pixels of linear light as OpenEXR with 32 bits; colours are multiplied with alpha.

    The profile becomes chromaticities; of EXIF only what the format has attributes for is kept.
    Raises: UsageError where OpenEXR is not installed.
    """
    names = {1: "Y", 2: "YA", 3: "RGB", 4: "RGBA"}[pixels.shape[2]]
    if "A" in names:
        pixels = np.concatenate([pixels[..., :-1] * pixels[..., -1:], pixels[..., -1:]], axis=-1)
    header = header_of(metadata.exif, metadata.resolution, software, metadata.history)
    gamut = linear_gamut(metadata.icc) if metadata.icc else None
    if gamut is not None and len(names) > 2:
        header["chromaticities"] = (*gamut.red, *gamut.green, *gamut.blue, *gamut.white)
    encode_planes(file, {name: pixels[..., index] for index, name in enumerate(names)}, header)


def eight_bit(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """The gray or RGB part of uint8 or uint16 pixels as uint8, rounded to nearest, contiguous."""
    colour = pixels[..., : 3 if pixels.shape[2] > 2 else 1]
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(colour)
    out = np.empty(colour.shape, np.uint8)
    for top in range(0, len(out), STRIP_ROWS):
        strip = colour[top : top + STRIP_ROWS].astype(np.uint32)
        # 65535 / 255 is 257, an odd number: there are no ties.
        out[top : top + STRIP_ROWS] = (strip + 128) // 257
    return out


def _segment(marker: int, body: bytes) -> bytes:
    """One JPEG marker segment (ITU T.81, B.1.1.4)."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _jfif(resolution: tuple[float, float] | None) -> bytes:
    """The body of an APP0 segment (JFIF 1.02): density per inch, or square pixels of no size."""
    unit, (x, y) = (1, resolution) if resolution else (0, (1.0, 1.0))
    return b"JFIF\0" + struct.pack(
        ">HBHHBB", 0x102, unit, *(min(max(round(v), 1), 65535) for v in (x, y)), 0, 0
    )


def _chunk(name: bytes, body: bytes) -> bytes:
    """One PNG chunk (PNG, third edition, 5.3)."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
