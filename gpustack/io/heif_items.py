"""What a HEIF or AVIF file says of its main picture, read from its boxes without a decoder.

Sources: ISO/IEC 23008-12 (HEIF), 6.5 and 9; ISO/IEC 14496-12, 8.11; the AV1 image file format 1.1. The
decoders are only asked once it is known that the picture is of a size that is read, and that the file is
whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import BinaryIO

from gpustack.io.boxes import Box, boxes, whole_boxes
from gpustack.io.exif import Exif, parse
from gpustack.io.guard import damaged
from gpustack.io.told import Told

META_LIMIT = 32 << 20
"""Bytes of the box `meta`: those of phones take a few kilobytes, the profile included."""

PART_LIMIT = 8 << 20
"""Bytes of an EXIF block or XMP packet."""

_ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"
_NOTES = b"cdsc"
_XMP_TYPE = b"application/rdf+xml"
# Quarter turns to the left, then mirrored top to bottom (0), left to right (1) or not at all, as EXIF has it.
_TURNS = {
    (0, None): 1, (1, None): 8, (2, None): 3, (3, None): 6,
    (0, 0): 4, (1, 0): 5, (2, 0): 2, (3, 0): 7,
    (0, 1): 2, (1, 1): 7, (2, 1): 4, (3, 1): 5,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Item:
    """An item: four letters of its kind, and the media type of those that are `mime`."""

    kind: bytes
    media: bytes


class Items:
    """The items of a file and what is said about the main one."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Raises: DecodeError for a file that is cut, or that has no main picture."""
        meta = next((box for box in whole_boxes(file, name) if box.kind == b"meta"), None)
        if meta is None:
            raise damaged(name, "it names no main picture")
        self._file = BytesIO(meta.read(file, META_LIMIT))
        self._extent = slice(meta.start, meta.stop)
        size = len(self._file.getbuffer())
        self._parts = {box.kind: box for box in boxes(self._file, 4, size)}
        self.name, self.primary = name, self._primary()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as stored. Raises: DecodeError where they are missing."""
        body = self._property(b"ispe")
        if body is None or len(body) < 12:
            raise damaged(self.name, "it does not say how large its picture is")
        return int.from_bytes(body[4:8], "big"), int.from_bytes(body[8:12], "big")

    @property
    def bits(self) -> int:
        """Bits of a sample, the most of all channels; 8 where it is not said."""
        pixi = self._property(b"pixi")
        if pixi is not None and len(pixi) > 5:
            return max(pixi[5:])
        coding = self._property(b"av1C")
        flags = 0 if coding is None or len(coding) < 3 else coding[2]
        return (12 if flags & 0x20 else 10) if flags & 0x40 else 8

    @property
    def gray(self) -> bool:
        """Whether the main picture has one channel, as far as it says so."""
        pixi, coding = self._property(b"pixi"), self._property(b"av1C")
        if coding is not None and len(coding) > 2:
            return bool(coding[2] & 0x10)
        return pixi is not None and len(pixi) > 4 and pixi[4] == 1

    @property
    def alpha(self) -> bool:
        """Whether another item holds the transparency of the main picture."""
        aids = (number for number, to in self._references(b"auxl") if self.primary in to)
        return any((self._property(b"auxC", aid) or b"")[4:].startswith(_ALPHA) for aid in aids)

    @property
    def premultiplied(self) -> bool:
        """Whether the colours are multiplied with their transparency."""
        return any(number == self.primary for number, _ in self._references(b"prem"))

    @property
    def cropped(self) -> bool:
        """Whether only a part of the main picture is to be seen."""
        return self._property(b"clap") is not None

    @property
    def orientation(self) -> int:
        """How the main picture is to be turned, as an EXIF orientation."""
        turn, mirror = self._property(b"irot"), self._property(b"imir")
        return _TURNS[turn[0] & 3 if turn else 0, mirror[0] & 1 if mirror else None]

    @property
    def colour(self) -> tuple[int, int] | None:
        """The code points of primaries and transfer curve; None where it has a profile, or says nothing."""
        found = [body for body in self._properties(b"colr") if body[:4] == b"nclx" and len(body) >= 10]
        return (int.from_bytes(found[0][4:6], "big"), int.from_bytes(found[0][6:8], "big")) if found else None

    def without_notes(self, data: bytes) -> bytes:
        """The bytes of the file, in which EXIF and XMP belong to no picture any more.

        pi-heif 1.4 reads them while it opens a file, and damaged ones crash it: 12 of 400 files with up to
        four wrong bytes in their headers, none without the references.
        """
        head = data[self._extent].replace(_NOTES, b"free")
        return data[: self._extent.start] + head + data[self._extent.stop :]

    def told(self, file: BinaryIO) -> Told:
        """Profile, EXIF and XMP of the main picture, the latter two from its file."""
        icc = next((b[4:] for b in self._properties(b"colr") if b[:4] in (b"prof", b"rICC")), None)
        exif, packet = Exif(), None
        of_primary = {number for number, to in self._references(_NOTES) if self.primary in to}
        for number, item in self._items.items():
            if of_primary and number not in of_primary:
                continue
            if item.kind == b"Exif" and not exif:
                block = self._content(number, file)
                exif = parse(block[4 + int.from_bytes(block[:4], "big") :])
            elif item.kind == b"mime" and item.media == _XMP_TYPE:
                packet = packet or self._content(number, file)
        return Told(icc, exif or None, packet)

    def _primary(self) -> int:
        body = self._body(b"pitm")
        if len(body) < 6:
            raise damaged(self.name, "it names no main picture")
        return int.from_bytes(body[4:8] if body[0] else body[4:6], "big")

    def _body(self, kind: bytes) -> bytes:
        box = self._parts.get(kind)
        return b"" if box is None else box.read(self._file, META_LIMIT)

    @cached_property
    def _items(self) -> dict[int, _Item]:
        box = self._parts.get(b"iinf")
        if box is None:
            return {}
        lead = 8 if self._body(b"iinf")[:1] != b"\0" else 6
        found: dict[int, _Item] = {}
        for entry in boxes(self._file, box.start + lead, box.stop):
            body = entry.read(self._file, META_LIMIT)
            wide = 4 if body[:1] == b"\3" else 2
            kind, _, rest = body[6 + wide : 10 + wide], b"", body[10 + wide :].split(b"\0")
            found[int.from_bytes(body[4 : 4 + wide], "big")] = _Item(kind, rest[1] if len(rest) > 1 else b"")
        return found

    @cached_property
    def _shared(self) -> list[Box]:
        """All properties, which items share."""
        part = self._parts.get(b"iprp")
        inner = [] if part is None else list(boxes(self._file, part.start, part.stop))
        store = next((box for box in inner if box.kind == b"ipco"), None)
        return [] if store is None else list(boxes(self._file, store.start, store.stop))

    @cached_property
    def _owned(self) -> dict[int, list[int]]:
        """For each item, the numbers of its properties, from 1."""
        part = self._parts.get(b"iprp")
        owned: dict[int, list[int]] = {}
        for box in [] if part is None else boxes(self._file, part.start, part.stop):
            if box.kind == b"ipma":
                for number, indices in _associations(BytesIO(box.read(self._file, META_LIMIT))):
                    owned.setdefault(number, []).extend(indices)
        return owned

    def _properties(self, kind: bytes, item: int | None = None) -> Iterator[bytes]:
        indices = self._owned.get(self.primary if item is None else item, ())
        for box in (self._shared[at - 1] for at in indices if 0 < at <= len(self._shared)):
            if box.kind == kind:
                yield box.read(self._file, META_LIMIT)

    def _property(self, kind: bytes, item: int | None = None) -> bytes | None:
        return next(self._properties(kind, item), None)

    def _references(self, kind: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The items that refer to others in a way, and those others."""
        part = self._parts.get(b"iref")
        if part is None:
            return
        wide = 4 if self._body(b"iref")[:1] == b"\1" else 2
        for box in boxes(self._file, part.start + 4, part.stop):
            if box.kind == kind:
                body = BytesIO(box.read(self._file, META_LIMIT))
                one, count = _number(body, wide), _number(body, 2)
                yield one, tuple(_number(body, wide) for _ in range(count))

    def _content(self, item: int, outer: BinaryIO) -> bytes:
        """The bytes of an item, from the file or from the box `idat`; none where they cannot be found."""
        method, extents = self._places.get(item, (0, []))
        store = self._parts.get(b"idat") if method == 1 else None
        if method > 1 or (method == 1 and store is None):
            return b""
        file, base = (outer, 0) if store is None else (self._file, store.start)
        data = b""
        for start, length in extents:
            file.seek(base + start)
            data += file.read(min(length, PART_LIMIT - len(data)))
        return data

    @cached_property
    def _places(self) -> dict[int, tuple[int, list[tuple[int, int]]]]:
        """Where the bytes of each item lie: 0 in the file or 1 in `idat`, and start and length of pieces."""
        return dict(_locations(BytesIO(self._body(b"iloc"))))


def _number(file: BinaryIO, size: int) -> int:
    """The next `size` bytes as a number; 0 at the end."""
    return int.from_bytes(file.read(size), "big")


def _associations(file: BinaryIO) -> Iterator[tuple[int, list[int]]]:
    """The entries of a box `ipma`: an item, and the numbers of its properties."""
    version, flags = _number(file, 1), _number(file, 3)
    wide, mask = (2, 0x7FFF) if flags & 1 else (1, 0x7F)
    for _ in range(min(_number(file, 4), META_LIMIT)):
        head = file.read(4 if version else 2)
        if not head:
            return
        yield int.from_bytes(head, "big"), [_number(file, wide) & mask for _ in range(_number(file, 1))]


def _locations(file: BinaryIO) -> Iterator[tuple[int, tuple[int, list[tuple[int, int]]]]]:
    """The entries of a box `iloc` of version 0 to 2."""
    version, _, sizes, more = (_number(file, size) for size in (1, 3, 1, 1))
    offset, length, base, index = sizes >> 4, sizes & 15, more >> 4, more & 15 if version else 0
    wide = 4 if version == 2 else 2
    for _ in range(_number(file, wide)):
        head = file.read(wide)
        if not head:
            return
        method = _number(file, 2) & 15 if version else 0
        file.read(2)  # the number of an outer file that holds the data; this one, in all that is read
        start = _number(file, base)
        extents = []
        for _ in range(_number(file, 2)):
            file.read(index)
            at = _number(file, offset)
            extents.append((start + at, _number(file, length)))
        yield int.from_bytes(head, "big"), (method, extents)
