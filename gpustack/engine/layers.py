"""The layers of a result: a last pass over the frames that own pixels of it, one layer at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.engine.feed import Feed
from gpustack.engine.job import Job
from gpustack.engine.path import Fused
from gpustack.engine.report import LayersReport
from gpustack.fuse.owners import boxes, owners
from gpustack.model.canvas import Canvas
from gpustack.model.layer import Box, Outline
from gpustack.model.place import Place
from gpustack.model.rect import cut
from gpustack.settings import LAYER_MARGIN_PX

PASS = "layers"
"""The pass's name in plans, progress and timings."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One frame's layer, on the canvas and as stored: pixels (h, w, c) of the outline's box, where the frame
    `covers` them, (h, w) uint8 or None for everywhere, and its mask, (h, w) uint8.

    Inside the mask the pixels are the picture's, elsewhere the aligned frame's.
    """

    outline: Outline
    pixels: npt.NDArray[Any]
    covers: npt.NDArray[np.uint8] | None
    mask: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """What is known before the first layer: the picture, where frames lie, the layers to come, in order, and
    who is told of what is unusual."""

    picture: npt.NDArray[Any]
    places: Sequence[Place]
    outlines: Sequence[Outline]
    warn: Callable[[str], None]


KeepLayers = Callable[[Opening], AbstractContextManager[Callable[[Layer], None]]]
"""Opens what the layers go into; gives what takes them, one after the other."""


def hand_out_layers(job: Job, fused: Fused, keep: KeepLayers) -> None:
    """Make the layers of a finished picture and hand each out; memory holds one."""
    canvas = job.canvas
    assert canvas is not None
    with job.stage(PASS):
        used = [index for index, place in enumerate(job.places) if place.used]
        owned = owners(job.backend, fused.winners, used, len(job.stack), canvas.bands)
        outlines = _outlines(job, owned)
        opening = Opening(fused.picture, job.places, outlines, job.progress.warn)
        job.progress.begin(PASS, len(outlines), job.stack.frames[0].megapixels)
        with keep(opening) as take:
            _pass(job, outlines, fused.picture, owned, take)
    names = [frame.name for frame in job.stack]
    shown = {outline.index for outline in outlines}
    job.report.layers = LayersReport(
        tuple(names[index] for index in sorted(shown)),
        tuple(name for index, name in enumerate(names) if index not in shown),
    )


def _outlines(job: Job, owned: npt.NDArray[np.uint16]) -> list[Outline]:
    """The frames that own pixels, in stack order, with room around them to paint more."""
    canvas = job.canvas
    assert canvas is not None
    found = boxes(owned, len(job.stack), canvas.bands)
    return [
        Outline(index, frame.name, box.grown(LAYER_MARGIN_PX, canvas.width, canvas.height))
        for index, (frame, box) in enumerate(zip(job.stack, found, strict=True))
        if box is not None
    ]


def _pass(
    job: Job,
    outlines: Sequence[Outline],
    picture: npt.NDArray[Any],
    owned: npt.NDArray[np.uint16],
    take: Callable[[Layer], None],
) -> None:
    """Read the frames of the outlines once more, on the first backend: a file is written in order."""
    if not outlines:
        return
    frames = [job.stack.frames[outline.index] for outline in outlines]
    feed = Feed(job.backend, frames, job.source, slots=job.plan.slots, readers=job.plan.readers)
    with feed.open(lambda _, array: array) as arrays:
        for number, array in arrays:
            outline = outlines[number]
            box = outline.box
            below = picture[box.rows, box.columns]
            take(_layer(job, outline, array, below, owned[box.rows, box.columns] == outline.index))
            del array
            job.progress.advance(feed.waiting_share)
    job.note(feed)


def _layer(
    job: Job, outline: Outline, array: Any, below: npt.NDArray[Any], own: npt.NDArray[np.bool_]
) -> Layer:
    """One layer; `below` is the picture and `own` what the frame owns, both in the outline's box."""
    backend, canvas = job.backend, _part(job, outline.box)
    kind = canvas.pixel_type
    place = canvas.place(job.places[outline.index].transform)
    pixels = np.empty(below.shape, below.dtype)
    covers = None if canvas.covered else np.full(own.shape, 255, np.uint8)

    def work(number: int) -> None:
        rows = canvas.bands[number]
        band = backend.load(array, place, kind, canvas.width, rows, interpolation=job.interpolation)
        part, ours = pixels[rows.slice], own[rows.slice]
        part[...] = backend.pack(band.image, kind, None)
        np.copyto(part, below[rows.slice], where=ours[..., None])
        if covers is not None and band.valid is not None:
            covers[rows.slice] = np.where(ours, 255, backend.download(band.valid))

    backend.each(work, range(len(canvas.bands)))
    return Layer(outline, pixels, covers, own.view(np.uint8) * np.uint8(255))


def _part(job: Job, box: Box) -> Canvas:
    """A part of the canvas as a canvas of its own. What frames do not cover is told only where they are not
    cropped to what all of them do; what moved is in a layer, too, to be painted in."""
    canvas = job.canvas
    assert canvas is not None
    return replace(
        canvas,
        left=canvas.left + box.left,
        top=canvas.top + box.top,
        width=box.width,
        height=box.height,
        bands=cut(box.height, job.plan.band_rows),
    )
