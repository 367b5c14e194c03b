"""A retouched picture as a file of layers: the fused picture, and above it one masked layer for each source.

All layers together are the retouched picture. A source's mask is what its strokes show of it where later
sources hide nothing; as masks have eight bits, what is lost in them is made up for in the layer's pixels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gpustack.errors import UsageError
from gpustack.io.layers import LAYER_ENDINGS, layered_file
from gpustack.io.metadata import Metadata
from gpustack.io.psd.files import Base, opaque
from gpustack.io.psd.layers import Picture, Record
from gpustack.io.write import check_output
from gpustack.layering import FUSED
from gpustack.model.frame import PixelType
from gpustack.model.layer import Box
from gpustack.retouch.painting import Area, Image, Shown, brought, channelled, shares
from gpustack.retouch.sources import unit
from gpustack.retouch.stroked import TILE, Canvas, OpenSource, Pixels
from gpustack.retouch.strokes import StrokeSource
from gpustack.settings import LAYER_MARGIN_PX
from gpustack.version import SOFTWARE

_MASK_TOP = 255


@dataclass(frozen=True, slots=True)
class LayersWish:
    """A file of layers that is wanted, packed by so many threads (None: all processors)."""

    path: Path
    overwrite: bool = False
    threads: int | None = None

    def check(self, kind: PixelType) -> None:
        """Refuse before any work what could not be written. Raises UsageError, WriteError."""
        check_output(self.path, self.overwrite, LAYER_ENDINGS)
        if kind is PixelType.FLOAT32:
            raise UsageError(
                f"{self.path.name} would need 8 or 16 bits a channel, and the picture holds floating point.",
                "Leave --layers out.",
            )


@dataclass(frozen=True, slots=True)
class Outline:
    """A layer to come: its source, the numbers of its strokes, and the box that it fills."""

    source: StrokeSource
    numbers: frozenset[int]
    box: Box


def outlines(canvas: Canvas) -> tuple[Outline, ...]:
    """The layers of a canvas, the lowest first."""
    found = []
    for source, numbers in canvas.sources().items():
        boxes = [canvas.paints[number].mask.box(*canvas.size) for number in numbers]
        box = Box.around([box for box in boxes if box is not None]).grown(LAYER_MARGIN_PX, *canvas.size)
        found.append(Outline(source, numbers, box))
    return tuple(found)


def write_layers(
    wish: LayersWish,
    canvas: Canvas,
    fused: Pixels,
    metadata: Metadata,
    names: Callable[[StrokeSource], str],
    open_source: OpenSource,
    tell: tuple[Callable[[], None], Callable[[str], None]],
) -> Path:
    """Write the layers of a canvas that is painted; `fused`, the picture before, is used up. `tell`: after
    each layer, and of what is unusual. Returns the name that the file has got. Raises WriteError."""
    advance, warn = tell
    todo = outlines(canvas)
    base = Base(fused, metadata, SOFTWARE, FUSED, canvas.pixels)
    records = [
        Record(names(outline.source), outline.box, masked=True, clipped=base.has_alpha) for outline in todo
    ]
    later = frozenset(number for outline in todo for number in outline.numbers)
    with layered_file(
        wish.path,
        base,
        records,
        overwrite=wish.overwrite,
        threads=wish.threads or os.cpu_count() or 1,
        warn=warn,
    ) as (path, write):
        for outline in todo:
            later -= outline.numbers
            with open_source(outline.source) as source:
                write(layer_of(canvas, fused, outline, later, source))
            advance()
    return path


def layer_of(
    canvas: Canvas, below: Pixels, outline: Outline, later: frozenset[int], source: Shown
) -> Picture:
    """A layer over `below`, the picture with all lower ones, which becomes that with this one, too. `later`:
    numbers of strokes whose layers come above."""
    box, channels = outline.box, canvas.pixels.shape[2]
    colours = 3 if channels > 2 else 1
    pixels = np.empty((box.height, box.width, colours), canvas.pixels.dtype)
    mask = np.zeros((box.height, box.width), np.uint8)
    covers = np.zeros((box.height, box.width), np.uint8)
    white = np.float32(canvas.kind.white)
    for area in _tiles(box, *canvas.size):
        stand = unit(below[area.box.rows, area.box.columns])
        share, wanted = _share(canvas, area, outline.numbers, later, source, stand)
        levels = np.ceil(share * _MASK_TOP - np.float32(1e-3)).astype(np.uint8)
        opacity = levels[..., None] * np.float32(1 / _MASK_TOP)
        plain = channelled(source.part(area.box, 0), channels)
        shown = np.where(opacity > 0, stand + (wanted - stand) / np.maximum(opacity, 1 / _MASK_TOP), plain)
        own = np.rint(shown * white).clip(0, white).astype(below.dtype)
        together = np.rint((stand + (unit(own) - stand) * opacity) * white).astype(below.dtype)
        np.copyto(below[area.box.rows, area.box.columns], together, where=opacity > 0)
        inner = _inner(box, area.box)
        pixels[inner], mask[inner] = own[..., :colours], levels
        covers[inner] = _covers(canvas, area, outline.numbers)
    return Picture(pixels, opaque(mask.shape) if covers.all() else covers, mask)


def _share(
    canvas: Canvas,
    area: Area,
    numbers: frozenset[int],
    later: frozenset[int],
    source: Shown,
    stand: Image,
) -> tuple[npt.NDArray[np.float32], Image]:
    """What a layer covers of an area, (h, w), and what it makes of what is below, (h, w, c)."""
    shape = (area.box.height, area.box.width)
    hidden, own = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    colour = np.zeros((*shape, canvas.pixels.shape[2]), np.float32)
    for number, box, share in shares(canvas.paints, area):
        where = area.inner(box)
        if number in later:
            hidden[where] += share
        elif number in numbers:
            shown = brought(source, canvas.gains.get(number), box, area.level, clips=True)
            own[where] += share
            colour[where] += share[..., None] * channelled(shown, colour.shape[2])
    mask = np.clip(own / np.maximum(1 - hidden, 1e-6), 0, 1)
    mean = colour / np.maximum(own, 1e-6)[..., None]
    return np.asarray(mask, np.float32), np.asarray(stand + (mean - stand) * mask[..., None], np.float32)


def _covers(canvas: Canvas, area: Area, numbers: frozenset[int]) -> npt.NDArray[np.uint8]:
    """Where the source reaches, (h, w) uint8."""
    reach = next(canvas.paints[number].reach for number in numbers)
    if reach is None:
        return np.full((area.box.height, area.box.width), 255, np.uint8)
    return (reach.covered(area.box, area.level) * 255).astype(np.uint8)


def _tiles(box: Box, width: int, height: int) -> Iterator[Area]:
    """The parts of tiles of a picture that lie in a box."""
    for area in Area.tiles(width, height, TILE):
        part = box.common(area.box)
        if part is not None:
            yield Area(part, 0, width, height)


def _inner(outer: Box, box: Box) -> tuple[slice, slice]:
    top, left = box.top - outer.top, box.left - outer.left
    return slice(top, top + box.height), slice(left, left + box.width)
