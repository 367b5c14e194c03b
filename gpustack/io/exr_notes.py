"""What OpenEXR headers say of a picture beside its pixels, from and to EXIF.

Source: the standard attributes of OpenEXR 3.2 (ImfStandardAttributes.h).
"""

from __future__ import annotations

import re
import struct
from fractions import Fraction
from typing import Any

from gpustack.io import taken
from gpustack.io.exif import Exif
from gpustack.io.ifd import Entry

_ASCII, _SHORT, _RATIONAL = 2, 3, 5
_DESCRIPTION, _MAKE, _MODEL, _COPYRIGHT = 270, 271, 272, 33432
_EXPOSURE, _APERTURE, _ISO, _TAKEN = 33434, 33437, 34855, 36867
_TEXTS = {"comments": _DESCRIPTION, "cameraMake": _MAKE, "cameraModel": _MODEL, "owner": _COPYRIGHT}
_RATIOS = {"expTime": _EXPOSURE, "aperture": _APERTURE}
_DATE = re.compile(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")


def exif_of(header: dict[str, Any]) -> Exif | None:
    """Camera, exposure, date and owner; None where nothing is noted."""
    main = [_text(tag, header[name]) for name, tag in _TEXTS.items() if isinstance(header.get(name), str)]
    photo = [_ratio(tag, header[name]) for name, tag in _RATIOS.items() if _is_positive(header.get(name))]
    if _is_positive(header.get("isoSpeed")):
        photo.append(Entry(_ISO, _SHORT, struct.pack("<H", min(round(header["isoSpeed"]), 65535))))
    if _DATE.fullmatch(str(header.get("capDate", ""))):
        photo.append(_text(_TAKEN, header["capDate"]))
    return Exif(tuple(main), tuple(photo)) or None


def resolution_of(header: dict[str, Any]) -> tuple[float, float] | None:
    """Pixels per inch, (x, y)."""
    across, aspect = header.get("xDensity"), header.get("pixelAspectRatio", 1.0)
    if not _is_positive(across) or not _is_positive(aspect):
        return None
    return float(across or 0), float(across or 0) * float(aspect)


def header_of(
    exif: Exif | None, resolution: tuple[float, float] | None, software: str, history: str | None
) -> dict[str, Any]:
    """The same as attributes, and how the picture was made as its comment."""
    told = taken.of_exif(exif)
    texts = {tag: name for name, tag in _TEXTS.items()}
    found: dict[str, Any] = {
        texts[entry.tag]: entry.data.split(b"\0")[0].decode(errors="replace")
        for entry in (exif.main if exif else ())
        if entry.tag in texts and entry.type == _ASCII
    }
    numbers = {"expTime": told.shutter_s, "aperture": told.aperture, "isoSpeed": told.iso}
    found |= {name: float(value) for name, value in numbers.items() if value}
    dates = [entry.data for entry in (exif.photo if exif else ()) if entry.tag == _TAKEN]
    if dates:
        found["capDate"] = dates[0].split(b"\0")[0].decode(errors="replace")
    if resolution:
        found["xDensity"], found["pixelAspectRatio"] = resolution[0], resolution[1] / resolution[0]
    return found | {"software": software} | ({"comments": history} if history else {})


def _is_positive(value: Any) -> bool:
    return isinstance(value, float | int) and 0 < value < 1e9


def _text(tag: int, text: str) -> Entry:
    return Entry(tag, _ASCII, text.encode() + b"\0")


def _ratio(tag: int, value: float) -> Entry:
    near = Fraction(value).limit_denominator(100_000)
    return Entry(tag, _RATIONAL, struct.pack("<II", near.numerator, near.denominator))
