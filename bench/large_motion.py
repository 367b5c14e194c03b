"""How often a large motion between two frames is found, with and without the guesses of gpustack.align.seed.

Neighbours of a stack, the second scaled, turned and shifted on top of what it moves anyway; both are cut to
their middle, so that no rim is made up. A match that is trusted and misplaces the corners by less than
TOLERANCE counts as found, one that is trusted and misplaces them by more as wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np

import gpustack
from gpustack.align import estimate
from gpustack.align.sight import see
from gpustack.backend.cpu import Cpu
from gpustack.model.frame import PixelType
from gpustack.model.stack import Stack
from gpustack.model.transform import Matrix, Transform, corners
from gpustack.scenes import Shoot, names, render
from gpustack.settings import BackendName, Model

SCALES = (0.85, 0.88, 0.91, 0.94, 0.97, 1.03, 1.06, 1.09, 1.12, 1.15)
LARGEST_TURN_DEG, LARGEST_SHIFT = 5.0, 0.05
KEPT = 0.68
TOLERANCE = 0.004
"""Of the width: far within reach of the links that follow, far from what chance gives."""


@dataclass(frozen=True)
class Neighbours:
    """Frames (h, w, c) uint8 of one stack, and their transforms."""

    name: str
    frames: list[Any]
    transforms: list[Matrix]


def rows(stacks: Sequence[Stack]) -> list[dict[str, Any]]:
    """A row for each scale, over all scenes and the stacks given."""
    backend, random = Cpu(1), np.random.default_rng(0)
    sources = [_rendered(name) for name in names()] + [_photographed(stack) for stack in stacks]
    return [_row(backend, sources, scale, random) for scale in SCALES]


def _row(backend: Any, sources: list[Neighbours], scale: float, random: Any) -> dict[str, Any]:
    pairs = [_pair(source, scale, random) for source in sources]
    row: dict[str, Any] = {"scale": scale, "pairs": len(pairs)}
    row["found"], row["wrong"] = _counted(backend, pairs)
    with patch.object(estimate, "seeds", return_value=[]):
        row["found_without_guesses"], row["wrong_without_guesses"] = _counted(backend, pairs)
    print(row)
    return row


def _counted(backend: Any, pairs: list[tuple[Any, Any, Matrix]]) -> tuple[int, int]:
    errors = [_error(backend, *pair) for pair in pairs]
    trusted = [error for error in errors if error is not None]
    return sum(error < TOLERANCE for error in trusted), sum(error >= TOLERANCE for error in trusted)


def _error(backend: Any, here: Any, there: Any, true: Matrix) -> float | None:
    """Root mean square over the corners as a share of the width; None where the match is not trusted."""
    size = (here.shape[1], here.shape[0])
    lumas = (backend.survey_luma(picture, PixelType.UINT8, 1) for picture in (here, there))
    first, second = (see(backend, luma, size) for luma in lumas)
    link = estimate.match(backend, first, second, Model.SIMILARITY)
    points = corners(*size)
    away = Transform(link.matrix).apply(points) - Transform(true).apply(points)
    return float(np.sqrt((away**2).sum(axis=1).mean())) / size[0] if link.trusted else None


def _pair(source: Neighbours, scale: float, random: Any) -> tuple[Any, Any, Matrix]:
    """Two neighbours, the second moved, cut to their middle; and the motion between them."""
    first = int(random.integers(len(source.frames) - 1))
    height, width = source.frames[0].shape[:2]
    wide, high = int(width * KEPT), int(height * KEPT)
    left, top = (width - wide) // 2, (height - high) // 2
    cut = np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]])
    more = cut @ _drawn(wide, high, scale, random) @ np.linalg.inv(cut)
    back = np.linalg.inv(cut)
    there = cv2.warpPerspective(source.frames[first + 1], back @ more, (wide, high), flags=cv2.INTER_CUBIC)
    here = np.ascontiguousarray(source.frames[first][top : top + high, left : left + wide])
    between = source.transforms[first + 1] @ np.linalg.inv(source.transforms[first])
    true = back @ more @ between @ cut
    return here, there, true / true[2, 2]


def _drawn(width: int, height: int, scale: float, random: Any) -> Matrix:
    """A scale about the centre with a turn and a shift drawn at random."""
    turn = np.deg2rad(random.uniform(-LARGEST_TURN_DEG, LARGEST_TURN_DEG))
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    motion = np.eye(3)
    motion[:2, :2] = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shift = random.uniform(-LARGEST_SHIFT, LARGEST_SHIFT, 2) * width
    motion[:2, 2] = centre - motion[:2, :2] @ centre + shift
    return motion


def _rendered(name: str) -> Neighbours:
    shoot = Shoot(frames=6, width=900, height=700, max_blur_px=8.0, noise=1.0, breathing=0.03, flicker=0.02)
    found = render(name, shoot)
    frames = [found.frame(index) for index in range(shoot.frames)]
    return Neighbours(name, frames, [transform.matrix for transform in found.transforms])


def _photographed(stack: Stack) -> Neighbours:
    """Up to seven frames from the middle, 900 pixels wide; the transforms are those of an alignment."""
    paths = [frame.path for frame in stack.frames]
    first = max(0, len(paths) // 2 - 3)
    frames = [_small(cv2.imread(str(path))) for path in paths[first : first + 7]]
    places = gpustack.locate(frames, gpustack.Settings(backend=BackendName.CPU))
    return Neighbours(stack.frames[0].name, frames, [place.transform.matrix for place in places])


def _small(picture: Any) -> Any:
    factor = 900 / max(picture.shape)
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
