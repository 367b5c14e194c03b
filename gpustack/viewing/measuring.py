"""One look at the frames of a result, for the maps that no file has.

Frames are measured at the size that keeps the picture below some megapixels, on the result's own pixels,
upright: places say how these pixels map to the smaller frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.coverage.curves import Curves
from gpustack.engine.feed import Source, filled
from gpustack.engine.focus import FocusMaps, measure_maps
from gpustack.engine.progress import Progress
from gpustack.errors import PlanError
from gpustack.model.frame import Frame
from gpustack.model.place import Place
from gpustack.model.stack import Stack
from gpustack.model.transform import Transform, normalise
from gpustack.records.shown import Shown
from gpustack.settings import FOCUS_SIGMA_PX
from gpustack.viewing.readers import Readers, to_reduced

MOST_PIXELS = 16_000_000
"""Of the canvas: beyond that, frames are looked at at half, a fourth or an eighth of their size."""

_SMALLEST = 8


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What the frames tell, upright, over the result's pixels; frames have the index of the sidecar.

    depth and confidence (h, w) float32, winners (h, w) uint16, 65535 for none.
    """

    curves: Curves
    winners: npt.NDArray[np.uint16]
    depth: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float32]


def measure(shown: Shown, readers: Readers, progress: Progress, ram_bytes: int | None) -> Measured:
    """Look at all frames that are there. Raises as `measure_maps`, PlanError where even an eighth of the size
    needs more memory than is allowed."""
    wide, high = shown.box[2:]
    by = 1
    while wide * high > MOST_PIXELS * by**2 and by < _SMALLEST:
        by *= 2
    while True:
        try:
            return _numbered(_measured(shown, readers, progress, ram_bytes, by), list(readers.frames))
        except PlanError as error:
            if by == _SMALLEST:
                raise PlanError(
                    "There is not enough memory to look at the frames, so maps are missing.",
                    "Allow more with --ram.",
                ) from error
            by *= 2


def _measured(
    shown: Shown, readers: Readers, progress: Progress, ram_bytes: int | None, by: int
) -> FocusMaps:
    small = Stack(tuple(_smaller(frame, by) for frame in readers.stack))
    wide, high = (max(1, -(-side // by)) for side in shown.box[2:])
    settings = replace(
        readers.settings,
        ram_bytes=ram_bytes,
        flat=None,  # the reader divides
        linear=False,
        radius=max(min(readers.settings.radius, FOCUS_SIGMA_PX), readers.settings.radius / by),
    )
    places = [_place(shown, index, by, (wide, high)) for index in readers.frames]
    return measure_maps(small, _source(readers, by), settings, places, (wide, high), progress=progress)


def _smaller(frame: Frame, by: int) -> Frame:
    return replace(frame, width=max(1, frame.width // by), height=max(1, frame.height // by))


def _source(readers: Readers, by: int) -> Source:
    """Reads frames at 1 / `by` of their size."""
    whole = {(frame.path, frame.page): frame for frame in readers.stack}

    def read(frame: Frame, out: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
        return filled(readers.reduced(whole[frame.path, frame.page], by), out)

    return Source(read)


def _place(shown: Shown, index: int, by: int, size: tuple[int, int]) -> Place:
    """How pixels of the canvas map to those of a smaller frame."""
    place = shown.sidecar.places[index]
    across, down = (all_ / own for all_, own in zip(shown.box[2:], size, strict=True))
    grown = np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1.0]])
    matrix = normalise(to_reduced(by) @ place.transform.matrix @ shown.to_stored @ grown)
    return replace(place, transform=Transform(matrix, place.transform.tone))


def _numbered(found: FocusMaps, order: list[int]) -> Measured:
    """With the indices that frames have in the sidecar, of which some may be missing."""
    numbers = np.full(65_536, 65_535, np.uint16)
    numbers[: len(order)] = order
    depth = found.surface.depth
    if order != list(range(len(order))):
        depth = np.interp(depth, np.arange(len(order)), order).astype(np.float32)
    curves = replace(found.curves, frames=tuple(order[index] for index in found.curves.frames))
    return Measured(curves, numbers[found.winners], depth, found.surface.confidence)
