"""HEIC files as phones write them, put together by hand from pictures that libheif has coded.

The main picture is a grid of tiles that is turned, as of Apple's phones; beside it lie a thumbnail, a gain
map for bright screens, and a depth map, each an item of its own (ISO/IEC 23008-12, 6.5 and 6.6.2.3).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gpustack.io.boxes import boxes, file_boxes

GAIN_MAP = b"urn:com:apple:photo:2020:aux:hdrgainmap\0"
DEPTH = b"urn:mpeg:hevc:2015:auxid:2\0"


def box(kind: bytes, body: bytes, version: int | None = None, flags: int = 0) -> bytes:
    full = b"" if version is None else struct.pack(">I", version << 24 | flags)
    return struct.pack(">I", 8 + len(full) + len(body)) + kind + full + body


@dataclass(frozen=True)
class Coded:
    """HEVC data, and its configuration, a property."""

    data: bytes
    configuration: bytes
    size: tuple[int, int]
    gray: bool
    bits: int


def coded(pixels: npt.NDArray[np.generic], bits: int = 8) -> Coded:
    """A picture (h, w, 3) or (h, w), coded alone."""
    import pillow_heif

    height, width = pixels.shape[:2]
    gray = pixels.ndim == 2
    mode = ("L" if gray else "RGB") + ("" if bits == 8 else ";16")
    out = BytesIO()
    pillow_heif.encode(mode, (width, height), pixels.tobytes(), out, quality=-1, chroma=420 if gray else 444)
    file = BytesIO(out.getvalue())
    meta = next(each for each in file_boxes(file) if each.kind == b"meta")
    inner = {each.kind: each for each in boxes(file, meta.start + 4, meta.stop)}
    shared = next(
        each for each in boxes(file, inner[b"iprp"].start, inner[b"iprp"].stop) if each.kind == b"ipco"
    )
    configuration = next(each for each in boxes(file, shared.start, shared.stop) if each.kind == b"hvcC")
    data = next(each for each in file_boxes(file) if each.kind == b"mdat")
    size = struct.unpack(
        ">II",
        next(each for each in boxes(file, shared.start, shared.stop) if each.kind == b"ispe").read(file, 64)[
            4:12
        ],
    )
    return Coded(
        data.read(file, 1 << 30),
        box(b"hvcC", configuration.read(file, 1 << 20)),
        (size[0], size[1]),
        gray,
        bits,
    )


@dataclass
class File:
    """Items, properties and references on their way into a file; items count from 1."""

    kinds: list[bytes] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    properties: list[bytes] = field(default_factory=list)
    owned: list[list[int]] = field(default_factory=list)
    references: list[tuple[bytes, int, list[int]]] = field(default_factory=list)

    def add(self, kind: bytes, content: bytes, properties: Sequence[bytes]) -> int:
        """An item; its number."""
        self.kinds.append(kind)
        self.contents.append(content)
        self.owned.append([self._property(each) for each in properties])
        return len(self.kinds)

    def add_coded(self, picture: Coded, *more: bytes) -> int:
        """An item of HEVC."""
        channels = 1 if picture.gray else 3
        own = [picture.configuration, shown_size(*picture.size), depth_of(channels, picture.bits)]
        return self.add(b"hvc1", picture.data, [*own, *more])

    def _property(self, body: bytes) -> int:
        if body not in self.properties:
            self.properties.append(body)
        return 1 + self.properties.index(body)

    def write(self, path: Path, primary: int) -> Path:
        """The file."""
        head = box(b"ftyp", b"heic" + bytes(4) + b"mif1heicMiHE")
        start = len(head) + len(self._meta(primary, 0)) + 8
        path.write_bytes(head + self._meta(primary, start) + box(b"mdat", b"".join(self.contents)))
        return path

    def _meta(self, primary: int, start: int) -> bytes:
        entries = b"".join(
            box(b"infe", struct.pack(">HH", number, 0) + kind + b"\0", 2, 0 if number == primary else 1)
            for number, kind in enumerate(self.kinds, 1)
        )
        places = b""
        for number, content in enumerate(self.contents, 1):
            places += struct.pack(">HHHHII", number, 0, 0, 1, start, len(content))
            start += len(content)
        links = b"".join(
            box(kind, struct.pack(f">HH{len(to)}H", number, len(to), *to))
            for kind, number, to in self.references
        )
        owned = b"".join(
            struct.pack(f">HB{len(each)}B", number, len(each), *each)
            for number, each in enumerate(self.owned, 1)
        )
        parts = (
            box(b"hdlr", bytes(4) + b"pict" + bytes(13), 0),
            box(b"pitm", struct.pack(">H", primary), 0),
            box(b"iinf", struct.pack(">H", len(self.kinds)) + entries, 0),
            box(b"iref", links, 0),
            box(
                b"iprp",
                box(b"ipco", b"".join(self.properties))
                + box(b"ipma", struct.pack(">I", len(self.owned)) + owned, 0),
            ),
            box(b"iloc", struct.pack(">BBH", 0x44, 0, len(self.contents)) + places, 1),
        )
        return box(b"meta", b"".join(parts), 0)


def shown_size(width: int, height: int) -> bytes:
    return box(b"ispe", struct.pack(">II", width, height), 0)


def depth_of(channels: int, bits: int) -> bytes:
    return box(b"pixi", bytes([channels, *[bits] * channels]), 0)


def phone_file(
    path: Path, pixels: npt.NDArray[np.generic], tile: int, *, bits: int = 8, turns: int = 3, icc: bytes = b""
) -> Path:
    """A picture (h, w, 3), in tiles of so many pixels a side, turned by quarters to the left, with all that a
    phone puts beside it."""
    height, width = pixels.shape[:2]
    down, across = -(-height // tile), -(-width // tile)
    whole = np.pad(pixels, [(0, down * tile - height), (0, across * tile - width), (0, 0)], mode="edge")
    file = File()
    tiles = [
        file.add_coded(coded(np.ascontiguousarray(whole[y : y + tile, x : x + tile]), bits))
        for y in range(0, down * tile, tile)
        for x in range(0, across * tile, tile)
    ]
    turn = box(b"irot", bytes([turns]))
    colour = [box(b"colr", b"prof" + icc)] if icc else []
    layout = struct.pack(">BBBBHH", 0, 0, down - 1, across - 1, width, height)
    main = file.add(b"grid", layout, [shown_size(width, height), depth_of(3, bits), *colour, turn])
    file.references.append((b"dimg", main, tiles))
    small = np.ascontiguousarray(pixels[::4, ::4])
    gray = np.full((64, 64), 90, np.uint8)
    for kind, item in (
        (b"thmb", file.add_coded(coded(small, bits), turn)),
        (b"auxl", file.add_coded(coded(gray), box(b"auxC", GAIN_MAP, 0), turn)),
        (b"auxl", file.add_coded(coded(gray), box(b"auxC", DEPTH, 0), turn)),
    ):
        file.references.append((kind, item, [main]))
    return file.write(path, main)
