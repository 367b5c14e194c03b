"""How far apart two pictures are from place to place, and how much of that a motion of the whole explains."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.matching import light_of

Plane = npt.NDArray[np.float32]
Cut = tuple[slice, slice]

REACH_PX = 4.0
"""Displacements looked for."""

LEAST_ALIKE = 0.85
"""Least correlation of two patches, band-passed, one moved onto the other: noise and blur are no texture."""

LEAST_ACROSS = 0.1
"""Least energy of a patch's slopes in the direction that has least, as a share of that which has most: along
an edge nothing tells a displacement."""

MODELS = {"similarity": 4, "homography": 8}
"""Columns of `_motions` that a model has."""

ROUNDS = 30
"""Of re-weighing; three times as many change medians of what is left by less than 0.005 pixels."""

LEAST_APART = 8
"""Patches that a motion is fitted to, at least: a homography has eight parameters, and a patch tells two."""


@dataclass(frozen=True)
class Patch:
    """Where a patch lies (its top left pixel), and where its picture lies in the other frame from there;
    `sharpness` of the less sharp of both as a share of the other's."""

    x: float
    y: float
    across: float
    down: float
    sharpness: float

    @property
    def px(self) -> float:
        """The length of the displacement."""
        return float(np.hypot(self.across, self.down))


def band_passed(plane: Plane) -> Plane:
    """Fine detail alone, which only frames that are sharp there share, of a luma 0..255, as light: lenses
    blur light, and an edge that is blurred stays where it is in light alone."""
    light = light_of(np.maximum(plane, 0) / np.float32(255)).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(light, (0, 0), 1.0) - cv2.GaussianBlur(light, (0, 0), 3.0), np.float32)


def compared(here: Plane, there: Plane, cuts: Iterable[Cut]) -> list[Patch | None]:
    """The patches of two band-passed planes; None where they have no texture in common."""
    return [_compared(here[cut], there[cut], cut) for cut in cuts]


def _compared(here: Plane, there: Plane, cut: Cut) -> Patch | None:
    if min(_across(here), _across(there)) < LEAST_ACROSS:
        return None
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in here.shape))
    first, second = (np.fft.fft2((part - part.mean()) * window) for part in (here, there))
    cross = second * np.conj(first)
    cross /= np.sqrt(np.maximum(np.abs(cross), 1e-9))
    x = y = 0.0
    for span, step in ((REACH_PX, 0.5), (0.5, 0.1), (0.1, 0.01)):
        y, x = _peak(cross, y, x, span, step)
    if _alike(first, second, y, x) < LEAST_ALIKE:
        return None
    less, more = sorted(float(part.std()) for part in (here, there))
    return Patch(float(cut[1].start), float(cut[0].start), x, y, less / more)


def _across(patch: Plane) -> float:
    """Energy of the slopes in the direction that has least over that in the one that has most, 0..1."""
    slopes = np.stack([cv2.Sobel(patch, cv2.CV_32F, *axis).ravel() for axis in ((1, 0), (0, 1))])
    least, most = np.linalg.eigvalsh(slopes @ slopes.T)
    return float(least / max(most, 1e-12))


def _peak(cross: npt.NDArray[Any], y: float, x: float, span: float, step: float) -> tuple[float, float]:
    """Where the correlation is largest, on a grid around a place, by a Fourier sum at just its points."""
    around = np.arange(-span, span + step / 2, step)
    down, across = (2j * np.pi * np.fft.fftfreq(side) for side in cross.shape)
    found = (np.exp(np.outer(y + around, down)) @ cross @ np.exp(np.outer(across, x + around))).real
    row, column = np.unravel_index(int(found.argmax()), found.shape)
    return float(y + around[row]), float(x + around[column])


def _alike(first: npt.NDArray[Any], second: npt.NDArray[Any], y: float, x: float) -> float:
    """Correlation of two patches, from their spectra, once the first is moved."""
    down, across = (np.fft.fftfreq(side) for side in first.shape)
    moved = first * np.exp(-2j * np.pi * (down[:, None] * y + across[None] * x))
    norm = np.sqrt((np.abs(first) ** 2).sum() * (np.abs(second) ** 2).sum())
    return float((moved * np.conj(second)).real.sum() / max(float(norm), 1e-12))


def left_by(patches: list[Patch], model: str) -> list[float]:
    """Pixels that the best motion of a model leaves of displacements, fitted by least absolute residuals."""
    moves, motions = _moves(patches), _motions(patches)[:, : MODELS[model]]
    left = moves - motions @ _fitted(motions, moves)
    return [float(each) for each in np.hypot(*left.reshape(2, -1))]


def unseen_by(patches: list[Patch], model: str, side: int) -> list[float | None]:
    """Pixels that is left of each displacement by the motion that fits best where it is not: to patches, of
    that side, that do not overlap with it. What `left_by` says is less than any alignment could leave, as the
    motion follows the errors of the very displacements that it is judged by.

    None where fewer than LEAST_APART do not overlap.
    """
    moves, motions = _moves(patches), _motions(patches)[:, : MODELS[model]]
    at = np.array([(patch.x, patch.y) for patch in patches])
    found: list[float | None] = []
    for index, place in enumerate(at):
        apart = np.abs(at - place).max(axis=1) >= side
        if np.count_nonzero(apart) < LEAST_APART:
            found.append(None)
            continue
        both, own = np.tile(apart, 2), [index, index + len(at)]
        motion = _fitted(motions[both], moves[both])
        found.append(float(np.hypot(*(moves[own] - motions[own] @ motion))))
    return found


def _fitted(motions: npt.NDArray[np.float64], moves: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The motion that leaves least of moves, across and then down, in the sum of lengths."""
    weight = np.ones(len(moves) // 2)
    for _ in range(ROUNDS):
        scale = np.sqrt(np.tile(weight, 2))
        found = np.linalg.lstsq(motions * scale[:, None], moves * scale, rcond=None)[0]
        weight = 1 / np.maximum(np.hypot(*(moves - motions @ found).reshape(2, -1)), 0.02)
    return np.asarray(found)


def _moves(patches: list[Patch]) -> npt.NDArray[np.float64]:
    """(2n,): the displacements, across and then down."""
    return np.array([[patch.across for patch in patches], [patch.down for patch in patches]]).ravel()


def _motions(patches: list[Patch]) -> npt.NDArray[np.float64]:
    """(2n, 8): what small motions move the patches, across and then down; first those of a similarity."""
    at = np.array([(patch.x, patch.y) for patch in patches])
    x, y = ((at - at.mean(axis=0)) / 500).T
    one, none = np.ones_like(x), np.zeros_like(x)
    across = np.stack([one, none, x, -y, x, y, x * x, x * y], axis=1)
    down = np.stack([none, one, y, x, -y, x, x * y, y * y], axis=1)
    return np.concatenate([across, down])
