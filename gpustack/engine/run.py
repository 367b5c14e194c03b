"""Carries a plan out: survey, then the render passes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from gpustack.backend.choose import Choice, choose
from gpustack.backend.memory import free_bytes, peak_bytes
from gpustack.engine.bad_frames import settle
from gpustack.engine.feed import Read, Shrink, Source, Unpack
from gpustack.engine.ghosts import glances_of, removed, reports
from gpustack.engine.job import Job, Keep
from gpustack.engine.path import Fused, InSlabsOf, Recipe, render
from gpustack.engine.plan import Budget, make_plan
from gpustack.engine.price import slabs
from gpustack.engine.progress import Progress, Silent
from gpustack.engine.report import FrameReport, Report
from gpustack.engine.series import counted, in_stack
from gpustack.engine.survey import Survey, still, survey
from gpustack.engine.veils import found_veils, glows_of
from gpustack.errors import DeviceFullError, StackError
from gpustack.fuse.slabs import KeepSlab
from gpustack.fuse.veil import Glow
from gpustack.model.canvas import Canvas
from gpustack.model.frame import Kind, PixelType
from gpustack.model.place import Place
from gpustack.model.rect import Rows, cut
from gpustack.model.slab import Slab
from gpustack.model.stack import Stack
from gpustack.model.tone import AS_IT_IS
from gpustack.model.transform import shared_box
from gpustack.settings import CROP_LEAST, RAM_SHARE, VRAM_SHARE, Brightness, Crop, Deghost, Model, Settings

T = TypeVar("T")

SMALLER = 0.8
"""What is tried next where a device was full before its budget was reached, as a share of what it held."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gives, on the canvas and as stored (no EXIF rotation yet)."""

    fused: Fused
    places: tuple[Place, ...]
    report: Report


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a run; `places` replace the survey's."""

    stack: Stack
    source: Source
    settings: Settings
    places: tuple[Place, ...] | None = None
    progress: Progress | None = None
    keep_aligned: Keep | None = None
    keep_slab: KeepSlab | None = None
    looks_again: bool = False


def budget(settings: Settings, choice: Choice) -> Budget:
    """The user's limits, or a share of what this machine and its devices have free."""
    ram = settings.ram_bytes if settings.ram_bytes is not None else int(free_bytes() * RAM_SHARE)
    free = choice.free_bytes()
    vram = int(free * VRAM_SHARE) if settings.vram_bytes is None else min(settings.vram_bytes, free)
    return Budget(ram, settings.threads or os.cpu_count() or 1, vram, len(choice.devices))


def run(
    stack: Stack,
    read: Read,
    settings: Settings,
    *,
    places: Sequence[Place] | None = None,
    progress: Progress | None = None,
    keep_aligned: Keep | None = None,
    keep_slab: KeepSlab | None = None,
    unpack: Unpack | None = None,
    shrink: Shrink | None = None,
) -> Outcome:
    """Align and fuse a stack.

    `read` decodes a frame, `unpack` does so for backends that do the rest, `shrink` at a smaller size
    for the survey; `places` replace the survey's; `keep_aligned` is given every frame on the canvas,
    `keep_slab` the picture of each slab. Raises
    what decoding raises; StackError for a reference that does not exist, or another number of transforms than
    frames; PlanError where the budget is too small; BackendError where CUDA, or a decoder on it, was asked
    for and does not work.
    """
    if places is not None and len(places) != len(stack):
        raise StackError(
            f"{len(places)} transforms were given for {len(stack)} frames.", "Give one for each frame."
        )
    given = None if places is None else tuple(places)
    looks_again = given is not None and settings.lifts_veils
    if given is not None:
        settings = replace(settings, align=Model.NONE)  # nothing is left to estimate
    choice = choose(settings.backend, settings.devices, settings.decoder)
    source = Source(read, unpack, shrink)
    request = Request(stack, source, settings, given, progress, keep_aligned, keep_slab, looks_again)
    return _within_device(_fused, choice, request)


def _within_device(work: Callable[[Choice, Request, Budget], T], choice: Choice, request: Request) -> T:
    """Do it; where a device is full after all, plan for less and do it again."""
    allowed = budget(request.settings, choice)
    while True:
        try:
            return work(choice, request, allowed)
        except DeviceFullError as error:
            held = min(error.limit, allowed.vram_bytes)
            # Where even the smallest plan does not fit, making it raises PlanError with both numbers.
            allowed = replace(allowed, vram_bytes=int(held * SMALLER))


def _fused(choice: Choice, request: Request, allowed: Budget) -> Outcome:
    with closing(_job(choice, request, allowed)) as job:
        found = _surveyed(job, request)
        reference = request.stack.reference(request.settings.reference)
        job.canvas = _canvas(job, request.settings.crop, reference)
        found = _remove_ghosts(job, found, reference)
        found = _lift_veils(job, found, request, reference)
        started, before = time.perf_counter(), sum(job.report.seconds.values())
        fused = _rendered(job, Recipe.of(request.settings, found.noise), _slabs(job, request))
        passes = sum(job.report.seconds.values()) - before
        job.report.seconds["finish"] = time.perf_counter() - started - passes
        _complete(job.report, job, found, fused)
        return Outcome(fused, found.places, job.report)


def _rendered(job: Job, recipe: Recipe, slabs: InSlabsOf | None) -> Fused:
    """The render passes; slabs are cut by the indices of frames, which then stay as they are."""
    if slabs is not None:
        return render(job.backend, job.pass_over, recipe, slabs)
    job.numbers = counted(job.places)
    return in_stack(render(job.backend, job.pass_over, recipe), job.numbers, job.places)


def _remove_ghosts(job: Job, found: Survey, reference: int) -> Survey:
    """Leave frames out where they show a thing elsewhere than the frame that is kept there; the survey
    without what is not needed any more."""
    if not found.glances or job.canvas is None:
        return found
    with job.stage("ghosts"):
        covered = job.canvas.covered
        job.left_out, blobs = removed(
            found.glances, found.places, reference, covered=covered, progress=job.progress
        )
    job.report.ghosts = reports(blobs, found.glances[reference].factor, job.stack)
    job.canvas = replace(job.canvas, covered=covered and not job.left_out)
    return replace(found, glances=())


def _lift_veils(job: Job, found: Survey, request: Request, reference: int) -> Survey:
    """Find what lies over each frame; the survey without what is not needed any more.

    Frames whose places are given are looked at now: the picture is the same as with places that were found.
    """
    glows: Sequence[Glow] = found.glows
    if request.looks_again and len(job.stack) > 1:
        with job.stage("survey"):
            seen = glows_of(job.backend, job.stack, job.source, job.plan, job.progress)
        glows = [glow.toned(place.transform.tone) for glow, place in zip(seen, found.places, strict=True)]
    if len(glows) > 1:
        job.veils = found_veils(glows, found.places, reference, job.left_out)
    return replace(found, glows=())


def _slabs(job: Job, request: Request) -> InSlabsOf | None:
    """What is fused in slabs; each is noted in the report."""
    cut_up = slabs(request.stack, request.settings)
    if not cut_up:
        return None
    give = request.keep_slab

    def keep(slab: Slab, picture: npt.NDArray[Any]) -> None:
        job.report.slabs.append(slab)
        if give is not None:
            give(slab, picture)

    used = frozenset(index for index, place in enumerate(job.places) if place.used)
    return InSlabsOf(cut_up, used, keep)


def locate(
    stack: Stack,
    read: Read,
    settings: Settings,
    *,
    progress: Progress | None = None,
    keep_aligned: Keep | None = None,
    unpack: Unpack | None = None,
    shrink: Shrink | None = None,
) -> tuple[Place, ...]:
    """Survey a stack without fusing it; `keep_aligned` is given every used frame on the canvas."""
    settings = replace(settings, deghost=Deghost.OFF)  # nothing is fused
    choice = choose(settings.backend, settings.devices[:1], settings.decoder)
    request = Request(stack, Source(read, unpack, shrink), settings, None, progress, keep_aligned)
    return _within_device(_located, choice, request)


def _located(choice: Choice, request: Request, allowed: Budget) -> tuple[Place, ...]:
    with closing(_job(choice, request, allowed)) as job:
        found = _surveyed(job, request)
        if job.keep_aligned is not None:
            reference = request.stack.reference(request.settings.reference)
            job.canvas = _canvas(job, request.settings.crop, reference)
            job.pass_over(job.plan.renders[0], [])
        return found.places


def _job(choice: Choice, request: Request, allowed: Budget) -> Job:
    """Plan, and open the backends."""
    stack, settings = request.stack, request.settings
    stack.reference(settings.reference)  # what does not exist is told before any work
    if settings.align is Model.NONE and request.places is None:
        stack.refuse_sizes()
    plan = make_plan(stack, settings, allowed)
    backends = choice.open(plan.threads, allowed.vram_bytes, spill=plan.spill)
    info = backends[0].info
    report = Report(plan.method.value, info.name, choice.reason, plan.as_dict())
    noted = _Noted(request.progress or Silent(), report)
    return Job(
        backends,
        stack,
        request.source,
        plan,
        noted,
        report,
        request.keep_aligned,
        interpolation=settings.interpolation,
    )


def _surveyed(job: Job, request: Request) -> Survey:
    """Where the frames lie: given, taken to be at rest, or estimated."""
    settings, stack = request.settings, request.stack
    reference = stack.reference(settings.reference)
    with job.stage("survey"):
        if settings.align is Model.NONE or len(stack) == 1:
            found = still(job.backend, stack, job.source, reference)
            if request.places is not None:
                found = Survey(request.places, found.noise)
            if settings.removes_ghosts:
                found = replace(
                    found, glances=glances_of(job.backend, stack, job.source, job.plan, job.progress)
                )
        else:
            found = survey(job.backend, stack, job.source, reference, settings, job.plan, job.progress)
    if settings.brightness is Brightness.NONE:
        plain = (replace(at, transform=at.transform.with_tone(AS_IT_IS)) for at in found.places)
        found = replace(found, places=tuple(plain))
    settle(stack, found.places, settings.on_bad_frame, job.progress)
    job.places, job.report.noise, job.report.model = found.places, found.noise, found.model.value
    return found


def _canvas(job: Job, crop: Crop, reference: int) -> Canvas:
    """The part of the reference that is rendered: all of it, or what every frame covers."""
    stack = job.stack
    wide, high = stack.frames[reference].size
    used = [
        (place.transform, frame.size) for place, frame in zip(job.places, stack, strict=True) if place.used
    ]
    left, top, right, bottom = shared_box([of for of, _ in used], wide, high, [size for _, size in used])
    whole = (left, top, right, bottom) == (0, 0, wide, high)
    if crop is Crop.AUTO and (right - left) * (bottom - top) < CROP_LEAST * wide * high:
        job.progress.warn(
            "The frames share less than a quarter of the reference's view, so the picture is not cropped. "
            "Look at the alignment with --save-steps."
        )
        crop = Crop.NONE
    if crop is Crop.NONE:
        left, top, right, bottom = 0, 0, wide, high
    width, height = right - left, bottom - top
    job.report.box = (left, top, width, height)
    bands = cut(height, job.plan.band_rows)
    covered = whole or crop is Crop.AUTO
    linear = stack.kind is Kind.RAW or stack.pixel_type is PixelType.FLOAT32
    return Canvas(left, top, width, height, stack.channels, stack.pixel_type, bands, covered, linear)


def _complete(report: Report, job: Job, found: Survey, fused: Fused) -> None:
    """Fill in what is known only at the end."""
    assert job.canvas is not None
    won = _shares(fused.winners, job.canvas.bands, len(job.stack))
    report.frames = [
        FrameReport(frame.name, place, float(share))
        for frame, place, share in zip(job.stack, found.places, won, strict=False)
    ]
    report.peak_bytes = peak_bytes()
    report.device_bytes = max(backend.peak_bytes for backend in job.backends)
    report.work_seconds = _worked(job)


def _worked(job: Job) -> dict[str, float]:
    """Seconds that each stage of the backend was at work, the mean over several backends.

    Where the host does the pixels' work, it is what was not spent waiting for a frame.
    """
    spent: dict[str, float] = {}
    for backend in job.backends:
        for stage, seconds in backend.busy_seconds.items():
            spent[stage] = spent.get(stage, 0.0) + seconds / len(job.backends)
    return spent or {"compute": sum(job.report.seconds.values()) - job.report.waiting_seconds}


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
