"""Veils in a run: what is kept of every frame's glow, and what is taken off the frames' detail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.align.brightness import Light
from gpustack.align.shake import detail_side
from gpustack.backend.matching import thumbnail_size
from gpustack.backend.protocol import Backend
from gpustack.backend.values import EVIDENCE, Cells, Host
from gpustack.engine.feed import Source
from gpustack.engine.lights import lit
from gpustack.engine.looking import Course, Look, pictures_of
from gpustack.engine.price import survey_factor
from gpustack.engine.showing import Showing
from gpustack.engine.spooled import Lazy, Spooled
from gpustack.fuse.veil import Glow, Veils, cells, veils
from gpustack.ghosts.mask import LeftOut
from gpustack.model.canvas import Canvas
from gpustack.model.frame import Frame
from gpustack.model.place import Place
from gpustack.model.rect import Rows
from gpustack.model.stack import Stack
from gpustack.model.transform import Matrix

Mask = npt.NDArray[np.bool_]

FEW, APART = 8, 4
"""Frames that are looked at to learn whether there are lamps, at most; and every how manyth, at least: to
read more than a quarter of them would cost too much."""


def glow_of(small: Host, light: Light, frame: Frame, way: Showing) -> Glow:
    """What is kept of a frame, from a small picture (h, w) of its luma as the survey sees it, and from its
    light, which is infinite where samples are burnt out."""
    high, wide = thumbnail_size(small.shape, cells(frame.size))
    values = cv2.resize(small, (wide, high), interpolation=cv2.INTER_AREA)
    width, height = way.size
    burnt = np.asarray(~np.isfinite(light.values).all(axis=0))
    return Glow(
        values.astype(np.float16),
        way.to_frame @ _spaced(width / wide, height / high),
        burnt,
        _spaced(light.factor, light.factor),
        light.linear,
    )


def _spaced(across: float, down: float) -> Matrix:
    """3x3: cells of so many pixels to pixels, centres at whole numbers in both."""
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1.0]])


class Toned(Lazy[Glow]):
    """Glows at the brightness that the tones of the frames' places give."""

    def __init__(self, glows: Sequence[Glow], places: Sequence[Place]) -> None:
        self._glows, self._places = glows, places

    def __len__(self) -> int:
        return len(self._glows)

    def one(self, index: int) -> Glow:
        """See `Lazy`."""
        return self._glows[index].toned(self._places[index].transform.tone)


def glows_of(backend: Backend[Any], stack: Stack, source: Source, course: Course) -> Spooled[Glow]:
    """One a frame, in a reading of their own: for stacks that are not aligned."""
    factor = survey_factor(stack)

    def reduction(frame: Frame) -> int:
        return source.reduction(frame, backend, factor)

    def look(frame: Frame, pixels: Any) -> Glow:
        way = Showing(factor, (max(1, frame.width // factor), max(1, frame.height // factor)))
        by = max(1, reduction(frame))
        light = lit(backend, pixels, frame, by).light()
        small = backend.thumbnail(way.plane(backend, pixels, frame, by), detail_side(way.size))
        return glow_of(small, light, frame, way)

    return pictures_of(backend, stack.frames, source, course, Look(Glow, look, reduction))


def few(stack: Stack) -> Stack:
    """Frames from all over a stack, FEW at most: lamps burn out over many frames, not in one alone."""
    step = max(APART, -(-len(stack) // FEW))
    return Stack(stack.frames[min(step // 2, len(stack) - 1) :: step])


def found_veils(
    glows: Sequence[Glow], places: Sequence[Place], reference: int, left_out: Mapping[int, LeftOut]
) -> Veils:
    """What lies over the frames that are used; where one is left out, it says nothing of the others."""

    def absent(index: int, shape: tuple[int, int]) -> Mask | None:
        if index not in left_out:
            return None
        cells = left_out[index].cells.astype(np.float32)
        return cv2.resize(cells, shape[::-1], interpolation=cv2.INTER_AREA) > 0

    used = [index for index, place in enumerate(places) if place.used]
    return veils(glows, [place.transform for place in places], used, reference, absent)


@dataclass(frozen=True, slots=True)
class Feigned:
    """The evidence against a frame's detail on the canvas, from cells of the reference, on one backend."""

    backend: Backend[Any]
    cells: Cells[Any]
    veiled: Mask
    width: int

    @staticmethod
    def of(backend: Backend[Any], found: Veils | None, index: int, canvas: Canvas) -> Feigned | None:
        """A frame's; None where nothing lies over it."""
        energy = None if found is None else found.over(index)
        if found is None or energy is None:
            return None
        lies = found.to_reference
        step = float(lies[0, 0]), float(lies[1, 1])
        first = float(lies[0, 2]) - canvas.left, float(lies[1, 2]) - canvas.top
        against = backend.upload(energy * np.float32(-1 / EVIDENCE))
        return Feigned(backend, Cells(against, step, first), np.asarray(energy.any(axis=1)), canvas.width)

    def evidence(self, rows: Rows) -> Any | None:
        """That against some rows; None where there is none."""
        _, down = self.cells.step
        _, top = self.cells.first
        above, below = (int(np.floor((row - top) / down)) for row in (rows.start, rows.stop - 1))
        if not self.veiled[max(0, above) : max(1, below + 2)].any():
            return None
        return self.backend.between(self.cells, self.width, rows)
