"""What the headers of JPEG, PNG and TIFF files tell: profile, EXIF, resolution, XMP.

What cannot be read is missing from the result, and nothing here is an error.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import BinaryIO

from gpustack.io.exif import Exif, parse, read_exif
from gpustack.io.ifd import Directory, Entry, Header, read_directory, read_header
from gpustack.io.told import Told

PROFILE_LIMIT = 8 << 20
"""Bytes of the largest ICC profile that is read; those of printers, the largest, have about three million."""

CM_PER_INCH = 2.54

XMP_MARK, XMP_KEYWORD, XMP_TAG = b"http://ns.adobe.com/xap/1.0/\0", b"XML:com.adobe.xmp\0", 700
"""How an XMP packet is marked in JPEG, PNG and TIFF (Adobe's XMP specification, part 3)."""

# No camera, scanner or editor comes near these; they keep a file made of markers only from taking minutes.
_MOST_SEGMENTS, _MOST_CHUNKS = 4096, 200_000
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _ICC = 282, 283, 296, 34675


def of_jpeg(file: BinaryIO) -> Told:
    """APP0 JFIF density, the first readable Exif in APP1, and the profile in APP2."""
    exif, density = Exif(), None
    profile: dict[int, bytes] = {}
    pieces, packet = 0, None
    for marker, body in _segments(file):
        if marker == 0xE0 and body[:5] == b"JFIF\0":
            density = density or _jfif_density(body)
        elif marker == 0xE1 and body[:6] == b"Exif\0\0":
            exif = exif or parse(body)
        elif marker == 0xE1 and body.startswith(XMP_MARK):
            packet = packet or body[len(XMP_MARK) :]
        elif marker == 0xE2 and body[:12] == b"ICC_PROFILE\0" and len(body) > 14:
            pieces = body[13]
            profile.setdefault(body[12], body[14:])
    whole = bool(profile) and sorted(profile) == list(range(1, pieces + 1))
    icc = b"".join(profile[number] for number in sorted(profile)) if whole else None
    resolution = resolution_of(exif) or density
    return Told(icc, exif or None, packet, resolution)


def _segments(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Marker and body of the JPEG segments APP0 to APP2 before the first scan (ITU T.81, B.1.1)."""
    if file.read(2) != b"\xff\xd8":
        return
    for _ in range(_MOST_SEGMENTS):
        head = file.read(2)
        if head == b"\xff\xff":  # a fill byte
            file.seek(-1, 1)
            continue
        if len(head) < 2 or head[0] != 0xFF or head[1] in (0xD9, 0xDA):
            return
        size = int.from_bytes(file.read(2), "big") - 2
        if size < 0:
            return
        if head[1] in (0xE0, 0xE1, 0xE2):
            yield head[1], file.read(size)
        else:
            file.seek(size, 1)


def _jfif_density(body: bytes) -> tuple[float, float] | None:
    """Pixels per inch from an APP0 body; unit 0 is an aspect ratio, not a density (JFIF 1.02)."""
    if len(body) < 12:
        return None
    unit, x, y = struct.unpack_from(">BHH", body, 7)
    scale = {1: 1.0, 2: CM_PER_INCH}.get(unit, 0.0)
    return _positive(x * scale, y * scale)


def of_png(file: BinaryIO) -> Told:
    """Chunks eXIf, iCCP and pHYs (PNG, third edition); one whose checksum is wrong does not count."""
    found: dict[bytes, bytes] = {}
    for name, body in _chunks(file):
        if name != b"iTXt" or body.startswith(XMP_KEYWORD):  # other texts do not count
            found.setdefault(name, body)
    exif = parse(found.get(b"eXIf", b""))
    physical = found.get(b"pHYs", b"")
    metres = struct.unpack(">IIB", physical) if len(physical) == 9 else (0, 0, 0)
    inches = (
        _positive(metres[0] * CM_PER_INCH / 100, metres[1] * CM_PER_INCH / 100) if metres[2] == 1 else None
    )
    resolution = inches or resolution_of(exif)
    return Told(_inflated(found.get(b"iCCP", b"")), exif or None, _text(found.get(b"iTXt", b"")), resolution)


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Name and body of the sound chunks that carry metadata, wherever in the file they stand."""
    if file.read(8) != b"\x89PNG\r\n\x1a\n":
        return
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return
        size = int.from_bytes(head[:4], "big")
        if head[4:] not in (b"eXIf", b"iCCP", b"iTXt", b"pHYs") or size > PROFILE_LIMIT:
            file.seek(size + 4, 1)
            continue
        body = file.read(size)
        if file.read(4) == zlib.crc32(head[4:] + body).to_bytes(4, "big"):
            yield head[4:], body


def _inflated(body: bytes) -> bytes | None:
    """The profile in an iCCP chunk: a name, a zero, the method 0, then a zlib stream."""
    _, _, packed = body.partition(b"\0")
    if packed[:1] != b"\0":
        return None
    try:
        return zlib.decompressobj().decompress(packed[1:], PROFILE_LIMIT)
    except zlib.error:
        return None


def _text(body: bytes) -> bytes | None:
    """The text of an iTXt chunk (PNG, third edition, 11.3.3.4): keyword, compression, language,
    translation."""
    _, _, rest = body.partition(b"\0")
    texts = rest[2:].split(b"\0", 2)
    return _inflated(b"\0\0" + texts[2]) if rest[:1] == b"\1" and len(texts) == 3 else texts[-1] or None


def of_tiff(file: BinaryIO, page: int) -> Told:
    """The tags of the page's directory, and of the first one where the page has none."""
    header = read_header(file)
    if header is None:
        return Told()
    first, following = read_directory(file, header, header.first, PROFILE_LIMIT)
    tags = first | _page_tags(file, header, following, page)
    icc = tags.get(_ICC)
    packet = tags.get(XMP_TAG)
    exif = read_exif(file, header, tags)
    return Told(icc.data if icc else None, exif or None, packet.data if packet else None, _resolution(tags))


def _page_tags(file: BinaryIO, header: Header, offset: int, page: int) -> Directory:
    """The directory `page` steps down the chain; `offset` is that of page 1."""
    tags: Directory = {}
    for _ in range(page):
        tags, offset = read_directory(file, header, offset, PROFILE_LIMIT) if offset else ({}, 0)
    return tags


def resolution_of(exif: Exif | None) -> tuple[float, float] | None:
    """Pixels per inch (x, y) as EXIF has it; None where it does not say."""
    return None if exif is None else _resolution({entry.tag: entry for entry in exif.main})


def with_resolution(exif: Exif, resolution: tuple[float, float]) -> Exif:
    """The same with pixels per inch (x, y), for files that say it nowhere else."""
    told = [
        Entry(tag, 5, struct.pack("<II", *_fraction(value)))
        for tag, value in zip((_X_RESOLUTION, _Y_RESOLUTION), resolution, strict=True)
    ]
    told.append(Entry(_RESOLUTION_UNIT, 3, struct.pack("<H", 2)))
    tags = {entry.tag for entry in told}
    return replace(exif, main=(*(entry for entry in exif.main if entry.tag not in tags), *told))


def _fraction(value: float) -> tuple[int, int]:
    found = Fraction(value).limit_denominator(10_000)
    return min(found.numerator, 2**32 - 1), found.denominator


def _resolution(tags: Directory) -> tuple[float, float] | None:
    """Pixels per inch from TIFF tags; the unit is 1 (none), 2 (inch, also where it is missing) or 3 (cm)."""
    unit = tags.get(_RESOLUTION_UNIT)
    scale = {2: 1.0, 3: CM_PER_INCH}.get(unit.numbers[0] if unit else 2, 0.0)
    return _positive(_ratio(tags.get(_X_RESOLUTION)) * scale, _ratio(tags.get(_Y_RESOLUTION)) * scale)


def _ratio(entry: Entry | None) -> float:
    """The value of a rational tag, 0 where it is none."""
    if entry is None or entry.type != 5 or not entry.numbers[1]:
        return 0.0
    return entry.numbers[0] / entry.numbers[1]


def _positive(x: float, y: float) -> tuple[float, float] | None:
    """A resolution, if it is one."""
    return (x, y) if x > 0 and y > 0 else None
