"""Fusing Laplacian pyramids: what `pyramid` and `auto` share.

Every frame is split into detail levels and a base (Burt and Adelson, "The Laplacian pyramid as a compact
image code", 1983). At each level the frames' details compete by the energy of their luma (Burt and
Kolczynski, "Enhanced image capture through fusion", 1993); choosing in luma keeps the channels together. A
level's energy also hears the finer ones: blur spreads coarse contrast over its surroundings, so a coarse
level alone cannot tell a sharp frame from the halo of a blurred one, while fine detail can. Weighing the
finer evidence in gains 4 to 5 dB on the macro scene (bench/results/choices.json) and keeps the levels
together. No result leaves the range that the frames have at its pixel.

Bands: level 0 comes in bands straight from the frame; coarser levels are whole, a third of the pixels in
all, and are worked on in bands too. Each band hands its reduced rows down to the next level.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np

from gpustack.backend.protocol import Backend
from gpustack.backend.values import Band, Extent, LevelBand, Part
from gpustack.fuse.fold import ANEW, Footprint, Pixels, View, Winners, across, assembled, joined
from gpustack.model.band_turn import WHOLE, Turn
from gpustack.model.canvas import Canvas
from gpustack.model.rect import Rows, cut

SMALLEST_BASE = 8
"""The pyramid stops where the shorter side would fall below this: fewer pixels cannot tell frames apart."""

EXPANSION_HALO = 4
"""Rows that expanding a coarse picture needs around a band: two of its own."""


class Rule(Protocol):
    """How details of one level compete."""

    @property
    def sigma(self) -> float:
        """Blur of a level's energy, in the level's pixels."""
        ...

    def empty(
        self, backend: Backend[Any], channels: int, height: int, width: int, level: int, /
    ) -> Part[Any]:
        """The part before the first frame; only the finest level's may lie afar."""
        ...

    def bytes_per_pixel(self, channels: int, /) -> float:
        """Bytes of a part, per pixel."""
        ...


@dataclass(slots=True)
class Level:
    """One level: its bands, what is kept of each, and room for the frame now being folded in.

    `image` (c, h, w), `evidence` (h, w) and `mask` (h, w) belong to that frame; level 0 has none of them.
    """

    number: int
    width: int
    height: int
    bands: tuple[Rows, ...]
    parts: list[Part[Any]]
    image: Any = field(default=None, metadata=ANEW)
    evidence: Any = field(default=None, metadata=ANEW)
    mask: Any = field(default=None, metadata=ANEW)


@dataclass(frozen=True, slots=True)
class Room:
    """A band of a level, by its number, and on the finest its range; `kept`: it is its turn."""

    level: Level
    number: int
    extent: Extent[Any] | None = None
    kept: bool = True


@dataclass(slots=True)
class LevelsState:
    """Levels, finest first; the last is the base. `extent` is the range seen, for each level-0 band."""

    canvas: Canvas
    levels: list[Level]
    extent: list[Extent[Any]]


@dataclass(frozen=True, slots=True)
class LaplacianFold:
    """Fused Laplacian pyramids, the details of each level chosen by `rule`."""

    rule: Rule

    def start(self, backend: Backend[Any], canvas: Canvas, /) -> LevelsState:
        """Empty levels."""
        levels = [self._level(backend, canvas, number) for number in range(level_count(canvas) + 1)]
        return LevelsState(canvas, levels, [_empty_extent(backend, canvas, rows) for rows in canvas.bands])

    def _level(self, backend: Backend[Any], canvas: Canvas, number: int) -> Level:
        width, height = _size(canvas, number)
        bands = _bands(canvas, number)
        parts = [self.rule.empty(backend, canvas.channels, len(rows), width, number) for rows in bands]
        level = Level(number, width, height, bands, parts)
        if number and len(_bands(canvas, number - 1)) > 1:  # one band is handed down as it is
            level.image = backend.full((canvas.channels, height, width), 0.0, "float32")
            level.evidence = backend.full((height, width), 0.0, "float32")
            level.mask = None if canvas.covered else backend.full((height, width), 255, "uint8")
        return level

    def add(
        self, backend: Backend[Any], state: LevelsState, index: int, view: View, turn: Turn = WHOLE, /
    ) -> None:
        """Fold one frame in, level by level."""
        work = partial(self.add_finest, backend, state, index, view, turn)
        backend.each(work, self.finest(state, turn))
        if turn.first:
            self.add_coarser(backend, state, index)

    def finest(self, state: LevelsState, turn: Turn) -> range:
        """The bands of the finest level that are looked at: the coarser levels are made of all of them."""
        count = len(state.canvas.bands)
        return range(count) if turn.first else turn.of(count)

    def add_finest(
        self, backend: Backend[Any], state: LevelsState, index: int, view: View, turn: Turn, number: int
    ) -> None:
        """Look at one band of a frame, and fold it into the finest level where it is its turn."""
        finest, coarser = state.levels[:2]
        room = Room(finest, number, state.extent[number], kept=turn.takes(number))
        self._add_band(backend, index, room, coarser if turn.first else None, view)

    def add_coarser(self, backend: Backend[Any], state: LevelsState, index: int) -> None:
        """Fold the frame, all of whose bands were looked at on the finest level, into the others."""
        *between, base = state.levels[1:]
        for level, coarser in zip(between, state.levels[2:], strict=True):

            def work(number: int, level: Level = level, coarser: Level = coarser) -> None:
                source = partial(_rows_of, backend, level)
                self._add_band(backend, index, Room(level, number), coarser, source)

            backend.each(work, range(len(level.bands)))
        backend.each(partial(self._add_base, backend, base, index), range(len(base.bands)))

    def _add_band(
        self, backend: Backend[Any], index: int, room: Room, coarser: Level | None, source: View
    ) -> None:
        """Fold a band into what is kept of it, if it is, and hand it down to the coarser level, if any."""
        level, rows = room.level, room.level.bands[room.number]
        halo = rows.grow(self.halo, level.height)
        band = source(halo)
        coarse = backend.reduce(band.image)
        evidence = band.evidence if level.evidence is None else backend.rows(level.evidence, halo.slice)
        seen = LevelBand(band.image, coarse, evidence, band.valid, rows.within(halo))
        part = level.parts[room.number]
        energy = backend.fold_level(part, index, seen, self.rule.sigma, room.extent, keep=room.kept)
        if coarser is not None:
            _hand_down(backend, coarser, Band(coarse, band.valid), energy, rows, halo)

    def _add_base(self, backend: Backend[Any], base: Level, index: int, number: int) -> None:
        """The base has no detail of its own: the evidence of all finer levels decides."""
        rows = base.bands[number]
        image, energy = backend.rows(base.image, rows.slice), backend.rows(base.evidence, rows.slice)
        valid = None if base.mask is None else backend.rows(base.mask, rows.slice)
        backend.fold_in(base.parts[number], index, image, energy, valid)

    @property
    def halo(self) -> int:
        """Rows around a band: 2 for `reduce`, 2 for `detail`, the energy's blur, 2 to reduce it; made
        even."""
        return (4 + int(np.ceil(3 * self.rule.sigma)) + 2 + 1) // 2 * 2

    def merge(self, backend: Backend[Any], state: LevelsState, other: LevelsState, /) -> None:
        """Level by level, band by band."""
        for mine, theirs in zip(state.levels, other.levels, strict=True):
            for part, another in zip(mine.parts, theirs.parts, strict=True):
                backend.merge(part, another)
        for extent, another_extent in zip(state.extent, other.extent, strict=True):
            backend.merge_extent(extent, another_extent)

    def finish(self, backend: Backend[Any], state: LevelsState, /) -> Pixels:
        """Collapse the levels and pack the picture into the frames' dtype."""
        kind, channels = state.canvas.pixel_type, state.canvas.channels
        collapse = self.collapsed(backend, state)

        def band(number: int) -> Pixels:
            return backend.pack(collapse(number), kind, state.extent[number])

        return assembled(backend, state.canvas, kind.value, channels, band)

    def let_go(self, backend: Backend[Any], state: LevelsState) -> None:
        """Once no frame comes any more, and nobody asks who won: keep what the picture is made of."""
        nothing = backend.full((1, 1), 0.0, "float32")
        for level in state.levels:
            level.image = level.evidence = level.mask = None
            level.parts = [part.left(nothing, total=False) for part in level.parts]

    def collapsed(self, backend: Backend[Any], state: LevelsState) -> Callable[[int], Any]:
        """Gives the picture (c, rows, w) float32 of any band by its number."""
        base, *between, finest = state.levels[::-1]
        image = backend.stack_rows([part.kept for part in base.parts])
        for level in between:
            image = self._picture(backend, state.canvas, level, image)
        return partial(self._collapsed, backend, finest, image)

    def _picture(self, backend: Backend[Any], canvas: Canvas, level: Level, coarse: Any) -> Any:
        """A level's picture, from the coarser one."""
        out = backend.full((canvas.channels, level.height, level.width), 0.0, "float32")

        def work(number: int) -> None:
            band = self._collapsed(backend, level, coarse, number)
            backend.copy(band, backend.rows(out, level.bands[number].slice))

        backend.each(work, range(len(level.bands)))
        return out

    def _collapsed(self, backend: Backend[Any], level: Level, coarse: Any, number: int) -> Any:
        """One band of a level's picture, from the coarser picture and the kept detail."""
        rows = level.bands[number]
        halo = rows.grow(EXPANSION_HALO, level.height)
        small = backend.rows(coarse, Rows(halo.start // 2, -(-halo.stop // 2)).slice)
        return backend.add_detail(small, level.parts[number].kept, len(halo), rows.within(halo))

    def winners(self, backend: Backend[Any], state: LevelsState, /) -> Winners:
        """(h, w) uint16: the frame that has most of the finest detail."""
        parts = [part.best.frame for part in state.levels[0].parts]
        return joined(backend, state.canvas, parts, "uint16")

    def footprint(self, channels: int, itemsize: int, /) -> Footprint:
        """Parts of all levels, a third of the finest for those below it; a frame's pictures and masks there;
        the range; the packed picture."""
        part = self.rule.bytes_per_pixel(channels)
        below = (part + 4.0 * (channels + 1) + 1) / 3
        return Footprint(below, part + 2.0 * channels * itemsize, channels * itemsize)

    @staticmethod
    def left(channels: int, itemsize: int) -> Footprint:
        """What `let_go` leaves: the means of all levels, and the range."""
        mean = 4.0 * channels
        return Footprint(mean / 3, mean + 2.0 * channels * itemsize, 0.0)


def level_count(canvas: Canvas) -> int:
    """Number of detail levels; the base comes below them."""
    return max(1, int(np.log2(max(1, min(canvas.width, canvas.height)) / SMALLEST_BASE)))


def _size(canvas: Canvas, number: int) -> tuple[int, int]:
    """Width and height of a level."""
    width, height = (-(-side // 2**number) for side in (canvas.width, canvas.height))
    return width, height


def _bands(canvas: Canvas, number: int) -> tuple[Rows, ...]:
    """The bands of a level: as many rows as the canvas's, an even number."""
    if number == 0:
        return canvas.bands
    return cut(_size(canvas, number)[1], max(2, len(canvas.bands[0]) // 2 * 2))


def _rows_of(backend: Backend[Any], level: Level, rows: Rows) -> Band[Any]:
    """Rows of the frame's picture at a coarser level."""
    mask = None if level.mask is None else backend.rows(level.mask, rows.slice)
    return Band(backend.rows(level.image, rows.slice), mask)


def _hand_down(
    backend: Backend[Any], coarser: Level, band: Band[Any], energy: Any, rows: Rows, halo: Rows
) -> None:
    """Write a band's reduced picture and evidence into the next level; origins are even, so the grids
    agree."""
    own = Rows(rows.start // 2, -(-rows.stop // 2))
    inside = own.within(Rows(halo.start // 2, -(-halo.stop // 2)))
    evidence = backend.reduce(energy)
    mask = None if band.valid is None else backend.shrink_mask(band.valid)
    if len(own) == coarser.height:  # the one band is the level
        coarser.image, coarser.evidence, coarser.mask = band.image, evidence, mask
        return
    backend.copy(backend.rows(band.image, inside), backend.rows(coarser.image, own.slice))
    backend.copy(backend.rows(evidence, inside), backend.rows(coarser.evidence, own.slice))
    if coarser.mask is not None:
        target = backend.rows(coarser.mask, own.slice)
        if mask is None:
            backend.fill(target, 255)
        else:
            backend.copy(backend.rows(mask, inside), target)


def _empty_extent(backend: Backend[Any], canvas: Canvas, rows: Rows) -> Extent[Any]:
    kind = canvas.pixel_type
    shape = (canvas.channels, len(rows), canvas.width)
    top, bottom = (np.inf, -np.inf) if kind.value == "float32" else (kind.white, 0)
    low, high = (backend.full(shape, value, kind.value, afar=True) for value in (top, bottom))
    return Extent(low, high)


def range_around(
    backend: Backend[Any], extents: list[Extent[Any]], canvas: Canvas, rows: Rows
) -> Extent[Any]:
    """What the frames hold at each pixel and the eight around it; `extents` lie by bands."""
    wide = rows.grow(1, canvas.height)
    low, high = (
        across(backend, [getattr(extent, name) for extent in extents], canvas.bands, wide)
        for name in ("low", "high")
    )
    return backend.around(Extent(low, high), rows.within(wide))
