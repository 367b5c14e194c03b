"""What is taken out of the frames of a run before they are fused: things that moved, and lamps' veils."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gpustack.engine.ghosts import removed, reports
from gpustack.engine.job import Job
from gpustack.engine.opening import Request
from gpustack.engine.survey import Survey
from gpustack.engine.veils import found_veils, glows_of
from gpustack.fuse.veil import Glow


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
