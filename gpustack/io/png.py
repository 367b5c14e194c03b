"""PNG files: the chunks are walked and checked here, libpng (imagecodecs) decodes.

Source: PNG Specification, third edition. OpenCV is not used: it widens gray and alpha to four channels and
turns by EXIF. libpng sees the chunks that hold pixels only, so that nothing in a broken profile can warn or
change a value.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
import numpy.typing as npt

from gpustack.errors import DecodeError
from gpustack.io.exif import orientation
from gpustack.io.guard import check_size, check_squeezed, damaged
from gpustack.model.frame import Frame, Kind, PixelType

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _RGB, _PALETTE, _GRAY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_DEPTHS = {
    _GRAY: (1, 2, 4, 8, 16),
    _RGB: (8, 16),
    _PALETTE: (1, 2, 4, 8),
    _GRAY_ALPHA: (8, 16),
    _RGBA: (8, 16),
}
_SAMPLES = {_GRAY: 1, _RGB: 3, _PALETTE: 1, _GRAY_ALPHA: 2, _RGBA: 4}
_CHANNELS = {**_SAMPLES, _PALETTE: 3}
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
# First row, first column, row step and column step of the seven passes of Adam7 interlacing.
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
_MOST_CHUNKS = 500_000
"""Chunks of the longest file that is walked: four gigabytes in the usual pieces of 8 KiB."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A chunk: its type, and where its data lie in the file, in bytes."""

    kind: bytes
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class _Header:
    """The IHDR chunk; `depth` is in bits a sample."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool

    def stored_bytes(self) -> int:
        """Bytes of the filtered rows of a picture without interlacing."""
        return self.height * (1 + (self.width * self.depth * _SAMPLES[self.colour] + 7) // 8)

    def pack(self) -> bytes:
        """The chunk's data, without interlacing."""
        return struct.pack(">IIBBBBB", self.width, self.height, self.depth, self.colour, 0, 0, 0)


def probe(path: Path) -> tuple[Frame, ...]:
    """Describe a PNG file; no pixel data are read.

    Raises: DecodeError for a damaged, cut or animated file, and for sizes beyond the bounds.
    """
    with path.open("rb") as file:
        chunks = tuple(_walk(file, path.name))
        header = _read_header(file, chunks, path.name)
        turn = next((orientation(_body(file, c)) for c in chunks if c.kind == b"eXIf"), 1)
    transparent = header.colour in (_GRAY, _RGB, _PALETTE) and any(c.kind == b"tRNS" for c in chunks)
    kind = PixelType.UINT16 if header.depth == 16 else PixelType.UINT8
    channels = _CHANNELS[header.colour] + transparent
    return (Frame(path, header.width, header.height, channels, kind, Kind.PNG, orientation=turn),)


def decode(frame: Frame) -> npt.NDArray[Any]:
    """The pixels, (h, w, c) uint8 or uint16, not rotated; palettes are expanded, 1, 2 and 4 bits scaled to 8.

    Raises: DecodeError where a checksum is wrong, or where the data end before the picture does.
    """
    data = frame.path.read_bytes()
    file = BytesIO(data)
    chunks = tuple(_walk(file, frame.name))
    header = _read_header(file, chunks, frame.name)
    for chunk in chunks:
        _check_sum(data, chunk, frame.name)
    kept = {kind: b"".join(_body(file, c) for c in chunks if c.kind == kind) for kind in _NEEDED}
    if header.colour in (_GRAY_ALPHA, _RGBA):
        kept[b"tRNS"] = b""
    pixels = _interlaced(header, kept, frame) if header.interlaced else _decode(header, kept)
    return pixels.reshape(header.height, header.width, -1)


def _walk(file: BinaryIO, name: str) -> Iterator[_Chunk]:
    """All chunks up to IEND; raises where the file ends before."""
    at = len(SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            raise damaged(name, "it ends before its picture does")
        chunk = _Chunk(head[4:], at + 8, int.from_bytes(head[:4], "big"))
        yield chunk
        if chunk.kind == b"IEND":
            return
        at = chunk.start + chunk.length + 4
    raise damaged(name, "it is cut into too many pieces")


def _read_header(file: BinaryIO, chunks: tuple[_Chunk, ...], name: str) -> _Header:
    body = _body(file, chunks[0])
    if chunks[0].kind != b"IHDR" or len(body) != 13:
        raise damaged(name, "it does not start with a header")
    width, height, depth, colour = struct.unpack(">IIBB", body[:10])
    header = _Header(width, height, depth, colour, interlaced=bool(body[12]))
    if header.depth not in _DEPTHS.get(header.colour, ()) or body[10] or body[11] or body[12] > 1:
        raise damaged(name, "its header holds values that PNG does not know")
    check_size(name, header.width, header.height)
    for chunk in chunks:
        # Bit 5 of the first letter clear: without understanding the chunk the picture would be a wrong one.
        if chunk.kind not in _NEEDED and not chunk.kind[0] & 0x20:
            raise damaged(name, "it holds a chunk that PNG does not know")
        if chunk.kind == b"acTL":
            raise DecodeError(name, "it is an animated PNG.", "Export its pictures one by one.")
    check_squeezed(name, header.stored_bytes(), sum(c.length for c in chunks if c.kind == b"IDAT"))
    return header


def _body(file: BinaryIO, chunk: _Chunk) -> bytes:
    file.seek(chunk.start)
    return file.read(chunk.length)


def _check_sum(data: bytes, chunk: _Chunk, name: str) -> None:
    """Raise where the checksum of a chunk that matters for the pixels is wrong."""
    if chunk.kind in _NEEDED:
        stop = chunk.start + chunk.length
        with memoryview(data) as view:
            wanted = zlib.crc32(view[chunk.start - 4 : stop])
        if data[stop : stop + 4] != wanted.to_bytes(4, "big"):
            raise damaged(name, "a checksum is wrong, or it ends before its picture does")


def _decode(header: _Header, kept: dict[bytes, bytes]) -> npt.NDArray[Any]:
    """Decode a picture without interlacing from its chunks."""
    parts = [SIGNATURE]
    for kind, body in {**kept, b"IHDR": header.pack()}.items():
        if body or kind == b"IEND":
            check = zlib.crc32(body, zlib.crc32(kind))
            parts += [len(body).to_bytes(4, "big"), kind, body, check.to_bytes(4, "big")]
    return np.asarray(imagecodecs.png_decode(b"".join(parts)))


def _interlaced(header: _Header, kept: dict[bytes, bytes], frame: Frame) -> npt.NDArray[Any]:
    """Decode the seven passes, each as a small picture of its own, and put them together.

    libpng as imagecodecs drives it would do so too, but prints a warning for every file.
    """
    pixels = np.empty((header.height, header.width, frame.channels), frame.pixel_type.value)
    # A pass may need one filter byte more a row than the bound for whole rows; there are fewer than 2 h of
    # them.
    rows = zlib.decompressobj().decompress(kept[b"IDAT"], header.stored_bytes() * 2 + 64)
    for top, left, down, across in _PASSES:
        part = pixels[top::down, left::across]
        if part.size:
            small = _Header(part.shape[1], part.shape[0], header.depth, header.colour, interlaced=False)
            own, rows = rows[: small.stored_bytes()], rows[small.stored_bytes() :]
            part[:] = _decode(small, {**kept, b"IDAT": zlib.compress(own, 0)}).reshape(part.shape)
    return pixels
