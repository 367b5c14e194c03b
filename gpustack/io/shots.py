"""How frames were taken, and what about that differs over a stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gpustack.io import taken
from gpustack.io.exif import Exif

if TYPE_CHECKING:
    import rawpy

_SAME = 0.01
"""Values that differ by less are the same, rounded in another way: a third of a stop is 26 %."""
_MOST_NAMED = 5
_NAMES = {
    "iso": "ISO speed",
    "shutter": "shutter speed",
    "aperture": "aperture",
    "focal_length": "focal length",
    "balance": "white balance",
}


@dataclass(frozen=True, slots=True)
class Shot:
    """How a frame was taken; empty where its file does not say. `balance` is the white balance relative to
    green of a RAW file; of another 1 where the camera chose it, 2 where it was set by hand."""

    iso: tuple[float, ...] = ()
    shutter: tuple[float, ...] = ()
    aperture: tuple[float, ...] = ()
    focal_length: tuple[float, ...] = ()
    balance: tuple[float, ...] = ()


def of_raw(file: rawpy.RawPy) -> Shot:
    """What LibRaw tells; it unpacks the sensor data for that, so ask when they are needed anyway."""
    other, balance = file.other, tuple(file.camera_whitebalance[:3])
    return Shot(
        _told(other.iso_speed),
        _told(other.shutter_speed),
        _told(other.aperture),
        _told(other.focal_length),
        tuple(part / balance[1] for part in balance) if min(balance) > 0 else (),
    )


def of_exif(exif: Exif | None) -> Shot:
    """What the EXIF of a developed file tells."""
    told, way = taken.of_exif(exif), taken.white_balance(exif)
    iso, shutter, aperture, focal = (
        _told(value or 0.0) for value in (told.iso, told.shutter_s, told.aperture, told.focal_mm)
    )
    return Shot(iso, shutter, aperture, focal, () if way is None else (1.0 + way,))


def differences(names: Sequence[str], shots: Sequence[Shot], reference: int) -> str | None:
    """A sentence about the frames that were taken otherwise than the reference; None where none was."""
    parts = []
    for field, name in _NAMES.items():
        wanted = getattr(shots[reference], field)
        odd = [frame for frame, one in zip(names, shots, strict=True) if _differ(wanted, getattr(one, field))]
        if odd:
            parts.append(f"{name} ({_listed(odd)})")
    if not parts:
        return None
    return f"Frames were taken otherwise than the reference {names[reference]}: {'; '.join(parts)}."


def _differ(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether both are told, and are not the same."""
    return len(one) == len(other) > 0 and not np.allclose(one, other, rtol=_SAME, atol=0)


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _told(value: float) -> tuple[float, ...]:
    """A value that is told: 0, and what is no number, stand for not known."""
    return (float(value),) if np.isfinite(value) and value > 0 else ()
