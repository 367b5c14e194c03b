"""Small sound files of every kind that is read, to be damaged."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from tests.io.dng import mosaic, write_dng
from tests.io.mutations import summed
from tests.io.sources import SOURCES


def others(folder: Path) -> Sequence[bytes]:
    """HEIC, AVIF, JPEG XL, WebP, OpenEXR and videos, as their usual encoders make them."""
    endings = (".heic", ".avif", ".jxl", ".webp", ".exr", ".mp4", ".mov")
    chosen = [source for source in SOURCES if source.ending in endings and not source.needs]
    return tuple(source.make(folder).read_bytes() for source in chosen)


def _picture(mode: str = "RGB", size: tuple[int, int] = (40, 56)) -> Image.Image:
    random = np.random.default_rng(3)
    pixels = np.kron(random.integers(0, 255, (size[0] // 8, size[1] // 8, 4)), np.ones((8, 8, 1))).astype(
        np.uint8
    )
    return Image.fromarray(pixels, "RGBA").convert(mode)


def _saved(mode: str, kind: str, **more: Any) -> bytes:
    file = io.BytesIO()
    _picture(mode).save(file, kind, **more)
    return file.getvalue()


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[271], exif[272], exif[274], exif[306] = "Maker", "Model", 6, "2024:05:06 07:08:09"
    exif.get_ifd(0x8769).update({33434: 0.01, 33437: 2.8, 34855: 200, 36867: "2024:05:06 07:08:09"})
    exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 1.0, 2.0)})
    return exif


def jpegs() -> Sequence[bytes]:
    """Baseline, progressive, gray, without subsampling, with restarts and metadata."""
    tagged: dict[str, Any] = {"exif": _exif(), "icc_profile": b"\0" * 200, "xmp": b"<x:xmpmeta/>"}
    return (
        _saved("RGB", "JPEG", quality=80, **tagged),
        _saved("RGB", "JPEG", quality=80, progressive=True),
        _saved("L", "JPEG", quality=60),
        _saved("RGB", "JPEG", quality=95, subsampling=0, restart_marker_blocks=3),
    )


def pngs() -> Sequence[bytes]:
    """Every kind of colour, interlaced or not, with metadata."""
    deep = Image.fromarray(np.arange(40 * 56, dtype=np.uint16).reshape(40, 56) * 29)
    file = io.BytesIO()
    deep.save(file, "PNG")
    return (
        _saved("RGB", "PNG", exif=_exif(), icc_profile=b"\0" * 200),
        _saved("RGBA", "PNG"),
        _saved("P", "PNG", transparency=3),
        _saved("1", "PNG"),
        file.getvalue(),
        _interlaced(),
    )


def _interlaced() -> bytes:
    """An interlaced gray picture of 3 x 3 pixels, of the parts that the specification names."""
    rows = b"".join(b"\0" + bytes(row) for row in ((10,), (20,), (30, 40), (50,), (60,), (70, 80, 90)))
    header = (3).to_bytes(4, "big") * 2 + bytes((8, 0, 0, 0, 1))
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = b"".join(len(body).to_bytes(4, "big") + kind + body + b"\0\0\0\0" for kind, body in parts)
    return summed(b"\x89PNG\r\n\x1a\n" + chunks)


def tiffs() -> Sequence[bytes]:
    """Strips and tiles, every compression that is read, both orders of bytes, pages, floats, alpha."""
    rgb = np.asarray(_picture())
    kinds: tuple[dict[str, Any], ...] = (
        {},
        {"byteorder": ">", "rowsperstrip": 7},
        {"compression": "lzw", "predictor": True},
        {"compression": "zlib", "tile": (16, 16)},
        {"compression": "zstd"},
        {"compression": "lzma"},
        {"compression": "packbits"},
        {"compression": "jpeg"},
        {"bigtiff": True, "compression": "zlib"},
    )
    made = [_tiff(rgb, photometric="rgb", **kind) for kind in kinds]
    made.append(_tiff(np.stack([rgb] * 3), photometric="rgb"))
    made.append(_tiff(np.moveaxis(rgb, 2, 0), photometric="rgb", planarconfig="separate"))
    made.append(_tiff(rgb[..., 0].astype(np.float32) / 255, compression="zlib", predictor=True))
    made.append(_tiff(rgb.astype(np.uint16) * 257, photometric="rgb", compression="lzw"))
    return tuple(made)


def _tiff(pixels: Any, **more: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **more)
    return file.getvalue()


def dngs(folder: Path) -> Sequence[bytes]:
    """A mosaic, linear RGB, and a mosaic cropped, of another size and with black levels of a square."""
    linear = np.repeat(mosaic(height=40, width=48)[..., None], 3, axis=2)
    return tuple(
        write_dng(folder / "seed.dng", pixels, **more).read_bytes()
        for pixels, more in (
            (mosaic(), {}),
            (linear, {}),
            (mosaic(height=40, width=56), {"visible": (2, 2, 38, 54), "black": (500, 510, 520, 530)}),
        )
    )
