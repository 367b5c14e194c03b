"""Everything that the page shows, and the thread that makes it ready, what is seen first before the rest."""

from __future__ import annotations

import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from gpustack.backend.memory import free_bytes
from gpustack.records.shown import open_shown
from gpustack.settings import RAM_SHARE, Settings
from gpustack.viewing.editing import Edits
from gpustack.viewing.grid import Area
from gpustack.viewing.indexed import indexed_png
from gpustack.viewing.look import Look
from gpustack.viewing.others import open_other
from gpustack.viewing.pictures import Pictures
from gpustack.viewing.planes import Planes
from gpustack.viewing.tiles import encoded
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
        shown = open_shown(wish.path, wish.folder)
        others = [open_other(path, shown) for path in wish.others]
        ram = wish.machine.ram_bytes or int(free_bytes() * RAM_SHARE)
        self._machine = replace(wish.machine, ram_bytes=int(ram * (1 - _FRAMES_SHARE)))
        self._temporary = tempfile.TemporaryDirectory(prefix="gpustack-view-")
        folder, frames_bytes = Path(self._temporary.name), int(ram * (_FRAMES_SHARE - _STROKES_SHARE))
        self.work = Work()
        self.pictures = Pictures(shown, others, folder, self._machine, frames_bytes)
        self.planes = Planes(shown, folder)
        self.edits = Edits(self.pictures, self.work.warn, int(ram * _STROKES_SHARE))
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
        self.pictures.close()
        with suppress(OSError):  # Windows keeps mapped files; its own cleaning gets them
            self._temporary.cleanup()

    def look(self, layer: str, area: Area) -> Look:
        """An area of a layer that is a picture: `result` is the fused one with its strokes. Raises as
        `Pictures.look`."""
        if layer == "result":
            return self.edits.over(self.pictures.look("original", area), area)
        return self.pictures.look(layer, area)

    def tile(self, layer: str, area: Area) -> tuple[bytes, str]:
        """A tile as a file, and its type. Raises as `look`."""
        found = self.planes.layer(layer)
        if found is None:
            return encoded(self.look(layer, area).pixels), JPEG
        return indexed_png(*found.indices(area)), PNG

    def _prepare(self) -> None:
        give_way()
        try:
            self.pictures.read(self.work)
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
        self.planes.measure(self.pictures.frames.readers(), self.work, self._machine.ram_bytes)
