"""What an ICC profile says in numbers: whether its curves are straight, and its chromaticities.

Source: ICC.1:2022, 7.3, 9.2, 10.6, 10.18 and annex E (adaptation to D50).
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from gpustack.io.cicp import GAMUTS, SRGB_PRIMARIES, Gamut

_D50 = (0.9642, 1.0, 0.8249)
_MOST_TAGS = 256
_CURVES = (b"rTRC", b"gTRC", b"bTRC")
_COLORANTS = (b"rXYZ", b"gXYZ", b"bXYZ")
_GAMMA_ONE = 1 << 8  # u8Fixed8Number
_STRAIGHT = 1e-3

Matrix = npt.NDArray[np.float64]


def fitting_profile(icc: bytes | None, channels: int) -> bytes | None:
    """The profile, if it is one for gray or RGB as the pixels are (ICC.1, 7.2.6)."""
    return icc if icc and icc[16:20] == (b"GRAY" if channels < 3 else b"RGB ") else None


def linear_gamut(icc: bytes) -> Gamut | None:
    """The chromaticities of a profile of light as it is, for gray those of sRGB; None for one of coded
    values, or of tables."""
    try:
        tags = _tags(icc)
        curves = [tags[b"kTRC"]] if b"kTRC" in tags else [tags[name] for name in _CURVES]
        straight = all(_is_straight(curve) for curve in curves)
    except (KeyError, ValueError, struct.error):
        return None
    return gamut_of(icc) if straight else None


def gamut_of(icc: bytes) -> Gamut | None:
    """The chromaticities of a profile of three colorants, whatever its curves, for gray those of sRGB; None
    for one of tables."""
    try:
        tags = _tags(icc)
        if b"kTRC" in tags:
            return GAMUTS[SRGB_PRIMARIES]
        to_own_white = np.linalg.inv(_fixed(tags[b"chad"]).reshape(3, 3)) if b"chad" in tags else np.eye(3)
        corners = [to_own_white @ _fixed(tags[name]) for name in _COLORANTS]
        white = to_own_white @ np.array(_D50)
    except (KeyError, ValueError, struct.error, np.linalg.LinAlgError):
        return None
    return Gamut(_xy(white), *(_xy(corner) for corner in corners))


def _tags(icc: bytes) -> dict[bytes, bytes]:
    """Tags by their names."""
    (count,) = struct.unpack_from(">I", icc, 128)
    table = (struct.unpack_from(">4sII", icc, 132 + 12 * row) for row in range(min(count, _MOST_TAGS)))
    return {name: icc[start : start + length] for name, start, length in table}


def _is_straight(body: bytes) -> bool:
    if body[:4] == b"para":
        kind, _, gamma = struct.unpack_from(">HHi", body, 8)
        return bool(kind == 0 and gamma == 1 << 16)
    if body[:4] != b"curv":
        return False
    (count,) = struct.unpack_from(">I", body, 8)
    levels = np.frombuffer(body, ">u2", count, 12)
    if count <= 1:
        return count == 0 or int(levels[0]) == _GAMMA_ONE
    return bool(np.abs(levels / 65535 - np.linspace(0, 1, count)).max() < _STRAIGHT)


def _fixed(body: bytes) -> Matrix:
    """The s15Fixed16Numbers of a tag."""
    return np.frombuffer(body, ">i4", (len(body) - 8) // 4, 8) / 65536


def _xy(colour: Matrix) -> tuple[float, float]:
    x, y, z = (float(part) for part in colour[:3])
    return round(x / (x + y + z), 5), round(y / (x + y + z), 5)
