"""What is taken out of the frames of a run before they are fused: things that moved, and lamps' veils."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gpustack.engine.ghosts import removed, reports
from gpustack.engine.job import Job
from gpustack.engine.looking import Course, Keeps, KeepsNothing
from gpustack.engine.opening import Request
from gpustack.engine.progress import Progress, Silent
from gpustack.engine.survey import Survey
from gpustack.engine.veils import Toned, few, found_veils, glows_of
from gpustack.fuse.veil import Glow
from gpustack.model.stack import Stack


def remove_ghosts(job: Job, found: Survey, reference: int) -> Survey:
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


def lift_veils(job: Job, found: Survey, request: Request, reference: int) -> Survey:
    """Find what lies over each frame; the survey without what is not needed any more."""
    glows: Sequence[Glow] = found.glows
    if request.settings.lifts_veils and not glows and len(job.stack) > 1:
        glows = _looked(job, found, given=request.places is not None)
    if len(glows) > 1:
        job.veils = found_veils(glows, found.places, reference, job.left_out)
    return replace(found, glows=())


def _looked(job: Job, found: Survey, *, given: bool) -> Sequence[Glow]:
    """Look at frames that no survey has looked at.

    Where their places are given, the picture is to be the same as with places that were found; else a few
    frames tell whether there are lamps at all.
    """
    pieces = job.pieces("glow", "glows")

    def look(stack: Stack, progress: Progress, keeps: Keeps) -> Sequence[Glow]:
        return glows_of(job.backend, stack, job.source, Course(job.plan, progress, keeps))

    def seen() -> Sequence[Glow]:
        lit = given or any(glow.burnt.any() for glow in look(few(job.stack), Silent(), KeepsNothing()))
        return look(job.stack, job.progress, pieces or KeepsNothing()) if lit else ()

    with job.stage("survey"):
        glows = job.kept("glows", seen)
        if pieces is not None:
            pieces.forget()
    return Toned(glows, found.places)
