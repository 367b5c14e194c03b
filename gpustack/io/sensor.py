"""How linear camera RGB becomes colours: for the screen, and as a DNG file tells it.

Source: DNG 1.7.1.0, "Camera Profiles" and "Mapping Camera Color Space to CIE XYZ Space".
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.io import raw
from gpustack.io.bayer import Levels
from gpustack.io.ifd import Entry
from gpustack.io.raw_directory import calibration, camera
from gpustack.model.frame import Frame
from gpustack.model.mosaic import WHITE
from gpustack.settings import WhiteBalance

Matrix = npt.NDArray[np.float64]

# Linear sRGB to XYZ, white D65 (IEC 61966-2-1).
_XYZ_FROM_SRGB = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_CAMERA_MODEL, _COLOR_MATRIX, _AS_SHOT_NEUTRAL, _BASELINE_EXPOSURE, _ILLUMINANT = (
    50708,
    50721,
    50728,
    50730,
    50778,
)
_D65 = 21
_TEXT, _SHORT, _RATIONAL, _SIGNED_RATIONAL = 2, 3, 5, 10
_PARTS = 1_000_000
"""Denominator of what is written as a fraction."""


@dataclass(frozen=True, slots=True, eq=False)
class Colour:
    """How developed RAW pixels map to linear sRGB: `matrix` (3, 3) float64, out = matrix @ camera RGB."""

    matrix: Matrix


@dataclass(frozen=True, slots=True, eq=False)
class Sensor:
    """What linear camera RGB with its white balance applied says of colour.

    gains: what red, green and blue of the sensor were multiplied with, the smallest 1. matrix: to linear
    sRGB as it is to be shown, exposure included. tags: the same for readers of DNG, to which the sensor's
    own values, without the gains, are given.
    """

    gains: tuple[float, float, float]
    matrix: Matrix
    tags: tuple[Entry, ...]


def working_colour(reference: Frame) -> Colour:
    """The map from developed pixels to linear sRGB; without a turn where LibRaw has no matrix. Where light is
    cut off, it is white.
    """
    return Colour(_turn(reference) * 2.0 ** _headroom(reference))


def _turn(reference: Frame) -> Matrix:
    stored, from_xyz, _ = _matrices(reference)
    if stored.any():
        return stored
    if not from_xyz.any():
        return np.eye(3)
    # As dcraw's cam_xyz_coeff: white in sRGB must be white in camera RGB, the balance being applied already.
    from_srgb = from_xyz @ _XYZ_FROM_SRGB
    return np.asarray(np.linalg.inv(from_srgb / from_srgb.sum(axis=1, keepdims=True)))


def _headroom(reference: Frame) -> float:
    """EV from where light is cut off to the white of developed pixels."""
    with raw.opened(reference.path, reference.name) as file:
        return math.log2(WHITE / Levels.of(file).top)


def sensor(reference: Frame, wish: raw.Balance = WhiteBalance.CAMERA, exposure: float = 0.0) -> Sensor:
    """What the frames of a stack say of colour, developed as the reference with this white balance; pictures
    are to be shown `exposure` EV brighter."""
    gains = raw.lock(reference, wish).gains
    matrix = working_colour(reference).matrix * 2.0**exposure
    with reference.path.open("rb") as file:
        known = {entry.tag: entry for entry in calibration(file)}
        names = camera(file)
    brighter = exposure + _headroom(reference)
    earlier = known.pop(_BASELINE_EXPOSURE, None)
    tags = [
        Entry(_AS_SHOT_NEUTRAL, _RATIONAL, _fractions([1 / gain for gain in gains])),
        Entry(_BASELINE_EXPOSURE, _SIGNED_RATIONAL, _fractions([brighter + _number(earlier)])),
    ]
    if _COLOR_MATRIX not in known:
        tags += [
            Entry(_COLOR_MATRIX, _SIGNED_RATIONAL, _fractions(_camera_from_xyz(reference, gains))),
            Entry(_ILLUMINANT, _SHORT, struct.pack("<H", _D65)),
        ]
    if _CAMERA_MODEL not in known:
        tags.append(Entry(_CAMERA_MODEL, _TEXT, _unique(*names)))
    return Sensor(gains, matrix, (*known.values(), *tags))


def _matrices(reference: Frame) -> tuple[Matrix, Matrix, Matrix]:
    """As LibRaw has them: balanced camera RGB to sRGB, XYZ to camera RGB, both zero where it has none; and
    the gains that make daylight white."""
    with raw.opened(reference.path, reference.name) as file:
        stored = np.array(file.color_matrix, np.float64)[:, :3]
        from_xyz = np.array(file.rgb_xyz_matrix, np.float64)[:3]
        return stored, from_xyz, np.array(file.daylight_whitebalance[:3], np.float64)


def _camera_from_xyz(reference: Frame, gains: tuple[float, ...]) -> Matrix:
    """The matrix from XYZ to the sensor's own values in light of D65."""
    stored, from_xyz, daylight = _matrices(reference)
    if not stored.any():
        # A camera of no known colours is taken to see sRGB, once it is balanced.
        return from_xyz if from_xyz.any() else np.linalg.inv(_XYZ_FROM_SRGB) / np.array(gains)[:, None]
    return np.asarray(np.linalg.inv(stored) @ np.linalg.inv(_XYZ_FROM_SRGB) / daylight[:, None])


def _fractions(values: Any) -> bytes:
    """Values as fractions; negative ones keep their sign in 32 bits, which is all that types 5 and 10 differ
    in."""
    numerators = [round(float(value) * _PARTS) for value in np.ravel(values)]
    return b"".join(struct.pack("<iI", value, _PARTS) for value in numerators)


def _number(entry: Entry | None) -> float:
    """A signed fraction; 0 where there is none."""
    if entry is None or entry.type != _SIGNED_RATIONAL or len(entry.data) < 8:
        return 0.0
    above, below = struct.unpack_from("<ii", entry.data)
    return above / below if below else 0.0


def _unique(make: bytes, model: bytes) -> bytes:
    """Maker and model in one, the maker's name once."""
    make, model = (name.split(b"\0")[0].strip() for name in (make, model))
    first = make.split(b" ")[0]
    whole = model if first and model.lower().startswith(first.lower()) else b" ".join((make, model)).strip()
    return (whole or b"unknown camera") + b"\0"
