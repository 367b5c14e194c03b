"""The pictures that the page shows: the result without strokes, its frames, and what it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gpustack.errors import GpustackError, InputError
from gpustack.records.shown import Shown
from gpustack.settings import Settings
from gpustack.viewing.frames import Frames
from gpustack.viewing.grid import Area, Grid
from gpustack.viewing.look import Look
from gpustack.viewing.opening import channels_of, fill
from gpustack.viewing.others import Other
from gpustack.viewing.tiles import Pyramid
from gpustack.viewing.work import Work


class Pictures:
    """An opened result, its frames and other methods' outputs; for any thread, until it is closed."""

    def __init__(
        self, shown: Shown, others: Sequence[Other], kept: Path, machine: Settings, limit: int
    ) -> None:
        """`kept`: a folder for tiles; `limit`: bytes of decoded frames that are held."""
        self.shown, self.others = shown, others
        self.grid = Grid.of(self.shown)
        self.fused = Pyramid(kept, "result", self.grid, channels_of(self.shown.picture))
        self._compared = [
            Pyramid(kept, f"other-{number}", self.grid, channels_of(one.picture))
            for number, one in enumerate(self.others)
        ]
        self.frames = Frames(self.shown, machine, limit)

    def close(self) -> None:
        """Let go of the frames."""
        self.frames.close()

    def read(self, work: Work) -> None:
        """Read the result and the others, the result first. What fails is told by `work`."""
        self._read("Reading the result", self.fused, self.shown, work)
        for pyramid, other in zip(self._compared, self.others, strict=True):
            self._read(f"Reading {other.picture.name}", pyramid, other, work)

    def look(self, layer: str, area: Area) -> Look:
        """An area of `original`, `frame-N` or `other-N`. Raises GpustackError; KeyError for none of that
        name."""
        kind, _, number = layer.partition("-")
        if layer == "original":
            return Look(self.fused.read(area))
        index = int(number) if number.isdecimal() and len(number) < 6 else -1
        if kind == "frame" and 0 <= index < len(self.shown.sidecar.inputs):
            return self.frames.look(index, area)
        if kind == "other" and 0 <= index < len(self.others):
            return Look(self._compared[index].read(area))
        raise KeyError(layer)

    def _read(self, what: str, pyramid: Pyramid, one: Shown | Other, work: Work) -> None:
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

        work.say(what)
        work.attempt(read)
