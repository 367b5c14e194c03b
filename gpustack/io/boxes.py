"""Boxes: how HEIF, AVIF, JPEG XL and CR3 files are put together.

Source: ISO/IEC 14496-12 (ISO base media file format), 4.2. Boxes lie one after another and may hold others;
each says how long it is, so nothing here has to be understood to be passed over.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from gpustack.io.guard import damaged

MOST_BOXES = 65_536
"""Boxes of one level that are walked; a file of nothing but empty boxes would take minutes."""

_LONG, _TO_THE_END = 1, 0


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its four letters, and where its content lies in the file, in bytes; `stop` may lie beyond it."""

    kind: bytes
    start: int
    stop: int

    def read(self, file: BinaryIO, limit: int) -> bytes:
        """The content, at most `limit` bytes of it."""
        file.seek(self.start)
        return file.read(max(0, min(self.stop - self.start, limit)))


def boxes(file: BinaryIO, start: int, stop: int) -> Iterator[Box]:
    """The boxes from `start` on, up to `stop` or to what is no box."""
    for _ in range(MOST_BOXES):
        if start + 8 > stop:
            return
        file.seek(start)
        head = file.read(16)
        length, lead = int.from_bytes(head[:4], "big"), 8
        if length == _LONG:
            length, lead = int.from_bytes(head[8:16], "big"), 16
        elif length == _TO_THE_END:
            length = stop - start
        if length < lead or len(head) < lead:
            return
        yield Box(head[4:8], start + lead, start + length)
        start += length


def file_boxes(file: BinaryIO) -> Iterator[Box]:
    """The boxes that a file is made of."""
    yield from boxes(file, 0, file.seek(0, os.SEEK_END))


def whole_boxes(file: BinaryIO, name: str) -> list[Box]:
    """The boxes of a file that ends where its last one does. Raises: DecodeError where it ends before."""
    found = list(file_boxes(file))
    if not found or found[-1].stop > file.seek(0, os.SEEK_END):
        raise damaged(name, "it ends before its picture does")
    return found


def brands(head: bytes) -> frozenset[bytes]:
    """What a file that starts with the box `ftyp` says that it is, from its first bytes."""
    if head[4:8] != b"ftyp":
        return frozenset()
    stop = min(int.from_bytes(head[:4], "big"), len(head))
    return frozenset((head[8:12], *(head[at : at + 4] for at in range(16, stop - 3, 4))))
