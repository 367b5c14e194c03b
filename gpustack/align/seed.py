"""A first guess of a motion that is too large for the coarse-to-fine match: scale, turn and shift.

The magnitude of a picture's spectrum does not change where the picture is shifted, turns with it, and
shrinks as it grows; on log-polar axes both are shifts, which phase correlation finds (Reddy and Chatterji,
"An FFT-based technique for translation, rotation, and scale-invariant image registration", IEEE TIP 5, 1996).
The picture turned and scaled so lies a shift away from the other. All on the host: planes have 256 pixels a
side at most, and no more than a few pairs of a stack ask for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.align.lookup import bilinear
from gpustack.backend.matching import best_shift
from gpustack.model.transform import Matrix
from gpustack.settings import Model

Plane = npt.NDArray[Any]

GUESSES = 3
"""Peaks of the log-polar correlation that are tried: the highest is the right one nearly always."""

LARGEST_SCALE = 1.35
"""Scales looked for lie between this and its inverse: lenses breathe up to 16 % over a whole stack."""

LARGEST_TURN_DEG = 15.0
"""Turns looked for: a handheld camera turns a few degrees; beyond, chance peaks would only compete."""

_ANGLES = 180  # a degree each: a spectrum's magnitude repeats after half a turn
_RADII = 160  # 1.8 % of scale each
_LOWEST, _HIGHEST = 0.02, 0.35  # periods a pixel: below, the band-pass leaves nothing, above, blur
_APART = 2  # pixels around a peak that belong to it


def seeds(here: Plane, there: Plane, model: Model) -> list[Matrix]:
    """Guesses of the motion from `here` to `there`, the likeliest first, in their pixels.

    Both are band-passed planes (h, w) float32 of one size. A model without a turn has none.
    """
    if model in (Model.NONE, Model.SHIFT) or min(here.shape) < 8:
        return []
    return [_shifted(here, there, *turn) for turn in _scales_and_turns(here, there, model)]


def _shifted(here: Plane, there: Plane, scale: float, angle: float) -> Matrix:
    """The motion that scales and turns about the centre, and then shifts as fits best."""
    height, width = here.shape
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    motion = np.eye(3)
    motion[:2, :2] = [[cos, -sin], [sin, cos]]
    motion[:2, 2] = centre - motion[:2, :2] @ centre
    motion[:2, 2] += best_shift(_moved(here, motion), there)
    return motion


def _scales_and_turns(here: Plane, there: Plane, model: Model) -> list[tuple[float, float]]:
    """(scale, angle in radians) of the highest peaks."""
    step = np.log(_HIGHEST / _LOWEST) / (_RADII - 1)
    # A picture that is larger has a smaller spectrum.
    scale = np.exp(-step * _signed(_RADII))
    largest = 1.0 + 1e-9 if model is Model.RIGID else LARGEST_SCALE
    allowed = (scale <= largest) & (scale >= 1 / largest)
    turn = np.abs(_signed(_ANGLES)) <= LARGEST_TURN_DEG
    peaks = np.where(allowed[:, None] & turn, _correlated(_log_polar(here), _log_polar(there)), -np.inf)
    found = []
    for _ in range(GUESSES):
        row, column = (int(at) for at in np.unravel_index(int(peaks.argmax()), peaks.shape))
        found.append((float(scale[row]), float(np.deg2rad(_signed(_ANGLES)[column]))))
        around = np.ix_(*(np.arange(at - _APART, at + _APART + 1) for at in (row, column)))
        peaks[around[0] % _RADII, around[1] % _ANGLES] = -np.inf
    return found


def _signed(length: int) -> Plane:
    """The shift that each place of a circular correlation stands for."""
    return np.asarray((np.arange(length) + length // 2) % length - length // 2)


def _correlated(here: Plane, there: Plane) -> Plane:
    """Circular correlation, half whitened: full whitening would give noise the weight of the picture."""
    cross = np.fft.rfft2(there) * np.conj(np.fft.rfft2(here))
    return np.asarray(np.fft.irfft2(cross / np.sqrt(np.maximum(np.abs(cross), 1e-12)), here.shape))


def _log_polar(plane: Plane) -> Plane:
    """(radius, angle): log magnitude of the spectrum, less its mean at each radius, which is the blur's."""
    side = 1 << (max(plane.shape) - 1).bit_length()
    spectrum = np.fft.fft2(plane * np.outer(*(_window(length) for length in plane.shape)), (side, side))
    magnitude = np.fft.fftshift(np.abs(spectrum))
    radius = np.geomspace(_LOWEST, _HIGHEST, _RADII)[:, None] * side
    angle = np.arange(_ANGLES) * np.pi / _ANGLES
    found = bilinear(magnitude, side // 2 + radius * np.cos(angle), side // 2 + radius * np.sin(angle))
    found = np.log(found + 1e-9)
    return np.asarray((found - found.mean(axis=1, keepdims=True)) * _window(_RADII)[:, None])


def _window(length: int) -> Plane:
    return np.asarray(np.hanning(length + 2)[1:-1])


def _moved(plane: Plane, motion: Matrix) -> Plane:
    """The plane with its pixels where an affine `motion` puts them; 0 where it has none."""
    height, width = plane.shape
    y, x = np.mgrid[:height, :width].astype(float)
    back = np.linalg.inv(motion)
    at_x = back[0, 0] * x + back[0, 1] * y + back[0, 2]
    at_y = back[1, 0] * x + back[1, 1] * y + back[1, 2]
    inside = (at_x >= 0) & (at_x <= width - 1) & (at_y >= 0) & (at_y <= height - 1)
    return np.asarray(bilinear(plane, at_x, at_y) * inside)
