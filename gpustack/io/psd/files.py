"""Layered files as a whole: PSD and PSB, and TIFF with Photoshop's layers in a tag.

Nothing of a layer is kept: a file is begun with the picture and the boxes of all layers, and each is written
when it is there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from gpustack.io.encode import encode_tiff
from gpustack.io.exif import Exif, point, rebuild
from gpustack.io.ifd import Elsewhere
from gpustack.io.metadata import Metadata
from gpustack.io.psd.channels import Packer
from gpustack.io.psd.form import PSB, PSD, Form
from gpustack.io.psd.layers import LayerInfo, Picture, Record
from gpustack.io.xmp import renewed
from gpustack.model.layer import Box

Pixels = npt.NDArray[Any]
WriteLayer = Callable[[Picture], None]

_GRAY, _RGB = 1, 3
_RESOLUTION, _ICC, _VERSION, _EXIF, _XMP = 1005, 1039, 1057, 1058, 1060
_IMAGE_SOURCE_DATA, _UNDEFINED = 37724, 7
_TIFF_MARK = b"Adobe Photoshop Document Data Block\0"
_SCREEN_PPI = 72.0
_USER_MASK = 128


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """What lies below all layers: the fused picture (h, w, c) uint8 or uint16, c 1 to 4 and upright, what is
    told of it, the program, and its layer's name; and how all layers look together, where that is not it."""

    pixels: Pixels
    metadata: Metadata
    software: str
    name: str
    together: Pixels | None = None

    @property
    def merged(self) -> Pixels:
        """How all layers look together."""
        return self.pixels if self.together is None else self.together

    @property
    def depth(self) -> int:
        """Bits of a sample."""
        return 8 * self.pixels.dtype.itemsize

    @property
    def colours(self) -> int:
        """Channels without alpha."""
        return 1 if self.pixels.shape[2] < 3 else 3

    @property
    def has_alpha(self) -> bool:
        """Whether it has alpha."""
        return self.pixels.shape[2] in (2, 4)

    @property
    def layer(self) -> Picture:
        """It, as a layer."""
        alpha = self.pixels[..., -1] if self.has_alpha else opaque(self.pixels.shape[:2])
        return Picture(self.pixels[..., : self.colours], alpha)


def opaque(size: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Alpha of a picture of a size (h, w) that hides everything, in no memory."""
    return np.broadcast_to(np.uint8(255), size)


@contextmanager
def photoshop_file(
    file: BinaryIO, base: Base, records: Sequence[Record], *, large: bool, threads: int
) -> Iterator[WriteLayer]:
    """Write a PSD file, or a `large` one, PSB, into an empty file; gives what writes the layers of
    `records`, in order, the lowest first. The base is written here, below them."""
    form = PSB if large else PSD
    height, width, channels = base.pixels.shape
    mode = _GRAY if base.colours == 1 else _RGB
    file.write(b"8BPS" + form.pack("H6x", 2 if large else 1))
    file.write(form.pack("HIIHH", channels, height, width, base.depth, mode))
    file.write(form.pack("I", 0))  # a palette, which there is none of
    resources = _resources(base, form)
    file.write(form.pack("I", len(resources)) + resources)
    with ThreadPoolExecutor(threads, "layers") as pool:
        packer = Packer(file, form, base.depth, pool, threads)
        with form.measured(file):
            if base.depth == 8:
                with form.measured(file, align=4), _layers(file, form, packer, base, records) as write:
                    yield write
                file.write(form.pack("I", 0))  # a mask over all layers, which there is none of
            else:
                file.write(form.length(0) + form.pack("I", 0) + b"8BIMLr16")
                with form.measured(file, align=4), _layers(file, form, packer, base, records) as write:
                    yield write
        packer.write_merged(_merged(base))


@contextmanager
def layered_tiff(
    file: BinaryIO, base: Base, records: Sequence[Record], *, large: bool, threads: int
) -> Iterator[WriteLayer]:
    """The same as a TIFF, `large` as BigTIFF: every reader shows the picture, those that know the tag
    (Photoshop, Affinity, Krita) the layers."""
    encode_tiff(file, base.merged, base.metadata, base.software, big=large)
    start = file.seek(0, os.SEEK_END)
    form = Form("<", wide=large, signature=b"8B64" if large else b"8BIM")
    file.write(_TIFF_MARK + form.key(form.signature) + form.key(b"Layr" if base.depth == 8 else b"Lr16"))
    with ThreadPoolExecutor(threads, "layers") as pool:
        packer = Packer(file, form, base.depth, pool, threads)
        with form.measured(file, align=4), _layers(file, form, packer, base, records) as write:
            yield write
    # Photoshop writes a mask over all layers, too, and readers look for it.
    file.write(form.key(form.signature) + form.key(b"LMsk") + form.length(14))
    file.write(form.pack("h4HHBx", -1, 0, 0, 0, 0, 0, _USER_MASK) + bytes(2))
    point(file, Elsewhere(_IMAGE_SOURCE_DATA, _UNDEFINED, file.tell() - start, start))


@contextmanager
def _layers(
    file: BinaryIO, form: Form, packer: Packer, base: Base, records: Sequence[Record]
) -> Iterator[WriteLayer]:
    """The layer info, its base written."""
    height, width = base.pixels.shape[:2]
    whole = Record(base.name, box=Box(0, 0, width, height))
    info = LayerInfo(file, form, packer, base.colours, [whole, *records], base.has_alpha)
    info.write(base.layer)
    yield info.write


def _merged(base: Base) -> list[Pixels]:
    """The planes of the picture without layers; where it is not opaque, over white, as Photoshop has it."""
    planes = [base.merged[..., number] for number in range(base.merged.shape[2])]
    if not base.has_alpha:
        return planes
    *colours, alpha = planes
    return [*(_over_white(plane, alpha) for plane in colours), alpha]


def _over_white(plane: Pixels, alpha: Pixels) -> Pixels:
    """White less what is opaque of the difference to it, rounded."""
    out, top = np.empty_like(plane), np.uint64(np.iinfo(plane.dtype).max)
    for row, (values, opacity) in enumerate(zip(plane, alpha, strict=True)):
        out[row] = top - ((top - values) * opacity + top // np.uint64(2)) // top
    return out


def _resources(base: Base, form: Form) -> bytes:
    """Image resources: resolution, profile, EXIF, XMP; and that the merged picture is a real one."""
    height, width = base.pixels.shape[:2]
    metadata = base.metadata
    found = {
        _RESOLUTION: _resolution(metadata.resolution or (_SCREEN_PPI, _SCREEN_PPI), form),
        _ICC: metadata.icc,
        _VERSION: form.pack("IB", 1, 1) + 2 * form.text(base.software) + form.pack("I", 1),
        _EXIF: rebuild(metadata.exif or Exif(), width, height, base.software),
        _XMP: renewed(metadata.xmp, base.software, metadata.history),
    }
    blocks = (
        b"8BIM" + form.pack("HHI", number, 0, len(data)) + data + bytes(len(data) % 2)
        for number, data in found.items()
        if data
    )
    return b"".join(blocks)


def _resolution(per_inch: tuple[float, float], form: Form) -> bytes:
    """Pixels per inch, shown as such, and sizes in inches."""
    x, y = (min(round(value * 65536), 2**31 - 1) for value in per_inch)
    return form.pack("IHHIHH", x, 1, 1, y, 1, 1)
