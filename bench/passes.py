"""The passes over the frames, as the engine runs them, one frame at a time: load, warp, all levels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from gpustack.backend.gpu.backend import Gpu
from gpustack.backend.gpu.tensor import Tensor
from gpustack.backend.values import Part
from gpustack.fuse.average import Average
from gpustack.fuse.depthmap import Blend
from gpustack.fuse.fold import Fold
from gpustack.fuse.measure import Sharpest
from gpustack.fuse.pyramid import pyramid
from gpustack.fuse.scales import soft_scales
from gpustack.model.canvas import Canvas
from gpustack.model.frame import PixelType
from gpustack.model.rect import Rows
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform

NOISE = 0.004
"""Standard deviation of the luma's noise, 0..1: a level of 8 bits."""

STACK = 60
"""Frames of the stack that the frame is one of, where it matters."""

TILE = 64
"""Side, in pixels, of the squares in which a frame wins or loses; pictures win in regions, not in pixels."""

LEVELLED = ("auto", "pyramid")
NAMES = (*LEVELLED, "average", "measure", "blend")
"""The passes of all methods; `depthmap` is `measure` and then `blend`."""

STILL = Transform.identity()


def warp(size: tuple[int, int]) -> Transform:
    """A similarity that stays inside a frame of `size` (rows, columns): a little larger and turned."""
    scale, turn, (y, x) = 0.998, 1e-4, ((side - 1) / 2 for side in size)
    across, down = x - scale * x + turn * y, y - scale * y - turn * x
    return Transform(np.array([[scale, -turn, across], [turn, scale, down], [0, 0, 1.0]]), Tone((1.01,)))


def fold_of(name: str, size: tuple[int, int]) -> Fold[Any]:
    """The fold of a pass over frames of `size` (rows, columns)."""
    match name:
        case "auto":
            return soft_scales(NOISE)
        case "pyramid":
            return pyramid(NOISE)
        case "average":
            return Average(NOISE)
        case "measure":
            return Sharpest(NOISE)
        case _:  # a surface that rises from the first frame at the top to the last at the bottom
            rising = np.linspace(0, STACK - 1, size[0], dtype=np.float32)
            return Blend(np.ascontiguousarray(np.broadcast_to(rising[:, None], size)))


@dataclass(slots=True)
class Pass:
    """A pass under way on one backend: its state, and frames to be folded in."""

    gpu: Gpu
    fold: Fold[Any]
    canvas: Canvas
    state: Any
    place: Transform
    index: int = STACK // 2

    def add(self, frame: Tensor) -> None:
        """Fold an uploaded frame in, as the next of the stack; for `blend` always in the middle of it."""
        self.fold.add(self.gpu, self.state, self.index, self._view(frame))
        if not isinstance(self.fold, Blend):
            self.index += 1

    def _view(self, frame: Tensor) -> Callable[[Rows], Any]:
        canvas, place = self.canvas, self.place

        def view(rows: Rows) -> Any:
            return self.gpu.load(frame, place, canvas.pixel_type, canvas.width, rows)

        return view


def begin(gpu: Gpu, name: str, size: tuple[int, int], kind: PixelType, place: Transform) -> Pass:
    """A pass before its first frame, on a canvas of `size` that the frames cover, in one band."""
    height, width = size
    canvas = Canvas(0, 0, width, height, 3, kind, (Rows(0, height),))
    fold = fold_of(name, size)
    return Pass(gpu, fold, canvas, fold.start(gpu, canvas), place)


def parts_in(state: Any) -> Iterator[Part[Tensor]]:
    """Every `Part` in a fold's state."""
    if isinstance(state, Part):
        yield state
    elif isinstance(state, list | tuple):
        for each in state:
            yield from parts_in(each)
    elif is_dataclass(state) and not isinstance(state, type | Canvas | Tensor):
        for field in fields(state):
            yield from parts_in(getattr(state, field.name))


def contested(gpu: Gpu, part: Part[Tensor], won: float) -> Callable[[], None]:
    """Makes that the frame just folded into an empty part, coming again, wins a share `won` of the pixels.

    Gives what sets the part's energies to that again: where the frame is to win, half of its own, elsewhere
    twice, in squares drawn by chance.
    """
    own = gpu.download(part.best.energy)
    squares = np.random.default_rng(5).random([-(-side // TILE) for side in own.shape]) < won
    factor = np.where(squares, np.float32(0.5), np.float32(2))
    grown = np.repeat(np.repeat(factor, TILE, axis=0), TILE, axis=1)
    saved = gpu.upload(own * grown[: own.shape[0], : own.shape[1]])
    return lambda: gpu.copy(saved, part.best.energy)
