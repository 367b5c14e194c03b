"""Ways to pack pixels for TIFF, and to unpack PNG: `python bench/packing.py PICTURE... --json FILE`.

CPU milliseconds of one core for a megapixel, the least of some runs, and packed bytes as a share of the
pixels'; see README.md.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import tifffile
from machine import heading, write_result
from measure import positive

TILE, TILES = 512, 3
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def zlib_with(strategy: int, level: int) -> Callable[[bytes], bytes]:
    """zlib with a strategy of its own."""

    def pack(data: bytes) -> bytes:
        packer = zlib.compressobj(level, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy)
        return packer.compress(data) + packer.flush()

    return pack


WAYS: dict[str, Callable[[bytes], bytes]] = {
    **{
        f"libdeflate {level}": lambda data, level=level: imagecodecs.deflate_encode(data, level=level)
        for level in (1, 2, 4, 6, 7)
    },
    "zlib 6": zlib_with(zlib.Z_DEFAULT_STRATEGY, 6),
    "zlib, Huffman codes alone": zlib_with(zlib.Z_HUFFMAN_ONLY, 1),
    "zlib-ng 6": lambda data: imagecodecs.zlibng_encode(data, level=6),
}


def measured(work: Callable[[], Any], runs: int, megapixels: float) -> tuple[float, Any]:
    """CPU milliseconds a megapixel, and what came out."""
    taken, found = [], None
    for _ in range(runs):
        started = time.process_time()
        found = work()
        taken.append(time.process_time() - started)
    return round(min(taken) * 1e3 / megapixels, 1), found


def packing(pixels: Any, runs: int) -> dict[str, Any]:
    """Some tiles' differences, as TIFF has them, by each way."""
    tops = np.linspace(0, pixels.shape[0] - TILE, TILES).astype(int)
    lefts = np.linspace(0, pixels.shape[1] - TILE, TILES).astype(int)
    predict = imagecodecs.floatpred_encode if pixels.dtype.kind == "f" else imagecodecs.delta_encode
    tiles = [pixels[y : y + TILE, x : x + TILE] for y, x in zip(tops, lefts, strict=True)]
    data = [np.asarray(predict(np.ascontiguousarray(tile), axis=-2)).tobytes() for tile in tiles]
    whole, found = sum(map(len, data)), {}
    for name, pack in WAYS.items():
        ms, packed = measured(lambda pack=pack: [pack(piece) for piece in data], runs, TILES * TILE**2 / 1e6)
        found[name] = {"ms": ms, "share": round(sum(map(len, packed)) / whole, 4)}
    return found


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG file."""
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def unpacking(pixels: Any, runs: int) -> dict[str, float]:
    """The picture as a PNG file of libpng's usual level, by each way."""
    height, width, channels = pixels.shape
    data = imagecodecs.png_encode(pixels, level=6)
    squeezed, at = b"", len(SIGNATURE)
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        squeezed += data[at + 8 : at + 8 + length] if data[at + 4 : at + 8] == b"IDAT" else b""
        at += length + 12
    size = height * (1 + width * channels * pixels.itemsize)

    def stored() -> Any:
        rows = zlib.compress(imagecodecs.deflate_decode(squeezed, out=size), 0)
        return imagecodecs.png_decode(data[:33] + chunk(b"IDAT", rows) + chunk(b"IEND", b""))

    ways: dict[str, Callable[[], Any]] = {
        "libpng": lambda: imagecodecs.png_decode(data),
        "OpenCV": lambda: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED),
        "inflated by libdeflate, filters undone by libpng": stored,
        "inflated by libdeflate, filters left": lambda: imagecodecs.deflate_decode(squeezed, out=size),
    }
    if pixels.dtype == np.uint8:
        ways["libspng"] = lambda: imagecodecs.spng_decode(data)
    return {name: measured(work, runs, height * width / 1e6)[0] for name, work in ways.items()}


def main() -> None:
    """Measure every picture and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("pictures", nargs="+", type=Path)
    options.add_argument("--json", type=Path, required=True)
    options.add_argument("--runs", type=positive, default=3)
    given = options.parse_args()
    cv2.setNumThreads(1)
    rows = []
    for path in given.pictures:
        pixels = tifffile.imread(path)
        pixels = pixels if pixels.ndim == 3 else pixels[..., None]
        row = {"picture": path.stem, "dtype": pixels.dtype.name, "packing": packing(pixels, given.runs)}
        if pixels.dtype.kind == "u":
            row["unpacking_png"] = unpacking(pixels[:1024, :1536], given.runs)
        rows.append(row)
        print(row)
    write_result({**heading("packing"), "pictures": rows}, given.json)


if __name__ == "__main__":
    main()
