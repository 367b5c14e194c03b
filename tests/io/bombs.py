"""Small files that would take much memory or time if their claims were believed."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image


def _jpeg(**more: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (90, 120, 150)).save(file, "JPEG", **more)
    return file.getvalue()


def _resized(data: bytes, width: int, height: int) -> bytes:
    """The header of a JPEG file changed to another size."""
    at = min(found for mark in (b"\xff\xc0", b"\xff\xc2") if (found := data.find(mark)) > 0)
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def _scans(data: bytes) -> tuple[bytes, bytes]:
    """The last scan of a JPEG file, and what is before it."""
    at = data.rfind(b"\xff\xda")
    return data[at:-2], data[:at]


def huge_baseline() -> bytes:
    """A gigapixel of JPEG in a kilobyte."""
    return _resized(_jpeg(), 32_000, 32_000)


def huge_progressive() -> bytes:
    """The same, progressive: the whole picture's coefficients are held, six bytes a pixel."""
    return _resized(_jpeg(progressive=True), 32_000, 32_000)


def many_scans() -> bytes:
    """A progressive JPEG file of thousands of scans, each of which walks over the whole picture."""
    file = io.BytesIO()
    Image.new("L", (2000, 2000), 90).save(file, "JPEG", progressive=True)
    scan, before = _scans(file.getvalue())
    return before + scan * 5000 + b"\xff\xd9"


def _tiff(depth: int = 0, **tags: Any) -> bytes:
    file = io.BytesIO()
    pixels = np.zeros((depth, 32, 32) if depth else (32, 32), np.uint8)
    tifffile.imwrite(file, pixels, metadata=None, compression="zlib", **tags)
    return file.getvalue()


def _entry(data: bytes, tag: int, value: int) -> bytes:
    """A little-endian classic TIFF file with another value in a tag of one LONG or SHORT."""
    directory = struct.unpack_from("<I", data, 4)[0]
    for at in range(directory + 2, directory + 2 + 12 * struct.unpack_from("<H", data, directory)[0], 12):
        if struct.unpack_from("<H", data, at)[0] == tag:
            return data[: at + 2] + struct.pack("<HII", 4, 1, value) + data[at + 12 :]
    raise ValueError(tag)


def huge_tile() -> bytes:
    """A picture of 32 x 32 pixels in one tile of 64,000 x 64,000."""
    data = _tiff(tile=(32, 32))
    return _entry(_entry(data, 322, 64_000), 323, 64_000)


def huge_volume() -> bytes:
    """A tile of 32 x 32 x 100,000 voxels."""
    return _entry(_tiff(16, tile=(16, 32, 32), volumetric=True), 32998, 100_000)


def huge_jpeg_in_tiff() -> bytes:
    """A tile whose JPEG stream claims a gigapixel."""
    data = imagecodecs.jpeg8_encode(np.zeros((32, 32), np.uint8))
    file = io.BytesIO()
    tifffile.imwrite(
        file, iter([_resized(data, 32_000, 32_000)]), shape=(32, 32), dtype=np.uint8, tile=(32, 32),
        compression="jpeg", metadata=None,
    )  # fmt: skip
    return file.getvalue()


def _squeezed(compression: int, data: bytes, side: int) -> bytes:
    """A gray TIFF file of one strip."""
    file = io.BytesIO()
    tifffile.imwrite(
        file, iter([data]), shape=(side, side), dtype=np.uint8, rowsperstrip=side, compression=compression,
        metadata=None,
    )  # fmt: skip
    return file.getvalue()


def squeezed_zstd() -> bytes:
    """A quarter of a gigapixel of zeros."""
    return _squeezed(50_000, imagecodecs.zstd_encode(bytes(16_000**2)), 16_000)


def squeezed_lzma() -> bytes:
    """The same by LZMA, a quarter as large."""
    return _squeezed(34_925, imagecodecs.lzma_encode(bytes(8_000**2), level=0), 8_000)


def many_pages() -> bytes:
    """A hundred thousand pages that share one strip."""
    body = b"".join(
        struct.pack("<HHII", tag, 4, 1, value)
        for tag, value in (
            (256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 1)
        )
    )  # fmt: skip
    size = 2 + len(body) + 4
    pages = (struct.pack("<H", 9) + body + struct.pack("<I", 16 + size * page) for page in range(1, 100_001))
    return b"II*\0" + struct.pack("<I", 16) + bytes(8) + b"".join(pages)


def deep_xmp() -> bytes:
    """An XMP packet whose elements are nested ten thousand deep."""
    rdf = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description>'
    packet = rdf + b"<a>" * 9000 + b"</a>" * 9000 + b"</rdf:Description></rdf:RDF>"
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (90, 120, 150)).save(file, "JPEG", xmp=packet)
    return file.getvalue()


def profile_bomb() -> bytes:
    """A PNG file whose colour profile inflates to 128 megabytes."""
    squeezer = zlib.compressobj()
    packed = b"".join([*(squeezer.compress(bytes(1 << 20)) for _ in range(128)), squeezer.flush()])
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "PNG")
    data, body = file.getvalue(), b"iCCPx\0\0" + packed
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return data[:33] + chunk + data[33:]


def uniform_webp() -> bytes:
    """Sixty-four megapixels of one colour in 38 bytes."""
    file = io.BytesIO()
    Image.new("RGB", (8000, 8000), (9, 90, 9)).save(file, "WEBP", lossless=True, method=0)
    return file.getvalue()


def uniform_jxl() -> bytes:
    """The same in JPEG XL."""
    return bytes(imagecodecs.jpegxl_encode(np.zeros((8000, 8000, 3), np.uint8), lossless=True, effort=1))


BOMBS: tuple[Callable[[], bytes], ...] = (
    huge_baseline, huge_progressive, many_scans, huge_tile, huge_volume, huge_jpeg_in_tiff, squeezed_zstd,
    squeezed_lzma, uniform_webp, uniform_jxl, many_pages, deep_xmp, profile_bomb,
)  # fmt: skip
