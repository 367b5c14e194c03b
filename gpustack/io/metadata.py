"""What a frame's file says about its pixels: colour profile, EXIF, resolution.

The pixels matter more: damage is never an error here, what cannot be read is missing from the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gpustack.io import exr, headers, heif, jxl, raw_told, tiff, video, webp, xmp
from gpustack.io.exif import Exif
from gpustack.io.ifd import Entry
from gpustack.io.sensor import Sensor
from gpustack.io.told import Told, Voxel
from gpustack.model.frame import Frame, Kind

UM_PER_INCH = 25_400.0

_IMAGE_DESCRIPTION, _ASCII = 270, 2


@dataclass(frozen=True, slots=True)
class Metadata:
    """Colour profile (ICC bytes), EXIF, resolution (x, y) in pixels per inch, an XMP packet as it was
    found, how the picture was made, the colours of pixels that are linear camera RGB, and the measures of a
    microscope's stack; None where there is none."""

    icc: bytes | None = None
    exif: Exif | None = None
    resolution: tuple[float, float] | None = None
    xmp: bytes | None = None
    history: str | None = None
    sensor: Sensor | None = None
    voxel: Voxel | None = None


def read_metadata(frame: Frame) -> Metadata:
    """Read what the file of `frame` says; of a RAW file nothing about colour, as development decides that."""
    try:
        with frame.path.open("rb") as file:
            match frame.kind:
                case Kind.JPEG:
                    told = headers.of_jpeg(file)
                case Kind.PNG:
                    told = headers.of_png(file)
                case Kind.TIFF:
                    told = _measured(headers.of_tiff(file, frame.page), frame)
                case Kind.RAW:
                    told = raw_told.told(file, frame)
                case Kind.DEVELOPED:
                    told = replace(raw_told.told(file, frame), icc=frame.profile)
                case Kind.ARRAY:
                    return Metadata()
                case _:
                    told = _TELLERS[frame.kind](frame)
    except Exception:  # whatever a reader raises on a file that its decoder may still read
        return Metadata()
    resolution = told.resolution or headers.resolution_of(told.exif)
    return Metadata(sound_profile(told.icc), told.exif, resolution, told.xmp or None, voxel=told.voxel)


_TELLERS: dict[Kind, Callable[[Frame], Told]] = {
    Kind.HEIC: heif.told,
    Kind.AVIF: heif.told,
    Kind.JXL: jxl.told,
    Kind.WEBP: webp.told,
    Kind.EXR: exr.told,
    Kind.VIDEO: video.told,
}


def _measured(told: Told, frame: Frame) -> Told:
    """The same with the measures of a microscope's stack, also as a resolution where there is none."""
    try:
        voxel = tiff.told_voxel(frame.path)
    except Exception:  # no reason to lose the rest
        return told
    if voxel is None or voxel.pixel_um is None or told.resolution is not None:
        return replace(told, voxel=voxel)
    density = UM_PER_INCH / voxel.pixel_um
    return replace(told, voxel=voxel, resolution=(density, density))


def described(metadata: Metadata, text: str) -> Metadata:
    """The same, with another ImageDescription."""
    exif = metadata.exif or Exif()
    others = tuple(entry for entry in exif.main if entry.tag != _IMAGE_DESCRIPTION)
    entry = Entry(_IMAGE_DESCRIPTION, _ASCII, text.encode() + b"\0")
    return replace(metadata, exif=replace(exif, main=(entry, *others)))


def description(metadata: Metadata) -> str | None:
    """The ImageDescription."""
    entries = () if metadata.exif is None else metadata.exif.main
    found = [entry.data for entry in entries if entry.tag == _IMAGE_DESCRIPTION and entry.type == _ASCII]
    return found[0].split(b"\0")[0].decode(errors="replace") if found else None


def without_gps(metadata: Metadata) -> Metadata:
    """The same less the place where the picture was taken."""
    exif = None if metadata.exif is None else replace(metadata.exif, gps=())
    return replace(metadata, exif=exif, xmp=xmp.without_gps(metadata.xmp))


def sound_profile(icc: bytes | None) -> bytes | None:
    """The profile, cut to the size its header (ICC.1, 7.2) states; None where that is no such header."""
    if icc is None or len(icc) < 132 or icc[36:40] != b"acsp":
        return None
    size = int.from_bytes(icc[:4], "big")
    return icc[:size] if 132 <= size <= len(icc) else None
