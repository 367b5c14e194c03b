"""Carries a plan out: survey, then the render passes, frames outside and bands inside."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.backend.choose import choose
from gpustack.backend.memory import free_bytes, peak_bytes
from gpustack.backend.protocol import Backend, Band
from gpustack.engine.path import Fused, render
from gpustack.engine.plan import Budget, Plan, make_plan
from gpustack.engine.progress import Progress, Silent
from gpustack.engine.report import FrameReport, Report
from gpustack.engine.stream import Stream
from gpustack.engine.survey import Survey, still, survey
from gpustack.errors import AlignError, StackError
from gpustack.fuse.fold import Fold
from gpustack.model.canvas import Canvas
from gpustack.model.frame import Frame
from gpustack.model.place import Place
from gpustack.model.rect import Rows, cut
from gpustack.model.stack import Stack
from gpustack.model.transform import shared_box
from gpustack.settings import CROP_LEAST, RAM_SHARE, BadFrame, Crop, Model, Settings

Read = Callable[[Frame], npt.NDArray[Any]]
Keep = Callable[[Frame, npt.NDArray[Any]], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gives, on the canvas and as stored (no EXIF rotation yet)."""

    fused: Fused
    places: tuple[Place, ...]
    report: Report


@dataclass(slots=True)
class Job:
    """One run: what it works on, and its clocks."""

    backend: Backend[Any]
    stack: Stack
    read: Read
    plan: Plan
    progress: Progress
    report: Report
    keep_aligned: Keep | None = None
    canvas: Canvas | None = None
    places: Sequence[Place] = field(default_factory=tuple)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside under a stage's name."""
        started = time.perf_counter()
        yield
        self.report.seconds[name] = self.report.seconds.get(name, 0.0) + time.perf_counter() - started

    def pass_over(self, name: str, folds: list[Fold[Any]]) -> list[Any]:
        """Run all frames once through `folds`; returns their states."""
        canvas = self.canvas
        assert canvas is not None
        used = [index for index, place in enumerate(self.places) if place.used]
        chosen = [self.stack.frames[index] for index in used]
        stream = Stream(chosen, self.read, slots=self.plan.slots, readers=self.plan.readers)
        self.progress.begin(name, len(used), self.stack.frames[0].megapixels)
        with self.stage(name), stream.open() as frames:
            states = [fold.start(self.backend, canvas) for fold in folds]
            for number, pixels in frames:
                index = used[number]
                view = self._view(canvas, index, self.backend.upload(pixels))
                del pixels
                for fold, state in zip(folds, states, strict=True):
                    fold.add(self.backend, state, index, view)
                if name == self.plan.passes[-1]:
                    self._keep(canvas, index, view)
                del view
                self.progress.advance(stream.waiting_share)
        self.report.decode_seconds += stream.times.reading
        self.report.waiting_seconds += stream.times.waiting
        return states

    def _view(self, canvas: Canvas, index: int, frame: Any) -> Callable[[Rows], Band[Any]]:
        place = canvas.place(self.places[index].transform)
        return lambda rows: self.backend.load(frame, place, canvas.pixel_type, canvas.width, rows)

    def _keep(self, canvas: Canvas, index: int, view: Callable[[Rows], Band[Any]]) -> None:
        """Hand the aligned frame out where `--save-steps` wants it."""
        if self.keep_aligned is None:
            return
        bands = [self.backend.pack(view(rows).image, canvas.pixel_type, None) for rows in canvas.bands]
        self.keep_aligned(self.stack.frames[index], np.concatenate(bands))


def budget(settings: Settings) -> Budget:
    """The user's limits, or a share of what this machine has free."""
    ram = settings.ram_bytes if settings.ram_bytes is not None else int(free_bytes() * RAM_SHARE)
    return Budget(ram, settings.threads or os.cpu_count() or 1)


def run(
    stack: Stack,
    read: Read,
    settings: Settings,
    *,
    places: Sequence[Place] | None = None,
    progress: Progress | None = None,
    keep_aligned: Keep | None = None,
) -> Outcome:
    """Align and fuse a stack.

    `read` decodes a frame; `places` replace the survey's; `keep_aligned` is given every frame on the
    canvas. Raises what decoding raises; StackError for a reference that does not exist, or another number of
    transforms than frames; PlanError where the budget is too small.
    """
    if places is not None and len(places) != len(stack):
        raise StackError(
            f"{len(places)} transforms were given for {len(stack)} frames.", "Give one for each frame."
        )
    if places is not None:
        settings = replace(settings, align=Model.NONE)  # nothing is left to estimate
    job, found = _begun(stack, read, settings, places, progress, keep_aligned)
    job.canvas = _canvas(job, settings.crop)
    started, before = time.perf_counter(), sum(job.report.seconds.values())
    fused = render(job.backend, job.pass_over, settings.method, found.noise, settings.depth)
    passes = sum(job.report.seconds.values()) - before
    job.report.seconds["finish"] = time.perf_counter() - started - passes
    _complete(job.report, job, found, fused)
    return Outcome(fused, found.places, job.report)


def locate(
    stack: Stack,
    read: Read,
    settings: Settings,
    *,
    progress: Progress | None = None,
    keep_aligned: Keep | None = None,
) -> tuple[Place, ...]:
    """Survey a stack without fusing it; `keep_aligned` is given every used frame on the canvas."""
    job, found = _begun(stack, read, settings, None, progress, keep_aligned)
    if keep_aligned is not None:
        job.canvas = _canvas(job, settings.crop)
        job.pass_over(job.plan.passes[-1], [])
    return found.places


def _begun(
    stack: Stack,
    read: Read,
    settings: Settings,
    places: Sequence[Place] | None,
    progress: Progress | None,
    keep_aligned: Keep | None,
) -> tuple[Job, Survey]:
    """Plan and survey: what every run begins with."""
    reference = stack.reference(settings.reference)
    plan = make_plan(stack, settings, budget(settings))
    backend, why = choose(settings.backend, plan.threads)
    report = Report(plan.method.value, backend.info.name, why, plan.as_dict())
    job = Job(backend, stack, read, plan, _Noted(progress or Silent(), report), report, keep_aligned)
    with job.stage("survey"):
        found = _surveyed(job, settings, reference, places)
    _settle_bad_frames(job, found, settings.on_bad_frame)
    job.places, report.noise = found.places, found.noise
    return job, found


def _surveyed(job: Job, settings: Settings, reference: int, places: Sequence[Place] | None) -> Survey:
    if settings.align is Model.NONE or len(job.stack) == 1:
        rest = still(job.backend, job.stack, job.read, reference)
        return rest if places is None else Survey(tuple(places), rest.noise)
    return survey(job.backend, job.stack, job.read, reference, settings.align, job.plan, job.progress)


def _settle_bad_frames(job: Job, found: Survey, wish: BadFrame) -> None:
    """Name the frames that could not be aligned: left out with a warning, or the end of the run."""
    for frame, place in zip(job.stack, found.places, strict=True):
        if place.used:
            continue
        problem = f"{frame.name} shows too little in common with its neighbours to be aligned"
        if wish is BadFrame.FAIL:
            raise AlignError(f"{problem}.", "Leave it out, or let it be skipped with --on-bad-frame skip.")
        job.progress.warn(f"{problem}, and is left out. Look at it; --on-bad-frame fail stops instead.")


def _canvas(job: Job, crop: Crop) -> Canvas:
    """The part of the reference that is rendered: all of it, or what every frame covers."""
    stack = job.stack
    transforms = [place.transform for place in job.places if place.used]
    left, top, right, bottom = shared_box(transforms, stack.width, stack.height)
    whole = (left, top, right, bottom) == (0, 0, stack.width, stack.height)
    if crop is Crop.AUTO and (right - left) * (bottom - top) < CROP_LEAST * stack.width * stack.height:
        job.progress.warn(
            "The frames share less than a quarter of the reference's view, so the picture is not cropped. "
            "Look at the alignment with --save-steps."
        )
        crop = Crop.NONE
    if crop is Crop.NONE:
        left, top, right, bottom = 0, 0, stack.width, stack.height
    width, height = right - left, bottom - top
    job.report.box = (left, top, width, height)
    bands = cut(height, job.plan.band_rows)
    covered = whole or crop is Crop.AUTO
    return Canvas(left, top, width, height, stack.channels, stack.pixel_type, bands, covered)


def _complete(report: Report, job: Job, found: Survey, fused: Fused) -> None:
    """Fill in what is known only at the end."""
    assert job.canvas is not None
    won = _shares(fused.winners, job.canvas.bands, len(job.stack))
    report.frames = [
        FrameReport(frame.name, place, float(share))
        for frame, place, share in zip(job.stack, found.places, won, strict=False)
    ]
    report.peak_bytes = peak_bytes()
    busy = sum(report.seconds.values())
    report.limit = "decoding" if report.waiting_seconds > 0.5 * busy else "computing"


def _shares(winners: npt.NDArray[np.uint16], bands: Sequence[Rows], frames: int) -> npt.NDArray[np.float64]:
    """Share of the pixels that each frame won; band by band, as counting needs eight bytes a pixel.

    Pixels that no frame covers count for none.
    """
    counts = [np.bincount(winners[rows.slice].ravel(), minlength=frames)[:frames] for rows in bands]
    return np.asarray(np.sum(counts, axis=0) / winners.size)


class _Noted:
    """Passes progress on and keeps the warnings for the report."""

    def __init__(self, inner: Progress, report: Report) -> None:
        self._inner, self._report = inner, report
        self.begin, self.advance = inner.begin, inner.advance

    def warn(self, sentence: str) -> None:
        """Note it and pass it on."""
        self._report.warnings.append(sentence)
        self._inner.warn(sentence)
