"""A small copy of a large picture inside its own TIFF file, so that viewers have something to show at once.

It is a reduced-resolution image in a SubIFD (TIFF Technical Note 1; TIFF 6.0, NewSubfileType): readers of the
pages do not come by it. A picture of 100 megapixels in 16 bits takes seconds to unpack, its overview some
hundredths.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg
from tifffile import TiffFile, TiffWriter

from gpustack.model.frame import Frame

Pixels = npt.NDArray[Any]

FROM_PIXELS = 16_000_000
"""Smaller pictures are unpacked as fast as one would want."""

LONGEST = 4096
"""Pixels of its longer side, at most: the picture halved until it is no longer than that."""

QUALITY = 90
_REDUCED = 1
_ROWS = 32
_NOTHING = (0, 0), (0, 0), (0, 0)


def steps_of(width: int, height: int) -> int:
    """How many times the overview of a picture is halved; 0: there is none."""
    steps = 0
    while width * height >= FROM_PIXELS and max(width, height) > LONGEST << steps:
        steps += 1
    return steps


def overview_of(pixels: Pixels) -> npt.NDArray[np.uint8] | None:
    """The overview of (h, w, c) uint8 or uint16 pixels: means over squares, those at the edge of what there
    is, (ceil(h / 2^n), ceil(w / 2^n), 1 or 3) without alpha, in the picture's own colours; None where the
    picture is small, or of floats."""
    height, width, channels = pixels.shape
    by = 1 << steps_of(width, height)
    if by == 1 or pixels.dtype.kind != "u":
        return None
    colours, wide = 3 if channels > 2 else 1, -(-width // by)
    out = np.empty((-(-height // by), wide, colours), np.uint8)
    for first in range(0, len(out), _ROWS):
        lines = pixels[first * by : (first + _ROWS) * by, :, :colours]
        missing = (0, -len(lines) % by), (0, wide * by - width), (0, 0)
        whole = np.pad(lines, missing, mode="edge") if missing != _NOTHING else np.ascontiguousarray(lines)
        mean = cv2.resize(whole, (wide, len(whole) // by), interpolation=cv2.INTER_AREA)
        shallow = mean if mean.dtype == np.uint8 else cv2.convertScaleAbs(mean, alpha=1 / 257)
        out[first : first + _ROWS] = shallow.reshape(-1, wide, colours)
    return out


def write_overview(tiff: TiffWriter, small: npt.NDArray[np.uint8]) -> None:
    """Write one into the SubIFD that the page before was written for."""
    gray = small.shape[2] == 1
    coded = simplejpeg.encode_jpeg(
        small,
        QUALITY,
        colorspace="GRAY" if gray else "RGB",
        colorsubsampling="Gray" if gray else "444",
    )
    tiff.write(
        iter([coded]),
        shape=small.shape[:2] if gray else small.shape,
        dtype=np.uint8,
        photometric="minisblack" if gray else "ycbcr",
        subsampling=None if gray else (1, 1),
        compression="jpeg",
        rowsperstrip=small.shape[0],
        subfiletype=_REDUCED,
        software=False,
        metadata=None,
    )


def read_overview(frame: Frame) -> npt.NDArray[np.uint8] | None:
    """The overview in the file of a page, as `overview_of` made it; None where there is none that fits."""
    try:
        with TiffFile(frame.path) as tif:
            page = tif.pages[0 if len(tif.pages) == 1 else frame.page].aspage()
            if page.pages is None or len(page.pages) != 1:
                return None
            found = page.pages[0].aspage()
            by = 1 << steps_of(frame.width, frame.height)
            size = -(-frame.width // by), -(-frame.height // by)
            if not found.subfiletype & _REDUCED or (found.imagewidth, found.imagelength) != size:
                return None
            (start,), (count,) = found.dataoffsets, found.databytecounts
            tif.filehandle.seek(start)
            space = "RGB" if frame.channels > 2 else "GRAY"
            small = simplejpeg.decode_jpeg(tif.filehandle.read(count), colorspace=space, strict=True)
    except Exception:  # it is nothing that anybody would miss
        return None
    return np.asarray(small, np.uint8) if small.shape[1::-1] == size else None
