"""The truth, laid over a picture that was taken from another place, or by another program's choice.

Programs that align choose the frame that stays and the brightness, and crop as they like. So that nobody is
punished for that, the truth is registered to the result by our own matcher (similarity, and one gain), and it
is the truth that is resampled: it is sharp, free of noise and band-limited, so that Lanczos loses next to
nothing, and the result's pixels stay as they were written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from measure import BenchError

import gpustack
from gpustack.backend.resample import resample
from gpustack.model.rect import Rows
from gpustack.model.transform import Transform

Plane = npt.NDArray[np.float32]
Picture = npt.NDArray[Any]

STRIP = 256
BORDER_PX = 16
"""What is not compared along the edges: bicubic and Lanczos kernels, and what programs make of an edge."""


def registered(found: Picture, truth: Picture) -> Transform:
    """Result pixels to the truth's pixels, with the gain that matches the truth to the result.

    Raises BenchError where the two do not show the same.
    """
    pair = [_sixteen_bit(found), _sixteen_bit(truth)]
    settings = gpustack.Settings(reference="first", align=gpustack.Model.SIMILARITY)
    place = gpustack.locate(pair, settings)[1]
    if not place.used:
        raise BenchError("it cannot be registered to the truth")
    return place.transform


def resampled(truth: Plane, placed: Transform, shape: tuple[int, int]) -> Plane:
    """The truth (h, w, 3) 0..1 in the result's geometry and brightness."""
    band = resample(truth, placed, 1.0, shape[1], Rows(0, shape[0]), gpustack.Interpolation.LANCZOS)
    return np.ascontiguousarray(np.moveaxis(band.image, 0, -1))


def registered_psnr(path: Path, truth: Path) -> float:
    """Peak signal-to-noise ratio in dB of a picture, read in 8 bits, against the truth laid over it."""
    ours, theirs = (cv2.imread(str(each), cv2.IMREAD_COLOR) for each in (path, truth))
    if ours is None or theirs is None:
        raise BenchError(f"{path.name} cannot be compared with {truth.name}: one of the two is no picture.")
    placed, light = registered(ours, theirs), np.asarray(theirs, np.float32) / np.float32(255)
    total = count = 0.0
    for top in range(BORDER_PX, len(ours) - BORDER_PX, STRIP):
        rows = Rows(top, min(top + STRIP, len(ours) - BORDER_PX))
        away, held = _away(ours[rows.slice], light, placed, rows)
        total, count = total + float(np.square(away, dtype=np.float64).sum()), count + 3.0 * held
    return float(-10 * np.log10(total / count))


def _away(ours: Picture, truth: Plane, placed: Transform, rows: Rows) -> tuple[Plane, int]:
    """How far rows of a picture are from the truth, 0 where that is not known; how many pixels are."""
    band = resample(truth, placed, 1.0, ours.shape[1], rows, gpustack.Interpolation.LANCZOS)
    held = np.ones(ours.shape[:2], np.bool_) if band.valid is None else band.valid > 0
    held[:, :BORDER_PX], held[:, -BORDER_PX:] = False, False
    away = np.moveaxis(band.image, 0, -1) - ours / np.float32(255)
    return away * held[..., None], int(held.sum())


def _sixteen_bit(picture: Picture) -> npt.NDArray[np.uint16]:
    if picture.dtype == np.uint8:
        return picture.astype(np.uint16) * np.uint16(257)
    return picture if picture.dtype == np.uint16 else np.rint(picture * 65535).astype(np.uint16)
