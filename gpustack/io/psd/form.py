"""How numbers are written: PSD is big-endian, a TIFF's layers are as the TIFF; PSB and BigTIFF have long
lengths."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Form:
    """`order` is the byte order as a struct prefix; `wide`: lengths have 8 bytes where that is provided for;
    `signature` marks each block, as a big-endian file spells it."""

    order: str
    wide: bool
    signature: bytes = b"8BIM"

    def pack(self, codes: str, *values: int) -> bytes:
        """Numbers by struct codes, without padding."""
        return struct.pack(self.order + codes, *values)

    def length(self, value: int) -> bytes:
        """A length of 4 or 8 bytes."""
        return self.pack("Q" if self.wide else "I", value)

    def key(self, name: bytes) -> bytes:
        """Four letters, which are a number to Photoshop."""
        return name if self.order == ">" else name[::-1]

    def text(self, value: str) -> bytes:
        """A Unicode string: the number of UTF-16 units, then these."""
        coded = value.encode("utf-16-be" if self.order == ">" else "utf-16-le", "surrogatepass")
        return self.pack("I", len(coded) // 2) + coded

    @contextmanager
    def measured(self, file: BinaryIO, align: int = 1) -> Iterator[None]:
        """A block whose length, filled in at its end, stands before it; padded to a multiple of `align`, the
        padding counted."""
        at = file.tell()
        file.write(self.length(0))
        start = file.tell()
        yield
        file.write(bytes(-(file.tell() - start) % align))
        patch(file, at, self.length(file.tell() - start))


PSD, PSB = Form(">", wide=False), Form(">", wide=True)


def patch(file: BinaryIO, at: int, data: bytes) -> None:
    """Write over what stands at a place, and go back to where the file was."""
    here = file.tell()
    file.seek(at)
    file.write(data)
    file.seek(here)
