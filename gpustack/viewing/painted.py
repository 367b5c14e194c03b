"""Strokes over tiles as they are shown: 8-bit sRGB, at any level, quickly.

A tile with its strokes is kept as it was after each of the last ones, so that one stroke more, or one undone,
is one stroke's work.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.model.layer import Box
from gpustack.retouch.blending import Gains
from gpustack.retouch.painting import Area, Image, Paint, brought, channelled, painted_over
from gpustack.retouch.sources import shrunk, unit
from gpustack.retouch.strokes import Stroke
from gpustack.viewing import grid
from gpustack.viewing.look import Look

LookAt = Callable[[grid.Area], Look]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A layer of the page as a source of strokes: `look` shows an area of it. `finer`: it is looked at so
    many levels finer than what is made of it."""

    look: LookAt
    grid: grid.Grid
    finer: int = 0

    def part(self, box: Box, level: int) -> Image:
        """Pixels of a level in a box, (h, w, c) 0..1; levels beyond the page's are made of its last."""
        last = min(max(0, level - self.finer), self.grid.levels - 1)
        wide, high = self.grid.size(last)
        return shrunk(lambda own: self._seen(own, last), box, level - last, wide, high)

    def _seen(self, box: Box, level: int) -> Image:
        return unit(self.look(grid.Area(level, box.left, box.top, box.width, box.height)).pixels)


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A stroke in positions of the reference, and ready to be painted; `source` is None where it erases."""

    stroke: Stroke
    paint: Paint
    source: Layer | None = None
    gains: Gains | None = None

    def over(self, below: Image, area: Area, fused: Image) -> Image:
        """An area (h, w, c) 0..1 with this stroke, too; `fused`: without any."""

        def shown(box: Box) -> Image:
            if self.source is None:
                return fused[area.inner(box)]
            pixels = brought(self.source, self.gains, box, area.level, clips=True)
            return channelled(pixels, below.shape[2])

        return painted_over(below, self.paint, area, shown)


_Key = tuple[Any, ...]


class Painted:
    """Tiles with strokes, for any thread."""

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of tiles that are kept; one takes 3 MiB in colour."""
        self._limit, self._held = limit, 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Key, Image] = OrderedDict()

    def over(
        self, entries: Sequence[Entry], pixels: npt.NDArray[np.uint8], area: Area, *, keeps: bool
    ) -> Look:
        """An area of the fused picture, (h, w, c) uint8, with strokes. `keeps`: it will not change any more.
        Raises GpustackError where a source has gone."""
        touching = [entry for entry in entries if entry.paint.within(area) is not None]
        if not touching:
            return Look(pixels)
        fused = unit(pixels)
        done, image = self._longest(touching, area) if keeps else (0, None)
        image = fused if image is None else image
        for number in range(done, len(touching)):
            image = touching[number].over(image, area, fused)
            if keeps and number >= len(touching) - 2:
                self._keep(_key(touching[: number + 1], area), image)
        return Look(np.rint(image * np.float32(255)).clip(0, 255).astype(np.uint8))

    def _longest(self, touching: Sequence[Entry], area: Area) -> tuple[int, Image | None]:
        """What there is of the most of the first strokes."""
        with self._lock:
            for count in range(len(touching), 0, -1):
                key = _key(touching[:count], area)
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return count, self._kept[key]
        return 0, None

    def _keep(self, key: _Key, image: Image) -> None:
        with self._lock:
            if key not in self._kept:
                self._kept[key], self._held = image, self._held + image.nbytes
            while self._held > self._limit:
                self._held -= self._kept.popitem(last=False)[1].nbytes


def _key(entries: Sequence[Entry], area: Area) -> _Key:
    """Entries are compared by identity, and kept alive by the key."""
    return (area, *entries)
