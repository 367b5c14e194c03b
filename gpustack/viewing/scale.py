"""Colours for values: scales that rise evenly in lightness, and that people who confuse red and green can
read.

Sources: viridis by N. Smith and S. van der Walt (matplotlib, CC0), cividis by J. R. Nuñez, C. R. Anderton and
R. S. Renslow, "Optimizing colormaps with consideration for color vision deficiency", PLOS ONE 13, 2018; both
as a few stops, linear in sRGB between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Palette = npt.NDArray[np.uint8]

VIRIDIS = (0x440154, 0x472D7B, 0x3B528B, 0x2C728E, 0x21918C, 0x28AE80, 0x5EC962, 0xADDC30, 0xFDE725)
CIVIDIS = (0x00224E, 0x213B6E, 0x4C556C, 0x6C6E72, 0x8E8978, 0xB2A570, 0xD9C55C, 0xFEE838)

NOTHING = 65_535
"""Of values that are names: there is none."""

_LAST = 255


@dataclass(frozen=True)
class Scale:
    """Samples 0 to `most` of uint16 as values 0 to `high` and as colours; `unit` is what these are counted
    in. Samples beyond are clear."""

    high: float
    most: int
    stops: Sequence[int]
    unit: str

    @cached_property
    def palette(self) -> Palette:
        """(256, 4) RGBA: index 0 is clear, 1 to 255 are the scale."""
        places = np.linspace(0, len(self.stops) - 1, _LAST)
        known = np.array([_parts(stop) for stop in self.stops], np.float64)
        colours = np.stack([np.interp(places, np.arange(len(known)), part) for part in known.T], -1)
        table = np.zeros((_LAST + 1, 4), np.uint8)
        table[1:, :3], table[1:, 3] = np.rint(colours), 255
        return table

    @cached_property
    def _table(self) -> npt.NDArray[np.uint8]:
        table = np.zeros(65_536, np.uint8)
        table[: self.most + 1] = np.rint(np.linspace(1, _LAST, self.most + 1))
        return table

    def indices(self, samples: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Samples as indices of the palette."""
        return np.asarray(self._table[samples])

    def samples(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
        """Values as samples, rounded to nearest and cut to the range."""
        factor = self.most / self.high
        return np.asarray(np.rint(np.clip(values * factor, 0, self.most)), np.uint16)

    def value(self, sample: int) -> float | None:
        """What a sample stands for."""
        return None if sample > self.most else sample * self.high / self.most

    def legend(self) -> dict[str, Any]:
        """As the page has it."""
        values = np.linspace(0, self.high, len(self.stops)).tolist()
        return {
            "stops": [[value, f"#{stop:06x}"] for value, stop in zip(values, self.stops, strict=True)],
            "unit": self.unit,
        }


@dataclass(frozen=True, slots=True)
class Classes:
    """Kinds of places, each with its name and colour; samples are 0 for none, 1 for the first."""

    names: Sequence[tuple[str, int]]

    @property
    def palette(self) -> Palette:
        """(n + 1, 4) RGBA: index 0 is clear."""
        return np.array([(0, 0, 0, 0), *((*_parts(colour), 255) for _, colour in self.names)], np.uint8)

    def indices(self, samples: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Samples are the indices."""
        return np.asarray(samples, np.uint8)

    def legend(self) -> dict[str, Any]:
        """As the page has it."""
        return {"stops": [[name, f"#{colour:06x}"] for name, colour in self.names], "unit": ""}


def _parts(colour: int) -> tuple[int, int, int]:
    return colour >> 16, colour >> 8 & 255, colour & 255
