"""TIFF directories (IFDs): read with tolerance in either byte order, laid out little-endian.

Sources: TIFF 6.0, section 2; the BigTIFF design (2007). Nothing here follows a chain, so no input can make it
loop, and every value is paid from a budget, so no input can make it allocate more than that.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

READ_BUDGET = 1 << 20
"""Bytes of values that one directory may hold; the entries beyond are skipped."""

MOST_ENTRIES = 1024
"""Entries read from one directory; cameras write fewer than a hundred."""

_LAYOUTS = {
    1: "B",
    2: "B",
    3: "H",
    4: "I",
    5: "II",
    6: "B",
    7: "B",
    8: "H",
    9: "I",
    10: "II",
    11: "I",
    12: "Q",
    13: "I",
    16: "Q",
    17: "Q",
    18: "Q",
    129: "B",
}
"""How one value of each type lies in memory; signed and float values are moved as bits, without a sign."""

# 42 classic, 43 BigTIFF, then RAW files that differ in this number only: ORF ("RO", "RS") and RW2 (0x55).
_MAGIC = {42: False, 43: True, 0x4F52: False, 0x5352: False, 0x55: False}


@dataclass(frozen=True, slots=True)
class Entry:
    """One tag of a directory; `data` holds the values little-endian, `type` is the TIFF field type."""

    tag: int
    type: int
    data: bytes

    @property
    def count(self) -> int:
        """Number of values, as the directory states it."""
        return len(self.data) // _width(self.type)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The values as unsigned integers; a rational is two of them."""
        code = _LAYOUTS[self.type]
        return struct.unpack(f"<{code * self.count}", self.data)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A tag whose value, `count` numbers of a field type, lies in the file already: at the offset `start`."""

    tag: int
    type: int
    count: int
    start: int


@dataclass(frozen=True, slots=True)
class Header:
    """How a TIFF structure starts: byte order as a struct prefix, offset of IFD0, and the file's size."""

    order: str
    big: bool
    first: int
    size: int


Directory = dict[int, Entry]


def read_header(file: BinaryIO) -> Header | None:
    """Read the header of a TIFF structure that starts at offset 0; None where there is none."""
    size = file.seek(0, os.SEEK_END)
    head = _read_at(file, 0, 16, size)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        return None
    magic: int = struct.unpack_from(f"{order}H", head, 2)[0]
    big = _MAGIC.get(magic)
    if big is None or (big and len(head) < 16):
        return None
    first: int = (
        struct.unpack_from(f"{order}Q", head, 8)[0] if big else struct.unpack_from(f"{order}I", head, 4)[0]
    )
    return Header(order, big, first, size)


def read_directory(
    file: BinaryIO, header: Header, offset: int, budget: int = READ_BUDGET
) -> tuple[Directory, int]:
    """Read the directory at `offset`: its readable entries by tag, and the offset of the next one (0: none).

    Broken entries (unknown type, no value, value outside the file or beyond the budget of bytes) are left
    out; of a tag written twice the first counts.
    """
    count_code, pointer_code = ("Q", "Q") if header.big else ("H", "I")
    lead, pointer = struct.calcsize(f"<{count_code}"), struct.calcsize(f"<{pointer_code}")
    row = 4 + 2 * pointer
    counted = _read_at(file, offset, lead, header.size)
    if len(counted) < lead:
        return {}, 0
    count: int = struct.unpack(header.order + count_code, counted)[0]
    table = _read_at(file, offset + lead, min(count, MOST_ENTRIES) * row, header.size)
    entries: Directory = {}
    for at in range(0, len(table) - row + 1, row):
        entry = _read_entry(file, header, table[at : at + row], budget)
        if entry is not None and entry.tag not in entries:
            entries[entry.tag] = entry
            budget -= len(entry.data)
    after = _read_at(file, offset + lead + count * row, pointer, header.size)
    return entries, struct.unpack(header.order + pointer_code, after)[0] if len(after) == pointer else 0


def _read_entry(file: BinaryIO, header: Header, row: bytes, budget: int) -> Entry | None:
    """One table row with its value, or None where it is broken or costs more than `budget` bytes."""
    pointer = "Q" if header.big else "I"
    tag, kind, count = struct.unpack_from(f"{header.order}HH{pointer}", row)
    field = row[-struct.calcsize(f"<{pointer}") :]
    if kind not in _LAYOUTS or not 0 < count * _width(kind) <= budget:
        return None
    size = count * _width(kind)
    if size > len(field):
        field = _read_at(file, struct.unpack(header.order + pointer, field)[0], size, header.size)
    if len(field) < size:
        return None
    return Entry(tag, kind, _little(field[:size], kind, header.order))


def lay_out(entries: Iterable[Entry | Elsewhere], offset: int, *, big: bool = False) -> bytes:
    """A directory for the absolute, even `offset` of a little-endian file: table, no successor, values.

    Returns an even number of bytes, which depends on the lengths of the values only.
    """
    ordered = sorted(entries, key=lambda entry: entry.tag)
    pointer, count_code = ("Q", "Q") if big else ("I", "H")
    inline = struct.calcsize(f"<{pointer}")
    start = offset + struct.calcsize(f"<{count_code}") + len(ordered) * (4 + 2 * inline) + inline
    table, values = [struct.pack(f"<{count_code}", len(ordered))], b""
    for entry in ordered:
        if isinstance(entry, Elsewhere):
            field = struct.pack(f"<{pointer}", entry.start)
        elif len(field := entry.data) > inline:
            field = struct.pack(f"<{pointer}", start + len(values))
            values += entry.data + b"\0" * (len(entry.data) % 2)
        table.append(
            struct.pack(f"<HH{pointer}", entry.tag, entry.type, entry.count) + field.ljust(inline, b"\0")
        )
    return b"".join(table) + b"\0" * inline + values


def _width(kind: int) -> int:
    """Bytes of one value of a TIFF field type."""
    return struct.calcsize(f"<{_LAYOUTS[kind]}")


def _little(data: bytes, kind: int, order: str) -> bytes:
    """The values in little-endian order."""
    code = _LAYOUTS[kind]
    if order == "<" or code == "B":
        return data
    codes = code * (len(data) // _width(kind))
    return struct.pack(f"<{codes}", *struct.unpack(f">{codes}", data))


def _read_at(file: BinaryIO, offset: int, count: int, size: int) -> bytes:
    """Up to `count` bytes from `offset`; fewer, or none, where the file of `size` bytes ends before."""
    if offset >= size:
        return b""
    file.seek(offset)
    return file.read(count)
