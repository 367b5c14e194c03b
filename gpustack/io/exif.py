"""EXIF blocks: read from any file that holds one, written anew for the picture they go into.

Source: CIPA DC-008 (Exif 2.32). What describes the old file rather than the picture is left behind:
thumbnail, size, orientation, and what breaks when it is moved (maker note, interoperability directory).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from io import BytesIO
from typing import BinaryIO

from gpustack.io.ifd import Directory, Elsewhere, Entry, Header, lay_out, read_directory, read_header

BLOCK_LIMIT = 65_527
"""Bytes of the longest block that one JPEG segment takes (65,535 less its length field and the Exif mark)."""

_ORIENTATION, _SOFTWARE, _EXIF_IFD, _GPS_IFD = 274, 305, 34665, 34853
_EXIF_VERSION, _PIXEL_X, _PIXEL_Y = 36864, 40962, 40963
_SHORT, _LONG, _UNDEFINED, _IFD, _IFD8 = 3, 4, 7, 13, 18
_TEXT = (2, 129)
_FIELD_TYPES = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 129}

# IFD0 of a TIFF or RAW file mostly describes how its pixels lie; only these tags describe the picture.
_DESCRIPTIVE: dict[int, tuple[int, ...]] = {
    269: _TEXT,  # DocumentName
    270: _TEXT,  # ImageDescription
    271: _TEXT,  # Make
    272: _TEXT,  # Model
    282: (5,),  # XResolution
    283: (5,),  # YResolution
    296: (_SHORT,),  # ResolutionUnit
    _SOFTWARE: _TEXT,
    306: _TEXT,  # DateTime
    315: _TEXT,  # Artist
    316: _TEXT,  # HostComputer
    318: (5,),  # WhitePoint
    319: (5,),  # PrimaryChromaticities
    0x4746: (_SHORT,),  # Rating
    0x4749: (_SHORT,),  # RatingPercent
    33432: _TEXT,  # Copyright
    **{tag: (1,) for tag in range(0x9C9B, 0x9CA0)},  # XPTitle, XPComment, XPAuthor, XPKeywords, XPSubject
}
# A description that tells TIFF readers how to arrange the pages of its own file (OME, ImageJ, tifffile).
_PAGE_LAYOUTS = (b"<?xml", b"<OME", b"ImageJ=", b'{"shape"')
# Maker note, interoperability and GPS pointers (offsets), Microsoft's padding and offset note.
_UNMOVABLE = {37500, 40965, _EXIF_IFD, _GPS_IFD, 59932, 59933}
# OECF, spatial frequency response, CFA pattern, device settings: bytes by type, file-order integers inside.
_ORDER_BOUND = {34856, 41484, 41730, 41995}


# WhitePoint, PrimaryChromaticities, ColorSpace, Gamma.
_COLOUR = {318, 319, 40961, 42240}


@dataclass(frozen=True, slots=True)
class Exif:
    """What a file says about its picture, by directory: IFD0, Exif and GPS; values are little-endian."""

    main: tuple[Entry, ...] = ()
    photo: tuple[Entry, ...] = ()
    gps: tuple[Entry, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.main or self.photo or self.gps)


def orientation(block: bytes) -> int:
    """The orientation (1 to 8) in a block, with or without the Exif mark in front; 1 on anything broken."""
    file = BytesIO(_unmarked(block))
    header = read_header(file)
    if header is None:
        return 1
    entry = read_directory(file, header, header.first)[0].get(_ORIENTATION)
    value = entry.numbers[0] if entry else 1
    return value if 1 <= value <= 8 else 1


def parse(block: bytes) -> Exif:
    """Read an EXIF block of either byte order; what is broken is left out, down to an empty `Exif`."""
    file = BytesIO(_unmarked(block))
    header = read_header(file)
    return read_exif(file, header, read_directory(file, header, header.first)[0]) if header else Exif()


def read_exif(file: BinaryIO, header: Header, main: Directory) -> Exif:
    """Sift `main`, a directory of `file` (block, TIFF, RAW), and the Exif and GPS directories it names."""
    photo = (e for e in _pointed(file, header, main.get(_EXIF_IFD)) if e.tag not in _UNMOVABLE)
    return Exif(
        main=tuple(e for e in main.values() if _describes(e)),
        photo=tuple(e for e in photo if header.order == "<" or e.tag not in _ORDER_BOUND),
        gps=tuple(_pointed(file, header, main.get(_GPS_IFD))),
    )


def joined(main: bytes, photo: bytes, gps: bytes) -> Exif:
    """EXIF whose directories are blocks of their own, as in CR3 files."""
    described, taken, located = (_entries_of(block) for block in (main, photo, gps))
    return Exif(
        main=tuple(e for e in described if _describes(e)),
        photo=tuple(e for e in taken if e.type in _FIELD_TYPES and e.tag not in _UNMOVABLE),
        gps=tuple(e for e in located if e.type in _FIELD_TYPES),
    )


def without_colour(exif: Exif) -> Exif:
    """The same less the tags that name a colour space: in a RAW file they speak of the camera's own JPEG."""
    main, photo = (tuple(e for e in part if e.tag not in _COLOUR) for part in (exif.main, exif.photo))
    return replace(exif, main=main, photo=photo)


def renewed(exif: Exif, width: int, height: int, software: str) -> Exif:
    """The same for an upright picture of `width` x `height` pixels that `software` wrote."""
    version = [e for e in exif.photo if e.tag == _EXIF_VERSION] or [Entry(_EXIF_VERSION, _UNDEFINED, b"0232")]
    size = [
        Entry(tag, _LONG, struct.pack("<I", side)) for tag, side in ((_PIXEL_X, width), (_PIXEL_Y, height))
    ]
    upright = Entry(_ORIENTATION, _SHORT, struct.pack("<H", 1))
    author = Entry(_SOFTWARE, 2, software.encode("ascii", "replace") + b"\0")
    return Exif(
        main=_with(exif.main, [upright, author]), photo=_with(exif.photo, version + size), gps=exif.gps
    )


def rebuild(exif: Exif, width: int, height: int, software: str) -> bytes:
    """A little-endian block for an upright picture of `width` x `height` pixels, at most `BLOCK_LIMIT` bytes.

    Where it would be longer, the longest values are left out.
    """
    exif = renewed(exif, width, height, software)
    while len(block := struct.pack("<2sHI", b"II", 42, 8) + _directories(exif, 8)) > BLOCK_LIMIT:
        exif = _without_longest(exif)
    return block


def append(file: BinaryIO, exif: Exif) -> None:
    """Add `exif` to a little-endian TIFF or BigTIFF of one page, open for update; tags it has are kept.

    The directories go to the end of the file, then the header is pointed at the new IFD0.
    """
    header, own = _first_directory(file)
    # Pointers to SubIFDs have had a type of their own since 1995, which DNG readers need not know.
    own = {tag: replace(entry, type=_LONG) if entry.type == _IFD else entry for tag, entry in own.items()}
    added = tuple(entry for entry in exif.main if entry.tag not in own)
    whole = replace(exif, main=(*own.values(), *added))
    _at_end(file, header, lambda start: _directories(whole, start, big=header.big))


def point(file: BinaryIO, entry: Elsewhere) -> None:
    """Add a tag whose value lies in a little-endian TIFF or BigTIFF of one page already; as `append`."""
    header, own = _first_directory(file)
    _at_end(file, header, lambda start: lay_out((*own.values(), entry), start, big=header.big))


def _first_directory(file: BinaryIO) -> tuple[Header, Directory]:
    header = read_header(file)
    assert header is not None, "the file was just written as TIFF"
    return header, read_directory(file, header, header.first, budget=header.size)[0]


def _at_end(file: BinaryIO, header: Header, laid_out: Callable[[int], bytes]) -> None:
    """Put directories at the end of a file, laid out for an offset, and point its header at them."""
    start = -(-header.size // 8) * 8
    file.seek(header.size)
    file.write(bytes(start - header.size) + laid_out(start))
    file.seek(8 if header.big else 4)
    file.write(struct.pack("<Q" if header.big else "<I", start))
    file.seek(0, os.SEEK_END)


def _entries_of(block: bytes) -> Iterable[Entry]:
    file = BytesIO(block)
    header = read_header(file)
    return read_directory(file, header, header.first)[0].values() if header else ()


def _unmarked(block: bytes) -> bytes:
    """The block without the mark that JPEG (and some PNG writers) put in front."""
    return block.removeprefix(b"Exif\0\0")


def _pointed(file: BinaryIO, header: Header, pointer: Entry | None) -> Iterable[Entry]:
    """The entries of the directory at a pointer, of the types that Exif knows."""
    if pointer is None:
        return ()
    entries = read_directory(file, header, pointer.numbers[0])[0].values()
    return (e for e in entries if e.type in _FIELD_TYPES)


def _describes(entry: Entry) -> bool:
    """Whether an entry of IFD0 describes the picture, in a type that readers expect."""
    return entry.type in _DESCRIPTIVE.get(entry.tag, ()) and not entry.data.startswith(_PAGE_LAYOUTS)


def _with(entries: Iterable[Entry], fresh: list[Entry]) -> tuple[Entry, ...]:
    """`entries` with `fresh` ones in the place of those of the same tag."""
    tags = {entry.tag for entry in fresh}
    return (*(entry for entry in entries if entry.tag not in tags), *fresh)


def _without_longest(exif: Exif) -> Exif:
    longest = max((*exif.main, *exif.photo, *exif.gps), key=lambda entry: len(entry.data))
    main, photo, gps = (
        tuple(e for e in part if e is not longest) for part in (exif.main, exif.photo, exif.gps)
    )
    return Exif(main, photo, gps)


def _directories(exif: Exif, offset: int, *, big: bool = False) -> bytes:
    """IFD0, the Exif and the GPS directory, laid out one after the other from the absolute `offset` on."""
    kind, code = (_IFD8, "<Q") if big else (_LONG, "<I")
    parts = [(tag, part) for tag, part in ((_EXIF_IFD, exif.photo), (_GPS_IFD, exif.gps)) if part]
    pointers = [Entry(tag, kind, struct.pack(code, 0)) for tag, _ in parts]
    at = offset + len(lay_out((*exif.main, *pointers), offset, big=big))
    tail = b""
    for number, (tag, part) in enumerate(parts):
        pointers[number] = Entry(tag, kind, struct.pack(code, at + len(tail)))
        tail += lay_out(part, at + len(tail), big=big)
    return lay_out((*exif.main, *pointers), offset, big=big) + tail
