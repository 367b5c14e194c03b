"""Carries a plan out: survey, then the render passes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from gpustack.backend.choose import Choice, choose
from gpustack.backend.memory import give_back
from gpustack.engine.checkpoint import Checkpoint
from gpustack.engine.cleaning import lift_veils, remove_ghosts
from gpustack.engine.feed import Read, Shrink, Source, Unpack
from gpustack.engine.identity import identity_of
from gpustack.engine.job import Job, Keep
from gpustack.engine.known import Known
from gpustack.engine.layers import KeepLayers, hand_out_layers
from gpustack.engine.opening import Request, open_job, within_device
from gpustack.engine.path import Fused, InSlabsOf, Recipe, render
from gpustack.engine.placing import canvas_of, surveyed
from gpustack.engine.planned import Budget
from gpustack.engine.price import slabs
from gpustack.engine.progress import Progress, Silent
from gpustack.engine.report import Report
from gpustack.engine.series import counted, in_stack
from gpustack.engine.tally import complete
from gpustack.errors import StackError
from gpustack.fuse.slabs import KeepSlab
from gpustack.model.place import Place
from gpustack.model.stack import Stack
from gpustack.settings import Deghost, Model, Settings


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gives, on the canvas and as stored (no EXIF rotation yet)."""

    fused: Fused
    places: tuple[Place, ...]
    report: Report


def run(
    stack: Stack,
    read: Read,
    settings: Settings,
    *,
    places: Sequence[Place] | None = None,
    progress: Progress | None = None,
    keep_aligned: Keep | None = None,
    keep_slab: KeepSlab | None = None,
    keep_layers: KeepLayers | None = None,
    unpack: Unpack | None = None,
    shrink: Shrink | None = None,
    known: Known | None = None,
    checkpoint: Checkpoint | None = None,
) -> Outcome:
    """Align and fuse a stack.

    `read` decodes a frame, `unpack` does so for backends that do the rest, `shrink` at a smaller size
    for the survey; `places` replace the survey's; `keep_aligned` is given every frame on the canvas,
    `keep_slab` the picture of each slab, `keep_layers` the layers, which takes a pass of its own; what is
    `known` of the frames is not done again; `checkpoint` is continued where it holds anything, and kept up.

    Raises what decoding raises; StackError for a reference that does not exist, or another number of
    transforms than frames; CheckpointError for another run's checkpoint; PlanError where the budget is too
    small; BackendError where CUDA, or a decoder on it, was asked for and does not work.
    """
    if places is not None and len(places) != len(stack):
        raise StackError(
            f"{len(places)} transforms were given for {len(stack)} frames.", "Give one for each frame."
        )
    given = None if places is None else tuple(places)
    if given is not None:
        settings = replace(settings, align=Model.NONE)  # nothing is left to estimate
    choice = choose(settings.backend, settings.devices, settings.decoder)
    source = Source(read, unpack, shrink)
    settings = replace(settings, layers=keep_layers is not None)
    if checkpoint is not None:
        identity = identity_of(stack, settings, given, choice)
        warn = (progress or Silent()).warn
        source = checkpoint.bind(identity, stack, source, settings.flat, warn)
    known = known or Known()
    request = Request(
        stack, source, settings, given, progress, keep_aligned, keep_slab, known, keep_layers, checkpoint
    )
    return within_device(_fused, choice, request)


def _fused(choice: Choice, request: Request, allowed: Budget) -> Outcome:
    with closing(open_job(choice, request, allowed)) as job:
        found = surveyed(job, request)
        reference = request.stack.reference(request.settings.reference)
        job.canvas = canvas_of(job, request.settings.crop, reference)
        found = remove_ghosts(job, found, reference)
        found = lift_veils(job, found, request, reference)
        job.settle(request.settings)
        give_back()  # what looking at many frames has freed lies between what is kept of them
        started, before = time.perf_counter(), sum(job.report.seconds.values())
        fused = _rendered(job, Recipe.of(request.settings, found.noise), _slabs(job, request))
        passes = sum(job.report.seconds.values()) - before
        job.report.seconds["finish"] = time.perf_counter() - started - passes
        if request.keep_layers is not None:
            hand_out_layers(job, fused, request.keep_layers)
        complete(job, found.places, fused)
        return Outcome(fused, found.places, job.report)


def _rendered(job: Job, recipe: Recipe, slabs: InSlabsOf | None) -> Fused:
    """The render passes; slabs are cut by the indices of frames, which then stay as they are."""
    if slabs is not None:
        return render(job.backend, job.pass_over, recipe, slabs)
    job.numbers = counted(job.places)
    return in_stack(render(job.backend, job.pass_over, recipe), job.numbers, job.places)


def _slabs(job: Job, request: Request) -> InSlabsOf | None:
    """What is fused in slabs; each is noted in the report."""
    cut_up = slabs(request.stack, request.settings)
    if not cut_up:
        return None
    used = frozenset(index for index, place in enumerate(job.places) if place.used)
    ends = [(slab, slab.last(used)) for slab in cut_up]
    job.slabs_last = [(slab, last) for slab, last in ends if last is not None]
    job.report.slabs = [slab for slab, _ in job.slabs_last]
    return InSlabsOf(cut_up, used, request.keep_slab or (lambda *_: None))


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
    return within_device(_located, choice, request)


def _located(choice: Choice, request: Request, allowed: Budget) -> tuple[Place, ...]:
    folded = request.keep_aligned is not None
    # There is no state to page, and loops only fold.
    allowed = replace(allowed, disk_bytes=0, loops=allowed.loops and folded)
    with closing(open_job(choice, request, allowed)) as job:
        found = surveyed(job, request)
        if job.keep_aligned is not None:
            reference = request.stack.reference(request.settings.reference)
            job.canvas = canvas_of(job, request.settings.crop, reference)
            job.pass_over(job.plan.renders[0], [])
        return found.places
