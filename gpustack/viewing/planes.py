"""The maps over a result: depth and confidence from their files, where there are such; else, and the rest,
from one look at the frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.coverage.curves import Curves
from gpustack.coverage.picture import AFTER, BEFORE, BETWEEN
from gpustack.engine.progress import Progress
from gpustack.errors import InputError
from gpustack.inspecting import Inspection, judge, recorded_places
from gpustack.io.decode import Decoder, probe
from gpustack.io.metadata import description, read_metadata
from gpustack.io.planes import read_depth_description
from gpustack.io.write import oriented
from gpustack.records.shown import Shown
from gpustack.viewing.grid import Area, Grid
from gpustack.viewing.measuring import Measured, measure
from gpustack.viewing.plane import Plane
from gpustack.viewing.readers import Readers
from gpustack.viewing.scale import CIVIDIS, NOTHING, VIRIDIS, Classes, Palette, Scale
from gpustack.viewing.tiles import NotYetError

NAMES = {"depth": "Depth", "confidence": "Confidence", "winners": "Sharpest frame", "gaps": "Gaps"}
_FINE = 65_535 - 1
_SIDES = {-1: 1, 1: 2, 2: 3}
"""Sides of a gap, as `Coverage` has them, as classes."""


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """A plane and its colours."""

    plane: Plane
    scale: Scale | Classes

    def indices(self, area: Area) -> tuple[npt.NDArray[np.uint8], Palette]:
        """An area as indices of a palette."""
        return self.scale.indices(self.plane.read(area)), self.scale.palette


class Planes:
    """The maps that are there by now; for any thread."""

    def __init__(self, shown: Shown, folder: Path) -> None:
        self._shown, self._folder = shown, folder
        self.maps: dict[str, Map] = {}
        self.um_per_step: float | None = None
        self._curves: Curves | None = None
        self._judged: Inspection | None = None
        self._used = np.flatnonzero([place.used for place in shown.sidecar.places])
        last = max(1, len(shown.sidecar.inputs) - 1)
        gaps = zip(_GAPS, (BEFORE, BETWEEN, AFTER), strict=True)
        self.scales: dict[str, Scale | Classes] = {
            "depth": Scale(float(last), _FINE, VIRIDIS, "frame"),
            "confidence": Scale(1.0, _FINE, CIVIDIS, ""),
            "winners": Scale(float(last), last, VIRIDIS, "frame"),
            "gaps": Classes([(name, r << 16 | g << 8 | b) for name, (r, g, b) in gaps]),
        }

    def layer(self, name: str) -> Map | None:
        """A map; None where the name is that of none. Raises NotYetError."""
        if name not in NAMES:
            return None
        if name == "gaps" and name not in self.maps and self._judged is not None:
            raise NotYetError("Gaps cannot be told: there are too few frames, or too little detail.", "")
        if name not in self.maps:
            raise NotYetError(f"{NAMES[name]} is not there yet.", "Wait until the frames were looked at.")
        return self.maps[name]

    def read_file(self, name: str) -> None:
        """Read depth or confidence from the file that the run wrote, if it is still there.

        Raises InputError where that is no longer what it was.
        """
        output = self._shown.sidecar.outputs.get(name)
        path = None if output is None else self._shown.sidecar_path.parent / output.file
        if path is None or not path.is_file():
            return
        frame, *more = probe(path)
        wide, high = self._shown.box[2:]
        if more or frame.channels != 1 or sorted(frame.size) != sorted((wide, high)):
            raise InputError(
                f"{path.name} is not the {name} of this result any more.", "It is made of the frames instead."
            )
        values = oriented(Decoder(frame)(frame), frame.orientation)[..., 0]
        scale = self.scales[name]
        assert isinstance(scale, Scale)
        if values.dtype.kind == "u":
            values = values * np.float32(scale.high / np.iinfo(values.dtype).max)
        self._put(name, scale.samples(values))
        if name == "depth":
            _, voxel = read_depth_description(description(read_metadata(frame)))
            self.um_per_step = voxel.step_um

    def measure(self, readers: Readers, progress: Progress, ram_bytes: int | None) -> None:
        """Look at the frames for what no file has. Raises as `measuring.measure`."""
        found = measure(self._shown, readers, progress, ram_bytes)
        for name, values in (("depth", found.depth), ("confidence", found.confidence)):
            scale = self.scales[name]
            if name not in self.maps and isinstance(scale, Scale):
                self._put(name, scale.samples(values))
        self._put("winners", found.winners)
        self._judge(found)

    def _judge(self, found: Measured) -> None:
        shown = self._shown
        count = range(len(shown.sidecar.inputs))
        size = shown.reference.width, shown.reference.height
        names = [shown.name_of(index) for index in count]
        judged = judge(names, recorded_places(shown.sidecar), size, found.curves, shown.box)
        self._curves, self._judged = found.curves, judged
        if judged.coverage is not None:
            sides = judged.coverage.sides
            classes = np.zeros(sides.shape, np.uint8)
            for side, number in _SIDES.items():
                classes[sides == side] = number
            self._put("gaps", classes)

    def _put(self, name: str, samples: npt.NDArray[Any]) -> None:
        between = name in ("depth", "confidence")
        plane = Plane(samples, Grid.of(self._shown), self._folder / name, between=between)
        self.maps[name] = Map(plane, self.scales[name])

    def nothing(self) -> dict[str, Any]:
        """What is told of a place that nothing is known of."""
        return {"frame": None, "sharpest": None, "depth": None, "confidence": None, "curve": []}

    def at(self, x: float, y: float) -> dict[str, Any]:
        """What the maps say of a place of the picture, whose first pixel covers 0 to 1."""
        found = {name: self._value(name, x, y) for name in ("depth", "confidence", "winners")}
        depth, winner = found["depth"], found["winners"]
        nearest = None if depth is None else int(self._used[np.abs(self._used - depth).argmin()])
        sharpest = nearest if winner is None else round(winner)
        return {
            "frame": sharpest if nearest is None else nearest,
            "sharpest": sharpest,
            "depth": depth,
            "confidence": found["confidence"],
            "curve": self._curve(x, y),
        }

    def _value(self, name: str, x: float, y: float) -> float | None:
        scale = self.scales[name]
        if name not in self.maps or not isinstance(scale, Scale):
            return None
        return scale.value(self.maps[name].plane.at(x, y))

    def _curve(self, x: float, y: float) -> list[list[float]]:
        """The focus measure of the cell at a place in each frame that covers it, its largest as 1."""
        if self._curves is None:
            return []
        rows, columns = self._curves.shape
        wide, high = self._shown.box[2:]
        row, column = min(int(y * rows / high), rows - 1), min(int(x * columns / wide), columns - 1)
        cell = self._curves.at(row, column)
        top = max(float(cell.max()), 1e-12)
        known = zip(self._curves.frames, cell.tolist(), strict=True)
        return [[index, round(value / top, 4)] for index, value in known if value >= 0]

    def gaps(self) -> dict[str, Any]:
        """As `gpustack inspect --json` tells of gaps, boxes in pixels of the upright reference."""
        told = {} if self._judged is None else self._judged.as_dict()
        return {
            "known": self._judged is not None,
            "covered": told.get("covered"),
            "gaps": told.get("gaps", []),
            "advice": told.get("advice", []),
        }


_GAPS = ("before the first frame", "between frames", "after the last frame")
assert NOTHING > _FINE
