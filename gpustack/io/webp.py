"""WebP pictures: the chunks are walked here, libwebp (imagecodecs) decodes.

Source: RFC 9649.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
import numpy.typing as npt

from gpustack.errors import DecodeError
from gpustack.io.exif import orientation, parse
from gpustack.io.guard import check_size, damaged
from gpustack.io.told import Told
from gpustack.model.frame import Frame, Kind, PixelType

_MOST_CHUNKS = 4096
_PART_LIMIT = 8 << 20
_LOSSY_START, _LOSSLESS_MARK = b"\x9d\x01\x2a", 0x2F
_ALPHA_FLAG, _ANIMATION_FLAG = 0x10, 0x02


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A chunk: its four letters, and where its data lie in the file, in bytes."""

    kind: bytes
    start: int
    length: int

    def read(self, file: BinaryIO, limit: int = _PART_LIMIT) -> bytes:
        file.seek(self.start)
        return file.read(min(self.length, limit))


def probe(path: Path) -> tuple[Frame, ...]:
    """Describe a WebP file; no pixel data are read.

    Raises: DecodeError for a damaged, cut or animated file, and for sizes beyond the bounds.
    """
    with path.open("rb") as file:
        chunks = {chunk.kind: chunk for chunk in _walk(file, path.name)}
        width, height, alpha = _size(file, chunks, path.name)
        turn = orientation(chunks[b"EXIF"].read(file)) if b"EXIF" in chunks else 1
    check_size(path.name, width, height)
    return (Frame(path, width, height, 3 + alpha, PixelType.UINT8, Kind.WEBP, orientation=turn),)


def decode(frame: Frame) -> npt.NDArray[Any]:
    """The pixels, (h, w, 3 or 4) uint8, not rotated. Raises: DecodeError for damaged data."""
    data = frame.path.read_bytes()
    return np.asarray(imagecodecs.webp_decode(data, hasalpha=frame.channels == 4))


def told(frame: Frame) -> Told:
    """Profile, EXIF and XMP."""
    with frame.path.open("rb") as file:
        parts = {chunk.kind: chunk.read(file) for chunk in _walk(file, frame.name) if chunk.kind in _TOLD}
    exif = parse(parts.get(b"EXIF", b""))
    return Told(parts.get(b"ICCP"), exif or None, parts.get(b"XMP "))


_TOLD = (b"ICCP", b"EXIF", b"XMP ")


def _walk(file: BinaryIO, name: str) -> Iterator[_Chunk]:
    """All chunks of the file; raises where it ends before the last of them does."""
    size = file.seek(0, 2)
    file.seek(4)
    stop = 8 + int.from_bytes(file.read(4), "little")
    if stop > size:
        raise damaged(name, "it ends before its picture does")
    at = 12
    for _ in range(_MOST_CHUNKS):
        if at + 8 > stop:
            return
        file.seek(at)
        head = file.read(8)
        chunk = _Chunk(head[:4], at + 8, int.from_bytes(head[4:], "little"))
        yield chunk
        at = chunk.start + chunk.length + chunk.length % 2


def _size(file: BinaryIO, chunks: dict[bytes, _Chunk], name: str) -> tuple[int, int, bool]:
    """Width and height in pixels, and whether there is transparency."""
    if b"VP8X" in chunks:
        body = chunks[b"VP8X"].read(file, 10)
        if len(body) == 10 and body[0] & _ANIMATION_FLAG:
            raise DecodeError(name, "it is an animation.", "Export its pictures one by one.")
        if len(body) == 10:
            width, height = (1 + int.from_bytes(body[at : at + 3], "little") for at in (4, 7))
            return width, height, bool(body[0] & _ALPHA_FLAG)
    if b"VP8L" in chunks:
        body = chunks[b"VP8L"].read(file, 5)
        if len(body) == 5 and body[0] == _LOSSLESS_MARK:
            bits = int.from_bytes(body[1:], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), bool(bits >> 28 & 1)
    if b"VP8 " in chunks:
        body = chunks[b"VP8 "].read(file, 10)
        if body[3:6] == _LOSSY_START:
            width, height = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
            return width, height, False
    raise damaged(name, "it has no header")
