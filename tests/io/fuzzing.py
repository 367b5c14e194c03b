"""Files that were damaged on purpose, decoded in a process that may die of it: what became of each."""

from __future__ import annotations

import io
import multiprocessing
import os
import resource
import sys
import time
import traceback
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from hypothesis import strategies as st
from PIL import Image

from gpustack.errors import GpustackError
from gpustack.io import xmp
from gpustack.io.decode import Decoder, probe
from gpustack.io.exif import rebuild
from gpustack.io.metadata import Metadata, description, read_metadata, without_gps
from gpustack.io.taken import of_exif
from tests.io.dng import mosaic, write_dng

MOST_CPU_S = 5.0
"""Processor seconds that a file may take: what hangs on a machine with other work is no hang."""

MOST_WALL_S = 60.0
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a file: `said` is the sentence it was refused with, empty where it was read; `broken`
    what must not happen, empty where nothing did; processor seconds, and bytes that the process grew by, at
    most."""

    said: str = ""
    broken: str = ""
    seconds: float = 0.0
    grown: int = 0


def read_all(path: Path) -> None:
    """Everything that a run does with a frame's file."""
    frames = probe(path)
    for frame in {frames[0], frames[-1]}:
        decoder = Decoder(frame)
        pixels = decoder(frame)
        decoder.unpack(frame, np.empty_like(pixels))
        decoder.reduced(frame, max(frame.kind.reductions), colours=True)
        decoder.shot(frame)
        _carried_over(read_metadata(frame))


def _carried_over(metadata: Metadata) -> None:
    """What is done with metadata when they are written."""
    if metadata.exif is not None:
        rebuild(metadata.exif, 1, 1, "a test")
        of_exif(metadata.exif)
    xmp.renewed(without_gps(metadata).xmp, "a test", "done")
    description(metadata)


def fate_of(path: Path) -> Fate:
    """Read a file in this process."""
    before, started = _fresh_peak(), time.process_time()
    said = broken = ""
    try:
        read_all(path)
    except GpustackError as error:
        said = str(error)
        if "\n" in said or not error.message.endswith("."):
            broken = f"no sentence: {said!r}"
    except Exception:
        broken = traceback.format_exc()
    return Fate(said, broken, time.process_time() - started, max(0, _peak() - before))


def _fresh_peak() -> int:
    """Let the largest resident set begin anew, where the system can; what it is now, in bytes."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _serve(pipe: Connection, folder: str) -> None:
    """Read files as they come, until the pipe closes; what libraries print is lost."""
    hole = os.open(os.devnull, os.O_WRONLY)
    os.dup2(hole, 1)
    os.dup2(hole, 2)
    path = Path(folder) / f"case-{os.getpid()}"
    with suppress(EOFError):
        while True:
            path.write_bytes(pipe.recv_bytes())
            pipe.send(fate_of(path))


class Reader:
    """A process that reads files, and is replaced when it dies or hangs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._context = multiprocessing.get_context("spawn")
        self._begin()

    def _begin(self) -> None:
        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(theirs, str(self._folder)), daemon=True)
        self._process.start()
        theirs.close()

    def read(self, data: bytes) -> Fate:
        """What becomes of a file with this content."""
        self._pipe.send_bytes(data)
        with suppress(EOFError, ConnectionResetError):
            if self._pipe.poll(MOST_WALL_S):
                fate: Fate = self._pipe.recv()
                return fate
        hangs = self._process.is_alive()
        self.close()
        code = self._process.exitcode
        self._begin()
        return Fate(broken="it hangs" if hangs else f"the process died with {code}")

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(1)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


@contextmanager
def reader(folder: Path) -> Iterator[Reader]:
    """A reader, ended at last."""
    made = Reader(folder)
    try:
        yield made
    finally:
        made.close()


Mutation = Callable[[bytearray], None]
_NUMBERS = (0, 1, 2, 3, 7, 8, 255, 256, 4096, 65_500, 65_535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def mutations() -> st.SearchStrategy[list[Mutation]]:
    """A few things that go wrong with a file, most of them near its beginning, where the headers are."""
    where = st.tuples(st.sampled_from([64, 256, 1024, 1 << 30]), st.integers(0, 1 << 20))
    return st.lists(
        st.one_of(
            st.builds(_flipped, where, st.integers(0, 7)),
            st.builds(_written, where, st.binary(min_size=1, max_size=8)),
            st.builds(
                _numbered, where, st.sampled_from(_NUMBERS), st.sampled_from([2, 4, 8]),
                st.sampled_from(["little", "big"]),
            ),
            st.builds(_inserted, where, st.binary(min_size=1, max_size=16)),
            st.builds(_removed, where, st.integers(1, 64)),
            st.builds(_repeated, where, st.integers(1, 200), st.integers(1, 40)),
            st.builds(_cut, where),
        ),
        min_size=1, max_size=6,
    )  # fmt: skip


Where = tuple[int, int]


def _at(data: bytearray, where: Where) -> int:
    return where[1] % max(1, min(where[0], len(data)))


def _flipped(where: Where, bit: int) -> Mutation:
    def change(data: bytearray) -> None:
        if data:
            data[_at(data, where)] ^= 1 << bit

    return change


def _written(where: Where, content: bytes) -> Mutation:
    def change(data: bytearray) -> None:
        at = _at(data, where)
        data[at : at + len(content)] = content

    return change


def _numbered(where: Where, number: int, width: int, order: Any) -> Mutation:
    return _written(where, (number % 2 ** (8 * width)).to_bytes(width, order))


def _inserted(where: Where, content: bytes) -> Mutation:
    def change(data: bytearray) -> None:
        at = _at(data, where)
        data[at:at] = content

    return change


def _removed(where: Where, count: int) -> Mutation:
    def change(data: bytearray) -> None:
        at = _at(data, where)
        del data[at : at + count]

    return change


def _repeated(where: Where, count: int, times: int) -> Mutation:
    def change(data: bytearray) -> None:
        at = _at(data, where)
        data[at:at] = data[at : at + count] * times

    return change


def _cut(where: Where) -> Mutation:
    def change(data: bytearray) -> None:
        del data[_at(data, where) :]

    return change


def summed(data: bytes) -> bytes:
    """A PNG file with the checksums that its chunks should have, so that damage is not seen by them."""
    done, at = bytearray(data[:8]), 8
    while at + 8 <= len(data):
        stop = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if stop > len(data):
            break
        done += data[at:stop] + zlib.crc32(data[at + 4 : stop]).to_bytes(4, "big")
        at = stop + 4
    return bytes(done) + data[at:]


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


def worst(fates: Sequence[Fate]) -> str:
    """The largest figures, for a look at them."""
    slow, large = max(fate.seconds for fate in fates), max(fate.grown for fate in fates)
    refused = sum(bool(fate.said) for fate in fates)
    return f"{len(fates)} files, {refused} refused, {slow:.2f} s, {large / MIB:.0f} MiB at most"


if sys.platform == "win32":  # pragma: no cover
    raise ImportError("processes are looked into in another way there")
