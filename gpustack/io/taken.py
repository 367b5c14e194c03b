"""How a frame was taken, by its EXIF: when, by which camera, exposed and focused how."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from gpustack.io.exif import Exif
from gpustack.io.ifd import Entry

_MAKE, _MODEL, _DATE_TIME = 271, 272, 306
_EXPOSURE, _APERTURE, _ISO, _TAKEN, _DISTANCE, _FOCAL, _SUBSECOND = (
    33434,
    33437,
    34855,
    36867,
    37382,
    37386,
    37521,
)
_WHITE_BALANCE, _WHOLE, _RATIONAL = 41987, (3, 4), 5
_DATE = re.compile(rb"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)")


@dataclass(frozen=True, slots=True)
class Taken:
    """seconds: since 1970 by the camera's clock; camera: make and model; exposure: shutter in seconds,
    f-number and ISO; focal_mm; distance_m. None, or empty, where the file does not say."""

    seconds: float | None = None
    camera: str = ""
    shutter_s: float | None = None
    aperture: float | None = None
    iso: float | None = None
    focal_mm: float | None = None
    distance_m: float | None = None


def of_exif(exif: Exif | None) -> Taken:
    """What EXIF says; nothing is an error here."""
    main, photo = (
        {entry.tag: entry for entry in part} for part in ((exif.main, exif.photo) if exif else ((), ()))
    )
    return Taken(
        _seconds(photo.get(_TAKEN) or main.get(_DATE_TIME), photo.get(_SUBSECOND)),
        " ".join(_text(main.get(tag)) for tag in (_MAKE, _MODEL)).strip(),
        *(_number(photo.get(tag)) for tag in (_EXPOSURE, _APERTURE, _ISO, _FOCAL, _DISTANCE)),
    )


def white_balance(exif: Exif | None) -> int | None:
    """0 where the camera chose it, 1 where it was set by hand; None where the file does not say."""
    found = [entry for entry in (exif.photo if exif else ()) if entry.tag == _WHITE_BALANCE]
    return found[0].numbers[0] if found and found[0].type in _WHOLE else None


def _text(entry: Entry | None) -> str:
    return "" if entry is None else entry.data.split(b"\0")[0].decode(errors="replace").strip()


def _number(entry: Entry | None) -> float | None:
    """A rational or whole number above 0; infinity is written as 2^32 - 1, and means nothing here."""
    if entry is None or entry.type not in (*_WHOLE, _RATIONAL) or not entry.numbers:
        return None
    first, *more = entry.numbers
    if not first or first == 2**32 - 1:
        return None
    if entry.type != _RATIONAL:
        return float(first)
    return first / more[0] if more[0] else None


def _seconds(date: Entry | None, fraction: Entry | None) -> float | None:
    found = None if date is None else _DATE.match(date.data)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups())
    try:
        whole = datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None
    digits = _text(fraction)
    return whole + (float(f"0.{digits}") if digits.isascii() and digits.isdigit() else 0.0)
