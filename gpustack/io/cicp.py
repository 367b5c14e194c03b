"""Colour that a file names by numbers instead of a profile, as the ICC profile that every program reads.

Source: ITU-T H.273 (coding-independent code points), tables 2 and 3; HEIF, AVIF, JPEG XL and video use them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import imagecodecs
import numpy as np

from gpustack.io.colour import srgb_profile

SRGB_PRIMARIES, UNSPECIFIED, LINEAR, SRGB_CURVE = 1, 2, 8, 13
_D65, _C, _DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
_CURVE_STEPS = 4096

XY = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Gamut:
    """Chromaticities (x, y) of white, red, green and blue."""

    white: XY
    red: XY
    green: XY
    blue: XY


_709 = Gamut(_D65, (0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_601_625 = Gamut(_D65, (0.640, 0.330), (0.290, 0.600), (0.150, 0.060))
_601_525 = Gamut(_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070))
_P3 = Gamut(_D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
GAMUTS = {
    SRGB_PRIMARIES: _709,
    4: Gamut(_C, (0.670, 0.330), (0.210, 0.710), (0.140, 0.080)),
    5: _601_625,
    6: _601_525,
    7: _601_525,
    9: Gamut(_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: Gamut(_DCI, _P3.red, _P3.green, _P3.blue),
    12: _P3,
    22: Gamut(_D65, (0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),
}

# BT.709, 601 and 2020 state how cameras code light, not how screens show it. Browsers, players that save a
# picture, and editors take them for sRGB, and so do the pictures that people compare ours with.
_SRGB_CURVES = (1, UNSPECIFIED, 6, SRGB_CURVE, 14, 15)
_GAMMAS = {4: 2.2, 5: 2.8, LINEAR: 1.0, 17: 2.6}
_HLG = 18


def profile(primaries: int, transfer: int, *, gray: bool = False) -> bytes | None:
    """The profile of two code points; None for what `coded` cannot say, and for primaries that are no
    colours. Where the primaries are not stated, they are those of sRGB.
    """
    gamut = GAMUTS.get(SRGB_PRIMARIES if primaries == UNSPECIFIED else primaries)
    return None if gamut is None else coded(gamut, transfer, gray=gray)


@cache
def coded(gamut: Gamut, transfer: int, *, gray: bool = False) -> bytes | None:
    """The profile of chromaticities and a curve; None for one that depends on the screen (PQ), or that has
    no black (logarithmic)."""
    curve = _curve(transfer)
    if curve is None:
        return None
    if gamut == _709 and transfer in _SRGB_CURVES and not gray:
        return srgb_profile()
    return made(gamut, curve, gray=gray)


def made(gamut: Gamut, curve: float | tuple[int, ...], *, gray: bool = False) -> bytes:
    """A profile of these chromaticities and a gamma, or a table of light, 0 to 65535, for the levels from
    black to white; of the white alone, where the picture is `gray`."""
    coded = {"gamma": curve} if isinstance(curve, float) else {"transferfunction": np.array(curve, np.uint16)}
    if gray:
        found = imagecodecs.cms_profile("gray", whitepoint=(*gamut.white, 1), **coded)
    else:
        corners = [part for corner in (gamut.red, gamut.green, gamut.blue) for part in (*corner, 1.0)]
        found = imagecodecs.cms_profile("rgb", whitepoint=(*gamut.white, 1), primaries=corners, **coded)
    undated = bytearray(found)
    undated[24:36] = srgb_profile()[24:36]
    return bytes(undated)


def _curve(transfer: int) -> float | tuple[int, ...] | None:
    if transfer in _GAMMAS:
        return _GAMMAS[transfer]
    level = np.linspace(0, 1, _CURVE_STEPS)
    if transfer in _SRGB_CURVES:
        light = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    elif transfer == _HLG:
        light = np.where(
            level <= 0.5, level**2 / 3, (np.exp((level - 0.55991073) / 0.17883277) + 0.28466892) / 12
        )
    else:
        return None
    return tuple(int(value) for value in np.rint(light * 65535))
