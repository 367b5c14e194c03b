"""The focus curves of a stack: a survey, and one pass that measures every frame by itself."""

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
from gpustack.engine.feed import Source
from gpustack.engine.opening import Request, open_job, within_device
from gpustack.engine.placing import canvas_of, surveyed
from gpustack.engine.plan import Budget
from gpustack.engine.progress import Progress
from gpustack.engine.report import Report
from gpustack.fuse.cells import FocusCells
from gpustack.fuse.measure import energy_noise
from gpustack.model.place import Place
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
    settings = replace(
        settings,
        method=Method.AVERAGE,  # its plan holds what is held here
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
    given = None if places is None else tuple(places)
    request = Request(stack, source, settings, given, progress, kept_bytes=kept)
    return within_device(partial(_measured, keep), choice, request)


def _measured(keep: KeepCells | None, choice: Choice, request: Request, allowed: Budget) -> Focus:
    stack, settings = request.stack, request.settings
    found: dict[int, npt.NDArray[np.float32]] = {}

    def heard(index: int, pixels: npt.NDArray[Any], cells: npt.NDArray[np.float32]) -> None:
        found[index] = cells
        if keep is not None:
            keep(pixels, cells)

    with closing(open_job(choice, request, allowed)) as job:
        survey = surveyed(job, request)
        job.canvas = canvas_of(job, settings.crop, stack.reference(settings.reference))
        fold = FocusCells(cell_count(job.canvas.width, job.canvas.height), heard, settings.radius)
        job.pass_over("measure", [fold])
        curves = Curves(np.stack(list(found.values())), tuple(found), energy_noise(survey.noise, 1.0))
        return Focus(curves, survey.places, job.report)
