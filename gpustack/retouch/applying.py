"""Painting the strokes of an edit list into its picture: `apply(path) -> Retouched`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack import libraries
from gpustack.backend.cpu import Cpu
from gpustack.engine.progress import Progress, Silent
from gpustack.errors import InputError
from gpustack.io.decode import Decoder
from gpustack.io.fingerprint import fingerprint
from gpustack.io.metadata import Metadata, read_metadata
from gpustack.io.picture import Picture, sane
from gpustack.io.sidecar import Edits, Sidecar
from gpustack.io.write import oriented, write_picture
from gpustack.model.frame import Kind
from gpustack.records.provenance import Digest, named
from gpustack.records.shown import Shown, open_shown
from gpustack.retouch.edits import EditList, read_edits
from gpustack.retouch.frames import Decoding, Frames, picture_source
from gpustack.retouch.layers import LayersWish, write_layers
from gpustack.retouch.painting import Paint
from gpustack.retouch.painting import Shown as Source
from gpustack.retouch.placing import Place
from gpustack.retouch.price import Load, gains_bytes, most_tiles
from gpustack.retouch.stroked import Canvas, openings, paint_all
from gpustack.retouch.strokes import FrameSource, PictureSource, StrokeSource
from gpustack.settings import JPEG_QUALITY, Settings
from gpustack.version import SOFTWARE

Pixels = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Retouched:
    """A retouched picture: pixels (h, w, c) of the result's dtype, upright; what the result's file says, with
    what was done; the result, the list, and the place of both; `frames` that were painted with, by index;
    `layers`: the file of layers that was written."""

    pixels: Pixels
    metadata: Metadata
    place: Place
    edits: EditList
    path: Path
    frames: tuple[int, ...]
    layers: Path | None = None

    def save(self, path: str | Path, *, overwrite: bool = False, quality: int = JPEG_QUALITY) -> None:
        """Write it as `Result.save` does. Raises UsageError, WriteError."""
        write_picture(
            Path(path), self.pixels, self.metadata, overwrite=overwrite, software=SOFTWARE, quality=quality
        )


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """An edit list that was opened with its picture, of which only the header is read."""

    path: Path
    edits: EditList
    place: Place
    frames: Frames

    @property
    def inputs(self) -> list[Path]:
        """The files that are read."""
        shown = self.place.shown
        others = [
            self.place.home / stroke.source.file
            for stroke in self.edits.strokes
            if isinstance(stroke.source, PictureSource)
        ]
        frames = [frame.path for frame in self.frames.headers]
        return [self.path, shown.path, shown.sidecar_path, *frames, *others]

    def load(self, paints: Sequence[Paint], *, layered: bool) -> Load:
        """What memory is needed for."""
        sources = {stroke.source for stroke in self.edits.strokes}
        others = [self.place.other(source).picture for source in sources if isinstance(source, PictureSource)]
        picture, settings = self.place.shown.picture, self.frames.settings
        return Load(
            picture,
            (*self.frames.headers, *others),
            gains_bytes(paints, picture),
            self.path.stat().st_size,
            layered=layered,
            changed=settings.flat is not None or settings.convert_profile,
        )

    @staticmethod
    def open(
        path: Path, *, picture: Path | None = None, folder: Path | None = None, machine: Settings
    ) -> Task:
        """`picture`: another result than the list names, of the same stack; `folder`: where frames lie now.

        Raises InputError for a list, picture or sidecar that cannot be read or does not fit, and for frames
        that have gone or changed.
        """
        edits, home = read_edits(path), path.absolute().parent
        shown = open_shown(home / edits.picture if picture is None else picture, folder)
        _refuse_unfit(shown)
        place = Place(shown, home)
        wanted = [stroke.source for stroke in edits.strokes if isinstance(stroke.source, FrameSource)]
        indices = tuple(dict.fromkeys(place.index(source) for source in wanted))
        return Task(path, edits, place, Frames.open(shown, indices, machine))


def apply(
    path: str | Path,
    *,
    picture: str | Path | None = None,
    folder: str | Path | None = None,
    machine: Settings | None = None,
    layers: LayersWish | None = None,
    progress: Progress | None = None,
) -> Retouched:
    """Paint the strokes of an edit list into its picture, at full resolution and bit depth.

    `picture`: another result of the stack than the list names, made by another method, crop or reference.
    `folder`: where the frames lie now, if not where they lay. `machine`: memory and threads are those of
    these settings, and so is the command that develops RAW files, where one did. `layers`: a file of layers
    that is written, too, for which sources are read twice.

    Raises InputError for what cannot be read or does not belong together, PlanError where memory is too
    small; UsageError, WriteError for layers that cannot be written.
    """
    machine = machine or Settings()
    given = [None if one is None else Path(one) for one in (picture, folder)]
    task = Task.open(Path(path), picture=given[0], folder=given[1], machine=machine)
    return retouched(task, machine, layers, progress or Silent())


def retouched(task: Task, machine: Settings, layers: LayersWish | None, progress: Progress) -> Retouched:
    """Do a task; raises as `apply`."""
    shown = task.place.shown
    if layers is not None:
        layers.check(shown.picture.pixel_type)
    paints = task.place.paints(task.edits)
    most = most_tiles(task.load(paints, layered=layers is not None), machine)
    pixels = picture_of(shown)
    fused = None if layers is None else pixels.copy()
    canvas, metadata = Canvas(pixels, paints), _told(task)
    threads, written = machine.threads or os.cpu_count() or 1, None
    with task.frames.decoding() as frames, closing(Cpu(threads)) as backend:
        sources = _Sources(task.place, frames, backend, pixels)
        progress.begin("apply", openings(canvas, most), shown.picture.megapixels)
        paint_all(canvas, sources.open, most, lambda: progress.advance(0.0))
        if layers is not None and fused is not None:
            progress.begin("layers", len(canvas.sources()), shown.picture.megapixels)
            tell = (lambda: progress.advance(0.0), progress.warn)
            written = write_layers(layers, canvas, fused, metadata, sources.name, sources.open, tell)
    return Retouched(pixels, metadata, task.place, task.edits, task.path, task.frames.indices, written)


@dataclass(frozen=True, slots=True, eq=False)
class _Sources:
    """Opens what strokes paint with."""

    place: Place
    frames: Decoding
    backend: Cpu
    pixels: Pixels

    @contextmanager
    def open(self, source: StrokeSource) -> Iterator[Source]:
        """A source on the result's pixels, for as long as it is needed."""
        if isinstance(source, FrameSource):
            yield self.frames.aligned(self.place.index(source), self.backend)
        else:
            assert isinstance(source, PictureSource)
            yield picture_source(self.place.other(source), self.place.shown, self.pixels)

    def name(self, source: StrokeSource) -> str:
        """As a layer is called."""
        if isinstance(source, FrameSource):
            return self.place.shown.name_of(self.place.index(source))
        assert isinstance(source, PictureSource)
        return Path(source.file).name


def picture_of(shown: Shown) -> Pixels:
    """The pixels of a result, (h, w, c), upright and to be written to. Raises InputError."""
    picture = shown.picture
    pixels = oriented(Decoder(picture)(picture), picture.orientation)
    sane(Picture(picture.name, pixels))
    return np.require(pixels, requirements=["C", "W"])


def _refuse_unfit(shown: Shown) -> None:
    """Raise InputError for results that cannot be painted on."""
    if shown.picture.kind is Kind.RAW:
        raise InputError(
            f"{shown.path.name} holds linear camera RGB, which cannot be painted on.",
            "Stack it again to .tif; the strokes fit that, too.",
        )
    if not shown.turn_known:
        raise InputError(
            f"How {shown.reference.file} is turned is not known, as it is not there.",
            "Name the folder where the frames lie with --frames.",
        )


def _told(task: Task) -> Metadata:
    """What the result's file says, with what was done to it."""
    shown = task.place.shown
    used = len({stroke.source for stroke in task.edits.strokes if isinstance(stroke.source, FrameSource)})
    history = task.frames.history
    count = f"{len(task.edits.strokes)} strokes of {task.path.name}, from {used} frames"
    return replace(read_metadata(shown.picture), history=f"{history}; retouched by {count}")


def record(done: Retouched, picture: Path) -> Sidecar:
    """What is to be noted of a retouched picture in a file: the sidecar of the result that was painted on,
    with the digest of its own pixels, and the list. Raises InputError where the list has gone meanwhile."""
    shown, home = done.place.shown, picture.absolute().parent.resolve()
    old = shown.sidecar
    rows = [replace(one, file=named(shown.inputs.path(one), home)) for one in old.inputs]
    flat = None if old.flat is None else replace(old.flat, file=named(shown.inputs.path(old.flat), home))
    return replace(
        old,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        program=libraries.program(),
        machine=libraries.machine(),
        inputs=tuple(rows),
        outputs={"picture": Digest.of(done.pixels).named(named(picture, home))},
        flat=flat,
        slabs=(),
        edits=Edits(named(done.path, home), fingerprint(done.path).sha256, len(done.edits.strokes)),
    )
