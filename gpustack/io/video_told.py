"""What phones and cameras note in a video, as EXIF."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from fractions import Fraction

from gpustack.io.exif import Exif
from gpustack.io.ifd import Entry

_ASCII, _BYTE, _RATIONAL = 2, 1, 5
_MAKE, _MODEL, _TAKEN, _TAKEN_ZONE = 271, 272, 36867, 36881
_APPLE = "com.apple.quicktime."
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?")
# ISO 6709, annex H: latitude, longitude and height as decimals with signs.
_PLACE = re.compile(r"([+-]\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)?")


def exif_of(notes: Mapping[str, str]) -> Exif | None:
    """Maker, model, date and place; None where nothing is noted."""
    main = [
        _text(tag, text)
        for tag, text in ((_MAKE, _note(notes, "make")), (_MODEL, _note(notes, "model")))
        if text
    ]
    place = _note(notes, "location.ISO6709") or notes.get("location", "")
    exif = Exif(
        tuple(main), tuple(_date(_note(notes, "creationdate") or notes.get("creation_time", ""))), _gps(place)
    )
    return exif or None


def _note(notes: Mapping[str, str], name: str) -> str:
    return notes.get(_APPLE + name) or notes.get(name, "")


def _text(tag: int, text: str) -> Entry:
    return Entry(tag, _ASCII, text.encode() + b"\0")


def _date(text: str) -> list[Entry]:
    found = _DATE.match(text)
    if found is None:
        return []
    year, month, day, hour, minute, second, zone = found.groups()
    entries = [_text(_TAKEN, f"{year}:{month}:{day} {hour}:{minute}:{second}")]
    if zone:
        offset = "+00:00" if zone == "Z" else f"{zone[:3]}:{zone[-2:]}"
        entries.append(_text(_TAKEN_ZONE, offset))
    return entries


def _gps(text: str) -> tuple[Entry, ...]:
    found = _PLACE.match(text)
    if found is None:
        return ()
    latitude, longitude, height = (None if part is None else Fraction(part) for part in found.groups())
    assert latitude is not None
    assert longitude is not None
    entries = [
        Entry(0, _BYTE, bytes((2, 3, 0, 0))),
        _text(1, "N" if latitude >= 0 else "S"),
        Entry(2, _RATIONAL, _degrees(latitude)),
        _text(3, "E" if longitude >= 0 else "W"),
        Entry(4, _RATIONAL, _degrees(longitude)),
    ]
    if height is not None:
        entries += [Entry(5, _BYTE, bytes((height < 0,))), Entry(6, _RATIONAL, _ratio(abs(height)))]
    return tuple(entries)


def _degrees(value: Fraction) -> bytes:
    """Degrees, minutes and seconds."""
    whole, rest = divmod(abs(value), 1)
    minutes, rest = divmod(rest * 60, 1)
    return _ratio(Fraction(whole)) + _ratio(Fraction(minutes)) + _ratio(rest * 60)


def _ratio(value: Fraction) -> bytes:
    near = value.limit_denominator(100_000)
    return struct.pack("<II", near.numerator, near.denominator)
