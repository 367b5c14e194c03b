"""What RAW files tell of how they were taken: also those that are no TIFF structure.

Sources: Laurent Clévy's description of CR3 (canon_cr3); LibRaw (metadata/fuji.cpp, minolta.cpp) for RAF and
MRW. Of other formats (CRW, X3F) LibRaw is asked, which tells exposure, focal length and time.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from io import BytesIO
from typing import BinaryIO

from gpustack.errors import GpustackError
from gpustack.io import headers
from gpustack.io.boxes import Box, boxes, file_boxes
from gpustack.io.exif import Exif, joined, parse, without_colour
from gpustack.io.ifd import Entry
from gpustack.io.raw import opened
from gpustack.io.told import Told
from gpustack.model.frame import Frame

_LIMIT = 8 << 20
_CANON = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_RAF_MARK, _RAF_PREVIEW = b"FUJIFILMCCD-RAW", 84
_MRW_MARK, _MRW_EXIF = b"\0MRM", b"\0TTW"
_ASCII, _SHORT, _RATIONAL = 2, 3, 5
_NO_CLOCK = 1970
_EXPOSURE, _APERTURE, _ISO, _TAKEN, _FOCAL = 33434, 33437, 34855, 36867, 37386


def told(file: BinaryIO, frame: Frame) -> Told:
    """EXIF and XMP, without colour, which development decides."""
    head = file.read(16)
    file.seek(0)
    if head[4:11] == b"ftypcrx":
        found = _of_cr3(file)
    elif head.startswith(_RAF_MARK):
        found = _of_raf(file)
    elif head.startswith(_MRW_MARK):
        found = Told(exif=_of_mrw(file))
    else:
        found = headers.of_tiff(file, 0)
    exif = without_colour(found.exif) if found.exif else _of_libraw(frame)
    return Told(exif=exif or None, xmp=found.xmp, resolution=found.resolution)


def _of_cr3(file: BinaryIO) -> Told:
    """The three directories of EXIF are boxes of their own."""
    packet, parts = None, {b"CMT1": b"", b"CMT2": b"", b"CMT4": b""}
    for box in file_boxes(file):
        if box.kind == b"uuid" and box.read(file, 16) == _XMP:
            packet = Box(box.kind, box.start + 16, box.stop).read(file, _LIMIT).rstrip(b"\0")
        for one in _canon(file, box) if box.kind == b"moov" else ():
            if one.kind in parts:
                parts[one.kind] = one.read(file, _LIMIT)
    return Told(exif=joined(*parts.values()), xmp=packet)


def _canon(file: BinaryIO, movie: Box) -> Iterator[Box]:
    """What Canon's own box inside of `moov` holds."""
    for box in boxes(file, movie.start, movie.stop):
        if box.kind == b"uuid" and box.read(file, 16) == _CANON:
            yield from boxes(file, box.start + 16, box.stop)


def _of_raf(file: BinaryIO) -> Told:
    """Fujifilm's files hold a whole JPEG file, with all that a camera tells."""
    file.seek(_RAF_PREVIEW)
    start, length = struct.unpack(">II", file.read(8))
    file.seek(start)
    return headers.of_jpeg(BytesIO(file.read(min(length, _LIMIT))))


def _of_mrw(file: BinaryIO) -> Exif:
    """Minolta's files begin with blocks, of which one is a TIFF structure."""
    file.seek(4)
    stop = 8 + int.from_bytes(file.read(4), "big")
    while file.tell() + 8 <= stop:
        kind, length = struct.unpack(">4sI", file.read(8))
        if kind == _MRW_EXIF:
            return parse(file.read(min(length, _LIMIT)))
        file.seek(length, 1)
    return Exif()


def _of_libraw(frame: Frame) -> Exif:
    """What LibRaw tells of a file; it unpacks the sensor data for that."""
    try:
        with opened(frame.path, frame.name) as raw:
            other = raw.other
    except GpustackError:
        return Exif()
    ratios = ((_EXPOSURE, other.shutter_speed), (_APERTURE, other.aperture), (_FOCAL, other.focal_length))
    photo = [Entry(tag, _RATIONAL, _ratio(value)) for tag, value in ratios if 0 < value < 1e6]
    if 0 < other.iso_speed < 1 << 16:
        photo.append(Entry(_ISO, _SHORT, struct.pack("<H", round(other.iso_speed))))
    if other.timestamp.year > _NO_CLOCK:
        # In these formats the camera's clock counts seconds and knows no zone; rawpy adds this machine's.
        clock = datetime.fromtimestamp(other.timestamp.timestamp(), UTC)
        photo.append(Entry(_TAKEN, _ASCII, clock.strftime("%Y:%m:%d %H:%M:%S").encode() + b"\0"))
    return Exif(photo=tuple(photo))


def _ratio(value: float) -> bytes:
    near = Fraction(value if math.isfinite(value) else 0).limit_denominator(100_000)
    return struct.pack("<II", near.numerator, near.denominator)
