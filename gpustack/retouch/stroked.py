"""Strokes into a picture at full resolution: tile by tile, with each source read once.

What the strokes add to the picture is summed up in tiles of float32, which exist only where something is
painted; the picture is changed when all of it is there. Where memory does not hold all these tiles, some are
done after the others, and sources are read once for each of these rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.model.frame import PixelType
from gpustack.retouch.blending import Gains, Seam, gains_of
from gpustack.retouch.painting import Area, Image, Paint, Shown, brought, channelled, shares
from gpustack.retouch.sources import Whole, unit
from gpustack.retouch.strokes import StrokeSource

Pixels = npt.NDArray[Any]
OpenSource = Callable[[StrokeSource], AbstractContextManager[Shown]]

TILE = 512
"""Side of a tile; it does not depend on memory, so that nothing else does."""


@dataclass(slots=True, eq=False)
class Canvas:
    """A picture (h, w, c) of any dtype that strokes are painted into, and the strokes in order."""

    pixels: Pixels
    paints: Sequence[Paint]
    gains: dict[int, Gains] = field(default_factory=dict)

    @property
    def kind(self) -> PixelType:
        """Of its samples."""
        return PixelType(self.pixels.dtype.name)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def sources(self) -> dict[StrokeSource, frozenset[int]]:
        """What is painted with, in the order of its first stroke, and the numbers of its strokes."""
        found: dict[StrokeSource, set[int]] = {}
        for number, paint in enumerate(self.paints):
            if not paint.erases and paint.mask.box(*self.size) is not None:
                found.setdefault(paint.source, set()).add(number)
        return {source: frozenset(numbers) for source, numbers in found.items()}

    def tiles(self) -> list[Area]:
        """Those that may be painted on."""
        boxes = [paint.mask.box(*self.size) for paint in self.paints if not paint.erases]
        return [
            area
            for area in Area.tiles(*self.size, TILE)
            if any(box is not None and box.common(area.box) is not None for box in boxes)
        ]

    def measure(self, source: Shown, numbers: frozenset[int]) -> None:
        """Find what a source is multiplied by in its strokes; the picture must not have been painted on."""
        for number in sorted(numbers):
            if self.paints[number].matches and number not in self.gains:
                seam = Seam.of(self.paints[number].mask, *self.size)
                if seam is not None:
                    self.gains[number] = measured(seam, Whole(self.pixels), source, self.paints[number])

    def parts(self, source: Shown, numbers: frozenset[int], area: Area) -> Iterator[tuple[Any, Image, Image]]:
        """What strokes of a source show in an area: where, their share (h, w, 1), and the source's pixels as
        bright as the picture."""
        for number, box, share in shares(self.paints, area):
            if number in numbers:
                clips = self.kind is not PixelType.FLOAT32
                shown = brought(source, self.gains.get(number), box, area.level, clips=clips)
                yield area.inner(box), share[..., None], channelled(shown, self.pixels.shape[2])

    def below(self, area: Area) -> Image:
        """The picture in an area of level 0."""
        return unit(self.pixels[area.box.rows, area.box.columns])

    def settle(self, area: Area, added: Image) -> None:
        """Change the picture; where nothing was added it stays as it is, bit for bit."""
        part = self.pixels[area.box.rows, area.box.columns]
        values = (unit(part) + added) * np.float32(self.kind.white)
        if self.kind is not PixelType.FLOAT32:
            values = np.rint(values).clip(0, self.kind.white)
        np.copyto(part, values.astype(part.dtype), where=added != 0)


def paint_all(canvas: Canvas, open_source: OpenSource, most_tiles: int, advance: Callable[[], None]) -> None:
    """Paint every stroke. `most_tiles` may be in memory at a time; `advance` is called after each source."""
    tiles, sources = canvas.tiles(), canvas.sources()
    rounds = [tiles[first : first + most_tiles] for first in range(0, len(tiles), most_tiles)]
    if len(rounds) > 1:  # what matching measures must not have been painted on
        for source, numbers in sources.items():
            if any(canvas.paints[number].matches for number in numbers):
                with open_source(source) as shown:
                    canvas.measure(shown, numbers)
                advance()
    for areas in rounds:
        _round(canvas, areas, sources, open_source, advance)


def openings(canvas: Canvas, most_tiles: int) -> int:
    """How many times sources will be read, at most."""
    rounds = -(-len(canvas.tiles()) // most_tiles)
    return len(canvas.sources()) * (rounds + (rounds > 1))


def _round(
    canvas: Canvas,
    areas: Sequence[Area],
    sources: Mapping[StrokeSource, frozenset[int]],
    open_source: OpenSource,
    advance: Callable[[], None],
) -> None:
    channels = canvas.pixels.shape[2]
    sums = [np.zeros((area.box.height, area.box.width, channels), np.float32) for area in areas]
    for source, numbers in sources.items():
        touched = [index for index, area in enumerate(areas) if _touches(canvas, numbers, area)]
        if not touched:
            continue
        with open_source(source) as shown:
            canvas.measure(shown, numbers)
            for index in touched:
                below = canvas.below(areas[index])
                for where, share, pixels in canvas.parts(shown, numbers, areas[index]):
                    sums[index][where] += share * (pixels - below[where])
        advance()
    for area, added in zip(areas, sums, strict=True):
        canvas.settle(area, added)


def _touches(canvas: Canvas, numbers: frozenset[int], area: Area) -> bool:
    return any(canvas.paints[number].within(area) is not None for number in numbers)


def measured(seam: Seam, picture: Shown, source: Shown, paint: Paint) -> Gains:
    """The gains of a stroke, looking at no more of both than its rim."""
    above = below = None
    for box in seam.blocks(TILE):
        mine, its = picture.part(box, seam.level), source.part(box, seam.level)
        colours = 3 if min(mine.shape[2], its.shape[2]) > 2 else 1
        if above is None or below is None:
            shape = (seam.box.height, seam.box.width, colours)
            above, below = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        above[seam.inner(box)], below[seam.inner(box)] = mine[..., :colours], its[..., :colours]
    if above is None or below is None:
        return Gains(seam.level, seam.box, np.ones((seam.box.height, seam.box.width, 1), np.float32))
    valid = None if paint.reach is None else paint.reach.covered(seam.box, seam.level)
    return gains_of(seam, above, below, valid)
