"""The strokes that are painted on the page."""

from __future__ import annotations

import hashlib
import shlex
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gpustack.errors import GpustackError, InputError, UsageError, WriteError
from gpustack.io.strict import Malformed, parsed
from gpustack.model.layer import Box
from gpustack.retouch.blending import Seam
from gpustack.retouch.edits import EditList, edits_of, read_edits, stroke_of, write_edits
from gpustack.retouch.history import History
from gpustack.retouch.painting import Area
from gpustack.retouch.placing import Place
from gpustack.retouch.stroked import measured
from gpustack.retouch.strokes import FrameSource, PictureSource, Stroke, StrokeSource
from gpustack.viewing import grid
from gpustack.viewing.look import Look
from gpustack.viewing.painted import Entry, Layer, Painted
from gpustack.viewing.pictures import Pictures

STEPS: dict[str, Callable[[History[Entry]], History[Entry]]] = {
    "undo": History.undo,
    "redo": History.redo,
    "clear": History.cleared,
}
"""What can be done to all strokes, by its name."""

_SEAM_PIXELS = 1 << 20
"""Of a stroke's rim, and what it encloses, that are looked at: about a tenth of a second of resampling."""


class Edits:
    """The strokes over a result; for any thread."""

    def __init__(self, pictures: Pictures, warn: Callable[[str], None], limit: int) -> None:
        """`limit`: bytes of painted tiles that are kept."""
        self._pictures, self._warn, self._lock = pictures, warn, threading.Lock()
        self._adding = threading.Lock()  # strokes stay in the order in which they come
        self.place = Place(pictures.shown, pictures.shown.path.absolute().parent)
        self.path = edits_of(pictures.shown.path)
        self._painted = Painted(limit)
        self._history: History[Entry] = History()
        self._saved: tuple[Entry, ...] = ()
        self._content = _digest(self.path)
        self._unread: GpustackError | None = None
        self.rev = int(time.time())
        """Changes with the strokes, and from one run to the next: browsers keep tiles by it."""

    def open(self) -> None:
        """Read the list beside the result. What cannot be painted of it is told as a warning, and then the
        list is not written over."""
        if self._content is None:
            return
        try:
            strokes = self.place.adopted(read_edits(self.path))
            history = History.of(map(self._entry, strokes))
        except GpustackError as error:
            self._unread = error
            self._warn(f"The strokes of {self.path.name} are not shown. {error}")
            return
        with self._lock:  # something may have been painted meanwhile
            mine = self._history
            self._history = History((*history.steps, *mine.steps), history.done + mine.done)
            self._saved = history.strokes
            self.rev += 1

    def over(self, look: Look, area: grid.Area) -> Look:
        """An area of the result with the strokes painted. Raises GpustackError where a source has gone."""
        entries, (_, _, width, height) = self._history.strokes, self._pictures.shown.box
        box = Box(area.left, area.top, area.width, area.height)
        whole = Area(box, area.level, width, height)
        return self._painted.over(entries, look.pixels, whole, keeps=self._pictures.fused.done)

    def as_dict(self) -> dict[str, Any]:
        """The edit list, and what can be undone and redone."""
        with self._lock:
            return self._list().as_dict() | self._state()

    def add(self, body: bytes) -> dict[str, Any]:
        """One stroke more. Raises GpustackError for what is none, or has a source that is not there."""
        try:
            stroke = stroke_of(parsed(body))
        except Malformed as error:
            raise UsageError(f"This is no stroke: {error}.", "Draw it again.") from error
        with self._adding:
            entry = self._entry(stroke)
            return self._changed(lambda history: history.added(entry))

    @property
    def unsaved(self) -> bool:
        """Whether strokes would be lost if the page were closed."""
        return self._history.strokes != self._saved

    def step(self, how: str) -> dict[str, Any]:
        """One of STEPS."""
        return self._changed(STEPS[how])

    def save(self) -> dict[str, Any]:
        """Write the list beside the result. Raises WriteError where another one has come there meanwhile."""
        with self._lock:
            if self._unread is not None or _digest(self.path) != self._content:
                why = "is another list than was opened" if self._unread is None else "could not be used"
                raise WriteError(
                    f"{self.path.name} {why}, and is not replaced.",
                    "Move it elsewhere, and save again.",
                )
            write_edits(self.path, self._list(), overwrite=True)
            self._saved, self._content = self._history.strokes, _digest(self.path)
        picture = self._pictures.shown.path
        target = picture.with_name(f"{picture.stem}-retouched{picture.suffix}")
        words = ["gpustack", "apply", str(self.path), "-o", str(target)]
        folder = self._pictures.shown.inputs.folder
        words += [] if folder is None else ["--frames", str(folder)]
        return {"file": self.path.name, "command": shlex.join(words)} | self._state()

    def source(self, index: int) -> dict[str, Any]:
        """What a stroke names a frame by."""
        one = self._pictures.shown.sidecar.inputs[index]
        return FrameSource(one.file, one.page).as_dict()

    def source_of(self, path: Path) -> dict[str, Any] | None:
        """What a stroke names another picture by; None where it lies elsewhere than beside the result."""
        try:
            name = path.absolute().resolve().relative_to(self.place.home.resolve())
        except ValueError:
            return None
        return PictureSource(name.as_posix()).as_dict()

    def _entry(self, stroke: Stroke) -> Entry:
        """A stroke made ready: what it paints with, and how bright that is to be."""
        shown = self._pictures.shown
        if not shown.turn_known:
            raise InputError(
                "How the frames are turned is not known, so nothing can be painted.",
                "Name the folder where they lie with --frames.",
            )
        paint = self.place.paint(stroke.moved(self.place.from_reference))
        if paint.erases:
            return Entry(stroke, paint)
        name = self._source(stroke.source)
        seam = Seam.of(paint.mask, *shown.box[2:]) if paint.matches else None
        if seam is None:
            _try(paint.within(_whole(shown.box)), self._layer(name))
            return Entry(stroke, paint, self._layer(name))
        finer = _finer(seam)
        fused, source = (self._layer(layer, finer) for layer in ("original", name))
        return Entry(stroke, paint, self._layer(name), measured(seam, fused, source, paint))

    def _source(self, source: StrokeSource) -> str:
        """The layer of a source. Raises InputError for a picture that was not given to compare with."""
        if isinstance(source, FrameSource):
            return f"frame-{self.place.index(source)}"
        assert isinstance(source, PictureSource)
        wanted = (self.place.home / source.file).resolve()
        for number, other in enumerate(self._pictures.others):
            if other.picture.path.resolve() == wanted:
                return f"other-{number}"
        raise InputError(f"{source.file} is not open.", f"Start with --compare {source.file}.")

    def _layer(self, name: str, finer: int = 0) -> Layer:
        pictures = self._pictures
        return Layer(lambda area: pictures.look(name, area), pictures.grid, finer)

    def _changed(self, change: Callable[[History[Entry]], History[Entry]]) -> dict[str, Any]:
        with self._lock:
            before, self._history = self._history, change(self._history)
            dirty = self._around(self._history.changed(before))
            self.rev += dirty is not None
            return {"dirty": dirty} | self._state()

    def _state(self) -> dict[str, Any]:
        history = self._history
        told = {"undo": history.done, "redo": history.undone, "undone": history.undone}
        return {"rev": self.rev, **told, "unsaved": self.unsaved}

    def _around(self, entries: Sequence[Entry]) -> list[int] | None:
        """The box of the reference that strokes cover: left, top, width, height."""
        left, top, width, height = self._pictures.shown.box
        boxes = [entry.paint.mask.box(width, height) for entry in entries]
        found = [box for box in boxes if box is not None]
        if not found:
            return None
        around = Box.around(found)
        return [left + around.left, top + around.top, around.width, around.height]

    def _list(self) -> EditList:
        strokes = tuple(entry.stroke for entry in self._history.strokes)
        return EditList(self._pictures.shown.path.name, self.place.reference, strokes)


def _finer(seam: Seam) -> int:
    """How many levels finer than its own a seam is looked at: at full size, as by `gpustack apply`, unless
    that would keep the brush waiting."""
    finer = seam.level
    while finer and seam.box.pixels << (2 * finer) > _SEAM_PIXELS:
        finer -= 1
    return finer


def _whole(box: tuple[int, int, int, int]) -> Area:
    _, _, width, height = box
    return Area(Box(0, 0, width, height), 0, width, height)


def _try(box: Box | None, layer: Layer) -> None:
    """Look at a pixel of a source: one that has gone is told of before anything is painted."""
    if box is not None:
        layer.part(Box(box.left, box.top, 1, 1), 0)


def _digest(path: Path) -> str | None:
    """Of the content of a file; None where there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
