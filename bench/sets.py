"""The sets of frames that ours and peers are compared on: made once into the cache folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
from dng import write_dng
from frames import FrameSet, rendered
from measure import BenchError
from sweep import Sweep, repeated, write_files

RECIPE = 1
PCB_SCALE, PCB_FRAMES = 13 / 8, 28
TRUTH = "truth.png"
READ_RAW = ("gpustack", "openfocus")
"""The beginnings of the names of those that read RAW files. Shine Stacker 1.17.4 has a reader, which gives
rawpy four numbers for a gamma and so ends on any file."""


def frame_set(name: str, cache: Path) -> FrameSet:
    """The set of this name, made under `cache` where it is not there yet."""
    return SETS[name](cache)


def fuse12(cache: Path) -> FrameSet:
    """24 JPEG frames of 12 megapixels of a slanted scene, aligned, with truth."""
    return rendered(cache, "fuse12", 24)


def pcb(cache: Path) -> FrameSet:
    """A circuit board (breathing 3.6 %), seven photographs enlarged to 8.3 megapixels, to and fro: 28 JPEG
    frames."""
    photographs = sorted((_data() / "stacks" / "pcb").glob("pcb_*.jpg"))
    if not photographs:
        raise BenchError("No pcb_*.jpg under stacks/pcb: set GPUSTACK_DATA to the data folder.")

    def make(folder: Path) -> list[Path]:
        return [_enlarged(path, folder / path.name) for path in photographs]

    return FrameSet("pcb", _linked(cache, "pcb", PCB_FRAMES, make), truth=None, align=True)


def moving24(cache: Path) -> FrameSet:
    """24 JPEG frames of 24 megapixels that drift and breathe."""
    return _swept(cache, "moving24", (4000, 6000), 24, "jpeg", out="out.jpg")


def tiff16(cache: Path) -> FrameSet:
    """12 TIFF frames of 12 megapixels in 16 bits, not packed, that drift and breathe; TIFF is written."""
    return _swept(cache, "tiff16", (3000, 4000), 12, "tiff", out="out.tif")


def raw12(cache: Path) -> FrameSet:
    """12 DNG frames of 12 megapixels with Bayer's mosaic, not packed, that drift and breathe; TIFF is
    written."""

    def make(folder: Path) -> list[Path]:
        return _raw_files(Sweep((3000, 4000), 12), folder)

    return FrameSet("raw12", _made(cache, "raw12", make), None, align=True, out="out.tif", readers=READ_RAW)


def raw(cache: Path) -> FrameSet:
    """The data folder's six DNG frames of 0.8 megapixels, made of photographs; TIFF is written."""

    def make(folder: Path) -> list[Path]:
        sources = sorted((_data() / "raw" / "synthetic_dng_stack_bayer").glob("*.dng"))
        return [Path(shutil.copyfile(source, folder / source.name)) for source in sources]

    return FrameSet("raw", _made(cache, "raw", make), None, align=True, out="out.tif", readers=READ_RAW)


def little(cache: Path) -> FrameSet:
    """Six JPEG frames of 0.5 megapixels: says nothing, but shows in a minute that everybody runs."""
    return _swept(cache, "little", (600, 800), 6, "jpeg", out="out.jpg")


SETS: dict[str, Callable[[Path], FrameSet]] = {
    "fuse12": fuse12,
    "pcb": pcb,
    "moving24": moving24,
    "tiff16": tiff16,
    "raw12": raw12,
    "raw": raw,
    "little": little,
}


def sweep_files(cache: Path, size: tuple[int, int], distinct: int, count: int, kind: str = "jpeg") -> Path:
    """A folder of `count` frames, (height, width) large: `distinct` files to and fro, through links; `kind`
    as `write_files` has it, or raw."""
    name = f"sweep-{size[1]}x{size[0]}-{distinct}" + ("" if kind == "jpeg" else f"-{kind}")

    def make(folder: Path) -> list[Path]:
        sweep = Sweep(size, distinct)
        return _raw_files(sweep, folder) if kind == "raw" else write_files(sweep, kind, folder)

    return _linked(cache, name, count, make)


def _raw_files(sweep: Sweep, folder: Path) -> list[Path]:
    return [write_dng(folder / f"{index:03d}.dng", sweep.frame(index)) for index in range(sweep.count)]


def _swept(cache: Path, name: str, size: tuple[int, int], count: int, kind: str, out: str) -> FrameSet:
    folder = _made(cache, name, lambda folder: write_files(Sweep(size, count), kind, folder))
    truth = _made(cache, f"{name}-truth", lambda folder: [_write_truth(Sweep(size, count), kind, folder)])
    return FrameSet(name, folder, truth / TRUTH, align=True, out=out)


def _write_truth(sweep: Sweep, kind: str, folder: Path) -> Path:
    """The sharp picture, red and blue as a reader of the frames finds them."""
    sharp = sweep.truth()
    seen = sharp if kind == "jpeg" else cv2.cvtColor(sharp, cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(folder / TRUTH), seen, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return folder / TRUTH


def _made(cache: Path, name: str, make: Callable[[Path], list[Path]]) -> Path:
    """The folder that `make` fills, if it is not there."""
    home = cache / "sets" / f"{name}-r{RECIPE}"
    if not home.exists():
        part = home.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        make(part)
        part.rename(home)
    return home


def _linked(cache: Path, name: str, count: int, make: Callable[[Path], list[Path]]) -> Path:
    """A folder of `count` links to the files that `make` makes."""
    files = sorted(_made(cache, name, make).iterdir())
    return _made(cache, f"{name}-{count}", lambda folder: repeated(files, count, folder))


def _enlarged(source: Path, target: Path) -> Path:
    picture = cv2.imread(str(source), cv2.IMREAD_COLOR)
    large = cv2.resize(picture, None, fx=PCB_SCALE, fy=PCB_SCALE, interpolation=cv2.INTER_LANCZOS4)
    cv2.imwrite(str(target), large, [cv2.IMWRITE_JPEG_QUALITY, 93])
    return target


def _data() -> Path:
    data = os.environ.get("GPUSTACK_DATA")
    if not data:
        raise BenchError("This set needs the data folder: set GPUSTACK_DATA to its path.")
    return Path(data)
