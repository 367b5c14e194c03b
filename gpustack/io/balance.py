"""The white balance of a stack of RAW frames: what the colours of the sensor are multiplied with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.errors import StackError
from gpustack.io.libraw import developed
from gpustack.settings import Demosaic, WhiteBalance

if TYPE_CHECKING:
    import rawpy

Balance = WhiteBalance | tuple[float, float, float]
"""What red, green and blue are multiplied with, or where that is taken from."""

_NORM = 6
"""Between the mean of a picture, 1, and its brightest pixel, infinite; the best of Finlayson and Trezzi."""
_SIDE = 512
"""Longer side, in pixels, of what is looked at: noise has averaged out there, patches of colour have not."""
_BURNT, _DARK = 0.95, 0.002
"""Shares of white: where a colour is brighter or all are darker, a pixel tells nothing of the light."""


def balance_of(raw: rawpy.RawPy, name: str, wish: Balance) -> tuple[float, ...]:
    """The balance wished for, of red, green, blue and second green; that as shot is LibRaw's daylight one
    where it is missing.

    For DNG files with AsShotWhiteXY, LibRaw reports (0, 1, 0) as shot, and puts the chromaticity into the
    daylight multipliers (rawpy issue 251). Estimating it has LibRaw develop, which changes what it reports.
    Raises StackError where the file does not tell what is wished for.
    """
    if isinstance(wish, tuple):
        return *wish, wish[1]
    shot, daylight = tuple(raw.camera_whitebalance), tuple(raw.daylight_whitebalance)
    match wish:
        case WhiteBalance.CAMERA:
            return shot if _tells(shot) else daylight
        case WhiteBalance.AUTO_FIRST:
            sensed = developed(raw, (1.0, 1.0, 1.0, 1.0), Demosaic.PPG, half_size=True)
            red, green, blue = estimated(sensed, name)
            return red, green, blue, green
        case WhiteBalance.DAYLIGHT:
            if not _tells(daylight):
                raise StackError(f"What is white in daylight is not known for {name}.", "Give --wb as R,G,B.")
            return daylight


def estimated(sensed: npt.NDArray[Any], name: str) -> tuple[float, float, float]:
    """What makes the light of a picture (h, w, 3) uint16 white, of what the sensor saw of it; green is 1.

    Shades of gray (G. D. Finlayson, E. Trezzi, "Shades of gray and colour constancy", 2004): the sixth-power
    means of the colours are taken for those of gray. They lean to what is bright, gleams above all, which
    have the light's colour, and yet no single pixel decides; pixels that are burnt out do not count. Raises
    StackError where there is nothing between black and white.
    """
    shrink = min(1.0, _SIDE / max(sensed.shape[:2]))
    light = sensed.astype(np.float32)
    light /= 65535
    burnt = cv2.dilate((light.max(axis=2) >= _BURNT).astype(np.uint8), np.ones((3, 3), np.uint8))
    light[burnt > 0] = np.nan
    size = max(1, round(light.shape[1] * shrink)), max(1, round(light.shape[0] * shrink))
    small = cv2.resize(light, size, interpolation=cv2.INTER_AREA).reshape(-1, 3)
    small = small[np.isfinite(small).all(axis=1) & (small.max(axis=1) >= _DARK)]
    means = np.mean(small.astype(np.float64) ** _NORM, axis=0) ** (1 / _NORM) if len(small) else np.zeros(3)
    if not means.all():
        raise StackError(f"{name} shows no colours to estimate a white balance from.", "Give --wb as R,G,B.")
    red, green, blue = means[1] / means
    return float(red), float(green), float(blue)


def _tells(balance: tuple[float, ...]) -> bool:
    return bool(np.isfinite(balance).all()) and min(balance[:3]) > 0
