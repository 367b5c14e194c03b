"""Linear DNG files: the fused picture as the sensor would have seen it, for a RAW developer to finish.

Source: DNG 1.7.1.0. IFD0 holds a developed preview and what is said of the picture; its SubIFD holds linear
camera RGB, 16 bit, in tiles of lossless JPEG (ITU T.81, process 14), which every reader of DNG knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import simplejpeg
import tifffile

from gpustack.io.colour import shown
from gpustack.io.encode import eight_bit
from gpustack.io.exif import Exif, append, renewed
from gpustack.io.headers import XMP_TAG
from gpustack.io.ifd import Entry
from gpustack.io.metadata import Metadata
from gpustack.io.sensor import Sensor
from gpustack.io.xmp import renewed as renewed_xmp

Pixels = npt.NDArray[Any]

TILE = 256
PREVIEW_SIDE = 1024
"""Longer side of the preview, at most, in pixels: what file browsers show."""
PREVIEW_QUALITY = 90

_VERSION, _READABLE_FROM, _PREVIEW_SPACE = 50706, 50707, 50970
_BYTE, _SHORT, _LONG = 1, 3, 4
_SRGB = 2
_LINEAR_RAW, _JPEG = 34892, 7
_BLACK, _WHITE, _ACTIVE = 50714, 50717, 50829
# Of the ways of T.81 to predict a sample: by the one to the left. Others pack pictures smaller by 4 %, and
# RawSpeed, with which darktable reads them, knows this one alone.
_PREDICTOR = 1


def encode_dng(file: BinaryIO, pixels: Pixels, metadata: Metadata, software: str) -> None:
    """Write linear camera RGB, (h, w, 3) uint16 with the white balance of `metadata.sensor` applied.

    `file` must be empty and open for reading and writing.
    """
    sensor = metadata.sensor
    assert sensor is not None, "who writes a DNG has asked for its colours"
    height, width = pixels.shape[:2]
    small = _preview(pixels, sensor)
    with tifffile.TiffWriter(file, byteorder="<") as tiff:
        tiff.write(
            iter([simplejpeg.encode_jpeg(small, PREVIEW_QUALITY, colorsubsampling="420")]),
            shape=small.shape,
            dtype=np.uint8,
            photometric="ycbcr",
            subsampling=(2, 2),
            compression="jpeg",
            rowsperstrip=small.shape[0],  # one strip, or it is no preview to some readers
            subfiletype=1,
            subifds=1,
            resolution=metadata.resolution or (1.0, 1.0),
            resolutionunit="inch" if metadata.resolution else "none",
            software=software,
            metadata=None,
        )
        tiff.write(
            _tiles(pixels, sensor),
            shape=pixels.shape,
            dtype=np.uint16,
            photometric=_LINEAR_RAW,
            planarconfig="contig",
            compression=_JPEG,
            tile=(TILE, TILE),
            bitspersample=16,  # or those of lossy JPEG, 12, are written
            subfiletype=0,
            software=False,
            metadata=None,
            extratags=[
                (_BLACK, _SHORT, 3, (0, 0, 0), True),
                (_WHITE, _SHORT, 3, (65535, 65535, 65535), True),
                (_ACTIVE, _LONG, 4, (0, 0, height, width), True),
            ],
        )
    append(file, _told(metadata, sensor, width, height, software))


def _told(metadata: Metadata, sensor: Sensor, width: int, height: int, software: str) -> Exif:
    """What IFD0 says of the picture, and its EXIF."""
    exif = renewed(metadata.exif or Exif(), width, height, software)
    entries = [
        Entry(_VERSION, _BYTE, bytes([1, 4, 0, 0])),
        Entry(_READABLE_FROM, _BYTE, bytes([1, 1, 0, 0])),
        Entry(_PREVIEW_SPACE, _LONG, _SRGB.to_bytes(4, "little")),
        *sensor.tags,
    ]
    packet = renewed_xmp(metadata.xmp, software, metadata.history)
    if packet:
        entries.append(Entry(XMP_TAG, _BYTE, packet))
    return replace(exif, main=(*exif.main, *entries))


def _preview(pixels: Pixels, sensor: Sensor) -> npt.NDArray[np.uint8]:
    """The picture as it is to be seen, small."""
    height, width = pixels.shape[:2]
    by = max(1.0, max(height, width) / PREVIEW_SIDE)
    size = max(1, round(width / by)), max(1, round(height / by))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return eight_bit(shown(np.asarray(small, np.uint16), sensor.matrix))


def _tiles(pixels: Pixels, sensor: Sensor) -> Iterator[bytes]:
    """Tiles of the sensor's own values, coded; those at the lower and right edge repeat the last pixels."""
    per_gain = np.float32(1) / np.array(sensor.gains, np.float32)
    height, width = pixels.shape[:2]
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            tile = np.rint(pixels[top : top + TILE, left : left + TILE] * per_gain).astype(np.uint16)
            lack = [(0, TILE - tile.shape[0]), (0, TILE - tile.shape[1]), (0, 0)]
            whole = np.pad(tile, lack, mode="edge")
            coded = imagecodecs.jpeg8_encode(
                whole,
                lossless=True,
                bitspersample=16,
                colorspace="RGB",
                outcolorspace="RGB",
                predictor=_PREDICTOR,
            )
            yield bytes(coded)
