"""Stacks of microscopes: what ImageJ and OME-TIFF files say about slices, channels and measures.

Sources: the OME-XML schema 2016-06; ImageJ's FileInfo and TiffDecoder (ij/io). A slice may lie in several
pages, one a channel: they become one frame, first channel red, second green, third blue, as ImageJ shows
them.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Any

from tifffile import TiffFile

from gpustack.errors import DecodeError
from gpustack.io.told import Voxel

_MOST_CHANNELS = 3
_XML_LIMIT = 64 << 20
# In micrometres. ImageJ writes "micron" or a letter mu; OME-XML has micrometres where it names no unit.
_UNITS = {
    "um": 1.0, "µm": 1.0, "μm": 1.0, "\\u00b5m": 1.0, "micron": 1.0, "microns": 1.0,
    "micrometer": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25_400.0, "in": 25_400.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Volume:
    """How the pages of a file make slices: `slices` of `channels` pages, where channels follow each other
    (`together`) or all slices of one come before those of the next; measures in micrometres."""

    slices: int
    channels: int
    together: bool
    voxel: Voxel

    def pages(self, index: int) -> tuple[int, ...]:
        """The pages of a slice, by channel."""
        if self.together:
            return tuple(index * self.channels + channel for channel in range(self.channels))
        return tuple(channel * self.slices + index for channel in range(self.channels))


def volume(tif: TiffFile, name: str) -> Volume | None:
    """What a file says about its pages; None for a file of neither program, or one that says nothing.

    Raises: DecodeError for several points in time, and for more channels than colours.
    """
    found = _of_imagej(tif) if tif.is_imagej else _of_ome(tif) if tif.is_ome else None
    if found is None:
        return None
    layout, times = found
    if times > 1:
        raise DecodeError(name, f"it holds {times} points in time.", "Export one of them as a stack.")
    if layout.channels > _MOST_CHANNELS:
        raise DecodeError(
            name, f"it has {layout.channels} channels a slice.", "Export up to three of them as a stack."
        )
    return layout


def _of_imagej(tif: TiffFile) -> tuple[Volume, int]:
    """Channels come first, then slices, then points in time."""
    told = tif.imagej_metadata or {}
    counts = [_whole(told.get(key)) for key in ("images", "channels", "frames")]
    images, channels, times = (max(1, count) for count in counts)
    unit = _UNITS.get(str(told.get("unit", "")).strip().lower())
    first = tif.pages[0].aspage()
    pixels, over = first.tags.valueof(282, (0, 1))
    # ImageJ writes pixels per unit of its own, and names no unit of TIFF.
    pixel = unit * over / pixels if unit and pixels and over else None
    step = _length(told.get("spacing"), unit)
    if channels > 1 and first.samplesperpixel > 1:
        channels = 1  # RGB pictures count theirs as channels, too
    return Volume(max(1, images // channels // times), channels, True, Voxel(pixel, step)), times


def _of_ome(tif: TiffFile) -> tuple[Volume, int] | None:
    """The first image of the file; nothing where its pages are spread over files."""
    pixels = _ome_pixels(tif.ome_metadata or "")
    if pixels is None:
        return None
    planes = len(tif.pages)
    slices, times, samples = (max(1, _whole(pixels.get(key))) for key in ("SizeZ", "SizeT", "SizeC"))
    channels = max(1, samples // tif.pages[0].aspage().samplesperpixel)
    voxel = Voxel(*(_length(pixels.get(f"PhysicalSize{axis}"), _ome_unit(pixels, axis)) for axis in "XZ"))
    if slices * times * channels != planes:
        return Volume(planes, 1, True, voxel), 1
    order = pixels.get("DimensionOrder", "XYCZT")
    return Volume(slices, channels, order.find("C") < order.find("Z"), voxel), times


def _ome_pixels(text: str) -> dict[str, str] | None:
    """The attributes of the first element Pixels; entities are refused, as those of a hostile file grow."""
    if len(text) > _XML_LIMIT or "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None
    try:
        root = ET.fromstring(text)
    except (ET.ParseError, ValueError):
        return None
    found = next((each for each in root.iter() if each.tag.rpartition("}")[2] == "Pixels"), None)
    return None if found is None else dict(found.attrib)


def _ome_unit(pixels: dict[str, str], axis: str) -> float | None:
    return _UNITS.get(pixels.get(f"PhysicalSize{axis}Unit", "µm").strip().lower())


def _length(value: Any, unit: float | None) -> float | None:
    """A length in micrometres: above 0, else it is not known."""
    try:
        length = abs(float(value)) * (unit or 0.0)
    except (TypeError, ValueError):
        return None
    return length if 0 < length < 1e9 else None


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0
