"""Where the frames of a run lie, and which part of the reference is rendered."""

from __future__ import annotations

from dataclasses import replace

from gpustack.engine.bad_frames import settle
from gpustack.engine.ghosts import glances_of
from gpustack.engine.job import Job
from gpustack.engine.looking import Course, Keeps, KeepsNothing
from gpustack.engine.opening import Request
from gpustack.engine.survey import Survey, recalled, still, survey
from gpustack.model.canvas import Canvas
from gpustack.model.frame import Kind, PixelType
from gpustack.model.rect import cut
from gpustack.model.tone import AS_IT_IS
from gpustack.model.transform import shared_box
from gpustack.settings import CROP_LEAST, Brightness, Crop, Model


def surveyed(job: Job, request: Request) -> Survey:
    """Where the frames lie: given, taken to be at rest, or estimated."""
    settings, stack = request.settings, request.stack
    reference = stack.reference(settings.reference)
    with job.stage("survey"):
        pieces = job.pieces("look", "survey")
        found = job.kept("survey", lambda: _found(job, request, reference, pieces or KeepsNothing()))
        if pieces is not None:
            pieces.forget()
    if settings.brightness is Brightness.NONE:
        plain = (replace(at, transform=at.transform.with_tone(AS_IT_IS)) for at in found.places)
        found = replace(found, places=tuple(plain))
    settle(stack, found.places, settings.on_bad_frame, job.progress)
    job.places, job.report.noise, job.report.model = found.places, found.noise, found.model.value
    return found


def _found(job: Job, request: Request, reference: int, keeps: Keeps) -> Survey:
    settings, stack = request.settings, request.stack
    course = Course(job.plan, job.progress, keeps)
    if settings.align is not Model.NONE and len(stack) > 1:
        if request.known.kept is not None:
            return recalled(job.backend, stack, job.source, reference, settings, request.known.kept)
        return survey(job.backend, stack, job.source, reference, settings, course)
    found = still(job.backend, stack, job.source, reference)
    if request.places is not None:
        found = Survey(request.places, found.noise)
    if settings.removes_ghosts:
        found = replace(found, glances=glances_of(job.backend, stack, job.source, course))
    return found


def canvas_of(job: Job, crop: Crop, reference: int) -> Canvas:
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
