"""Ghost removal in a run: what is kept of every frame, and which frames are left out where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpustack.backend.protocol import Backend
from gpustack.backend.values import Band, Host
from gpustack.engine.feed import Source
from gpustack.engine.lights import lit
from gpustack.engine.looking import Course, Look, pictures_of
from gpustack.engine.progress import Progress
from gpustack.engine.report import GhostReport
from gpustack.engine.spooled import Spooled
from gpustack.ghosts.glance import Aligned, Glance, aligned, cell_side
from gpustack.ghosts.mask import LeftOuts
from gpustack.ghosts.resolve import MOST, Blob, resolve
from gpustack.model.frame import Frame
from gpustack.model.place import Place
from gpustack.model.stack import Stack


def glances_of(backend: Backend[Any], stack: Stack, source: Source, course: Course) -> Spooled[Glance]:
    """One a frame, in a pass of their own: for stacks that are not aligned."""

    def reduction(frame: Frame) -> int:
        return source.reduction(frame, backend, cell_side(frame.size))

    def look(frame: Frame, pixels: Any) -> Glance:
        return lit(backend, pixels, frame, max(1, reduction(frame))).glance()

    return pictures_of(backend, stack.frames, source, course, Look(Glance, look, reduction))


def removed(
    glances: Sequence[Glance], places: Sequence[Place], reference: int, *, covered: bool, progress: Progress
) -> tuple[LeftOuts, tuple[Blob, ...]]:
    """Where frames are left out, by index, and what moved; `covered`: every frame covers the canvas.

    Where one does not, the reference is left out nowhere: it may be the only one that is there.
    """
    used = [index for index, place in enumerate(places) if place.used]
    always = reference if reference in used and not covered else None

    ground = glances[reference]

    def glimpse(index: int) -> Aligned:
        return aligned(glances[index], places[index].transform, ground)

    found = resolve(glimpse, used, always)
    if found.share > MOST:
        progress.warn(
            f"Frames next to each other show other things in {found.share:.0%} of the picture, so ghosts are "
            "not removed. Look at the alignment with --save-steps; --deghost off does not look for them."
        )
    return LeftOuts(found.left_out, ground.factor), found.blobs


def reports(blobs: Sequence[Blob], factor: int, stack: Stack) -> list[GhostReport]:
    """What moved, in pixels of the reference as stored."""
    return [
        GhostReport(tuple(side * factor for side in blob.box), stack.frames[blob.frame].name)
        for blob in blobs
    ]


def without(backend: Backend[Any], band: Band[Any], taken: Host | None) -> Band[Any]:
    """A band of a frame that takes part only where `taken` (h, w) is 255; None: all over."""
    if taken is None:
        return band
    if band.valid is not None:
        taken = np.minimum(taken, backend.download(band.valid))
    return Band(band.image, backend.upload(taken))
