"""Layered files: which format a name asks for, what fits into it, and how it is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from gpustack.errors import UsageError
from gpustack.io.atomic import replacing
from gpustack.io.encode import BIGTIFF_BYTES
from gpustack.io.icc import fitting_profile
from gpustack.io.psd.files import Base, WriteLayer, layered_tiff, photoshop_file
from gpustack.io.psd.layers import Record
from gpustack.io.write import check_output
from gpustack.model.frame import PixelType
from gpustack.model.stack import Stack

LAYER_ENDINGS = (".psd", ".psb", ".tif", ".tiff")

PSD_SIDE, PSD_BYTES = 30_000, (1 << 31) - 1
"""Where PSD ends; PSB, which fewer programs read, has 300,000 pixels a side and no limit of size."""

_GROWTH, _ROW_BYTES = 1.02, 8
"""What compressing noise adds: a share, and bytes a row of a channel."""


def check_layers(path: Path, overwrite: bool, stack: Stack) -> None:
    """Refuse before any work what could not be written.

    Raises as `check_output` does, also of the name that a PSD file too large for one will have; UsageError
    for frames of floating point.
    """
    check_output(path, overwrite, LAYER_ENDINGS)
    if stack.pixel_type is PixelType.FLOAT32:
        raise UsageError(
            f"{path.name} would need 8 or 16 bits a channel, and the frames hold floating point.",
            "Export the frames with 16 bits, or leave --layers out.",
        )
    largest = stack.largest
    planes = (len(stack) + 2) * (largest.channels + 1)
    most = _bound(
        planes * largest.width * largest.height * largest.pixel_type.itemsize, planes * stack.height
    )
    check_output(fitting(path, most, max(stack.width, stack.height)), overwrite, LAYER_ENDINGS)


def fitting(path: Path, most_bytes: int, longest: int) -> Path:
    """The name for a file that may become so large: .psb instead of .psd where that would be too large."""
    small = most_bytes <= PSD_BYTES and longest <= PSD_SIDE
    return path if path.suffix.lower() != ".psd" or small else path.with_suffix(".psb")


def most_bytes(base: Base, records: Sequence[Record]) -> int:
    """Bytes of a layered file, at most."""
    height, width, channels = base.pixels.shape
    planes = base.colours + 1  # with a mask; what is opaque everywhere packs to next to nothing
    samples = 2 * width * height * channels + sum(record.box.pixels for record in records) * planes
    rows = 2 * height * (channels + 1) + sum(record.box.height for record in records) * (planes + 1)
    told = sum(map(len, filter(None, (base.metadata.icc, base.metadata.xmp))))
    return _bound(samples * base.pixels.itemsize, rows) + told + (1 << 20)


def _bound(samples: int, rows: int) -> int:
    return int(samples * _GROWTH) + rows * _ROW_BYTES


@contextmanager
def layered_file(
    path: Path,
    base: Base,
    records: Sequence[Record],
    *,
    overwrite: bool,
    threads: int,
    warn: Callable[[str], None],
) -> Iterator[tuple[Path, WriteLayer]]:
    """Open a layered file over its base; gives its name, and what writes the layers of `records`, in order.

    It appears whole or not at all. `warn` is told where it is no PSD but PSB, or no TIFF but BigTIFF. Raises
    WriteError.
    """
    icc = fitting_profile(base.metadata.icc, base.pixels.shape[2])
    base = replace(base, metadata=replace(base.metadata, icc=icc))
    most = most_bytes(base, records)
    given, path = path, fitting(path, most, max(base.pixels.shape[:2]))
    if path != given:
        warn(
            f"{given.name} would be larger than a PSD file can be, so it is {path.name}, which Photoshop "
            "reads and many other programs do not."
        )
    tiff = path.suffix.lower() in (".tif", ".tiff")
    large = most > BIGTIFF_BYTES if tiff else path.suffix.lower() == ".psb"
    if tiff and large:
        warn(
            f"{path.name} is larger than a TIFF can be, so it is a BigTIFF, whose layers few programs read. "
            "Write the layers to .psb instead."
        )
    write_file = layered_tiff if tiff else photoshop_file
    with (
        replacing(path, overwrite=overwrite) as file,
        write_file(file, base, records, large=large, threads=threads) as write,
    ):
        yield path, write
