"""The focus curves of a stack: a survey, and one pass that measures every frame by itself; and where the
frames are known to lie, maps of the sharpest frame and of the depth from the same pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.choose import Choice, choose
from gpustack.coverage.curves import Curves, cell_count, curves_bytes
from gpustack.depth.surface import Surface, surface
from gpustack.engine.feed import Source
from gpustack.engine.opening import Request, open_job, within_device
from gpustack.engine.path import sight_of
from gpustack.engine.placing import canvas_of, surveyed
from gpustack.engine.planned import Budget
from gpustack.engine.progress import Progress
from gpustack.engine.report import Report
from gpustack.engine.spooled import Picked, Spooled
from gpustack.fuse.cells import FocusCells
from gpustack.fuse.measure import Sharpest, energy_noise
from gpustack.model.canvas import Canvas
from gpustack.model.frame import Kind, PixelType
from gpustack.model.place import Place
from gpustack.model.rect import cut
from gpustack.model.stack import Stack
from gpustack.settings import Deghost, Method, Model, Prefer, Settings

KeepCells = Callable[[npt.NDArray[Any], npt.NDArray[np.float32]], None]
"""Is given an aligned frame (h, w, c), which the next one overwrites, and its cells (rows, columns)."""


@dataclass(frozen=True, slots=True, eq=False)
class Focus:
    """The curves of the used frames, where all frames lie, and the report of the pass."""

    curves: Curves
    places: tuple[Place, ...]
    report: Report


@dataclass(frozen=True, slots=True, eq=False)
class FocusMaps:
    """The focus of a stack on a canvas of its own, (h, w) each.

    curves: of the used frames. winners: uint16, the sharpest frame of each pixel, 65535 where there is none.
    surface: depth in frames, and its confidence.
    """

    curves: Curves
    winners: npt.NDArray[np.uint16]
    surface: Surface


def measure_focus(
    stack: Stack,
    source: Source,
    settings: Settings,
    *,
    places: Sequence[Place] | None = None,
    progress: Progress | None = None,
    keep: KeepCells | None = None,
) -> Focus:
    """Measure the focus of every frame, on the first of the devices; `places` replace the survey's.

    Raises as `run` does.
    """
    given = None if places is None else tuple(places)
    # The plan of an average holds what is held here.
    choice, request = _asked(stack, source, settings, Method.AVERAGE, given, progress)
    return within_device(partial(_measured, keep), choice, request)


def measure_maps(
    stack: Stack,
    source: Source,
    settings: Settings,
    places: Sequence[Place],
    size: tuple[int, int],
    *,
    progress: Progress | None = None,
) -> FocusMaps:
    """Measure the focus of every frame on a canvas of `size` (width, height), whose pixels the `places` map
    to the frames. Raises as `run` does."""
    # The first pass of a depth map, and its surface, are what is held here.
    choice, request = _asked(stack, source, settings, Method.DEPTHMAP, tuple(places), progress)
    return within_device(partial(_mapped, size), choice, request)


def _asked(
    stack: Stack,
    source: Source,
    settings: Settings,
    like: Method,
    places: tuple[Place, ...] | None,
    progress: Progress | None,
) -> tuple[Choice, Request]:
    settings = replace(
        settings,
        method=like,
        depth=False,
        slab=None,
        layers=False,
        prefer=Prefer.NONE,
        deghost=Deghost.OFF,
        devices=settings.devices[:1],
        align=settings.align if places is None else Model.NONE,
    )
    choice = choose(settings.backend, settings.devices, settings.decoder)
    kept = curves_bytes(stack.width, stack.height, len(stack)) + 2 * stack.largest.nbytes
    return choice, Request(stack, source, settings, places, progress, kept_bytes=kept)


class _Measured:
    """The cells of every frame, in a spool; those that were heard last, where a frame comes in turns."""

    def __init__(self) -> None:
        self._planes: Spooled[npt.NDArray[np.float32]] = Spooled()
        self._at: dict[int, int] = {}

    def note(self, index: int, cells: npt.NDArray[np.float32]) -> None:
        """Those of a frame."""
        self._at[index] = len(self._planes)
        self._planes.append(cells)

    def curves(self, noise: float) -> Curves:
        """Of all frames."""
        planes = Picked(self._planes, list(self._at.values()))
        return Curves(planes, tuple(self._at), energy_noise(noise, 1.0))


def _measured(keep: KeepCells | None, choice: Choice, request: Request, allowed: Budget) -> Focus:
    stack, settings = request.stack, request.settings
    found = _Measured()

    def heard(index: int, pixels: npt.NDArray[Any], cells: npt.NDArray[np.float32]) -> None:
        found.note(index, cells)
        if keep is not None:
            keep(pixels, cells)

    allowed = replace(allowed, disk_bytes=0)  # what is held is of one frame, and wanted with every frame
    with closing(open_job(choice, request, allowed)) as job:
        survey = surveyed(job, request)
        job.canvas = canvas_of(job, settings.crop, stack.reference(settings.reference))
        fold = FocusCells(cell_count(job.canvas.width, job.canvas.height), heard, settings.radius)
        job.pass_over("measure", [fold])
        return Focus(found.curves(survey.noise), survey.places, job.report)


def _mapped(size: tuple[int, int], choice: Choice, request: Request, allowed: Budget) -> FocusMaps:
    stack, settings = request.stack, request.settings
    found = _Measured()
    with closing(open_job(choice, request, allowed)) as job:
        noise = surveyed(job, request).noise
        linear = stack.kind is Kind.RAW or stack.pixel_type is PixelType.FLOAT32
        bands = cut(size[1], job.plan.band_rows)
        job.canvas = Canvas(
            0, 0, *size, stack.channels, stack.pixel_type, bands, covered=False, linear=linear
        )
        cells = FocusCells(cell_count(*size), lambda index, _, own: found.note(index, own), settings.radius)
        sharpest = Sharpest(noise, settings.radius, settings.smoothing)
        _, state = job.pass_over("measure", [cells, sharpest])
        floor = energy_noise(noise, settings.smoothing)
        sight = sight_of(job.backend, sharpest, state)
        return FocusMaps(
            found.curves(noise),
            sharpest.winners(job.backend, state),
            surface(job.backend, sight, floor, noise),
        )
