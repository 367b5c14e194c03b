"""The maps over a result: depth and confidence from their files, where there are such; else, and the rest,
from one look at the frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.engine.progress import Progress
from gpustack.settings import Settings
from gpustack.viewing.grid import Area, Grid
from gpustack.viewing.plane import Plane
from gpustack.viewing.readers import Readers
from gpustack.viewing.scale import CIVIDIS, VIRIDIS, Classes, Palette, Scale
from gpustack.viewing.shown import Shown
from gpustack.viewing.tiles import NotYetError

NAMES = {"depth": "Depth", "confidence": "Confidence", "winners": "Sharpest frame", "gaps": "Gaps"}


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """A plane and its colours."""

    plane: Plane
    scale: Scale | Classes

    def indices(self, area: Area) -> tuple[npt.NDArray[np.uint8], Palette]:
        """An area as indices of a palette."""
        values = self.plane.read(area)
        found = self.scale.indices(values) if isinstance(self.scale, Scale) else values
        return np.asarray(found, np.uint8), self.scale.palette


class Planes:
    """The maps that are there by now; for any thread."""

    def __init__(self, shown: Shown, grid: Grid, folder: Path) -> None:
        self._shown, self._grid, self._folder = shown, grid, folder
        self.maps: dict[str, Map] = {}
        last = float(max(1, len(shown.sidecar.inputs) - 1))
        gaps = Classes(
            (("before the first frame", 0xFFAA00), ("between frames", 0xFF285A), ("after the last", 0x3C8CFF))
        )
        self.scales: dict[str, Scale | Classes] = {
            "depth": Scale(0.0, last, VIRIDIS, "frame"),
            "confidence": Scale(0.0, 1.0, CIVIDIS, ""),
            "winners": Scale(0.0, last, VIRIDIS, "frame"),
            "gaps": gaps,
        }

    def layer(self, name: str) -> Map | None:
        """A map; None where the name is that of none. Raises NotYetError."""
        if name not in NAMES:
            return None
        if name not in self.maps:
            raise NotYetError(f"{NAMES[name]} is not there yet.", "Wait until the frames were looked at.")
        return self.maps[name]

    def read_files(self) -> None:
        """Read depth and confidence from the files that the run wrote."""

    def measure(self, readers: Readers, progress: Progress, machine: Settings) -> None:
        """Look at the frames for what no file has."""

    def at(self, x: float, y: float) -> dict[str, Any]:
        """What the maps say of a place of the picture."""
        del x, y
        return self.nothing()

    def nothing(self) -> dict[str, Any]:
        """The same where nothing is known."""
        return {"frame": None, "sharpest": None, "depth": None, "confidence": None, "curve": []}

    @property
    def um_per_step(self) -> float | None:
        """Micrometres between two frames, where the depth map says."""
        return None

    def gaps(self) -> dict[str, Any]:
        """Where focus was missed."""
        return {"gaps": [], "covered": None}
