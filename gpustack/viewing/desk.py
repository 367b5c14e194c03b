"""Everything that the page shows, and the thread that makes it ready, what is seen first before the rest."""

from __future__ import annotations

import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from gpustack.backend.memory import free_bytes
from gpustack.errors import GpustackError, InputError
from gpustack.settings import RAM_SHARE, Settings
from gpustack.shown import Shown, open_shown
from gpustack.viewing.editing import Edits
from gpustack.viewing.frames import Frames
from gpustack.viewing.grid import Area, Grid
from gpustack.viewing.indexed import indexed_png
from gpustack.viewing.look import Look
from gpustack.viewing.opening import channels_of, fill
from gpustack.viewing.others import Other, open_other
from gpustack.viewing.planes import Planes
from gpustack.viewing.tiles import Pyramid, encoded
from gpustack.viewing.work import ClosedError, Work, give_way

JPEG, PNG = "image/jpeg", "image/png"
_FRAMES_SHARE = 0.5
"""Share of the memory that decoded frames may take; the pass that makes maps may take the rest."""

_STROKES_SHARE = 1 / 16
"""Share of the memory that tiles with strokes may take, of that of frames."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What `gpustack view` was asked for: the result, where frames lie, other methods' outputs, and the
    machine's share."""

    path: Path
    folder: Path | None = None
    others: tuple[Path, ...] = ()
    machine: Settings = field(default_factory=Settings)


class Desk:
    """An opened result with its layers; for any thread, until it is closed."""

    def __init__(self, wish: Wish) -> None:
        """Reads headers only. Raises InputError for what cannot be shown."""
        self.shown: Shown = open_shown(wish.path, wish.folder)
        self.others: list[Other] = [open_other(path, self.shown) for path in wish.others]
        ram = wish.machine.ram_bytes or int(free_bytes() * RAM_SHARE)
        self._machine = replace(wish.machine, ram_bytes=int(ram * (1 - _FRAMES_SHARE)))
        self._temporary = tempfile.TemporaryDirectory(prefix="gpustack-view-")
        folder, grid = Path(self._temporary.name), Grid.of(self.shown)
        self.work = Work()
        self.picture = Pyramid(folder, "result", grid, channels_of(self.shown.picture))
        self._compared = [
            Pyramid(folder, f"other-{number}", grid, channels_of(one.picture))
            for number, one in enumerate(self.others)
        ]
        self.frames = Frames(self.shown, self._machine, int(ram * (_FRAMES_SHARE - _STROKES_SHARE)))
        self.planes = Planes(self.shown, folder)
        self.edits = Edits(self, int(ram * _STROKES_SHARE))
        self._thread = threading.Thread(target=self._prepare, name="desk", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def wait(self) -> None:
        """Wait until everything is read, or failed."""
        self._thread.join()

    def close(self) -> None:
        """End the work, and remove what lies in the temporary folder."""
        self.work.close()
        if self._thread.ident is not None:
            self._thread.join()
        self.frames.close()
        with suppress(OSError):  # Windows keeps mapped files; its own cleaning gets them
            self._temporary.cleanup()

    def look(self, layer: str, area: Area) -> Look:
        """An area of a layer that is a picture. Raises GpustackError; KeyError for none of that name."""
        kind, _, number = layer.partition("-")
        if layer == "result":
            return self.edits.over(Look(self.picture.read(area)), area)
        if layer == "original":
            return Look(self.picture.read(area))
        index = int(number) if number.isdecimal() and len(number) < 6 else -1
        if kind == "frame" and 0 <= index < len(self.shown.sidecar.inputs):
            return self.frames.look(index, area)
        if kind == "other" and 0 <= index < len(self.others):
            return Look(self._compared[index].read(area))
        raise KeyError(layer)

    def tile(self, layer: str, area: Area) -> tuple[bytes, str]:
        """A tile as a file, and its type. Raises as `look`."""
        found = self.planes.layer(layer)
        if found is None:
            return encoded(self.look(layer, area).pixels), JPEG
        return indexed_png(*found.indices(area)), PNG

    def _prepare(self) -> None:
        give_way()
        try:
            self._read("Reading the result", self.picture, self.shown)
            for pyramid, other in zip(self._compared, self.others, strict=True):
                self._read(f"Reading {other.picture.name}", pyramid, other)
            self.work.say("Painting strokes")
            self.edits.open()
            self.work.say("Reading maps")
            for name in ("depth", "confidence"):
                self.work.attempt(partial(self.planes.read_file, name))
            self.work.say("Looking at the frames")
            self.work.attempt(self._measure)
        except ClosedError:
            pass
        finally:
            self.work.say(None)

    def _measure(self) -> None:
        self.planes.measure(self.frames.readers(), self.work, self._machine.ram_bytes)

    def _read(self, what: str, pyramid: Pyramid, one: Shown | Other) -> None:
        offset = one.offset if isinstance(one, Other) else (0, 0)

        def read() -> None:
            try:
                fill(pyramid, one.picture, offset)
            except GpustackError as error:
                pyramid.fail(error)
                raise
            except MemoryError as error:
                pyramid.fail(InputError(f"There is no memory for {one.picture.name}.", "Close programs."))
                raise error

        self.work.say(what)
        self.work.attempt(read)
